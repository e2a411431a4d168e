"""Settings, provenance and text of the analysis shown."""

from __future__ import annotations

import re

import flask
from dash import Dash, Output
from dash.development.base_component import Component

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.downloads import attachment, refusal
from concept_fragmentation.callbacks.views import Order, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.origin import TEXT_ADDRESS, origin
from concept_fragmentation.components.view import View


def register(app: Dash, workspace: Workspace) -> None:
    """Show where the analysis comes from, and hand out its text."""
    server: flask.Flask = app.server
    prefix = app.config.routes_pathname_prefix

    @app.callback(Output(ids.ORIGIN, "children"), order_for(ids.ORIGIN), prevent_initial_call=True)
    def show_origin(order: Order | None) -> list[Component]:
        return shown_origin(workspace, ordered(workspace, order)[0])

    @server.get(f"{prefix}{TEXT_ADDRESS}")
    def send_text() -> flask.Response:
        query = flask.request.query_string.decode(errors="replace")
        try:
            shown = workspace.shown(View.from_query(query))
        except ConceptFragmentationError as error:
            return refusal(error)
        text = str(shown.metadata.get("input_text") or "")
        name = re.sub(r"[^\w.-]+", "-", shown.name)[:80].strip("-.") or "analysis"
        # Half a character, which no encoding has, is written as it is called.
        content = text.encode(errors="backslashreplace")
        return attachment(content, f"{name}.txt", "text/plain; charset=utf-8")


def shown_origin(workspace: Workspace, view: View) -> list[Component]:
    """Return where the analysis of a settled view comes from."""
    shown = workspace.shown(view)
    analysis = shown.analysis
    counts = [
        ("Tokens", f"{analysis.num_tokens:,}"),
        ("Layers", f"{analysis.num_layers:,}"),
        ("Layers with clusters", f"{len(analysis.labelled_layers):,}"),
    ]
    return origin(shown.known, shown.data(), counts, view.part("analysis"))
