"""The small building blocks that every panel of the page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from concept_fragmentation.components.figures.theme import config_of, least_width_of
from concept_fragmentation.components.structure import FIGURES
from concept_fragmentation.components.view import Tab, View
from concept_fragmentation.components.words import mebibytes

Children = Component | str | Sequence[Component | str | None] | None

# Of every table: the server sends its rows as they are scrolled to.
GRID_OPTIONS: Final[Mapping[str, Any]] = {
    "theme": {"function": "cfGridTheme(themeQuartz)"},
    "headerHeight": 36,
    "infiniteInitialRowCount": 1,
    "enableCellTextSelection": True,
    "suppressMovableColumns": True,
}

# Where the server has the report of a view; assets/downloads.js builds the same.
REPORT_ADDRESS: Final = "report.html"


def section(
    anchor: str, title: str, lead: str, children: Sequence[Component], *, awaited: bool = False
) -> html.Section:
    """Return a section of the page with its heading, one explaining sentence and its content.

    An `awaited` one may turn out to lack all its figures: what follows it is shown once that is
    known (assets/figures.js), so that it does not jump.
    """
    heading = f"{anchor}-heading"
    return html.Section(
        [
            html.Header(
                [
                    html.H2(title, id=heading, className="cf-section-title"),
                    html.P(lead, className="cf-section-lead"),
                ]
            ),
            *children,
        ],
        id=anchor,
        className="cf-section cf-awaited" if awaited else "cf-section",
        **aria(labelledby=heading),
    )


def card(children: Sequence[Component], *, label: str, class_name: str = "") -> html.Div:
    """Return a card: a quiet frame around one thing."""
    return html.Div(
        list(children), className=f"cf-card {class_name}".strip(), role="group", **aria(label=label)
    )


def downloads(figure_id: str, name: str, *, query: str | None = None) -> Component:
    """Return what takes a figure away: a menu, or of what is no image a link to its data as CSV.

    The browser writes the menu when it is opened (assets/downloads.js): thirty menus of five
    entries would be a quarter of the page. Addresses follow that of the page, unless the view that
    the figure belongs to is given as `query`.
    """
    if FIGURES[figure_id].is_image:
        opener = html.Summary(
            "Download", className="cf-download cf-menu-open", **aria(label=f"Download {name}")
        )
        return html.Details(opener, className="cf-downloads", **data(figure=figure_id, name=name))
    file = f"figure/{figure_id}.csv"
    link = html.A(
        "CSV",
        href=f"{file}{query or ''}",
        className="cf-download",
        download=f"{figure_id}.csv",
        **aria(label=f"Download the data of {name} as CSV"),
        **(data(file=file) if query is None else {}),
    )
    return html.Div(link, className="cf-downloads")


def figure(figure_id: str, class_name: str = "cf-figure") -> html.Div:
    """Return the place of a figure, which keeps its height before and while it is drawn."""
    place = FIGURES[figure_id]
    style = {"minHeight": f"{place.height}px"} if place.is_image else None
    return html.Div(id=figure_id, className=f"{class_name} cf-computed", style=style)


def upload(component_id: str, children: Sequence[Component], max_upload: int) -> html.Div:
    """Return the place to drop a file of at most `max_upload` bytes (see assets/uploads.js)."""
    return html.Div(
        dcc.Upload(
            [*children, html.Span(f" Up to {mebibytes(max_upload)}.")],
            id=component_id,
            className="cf-upload",
            className_active="cf-upload cf-upload-active",
            multiple=False,
            max_size=max_upload,
        ),
        **data(max_bytes=str(max_upload)),
    )


def graph(drawn: Any, *, height: int) -> Component:
    """Return a figure as wide as its place and `height` pixels high.

    One that needs more room than a place may have is in a frame that scrolls.
    """
    config: Any = config_of(drawn)
    least = least_width_of(drawn)
    style = {"height": f"{height}px"}
    placed = dcc.Graph(
        figure=drawn,
        config=config,
        responsive=True,
        style=style | {"minWidth": f"{least}px"} if least else style,
        className="cf-graph cf-wide" if least else "cf-graph",
    )
    if not least:
        return placed
    # Focusable, so that the keyboard scrolls it.
    return html.Div(
        placed, className="cf-scroll", tabIndex=0, role="group", **aria(label="Scrolls sideways")
    )


def figure_card(
    figure_id: str, *, above: Children = None, below: Component | None = None
) -> html.Div:
    """Return a card with a figure, its downloads beside its title and the controls it has.

    The downloads come after the figure, in whose corner they stand, so that the keyboard reaches
    them last.
    """
    under = [] if below is None else [below]
    name = FIGURES[figure_id].name
    links = downloads(figure_id, f"the {name}")
    if above is None:
        return card([figure(figure_id), *under, links], label=name, class_name="cf-figure-card")
    head = html.Div([*as_list(above), links], className="cf-card-head")
    return card([head, figure(figure_id), *under], label=name, class_name="cf-figure-card")


def grid(*cards: Component) -> html.Div:
    """Return cards side by side where there is room."""
    return html.Div(list(cards), className="cf-grid-2")


def labelled(label: str, control: Component, *, hint: str = "", grow: bool = False) -> html.Div:
    """Return a control under its visible label, which screen readers announce as well."""
    return html.Div(
        [
            html.Span(label, className="cf-label"),
            control,
            html.Span(hint, className="cf-hint") if hint else None,
        ],
        className="cf-field cf-grow" if grow else "cf-field",
        role="group",
        **aria(label=label),
    )


def field(label: str, component_id: str, control: Component) -> html.Div:
    """Return a control of the browser's own under the label that belongs to it."""
    return html.Div(
        [html.Label(label, htmlFor=component_id, className="cf-label"), control],
        className="cf-field",
    )


def segmented(component_id: str, choices: Mapping[str, str], value: str) -> dbc.RadioItems:
    """Return a choice of one among a few, side by side; `choices` are values and their names."""
    return dbc.RadioItems(
        id=component_id,
        options=[{"label": name, "value": key} for key, name in choices.items()],
        value=value,
        inline=True,
        class_name="cf-segmented",
        input_class_name="btn-check",
        label_class_name="cf-segment",
        label_checked_class_name="active",
    )


def sorted_table(
    component_id: str, columns: Sequence[Mapping[str, Any]], rows: list[dict[str, Any]]
) -> dag.AgGrid:
    """Return a table of few rows, all of which the browser has and sorts."""
    return dag.AgGrid(
        id=component_id,
        columnDefs=[dict(column) for column in columns],
        rowData=rows,
        defaultColDef={"sortable": True, "resizable": True},
        dashGridOptions={**GRID_OPTIONS, "rowHeight": 32},
        columnSize=None,
        style={"height": "100%", "width": "100%"},
        className="cf-table",
    )


def empty_state(sentence: str, name: str = "", offer: Component | None = None) -> html.Div:
    """Say honestly that there is nothing to show, and what would change that.

    `name` says what would be shown, where nothing else does; `offer` opens what would show it.
    """
    heading = html.H3(f"{name[0].upper()}{name[1:]}", className="cf-card-title") if name else None
    return html.Div([heading, html.P(sentence), offer], className="cf-empty")


def opens_example(key: str, title: str, tab: Tab) -> dcc.Link:
    """Return a link to an example in a tab, drawn as a button."""
    return dcc.Link(
        f"Open “{title}”",
        href=View(tab=tab, example=key).to_query(),
        className="btn btn-sm btn-outline-secondary",
    )


def progress_bar(component_id: str, label: str, class_name: str) -> html.Progress:
    """Return a bar whose `value` says how far something is, in hundredths."""
    return html.Progress(
        id=component_id, value="0", max="100", className=class_name, **aria(label=label)
    )


def as_list(children: Children) -> list[Component | str | None]:
    """Return children as a list, whatever they came as."""
    if children is None:
        return []
    if isinstance(children, Component | str):
        return [children]
    return list(children)


def aria(**attributes: str) -> dict[str, Any]:
    """Return ARIA attributes, as Dash's components take them."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def data(**attributes: str) -> dict[str, Any]:
    """Return data attributes, as Dash's components take them."""
    return {f"data-{name.replace('_', '-')}": value for name, value in attributes.items()}
