"""Export to the exports folder, and import what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from concept_fragmentation.callbacks.library import ChoiceMissingError, Saved, destination
from concept_fragmentation.callbacks.messages import say
from concept_fragmentation.callbacks.uploads import received
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import title


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Export and import."""

    @app.callback(
        Output(ids.EXPORT_RESULT, "children"),
        Input(ids.EXPORT, "n_clicks"),
        State(ids.EXPORT_FORMAT, "value"),
        State(ids.VIEW, "data"),
        running=[(Output(ids.EXPORT, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def export_clicked(_clicks: int, chosen: str, query: str | None) -> list[Component]:
        path = export(workspace, needed(query), chosen)
        say(f"Exported to {path}.")
        return export_result(path)

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        # Emptied, so that the same file can be dropped again.
        Output(ids.IMPORT, "contents"),
        Input(ids.IMPORT, "contents"),
        State(ids.IMPORT, "filename"),
        running=[(Output(ids.IMPORT, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def import_dropped(contents: str | None, filename: str | None) -> tuple[Any, str, None]:
        imported = import_file(workspace, filename or "", contents or "")
        say(imported.sentence)
        return destination(imported.view), uuid4().hex, None


def export(workspace: Workspace, view: View, chosen: str) -> Path:
    """Export the analysis of a view, in the version shown; return where it is."""
    if view.analysis_id is None:
        raise ChoiceMissingError(
            "What is shown is not in the store yet: save it under a name, then export it."
        )
    return Path(workspace.store.export_analysis(view.analysis_id, chosen, version=view.version))


def export_result(path: Path) -> list[Component]:
    """Say where an export is, and offer it as a download."""
    return [
        html.Span("Written to ", className="cf-hint"),
        html.Code(str(path)),
        html.Span(" ", className="cf-hint"),
        html.A(
            "Download as zip" if path.is_dir() else "Download",
            href=f"exports/{quote(path.name, safe='')}",
            download="",
        ),
    ]


def import_file(workspace: Workspace, filename: str, contents: str) -> Saved:
    """Save a file that the browser sent as a data URL, and return its view."""
    content = received(filename, contents, workspace.max_upload)
    analysis_id = workspace.store.import_bytes(filename, content)
    view = workspace.settle(View(analysis_id=analysis_id))
    name = workspace.shown(view).name
    return Saved(view, f"Imported '{title(filename)}' as '{title(name)}'.")
