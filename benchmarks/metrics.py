"""Everything that is computed from 10,000 tokens x 12 layers, and from attention and states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.analysis import (
    Analysis,
    AttentionStatistics,
    align_labels,
    ami_matrix,
    archetypal_paths,
    check_analysis,
    cka_matrix,
    cluster_stability,
    layer_window,
    silhouette,
    token_path_metrics,
    window_significance,
    with_token_paths,
)


def run() -> list[Row]:
    """Medians of each part, and of all metrics together."""
    data = real_analysis()
    with_paths = with_token_paths(data)
    analysis = Analysis.from_dict(data)
    aligned = analysis.aligned.labels

    def everything() -> None:
        metrics = token_path_metrics(align_labels(analysis.labels).labels)
        assert metrics.cluster_changes.size
        archetypal_paths(analysis, layer_window(analysis, 0, 11))

    parts = {
        "check an analysis with token paths": lambda: check_analysis(with_paths),
        "columns from a dict with token paths": lambda: Analysis.from_dict(with_paths),
        "align cluster ids": lambda: align_labels(analysis.labels),
        "metrics of every token": lambda: token_path_metrics(aligned),
        "metrics of the window 0-11": lambda: layer_window(analysis, 0, 11),
        "all metrics": everything,
        "token paths as dicts": lambda: with_token_paths(data),
    }
    rows = [(name, milliseconds(median(part))) for name, part in parts.items()]
    seconds = median(lambda: window_significance(analysis, 0, 11), 3)
    reached = "reached" if seconds < 10 else "MISSED"
    rows.append(("1,000 permutations of 0-11", f"{seconds:,.2f} s (goal 10 s, {reached})"))
    return [*rows, *_labellings(analysis), *_states(), *_attention()]


def _labellings(analysis: Analysis) -> Iterator[Row]:
    """Agreement of the labels of all pairs of 12 layers."""
    columns = list(analysis.labels.T)
    yield (
        "adjusted mutual information of 12 x 12 layers",
        _beside(
            median(lambda: ami_matrix(analysis.labels), 3),
            median(
                lambda: [
                    adjusted_mutual_info_score(a, b)
                    for i, a in enumerate(columns)
                    for b in columns[: i + 1]
                ],
                3,
            ),
        ),
    )
    yield (
        "stability of 12 clusterings",
        _beside(
            median(lambda: cluster_stability(columns), 3),
            median(
                lambda: [
                    adjusted_rand_score(a, b) for i, a in enumerate(columns) for b in columns[:i]
                ],
                3,
            ),
        ),
    )


def _states() -> Iterator[Row]:
    """States of GPT-2's size: 768 dimensions, float32."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 10_000)
    states = (rng.normal(size=(10, 768))[labels] + rng.normal(size=(10_000, 768))).astype(
        np.float32
    )
    few, of_few = states[:5000], labels[:5000]
    yield (
        "silhouette of all of 5,000 tokens",
        _beside(
            median(lambda: silhouette(few, of_few), 3),
            median(lambda: silhouette_score(few, of_few), 3),
        ),
    )
    yield "silhouette of 10,000 tokens", milliseconds(median(lambda: silhouette(states, labels), 3))
    layers = [states + np.float32(i) * states[::-1] for i in range(4)]
    yield (
        "linear CKA of 4 x 4 layers, 10,000 tokens",
        milliseconds(median(lambda: cka_matrix(layers), 1)),
    )
    many = [rng.normal(size=(1000, 768)).astype(np.float32) for _ in range(10)]
    yield (
        "linear CKA of 10 x 10 layers, 1,000 tokens",
        milliseconds(median(lambda: cka_matrix(many), 3)),
    )
    yield (
        "path lengths of 10,000 tokens in 4 layers",
        milliseconds(
            median(lambda: token_path_metrics(np.zeros((10_000, 4), dtype=np.int64), layers), 3)
        ),
    )


def _attention() -> Iterator[Row]:
    """12 layers of 12 heads over 1,024 tokens."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(12, 1024, 1024)).astype(np.float32)
    scores[:, np.triu(np.ones((1024, 1024), dtype=bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)

    def statistics() -> None:
        found = AttentionStatistics([f"h.{i}" for i in range(12)])
        found.add(weights for _ in range(12))
        assert found.by_layer()

    yield "attention of 1,024 tokens, 12 layers of 12 heads", milliseconds(median(statistics, 3))


def _beside(ours: float, theirs: float) -> str:
    return (
        f"{milliseconds(ours)} beside scikit-learn's {milliseconds(theirs)}: {theirs / ours:.1f}x"
    )
