"""Everything that is computed from 10,000 tokens x 12 layers."""

from __future__ import annotations

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.analysis import (
    Analysis,
    align_labels,
    archetypal_paths,
    check_analysis,
    layer_window,
    token_path_metrics,
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
    return [(name, milliseconds(median(part))) for name, part in parts.items()]
