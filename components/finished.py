"""Analyses that are done and were not opened yet: each is offered until it is dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypedDict

from dash import html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria
from concept_fragmentation.components.words import title

MOST_OFFERED: Final = 3


class Finished(TypedDict):
    """An analysis to open: the hash that it is kept under, its name, and what to know of it."""

    draft: str
    name: str
    note: str


def with_finished(offered: Sequence[Finished] | None, new: Finished) -> list[Finished]:
    """Add an analysis to those offered, the newest last and each once."""
    return [*without_finished(offered, new["draft"]), new][-MOST_OFFERED:]


def without_finished(offered: Sequence[Finished] | None, draft: str) -> list[Finished]:
    """Remove an analysis from those offered."""
    return [one for one in offered or () if one["draft"] != draft]


def finished_list(offered: Sequence[Finished] | None) -> list[Component]:
    """Return a message for each analysis, with a button that opens it."""
    return [_message(one) for one in offered or ()]


def _message(finished: Finished) -> html.Div:
    name = title(finished["name"])
    note = html.Div(title(finished["note"], 300), className="cf-hint") if finished["note"] else None
    return html.Div(
        [
            html.Div(
                [
                    html.Span(f"Analyzed '{name}'. It is not saved yet.", role="status"),
                    note,
                ],
                className="cf-finished-text",
            ),
            html.Div(
                [
                    html.Button(
                        "Open",
                        id=_id(ids.FINISHED_OPEN, finished),
                        type="button",
                        className="btn btn-primary btn-sm",
                        **aria(label=f"Open '{name}'"),
                    ),
                    html.Button(
                        id=_id(ids.FINISHED_DISMISS, finished),
                        type="button",
                        className="btn-close",
                        **aria(label="Dismiss"),
                    ),
                ],
                className="cf-finished-actions",
            ),
        ],
        key=finished["draft"],
        className="cf-card cf-running cf-finished",
    )


def _id(kind: str, finished: Finished) -> dict[str, Any]:
    return {"type": kind, "index": finished["draft"]}
