"""The library: rows of saved analyses, edits, and what is done with those that are selected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict
from uuid import uuid4

from dash import Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate
from dash_ag_grid import AgGrid

from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.deletion import Rows, chosen_ids
from concept_fragmentation.callbacks.library import (
    ChoiceMissingError,
    Destination,
    destination,
    load,
)
from concept_fragmentation.callbacks.messages import public_path, say
from concept_fragmentation.callbacks.views import Order, RowsRequest, needed, order_for
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.library_panel import (
    BLOCK_ROWS,
    EDITABLE,
    ROWS_IN_SIGHT,
    library_grid,
    library_row,
    table_style,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural, title


class OpenedRow(TypedDict):
    """The analysis whose row was clicked; the key makes each click a new one."""

    id: str
    key: float


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the library."""
    _register_table(app, workspace)
    _register_actions(app, workspace)


def _register_table(app: Dash, workspace: Workspace) -> None:
    # Placed when it is first shown: a grid's code is larger than the rest of the page.
    @app.callback(
        Output(ids.LIBRARY_TABLE, "children"),
        Output(ids.LIBRARY_TABLE, "style"),
        order_for(ids.LIBRARY_TABLE),
        prevent_initial_call=True,
    )
    def place(order: Order | None) -> tuple[AgGrid, dict[str, str]]:
        if not order or not order.get("first"):
            raise PreventUpdate
        in_sight = workspace.store.list_analyses(limit=ROWS_IN_SIGHT)
        return library_grid(), table_style(len(in_sight))

    @app.callback(
        Output(ids.LIBRARY_GRID, "getRowsResponse"),
        Output(ids.LIBRARY_NOTE, "children"),
        Output(ids.LIBRARY_EMPTY, "hidden"),
        Output(ids.LIBRARY_TABLE, "style", allow_duplicate=True),
        Input(ids.LIBRARY_GRID, "getRowsRequest"),
        State(ids.LIBRARY_SEARCH, "value"),
        prevent_initial_call=True,
    )
    def send_rows(
        request: RowsRequest | None, search: str | None
    ) -> tuple[dict[str, Any], str, bool, Any]:
        answer, said = library_rows(workspace, request or {}, search or "")
        # While somebody searches, what is below the table stays where it is.
        of_all = not (search or "").strip()
        is_empty = of_all and not answer["rowCount"]
        style = table_style(answer["rowCount"]) if of_all else no_update
        return answer, said, not is_empty, style

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Input(ids.LIBRARY_GRID, "cellValueChanged"),
        prevent_initial_call=True,
    )
    def edited(changes: Any) -> str:
        # Also called when the table is placed, before anything was edited.
        if not changes:
            raise PreventUpdate
        for change in changes if isinstance(changes, list) else [changes]:
            say(edit(workspace, change))
        return uuid4().hex

    in_browser(
        app,
        "figures",
        "refetch_library",
        Input(ids.LIBRARY, "data"),
        Input(ids.LIBRARY_SEARCH, "value"),
        prevent_initial_call=True,
    )


def _register_actions(app: Dash, workspace: Workspace) -> None:
    selected = State(ids.LIBRARY_GRID, "selectedRows")

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.LIBRARY_OPEN, "n_clicks"),
        selected,
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def open_clicked(_clicks: int, rows: Rows | None, query: str | None) -> Destination:
        (chosen, *_) = chosen_ids(rows)
        return _open(workspace, needed(query), chosen)

    in_browser(
        app,
        "library",
        "open_row",
        Output(ids.LIBRARY_OPENED, "data"),
        Input(ids.LIBRARY_GRID, "cellClicked"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.LIBRARY_OPENED, "data"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def row_clicked(opened: OpenedRow | None, query: str | None) -> Destination:
        if not opened:
            raise PreventUpdate
        return _open(workspace, needed(query), opened["id"])

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.LIBRARY_COMPARE, "n_clicks"),
        selected,
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def compare_clicked(_clicks: int, rows: Rows | None, query: str | None) -> Destination:
        return destination(compare(workspace, needed(query), rows))

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Output(ids.LIBRARY_SESSION_NAME, "value"),
        Input(ids.LIBRARY_SESSION, "n_clicks"),
        selected,
        State(ids.LIBRARY_SESSION_NAME, "value"),
        prevent_initial_call=True,
    )
    def session_clicked(_clicks: int, rows: Rows | None, name: str | None) -> tuple[str, str]:
        chosen = chosen_ids(rows)
        if not (name or "").strip():
            raise ChoiceMissingError("Give the session a name, then create it.")
        workspace.store.create_session(str(name).strip(), chosen)
        count = plural(len(chosen), "analysis", "analyses")
        say(f"Created the session '{title(str(name).strip())}' with {count}.")
        return uuid4().hex, ""

    @app.callback(
        Output(ids.LIBRARY_NOTE, "children", allow_duplicate=True),
        Input(ids.LIBRARY_EXPORT, "n_clicks"),
        selected,
        running=[(Output(ids.LIBRARY_EXPORT, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def export_clicked(_clicks: int, rows: Rows | None) -> str:
        paths = [workspace.store.export_analysis(chosen, "json") for chosen in chosen_ids(rows)]
        count = plural(len(paths), "analysis", "analyses")
        said = f"Exported {count} to {public_path(workspace.store.exports_dir)}"
        say(f"{said}.")
        return said


def _open(workspace: Workspace, view: View, analysis_id: str) -> Destination:
    """Return the order to show the newest version of an analysis on the overview."""
    opened = load(workspace, replace(view, tab="overview"), analysis_id, None)
    say(opened.sentence)
    return destination(opened.view)


def library_rows(
    workspace: Workspace, request: RowsRequest, search: str
) -> tuple[dict[str, Any], str]:
    """Return the block of rows that the table asks for, and how many analyses there are.

    Newest first comes from the catalog block by block; another order needs all that are found.
    """
    first = max(request.get("startRow", 0), 0)
    order = request.get("sortModel") or []
    words = search.strip() or None
    if order:
        rows = [library_row(item) for item in workspace.store.list_analyses(search=words)]
        for item in reversed(order):
            rows.sort(
                key=lambda row: _sorting(row.get(item["colId"])),
                reverse=item["sort"] == "desc",
            )
        block, total = rows[first : first + BLOCK_ROWS], len(rows)
        more = False
    else:
        found = workspace.store.list_analyses(search=words, limit=BLOCK_ROWS + 1, offset=first)
        more = len(found) > BLOCK_ROWS
        block = [library_row(item) for item in found[:BLOCK_ROWS]]
        total = first + len(found)
    count = plural(total, "analysis", "analyses")
    said = f"more than {first + BLOCK_ROWS:,} analyses" if more else count
    if not total:
        said = "Nothing is found." if words else "Nothing is saved yet."
    return {"rowData": block, "rowCount": total}, said


def edit(workspace: Workspace, change: Any) -> str:
    """Keep a changed cell; return what to say."""
    row = change.get("data") if isinstance(change, Mapping) else None
    column = change.get("colId") if isinstance(change, Mapping) else None
    if not isinstance(row, Mapping) or column not in EDITABLE:
        raise ChoiceMissingError("Only names, tags and notes can be changed here.")
    text = str(change.get("value") or "").strip()
    if column == "name" and not text:
        raise ChoiceMissingError("An analysis needs a name; it keeps the one it has.")
    tags = [tag.strip() for tag in text.split(",") if tag.strip()]
    value: Any = tags if column == "tags" else text
    workspace.store.update_analysis(str(row.get("id")), **{str(column): value})
    return f"Changed the {column}."


def compare(workspace: Workspace, view: View, rows: Rows | None) -> View:
    """Return the view that compares the two selected, or the one selected with what is shown."""
    chosen = chosen_ids(rows)
    if len(chosen) > 2:
        raise ChoiceMissingError("Select two analyses, or one to compare with what is shown.")
    if len(chosen) == 1:
        return workspace.settle(replace(view, tab="compare", other=chosen[0], other_version=None))
    after = View(tab="compare", analysis_id=chosen[0], other=chosen[1])
    return workspace.settle(after)


def _sorting(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int | float) else (1, str(value).casefold())
