"""What the controls offer for an analysis: marks of the slider, options of the dropdowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.components.figures.colouring import colourings
from concept_fragmentation.components.figures.layer_names import abbreviated
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import title

MAX_MARKS: Final = 13
TOKENS_OFFERED: Final = 50
SUGGESTED: Final = 20
# Of a token: how much a browser is given to search.
SEARCHED: Final = 60
# The value of the choice that is no head: the mean of all.
ALL_HEADS: Final = -1


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
    return [{"label": title(name, 24), "value": i} for i, name in enumerate(layers)]


def colour_options(analysis: Analysis) -> list[dict[str, str]]:
    """Return what the bands of the token flow can be coloured by, as options."""
    return [
        {"label": title(name, 32), "value": value} for value, name in colourings(analysis).items()
    ]


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
    return f"{span} · {last - first + 1} of {len(layers)} layers"


def token_options(analysis: Analysis, chosen: Sequence[int], typed: str) -> list[dict[str, Any]]:
    """Return the chosen tokens and the best matches for what was typed, never all tokens.

    Exact matches come first, then tokens that begin with it, then tokens that contain it;
    leading spaces of a token and the case do not matter.
    """
    needle = typed.strip().casefold()
    ranked: list[tuple[int, int]] = []
    for index, token in enumerate(analysis.tokens):
        if not needle:
            if len(ranked) == SUGGESTED:
                break
            ranked.append((0, index))
            continue
        text = token.strip().casefold()
        if needle in text:
            ranked.append((0 if text == needle else 1 if text.startswith(needle) else 2, index))
    ranked.sort()
    indices = dict.fromkeys([i for i in chosen if 0 <= i < analysis.num_tokens])
    indices |= dict.fromkeys(index for _, index in ranked[:TOKENS_OFFERED])
    return [_token_option(analysis, index, needle) for index in indices]


def cluster_options(window: LayerWindow | None) -> list[dict[str, Any]]:
    """Return the clusters of the window, each with its size; the value is `node.layer.cluster`."""
    if window is None:
        return []
    return [
        {
            "label": f"{title(layer, 24)}, cluster {cluster} ({size:,})",
            "value": f"node.{window.first + column}.{cluster}",
        }
        for column, layer in enumerate(window.layers)
        for cluster, size in zip(
            window.cluster_ids[column].tolist(), window.cluster_sizes[column].tolist(), strict=True
        )
    ]


def _token_option(analysis: Analysis, index: int, needle: str) -> dict[str, Any]:
    token = analysis.tokens[index]
    shown = visible(token, limit=40)
    # The browser filters once more, by all parts of this text, which are many of a long one.
    begins = token[:SEARCHED].encode("utf-8", "replace").decode()
    matched = f" {needle[:SEARCHED]}" if needle and needle in token.strip().casefold() else ""
    return {
        "label": f"{shown}  #{int(analysis.positions[index])}",
        "value": index,
        "search": f"{begins} {shown}{matched}",
    }
