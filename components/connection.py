"""Notices for a server that does not answer (see assets/connection.js)."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import data

# A second lies between them.
TRIES = 90

SILENT = "The server does not answer. Trying again …"
LOST = (
    "What ran in the background is lost: the server does not answer, or does not know this page "
    "any more. What you entered is kept. Check that the server runs, then start it again."
)
NOT_DONE = "The server does not answer. Check that it runs, then try again."


def notices() -> list[Component]:
    """Return the notices for a silent server, and for one that was silent for too long."""
    return [
        html.Div(
            SILENT,
            id=ids.SERVER_SILENT,
            className="cf-card cf-running",
            hidden=True,
            role="status",
            **data(tries=str(TRIES)),
        ),
        _failure(ids.RUN_LOST, LOST),
        _failure(ids.NOT_DONE, NOT_DONE),
    ]


def _failure(component_id: str, sentence: str) -> dbc.Alert:
    return dbc.Alert(
        html.Span(sentence, role="alert"),
        id=component_id,
        color="danger",
        is_open=False,
        dismissable=True,
        class_name="cf-message",
    )
