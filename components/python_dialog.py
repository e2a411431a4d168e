"""The dialog that shows the Python behind a figure."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import html

from concept_fragmentation.components import ids

COPY = "Copy"


def python_dialog() -> dbc.Modal:
    """Return the dialog; it is empty until a figure's code is asked for."""
    return dbc.Modal(
        [
            dbc.ModalHeader(dbc.ModalTitle(id=ids.PYTHON_TITLE)),
            dbc.ModalBody(html.Pre(html.Code(id=ids.PYTHON_CODE), className="cf-code", tabIndex=0)),
            dbc.ModalFooter(
                dbc.Button(COPY, id=ids.PYTHON_COPY, color="primary", size="sm", type="button")
            ),
        ],
        id=ids.PYTHON_DIALOG,
        labelledby=ids.PYTHON_TITLE,
        is_open=False,
        centered=True,
        size="lg",
    )
