"""What a figure's callback needs of the view, and what it shows when there is nothing to draw."""

from __future__ import annotations

from dash.exceptions import PreventUpdate

from concept_fragmentation.components.view import View


def needed(query: str | None) -> View:
    """Return the view; nothing is drawn before the address was read."""
    if query is None:
        raise PreventUpdate
    return View.from_query(query)
