"""Positions with massive activations: which tokens clusters, maps and tests leave out by default.

In trained decoders a few states are far larger than all others: mostly that of the first token, on
which later tokens put the attention they have no use for, and those of special tokens and of some
delimiters (Sun et al. 2024, arXiv:2402.17762). One such state can hold nearly all variance of a
layer, and says little of its token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import IntArray
from concept_fragmentation.analysis.hidden_states import state_norms
from concept_fragmentation.analysis.shown import Shown

Mask = npt.NDArray[np.bool_]

# How many times the median norm of its layer a state is at least that is massive.
MASSIVE_MULTIPLE: Final = 3.0
# What more tokens of a layer do is no exception there, but a group of its own.
MASSIVE_SHARE: Final = 0.05

# The kinds of positions, as an analysis keeps them.
KINDS: Final = ("starts", "special_tokens", "large_norms")


@dataclass(frozen=True, eq=False, repr=False)
class SetAside(Shown):
    """The tokens that are set aside, each under the first kind that it is of.

    Attributes:
        starts: int64 (A,), indices of the first tokens of sequences.
        special_tokens: int64 (B,), of tokens that stand for no text.
        large_norms: int64 (C,), of states that are massive in some layer.
    """

    starts: IntArray
    special_tokens: IntArray
    large_norms: IntArray

    def mask(self, num_tokens: int) -> Mask:
        """Return bool (T,): which tokens are set aside."""
        found = np.zeros(num_tokens, dtype=bool)
        for name in KINDS:
            found[getattr(self, name)] = True
        return found

    def among(self, tokens: Mask) -> SetAside:
        """Return those of some tokens, bool (T,)."""
        kinds = (getattr(self, name) for name in KINDS)
        return SetAside(*(kind[tokens[kind]] for kind in kinds))

    def record(self) -> dict[str, Any]:
        """Return the `set_aside` of an analysis dict: the indices of each kind, and the rule."""
        kinds = {name: getattr(self, name).tolist() for name in KINDS}
        return {**kinds, "multiple": MASSIVE_MULTIPLE, "share": MASSIVE_SHARE}


def find_massive(
    states: Sequence[Any],
    *,
    starts: npt.ArrayLike,
    special_tokens: npt.ArrayLike | None = None,
    padding: npt.ArrayLike | None = None,
) -> SetAside:
    """Find the positions with massive activations.

    These are all starts and special tokens, and every token whose state has, in any layer, a norm
    of more than `MASSIVE_MULTIPLE` times the median norm m of the layer's other tokens, where at
    most `MASSIVE_SHARE` of them (or one) have. A token that is massive in one layer is set aside in
    all, so that every layer, step and path is of the same tokens.

    Sun et al. (2024) call an activation massive that is over 1,000 times the median magnitude of
    its layer. A norm of 3 m is reached earlier, on purpose: what misleads k-means, principal
    components and CKA is the squared norm, 9 times the others' here. States that vary like a
    Gaussian of 5 effective dimensions pass 3 m once in five million tokens, of more dimensions
    less often; see docs/metrics.md for what ordinary states of a real model reach.

    >>> states = np.ones((10, 4))
    >>> states[7] = 50
    >>> found = find_massive([states], starts=np.arange(10) == 0)
    >>> found.starts.tolist(), found.large_norms.tolist()
    ([0], [7])

    Args:
        states: L arrays float (T, d), or what gives rows by index as arrays do.
        starts: bool (T,), first tokens of sequences.
        special_tokens: bool (T,), tokens that stand for no text, such as the end of one.
        padding: bool (T,), tokens that are none; they are never set aside, and do not count for m.

    Returns:
        SetAside.
    """
    first = np.array(starts, dtype=bool)
    special = np.zeros_like(first) if special_tokens is None else np.array(special_tokens, bool)
    real = np.ones_like(first) if padding is None else ~np.array(padding, bool)
    first &= real
    special &= real & ~first
    others = real & ~first & ~special
    large = np.zeros_like(first)
    most = max(1, int(MASSIVE_SHARE * others.sum()))
    for layer in states:
        norms = state_norms(layer)
        known = others & np.isfinite(norms)
        # A layer that is zero at most of its tokens has no scale to compare with.
        scale = float(np.median(norms[known])) if known.any() else 0.0
        found = known & (norms > MASSIVE_MULTIPLE * scale)
        if scale > 0 and found.sum() <= most:
            large |= found
    return SetAside(*map(np.flatnonzero, (first, special, large)))


def sequence_starts(sequence_ids: IntArray, padding: Mask) -> Mask:
    """Return bool (T,): whether a token is the first of its sequence that is not padding.

    >>> sequence_starts(np.array([0, 0, 1, 1]), np.array([True, False, False, False])).tolist()
    [False, True, True, False]
    """
    real = np.flatnonzero(~padding)
    found = np.zeros(len(padding), dtype=bool)
    found[real[np.unique(sequence_ids[real], return_index=True)[1]]] = True
    return found


def recorded(record: Mapping[str, Any] | None) -> SetAside:
    """Return what the `set_aside` of an analysis dict says; nothing where there is none."""
    known = record or {}
    return SetAside(*(np.array(known.get(name, ()), dtype=np.int64) for name in KINDS))
