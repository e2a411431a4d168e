"""Paths through windows of layers, against published counts and independent computations."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections import Counter
from itertools import combinations, pairwise
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
    archetypal_paths,
    layer_window,
    tokens_in_cluster,
    tokens_in_transition,
    tokens_on_path,
    transition,
)
from tests.analysis.labelled import of

PUBLISHED = {
    (0, 3): (696, {(5, 5, 8, 3): 435, (4, 8, 7, 9): 360, (5, 5, 3, 6): 291}),
    (4, 7): (90, {(2, 3, 9, 5): 1367, (0, 4, 7, 0): 1163, (4, 1, 5, 3): 974}),
    (8, 11): (225, {(8, 3, 5, 7): 362, (7, 5, 0, 7): 302, (7, 5, 0, 0): 282}),
}

labels = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 25), st.integers(1, 5)),
    elements=st.integers(-1, 4),
)


@pytest.mark.parametrize("window", PUBLISHED)
def test_the_published_path_counts_are_reproduced(real: Analysis, window: tuple[int, int]) -> None:
    number, top = PUBLISHED[window]
    found = layer_window(real, *window)
    assert len(found.paths) == number
    paths = archetypal_paths(real, found, top=3)
    assert {path.path: path.count for path in paths} == top
    assert [path.count for path in paths] == sorted(top.values(), reverse=True)
    for path in paths:
        assert path.percentage == pytest.approx(path.count / 100)
        for token, index in zip(path.example_tokens, path.example_indices, strict=True):
            assert real.tokens[index] == token
            assert tuple(real.labels[index, window[0] : window[1] + 1]) == path.path
        assert len(tokens_on_path(found, path.path)) == path.count


@given(labels, st.data())
@pytest.mark.slow
def test_a_window_agrees_with_counting_one_by_one(array: Any, data: st.DataObject) -> None:
    analysis = of(array)
    first = data.draw(st.integers(0, array.shape[1] - 1))
    last = data.draw(st.integers(first, array.shape[1] - 1))
    window = layer_window(analysis, first, last)
    part = array[:, first : last + 1]
    counted = [tuple(row) for row in part.tolist() if -1 not in row]
    expected = Counter(counted)
    assert dict(zip(map(tuple, window.paths.tolist()), window.counts.tolist(), strict=True)) == (
        expected
    )
    ranked = sorted(expected, key=lambda path: (-expected[path], path))
    assert list(map(tuple, window.paths.tolist())) == ranked
    assert (window.num_counted, window.num_left_out) == (len(counted), len(part) - len(counted))
    for row, rank in zip(part.tolist(), window.path_of_token.tolist(), strict=True):
        assert rank == -1 if -1 in row else tuple(window.paths[rank]) == tuple(row)
    assert window.left_out_by_layer.tolist() == (part == -1).sum(axis=0).tolist()
    for i, flow in enumerate(window.transitions):
        pairs = Counter((a, b) for a, b in part[:, i : i + 2].tolist() if a != -1 and b != -1)
        found = {
            (a, b): flow.counts[x, y]
            for x, a in enumerate(flow.source_ids.tolist())
            for y, b in enumerate(flow.target_ids.tolist())
            if flow.counts[x, y]
        }
        assert found == pairs
        assert flow.num_left_out == len(part) - pairs.total()
        triples = zip(
            flow.source_ids[flow.source_indices].tolist(),
            flow.target_ids[flow.target_indices].tolist(),
            flow.num_tokens.tolist(),
            strict=True,
        )
        assert list(triples) == [(a, b, pairs[a, b]) for a, b in sorted(pairs)]
    for i in range(part.shape[1]):
        sizes = Counter(cluster for cluster in part[:, i].tolist() if cluster != -1)
        found_sizes = zip(window.cluster_ids[i], window.cluster_sizes[i], strict=True)
        assert dict(found_sizes) == sizes
        assert window.cluster_entropy[i] == pytest.approx(
            scipy.stats.entropy(list(sizes.values())) if sizes else 0, abs=1e-12
        )
    if len(counted) > 1:
        entropy = scipy.stats.entropy(list(expected.values()))
        reachable = min(len(counted), math.prod(map(len, window.cluster_ids)))
        normaliser = math.log(reachable) if reachable > 1 else 1
        assert window.fragmentation == pytest.approx(entropy / normaliser, abs=1e-12)
        assert not math.copysign(1, window.fragmentation) < 0
    else:
        assert math.isnan(window.fragmentation)
    if counted:
        assert window.concentration == pytest.approx(max(expected.values()) / len(counted))


@given(labels)
def test_convergence_agrees_with_looking_at_every_pair(array: Any) -> None:
    analysis = of(array)
    window = layer_window(analysis, 0, array.shape[1] - 1)
    ends = [(row[0], row[-1]) for row in array.tolist() if row[0] != -1 and row[-1] != -1]
    apart = [(a, b) for a, b in combinations(ends, 2) if a[0] != b[0]]
    if apart:
        together = sum(a[1] == b[1] for a, b in apart)
        assert window.convergence == pytest.approx(together / len(apart))
    else:
        assert math.isnan(window.convergence)


@given(labels)
def test_stability_agrees_with_counting_kept_clusters(array: Any) -> None:
    analysis = of(array)
    window = layer_window(analysis, 0, array.shape[1] - 1)
    pairs = [
        (a, b)
        for row in analysis.aligned.labels.tolist()
        for a, b in pairwise(row)
        if a != -1 and b != -1
    ]
    if pairs:
        assert window.stability == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
        # By chance: each pair's first id with the second id of each pair of the same step.
        by_step = [
            [(a, b) for a, b in zip(*step, strict=True) if a != -1 and b != -1]
            for step in pairwise(analysis.aligned.labels.T.tolist())
        ]
        chance = sum(
            np.mean([a == d for a, _ in step for _, d in step]) * len(step)
            for step in by_step
            if step
        )
        assert window.stability_chance == pytest.approx(chance / len(pairs))
    else:
        assert math.isnan(window.stability)
        assert math.isnan(window.stability_chance)


@pytest.mark.slow
def test_shuffled_layers_are_as_stable_as_by_chance_and_one_layer_again_wholly() -> None:
    rng = np.random.default_rng(0)
    for shares in ([1 / 2, 1 / 2], [0.7, 0.2, 0.1], [1 / 10] * 10):
        column = np.repeat(np.arange(len(shares)), np.round(6000 * np.array(shares)).astype(int))
        shuffled = np.stack([rng.permutation(column) for _ in range(8)], axis=1)
        null = layer_window(of(shuffled), 0, 7)
        # Ten clusters share too little to be matched: nothing is kept, nor by chance.
        assert null.stability == pytest.approx(null.stability_chance, abs=0.01)
        repeated = layer_window(of(shuffled[:, [0, 0, 0]]), 0, 2)
        assert repeated.stability == 1
        assert repeated.stability_chance == pytest.approx(np.square(shares).sum(), abs=1e-3)
    ten = layer_window(of([[0, 0]] * 9 + [[1, 0]]), 0, 1)
    # Nine of ten are in cluster 0, then all are.
    assert (ten.stability, ten.stability_chance) == (pytest.approx(0.9), pytest.approx(0.9))


@given(labels, st.randoms(use_true_random=False))
def test_renaming_clusters_within_layers_changes_no_metric(array: Any, rng: Any) -> None:
    renamed = array.copy()
    for layer in range(array.shape[1]):
        names = list(range(5))
        rng.shuffle(names)
        renamed[:, layer] = [-1 if c == -1 else names[c] for c in array[:, layer]]
    before, after = (layer_window(of(a), 0, array.shape[1] - 1) for a in (array, renamed))
    assert before.counts.tolist() == after.counts.tolist()
    for name in ("fragmentation", "concentration", "convergence"):
        assert getattr(before, name) == pytest.approx(getattr(after, name), nan_ok=True)


def test_extremes_mean_what_they_should() -> None:
    same = layer_window(of([[0, 0]] * 6), 0, 1)
    assert (same.fragmentation, same.concentration, same.stability) == (0, 1, 1)
    assert math.isnan(same.convergence)
    scattered = layer_window(of([[i, i] for i in range(6)]), 0, 1)
    assert (scattered.fragmentation, scattered.convergence) == (pytest.approx(1), 0)
    joining = layer_window(of([[0, 0], [1, 0], [2, 0]]), 0, 1)
    assert joining.convergence == 1


def test_probabilities_are_shares_of_rows() -> None:
    flow = transition(np.array([0, 0, 0, 1, -1, 2]), np.array([5, 5, 7, 7, 5, -1]))
    assert flow.source_ids.tolist() == [0, 1, 2]
    assert flow.target_ids.tolist() == [5, 7]
    assert flow.counts.tolist() == [[2, 1], [0, 1], [0, 0]]
    assert flow.probabilities.tolist() == [[2 / 3, 1 / 3], [0, 1], [0, 0]]
    assert flow.num_left_out == 2


def test_paths_of_many_layers_and_clusters_do_not_run_over() -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 1000, (400, 48))
    array[200:] = array[:200]
    window = layer_window(of(array), 0, 47)
    assert len(window.paths) == 200
    assert set(window.counts.tolist()) == {2}
    assert {tuple(path) for path in window.paths.tolist()} == {tuple(r) for r in array.tolist()}


def test_many_clusters_in_many_layers_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    array = np.stack([rng.permutation(5000) for _ in range(6)], axis=1)
    analysis = of(array)
    tracemalloc.start()
    window = layer_window(analysis, 0, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One table of all pairs of clusters would be 200 MB.
    assert peak < 50e6
    assert all(flow.num_tokens.tolist() == [1] * 5000 for flow in window.transitions)
    assert (window.fragmentation, window.convergence) == (pytest.approx(1), 0)


def test_tokens_of_clusters_transitions_and_paths_are_found() -> None:
    analysis = of([[0, 1], [0, 2], [3, 2], [-1, 2]])
    window = layer_window(analysis, 0, 1)
    assert tokens_in_cluster(analysis, 1, 2).tolist() == [1, 2, 3]
    assert tokens_in_transition(analysis, 0, 0, 2).tolist() == [1]
    assert tokens_on_path(window, (3, 2)).tolist() == [2]
    assert tokens_on_path(window, (9, 9)).tolist() == []
    assert tokens_on_path(window, (0, 1, 2)).tolist() == []


def test_a_layer_that_is_not_there_is_refused() -> None:
    analysis = of([[0, 1]])
    for ask, said in (
        (lambda: tokens_in_cluster(analysis, 2, 0), "layer: there is no 2, only 0 to 1"),
        (lambda: tokens_in_cluster(analysis, -3, 0), "layer: there is no -3, only 0 to 1"),
        (lambda: tokens_in_transition(analysis, 1, 1, 0), "'layer_1' is the last that has labels"),
    ):
        with pytest.raises(InvalidDataError, match=said):
            ask()


@pytest.mark.parametrize("window", [(-1, 0), (1, 0), (0, 2), (5, 5)])
def test_a_window_outside_the_layers_is_refused(window: tuple[int, int]) -> None:
    with pytest.raises(InvalidDataError, match=r"window: .* within the 2 layers"):
        layer_window(of([[0, 1]]), *window)


def test_all_metrics_of_ten_thousand_tokens_take_well_under_a_tenth_of_a_second(
    real_data: dict[str, Any],
) -> None:
    times = []
    for _ in range(5):
        analysis = Analysis.from_dict(real_data)
        start = time.perf_counter()
        assert analysis.token_metrics is not None
        archetypal_paths(analysis, layer_window(analysis, 0, 11))
        times.append(time.perf_counter() - start)
    # Around 16 ms on an idle laptop core; the rest is room for busy test machines.
    assert min(times) < 0.1
