"""The attention weights of one sequence of an analysis, and its tokens as an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import Analysis, LazyArray
from concept_fragmentation.analysis.model import as_weights
from concept_fragmentation.components.text import plotly_text

IntArray = npt.NDArray[np.int64]

# A matrix of more tokens is more than a screen has pixels, and than a browser should be sent.
MOST_TOKENS: Final = 1024

# So many labels can stand beside each other; of more, every so many-th is written.
_MOST_LABELS: Final = 48


def weight_layers(analysis: Analysis) -> tuple[str, ...]:
    """Return the layers that have attention weights of any tokens, in declared order."""
    return tuple(
        layer
        for layer in analysis.layers
        if analysis.num_tokens
        and analysis.attention.get(layer, {}).get("attention_probs") is not None
    )


def sequence_tokens(analysis: Analysis, sequence: int = 0) -> IntArray:
    """Return the indices of the tokens of the `sequence`-th sequence, none if there is no such."""
    ids = _sequences(analysis)
    if not 0 <= sequence < len(ids):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(analysis.sequence_ids == ids[sequence])


def sequence_of(analysis: Analysis, token: int) -> int:
    """Return which sequence a token belongs to, counted from 0."""
    return _sequences(analysis).index(int(analysis.sequence_ids[token]))


def _sequences(analysis: Analysis) -> list[int]:
    """The ids of the sequences in the order of their tokens, in which weights are kept."""
    return list(dict.fromkeys(analysis.sequence_ids.tolist()))


def num_heads(analysis: Analysis) -> int:
    """Return how many heads have weights in the first layer that has any; 0 without."""
    layers = weight_layers(analysis)
    return _stored(analysis, layers[0]).shape[-3] if layers else 0


def attention_weights(analysis: Analysis, layer: str, sequence: int = 0) -> npt.NDArray[Any]:
    """Return the weights of a layer within a sequence of S tokens: float (heads, S, S).

    Args:
        analysis: with `attention_probs` of the layer, (heads, T, T) or (B, heads, S, S).
        layer: one of `weight_layers`.
        sequence: counted from 0.
    """
    stored = _stored(analysis, layer)
    if stored.ndim == 4:
        return stored[sequence]
    return _within(np.asarray(stored), sequence_tokens(analysis, sequence))


def head_weights(
    analysis: Analysis, layer: str, head: int | None, sequence: int = 0
) -> npt.NDArray[Any]:
    """Return the weights of a head, or (None) the mean of all: float (S, S).

    Of a stored analysis only that head is read.
    """
    if head is None:
        mean: npt.NDArray[Any] = attention_weights(analysis, layer, sequence).mean(axis=0)
        return mean
    stored = _stored(analysis, layer)
    if stored.ndim == 4:
        return stored[sequence, head]
    return _within(stored[head], sequence_tokens(analysis, sequence))


def _stored(analysis: Analysis, layer: str) -> npt.NDArray[Any] | LazyArray:
    return as_weights(analysis.attention[layer]["attention_probs"])


def _within(weights: npt.NDArray[Any], tokens: IntArray) -> npt.NDArray[Any]:
    """The rows and columns of a sequence's tokens."""
    if len(tokens) == weights.shape[-1]:
        return weights
    return weights[..., tokens[:, np.newaxis], tokens]


def sequence_mask(analysis: Analysis, sequence: int = 0) -> npt.NDArray[np.bool_]:
    """Return which tokens of a sequence are no padding: bool (S,)."""
    real: npt.NDArray[np.bool_] = ~analysis.padding[sequence_tokens(analysis, sequence)]
    return real


def missing_weights(analysis: Analysis) -> str:
    """Say what is missing for the figures of attention weights, and how to get it."""
    if not analysis.num_tokens:
        return "This analysis has no tokens, so none attends to another."
    have = "keeps no attention weights" if analysis.attention else "has no attention data"
    return (
        f"This analysis {have}. Analyze the text again with attention “full”, or give "
        "attention_data with attention_probs, an array (heads, tokens, tokens) for each layer."
    )


def too_many_tokens(analysis: Analysis, sequence: int = 0) -> str | None:
    """Say that a sequence is too long for a matrix of its weights; None if it is not."""
    number = len(sequence_tokens(analysis, sequence))
    if number <= MOST_TOKENS:
        return None
    return (
        f"This sequence has {number:,} tokens; a matrix shows up to {MOST_TOKENS:,}. Analyze a "
        "shorter text, or cut it into sequences."
    )


def token_names(analysis: Analysis, tokens: Sequence[int] | IntArray) -> list[str]:
    """Return a name for each token, no two alike: its text and its position, as Plotly text."""
    names = [f"{plotly_text(analysis.shown_tokens[i], 16)} {analysis.positions[i]}" for i in tokens]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({place})" for place, name in enumerate(names)]


def token_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return an axis of categories, one a token, that writes as many names as there is room for."""
    return {
        "type": "category",
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickmode": "linear",
        "tick0": 0,
        "dtick": -(-len(names) // _MOST_LABELS) or 1,
        "tickfont": {"size": 9},
    }
