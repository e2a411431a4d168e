"""The Python behind a figure, in a dialog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.figures import SOURCES, drawn
from concept_fragmentation.callbacks.messages import public_path
from concept_fragmentation.callbacks.views import known_theme, needed
from concept_fragmentation.callbacks.workspace import Shown, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.python_dialog import COPY
from concept_fragmentation.components.snippet import Example, Origin, Stored, Unsaved, snippet
from concept_fragmentation.components.structure import FIGURES, is_of_all_tokens
from concept_fragmentation.components.view import View


def register(app: Dash, workspace: Workspace) -> None:
    """Show the code of a figure, and copy it."""

    @app.callback(
        Output(ids.PYTHON_DIALOG, "is_open"),
        Output(ids.PYTHON_TITLE, "children"),
        Output(ids.PYTHON_CODE, "children"),
        Output(ids.PYTHON_COPY, "children"),
        Input(ids.PYTHON_ASKED, "data"),
        State(ids.VIEW, "data"),
        State(ids.THEME, "data"),
        prevent_initial_call=True,
    )
    def show_code(
        asked: Mapping[str, Any] | None, query: str | None, theme: str | None
    ) -> tuple[Any, ...]:
        figure_id = str((asked or {}).get("figure"))
        if figure_id not in SOURCES:
            raise PreventUpdate
        view = workspace.settle(needed(query))
        code = python_of(workspace, figure_id, view, known_theme(theme))
        name = FIGURES[figure_id].name
        return True, f"{name[0].upper()}{name[1:]} in Python", code, COPY

    in_browser(
        app,
        "view",
        "copy_code",
        Output(ids.PYTHON_COPY, "children", allow_duplicate=True),
        Input(ids.PYTHON_COPY, "n_clicks"),
        State(ids.PYTHON_CODE, "children"),
        prevent_initial_call=True,
    )


def python_of(workspace: Workspace, figure_id: str, view: View, theme: str) -> str:
    """Return the script that draws a figure of a settled view as the page does.

    Raises NothingDrawnError where there is no figure.
    """
    drawn(workspace, figure_id, view, theme)
    before = None
    if FIGURES[figure_id].part == "comparison":
        other = View(analysis_id=view.other, version=view.other_version)
        before = _origin(workspace.shown(other))
    return snippet(
        SOURCES[figure_id].call(workspace, view),
        theme,
        public_path(workspace.store.base_dir.resolve()),
        _origin(workspace.shown(view)),
        before,
        () if is_of_all_tokens(figure_id) else view.only,
    )


def _origin(shown: Shown) -> Origin:
    if shown.is_example:
        return Example(str(shown.key[1]))
    if not shown.is_saved:
        return Unsaved()
    return Stored(str(shown.metadata["analysis_id"]), int(shown.metadata["version"]))
