"""Hidden states less their mean, as float64, some thousand tokens at a time.

Hidden states share a mean that is large beside what tells tokens apart; products of states that
still hold it lose that in rounding. So do sums of float32 where a few tokens have norms of many
times the others': digits are lost, and others with each number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.counting import Floats, IntArray
from concept_fragmentation.analysis.errors import InvalidDataError

States = npt.NDArray[Any]

_CHUNK: Final = 4_096


def chunks(tokens: IntArray) -> Iterator[slice]:
    """Slices of a list of tokens, one after the other."""
    yield from (slice(start, start + _CHUNK) for start in range(0, len(tokens), _CHUNK))


def mean_state(states: States, tokens: IntArray) -> Floats:
    """float64 (d,): the mean of some tokens' states (T, d); zeros for no tokens.

    Raises:
        InvalidDataError: a number is not finite.
    """
    total: Floats = np.zeros(states.shape[1])
    for chunk in chunks(tokens):
        total += states[tokens[chunk]].sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():
        raise InvalidDataError(["hidden_states: a number is not finite"])
    return total / max(len(tokens), 1)


def centred(states: States, mean: Floats, tokens: IntArray) -> Floats:
    """float64 (T, d): some tokens' states less the mean."""
    rows: Floats = states[tokens].astype(np.float64)
    rows -= mean
    return rows


def cross_product(
    states_a: States, states_b: States, mean_a: Floats, mean_b: Floats, tokens: IntArray
) -> Floats:
    """float64 (d, e): A'B of centred states A (T, d) and B (T, e) of some tokens."""
    product: Floats = np.zeros((states_a.shape[1], states_b.shape[1]))
    for chunk in chunks(tokens):
        rows_a = centred(states_a, mean_a, tokens[chunk])
        product += rows_a.T @ centred(states_b, mean_b, tokens[chunk])
    return product


def check_states(states: States, num_tokens: int) -> None:
    """Raise InvalidDataError if these are not the states of so many tokens."""
    if states.ndim != 2 or len(states) != num_tokens:
        raise InvalidDataError([f"hidden_states: shape {states.shape} for {num_tokens} tokens"])


def group_means(states: npt.NDArray[Any], codes: IntArray) -> npt.NDArray[np.float64]:
    """Return the mean state of each group of tokens, float64 (G, d).

    Args:
        states: float (T, d).
        codes: int64 (T,), the group of each token, from 0 to G - 1, none of them empty.
    """
    member = scipy.sparse.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))),
        shape=(int(codes.max(initial=-1)) + 1, len(codes)),
    )
    sums: npt.NDArray[np.float64] = member @ np.asarray(states, dtype=np.float64)
    return sums / np.bincount(codes)[:, np.newaxis]
