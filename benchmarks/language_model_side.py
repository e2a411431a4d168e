"""One side of the benchmark `language_model`, in a process of its own.

    python -m benchmarks.language_model_side SIDE TOKENS FOLDER

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
from collections.abc import Callable
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
NEEDED = ("hook_resid_pre", "hook_pattern", "ln_final.hook_out")


def ours(ids: list[int], folder: Path) -> dict[str, Any]:
    return analyze(ids, folder, n_clusters=NUM_CLUSTERS)


def corpus(ids: list[int], folder: Path) -> dict[str, Any]:
    """A corpus of texts of 1,000 tokens each."""
    texts = [ids[start : start + 1_000] for start in range(0, len(ids), 1_000)]
    return analyze(texts, folder, n_clusters=NUM_CLUSTERS)


def transformer_lens(ids: list[int], folder: Path) -> dict[str, Any]:
    """`run_with_cache` as it is called first: it keeps everything."""
    return from_cache(ids, folder, lambda _: True)


def transformer_lens_filtered(ids: list[int], folder: Path) -> dict[str, Any]:
    """`run_with_cache` that keeps what is needed only."""
    return from_cache(ids, folder, lambda name: name.endswith(NEEDED))


def from_cache(ids: list[int], folder: Path, keep: Callable[[str], bool]) -> dict[str, Any]:
    from transformer_lens.model_bridge import (  # noqa: PLC0415 - only these sides have it
        TransformerBridge,
    )

    source = transformers.GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = TransformerBridge.boot_transformers(
        str(folder), hf_model=source, tokenizer=tokenizer, device="cpu"
    )
    with torch.inference_mode():
        _, cache = model.run_with_cache(torch.tensor([ids]), return_type=None, names_filter=keep)
    blocks = range(source.config.n_layer)
    names = layer_names(len(blocks))
    hooks = [f"blocks.{i}.hook_resid_pre" for i in blocks] + ["ln_final.hook_out"]
    states = {name: cache[hook][0].numpy() for name, hook in zip(names, hooks, strict=True)}
    attention = attention_statistics(
        {names[i + 1]: cache[f"blocks.{i}.attn.hook_pattern"][0].numpy() for i in blocks}
    )
    del cache, model, source
    clusterer = Clusterer(NUM_CLUSTERS)
    found, metrics = {}, {}
    words = np.unique(ids, return_inverse=True)[1]
    for name, state in states.items():
        found[name] = Clustering(clusterer.labels(state, NUM_CLUSTERS, 0))
        metrics[name] = cluster_measures(state, words, found[name], clusterer).metrics
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
    everywhere = np.ones(len(ids), dtype=bool)
    data["layer_similarity"] = similarity_measures(rows, labels, everywhere, 0)
    return data | path_measures(Analysis.from_dict(data), {}, 0, lambda _: None)


SIDES = {
    side.__name__: side for side in (ours, corpus, transformer_lens, transformer_lens_filtered)
}


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
