"""Fragmentation at a number of tokens that is less than all, so that two texts compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from concept_fragmentation.analysis.counting import Floats, IntArray
from concept_fragmentation.analysis.errors import DifferentSizesError, InvalidDataError
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.windows import LayerWindow, log_reachable_paths


@dataclass(frozen=True, repr=False)
class Rarefied(Shown):
    """Mean figures of a random part of a window's tokens; see `rarefy`.

    Attributes:
        num_tokens: n, of the part.
        num_paths: different paths.
        fragmentation: as `LayerWindow.fragmentation`; NaN for fewer than two tokens.
    """

    num_tokens: int
    num_paths: float
    fragmentation: float


@dataclass(frozen=True, repr=False)
class FragmentationChange(Shown):
    """The fragmentation of two windows at one number of tokens; see `compare_fragmentation`.

    Attributes:
        layers: (W,) names of the layers, of the second window.
        before: of the first window.
        after: of the second.
    """

    layers: tuple[str, ...]
    before: Rarefied
    after: Rarefied

    @property
    def change(self) -> float:
        """The fragmentation after - before."""
        return self.after.fragmentation - self.before.fragmentation


def rarefy(window: LayerWindow, num_tokens: int) -> Rarefied:
    """Return what a window has on average of `num_tokens` of its tokens, drawn without replacement.

    Fragmentation falls with the number of tokens N, since ln N grows while the entropy of the paths
    hardly does once the frequent ones are found: windows of different N compare at a common n only.
    Of a path that c of the N tokens take, X are drawn, hypergeometric; the mean number of paths is
    the sum of P(X > 0) (Hurlbert 1971), the mean entropy that of the means of -X/n ln(X/n), both
    exact. The fragmentation is the mean entropy / ln min(n, R), R as in `LayerWindow`. The clusters
    are those of all N tokens: a text of n tokens would have been clustered otherwise.

    >>> import numpy as np
    >>> from concept_fragmentation.analysis import analysis_from_labels, layer_window
    >>> window = layer_window(analysis_from_labels(list("abcd"), [[0], [0], [1], [1]]), 0, 0)
    >>> round(rarefy(window, 2).num_paths, 3), round(rarefy(window, 2).fragmentation, 3)
    (1.667, 0.667)

    Args:
        window: of N counted tokens.
        num_tokens: n, from 1 to N.

    Raises:
        InvalidDataError: there are not so many tokens.
    """
    total = window.num_counted
    if not 1 <= num_tokens <= total:
        raise InvalidDataError([f"num_tokens: {num_tokens} where 1 to {total} can be drawn"])
    sizes, times = np.unique(window.counts, return_counts=True)
    lowest = np.maximum(num_tokens - (total - sizes), 0)
    length = np.minimum(sizes, num_tokens) - lowest + 1
    of_path = np.repeat(np.arange(len(sizes)), length)
    drawn = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length - lowest, length)
    size = sizes[of_path]
    log_p = _log_choose(size, drawn) + _log_choose(total - size, num_tokens - drawn)
    chance = np.exp(log_p - _log_choose(np.array(total), np.array(num_tokens)))
    weight = chance * times[of_path]
    entropy = float((weight * scipy.special.entr(drawn / num_tokens)).sum())
    reachable = log_reachable_paths(num_tokens, window.cluster_ids)
    fragmentation = np.nan if num_tokens < 2 else entropy / reachable if reachable else 0.0
    return Rarefied(num_tokens, float(weight[drawn > 0].sum()), fragmentation)


def compare_fragmentation(
    before: LayerWindow, after: LayerWindow, *, num_tokens: int | None = None
) -> FragmentationChange:
    """Return the fragmentation of two windows beside each other.

    Args:
        before: the one window.
        after: the other.
        num_tokens: to which both are rarefied; None where both count as many tokens.

    Raises:
        DifferentSizesError: they count different numbers of tokens, and none is given.
        InvalidDataError: one of them has fewer tokens than that.
    """
    if num_tokens is None and before.num_counted != after.num_counted:
        raise DifferentSizesError(before.num_counted, after.num_counted)
    common = before.num_counted if num_tokens is None else num_tokens
    return FragmentationChange(after.layers, rarefy(before, common), rarefy(after, common))


def _log_choose(n: IntArray, k: IntArray) -> Floats:
    gammaln = scipy.special.gammaln
    found: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return found
