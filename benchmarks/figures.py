"""How long the server takes to draw 10,000 tokens x 12 layers, and what the browser is sent."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.analysis import (
    Analysis,
    ami_matrix,
    analysis_from_labels,
    compare_analyses,
    layer_window,
    principal_plane,
)
from concept_fragmentation.components.figures.attention import (
    attention_matrix,
    rollout_matrix,
    token_rollout,
)
from concept_fragmentation.components.figures.attention_flow import (
    attention_flow,
    attention_flow_sankey,
)
from concept_fragmentation.components.figures.comparison import moved_tokens
from concept_fragmentation.components.figures.concepts import layer_similarity, state_map
from concept_fragmentation.components.figures.data import (
    to_csv,
    token_paths_frame,
    window_links_frame,
)
from concept_fragmentation.components.figures.difference_flow import (
    difference_sankey,
    flow_difference,
)
from concept_fragmentation.components.figures.heads import head_entropy
from concept_fragmentation.components.figures.matched_paths import matched_paths
from concept_fragmentation.components.figures.metrics import (
    cluster_entropy,
    cluster_sizes,
    path_metric_distributions,
    transition_heatmap,
)
from concept_fragmentation.components.figures.path_attention import (
    path_attention,
    path_attention_by_token,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.token_comparison import compared_tokens
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import (
    convergence_by_step,
    path_map,
    window_fragmentation,
)
from concept_fragmentation.components.standouts import standouts
from concept_fragmentation.components.typical import cluster_tokens

WINDOWS = ((0, 3), (4, 7), (8, 11), (0, 11))
MIN_COUNTS = (1, 50)


def with_attention(num_tokens: int, num_layers: int, num_heads: int) -> Analysis:
    """Random causal attention, with random clusters."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, (num_tokens, num_layers))
    data = analysis_from_labels([f" t{i % 400}" for i in range(num_tokens)], labels)
    for layer in data["layers"]:
        weights = np.tril(rng.random((num_heads, num_tokens, num_tokens), dtype=np.float32) ** 20)
        weights += 1e-6 * np.eye(num_tokens, dtype=np.float32)
        weights /= weights.sum(axis=-1, keepdims=True)
        data.setdefault("attention_data", {})[layer] = {"attention_probs": weights}
    return Analysis.from_dict(data)


def changed(data: dict[str, Any]) -> dict[str, Any]:
    """The same analysis with a tenth of the labels dealt anew."""
    rng = np.random.default_rng(0)
    labels = {}
    for layer, given in data["cluster_labels"].items():
        labels[layer] = np.array(given)
        moved = rng.random(len(given)) < 0.1
        labels[layer][moved] = rng.permutation(labels[layer][moved])
    return data | {"cluster_labels": labels}


def run() -> list[Row]:
    """Median time to build each figure and to write it as JSON, and its size plain and gzipped."""
    real = real_analysis()
    analysis = Analysis.from_dict(real)
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
    long, short = with_attention(1024, 12, 12), with_attention(128, 12, 12)
    last = long.layers[-1]
    found = path_attention(short)
    assert found is not None
    drawn |= {
        "attention of a head, 1,024 tokens": lambda: attention_matrix(long, last, 3),
        "attention of 12 heads, 1,024 tokens": lambda: attention_matrix(long, last),
        "attention flow, 128 tokens x 12 layers": lambda: attention_flow_sankey(
            short, attention_flow(short, 127)
        ),
        "attention flow, 1,024 tokens x 12 layers": lambda: attention_flow_sankey(
            long, attention_flow(long, 1023)
        ),
        "rollout of a token, 128 tokens x 12 layers": lambda: token_rollout(short, 127),
        "rollout matrix, 128 tokens x 12 layers": lambda: rollout_matrix(short, last),
        "head entropy, 12 heads x 12 layers": lambda: head_entropy(short),
        "attention and paths by token, 128 x 12": lambda: path_attention_by_token(short, found),
    }
    other = Analysis.from_dict(changed(real))
    paths = matched_paths(analysis, other, compare_analyses(real, changed(real)))
    states = np.random.default_rng(0).normal(size=(analysis.num_tokens, 64)).astype(np.float32)
    plane = principal_plane(states)
    drawn |= {
        "similarity of layers, by clusters": lambda: layer_similarity(
            analysis.labelled_layers, ami_matrix(analysis.labels), "adjusted_mutual_information"
        ),
        "map of a layer, 10,000 tokens": lambda: state_map(analysis, 5, plane),
        "flows gained and lost 0-3": lambda: difference_sankey(
            other, paths, flow_difference(paths, 0, 3)
        ),
        "flows gained and lost 0-11": lambda: difference_sankey(
            other, paths, flow_difference(paths, 0, 11)
        ),
        "tokens that moved most": lambda: moved_tokens(other, paths),
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
        "what stands out 0-11": lambda: standouts(analysis, wide),
        "typical tokens of a cluster": lambda: cluster_tokens(analysis, 5, 3),
        "correlate attention and paths, 128 tokens x 12 layers": lambda: path_attention(short),
        "table of token paths 0-11": lambda: token_paths_frame(analysis, wide),
        "CSV of token paths 0-11": lambda: to_csv(token_paths_frame(analysis, wide)),
        "table of bands 0-11": lambda: window_links_frame(analysis, wide),
    }
    rows += [(name, f"{milliseconds(median(make)):>9}") for name, make in tables.items()]
    return rows
