"""The figures of clusters by layer: how good they are, how large, how even."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import Drawing, Source, call_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures import data
from concept_fragmentation.components.figures.layers import concept_metrics, missing_concepts
from concept_fragmentation.components.figures.metrics import cluster_entropy, cluster_sizes
from concept_fragmentation.components.view import View


def of_window(
    draw: Callable[[Analysis, LayerWindow, str], go.Figure],
) -> Callable[[Workspace, View, str], Drawing]:
    """Return what draws a figure of the window of a settled view."""

    def drawn(workspace: Workspace, view: View, theme: str) -> Drawing:
        window = workspace.window(view)
        return NO_LABELS if window is None else draw(workspace.shown(view).analysis, window, theme)

    return drawn


def frame_of_window(
    frame: Callable[[Analysis, LayerWindow], pd.DataFrame],
) -> Callable[[Workspace, View], pd.DataFrame]:
    """Return what makes the data behind a figure of the window of a settled view."""

    def of_view(workspace: Workspace, view: View) -> pd.DataFrame:
        window = workspace.window(view)
        return pd.DataFrame() if window is None else frame(workspace.shown(view).analysis, window)

    return of_view


def _concepts(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    return concept_metrics(analysis, theme) or missing_concepts(analysis)


def _sizes(workspace: Workspace, view: View, theme: str) -> Drawing:
    window = workspace.window(view)
    if window is None:
        return NO_LABELS
    analysis = workspace.shown(view).analysis
    return cluster_sizes(analysis, window, theme, selected=view.selected_clusters)


SOURCES: Final[Mapping[str, Source]] = {
    ids.CONCEPTS: Source(
        _concepts,
        lambda w, v: data.concepts_frame(w.shown(v).analysis),
        call_of("concept_metrics"),
    ),
    ids.CLUSTER_SIZES: Source(
        _sizes,
        frame_of_window(data.cluster_sizes_frame),
        call_of("cluster_sizes", "window", "selected"),
    ),
    ids.CLUSTER_ENTROPY: Source(
        of_window(cluster_entropy),
        frame_of_window(data.cluster_entropy_frame),
        call_of("cluster_entropy", "window"),
    ),
}
