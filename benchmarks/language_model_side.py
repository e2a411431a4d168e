"""One side of the benchmark `language_model`, in a process of its own.

    python -m benchmarks.language_model_side ours|corpus|transformer_lens TOKENS FOLDER

reads the GPT-2 in FOLDER and the token ids beside it, goes from them to clusters and metrics, and
prints {"seconds", "peak_bytes", ...} as JSON. The clock starts when all is imported. Both sides
cluster with the same settings and compute the same metrics by the same functions; they differ in
how hidden states and attentions are had.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.cluster  # noqa: F401 - imported before the clock starts
import torch
import transformers

from concept_fragmentation.analysis import (
    Analysis,
    align_labels,
    analyze,
    attention_statistics,
    layer_names,
    with_token_paths,
)
from concept_fragmentation.analysis.clustering import Clusterer, Clustering
from concept_fragmentation.analysis.layer_measures import (
    cluster_measures,
    path_measures,
    similarity_measures,
)

NUM_CLUSTERS = 10


def ours(ids: list[int], folder: Path) -> dict[str, Any]:
    return analyze(ids, folder, n_clusters=NUM_CLUSTERS)


def corpus(ids: list[int], folder: Path) -> dict[str, Any]:
    """A corpus of texts of 1,000 tokens each."""
    texts = [ids[start : start + 1_000] for start in range(0, len(ids), 1_000)]
    return analyze(texts, folder, n_clusters=NUM_CLUSTERS)


def transformer_lens(ids: list[int], folder: Path) -> dict[str, Any]:
    from transformer_lens import HookedTransformer  # noqa: PLC0415 - only this side has it

    source = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    # Weights as they are: folding them would give other hidden states.
    model = HookedTransformer.from_pretrained_no_processing(
        "gpt2", hf_model=source, hf_config=source.config, tokenizer=None, device="cpu"
    )
    with torch.inference_mode():
        _, cache = model.run_with_cache(torch.tensor([ids]), return_type=None)
    names = layer_names(model.cfg.n_layers)
    residuals = [cache["resid_pre", 0]]
    residuals += [cache["resid_post", i] for i in range(model.cfg.n_layers - 1)]
    last = model.ln_final(cache["resid_post", model.cfg.n_layers - 1])
    states = {name: state[0].numpy() for name, state in zip(names, [*residuals, last], strict=True)}
    attention = attention_statistics(
        {names[i + 1]: cache["pattern", i][0].numpy() for i in range(model.cfg.n_layers)}
    )
    del cache, model, source
    clusterer = Clusterer(NUM_CLUSTERS)
    found, metrics = {}, {}
    for name, state in states.items():
        found[name] = Clustering(clusterer.labels(state, NUM_CLUSTERS, 0), None)
        metrics[name] = cluster_measures(state, found[name], clusterer)
    raw = np.stack([clustering.labels for clustering in found.values()], axis=1)
    labels = align_labels(raw).labels
    data = with_token_paths(
        {
            "model_type": "gpt2",
            "layers": list(names),
            "token_metadata": {"tokens": [str(i) for i in ids], "token_ids": ids},
            "cluster_labels": {name: labels[:, i].tolist() for i, name in enumerate(names)},
            "hidden_states": states,
            "attention_data": attention,
            "cluster_metrics": metrics,
        }
    )
    rows: Any = list(states.values())
    data["layer_similarity"] = similarity_measures(rows, labels, 0)
    return data | path_measures(Analysis.from_dict(data), {}, 0, lambda _: None)


SIDES = {"ours": ours, "corpus": corpus, "transformer_lens": transformer_lens}


def main() -> None:
    side, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    ids = np.load(folder / "ids.npy")[:count].tolist()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    made = SIDES[side](ids, folder)
    report = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "imported_bytes": before * 1024,
        "fragmentation": made["significance"]["fragmentation"]["observed"],
        "entropy": made["attention_data"]["block_12"]["entropy"],
        "stages": made.get("provenance", {}).get("seconds_by_stage"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
