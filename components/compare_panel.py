"""The section "Compare": the analysis shown beside another one, or another version of it."""

from __future__ import annotations

from dash import dcc, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import (
    card,
    downloads,
    figure_card,
    grid,
    labelled,
    section,
)


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
            html.Div(
                [
                    grid(
                        html.Div(
                            [figure_card(ids.MOVED_BY_LAYER), _matched_clusters()],
                            className="cf-stack",
                        ),
                        figure_card(ids.COMPARED_METRICS),
                    ),
                    figure_card(ids.MOVED_TOKENS),
                ],
                className="cf-stack cf-compared",
            ),
        ],
    )


def _matched_clusters() -> html.Div:
    return card(
        [
            html.Div(
                [
                    html.H3("Matched clusters", className="cf-card-title"),
                    html.Span(id=ids.MATCHED_NOTE, className="cf-hint", role="status"),
                    downloads(ids.MATCHED_CLUSTERS, "the matched clusters"),
                ],
                className="cf-card-head",
            ),
            html.Div(id=ids.MATCHED_CLUSTERS, className="cf-matched cf-computed"),
        ],
        label="Matched clusters",
    )
