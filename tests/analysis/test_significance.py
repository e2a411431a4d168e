"""Permutation tests of windows, against every arrangement there is and worked cases."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations as arrangements
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    UnknownChoiceError,
    adjusted_rand_index,
    holm,
    layer_window,
    window_significance,
)
from concept_fragmentation.analysis.significance import FIGURES, NO_MEMORY, Null, _draw, _figures
from tests.analysis.labelled import of


def figures_of(array: Any) -> list[float]:
    window = layer_window(of(array), 0, array.shape[1] - 1)
    ends = array[(array != -1).all(axis=1)][:, [0, -1]].T
    return [window.fragmentation, window.concentration, adjusted_rand_index(*ends)]


def paths_of(array: Any) -> Any:
    """The numbers of the paths of arrangements (B, N, W), as `_draw` makes them."""
    sizes = array.max(axis=(0, 1)) + 1
    return array @ np.append(np.cumprod(sizes[:0:-1])[::-1], 1)


def drawn(array: Any, null: Null, number: int, seed: int) -> Any:
    """Arrangements (B, N, W) from `_draw`, which numbers every path that it draws."""
    columns = [array[:, i] for i in range(array.shape[1])]
    numbers, ends = _draw(columns, null, number, np.random.default_rng(seed))
    paths = np.empty((*numbers.shape, array.shape[1]), dtype=int)
    for i in range(array.shape[1] - 1, -1, -1):
        numbers, paths[..., i] = np.divmod(numbers, array[:, i].max() + 1)
    assert (paths[..., -1] == ends).all()
    return paths


small = hnp.arrays(
    np.int64, st.tuples(st.integers(2, 15), st.integers(1, 5)), elements=st.integers(0, 3)
)


@given(small, st.integers(0, 99))
def test_each_arrangement_keeps_what_its_null_keeps(array: Any, seed: int) -> None:
    for paths in drawn(array, "markov", 4, seed):
        for i in range(array.shape[1] - 1):
            kept = Counter(map(tuple, paths[:, i : i + 2].tolist()))
            assert kept == Counter(map(tuple, array[:, i : i + 2].tolist()))
    for paths in drawn(array, "shuffled", 4, seed):
        assert (np.sort(paths, axis=0) == np.sort(array, axis=0)).all()


@given(small, st.integers(0, 99))
@pytest.mark.slow
def test_the_figures_of_arrangements_are_those_of_their_analyses(array: Any, seed: int) -> None:
    window = layer_window(of(array), 0, array.shape[1] - 1)
    reachable = min(math.log(len(array)), sum(math.log(len(ids)) for ids in window.cluster_ids))
    paths = drawn(array, "shuffled", 3, seed)
    found = _figures(paths_of(paths), array[:, 0], paths[..., -1], reachable)
    expected = [figures_of(one) for one in paths]
    assert np.allclose(found.T, expected, atol=1e-12)


def every_markov_arrangement(array: Any) -> list[Any]:
    """All assignments of paths to tokens with the first two layers and all transitions as given."""
    found = [array]
    for i in range(1, array.shape[1] - 1):
        groups = [np.flatnonzero(array[:, i] == cluster) for cluster in np.unique(array[:, i])]
        targets = [array[group, i + 1] for group in groups]
        extended = []
        for one in found:
            here = [np.flatnonzero(one[:, i] == cluster) for cluster in np.unique(array[:, i])]
            for chosen in product(*(set(arrangements(target.tolist())) for target in targets)):
                new = one.copy()
                for group, values in zip(here, chosen, strict=True):
                    new[group, i + 1] = values
                extended.append(new)
        found = extended
    return found


def test_every_arrangement_with_the_same_transition_counts_is_drawn_as_often() -> None:
    array = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]])
    every = {one.tobytes() for one in every_markov_arrangement(array)}
    seen = Counter(one.tobytes() for one in drawn(array, "markov", 6000, 1))
    assert set(seen) == every
    assert len(every) > 20
    assert scipy.stats.chisquare(list(seen.values())).pvalue > 0.001


def test_the_shuffled_null_is_that_of_all_arrangements_within_layers() -> None:
    array = np.array([[0, 0], [0, 0], [1, 1], [1, 2]])
    every = [np.stack([array[:, 0], order], axis=1) for order in arrangements(array[:, 1].tolist())]
    found = window_significance(of(array), 0, 1, null="shuffled", permutations=4000, seed=1)
    expected = np.array([figures_of(one) for one in every])
    for name, values in zip(FIGURES, expected.T, strict=True):
        test = getattr(found, name)
        assert test.null_mean == pytest.approx(values.mean(), abs=0.02)
        assert test.null_sd == pytest.approx(values.std(), abs=0.02)
        assert test.p_lower == pytest.approx((values <= test.observed + 1e-9).mean(), abs=0.03)
        assert test.p_upper == pytest.approx((values >= test.observed - 1e-9).mean(), abs=0.03)


def markov_paths(rng: np.random.Generator, tokens: int, clusters: int, layers: int) -> Any:
    """Paths of a Markov chain of order 1 whose transitions differ by layer."""
    paths = np.empty((tokens, layers), dtype=int)
    paths[:, 0] = rng.integers(0, clusters, tokens)
    for i in range(1, layers):
        edges = rng.dirichlet(np.ones(clusters), clusters).cumsum(axis=1)[paths[:, i - 1]]
        paths[:, i] = (rng.random(tokens)[:, None] > edges[:, :-1]).sum(axis=1)
    return paths


@pytest.mark.slow
def test_paths_that_remember_one_layer_are_rejected_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    rejected = []
    names = [f"layer_{i}" for i in range(4)]
    for run in range(500):
        # Of 199 permutations, p is 0.05 exactly or not at all; of 99, the level would be 0.04. With
        # fewer tokens, ties make the test reject less.
        paths = markov_paths(rng, 100, 3, len(names))
        data = {
            "model_type": "test",
            "layers": names,
            "token_metadata": {"tokens": ["t"] * len(paths)},
            "cluster_labels": dict(zip(names, paths.T, strict=True)),
        }
        found = window_significance(data, 0, -1, permutations=199, seed=run)
        tests = [getattr(found, name) for name in FIGURES]
        rejected.append([tests[0].p_value <= 0.05, min(test.p_adjusted for test in tests) <= 0.05])
    one, any_of_three = np.mean(rejected, axis=0)
    assert 0.03 <= one <= 0.08
    # Of three figures at once, once they are corrected.
    assert any_of_three <= 0.07


@pytest.mark.slow
def test_words_that_come_again_are_no_memory_where_each_is_counted_once() -> None:
    rng = np.random.default_rng(7)
    by_token, by_word = [], []
    for run in range(200):
        words = np.minimum(rng.zipf(1.6, 300), 150)
        # A word takes one path nearly always, and no path remembers more than one layer.
        of_words, others = markov_paths(rng, 151, 3, 4), markov_paths(rng, 300, 3, 4)
        paths = np.where((rng.random(300) < 0.8)[:, None], of_words[words], others)
        once = window_significance(
            of(paths), 0, -1, types=words.tolist(), permutations=199, seed=run
        )
        assert once.num_words == len(set(words.tolist()))
        by_word.append(once.fragmentation.p_value <= 0.05)
        if run < 20:
            every = window_significance(of(paths), 0, -1, permutations=199, seed=run)
            by_token.append(every.fragmentation.p_value <= 0.05)
    assert np.mean(by_word) <= 0.09
    assert np.mean(by_token) > 0.9


def test_the_first_occurrence_of_each_word_is_counted() -> None:
    array = np.array([[0, 0, 0], [1, 1, 1], [-1, 0, 0], [0, 1, 0], [1, 0, 1]])
    words = ["a", "b", "c", "b", "c"]
    found = window_significance(of(array), 0, 2, types=words, permutations=5)
    alone = window_significance(of(array[[0, 1, 4]]), 0, 2, permutations=5)
    assert (found.num_words, alone.num_words) == (3, None)
    assert found.fragmentation.observed == alone.fragmentation.observed
    with pytest.raises(InvalidDataError, match="types: 2 for 5 tokens"):
        window_significance(of(array), 0, 2, types=["a", "b"], permutations=5)


def test_memory_beyond_one_step_is_found_where_it_was_planted() -> None:
    # Where a token goes from the only middle cluster is where it came from.
    first = np.arange(60) % 2
    array = np.stack([first, np.zeros(60, dtype=int), first], axis=1)
    found = window_significance(of(array), 0, 2, permutations=199)
    for name, sign in zip(FIGURES, (-1, 1, 1), strict=True):
        test = getattr(found, name)
        assert test.p_value == 2 / 200
        assert test.p_adjusted == pytest.approx(3 * 2 / 200)
        assert sign * test.difference > 0
        assert min(sign * end for end in test.difference_interval) > 0
    assert found.agreement.observed == 1
    assert found.agreement.null_mean == pytest.approx(0, abs=0.02)


def test_one_repeated_layer_and_noise_have_no_memory_to_find() -> None:
    rng = np.random.default_rng(3)
    repeated = np.repeat(rng.integers(0, 3, (200, 1)), 5, axis=1)
    found = window_significance(of(repeated), 0, -1, permutations=50)
    # The steps say all: nothing is left to vary.
    assert found.fragmentation.p_value == 1
    assert found.fragmentation.difference == pytest.approx(0)
    assert math.isnan(found.fragmentation.effect_size)
    noise = window_significance(of(rng.integers(0, 3, (200, 4))), 0, -1, permutations=199)
    assert noise.fragmentation.p_adjusted > 0.05
    low, high = noise.fragmentation.difference_interval
    assert low < 0 < high
    ten = window_significance(of(rng.integers(0, 3, (10, 4))), 0, -1, permutations=99)
    assert ten.fragmentation.p_adjusted > 0.05


def test_windows_of_two_layers_have_no_memory_and_say_so() -> None:
    found = window_significance(of([[0, 0], [0, 1], [1, 1]]), 0, 1, permutations=9)
    assert found.note == NO_MEMORY
    assert found.to_dict()["note"] == NO_MEMORY
    assert found.to_dict()["num_tests"] == 0
    assert math.isnan(found.fragmentation.p_adjusted)
    assert (
        found.fragmentation.observed
        == layer_window(of([[0, 0], [0, 1], [1, 1]]), 0, 1).fragmentation
    )
    shuffled = window_significance(
        of([[0, 0], [0, 1], [1, 1]]), 0, 1, null="shuffled", permutations=9
    )
    assert (shuffled.note, shuffled.null) == ("", "shuffled")
    assert not math.isnan(shuffled.fragmentation.p_value)


def test_layers_that_follow_from_each_other_are_told_from_shuffled_ones() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 400)
    following = np.stack([first, (first + 1) % 5, np.where(rng.random(400) < 0.9, first, 0)], 1)
    found = window_significance(of(following), 0, 2, null="shuffled", permutations=199)
    test = found.fragmentation
    assert test.p_value == 2 / 200
    assert test.p_lower == 1 / 200
    assert test.p_upper == 1
    assert test.effect_size < -20
    assert test.effect_size == pytest.approx(test.difference / test.null_sd)
    assert test.null_quantiles[0.5] == pytest.approx(np.median(test.null))
    assert list(test.null_quantiles.values()) == sorted(test.null_quantiles.values())
    low, high = test.null_interval
    assert low <= test.null_mean <= high
    assert test.difference_interval == (test.observed - high, test.observed - low)


@pytest.mark.parametrize("null", get_args(Null))
def test_the_seed_decides_and_names_of_clusters_do_not(null: Null) -> None:
    array = np.random.default_rng(2).integers(0, 4, (50, 3))
    one, same, other = (
        window_significance(of(array), 0, 2, null=null, permutations=50, seed=seed)
        for seed in (3, 3, 4)
    )
    assert one.agreement.null.tolist() == same.agreement.null.tolist()
    assert one.agreement.null.tolist() != other.agreement.null.tolist()
    again = window_significance(of(9 - array), 0, 2, null=null, permutations=300, seed=3)
    assert again.agreement.observed == pytest.approx(one.agreement.observed)
    assert again.agreement.null_mean == pytest.approx(one.agreement.null_mean, abs=0.02)


@pytest.mark.parametrize("null", get_args(Null))
def test_tokens_without_clusters_take_no_part(null: Null) -> None:
    array = np.random.default_rng(5).integers(0, 3, (20, 3))
    padded = np.vstack([array, np.full((9, 3), -1), [[0, -1, 1]]])
    with_them, alone = (
        window_significance(of(one), 0, 2, null=null, permutations=20) for one in (padded, array)
    )
    for name in FIGURES:
        assert getattr(with_them, name).null.tolist() == getattr(alone, name).null.tolist()
        assert getattr(with_them, name).observed == getattr(alone, name).observed
    nothing = window_significance(of([[-1, 0, 0], [0, -1, 0]]), 0, 2, null=null, permutations=9)
    assert math.isnan(nothing.fragmentation.p_value)
    assert math.isnan(nothing.concentration.null_mean)


@pytest.mark.parametrize("null", get_args(Null))
def test_paths_too_many_to_number_are_counted_all_the_same(null: Null) -> None:
    array = np.random.default_rng(3).integers(0, 1000, (200, 12))
    found = window_significance(of(array), 0, 11, null=null, permutations=3)
    assert found.concentration.null.tolist() == [1 / 200] * 3


def test_progress_is_reported_and_can_end_the_test() -> None:
    calls: list[tuple[int, int]] = []
    rng = np.random.default_rng(0)
    array = rng.integers(0, 3, (3000, 3))
    window_significance(
        of(array), 0, 2, permutations=250, progress=lambda *done: calls.append(done)
    )
    assert calls[-1] == (250, 250)
    assert len(calls) == 4

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        window_significance(of(array), 0, 2, progress=stop)


def test_what_is_no_test_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="permutations: 0; at least one is needed"):
        window_significance(of([[0]]), 0, 0, permutations=0)
    with pytest.raises(InvalidDataError, match="window: 0 to 1"):
        window_significance(of([[0]]), 0, 1)
    wrong: Any = "shuffle"
    with pytest.raises(UnknownChoiceError, match="null: there is no 'shuffle', but 'markov'"):
        window_significance(of([[0]]), 0, 0, null=wrong)


@pytest.mark.slow
def test_the_shipped_clusters_remember_little_beyond_one_step(real: Analysis) -> None:
    markov = window_significance(real, 8, 11, permutations=99).fragmentation
    shuffled = window_significance(real, 8, 11, null="shuffled", permutations=99).fragmentation
    assert markov.observed == shuffled.observed == pytest.approx(0.473, abs=5e-4)
    assert markov.null_mean == pytest.approx(0.474, abs=1e-3)
    assert shuffled.null_mean == pytest.approx(0.899, abs=1e-3)
    # Nearly all of what tells the paths from shuffled layers is in their steps.
    assert abs(markov.difference) < 0.01 * abs(shuffled.difference)
    low, high = markov.difference_interval
    assert -0.003 < low < high < 0.001


def test_holm_is_bonferroni_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]).tolist() == [1, 1]
    found = holm([math.nan, 0.02, 0.04])
    assert math.isnan(found[0])
    assert found[1:].tolist() == [0.04, 0.04]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_rejects_what_the_steps_reject(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    level, still = 0.05, True
    for step, i in enumerate(order):
        still = still and p_values[i] * (len(p_values) - step) <= level
        assert (adjusted[i] <= level) == still
