"""The figures that compare the analysis shown with another, and the choice of that other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from dash import Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import Analysis, AnalysisComparison, compare_analyses
from concept_fragmentation.callbacks.library import analysis_options, version_options
from concept_fragmentation.callbacks.views import Drawing, Source, needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
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
    MatchedPaths,
    matched_clusters_frame,
    matched_paths,
    moved_tokens_frame,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import NotFoundError

NO_OTHER: Final = "Choose a saved analysis above, and what changed from it to this one is drawn."
NOTHING_SHARED: Final = (
    "The two analyses share no layer with cluster labels, or no tokens, so there is nothing to "
    "compare. Layers are matched by name, tokens by their text, in order."
)


@dataclass(frozen=True, eq=False)
class Compared:
    """Two analyses, from `before` to `after`, which is shown, and what changed."""

    before: Analysis
    after: Analysis
    found: AnalysisComparison
    paths: MatchedPaths


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
        typed: str | None, _library: str | None, parts: Mapping[str, Any] | None, query: str | None
    ) -> tuple[Any, ...]:
        if not parts or parts["tab"] != "compare":
            raise PreventUpdate
        view = needed(query)
        options = analysis_options(workspace, typed or "", view.other, with_demo=False)
        known = any(option["value"] == view.other for option in options)
        versions = version_options(workspace, view.other)
        return options, view.other if known else None, versions, view.other_version


def compared(workspace: Workspace, view: View) -> Compared | str:
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
        found = compare_analyses(before.data(), after.data())
        if not found.labels or not len(found.tokens.kept_after):
            return NOTHING_SHARED
        paths = matched_paths(before.analysis, after.analysis, found)
        return Compared(before.analysis, after.analysis, found, paths)

    return workspace.computed(view, ("comparison", before.key), compare)


def _drawn(
    draw: Callable[[Compared, View, str], Drawing],
) -> Callable[[Workspace, View, str], Drawing]:
    def drawn(workspace: Workspace, view: View, theme: str) -> Drawing:
        both = compared(workspace, view)
        return both if isinstance(both, str) else draw(both, view, theme)

    return drawn


def _framed(
    frame: Callable[[Compared, View], pd.DataFrame],
) -> Callable[[Workspace, View], pd.DataFrame]:
    def framed(workspace: Workspace, view: View) -> pd.DataFrame:
        both = compared(workspace, view)
        return pd.DataFrame() if isinstance(both, str) else frame(both, view)

    return framed


def _window(both: Compared, view: View) -> tuple[int, int]:
    """The window among the layers that both have: those of the view's that are, else all."""
    wanted = both.after.labelled_layers[view.first : (view.last or 0) + 1]
    inside = [i for i, layer in enumerate(both.paths.layers) if layer in wanted]
    if len(inside) < 2:
        return 0, len(both.paths.layers) - 1
    return inside[0], inside[-1]


def _difference(both: Compared, view: View, theme: str) -> Drawing:
    if len(both.paths.layers) < 2:
        return "The two analyses share one layer only; a flow needs two."
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
    ),
    ids.COMPARED_METRICS: Source(
        _drawn(_metrics), _framed(lambda both, _: layer_metrics_frame(both.before, both.after))
    ),
    ids.MOVED_BY_LAYER: Source(
        _drawn(lambda both, _, theme: moved_by_layer(both.found, theme)),
        _framed(lambda both, _: matched_clusters_frame(both.before, both.after, both.found)),
    ),
    ids.MOVED_TOKENS: Source(
        _drawn(lambda both, _, theme: moved_tokens(both.after, both.paths, theme)),
        _framed(lambda both, _: moved_tokens_frame(both.after, both.paths)),
    ),
}
