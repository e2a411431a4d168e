"""Whether categories and paths belong together, against SciPy and worked cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import (
    InvalidDataError,
    bits,
    category_association,
    category_entropy,
    category_fragmentation,
    layer_window,
    word_types,
)
from tests.analysis.labelled import of


def association(paths: Any, categories: Any, types: Any = None, **options: Any) -> Any:
    return category_association(
        layer_window(of([[path] for path in paths]), 0, 0), categories, types, **options
    )


def test_chi_squared_and_cramers_v_of_a_worked_case() -> None:
    # A table of 2 x 2: 30 10 / 10 30. Every expected count is 20; chi-squared = 4 * 100 / 20.
    paths = [0] * 40 + [1] * 40
    categories = ["n"] * 30 + ["v"] * 10 + ["n"] * 10 + ["v"] * 30
    found = association(paths, categories)
    assert found.chi_squared == pytest.approx(20)
    assert found.degrees_of_freedom == 1
    assert found.p_value == 1 / 1001
    assert found.cramers_v == pytest.approx(0.5)
    # Bergsma: phi^2 - 1/79 over 2 - 1/79 - 1.
    assert found.cramers_v_corrected == pytest.approx(math.sqrt((0.25 - 1 / 79) / (1 - 1 / 79)))
    assert found.table.tolist() == [[30, 10], [10, 30]]
    assert found.categories == ("n", "v")
    assert (found.num_rare_paths, found.num_tokens, found.num_blocks) == (0, 80, 80)


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
        if len(pairs) in table.shape:
            # As many categories or paths as tokens: nothing is left to correct by.
            assert not found.cramers_v_corrected > found.cramers_v + 1e-9
        else:
            assert 0 <= found.cramers_v_corrected <= found.cramers_v + 1e-9
        expected = scipy.stats.chi2_contingency(table, correction=False).statistic
        assert found.chi_squared == pytest.approx(expected, abs=1e-9)


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


def test_the_p_value_is_that_of_all_arrangements() -> None:
    # Fisher's tea: the same arrangements, so that the two-sided p-value is known.
    paths, categories = [0] * 4 + [1] * 4, list("aaabbbba")
    found = association(paths, categories, rare=1, permutations=5_000)
    exact = scipy.stats.fisher_exact([[3, 1], [1, 3]]).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.02)
    again = association(paths, categories, rare=1, permutations=5_000)
    assert again.p_value == found.p_value


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
    with pytest.raises(InvalidDataError, match="types: 1 for 2 tokens"):
        association([0, 1], ["a", "b"], ["x"])


def running_text(rng: np.random.Generator) -> tuple[Any, Any]:
    """Words as frequent as in a text, and paths that a word nearly always takes."""
    words = np.minimum(rng.zipf(1.6, 400), 80)
    paths = np.where(rng.random(400) < 0.9, (words * 7919) % 5, rng.integers(0, 5, 400))
    return words, paths


@pytest.mark.slow
def test_random_categories_of_words_are_rejected_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    by_word, by_token = [], []
    for run in range(200):
        words, paths = running_text(rng)
        categories = rng.integers(0, 3, 81)[words].tolist()
        found = association(paths, categories, words.tolist(), permutations=99, seed=run)
        by_word.append(found.p_value <= 0.05)
        if run < 20:
            by_token.append(association(paths, categories, permutations=99).p_value <= 0.05)
    assert 0.02 <= np.mean(by_word) <= 0.09
    # Taken for independent tokens, they are nearly always significant.
    assert np.mean(by_token) > 0.9


@pytest.mark.slow
def test_categories_that_depend_on_the_place_are_not_rejected_too_often() -> None:
    rng = np.random.default_rng(1)
    rejected = []
    for run in range(100):
        words, paths = running_text(rng)
        categories = rng.integers(0, 3, 400).tolist()
        found = association(paths, categories, words.tolist(), permutations=99, seed=run)
        rejected.append(found.p_value <= 0.05)
    assert np.mean(rejected) <= 0.09


def test_categories_that_say_the_path_are_found_by_word() -> None:
    words = np.repeat(np.arange(40), 5)
    found = association(words % 2, (words % 2).tolist(), words.tolist(), permutations=199)
    assert found.p_value == 1 / 200
    assert (found.num_blocks, found.num_tokens) == (40, 200)
    assert found.cramers_v == pytest.approx(1)
    assert 0.05 < found.cramers_v_null < 0.3


def test_tokens_without_a_word_are_words_of_their_own() -> None:
    found = association([0, 1] * 10, ["a", "b"] * 10, [None] * 20, permutations=9)
    assert found.num_blocks == 20
    assert word_types([" Cat", "cat", "CAT ", "dog"]) == ["cat", "cat", "cat", "dog"]


# By category


def test_the_fragmentation_of_a_category_is_the_share_off_its_modal_path() -> None:
    window = layer_window(of([[0, 0]] * 6 + [[0, 1]] * 2 + [[1, 1]] * 2), 0, 1)
    categories = ["n"] * 7 + ["v"] * 2 + [None]
    found = category_fragmentation(window, categories, None)
    assert [(one.category, one.num_tokens) for one in found] == [("n", 7), ("v", 2)]
    assert found[0].test.observed == pytest.approx(1 / 7)
    assert found[0].modal_path == (0, 0)
    assert found[1].test.observed == pytest.approx(1 / 2)
    assert category_fragmentation(window, [None] * 10, None) == []


def test_a_category_with_a_path_of_its_own_scatters_less_than_dealt_ones() -> None:
    words = np.arange(300)
    window = layer_window(of((words % 3)[:, None]), 0, 0)
    found = category_fragmentation(window, (words % 3).tolist(), words.tolist())
    for one in found:
        assert one.test.observed == 0
        assert one.test.null_mean == pytest.approx(2 / 3, abs=0.08)
        assert one.test.p_adjusted == pytest.approx(3 * 2 / 201)


def test_few_tokens_scatter_little_and_their_null_as_little() -> None:
    rng = np.random.default_rng(0)
    window = layer_window(of(rng.integers(0, 50, (400, 1))), 0, 0)
    categories = ["few"] * 3 + ["many"] * 397
    many, few = category_fragmentation(window, categories, None)
    assert few.test.observed <= 2 / 3 + 1e-9 < many.test.observed
    assert few.test.null_mean <= 2 / 3 + 1e-9
    assert few.test.p_adjusted > 0.05


def test_entropy_given_the_category_is_that_of_its_tokens() -> None:
    labels = np.array([0, 0, 1, 1, 1, -1])
    found = category_entropy(labels, ["x", "x", "x", "y", None, "y"], None)
    third = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert found.by_category == pytest.approx({"x": third, "y": 0})
    assert found.test.observed == pytest.approx(3 / 4 * third)
    assert found.total == pytest.approx(math.log(2))
    assert bits(found.total) == pytest.approx(1)
    nothing = category_entropy(labels, [None] * 6, None)
    assert math.isnan(nothing.test.observed)
    assert (nothing.by_category, nothing.total) == ({}, 0)


def test_entropy_of_random_categories_is_below_that_of_the_layer_as_its_null_is() -> None:
    rng = np.random.default_rng(0)
    labels, categories = rng.integers(0, 10, 100), rng.integers(0, 10, 100).tolist()
    found = category_entropy(labels, categories, None)
    # Ten tokens do not spread over ten clusters evenly.
    assert found.total - found.test.observed > 0.3
    assert found.test.null_mean == pytest.approx(found.test.observed, abs=0.1)
    assert found.test.p_value > 0.05
    told = category_entropy(labels, labels.tolist(), None)
    assert told.test.observed == 0
    assert told.test.p_lower == 1 / 201
