"""How long the server takes to draw 10,000 tokens x 12 layers, and what the browser is sent."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import plotly.graph_objects as go

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.analysis import Analysis, layer_window
from concept_fragmentation.components.figures.data import (
    to_csv,
    token_paths_frame,
    window_links_frame,
)
from concept_fragmentation.components.figures.metrics import (
    cluster_entropy,
    cluster_sizes,
    path_metric_distributions,
    transition_heatmap,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.token_comparison import compared_tokens
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import (
    convergence_by_step,
    path_map,
    window_fragmentation,
)

WINDOWS = ((0, 3), (4, 7), (8, 11), (0, 11))
MIN_COUNTS = (1, 50)


def run() -> list[Row]:
    """Median time to build each figure and to write it as JSON, and its size plain and gzipped."""
    analysis = Analysis.from_dict(real_analysis())
    wide = layer_window(analysis, 0, 11)
    path = tuple(wide.paths[0].tolist())
    drawn: dict[str, Callable[[], go.Figure]] = {}
    for first, last in WINDOWS:
        window = layer_window(analysis, first, last)
        for least in MIN_COUNTS:
            drawn[f"Sankey {first}-{last}, bands of {least} or more"] = (
                lambda window=window, least=least: (
                    token_sankey(analysis, window, min_count=least).figure
                )
            )
    drawn |= {
        "Sankey 0-11 by path": lambda: token_sankey(analysis, wide, colour_by="path").figure,
        "Sankey 0-11, two tokens and a path highlighted": lambda: (
            token_sankey(
                analysis, wide, highlighted_tokens=(0, 5), highlighted_paths=(path,)
            ).figure
        ),
        "Sankey 4-7 by path entropy": lambda: (
            token_sankey(
                analysis, layer_window(analysis, 4, 7), colour_by="metric.path_entropy"
            ).figure
        ),
        "trajectories 0-11, two tokens traced": lambda: trajectory_lines(
            analysis, wide, highlighted_tokens=(0, 5)
        ),
        "trajectories 0-3": lambda: trajectory_lines(analysis, layer_window(analysis, 0, 3)),
        "map of all paths": lambda: path_map(analysis),
        "fragmentation of every window": lambda: window_fragmentation(analysis),
        "convergence by step": lambda: convergence_by_step(analysis),
        "five tokens compared 0-11": lambda: compared_tokens(analysis, wide, (0, 5, 17, 99, 200)),
        "path metrics 0-11": lambda: path_metric_distributions(analysis, wide),
        "cluster sizes 0-11": lambda: cluster_sizes(analysis, wide),
        "cluster entropy 0-11": lambda: cluster_entropy(analysis, wide),
        "transitions 0-1": lambda: transition_heatmap(analysis, 0, 1),
    }
    rows = []
    for name, draw in drawn.items():
        built = median(draw)
        figure = draw()
        written = median(figure.to_json)
        text = figure.to_json().encode()
        rows.append(
            (
                name,
                f"{milliseconds(built):>9}, JSON {milliseconds(written):>8}, "
                f"{len(text) / 1000:,.0f} kB, gzipped {len(gzip.compress(text)) / 1000:,.0f} kB",
            )
        )
    tables = {
        "table of token paths 0-11": lambda: token_paths_frame(analysis, wide),
        "CSV of token paths 0-11": lambda: to_csv(token_paths_frame(analysis, wide)),
        "table of bands 0-11": lambda: window_links_frame(analysis, wide),
    }
    rows += [(name, f"{milliseconds(median(make)):>9}") for name, make in tables.items()]
    return rows
