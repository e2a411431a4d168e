"""The table of token paths, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, State

from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.token_table import column_definitions, rows
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural


def register(app: Dash, workspace: Workspace) -> None:
    """Give the table its columns when the window changes, and its rows when it asks."""

    @app.callback(Output(ids.PATH_TABLE, "columnDefs"), Input(ids.WINDOW_VIEW, "data"))
    def set_columns(query: str | None) -> list[dict[str, Any]]:
        return column_definitions(workspace.frame(needed(query)))

    @app.callback(
        Output(ids.PATH_TABLE, "getRowsResponse"),
        Output(ids.PATH_TABLE_NOTE, "children"),
        Input(ids.PATH_TABLE, "getRowsRequest"),
        State(ids.WINDOW_VIEW, "data"),
        prevent_initial_call=True,
    )
    def send_rows(
        request: Mapping[str, Any] | None, query: str | None
    ) -> tuple[dict[str, Any], str]:
        if query is None:
            return {"rowData": [], "rowCount": 0}, ""
        return token_rows(workspace, View.from_query(query), request or {})

    # The rows that the table has belong to the old window.
    in_browser(
        app,
        "figures",
        "refetch",
        Input(ids.PATH_TABLE, "columnDefs"),
        State(ids.PATH_TABLE, "id"),
        prevent_initial_call=True,
    )


def token_rows(
    workspace: Workspace, view: View, request: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the rows of a settled view that the table asks for, and how many there are."""
    frame = workspace.frame(view)
    answer = rows(frame, request)
    count = answer["rowCount"]
    said = plural(len(frame), "token")
    return answer, said if count == len(frame) else f"{count:,} of {said} match"
