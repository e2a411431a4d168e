"""Figures of an open analysis, the same that the page draws, for notebooks and scripts.

    with store.open_analysis("mine") as analysis:
        analysis.sankey((0, 3))

Each function here is a method of `AnalysisHandle`, found by the entry points of the group
`concept_fragmentation.figures`: the store hands out analyses and knows nothing that draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, InvalidDataError, LayerWindow, layer_window
from concept_fragmentation.components.figures import layers, metrics
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisHandle

Window = tuple[int, int] | None


def sankey(
    handle: AnalysisHandle,
    window: Window = None,
    *,
    colour_by: str = "cluster",
    min_count: int = 1,
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[tuple[int, ...]] = (),
    theme: str = "light",
) -> go.Figure:
    """The flow of tokens through the clusters of a window of layers; see `token_sankey`.

    Args:
        handle: the open analysis.
        window: the first and the last of the labelled layers, as indices, both included; by default
            what the page shows first.
        colour_by: "cluster", "path", or another colouring of `token_sankey`.
        min_count: bands of fewer tokens are not drawn.
        highlighted_tokens: indices of tokens whose routes stand out.
        highlighted_paths: paths, as raw cluster ids, whose routes stand out.
        theme: "light" or "dark".

    Raises:
        InvalidDataError: no layer has cluster labels, or there is no such window.
    """
    analysis, chosen = _window(handle.analysis, window)
    return token_sankey(
        analysis,
        chosen,
        colour_by=colour_by,
        min_count=min_count,
        highlighted_tokens=highlighted_tokens,
        highlighted_paths=highlighted_paths,
        theme=theme,
    ).figure


def path_metrics(handle: AnalysisHandle, window: Window = None, theme: str = "light") -> go.Figure:
    """How the metrics of the tokens' paths are distributed; hidden states are read for lengths."""
    analysis, chosen = _window(handle.analysis, window)
    return metrics.path_metric_distributions(analysis, chosen, theme)


def cluster_sizes(handle: AnalysisHandle, window: Window = None, theme: str = "light") -> go.Figure:
    """How many tokens each cluster of a window's layers holds."""
    analysis, chosen = _window(handle.analysis, window)
    return metrics.cluster_sizes(analysis, chosen, theme)


def cluster_entropy(
    handle: AnalysisHandle, window: Window = None, theme: str = "light"
) -> go.Figure:
    """The entropy, in nats, of the cluster distribution of a window's layers."""
    analysis, chosen = _window(handle.analysis, window)
    return metrics.cluster_entropy(analysis, chosen, theme)


def transitions(
    handle: AnalysisHandle, source: int, target: int, theme: str = "light"
) -> go.Figure:
    """Where the tokens of each cluster of one labelled layer are in another; layers by index."""
    return metrics.transition_heatmap(handle.analysis, source, target, theme)


def attention_by_layer(handle: AnalysisHandle, theme: str = "light") -> go.Figure:
    """Entropy and agreement of the attention heads, layer by layer.

    Raises:
        InvalidDataError: the analysis holds no attention; the sentence says what is missing.
    """
    return _optional(handle, layers.attention_by_layer, layers.missing_attention, theme)


def concept_metrics(handle: AnalysisHandle, theme: str = "light") -> go.Figure:
    """Purity and silhouette of the clusters, layer by layer.

    Raises:
        InvalidDataError: the analysis holds none; the sentence says what is missing.
    """
    return _optional(handle, layers.concept_metrics, layers.missing_concepts, theme)


def _window(analysis: Analysis, window: Window) -> tuple[Analysis, LayerWindow]:
    if not analysis.labelled_layers:
        raise InvalidDataError(["cluster_labels: the analysis has none, so there is no flow"])
    if window is None:
        shown = View().clamp(len(analysis.labelled_layers), analysis.num_tokens)
        window = (
            shown.first,
            len(analysis.labelled_layers) - 1 if shown.last is None else shown.last,
        )
    return analysis, layer_window(analysis, *window)


def _optional(
    handle: AnalysisHandle,
    draw: Callable[[Analysis, str], go.Figure | None],
    missing: Callable[[Analysis], str],
    theme: str,
) -> go.Figure:
    figure = draw(handle.analysis, theme)
    if figure is None:
        raise InvalidDataError([missing(handle.analysis).rstrip(".")])
    return figure
