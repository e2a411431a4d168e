"""The figures of paths beyond the token flow: lines, compared tokens, windows, transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pandas as pd
import plotly.graph_objects as go
from dash import Dash, Output

from concept_fragmentation.callbacks.layers import frame_of_window, of_window
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import (
    Drawing,
    Order,
    Source,
    call_of,
    order_for,
    ordered,
    position_of,
)
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.data import path_metrics_frame, transition_frame
from concept_fragmentation.components.figures.metrics import (
    missing_lengths,
    missing_transitions,
    path_length_distributions,
    path_metric_distributions,
    transition_heatmap,
)
from concept_fragmentation.components.figures.path_data import (
    compared_tokens_frame,
    layer_steps_frame,
    trajectories_frame,
    window_grid_frame,
)
from concept_fragmentation.components.figures.token_comparison import (
    MOST_COMPARED,
    compared_tokens,
    shared_clusters,
)
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import (
    convergence_by_step,
    path_map,
    window_fragmentation,
)
from concept_fragmentation.components.snippet import Call
from concept_fragmentation.components.view import View

ONE_LAYER: Final = "Transitions need two layers with cluster labels; this analysis has fewer."
TOO_FEW_TOKENS: Final = (
    f"Find 2 to {MOST_COMPARED} tokens above, and their paths are drawn beside each other."
)


def register(app: Dash, workspace: Workspace) -> None:
    """Say in words where the compared tokens are together."""

    @app.callback(
        Output(ids.COMPARED_NOTE, "children"),
        order_for(ids.COMPARED_TOKENS),
        prevent_initial_call=True,
    )
    def say_where_they_meet(order: Order | None) -> str:
        return together(workspace, ordered(workspace, order)[0])


def together(workspace: Workspace, view: View) -> str:
    """Return in which layers of a settled view the highlighted tokens are in one cluster."""
    window = workspace.window(view)
    if window is None or len(view.tokens) < 2:
        return ""
    return shared_clusters(workspace.shown(view).analysis, window, view.tokens)


def _path_map(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if not analysis.labelled_layers:
        return NO_LABELS
    return path_map(analysis, theme, colour_by=view.column_colouring)


def _all_paths_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    top = max(len(workspace.shown(view).analysis.labelled_layers) - 1, 0)
    return workspace.frame(replace(view, first=0, last=top))


def _trajectories(workspace: Workspace, view: View, theme: str) -> Drawing:
    window = workspace.window(view)
    if window is None:
        return NO_LABELS
    return trajectory_lines(
        workspace.shown(view).analysis,
        window,
        colour_by=view.column_colouring,
        highlighted_tokens=view.tokens,
        highlighted_paths=view.paths,
        theme=theme,
    )


def _compared(workspace: Workspace, view: View, theme: str) -> Drawing:
    window = workspace.window(view)
    if window is None:
        return NO_LABELS
    if len(view.tokens) < 2:
        return TOO_FEW_TOKENS
    return compared_tokens(workspace.shown(view).analysis, window, view.tokens, theme)


def _compared_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    window = workspace.window(view)
    if window is None:
        return pd.DataFrame()
    return compared_tokens_frame(workspace.shown(view).analysis, window, view.tokens)


def _window_grid(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if len(analysis.labelled_layers) < 2 or view.last is None:
        return ONE_LAYER
    return window_fragmentation(analysis, theme, window=(view.first, view.last))


def _convergence(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    return convergence_by_step(analysis, theme) if len(analysis.labelled_layers) > 1 else ONE_LAYER


def _lengths(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    if window is None:
        return NO_LABELS
    drawn = path_length_distributions(analysis, window, theme)
    return missing_lengths(analysis, window) if drawn is None else drawn


def heat_map(workspace: Workspace, view: View, theme: str) -> go.Figure | str:
    """Return the heat map of the two layers that a settled view names."""
    if view.heat is None:
        return ONE_LAYER
    analysis = workspace.shown(view).analysis
    missing = missing_transitions(analysis, *view.heat)
    return missing or transition_heatmap(analysis, view.heat[0], view.heat[1], theme)


def _transitions(workspace: Workspace, view: View) -> pd.DataFrame:
    if view.heat is None:
        return pd.DataFrame()
    return transition_frame(workspace.shown(view).analysis, view.heat[0], view.heat[1])


def _transitions_call(workspace: Workspace, view: View) -> Call:
    analysis = workspace.shown(view).analysis
    source, target = (position_of(analysis, column) for column in view.heat or (0, 0))
    return Call("transitions", {"source": source, "target": target})


SOURCES: Final[Mapping[str, Source]] = {
    ids.PATH_MAP: Source(_path_map, _all_paths_frame, call_of("path_map", "column_colouring")),
    ids.TRAJECTORIES: Source(
        _trajectories,
        frame_of_window(trajectories_frame),
        call_of(
            "trajectories", "window", "column_colouring", "highlighted_tokens", "highlighted_paths"
        ),
    ),
    ids.COMPARED_TOKENS: Source(
        _compared, _compared_frame, call_of("compared_tokens", "tokens", "window")
    ),
    ids.WINDOW_GRID: Source(
        _window_grid,
        lambda w, v: window_grid_frame(w.shown(v).analysis),
        call_of("window_fragmentation", "window"),
    ),
    ids.CONVERGENCE: Source(
        _convergence, lambda w, v: layer_steps_frame(w.shown(v).analysis), call_of("convergence")
    ),
    ids.PATH_METRICS: Source(
        of_window(path_metric_distributions),
        frame_of_window(path_metrics_frame),
        call_of("path_metrics", "window"),
    ),
    ids.PATH_LENGTHS: Source(
        _lengths, frame_of_window(path_metrics_frame), call_of("path_lengths", "window")
    ),
    ids.HEAT_MAP: Source(heat_map, _transitions, _transitions_call),
}
