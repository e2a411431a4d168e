"""Aligned ids: chains of matches between neighbouring layers."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from concept_fragmentation.analysis import Analysis, align_labels, token_path_metrics
from concept_fragmentation.analysis.alignment import LEAST_OVERLAP

labels = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.integers(-1, 3)
)


def tables(before: Any, after: Any, size: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return shared tokens (size, size), and the same where clusters overlap enough, else 0."""
    shared = np.array(
        [[((before == a) & (after == b)).sum() for b in range(size)] for a in range(size)]
    )
    sizes = np.array(
        [
            [max((before == a).sum(), (after == b).sum(), 1) for b in range(size)]
            for a in range(size)
        ]
    )
    return shared, np.where(shared >= LEAST_OVERLAP * sizes, shared, 0)


@given(labels)
def test_alignment_renames_clusters_and_nothing_else(array: Any) -> None:
    aligned = align_labels(array)
    assert (aligned.labels == -1).tolist() == (array == -1).tolist()
    for layer in range(array.shape[1]):
        mapping = aligned.raw_to_aligned[layer]
        assert len(set(mapping.values())) == len(mapping)
        for raw, new in zip(
            array[:, layer].tolist(), aligned.labels[:, layer].tolist(), strict=True
        ):
            assert new == -1 if raw == -1 else new == mapping[raw]
    ids = set(aligned.labels[aligned.labels >= 0].tolist())
    assert aligned.num_clusters == len(ids)


@given(labels)
def test_a_chain_goes_on_where_its_clusters_overlap_enough_and_never_comes_back(array: Any) -> None:
    aligned = align_labels(array)
    assert aligned.overlaps[0] == {}
    ended: set[int] = set()
    for layer, overlaps in enumerate(aligned.overlaps[1:], 1):
        before = {new: raw for raw, new in aligned.raw_to_aligned[layer - 1].items()}
        here = aligned.raw_to_aligned[layer]
        assert {raw for raw, new in here.items() if new in before} == set(overlaps)
        ended |= before.keys() - here.values()
        assert not ended & set(here.values())
        for raw, overlap in overlaps.items():
            old = {i for i in range(len(array)) if array[i, layer - 1] == before[here[raw]]}
            new = {i for i in range(len(array)) if array[i, layer] == raw}
            assert overlap == pytest.approx(len(old & new) / max(len(old), len(new)))
            assert overlap >= LEAST_OVERLAP


@given(labels)
def test_alignment_keeps_as_many_tokens_as_any_renaming_could(array: Any) -> None:
    aligned = align_labels(array).labels
    for layer in range(1, array.shape[1]):
        enough = tables(array[:, layer - 1], array[:, layer], 4)[1]
        best = max(enough[range(4), list(order)].sum() for order in permutations(range(4)))
        same = aligned[:, layer - 1] == aligned[:, layer]
        assert int((same & (aligned[:, layer] != -1)).sum()) == best


def test_ids_that_only_were_shuffled_come_back() -> None:
    rng = np.random.default_rng(3)
    column = rng.integers(0, 6, 500)
    shuffled = np.stack([column] + [rng.permutation(6)[column] for _ in range(5)], axis=1)
    aligned = align_labels(shuffled)
    assert (aligned.labels == column[:, None]).all()
    assert aligned.num_clusters == 6
    assert all(set(overlaps.values()) == {1.0} for overlaps in aligned.overlaps[1:])


@pytest.mark.parametrize("num_clusters", [2, 12, 60])
def test_alignment_is_as_good_as_the_dense_assignment(num_clusters: int) -> None:
    rng = np.random.default_rng(num_clusters)
    columns = [rng.integers(-1, num_clusters, 2000)]
    for _ in range(2):
        moved = rng.random(2000) < 0.5
        columns.append(np.where(moved, rng.integers(-1, num_clusters, 2000), columns[-1]))
    array = np.stack(columns, axis=1)
    aligned = align_labels(array).labels
    for layer in (1, 2):
        enough = tables(array[:, layer - 1], array[:, layer], num_clusters)[1]
        best = enough[linear_sum_assignment(enough, maximize=True)].sum()
        same = aligned[:, layer - 1] == aligned[:, layer]
        assert best > 0
        assert int((same & (aligned[:, layer] != -1)).sum()) == best


def test_a_match_of_a_quarter_goes_on_and_one_below_begins_a_chain() -> None:
    # Of eight tokens of cluster 0 two stay together; the others have clusters of their own.
    quarter = np.array([[0, 3], [0, 3], *([0, 4 + i] for i in range(6))])
    assert align_labels(quarter).overlaps[1] == {3: 0.25}
    assert align_labels(quarter).raw_to_aligned[1][3] == 0
    # Seven more in the later cluster: two of nine are shared.
    below = np.vstack([quarter, [[-1, 3]] * 7])
    assert align_labels(below).overlaps[1] == {}
    assert 0 not in align_labels(below).labels[:, 1]


def test_shuffled_layers_make_no_chain() -> None:
    rng = np.random.default_rng(0)
    column = np.repeat(np.arange(10), 1000)
    array = np.stack([rng.permutation(column) for _ in range(6)], axis=1)
    aligned = align_labels(array)
    assert aligned.num_clusters == 60
    assert not any(aligned.overlaps)


def test_in_the_real_layers_13_of_110_matches_do_not_reach_a_quarter(real: Analysis) -> None:
    matched = 0
    for before, after in pairwise(real.labels.T):
        shared, enough = tables(before, after, 10)
        pairs = linear_sum_assignment(shared, maximize=True)
        matched += int((enough[pairs] > 0).sum())
    assert 110 - matched == 13
    assert sum(map(len, real.aligned.overlaps)) == matched
    assert real.aligned.num_clusters == 23


def test_as_many_clusters_as_tokens_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    array = np.stack([rng.permutation(10_000) for _ in range(4)], axis=1)
    # Matched as a table of all pairs of clusters, a layer would take 800 MB, and hours.
    aligned = align_labels(array)
    assert (aligned.labels == array[:, :1]).all()


def test_fresh_ids_are_found_beside_the_largest_id_there_is() -> None:
    largest = 2**63 - 1
    aligned = align_labels(np.array([[largest, 5], [largest, 5], [largest, 6], [0, 7]]))
    assert aligned.labels.tolist() == [[largest, largest], [largest, largest], [largest, 1], [0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_renaming_clusters_changes_no_step_where_the_matching_is_unique(seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.integers(-1, 4, (300, 1))
    for _ in range(3):
        moved = rng.random((300, 1)) < 0.6
        array = np.hstack([array, np.where(moved, rng.integers(-1, 4, (300, 1)), array[:, -1:])])
    for before, after in pairwise(array.T):
        enough = tables(before, after, 4)[1]
        found = {
            frozenset((i, j) for i, j in enumerate(order) if enough[i, j]): int(
                enough[range(4), list(order)].sum()
            )
            for order in permutations(range(4))
        }
        totals = sorted(found.values())
        assume(len(totals) > 1)
        assume(totals[-1] > totals[-2])
    renamed = array.copy()
    for layer in range(4):
        names = np.append(rng.permutation(9)[:4], -1)  # the last is for -1
        renamed[:, layer] = names[array[:, layer]]
    metrics, again = (token_path_metrics(align_labels(a).labels) for a in (array, renamed))
    assert metrics.cluster_changes.tolist() == again.cluster_changes.tolist()
    assert metrics.mobility_score.tolist() == again.mobility_score.tolist()


def test_a_cluster_that_overlaps_with_none_gets_an_id_of_its_own() -> None:
    aligned = align_labels(np.array([[0, 0, 0], [1, -1, 1], [-1, 1, 1]]))
    assert aligned.labels.tolist() == [[0, 0, 0], [1, -1, 2], [-1, 2, 2]]
