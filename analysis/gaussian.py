"""States without clusters that look like those of a layer: the null of silhouette and stability."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.centred import group_means
from concept_fragmentation.analysis.counting import IntArray, compact

# Of more tokens the covariance is that of a random sample.
_COVARIANCE_TOKENS: Final = 10_000


def gaussian_like(
    states: npt.NDArray[Any], words: IntArray, most: int, *, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return tokens of words that are drawn from one Gaussian cloud with the states' covariance.

    Occurrences of one word lie near each other in any layer, and k-means finds them. So each word
    is drawn once, from the Gaussian of the words' means, and each of its n tokens lies around it by
    sqrt(1 - 1 / n) of a draw from the Gaussian of how far tokens lie from their word: the sum over
    words of (x - mean)'(x - mean) / sum of (n - 1). Together they have the covariance of the layer.
    Where no word repeats, it is the Gaussian with the mean and covariance of the states. A draw is
    z X / sqrt(T), z standard normal (T,), X centred.

    Args:
        states: float (T, d), one layer's; of more than 10,000 tokens a random sample is used.
        words: int64 (T,), the word of each token.
        most: how many tokens are drawn at most; of more than that, those of a random sample.
        seed: of what is drawn.

    Returns:
        float32 (min(T, most), d).
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(states))
    if len(rows) > _COVARIANCE_TOKENS:
        rows = np.sort(rng.choice(len(rows), _COVARIANCE_TOKENS, replace=False))
    chosen = np.asarray(states[rows], dtype=np.float64)
    codes = compact(words[rows])[1]
    sizes = np.bincount(codes)
    means, mean = group_means(chosen, codes), chosen.mean(axis=0)
    between = ((means - mean) * np.sqrt(sizes / len(rows))[:, np.newaxis]).astype(np.float32)
    repeats = len(rows) - len(means)
    within = ((chosen - means[codes]) / np.sqrt(max(repeats, 1))).astype(np.float32)
    of_word = codes
    if len(rows) > most:
        of_word = codes[np.sort(rng.choice(len(rows), most, replace=False))]
    centres = rng.standard_normal((len(means), len(means)), dtype=np.float32) @ between
    found: npt.NDArray[np.float32] = centres[of_word] + mean.astype(np.float32)
    if repeats:
        around = rng.standard_normal((len(found), len(rows)), dtype=np.float32) @ within
        found += around * np.sqrt(1 - 1 / sizes[of_word], dtype=np.float32)[:, np.newaxis]
    return found
