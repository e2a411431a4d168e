"""The figures that compare the analysis shown with another, and the choice of that other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd
from dash import Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from concept_fragmentation.callbacks.library import analysis_options, version_options
from concept_fragmentation.callbacks.views import Drawing, Parts, Source, call_of, needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.compared import (
    NOTHING_SHARED,
    ONE_LAYER_SHARED,
    Compared,
    compared,
)
from concept_fragmentation.components.figures.comparison import (
    layer_metrics_frame,
    metrics_side_by_side,
    missing_layer_metrics,
    moved_by_layer,
    moved_tokens,
)
from concept_fragmentation.components.figures.difference_flow import (
    difference_sankey,
    flow_difference,
    flow_difference_frame,
)
from concept_fragmentation.components.figures.matched_paths import (
    matched_clusters_frame,
    moved_tokens_frame,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import NotFoundError

NO_OTHER: Final = "Choose a saved analysis above, and what changed from it to this one is drawn."


def register(app: Dash, workspace: Workspace) -> None:
    """Offer what can be compared with."""

    @app.callback(
        Output(ids.OTHER, "options"),
        Output(ids.OTHER, "value"),
        Output(ids.OTHER_VERSION, "options"),
        Output(ids.OTHER_VERSION, "value"),
        Input(ids.OTHER, "search_value"),
        Input(ids.LIBRARY, "data"),
        Input(ids.PARTS, "data"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def offer(
        typed: str | None, _library: str | None, parts: Parts | None, query: str | None
    ) -> tuple[Any, ...]:
        if parts is None or parts["tab"] != "compare":
            raise PreventUpdate
        view = needed(query)
        options = analysis_options(workspace, typed or "", view.other, with_demo=False)
        known = any(option["value"] == view.other for option in options)
        versions = version_options(workspace, view.other)
        return options, view.other if known else None, versions, view.other_version


def comparison(workspace: Workspace, view: View) -> Compared | str:
    """Return a settled view's comparison, or say why there is none."""
    if view.other is None:
        return NO_OTHER
    other = View(analysis_id=view.other, version=view.other_version)
    try:
        before = workspace.shown(other)
    except NotFoundError as error:
        return str(error)

    def compare() -> Compared | str:
        after = workspace.shown(view)
        found = compared(before.data(), after.data(), before.analysis, after.analysis)
        return found or NOTHING_SHARED

    return workspace.computed(view, ("comparison", before.key), compare)


def _drawn(
    draw: Callable[[Compared, View, str], Drawing],
) -> Callable[[Workspace, View, str], Drawing]:
    def drawn(workspace: Workspace, view: View, theme: str) -> Drawing:
        both = comparison(workspace, view)
        return both if isinstance(both, str) else draw(both, view, theme)

    return drawn


def _framed(
    frame: Callable[[Compared, View], pd.DataFrame],
) -> Callable[[Workspace, View], pd.DataFrame]:
    def framed(workspace: Workspace, view: View) -> pd.DataFrame:
        both = comparison(workspace, view)
        return pd.DataFrame() if isinstance(both, str) else frame(both, view)

    return framed


def _window(both: Compared, view: View) -> tuple[int, int]:
    return both.shared_window(view.first, view.last or 0)


def _difference(both: Compared, view: View, theme: str) -> Drawing:
    if len(both.paths.layers) < 2:
        return ONE_LAYER_SHARED
    difference = flow_difference(both.paths, *_window(both, view))
    return difference_sankey(both.after, both.paths, difference, theme)


def _metrics(both: Compared, _view: View, theme: str) -> Drawing:
    return metrics_side_by_side(both.before, both.after, theme) or missing_layer_metrics()


SOURCES: Final[Mapping[str, Source]] = {
    ids.DIFFERENCE_FLOW: Source(
        _drawn(_difference),
        _framed(
            lambda both, view: flow_difference_frame(
                both.paths, flow_difference(both.paths, *_window(both, view))
            )
        ),
        call_of("difference_flow", "window"),
    ),
    ids.COMPARED_METRICS: Source(
        _drawn(_metrics),
        _framed(lambda both, _: layer_metrics_frame(both.before, both.after)),
        call_of("compared_metrics"),
    ),
    ids.MOVED_BY_LAYER: Source(
        _drawn(lambda both, _, theme: moved_by_layer(both.found, theme)),
        _framed(lambda both, _: matched_clusters_frame(both.before, both.after, both.found)),
        call_of("moved_by_layer"),
    ),
    ids.MOVED_TOKENS: Source(
        _drawn(lambda both, _, theme: moved_tokens(both.after, both.paths, theme)),
        _framed(lambda both, _: moved_tokens_frame(both.after, both.paths)),
        call_of("moved_tokens"),
    ),
}
