"""Whether paths show more than chance: permutation tests of a window, and of categories by path."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.choices import Layer
from concept_fragmentation.analysis.cluster_quality import category_codes_of
from concept_fragmentation.analysis.counting import NO_CLUSTER, Floats, IntArray, compact
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.model import AnalysisLike, as_analysis
from concept_fragmentation.analysis.shown import Shown, table_of_fields
from concept_fragmentation.analysis.windows import (
    LayerWindow,
    layer_window,
    pair_convergence,
    path_concentration,
    path_fragmentation,
    transition,
)

# Called with how many permutations are done, and of how many; what it raises ends the test.
Progress = Callable[[int, int], object]

NULL_QUANTILES: Final = (0.025, 0.25, 0.5, 0.75, 0.975)

# Numbers of paths below this are exact, and have room for another layer's clusters.
_ROOM: Final = 2**62
# Sums of the same numbers in another order differ by no more.
_ROUNDING: Final = 1e-12


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
        null: float64 (M,), the figure of each permutation; fewer where it is not defined for some.

    All are NaN where the figure is not defined.
    """

    shown_first = ("observed", "null_mean", "null_sd", "effect_size", "p_value")

    observed: float
    null_mean: float
    null_sd: float
    null_quantiles: dict[float, float]
    effect_size: float
    p_lower: float
    p_upper: float
    p_value: float
    null: Floats

    @property
    def difference(self) -> float:
        """Observed - null_mean: the effect in the unit of the figure."""
        return self.observed - self.null_mean


@dataclass(frozen=True, eq=False, repr=False)
class WindowSignificance:
    """Tests of a window's figures against layers that know nothing of each other.

    Attributes:
        fragmentation, concentration, convergence: see `LayerWindow` for the figures.
        num_permutations: M.
        seed: with which the test is the same again.
    """

    fragmentation: PermutationTest
    concentration: PermutationTest
    convergence: PermutationTest
    num_permutations: int
    seed: int

    def __repr__(self) -> str:
        """Each figure beside its mean by chance, and its p-value."""
        return f"<{type(self).__name__} {'; '.join(self._lines())}>"

    def _repr_html_(self) -> str:
        rows = {name: said for name, _, said in (line.partition(" ") for line in self._lines())}
        options = {"num_permutations": self.num_permutations, "seed": self.seed}
        return table_of_fields(rows | options, type(self).__name__)

    def _lines(self) -> list[str]:
        return [
            f"{name} {test.observed:.4g}, by chance {test.null_mean:.4g} (p {test.p_value:.2g})"
            for name in ("fragmentation", "concentration", "convergence")
            for test in [getattr(self, name)]
        ]


@dataclass(frozen=True, eq=False, repr=False)
class CategoryAssociation(Shown):
    """How far the path of a token and its category belong together; see `category_association`.

    Attributes:
        chi_squared: Pearson's, over the table.
        degrees_of_freedom: (categories - 1) (paths - 1).
        p_asymptotic: by the chi-squared distribution; not to be trusted if `is_sparse`.
        p_permutation: by permutation if `is_sparse`, else NaN.
        is_sparse: Cochran's (1954) rule is broken: an expected count below 1, or more than a fifth
            of them below 5.
        cramers_v: sqrt(chi_squared / N / (min(categories, paths) - 1)), from 0 (independent) to 1
            (the path tells the category or the other way round); Cramér 1946. Its mean is above 0
            for independent ones, more so for large tables.
        cramers_v_corrected: with that bias taken off (Bergsma 2013).
        table: int64 (C, P), the tokens of each category on each path.
        categories: (C,) the rows.
        path_indices: int64 (P,), the columns: indices into the window's paths, -1 for all rare
            paths together.
        num_rare_paths: how many those are.
        num_tokens: N, the tokens that have a category and a path.
    """

    chi_squared: float
    degrees_of_freedom: int
    p_asymptotic: float
    p_permutation: float
    is_sparse: bool
    cramers_v: float
    cramers_v_corrected: float
    table: IntArray
    categories: tuple[Hashable, ...]
    path_indices: IntArray
    num_rare_paths: int
    num_tokens: int

    @property
    def p_value(self) -> float:
        """`p_permutation` where the table is sparse, else `p_asymptotic`."""
        return self.p_permutation if self.is_sparse else self.p_asymptotic


def window_significance(
    analysis: AnalysisLike,
    first: Layer,
    last: Layer,
    *,
    permutations: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> WindowSignificance:
    """Test a window's fragmentation, concentration and convergence by permutation.

    The null: in every layer the labels are dealt anew to the tokens that have one there. That keeps
    the cluster sizes of every layer, and which tokens lack a cluster where; it takes away that a
    layer follows from the one before. Neighbouring layers of a transformer do follow from each
    other, so that nearly every window is significant: how large the effect is tells windows apart.
    In long windows nearly every dealt token has a path of its own: the null hardly varies, its
    effect size is huge and says little, and the difference is to be looked at.

    Args:
        analysis: with labels: an `Analysis`, an open analysis, or an analysis dict.
        first: the first layer, by its name or by its position in `layers`: from 0, or negative from
            the end.
        last: the last layer, included, likewise.
        permutations: M; the least p-value is 1 / (1 + M), two-sided twice that.
        seed: of the permutations.
        progress: called with the number of permutations done and M.

    Raises:
        UnknownChoiceError: there is no such window.
        InvalidDataError: fewer than one permutation is asked for.
    """
    _check_permutations(permutations)
    analysis = as_analysis(analysis)
    window = layer_window(analysis, first, last)
    labels = analysis.labels[:, window.first : window.last + 1]
    labels = labels[(labels != NO_CLUSTER).any(axis=1)]
    columns = [compact(labels[:, i])[1] for i in range(labels.shape[1])]
    sizes = [len(ids) for ids in window.cluster_ids]
    present = [np.flatnonzero(codes >= 0) for codes in columns]
    counted = np.flatnonzero(np.logical_and.reduce([codes >= 0 for codes in columns]))
    generator = np.random.default_rng(seed)
    null = np.empty((3, permutations))
    for i in range(permutations):
        for codes, tokens in zip(columns, present, strict=True):
            codes[tokens] = generator.permutation(codes[tokens])
        counts = _path_counts([codes[counted] for codes in columns], sizes)
        null[:, i] = (
            path_fragmentation(counts),
            path_concentration(counts),
            pair_convergence(transition(columns[0], columns[-1])),
        )
        _report(progress, i + 1, permutations)
    observed = (window.fragmentation, window.concentration, window.convergence)
    fragmentation, concentration, convergence = map(_test, observed, null)
    return WindowSignificance(fragmentation, concentration, convergence, permutations, seed)


def category_association(
    window: LayerWindow,
    categories: Sequence[Hashable],
    *,
    rare: int = 5,
    permutations: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> CategoryAssociation:
    """Whether tokens of one category take the same paths: chi-squared of category x path.

    Args:
        window: of T tokens.
        categories: (T,) any category a token, part of speech say; None or NaN for none. Tokens
            without one, or without a path, are left out.
        rare: paths that fewer tokens take are one column, "rare paths", together.
        permutations: of the categories over the tokens (both margins stay), where the table is too
            sparse for the chi-squared distribution.
        seed: of the permutations.
        progress: called with the number of permutations done and of all.

    Returns:
        CategoryAssociation; NaN where there are not two categories and two paths.

    Raises:
        InvalidDataError: not one category a token, or fewer than one permutation is asked for.
    """
    _check_permutations(permutations)
    rows, names = category_codes_of(categories, len(window.path_of_token))
    kept = (rows >= 0) & (window.path_of_token >= 0)
    paths = window.path_of_token[kept]
    is_rare = np.bincount(paths, minlength=len(window.paths)) < rare
    num_rare = len(np.unique(paths[is_rare[paths]]))
    column_ids, columns = np.unique(np.where(is_rare[paths], -1, paths), return_inverse=True)
    row_ids, rows = np.unique(rows[kept], return_inverse=True)
    shape = (len(row_ids), len(column_ids))
    table = _table(rows, columns, shape)
    total = len(rows)
    is_sparse, degrees = False, (max(shape[0], 1) - 1) * (max(shape[1], 1) - 1)
    statistic = p_asymptotic = p_permutation = v = corrected = np.nan
    if degrees:
        result = scipy.stats.chi2_contingency(table, correction=False)
        statistic, p_asymptotic = float(result.statistic), float(result.pvalue)
        expected = result.expected_freq
        is_sparse = bool(expected.min() < 1 or (expected < 5).mean() > 0.2)
        v, corrected = _cramers_v(statistic / total, total, shape)
    if is_sparse:
        generator = np.random.default_rng(seed)
        null = np.empty(permutations)
        for i in range(permutations):
            dealt = _table(generator.permutation(rows), columns, shape)
            null[i] = ((dealt - expected) ** 2 / expected).sum()
            _report(progress, i + 1, permutations)
        p_permutation = _share(null >= statistic * (1 - _ROUNDING))
    return CategoryAssociation(
        chi_squared=statistic,
        degrees_of_freedom=degrees,
        p_asymptotic=p_asymptotic,
        p_permutation=p_permutation,
        is_sparse=is_sparse,
        cramers_v=v,
        cramers_v_corrected=corrected,
        table=table,
        categories=tuple(names[row] for row in row_ids),
        path_indices=column_ids,
        num_rare_paths=num_rare,
        num_tokens=total,
    )


def _check_permutations(permutations: int) -> None:
    if permutations < 1:
        raise InvalidDataError([f"permutations: {permutations}; at least one is needed"])


def _report(progress: Progress | None, done: int, total: int) -> None:
    """Say how far it is, about a hundred times in all."""
    if progress is not None and (done == total or done % max(total // 100, 1) == 0):
        progress(done, total)


def _path_counts(columns: Sequence[IntArray], sizes: Sequence[int]) -> IntArray:
    """How many tokens take each path; `columns` hold the cluster of each, below `sizes`."""
    number, room = columns[0], sizes[0]
    for codes, size in zip(columns[1:], sizes[1:], strict=True):
        if room * size > _ROOM:
            ids, number = compact(number)
            room = len(ids)
        number, room = number * size + codes, room * size
    # Sorted, equal paths stand together; quicker than finding out which token takes which.
    number = np.sort(number)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    return np.diff(starts, append=len(number))


def _test(observed: float, null: Floats) -> PermutationTest:
    null = null[~np.isnan(null)]
    if np.isnan(observed) or not len(null):
        levels = dict.fromkeys(NULL_QUANTILES, np.nan)
        return PermutationTest(
            observed=float(observed),
            null_mean=np.nan,
            null_sd=np.nan,
            null_quantiles=levels,
            effect_size=np.nan,
            p_lower=np.nan,
            p_upper=np.nan,
            p_value=np.nan,
            null=null,
        )
    mean = float(null.mean())
    spread = float(null.std(ddof=1)) if len(null) > 1 else np.nan
    lower, upper = _share(null <= observed + _ROUNDING), _share(null >= observed - _ROUNDING)
    quantiles = np.quantile(null, NULL_QUANTILES).tolist()
    return PermutationTest(
        observed=float(observed),
        null_mean=mean,
        null_sd=spread,
        null_quantiles=dict(zip(NULL_QUANTILES, quantiles, strict=True)),
        effect_size=(observed - mean) / spread if spread > _ROUNDING else np.nan,
        p_lower=lower,
        p_upper=upper,
        p_value=min(1.0, 2 * min(lower, upper)),
        null=null,
    )


def _share(as_extreme: npt.NDArray[np.bool_]) -> float:
    return (1 + int(as_extreme.sum())) / (1 + len(as_extreme))


def _table(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> IntArray:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _cramers_v(phi_squared: float, total: int, shape: tuple[int, int]) -> tuple[float, float]:
    rows, columns = shape
    v = float(np.sqrt(phi_squared / (min(shape) - 1)))
    unbiased = max(0.0, phi_squared - (rows - 1) * (columns - 1) / (total - 1))
    smaller = min(size - (size - 1) ** 2 / (total - 1) for size in shape) - 1
    # As many categories as tokens leave nothing to be associated.
    return v, float(np.sqrt(unbiased / smaller)) if smaller > _ROUNDING else np.nan
