"""Permutation tests, against every arrangement there is, SciPy and worked cases."""

from __future__ import annotations

import math
from itertools import permutations as arrangements
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    analysis_from_labels,
    category_association,
    layer_window,
    window_significance,
)

FIGURES = ("fragmentation", "concentration", "convergence")


def of(array: Any) -> Analysis:
    array = np.asarray(array)
    return Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(len(array))], array))


@given(
    hnp.arrays(
        np.int64, st.tuples(st.integers(2, 15), st.integers(1, 4)), elements=st.integers(-1, 3)
    ),
    st.integers(0, 99),
)
@pytest.mark.slow
def test_each_null_value_is_the_figure_of_an_analysis_that_was_dealt_anew(
    array: Any, seed: int
) -> None:
    found = window_significance(of(array), 0, array.shape[1] - 1, permutations=5, seed=seed)
    again = np.random.default_rng(seed)
    dealt = array[(array != -1).any(axis=1)].copy()
    windows = []
    for _ in range(5):
        for column in dealt.T:
            column[column != -1] = again.permutation(column[column != -1])
        windows.append(layer_window(of(dealt), 0, array.shape[1] - 1) if len(dealt) else None)
    observed = layer_window(of(array), 0, array.shape[1] - 1)
    for name in FIGURES:
        test = getattr(found, name)
        assert test.observed == pytest.approx(getattr(observed, name), nan_ok=True)
        null = [getattr(window, name) for window in windows if window is not None]
        assert test.null.tolist() == pytest.approx([v for v in null if not math.isnan(v)])
        for p in (test.p_lower, test.p_upper, test.p_value):
            assert math.isnan(p) or 1 / 6 <= p <= 1


@pytest.mark.parametrize(
    "array", [[[0, 0], [0, 0], [1, 1], [1, 2]], [[0, 1], [0, -1], [1, 1], [2, 0], [-1, 0]]]
)
@pytest.mark.slow
def test_the_null_is_that_of_all_arrangements_within_layers(array: Any) -> None:
    array = np.array(array)
    present = array != -1
    columns = [
        [np.array(order) for order in arrangements(array[present[:, i], i])] for i in range(2)
    ]
    windows = []
    for dealt in product(*columns):
        table = np.full(array.shape, -1)
        for i, column in enumerate(dealt):
            table[present[:, i], i] = column
        windows.append(layer_window(of(table), 0, 1))
    found = window_significance(of(array), 0, 1, permutations=4000, seed=1)
    for name in FIGURES:
        test = getattr(found, name)
        values = np.array([getattr(window, name) for window in windows])
        values = values[~np.isnan(values)]
        assert test.null_mean == pytest.approx(values.mean(), abs=0.02)
        assert test.null_sd == pytest.approx(values.std(), abs=0.02)
        assert test.p_lower == pytest.approx((values <= test.observed + 1e-9).mean(), abs=0.03)
        assert test.p_upper == pytest.approx((values >= test.observed - 1e-9).mean(), abs=0.03)


def test_layers_that_follow_from_each_other_are_told_from_those_that_do_not() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 400)
    following = np.stack([first, (first + 1) % 5, np.where(rng.random(400) < 0.9, first, 0)], 1)
    test = window_significance(of(following), 0, 2, permutations=199).fragmentation
    assert test.p_value == 2 / 200
    assert test.p_lower == 1 / 200
    assert test.p_upper == 1
    assert test.effect_size < -20
    assert test.effect_size == pytest.approx(test.difference / test.null_sd)
    assert test.null_quantiles[0.5] == pytest.approx(np.median(test.null))
    assert list(test.null_quantiles.values()) == sorted(test.null_quantiles.values())


@pytest.mark.slow
def test_unrelated_layers_are_found_significant_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(1)
    found = [
        window_significance(of(rng.integers(0, 3, (60, 3))), 0, 2, permutations=59, seed=i)
        for i in range(200)
    ]
    for name in FIGURES:
        p_values = [getattr(test, name).p_value for test in found]
        # 10% are promised; of 200, more than 14% would be chance once in 30 times at most.
        assert np.mean(np.array(p_values) <= 0.1) <= 0.14


def test_the_seed_decides_and_names_of_clusters_do_not() -> None:
    rng = np.random.default_rng(2)
    array = rng.integers(0, 4, (50, 3))
    one, same, other = (
        window_significance(of(array), 0, 2, permutations=50, seed=seed).convergence.null.tolist()
        for seed in (3, 3, 4)
    )
    assert one == same != other
    renamed = window_significance(of(9 - array), 0, 2, permutations=50, seed=3).convergence
    assert renamed.null.tolist() == pytest.approx(one)


def test_tokens_without_clusters_stay_without() -> None:
    array = np.zeros((40, 2), dtype=int)
    array[:, 1] = np.arange(40) % 4
    array[20:] = -1
    padded = window_significance(of(array), 0, 1, permutations=20)
    alone = window_significance(of(array[:20]), 0, 1, permutations=20)
    for name in FIGURES:
        assert getattr(padded, name).null.tolist() == getattr(alone, name).null.tolist()


def test_what_cannot_vary_or_be_computed_says_so() -> None:
    one_layer = window_significance(of([[0], [0], [1]]), 0, 0, permutations=9)
    assert math.isnan(one_layer.fragmentation.effect_size)
    assert one_layer.fragmentation.p_value == 1
    nothing = window_significance(of([[-1, 0], [0, -1]]), 0, 1, permutations=9)
    assert math.isnan(nothing.fragmentation.p_value)
    assert math.isnan(nothing.concentration.null_mean)


def test_paths_too_many_to_number_are_counted_all_the_same() -> None:
    rng = np.random.default_rng(3)
    array = rng.integers(0, 1000, (200, 12))
    found = window_significance(of(array), 0, 11, permutations=3)
    assert found.concentration.null.tolist() == [1 / 200] * 3


def test_progress_is_reported_and_can_end_the_test() -> None:
    calls: list[tuple[int, int]] = []
    window_significance(
        of([[0, 1], [1, 0]]), 0, 1, permutations=250, progress=lambda *done: calls.append(done)
    )
    assert calls[-1] == (250, 250)
    assert len(calls) == 125

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        window_significance(of([[0, 1], [1, 0]]), 0, 1, progress=stop)


def test_a_test_without_permutations_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="permutations: 0; at least one is needed"):
        window_significance(of([[0]]), 0, 0, permutations=0)
    with pytest.raises(InvalidDataError, match="window: 0 to 1"):
        window_significance(of([[0]]), 0, 1)


@pytest.mark.slow
def test_no_permutation_of_ten_thousand_tokens_fragments_as_little(real: Analysis) -> None:
    found = window_significance(real, 0, 11)
    assert found.fragmentation.p_lower == 1 / 1001


# Categories


def association(paths: Any, categories: Any, **options: Any) -> Any:
    return category_association(
        layer_window(of([[path] for path in paths]), 0, 0), categories, **options
    )


def test_chi_squared_and_cramers_v_of_a_worked_case() -> None:
    # A table of 2 x 2: 30 10 / 10 30. Every expected count is 20; chi-squared = 4 * 100 / 20.
    paths = [0] * 40 + [1] * 40
    categories = ["n"] * 30 + ["v"] * 10 + ["n"] * 10 + ["v"] * 30
    found = association(paths, categories)
    assert found.chi_squared == pytest.approx(20)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(scipy.stats.chi2.sf(20, 1))
    assert found.cramers_v == pytest.approx(0.5)
    # Bergsma: phi^2 - 1/79 over 2 - 1/79 - 1.
    assert found.cramers_v_corrected == pytest.approx(math.sqrt((0.25 - 1 / 79) / (1 - 1 / 79)))
    assert found.table.tolist() == [[30, 10], [10, 30]]
    assert found.categories == ("n", "v")
    assert (found.is_sparse, found.num_rare_paths, found.num_tokens) == (False, 0, 80)


@given(st.integers(0, 2**32 - 1), st.integers(20, 300))
def test_cramers_v_is_that_of_scipy_over_a_table_counted_one_by_one(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    paths, kinds = rng.integers(-1, 5, n), rng.integers(0, 4, n)
    categories = [None if kind == 3 else "abc"[kind] for kind in kinds]
    found = association(paths, categories, rare=1, permutations=5)
    pairs = [(c, p) for c, p in zip(categories, paths.tolist(), strict=True) if c and p >= 0]
    names = sorted({path for _, path in pairs})
    order = {c: i for i, c in enumerate(found.categories)}
    window = layer_window(of(paths[:, None]), 0, 0)
    columns = window.paths[found.path_indices, 0].tolist()
    table = np.zeros((len(order), len(names)), dtype=int)
    for category, path in pairs:
        table[order[category], columns.index(path)] += 1
    assert found.table.tolist() == table.tolist()
    assert found.num_tokens == len(pairs)
    if min(table.shape) > 1:
        assert found.cramers_v == pytest.approx(scipy.stats.contingency.association(table))
        assert 0 <= found.cramers_v_corrected <= found.cramers_v + 1e-9
        assert found.p_asymptotic == pytest.approx(
            scipy.stats.chi2_contingency(table, False).pvalue
        )


def test_rare_paths_are_one_column() -> None:
    paths = [0] * 10 + [1] * 10 + [2] * 3 + [3] * 2
    found = association(paths, ["a", "b"] * 12 + ["a"], permutations=9)
    assert found.num_rare_paths == 2
    assert found.path_indices.tolist() == [-1, 0, 1]
    assert found.table.sum(axis=0).tolist() == [5, 10, 10]


def test_the_correction_takes_the_bias_of_large_tables_off() -> None:
    rng = np.random.default_rng(0)
    found = [
        association(rng.integers(0, 20, 400), rng.integers(0, 20, 400).tolist(), permutations=1)
        for _ in range(10)
    ]
    assert np.mean([one.cramers_v for one in found]) > 0.2
    assert np.mean([one.cramers_v_corrected for one in found]) < 0.08


def test_sparse_tables_are_tested_by_permutation() -> None:
    # Fisher's tea: the same arrangements, so that the two-sided p-value is known.
    paths, categories = [0] * 4 + [1] * 4, list("aaabbbba")
    found = association(paths, categories, rare=1, permutations=20_000)
    assert found.is_sparse
    assert found.p_value == found.p_permutation
    exact = scipy.stats.fisher_exact([[3, 1], [1, 3]]).pvalue
    assert found.p_permutation == pytest.approx(exact, abs=0.02)
    again = association(paths, categories, rare=1, permutations=20_000)
    assert again.p_permutation == found.p_permutation


def test_one_category_or_one_path_is_associated_with_nothing() -> None:
    for paths, categories in (([0, 1], ["a", "a"]), ([0, 0], ["a", "b"]), ([0, 0], [None, None])):
        found = association(paths, categories, rare=1)
        assert math.isnan(found.chi_squared)
        assert math.isnan(found.cramers_v)
        assert math.isnan(found.p_value)
        assert found.degrees_of_freedom == 0
    with pytest.raises(InvalidDataError, match="categories: 1 for 2 tokens"):
        association([0, 1], ["a"])
    with pytest.raises(InvalidDataError, match="at least one is needed"):
        association([0, 1], ["a", "b"], permutations=0)
