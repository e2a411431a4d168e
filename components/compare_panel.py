"""The section "Compare": the analysis shown beside another one, or another version of it."""

from __future__ import annotations

from dash import dcc, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import figure_card, grid, labelled, section


def compare_section() -> html.Section:
    """Return the section, with the choice of what to compare with."""
    choice = html.Div(
        [
            labelled(
                "Compare with",
                dcc.Dropdown(
                    id=ids.OTHER,
                    options=[],
                    placeholder="Choose a saved analysis",
                    clearable=False,
                    maxHeight=260,
                ),
                grow=True,
            ),
            labelled(
                "Version",
                dcc.Dropdown(id=ids.OTHER_VERSION, options=[], placeholder="Newest"),
            ),
        ],
        className="cf-controls cf-compare-choice",
    )
    return section(
        ids.COMPARE_SECTION,
        "Compare",
        "From the analysis you choose to the one shown: clusters are matched by the tokens that "
        "they share, so other numbers alone are no change.",
        [
            choice,
            figure_card(ids.DIFFERENCE_FLOW),
            grid(figure_card(ids.COMPARED_METRICS), figure_card(ids.MOVED_BY_LAYER)),
            figure_card(ids.MOVED_TOKENS),
        ],
    )
