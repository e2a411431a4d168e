"""The table of token paths, block by block."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State
from dash.exceptions import PreventUpdate
from dash_ag_grid import AgGrid

from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import Order, RowsRequest, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.token_table import (
    column_definitions,
    rows,
    token_grid,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural


def register(app: Dash, workspace: Workspace) -> None:
    """Give the table its columns when the window changes, and its rows when it asks."""

    # Placed when it is first shown: a grid's code is larger than the rest of the page.
    @app.callback(
        Output(ids.PATH_TABLE, "children"), order_for(ids.PATH_TABLE), prevent_initial_call=True
    )
    def place(order: Order | None) -> AgGrid:
        if not order or not order.get("first"):
            raise PreventUpdate
        return token_grid(column_definitions(workspace.frame(ordered(workspace, order)[0])))

    @app.callback(
        Output(ids.PATH_GRID, "columnDefs"), order_for(ids.PATH_TABLE), prevent_initial_call=True
    )
    def set_columns(order: Order | None) -> list[dict[str, Any]]:
        if not order or order.get("first"):
            raise PreventUpdate
        return column_definitions(workspace.frame(ordered(workspace, order)[0]))

    @app.callback(
        Output(ids.PATH_GRID, "getRowsResponse"),
        Output(ids.PATH_TABLE_NOTE, "children"),
        Input(ids.PATH_GRID, "getRowsRequest"),
        State({"type": ids.FIGURE_VIEW, "index": ids.PATH_TABLE}, "data"),
        prevent_initial_call=True,
    )
    def send_rows(request: RowsRequest | None, order: Order | None) -> tuple[dict[str, Any], str]:
        return token_rows(workspace, ordered(workspace, order)[0], request or {})

    # The rows that the table has belong to the old window.
    in_browser(
        app,
        "figures",
        "refetch",
        Input(ids.PATH_GRID, "columnDefs"),
        State(ids.PATH_GRID, "id"),
        prevent_initial_call=True,
    )


def token_rows(
    workspace: Workspace, view: View, request: RowsRequest
) -> tuple[dict[str, Any], str]:
    """Return the rows of a settled view that the table asks for, and how many there are.

    Without cluster labels there are none, and what is missing is said instead.
    """
    frame = workspace.frame(view)
    answer = rows(frame, request)
    if not workspace.shown(view).analysis.labelled_layers:
        return answer, NO_LABELS
    count = answer["rowCount"]
    said = plural(len(frame), "token")
    return answer, said if count == len(frame) else f"{count:,} of {said} match"
