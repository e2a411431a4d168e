"""Light and dark, in the browser alone (assets/appearance.js)."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids


def register(app: Dash, _workspace: Workspace) -> None:
    """Follow the system's colours until the person chooses."""
    app.clientside_callback(
        ClientsideFunction("appearance", "theme"),
        Output(ids.THEME, "data"),
        Input(ids.THEME_TOGGLE, "n_clicks"),
    )
