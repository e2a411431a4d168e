"""Make `data/demo_analysis.json`, the analysis that ships with the dashboard.

The demo is small but real. No language model is involved: each word of a short text gets a
vector from how often it stands near other words (co-occurrence counts, positive pointwise mutual
information, truncated SVD: Levy and Goldberg 2014), and each layer mixes it with the vectors of
the words around it, weighted by their similarity, as attention would. What the page shows,
clusters, paths, metrics, entropies, is computed from those vectors by this project's own code.

    python examples/make_demo_analysis.py

writes the same file every time (fixed seeds).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

from concept_fragmentation.analysis import analysis_from_labels

TEXT = """
The river is quiet in the morning. A small boat moves along the river and the old man in the boat
looks at the water. The water is cold, and the bank is green. On the bank a child waits with a
dog. The dog runs to the water, the child runs to the dog, and the old man laughs.
In the town the bank is open. A young woman waits in the bank with money in her hand. The money is
for a house near the river. The man at the bank looks at the money and the woman looks at the man.
In the evening the town is quiet. The child and the dog sleep in the house, the boat sleeps on
the water, and the young woman looks at the old river.
"""

NUM_LAYERS = 6
NUM_HEADS = 4
NUM_CLUSTERS = 6
DIMENSIONS = 16
WINDOW = 3
MIX = 0.45
SEED = 7

# Coarse word classes, so that the purity of a layer's clusters can be measured.
CLASSES = {
    "function": [
        "the",
        "a",
        "an",
        "and",
        "in",
        "is",
        "at",
        "to",
        "on",
        "along",
        "with",
        "for",
        "near",
        "of",
        "her",
    ],
    "person": ["man", "woman", "child", "dog"],
    "place": ["river", "water", "bank", "town", "house", "boat", "hand"],
    "action": ["moves", "looks", "waits", "runs", "laughs", "sleep", "sleeps"],
    "quality": ["quiet", "small", "old", "cold", "green", "open", "young"],
    "thing": ["money", "morning", "evening"],
    "mark": [".", ","],
}
CLASS_OF = {word: name for name, words in CLASSES.items() for word in words}


def tokenise(text: str) -> list[str]:
    """Split into words and marks; a word carries the space before it, as GPT-2's tokens do."""
    return re.findall(r" ?\w+|[.,]", " ".join(text.split()))


def word_vectors(words: list[str]) -> np.ndarray:
    """Return one vector an occurrence, shape (T, DIMENSIONS): SVD of positive PMI counts."""
    vocabulary = sorted(set(words))
    index = {word: i for i, word in enumerate(vocabulary)}
    counts = np.zeros((len(vocabulary), len(vocabulary)))
    for here, word in enumerate(words):
        for there in range(max(0, here - WINDOW), min(len(words), here + WINDOW + 1)):
            if there != here:
                counts[index[word], index[words[there]]] += 1 / abs(there - here)
    total = counts.sum()
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / total
    pmi = np.log(np.maximum(counts, 1e-12) / expected)
    left, singular, _ = np.linalg.svd(np.maximum(pmi, 0.0))
    vectors = left[:, :DIMENSIONS] * np.sqrt(singular[:DIMENSIONS])
    # The sign of a singular vector is arbitrary; fixing it makes the file the same everywhere.
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(DIMENSIONS)])
    return _unit(vectors)[[index[word] for word in words]]


def attention(hidden: np.ndarray) -> np.ndarray:
    """Return causal weights, shape (heads, T, T): each head compares its part of the dimensions."""
    size = DIMENSIONS // NUM_HEADS
    parts = hidden.reshape(len(hidden), NUM_HEADS, size).transpose(1, 0, 2)
    scores = parts @ parts.transpose(0, 2, 1) * 4.0
    distance = np.arange(len(hidden))[:, None] - np.arange(len(hidden))[None, :]
    scores = np.where(distance < 0, -np.inf, scores - 0.05 * distance)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attention_summary(weights: np.ndarray) -> dict[str, Any]:
    """Return each head's mean entropy in nats, and the mean cosine between heads' weights."""
    logs = np.log(np.where(weights > 0, weights, 1.0))
    entropy = -(weights * logs).sum(axis=-1).mean(axis=-1)
    rows = weights / np.linalg.norm(weights, axis=-1, keepdims=True)
    pairs = [
        float((rows[a] * rows[b]).sum(axis=-1).mean())
        for a in range(len(rows))
        for b in range(a + 1, len(rows))
    ]
    return {
        "entropy": [round(float(value), 6) for value in entropy],
        "head_agreement": round(float(np.mean(pairs)), 6),
        "num_heads": NUM_HEADS,
    }


def cluster_quality(hidden: np.ndarray, labels: np.ndarray, words: list[str]) -> dict[str, Any]:
    """Return the purity over word classes and the mean silhouette (Rousseeuw 1987)."""
    kinds = np.array([CLASS_OF[word] for word in words])
    found = np.unique(labels)
    largest = [np.unique(kinds[labels == c], return_counts=True)[1].max() for c in found]
    between = cdist(hidden, hidden)
    means = np.stack([between[:, labels == c].mean(axis=1) for c in found], axis=1)
    own = np.searchsorted(found, labels)
    sizes = np.bincount(own)[own]
    rows = np.arange(len(labels))
    inside = means[rows, own] * sizes / np.maximum(sizes - 1, 1)
    means[rows, own] = np.inf
    outside = means.min(axis=1)
    silhouette = np.where(sizes > 1, (outside - inside) / np.maximum(outside, inside), 0.0)
    return {
        "purity": round(float(sum(largest) / len(labels)), 6),
        "silhouette": round(float(silhouette.mean()), 6),
        "num_clusters": len(found),
    }


def make_demo() -> dict[str, Any]:
    """Return the demo as a loaded structure: its metadata and the analysis."""
    tokens = tokenise(TEXT)
    words = [token.strip().lower() for token in tokens]
    layers = [f"layer_{number}" for number in range(NUM_LAYERS)]
    hidden = word_vectors(words)
    states, labels, attention_data, metrics = {}, {}, {}, {}
    for number, layer in enumerate(layers):
        weights = attention(hidden)
        _, found = kmeans2(hidden, NUM_CLUSTERS, minit="++", seed=SEED + number, iter=50)
        states[layer] = hidden.round(4)
        labels[layer] = [int(cluster) for cluster in found]
        attention_data[layer] = attention_summary(weights)
        metrics[layer] = cluster_quality(hidden, found, words)
        context = np.concatenate(
            [
                w @ part
                for w, part in zip(weights, np.split(hidden, NUM_HEADS, axis=1), strict=True)
            ],
            axis=1,
        )
        hidden = _unit((1 - MIX) * hidden + MIX * context)
    vocabulary = {word: number for number, word in enumerate(sorted(set(tokens)))}
    analysis = analysis_from_labels(
        tokens,
        labels,
        model_type="co-occurrence",
        layers=layers,
        token_ids=[vocabulary[token] for token in tokens],
        hidden_states=states,
    )
    analysis |= {
        "hidden_states": {layer: state.tolist() for layer, state in states.items()},
        "attention_data": attention_data,
        "cluster_metrics": metrics,
    }
    return {
        "metadata": {
            "name": "Demo: co-occurrence vectors of a short text, not GPT-2",
            "model_name": "co-occurrence vectors",
            "input_text": " ".join(TEXT.split()),
            "tags": ["demo"],
            "notes": "Made by examples/make_demo_analysis.py; no language model is involved.",
        },
        "analysis_data": analysis,
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


if __name__ == "__main__":
    target = Path(__file__).resolve().parent.parent / "data" / "demo_analysis.json"
    text = json.dumps(make_demo(), ensure_ascii=False, separators=(",", ":"))
    target.write_text(text + "\n", encoding="utf-8")
    print(f"{target}: {len(text) / 1000:.0f} kB")
