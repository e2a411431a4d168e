"""The exported files that the page lists, to download and to delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from dash import html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import plural

FILES_LISTED: Final = 20


class ExportRow(NamedTuple):
    """An export: its name in the folder, its size in words, and whether it is a folder."""

    name: str
    size: str
    is_folder: bool


def export_address(name: str) -> str:
    """Return where the server hands an export out, relative to the page."""
    return f"exports/{quote(name, safe='')}"


def export_list(rows: Sequence[ExportRow]) -> Component | None:
    """Return the exports, folded up; nothing where there is none."""
    if not rows:
        return None
    items = [
        html.Li(
            [
                html.A(
                    visible(row.name, limit=80),
                    href=export_address(row.name),
                    download="",
                    title="Download as zip" if row.is_folder else "Download",
                ),
                html.Span(row.size, className="cf-hint"),
                html.Button(
                    "Delete file",
                    id={"type": ids.EXPORT_DELETE, "index": row.name},
                    type="button",
                    className="cf-link-button",
                    **aria(label=f"Delete the file {visible(row.name, limit=80)}"),
                ),
            ]
        )
        for row in rows[:FILES_LISTED]
    ]
    more = len(rows) - FILES_LISTED
    if more > 0:
        items.append(html.Li(f"{more:,} older ones are in the folder of exports."))
    opener = html.Summary(plural(len(rows), "exported file"))
    return html.Details([opener, html.Ul(items)], className="cf-exports")
