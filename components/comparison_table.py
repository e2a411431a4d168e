"""The clusters of two analyses beside each other, as a table of the page."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.palette import cluster_colour, text_on
from concept_fragmentation.components.parts import aria
from concept_fragmentation.components.words import plural, title

MAX_PAIRS_LISTED: Final = 200

_HEADS: Final = ("Layer", "Before", "After", "Tokens before", "Tokens after", "In both", "Jaccard")


def matched_clusters_table(
    before: Analysis, after: Analysis, matched: pd.DataFrame, theme: str = "light"
) -> list[Component]:
    """Return which cluster of the one analysis is which of the other, and how far they agree.

    Each cluster has the colour that it has in the figures of its own analysis.

    Args:
        before: the first analysis.
        after: the second.
        matched: `matched_clusters_frame` of them.
        theme: "light" or "dark".
    """
    rows = [
        html.Tr(
            [
                html.Th(title(str(layer), 24), scope="row"),
                html.Td(_cluster(before, layer, old, theme)),
                html.Td(_cluster(after, layer, new, theme)),
                html.Td(f"{tokens_before:,}"),
                html.Td(f"{tokens_after:,}"),
                html.Td(f"{in_both:,}"),
                html.Td("–" if pd.isna(jaccard) else f"{jaccard:.2f}"),
            ]
        )
        for layer, old, new, tokens_before, tokens_after, in_both, jaccard in matched.head(
            MAX_PAIRS_LISTED
        ).itertuples(index=False, name=None)
    ]
    more = max(len(matched) - MAX_PAIRS_LISTED, 0)
    table = html.Table(
        [
            html.Thead(html.Tr([html.Th(head, scope="col") for head in _HEADS])),
            html.Tbody(rows),
        ],
        className="table table-sm cf-matched",
    )
    return [
        html.Div(
            table,
            className="table-responsive",
            tabIndex=0,
            role="group",
            **aria(label="Clusters of both analyses"),
        ),
        html.Span(f"{plural(more, 'more row')} in the CSV." if more else "", className="cf-hint"),
    ]


def _cluster(analysis: Analysis, layer: str, cluster: Any, theme: str) -> Component:
    if pd.isna(cluster):
        return html.Span("none")
    index = analysis.labelled_layers.index(layer)
    colour = cluster_colour(analysis.aligned.raw_to_aligned[index][int(cluster)], theme)
    style = {"background": colour, "color": text_on(colour)}
    return html.Span(str(cluster), className="cf-step", style=style)
