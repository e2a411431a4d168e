"""The tokens on a path, and the paths that are nearest to it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

import numpy as np
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis, LayerWindow, tokens_on_path
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.palette import text_on
from concept_fragmentation.components.parts import aria, data
from concept_fragmentation.components.token_chips import token_chips
from concept_fragmentation.components.view import path_text
from concept_fragmentation.components.words import arrows, path_runs, percent, plural

MOST_LISTED: Final = 300
MOST_NEAR: Final = 5


def nearest_paths(
    window: LayerWindow, path: tuple[int, ...], most: int = MOST_NEAR
) -> list[tuple[int, int]]:
    """Return the rank of each path nearest to a given one, and in how many layers they differ.

    Those that differ in fewest layers first, of these the most frequent.
    """
    differs = (window.paths != np.array(path)).sum(axis=1)
    order = np.argsort(differs, kind="stable")
    others = [rank for rank in order.tolist() if differs[rank]]
    return [(rank, int(differs[rank])) for rank in others[:most]]


def path_members(
    analysis: Analysis,
    window: LayerWindow,
    path: tuple[int, ...],
    highlighted: Collection[tuple[int, ...]],
    theme: str = "light",
) -> list[Component]:
    """Return the tokens on a path of the window, and buttons that highlight the nearest others."""
    tokens = tokens_on_path(window, path)
    shown = path_runs(path)
    listed = tokens[:MOST_LISTED].tolist()
    more = len(tokens) - len(listed)
    near = nearest_paths(window, path)
    parts: list[Component] = [
        html.H3(f"{plural(len(tokens), 'token')} on path {shown}", className="cf-card-title"),
        token_chips(
            (
                (i, analysis.shown_tokens[i], place, f"position {place}")
                for i, place in zip(listed, analysis.positions[listed].tolist(), strict=True)
            ),
            f"Tokens on path {shown}",
        ),
        html.Span(f"{more:,} more are in the CSV." if more else "", className="cf-hint"),
    ]
    if near:
        rows = [_row(analysis, window, *one, highlighted, theme) for one in near]
        parts += [
            html.H4("Nearest other paths", className="cf-label"),
            html.Div(rows, className="cf-near-paths"),
        ]
    return parts


def _row(
    analysis: Analysis,
    window: LayerWindow,
    rank: int,
    differs: int,
    highlighted: Collection[tuple[int, ...]],
    theme: str,
) -> html.Button:
    path = tuple(window.paths[rank].tolist())
    count = int(window.counts[rank])
    aligned = analysis.aligned.raw_to_aligned[window.first : window.last + 1]
    colours = [
        colour_of(analysis, names[cluster], theme)
        for cluster, names in zip(path, aligned, strict=True)
    ]
    steps = [
        (str(cluster), colour, text_on(colour))
        for cluster, colour in zip(path, colours, strict=True)
    ]
    said = f"differs in {plural(differs, 'layer')}"
    return html.Button(
        [
            html.Span(className="cf-path-steps", **data(steps=json.dumps(steps))),
            html.Span(
                [f"{count:,} ", html.Span(percent(count / window.num_counted))],
                className="cf-path-count",
            ),
            html.Span(said, className="cf-hint"),
        ],
        type="button",
        className="cf-path",
        # Read by assets/tokens.js: the same path may be among the archetypal ones, with its id.
        **data(path=path_text(path)),
        **aria(
            pressed="true" if path in highlighted else "false",
            label=f"Path {arrows(path)}, {plural(count, 'token')}, {said}. Highlight it.",
        ),
    )
