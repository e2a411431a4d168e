"""The figures that compare the analysis shown with another, and the choice of that other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd
from dash import Dash, Input, Output, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from concept_fragmentation.callbacks.library import analysis_options, version_options
from concept_fragmentation.callbacks.messages import public
from concept_fragmentation.callbacks.views import (
    Drawing,
    Order,
    Source,
    call_of,
    order_for,
    ordered,
)
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.comparison_table import (
    MAX_PAIRS_LISTED,
    matched_clusters_grid,
    matched_clusters_rows,
)
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
    moved_by_layer_frame,
    moved_tokens_frame,
)
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural
from concept_fragmentation.persistence import NotFoundError

NO_OTHER: Final = "Choose a saved analysis above, and what changed from it to this one is drawn."


def register(app: Dash, workspace: Workspace) -> None:
    """Offer what can be compared with, and list the clusters of both."""

    # Its values decide the view, which decides what is offered: as outputs they would close a
    # circle, and in a circle Dash holds each callback back until no other runs.
    @app.callback(
        Input(ids.OTHER, "search_value"),
        Input(ids.LIBRARY, "data"),
        order_for(ids.COMPARE_CHOICE),
        prevent_initial_call=True,
    )
    def offer(typed: str | None, _library: str | None, order: Order | None) -> None:
        if order is None:
            raise PreventUpdate
        view = View.from_query(order.get("query"))
        options = analysis_options(workspace, typed or "", view.other, with_examples=False)
        known = any(option["value"] == view.other for option in options)
        versions = version_options(workspace, view.other)
        set_props(ids.OTHER, {"options": options, "value": view.other if known else None})
        set_props(ids.OTHER_VERSION, {"options": versions, "value": view.other_version})

    @app.callback(
        Output(ids.MATCHED_CLUSTERS, "children"),
        Output(ids.MATCHED_NOTE, "children"),
        order_for(ids.MATCHED_CLUSTERS),
        prevent_initial_call=True,
    )
    def list_clusters(order: Order | None) -> tuple[Component, str]:
        return clusters(workspace, *ordered(workspace, order))


def clusters(workspace: Workspace, view: View, theme: str) -> tuple[Component, str]:
    """Return the table of the clusters of both analyses of a settled view, and what it lacks."""
    both = comparison(workspace, view)
    if isinstance(both, str):
        return empty_state(both), ""
    matched = matched_clusters_frame(both.before, both.after, both.found)
    rows = matched_clusters_rows(both.before, both.after, matched, theme)
    more = len(matched) - MAX_PAIRS_LISTED
    return matched_clusters_grid(rows), f"{plural(more, 'more row')} in the CSV" if more > 0 else ""


def comparison(workspace: Workspace, view: View) -> Compared | str:
    """Return a settled view's comparison, or say why there is none."""
    if view.other is None:
        return NO_OTHER
    # Both may lack the category of the other.
    view = view.of_all_tokens
    other = View(analysis_id=view.other, version=view.other_version)
    try:
        before = workspace.shown(other)
    except NotFoundError as error:
        return public(str(error))

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
        _framed(lambda both, _: moved_by_layer_frame(both.found)),
        call_of("moved_by_layer"),
    ),
    ids.MOVED_TOKENS: Source(
        _drawn(lambda both, _, theme: moved_tokens(both.after, both.paths, theme)),
        _framed(lambda both, _: moved_tokens_frame(both.after, both.paths)),
        call_of("moved_tokens"),
    ),
}
# What is listed, not drawn.
FRAMES: Final[Mapping[str, Callable[[Workspace, View], pd.DataFrame]]] = {
    ids.MATCHED_CLUSTERS: _framed(
        lambda both, _: matched_clusters_frame(both.before, both.after, both.found)
    ),
}
