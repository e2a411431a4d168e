"""What the controls offer for an analysis: marks of the slider, options of the dropdowns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from concept_fragmentation.analysis import Analysis, LayerWindow, category_values
from concept_fragmentation.analysis.token_search import find_tokens
from concept_fragmentation.components.figures.colouring import colourings, is_column
from concept_fragmentation.components.figures.layer_names import abbreviated
from concept_fragmentation.components.text import from_visible, visible
from concept_fragmentation.components.view import MAX_HIGHLIGHTED_TOKENS, default_window
from concept_fragmentation.components.words import is_listable, option_text, plural, title

MAX_MARKS: Final = 13
# As many as can be highlighted.
TOKENS_OFFERED: Final = MAX_HIGHLIGHTED_TOKENS
SUGGESTED: Final = 20
# Of a token: how much a browser is given to search.
SEARCHED: Final = 60
# The value of the choice that is no head: the mean of all.
ALL_HEADS: Final = -1
# A position as the page shows it beside a token.
_POSITION: Final = re.compile("#([0-9]{1,9})")


def layer_marks(layers: Sequence[str]) -> dict[int, str]:
    """Return the slider's marks: short layer names, and not more than fit."""
    names = short_names(layers)
    every = -(-len(names) // MAX_MARKS) if names else 1
    return {index: name for index, name in enumerate(names) if index % every == 0}


def short_names(layers: Sequence[str]) -> list[str]:
    """Return the layers' names without what they all begin with: `layer_3` is `3`.

    So is `block_3` among other blocks, whatever else there is, as long as no two are the same then.
    Names that would be long or empty without it stay whole and are cut for display.
    """
    shared = 0
    if len(layers) > 1:
        # Compared letter by letter; the smallest and the largest name differ first.
        pairs = zip(min(layers), max(layers), strict=False)
        shared = next((i for i, (a, b) in enumerate(pairs) if a != b), len(min(layers)))
    prefix = min(layers, default="")[:shared].rstrip("0123456789")
    short = [name[len(prefix) :] for name in layers]
    if not all(short):
        short = list(layers)
    stems = [name.rstrip("0123456789") for name in short]
    common = {stem for stem, times in Counter(stems).items() if times > 1}
    numbered = [
        name[len(stem) :] or name if stem in common else name
        for name, stem in zip(short, stems, strict=True)
    ]
    if len(set(numbered)) == len(numbered):
        short = numbered
    return [title(abbreviated(name), 6) for name in short]


def layer_options(layers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the options of a dropdown of layers; the value is the layer's index."""
    return [{"label": option_text(title(name, 24)), "value": i} for i, name in enumerate(layers)]


def colour_options(analysis: Analysis) -> list[dict[str, str]]:
    """Return what the bands of the token flow can be coloured by, as options."""
    return [
        {"label": option_text(title(name, 32)), "value": value}
        for value, name in colourings(analysis).items()
        if is_listable(value)
    ]


def column_colour_options(analysis: Analysis) -> list[dict[str, str]]:
    """Return what figures other than the token flow can be coloured by, as options."""
    return [
        option
        for option in colour_options(analysis)
        if option["value"] == "cluster" or is_column(option["value"])
    ]


def only_column_options(analysis: Analysis) -> list[dict[str, str]]:
    """Return the columns of categories as options; the value "" is all tokens."""
    columns = [
        {"label": option_text(title(name, 32)), "value": name}
        for name in category_values(analysis)
        if is_listable(name)
    ]
    return [{"label": "every category", "value": ""}, *columns]


def only_value_options(analysis: Analysis, column: str) -> list[dict[str, str]]:
    """Return the values of a column of categories, with how many tokens have each, as options."""
    return [
        {
            "label": option_text(f"{visible(value, limit=40)} ({count:,})"),
            "value": value,
            "search": option_text(value[:SEARCHED]),
        }
        for value, count in category_values(analysis).get(column, {}).items()
        if is_listable(value)
    ]


def only_text(analysis: Analysis) -> str:
    """Return which tokens are shown, and what is of all tokens nevertheless; nothing of all."""
    if analysis.part is None:
        return ""
    shown = int(analysis.looked_at.sum())
    return (
        f"{shown:,} of {plural(analysis.num_tokens, 'token')}: {title(analysis.part.name, 80)}. "
        "Attention, cluster quality, tests and Compare are of all tokens."
    )


def head_options(num_heads: int) -> list[dict[str, Any]]:
    """Return the heads, counted from 0, and the mean of all as options."""
    heads = [{"label": str(head), "value": head} for head in range(num_heads)]
    return [{"label": "mean of all", "value": ALL_HEADS}, *heads]


def window_text(analysis: Analysis, first: int, last: int) -> str:
    """Return the window in words."""
    layers = analysis.labelled_layers
    if not layers:
        return "no layer has cluster labels"
    names = [title(layers[index], 24) for index in (first, last)]
    span = names[0] if first == last else f"{names[0]} to {names[1]}"
    said = f"{span} · {last - first + 1} of {plural(len(layers), 'layer')}"
    if last - first + 1 < len(layers) and (first, last) == default_window(len(layers)):
        said += " · the first third"
    return said


def matching_tokens(analysis: Analysis, typed: str) -> list[int]:
    """Return the tokens that match what was typed, best first; see `find_tokens`.

    The text may be typed as the page shows it: "·software" for " software", "#2567" for the token
    at position 2567.
    """
    typed = typed.strip()
    position = _POSITION.fullmatch(typed)
    found = find_tokens(analysis, typed).tolist()
    found += find_tokens(analysis, from_visible(typed)).tolist()
    if position is not None:
        found += np.flatnonzero(analysis.positions == int(position[1])).tolist()
    return list(dict.fromkeys(found))


def token_options(
    analysis: Analysis, chosen: Sequence[int], typed: str, matches: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Return the chosen tokens and the first `matches` for what was typed as options.

    Where nothing was typed, the first tokens are suggested.
    """
    if not typed.strip():
        matches = range(min(analysis.num_tokens, SUGGESTED))
    indices = dict.fromkeys([i for i in chosen if 0 <= i < analysis.num_tokens])
    matched = dict.fromkeys(matches[:TOKENS_OFFERED])
    return [
        _token_option(analysis, index, typed if index in matched else "")
        for index in indices | matched
    ]


def matches_text(typed: str, num_matches: int) -> str:
    """Return how many tokens match, and how many of them are listed."""
    if not typed.strip():
        return ""
    listed = "" if num_matches <= TOKENS_OFFERED else f"; the first {TOKENS_OFFERED} are listed"
    return f"{plural(num_matches, 'match', 'matches')}{listed}"


def cluster_options(window: LayerWindow | None, layer: int | None = None) -> list[dict[str, Any]]:
    """Return the clusters of the window, each with its size; the value is `node.layer.cluster`.

    With `layer`, a labelled one, those of this layer alone.
    """
    if window is None:
        return []
    return [
        {
            "label": option_text(f"{title(name, 24)}, cluster {cluster} ({size:,})"),
            "value": f"node.{window.first + column}.{cluster}",
        }
        for column, name in enumerate(window.layers)
        if layer is None or window.first + column == layer
        for cluster, size in zip(
            window.cluster_ids[column].tolist(), window.cluster_sizes[column].tolist(), strict=True
        )
    ]


def _token_option(analysis: Analysis, index: int, typed: str) -> dict[str, Any]:
    token = analysis.shown_tokens[index]
    shown = visible(token, limit=40)
    # The browser filters once more, by all parts of this text, which are many of a long one.
    begins = token[:SEARCHED].encode("utf-8", "replace").decode()
    return {
        "label": option_text(f"{shown}  #{int(analysis.positions[index])}"),
        "value": index,
        "search": option_text(f"{begins} {shown} {typed[:SEARCHED]}".rstrip()),
    }
