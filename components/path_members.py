"""The tokens on a path, and the paths that are nearest to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis, LayerWindow, tokens_on_path
from concept_fragmentation.components.parts import aria, data
from concept_fragmentation.components.summary import listed_tokens, path_count, path_steps
from concept_fragmentation.components.view import path_text
from concept_fragmentation.components.words import arrows, path_runs, plural

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
    parts = listed_tokens(analysis, tokens, f"on path {path_runs(path)}")
    near = nearest_paths(window, path)
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
    said = f"differs in {plural(differs, 'layer')}"
    return html.Button(
        [
            path_steps(analysis, window, path, theme),
            path_count(count, count / window.num_counted),
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
