"""Export to the exports folder, and import what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from dash import ALL, Dash, Input, Output, State, html
from dash.development.base_component import Component

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.library import ChoiceMissingError, Saved, destination
from concept_fragmentation.callbacks.messages import public_path, say, say_failed
from concept_fragmentation.callbacks.uploads import received
from concept_fragmentation.callbacks.views import clicked, needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.export_list import ExportRow, export_address, export_list
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import mebibytes, title


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Export and import."""

    in_browser(
        app,
        "transfer",
        "writing",
        Output(ids.EXPORT_RESULT, "children", allow_duplicate=True),
        Input(ids.EXPORT, "n_clicks"),
        State(ids.EXPORT_FORMAT, "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(ids.EXPORT_RESULT, "children"),
        Output(ids.EXPORTED, "data"),
        Input(ids.EXPORT, "n_clicks"),
        State(ids.EXPORT_FORMAT, "value"),
        State(ids.VIEW, "data"),
        running=[(Output(ids.EXPORT, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def export_clicked(_clicks: int, chosen: str, query: str | None) -> tuple[list[Component], str]:
        try:
            path = export(workspace, needed(query), chosen)
        except ConceptFragmentationError as error:
            # The place says that something is being written, which is so no longer.
            say_failed(str(error))
            return [], uuid4().hex
        say(f"Exported to {public_path(path)}.")
        return export_result(path), uuid4().hex

    @app.callback(
        Output(ids.EXPORT_FILES, "children"),
        Input(ids.EXPORTED, "data"),
        Input(ids.ANALYSIS_VIEW, "data"),
        prevent_initial_call=True,
    )
    def list_exports(_exported: str | None, _query: str | None) -> Component | None:
        return export_list(export_rows(workspace))

    @app.callback(
        Output(ids.EXPORTED, "data", allow_duplicate=True),
        Output(ids.EXPORT_RESULT, "children", allow_duplicate=True),
        Input({"type": ids.EXPORT_DELETE, "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def delete_clicked(clicks: list[int | None]) -> tuple[str, list[Component]]:
        name = clicked(clicks)
        workspace.store.exports.delete(name)
        say(f"Deleted the file {visible(name, limit=80)}; the analysis stays in the store.")
        return uuid4().hex, []

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
    with workspace.transfer_gate.taken():
        workspace.store.exports.check_room()
        return Path(workspace.store.export_analysis(view.analysis_id, chosen, version=view.version))


def export_result(path: Path) -> list[Component]:
    """Say where an export is, and offer it as a download."""
    return [
        html.Span("Written to ", className="cf-hint"),
        html.Code(public_path(path)),
        html.Span(" ", className="cf-hint"),
        html.A(
            "Download as zip" if path.is_dir() else "Download",
            href=export_address(path.name),
            download="",
        ),
    ]


def export_rows(workspace: Workspace) -> list[ExportRow]:
    """Return the exports as rows, the newest first."""
    return [
        ExportRow(entry.name, mebibytes(entry.size_bytes), entry.is_folder)
        for entry in workspace.store.exports.entries()
    ]


def import_file(workspace: Workspace, filename: str, contents: str) -> Saved:
    """Save a file that the browser sent as a data URL, and return its view."""
    with workspace.transfer_gate.taken():
        content = received(filename, contents, workspace.max_upload)
        analysis_id = workspace.store.import_bytes(filename, content)
    view = workspace.settle(View(analysis_id=analysis_id))
    name = workspace.shown(view).name
    return Saved(view, f"Imported '{title(filename)}' as '{title(name)}'.")
