"""Light and dark, in the browser alone (assets/appearance.js)."""

from __future__ import annotations

from dash import Dash, Input, Output

from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids


def register(app: Dash, _workspace: Workspace) -> None:
    """Follow the system's colours until the person chooses."""
    in_browser(
        app,
        "appearance",
        "theme",
        Output(ids.THEME, "data"),
        Input(ids.THEME_TOGGLE, "n_clicks"),
    )
