"""Results of permutation tests: a figure beside its null, and the correction for many tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import Floats
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.shown import Shown

# Called with how many permutations are done, and of how many; what it raises ends the test.
Progress = Callable[[int, int], object]

NULL_QUANTILES: Final = (0.025, 0.25, 0.5, 0.75, 0.975)

# Sums of the same numbers in another order differ by no more.
ROUNDING: Final = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class PermutationTest(Shown):
    """A figure beside its distribution over M permutations.

    Attributes:
        observed: the figure itself.
        null_mean, null_sd: mean and standard deviation (M - 1 degrees of freedom) of the null.
        null_quantiles: {level: value} at `NULL_QUANTILES`.
        effect_size: (observed - null_mean) / null_sd, the standardised effect size (z); NaN where
            the null does not vary.
        p_lower: (1 + number of null values <= observed) / (1 + M), which is never 0: the observed
            labels are one of the arrangements that the null allows (Phipson & Smyth 2010).
        p_upper: the same for null values >= observed.
        p_value: two-sided, twice the smaller of the two, at most 1.
        p_adjusted: `p_value` corrected for all figures that were tested at once (`holm`).
        null: float64 (M,), the figure of each permutation; fewer where it is not defined for some.

    All are NaN where the figure is not defined, and where the null leaves nothing to test.
    """

    shown_first = ("observed", "null_mean", "difference_interval", "p_adjusted")

    observed: float
    null_mean: float
    null_sd: float
    null_quantiles: dict[float, float]
    effect_size: float
    p_lower: float
    p_upper: float
    p_value: float
    p_adjusted: float
    null: Floats

    @property
    def difference(self) -> float:
        """Observed - null_mean: the effect in the unit of the figure."""
        return self.observed - self.null_mean

    @property
    def null_interval(self) -> tuple[float, float]:
        """The 2.5 % and the 97.5 % quantile of the null, between which 95 % of its values lie."""
        return self.null_quantiles[0.025], self.null_quantiles[0.975]

    @property
    def difference_interval(self) -> tuple[float, float]:
        """Observed - the 97.5 % and the 2.5 % quantile of the null.

        The differences to 95 % of the null's values. It says how far chance under the null moves
        the difference for just these tokens; it is no confidence interval for other texts, whose
        tokens are not drawn from this one.
        """
        low, high = self.null_interval
        return self.observed - high, self.observed - low


def permutation_test(observed: float, null: Floats) -> PermutationTest:
    """Return a figure beside its null.

    Args:
        observed: the figure; NaN where it is not defined.
        null: float64 (M,), that of each permutation; NaN where it is not defined.

    Returns:
        PermutationTest, whose `p_adjusted` is that of this test alone.
    """
    null = null[~np.isnan(null)]
    if np.isnan(observed) or not len(null):
        return PermutationTest(
            observed=float(observed),
            null_mean=np.nan,
            null_sd=np.nan,
            null_quantiles=dict.fromkeys(NULL_QUANTILES, np.nan),
            effect_size=np.nan,
            p_lower=np.nan,
            p_upper=np.nan,
            p_value=np.nan,
            p_adjusted=np.nan,
            null=null,
        )
    mean = float(null.mean())
    spread = float(null.std(ddof=1)) if len(null) > 1 else np.nan
    lower = share_as_extreme(null <= observed + ROUNDING)
    upper = share_as_extreme(null >= observed - ROUNDING)
    quantiles = np.quantile(null, NULL_QUANTILES).tolist()
    p_value = min(1.0, 2 * min(lower, upper))
    return PermutationTest(
        observed=float(observed),
        null_mean=mean,
        null_sd=spread,
        null_quantiles=dict(zip(NULL_QUANTILES, quantiles, strict=True)),
        effect_size=(observed - mean) / spread if spread > ROUNDING else np.nan,
        p_lower=lower,
        p_upper=upper,
        p_value=p_value,
        p_adjusted=p_value,
        null=null,
    )


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return p-values corrected for how many were tested (Holm 1979).

    With p(1) <= ... <= p(m), the corrected p(i) is the largest over j <= i of (m - j + 1) p(j), at
    most 1. Rejecting those below 0.05 rejects any true null in 5 % of cases at most, however the
    tests depend on each other.

    >>> holm([0.01, 0.04, 0.02]).tolist()
    [0.03, 0.04, 0.04]

    Args:
        p_values: float (m,); NaN is no test, and stays.

    Returns:
        float64 (m,).
    """
    found = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(found))
    order = known[np.argsort(found[known], kind="stable")]
    times = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(times * found[order]), 1.0)
    return found


def check_permutations(permutations: int) -> None:
    """Raise InvalidDataError unless there is a permutation to be made."""
    if permutations < 1:
        raise InvalidDataError([f"permutations: {permutations}; at least one is needed"])


def report_about_hundredths(progress: Progress | None, before: int, done: int, total: int) -> None:
    """Tell the progress, about a hundred times in all, that `done` are done where `before` were."""
    step = max(total // 100, 1)
    if progress is not None and (done == total or done // step > before // step):
        progress(done, total)


def share_as_extreme(as_extreme: npt.NDArray[np.bool_]) -> float:
    """Return (1 + number of permutations that are as extreme) / (1 + all)."""
    return (1 + int(as_extreme.sum())) / (1 + len(as_extreme))
