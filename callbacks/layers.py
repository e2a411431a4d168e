"""The figures of the layers: metrics, sizes, entropy, transitions, attention and concepts."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
from dash import Dash, Input, Output
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.callbacks.overview import NOTHING_TO_DRAW
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.layers import (
    attention_by_layer,
    concept_metrics,
    missing_attention,
    missing_concepts,
)
from concept_fragmentation.components.figures.metrics import (
    cluster_entropy,
    cluster_sizes,
    path_metric_distributions,
    transition_heatmap,
)
from concept_fragmentation.components.figures.theme import empty_figure
from concept_fragmentation.components.parts import empty_state, graph
from concept_fragmentation.components.view import View

ONE_LAYER = "Transitions need two layers with cluster labels"
OPTIONAL_HEIGHT = 320

_OF_WINDOW = {
    ids.PATH_METRICS: path_metric_distributions,
    ids.CLUSTER_SIZES: cluster_sizes,
    ids.CLUSTER_ENTROPY: cluster_entropy,
}
_OPTIONAL: dict[
    str, tuple[Callable[[Analysis, str], go.Figure | None], Callable[[Analysis], str]]
] = {
    ids.ATTENTION: (attention_by_layer, missing_attention),
    ids.CONCEPTS: (concept_metrics, missing_concepts),
}


def register(app: Dash, workspace: Workspace) -> None:
    """Draw each figure when the part of the view that it depends on changed."""
    for figure_id in _OF_WINDOW:

        @app.callback(
            Output(figure_id, "figure"),
            Input(ids.WINDOW_VIEW, "data"),
            Input(ids.THEME, "data"),
        )
        def draw_window(query: str | None, theme: str, figure_id: str = figure_id) -> go.Figure:
            return window_figure(workspace, figure_id, needed(query), theme)

    for figure_id in _OPTIONAL:

        @app.callback(
            Output(figure_id, "children"),
            Input(ids.ANALYSIS_VIEW, "data"),
            Input(ids.THEME, "data"),
        )
        def draw_optional(query: str | None, theme: str, figure_id: str = figure_id) -> Component:
            return optional_figure(workspace, figure_id, needed(query), theme)

    @app.callback(
        Output(ids.HEAT_MAP, "figure"),
        Input(ids.HEAT_VIEW, "data"),
        Input(ids.THEME, "data"),
    )
    def draw_heat_map(query: str | None, theme: str) -> go.Figure:
        return heat_map(workspace, needed(query), theme)


def window_figure(workspace: Workspace, figure_id: str, view: View, theme: str) -> go.Figure:
    """Return one of the figures of a settled view's window."""
    window = workspace.window(view)
    if window is None:
        return empty_figure(NOTHING_TO_DRAW, theme)
    return _OF_WINDOW[figure_id](workspace.shown(view).analysis, window, theme)


def optional_figure(workspace: Workspace, figure_id: str, view: View, theme: str) -> Component:
    """Return a figure of what an analysis may have, or say what is missing."""
    draw, missing = _OPTIONAL[figure_id]
    analysis = workspace.shown(view).analysis
    drawn = draw(analysis, theme)
    if drawn is None:
        return empty_state(missing(analysis))
    return graph(drawn, height=OPTIONAL_HEIGHT)


def heat_map(workspace: Workspace, view: View, theme: str) -> go.Figure:
    """Return the heat map of the two layers that a settled view names."""
    if view.heat is None:
        return empty_figure(ONE_LAYER, theme)
    return transition_heatmap(workspace.shown(view).analysis, view.heat[0], view.heat[1], theme)
