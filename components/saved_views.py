"""Saved views, as lists with pictures: of the analysis shown, and of those of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.colouring import colourings
from concept_fragmentation.components.structure import TAB_NAMES
from concept_fragmentation.components.thumbnail import thumbnail_address, thumbnail_image
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural, short_date, title


def saved_view(
    analysis: Analysis, state: Mapping[str, Any], view: View, address: str
) -> dict[str, Any]:
    """Return a saved view as an option of a list.

    Args:
        analysis: what it is a view of.
        state: itself, as the store has it.
        view: what it shows.
        address: where its thumbnail is.
    """
    said = view_text(analysis, view)
    words = [
        html.Span(title(str(state["state_name"]), 80), className="cf-state-name"),
        html.Span(said, className="cf-hint"),
        html.Span(short_date(str(state["timestamp"])), className="cf-hint"),
    ]
    return {
        "label": html.Span(
            [
                thumbnail_image(address, f"Token flow: {said}"),
                html.Span(words, className="cf-state-words"),
            ],
            className="cf-state-row",
        ),
        "value": state["state_id"],
    }


def view_text(analysis: Analysis, view: View) -> str:
    """Return what a view shows, in words: where it is, the window, the colours, the highlights."""
    said = [TAB_NAMES[view.tab]]
    layers = analysis.labelled_layers
    if view.last is not None and view.first <= view.last < len(layers):
        ends = dict.fromkeys((layers[view.first], layers[view.last]))
        said.append(" to ".join(title(name, 24) for name in ends))
    if view.colour_by != "cluster":
        said.append(f"by {title(colourings(analysis).get(view.colour_by, view.colour_by), 32)}")
    if view.tokens:
        said.append(plural(len(view.tokens), "token"))
    if view.paths:
        said.append(plural(len(view.paths), "path"))
    return " · ".join(said)


def session_entry(newest: Mapping[str, Any], views: Sequence[tuple[str, str, str]]) -> html.Li:
    """Return an analysis of a session and its saved views: each is shown with a click.

    Args:
        newest: what the store says of its newest version.
        views: of each saved view its id, its name, and where its thumbnail is.
    """
    analysis_id, name = str(newest["analysis_id"]), title(str(newest["name"]))
    view = View(analysis_id=analysis_id, version=int(newest["version"]))
    opened = _opener(
        {"type": ids.SESSION_LOAD, "index": analysis_id},
        thumbnail_address(view, str(newest["timestamp"])),
        f"{name} · {plural(int(newest['num_tokens']), 'token')}",
    )
    listed = [
        html.Li(_opener({"type": ids.SESSION_VIEW, "index": state_id}, address, title(said, 80)))
        for state_id, said, address in views
    ]
    return html.Li([opened, html.Ul(listed, className="cf-session-list") if listed else None])


def _opener(component_id: dict[str, str], picture: str, text: str) -> html.Button:
    return html.Button(
        # The text says it all.
        [thumbnail_image(picture, ""), html.Span(text)],
        id=component_id,
        type="button",
        className="cf-link-button cf-state-row",
    )
