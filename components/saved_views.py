"""The saved views of an analysis, as a list with pictures."""

from __future__ import annotations

from typing import Any

from dash import html

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.figures.colouring import colourings
from concept_fragmentation.components.structure import TAB_NAMES
from concept_fragmentation.components.thumbnail import thumbnail_address, thumbnail_image
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural, short_date, title


def saved_view(
    analysis: Analysis, state_id: str, name: str, view: View, *, made: str, saved: str
) -> dict[str, Any]:
    """Return a saved view as an option of a list.

    Args:
        analysis: what it is a view of.
        state_id: its id.
        name: what a person called it.
        view: itself.
        made: when the view was saved.
        saved: when the version that it shows was saved.
    """
    said = view_text(analysis, view)
    picture = thumbnail_image(thumbnail_address(view, saved), f"Token flow: {said}")
    return {
        "label": html.Span(
            [
                picture,
                html.Span(
                    [
                        html.Span(title(name, 80), className="cf-state-name"),
                        html.Span(said, className="cf-hint"),
                        html.Span(short_date(made), className="cf-hint"),
                    ],
                    className="cf-state-words",
                ),
            ],
            className="cf-state-row",
        ),
        "value": state_id,
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
