"""States without clusters that look like those of a layer: the null of silhouette and stability."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

# Of more tokens the covariance is that of a random sample.
_COVARIANCE_TOKENS: Final = 10_000


def gaussian_like(
    states: npt.NDArray[Any], num_tokens: int, *, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return tokens drawn from the Gaussian that has the mean and covariance of some states.

    It is one cloud, however stretched: what k-means finds in it are no clusters. Each row is the
    mean plus a random combination of the centred states, z X / sqrt(T) with z standard normal (T,),
    whose covariance is that of the states.

    Args:
        states: float (T, d), one layer's; of more than 10,000 tokens a random sample is used.
        num_tokens: N, how many are drawn.
        seed: of what is drawn.

    Returns:
        float32 (N, d).
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(states))
    if len(rows) > _COVARIANCE_TOKENS:
        rows = np.sort(rng.choice(len(rows), _COVARIANCE_TOKENS, replace=False))
    chosen = np.asarray(states[rows], dtype=np.float64)
    mean = chosen.mean(axis=0)
    centred = ((chosen - mean) / np.sqrt(max(len(rows), 1))).astype(np.float32)
    drawn = rng.standard_normal((num_tokens, len(rows)), dtype=np.float32)
    found: npt.NDArray[np.float32] = (drawn @ centred + mean).astype(np.float32)
    return found
