"""What the page says about what a person did: successes go away, failures stay until dismissed."""

from __future__ import annotations

from uuid import uuid4

import dash_bootstrap_components as dbc
from dash import html

SUCCESS_MS = 6000


def success(sentence: str) -> dbc.Alert:
    """Return a message that goes away by itself; screen readers read it when they are idle."""
    return _message(sentence, "success", "status", duration=SUCCESS_MS)


def failure(sentence: str) -> dbc.Alert:
    """Return a message that stays until it is dismissed; screen readers read it at once."""
    return _message(sentence, "danger", "alert", duration=None)


def _message(sentence: str, colour: str, role: str, duration: int | None) -> dbc.Alert:
    # A key of its own, so that React never shows an old, dismissed message in a new one's place.
    return dbc.Alert(
        html.Span(sentence, role=role),
        key=uuid4().hex,
        color=colour,
        dismissable=True,
        duration=duration,
        class_name="cf-message",
    )
