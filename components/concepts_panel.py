"""The sections on concepts: which layers are alike, and what is in a layer and a cluster."""

from __future__ import annotations

from typing import Final

from dash import dcc, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import (
    aria,
    card,
    downloads,
    figure_card,
    grid,
    section,
    segmented,
)

PROJECTIONS: Final = {"pca": "PCA", "umap": "UMAP"}


def similarity_section() -> html.Section:
    """Return the section of the layers that hold the same."""
    return section(
        ids.SIMILARITY_SECTION,
        "Layers alike",
        "Which layers group the tokens alike, and which hold the same of them.",
        [grid(figure_card(ids.SIMILARITY_AMI), figure_card(ids.SIMILARITY_CKA))],
    )


def map_section() -> html.Section:
    """Return the section of one layer and of one of its clusters: the ones that are selected."""
    typical = card(
        [
            html.Div(
                [_cluster(), downloads(ids.TYPICAL, "the typical tokens")],
                className="cf-card-head",
            ),
            html.Div(id=ids.TYPICAL, className="cf-typical"),
        ],
        label="Typical tokens",
    )
    return section(
        ids.MAP_SECTION,
        "One layer",
        "The layer and the cluster that you select; before that, the first layer of the window.",
        [html.Div([figure_card(ids.STATE_MAP, above=_projection()), typical], className="cf-flow")],
    )


def _cluster() -> html.Div:
    return html.Div(
        [
            html.Span("Typical of", className="cf-label"),
            dcc.Dropdown(
                id=ids.CONCEPT_CHOICE,
                options=[],
                placeholder="a cluster",
                className="cf-small-dropdown",
            ),
        ],
        className="cf-inline-field cf-cluster-choice",
        role="group",
        **aria(label="Typical tokens of a cluster"),
    )


def _projection() -> html.Div:
    return html.Div(
        [
            html.Span("Map", className="cf-label"),
            dcc.Dropdown(id=ids.MAP_LAYER, options=[], clearable=False, searchable=False),
            html.Span("by", className="cf-label"),
            segmented(ids.MAP_PROJECTION, PROJECTIONS, "pca"),
            html.Span("UMAP takes a while", className="cf-hint"),
            html.Span("colour by", className="cf-label"),
            dcc.Dropdown(
                id=ids.MAP_COLOUR_BY,
                # As with the colours of the token flow, its value is an option from the first.
                options=[{"label": "cluster", "value": "cluster"}],
                value="cluster",
                clearable=False,
                searchable=False,
            ),
        ],
        className="cf-inline-field cf-layer-pair",
        role="group",
        **aria(label="Which layer is mapped, how, and in which colours"),
    )
