"""How many clusters the gap statistic finds where their number is known."""

from __future__ import annotations

import numpy as np
import pytest

from concept_fragmentation.analysis.gap import gap_statistic


@pytest.mark.parametrize("dimensions", [1, 2, 10, 64])
def test_a_gaussian_is_one_cluster_however_stretched(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    stretched = rng.normal(size=(dimensions, dimensions)) * np.geomspace(1, 0.05, dimensions)
    found = gap_statistic(rng.normal(size=(300, dimensions)) @ stretched, most=4, references=6)
    assert found.chosen == 1
    assert set(found.gaps) == set(found.errors) == {1, 2, 3, 4}


@pytest.mark.parametrize("planted", [2, 3, 5])
def test_planted_clusters_are_counted(planted: int) -> None:
    rng = np.random.default_rng(planted)
    centres = 8 * np.eye(planted, 12)
    points = np.repeat(centres, 60, axis=0) + rng.normal(size=(60 * planted, 12))
    found = gap_statistic(points, most=7, references=6)
    assert found.chosen == planted
    assert found.gaps[planted] == max(found.gaps[k] for k in range(1, planted + 1))


def test_few_or_equal_tokens_are_one_cluster() -> None:
    assert gap_statistic(np.ones((50, 3))).chosen == 1
    assert gap_statistic(np.array([[0.0], [1.0]])).chosen == 1
    ten = gap_statistic(np.random.default_rng(0).normal(size=(10, 4)), references=4)
    assert max(ten.gaps) == 9
    assert np.isfinite(list(ten.gaps.values())).all()


def test_two_points_that_repeat_are_not_divided_further() -> None:
    twice = np.repeat([[0.0, 0.0], [5.0, 1.0], [9.0, 3.0]], 30, axis=0)
    assert max(gap_statistic(twice, references=3).gaps) == 2


def test_it_depends_on_the_seed_alone_and_says_how_far_it_is() -> None:
    points = np.random.default_rng(0).normal(size=(1_200, 3))
    shares: list[float] = []
    first = gap_statistic(points, most=3, references=3, seed=4, report=shares.append)
    assert shares == [0.25, 0.5, 0.75]
    again = gap_statistic(points, most=3, references=3, seed=4)
    assert (again.gaps, again.errors) == (first.gaps, first.errors)
    assert gap_statistic(points, most=3, references=3, seed=5).gaps != first.gaps
