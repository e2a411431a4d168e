"""The dialog before a deletion, and the list of what was deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import dash_bootstrap_components as dbc
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria


class TrashRow(NamedTuple):
    """An entry of the trash, in the words of the page."""

    trash_id: str
    name: str
    deleted: str
    expires: str


def trash_list(rows: Sequence[TrashRow], most: int) -> Component:
    """Return the trash as a table with a button for each of its first `most` rows."""
    if not rows:
        return html.P("The trash is empty.", className="cf-hint mb-0")
    head = html.Thead(
        html.Tr(
            [
                html.Th("Analysis", scope="col"),
                html.Th("Deleted (UTC)", scope="col"),
                html.Th("Kept until (UTC)", scope="col"),
                html.Th(html.Span("Restore", className="visually-hidden"), scope="col"),
            ]
        )
    )
    body = html.Tbody(
        [
            html.Tr(
                [
                    html.Td(row.name, className="cf-trash-name"),
                    html.Td(row.deleted),
                    html.Td(row.expires),
                    html.Td(
                        html.Button(
                            "Restore",
                            id={"type": ids.RESTORE, "index": row.trash_id},
                            type="button",
                            className="btn btn-sm btn-outline-secondary",
                            **aria(label=f"Restore {row.name}"),
                        )
                    ),
                ]
            )
            for row in rows[:most]
        ]
    )
    more = len(rows) - most
    said = f"{more:,} more are listed by: concept-fragmentation restore" if more > 0 else ""
    table = html.Table([head, body], className="table table-sm align-middle cf-trash-table")
    return html.Div(
        [html.Div(table, className="table-responsive"), html.Span(said, className="cf-hint")]
    )


def delete_dialog() -> dbc.Modal:
    """Return the dialog that asks before anything is deleted."""
    return dbc.Modal(
        [
            dbc.ModalHeader(dbc.ModalTitle("Delete", id=ids.DELETE_TITLE)),
            dbc.ModalBody(html.P(id=ids.DELETE_QUESTION, className="mb-0")),
            dbc.ModalFooter(
                [
                    _button("Cancel", ids.DELETE_CANCEL, "secondary"),
                    _button("Delete this version", ids.DELETE_VERSION, "danger"),
                    _button("Delete analysis", ids.DELETE_ALL, "danger"),
                ]
            ),
        ],
        id=ids.DELETE_DIALOG,
        labelledby=ids.DELETE_TITLE,
        is_open=False,
        centered=True,
    )


def _button(text: str, component_id: str, colour: str) -> dbc.Button:
    return dbc.Button(text, id=component_id, color=colour, outline=True, size="sm", type="button")
