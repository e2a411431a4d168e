"""The sections on attention: what is known of heads, and where the weights go."""

from __future__ import annotations

from dash import dcc, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria, figure_card, grid, section
from concept_fragmentation.components.view import DEFAULT_THRESHOLD, MAX_THRESHOLD


def heads_section() -> html.Section:
    """Return the section of what is known of each head and each layer."""
    return section(
        ids.HEADS_SECTION,
        "Heads",
        "How widely each head spreads its attention, and which heads attend alike.",
        [
            grid(figure_card(ids.HEAD_ENTROPY), figure_card(ids.LAYER_AGREEMENT)),
            grid(figure_card(ids.ATTENTION), figure_card(ids.HEAD_AGREEMENT)),
        ],
        awaited=True,
    )


def weights_section() -> html.Section:
    """Return the section of the weights themselves, of one layer and head, and of one token."""
    return section(
        ids.WEIGHTS_SECTION,
        "Weights",
        "Which token attends to which. The first token that you find is followed to the input.",
        [
            grid(
                figure_card(ids.ATTENTION_MATRIX, above=_layer_and_head()),
                figure_card(
                    ids.ROLLOUT_MATRIX,
                    above=html.Span("After the same layer", className="cf-label"),
                ),
            ),
            grid(
                figure_card(ids.ATTENTION_FLOW, above=_threshold()),
                figure_card(
                    ids.ROLLOUT_OF_TOKEN, above=html.Span("Of the same token", className="cf-label")
                ),
            ),
        ],
        awaited=True,
    )


def _layer_and_head() -> html.Div:
    return html.Div(
        [
            html.Span("Layer", className="cf-label"),
            dcc.Dropdown(id=ids.ATTENTION_LAYER, options=[], clearable=False, searchable=False),
            html.Span("Head", className="cf-label"),
            dcc.Dropdown(id=ids.ATTENTION_HEAD, options=[], clearable=False, searchable=False),
        ],
        className="cf-inline-field cf-layer-pair",
        role="group",
        **aria(label="Layer and head of the attention matrix"),
    )


def _threshold() -> html.Div:
    return html.Div(
        [
            html.Label("Hide less than", htmlFor=ids.ATTENTION_THRESHOLD, className="cf-label"),
            dcc.Dropdown(
                id=ids.ATTENTION_THRESHOLD,
                options=[
                    {"label": f"{percent}%", "value": percent}
                    for percent in (1, 2, 5, 10, 20, MAX_THRESHOLD)
                ],
                value=DEFAULT_THRESHOLD,
                clearable=False,
                searchable=False,
            ),
        ],
        className="cf-inline-field cf-layer-pair",
        role="group",
        **aria(label="Least share of the attention flow that is drawn"),
    )
