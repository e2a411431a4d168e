"""What a callback is told to show, and how a figure's callback answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

import pandas as pd
import plotly.graph_objects as go
from dash import Input, ctx, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.errors import InvalidDataError, MissingExtraError
from concept_fragmentation.callbacks.messages import public
from concept_fragmentation.callbacks.workspace import NotMadeError, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.theme import sentence_of
from concept_fragmentation.components.parts import empty_state, graph, opens_example
from concept_fragmentation.components.snippet import Call
from concept_fragmentation.components.structure import FIGURES, height_of, tab_of
from concept_fragmentation.components.view import FULL_EXAMPLE, View
from concept_fragmentation.persistence.examples import TWO_STORIES

Drawing: TypeAlias = "go.Figure | str"


@dataclass(frozen=True)
class Source:
    """What a figure of a settled view comes from.

    `draw` gives the figure in a theme, or says in a sentence what is missing for it; `frame` gives
    the data behind it; `call` says what draws the same from Python, of a view that can be drawn.
    """

    draw: Callable[[Workspace, View, str], Drawing]
    frame: Callable[[Workspace, View], pd.DataFrame]
    call: Callable[[Workspace, View], Call]


def call_of(function: str, *choices: str) -> Callable[[Workspace, View], Call]:
    """Return what names a function of `concept_fragmentation.figures` and choices of a view."""

    def of_view(workspace: Workspace, view: View) -> Call:
        analysis = workspace.shown(view).analysis
        last = view.first if view.last is None else view.last
        said: dict[str, object] = {
            "window": (
                position_of(analysis, view.first),
                position_of(analysis, last),
            ),
            "colour_by": view.colour_by,
            "min_count": view.min_count,
            "tokens": list(view.tokens),
            "highlighted_tokens": list(view.tokens),
            "highlighted_paths": list(view.paths),
            "selected": [
                (position_of(analysis, column), cluster)
                for column, cluster in view.selected_clusters
            ],
        }
        given = {name: said[name] for name in choices if name != "column_colouring"}
        if "column_colouring" in choices and view.column_colouring != "cluster":
            given["colour_by"] = view.column_colouring
        return Call(function, given)

    return of_view


def of_all_tokens(source: Source) -> Source:
    """Return the same source, but of all tokens whatever category a view is restricted to."""
    return Source(
        lambda workspace, view, theme: source.draw(workspace, view.of_all_tokens, theme),
        lambda workspace, view: source.frame(workspace, view.of_all_tokens),
        lambda workspace, view: source.call(workspace, view.of_all_tokens),
    )


def position_of(analysis: Analysis, column: int) -> int:
    """Return where a labelled layer stands in `layers`, as `concept_fragmentation.figures` counts.

    Without labels there are no such layers, and no figure of them.
    """
    if not analysis.labelled_layers:
        return column
    return analysis.layers.index(analysis.labelled_layers[column])


def needed(query: str | None) -> View:
    """Return the view; nothing is drawn before the address was read."""
    if query is None:
        raise PreventUpdate
    return View.from_query(query)


def clicked(clicks: Sequence[int | None]) -> str:
    """Return the index of the button that was clicked, of a list of buttons.

    A list that has just been drawn calls its callback, too, though nobody clicked in it.
    """
    if not any(clicks) or ctx.triggered_id is None:
        raise PreventUpdate
    return str(ctx.triggered_id["index"])


class Parts(TypedDict):
    """The tab, the query of each part of the view, from which the browser tells figures what to
    draw; the name of the selected layer, which it marks in them; and what names of files begin
    with.
    """

    tab: str
    queries: dict[str, str]
    layer: str | None
    file: str


class Order(TypedDict, total=False):
    """What the browser tells a figure's callback to draw (see assets/orders.js).

    `made` says that what takes long was made for it just now (see assets/runs.js).
    """

    query: str | None
    theme: str | None
    first: bool
    made: str


class Wanted(TypedDict):
    """What a figure's order needs that takes long, by name."""

    order: Order
    what: str


class Sorting(TypedDict):
    """A column of a table, and whether it is sorted `asc` or `desc`."""

    colId: str
    sort: str


class RowsRequest(TypedDict, total=False):
    """The rows of a table that AG Grid asks for."""

    startRow: int
    endRow: int
    sortModel: list[Sorting] | None
    filterModel: dict[str, Any] | None


def order_for(figure_id: str) -> Input:
    """Return the input that tells a figure's callback what to draw."""
    return Input({"type": ids.FIGURE_VIEW, "index": figure_id}, "data")


def ordered(workspace: Workspace, order: Order | None) -> tuple[View, str]:
    """Return the view, settled, and the theme of an order."""
    if order is None:
        raise PreventUpdate
    workspace.hold()
    view = workspace.settle_part(needed(order.get("query")))
    return view, known_theme(order.get("theme"))


def known_theme(theme: str | None) -> str:
    """Return the theme that the browser names; an unknown one is light."""
    return "dark" if theme == "dark" else "light"


def placed(
    figure_id: str, view: View, draw: Callable[[], Drawing]
) -> Component | Sequence[Component]:
    """Return what stands in a figure's place: the figure, or why there is none."""
    drawn = figure_or_reason(draw)
    if isinstance(drawn, str):
        name = FIGURES[figure_id].name
        lacks_data = view.is_example and view.example != FULL_EXAMPLE
        if not lacks_data or FIGURES[figure_id].part == "comparison":
            return empty_state(drawn, name)
        # The sentences after the first say how to add the data, but an example is read-only.
        first, *_ = drawn.partition(". ")
        offer = opens_example(TWO_STORIES.key, TWO_STORIES.title, tab_of(figure_id))
        return empty_state(f"{first.removesuffix('.')}.", name, offer)
    return graph(drawn, height=height_of(figure_id, drawn))


def being_made(figure_id: str, order: Order | None, missing: NotMadeError) -> Component:
    """Have made what a figure's order needs; return what stands in its place until then."""
    said = str(missing)
    if order and order.get("made"):
        said = "The store's cache could not keep what was made for this, so it can't be drawn."
    else:
        set_props(ids.MAP_WANTED, {"data": {"order": order, "what": missing.what}})
    return empty_state(said, FIGURES[figure_id].name)


def figure_or_reason(draw: Callable[[], Drawing]) -> Drawing:
    """Return what is drawn, or the sentence that says why nothing is."""
    try:
        drawn = draw()
    except (InvalidDataError, MissingExtraError) as error:
        return public(str(error))
    said = drawn if isinstance(drawn, str) else sentence_of(drawn)
    return drawn if said is None else said
