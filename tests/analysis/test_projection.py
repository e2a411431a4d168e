"""The principal plane, against scikit-learn."""

from __future__ import annotations

import re
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from concept_fragmentation.analysis import (
    InvalidDataError,
    MissingExtraError,
    principal_plane,
    umap_plane,
)
from concept_fragmentation.analysis.extra import install_command
from concept_fragmentation.analysis.projection import UMAP_DIMENSIONS


@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(2, 8))
def test_the_plane_is_that_of_scikit_learn(seed: int, tokens: int, dimensions: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(tokens, dimensions)) * np.arange(1, dimensions + 1) ** 2 + 10
    found = principal_plane(states)
    theirs = PCA(2, svd_solver="full").fit(states)
    assert found.explained == pytest.approx(theirs.explained_variance_ratio_)
    assert np.abs(np.sum(found.axes * theirs.components_, axis=1)) == pytest.approx([1, 1])
    assert np.abs(found.coordinates) == pytest.approx(np.abs(theirs.transform(states)), abs=1e-6)
    assert found.axes @ found.axes.T == pytest.approx(np.eye(2), abs=1e-9)
    for axis in found.axes:
        assert axis[np.abs(axis).argmax()] > 0


def test_tokens_that_decide_nothing_are_shown_all_the_same() -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(60, 6)) * [5, 3, 1, 1, 1, 1]
    sink = np.vstack([states, np.full((1, 6), 3000.0)])
    expected = principal_plane(states)
    found = principal_plane(sink, fitted=[1] * 60 + [0])
    assert found.axes == pytest.approx(expected.axes)
    assert found.coordinates[:60] == pytest.approx(expected.coordinates)
    assert np.abs(found.coordinates[60]).max() > 1000
    assert principal_plane(sink).explained[0] > 0.99


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_other_float_types_give_the_same_plane(kind: Any) -> None:
    rng = np.random.default_rng(1)
    states = (rng.normal(size=(9000, 16)) * np.arange(1, 17) + 100).astype(kind)
    exact, found = principal_plane(states.astype(np.float64)), principal_plane(states)
    assert found.coordinates == pytest.approx(exact.coordinates, abs=0.01)
    assert found.explained == pytest.approx(exact.explained, rel=1e-4)


def test_memory_does_not_grow_with_the_tokens() -> None:
    states = np.ones((50_000, 32), dtype=np.float32)
    tracemalloc.start()
    found = principal_plane(states)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.explained.tolist() == [0, 0]
    # The states as float64 are 13 MB; the coordinates alone 0.8.
    assert peak < 6e6


@pytest.mark.parametrize(
    ("states", "fitted", "problem"),
    [
        (np.ones((3, 1)), None, "two or more dimensions are needed"),
        (np.ones(3), None, "two or more dimensions"),
        (np.ones((3, 2)), [1], "for 1 tokens"),
        (np.full((3, 2), np.nan), None, "not finite"),
    ],
)
def test_states_without_a_plane_are_refused(states: Any, fitted: Any, problem: str) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        principal_plane(states, fitted=fitted)


# --- UMAP ----------------------------------------------------------------------------------------


def two_groups(dimensions: int) -> Any:
    """Thirty tokens around each of two points that are far from each other."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(60, dimensions))
    states[30:, 0] += 40
    return states


@pytest.mark.parametrize("dimensions", [3, UMAP_DIMENSIONS + 20])
@pytest.mark.slow
def test_what_is_near_in_the_hidden_space_is_near_on_umaps_plane(dimensions: int) -> None:
    states = two_groups(dimensions)
    plane = umap_plane(states).coordinates
    assert plane.shape == (60, 2)
    distances = np.linalg.norm(plane[:, np.newaxis] - plane, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    assert ((nearest >= 30) == (np.arange(60) >= 30)).all()
    # The same states give the same plane.
    assert np.array_equal(umap_plane(states).coordinates, plane)


@pytest.mark.slow
def test_umap_leaves_out_what_is_not_fitted() -> None:
    states = two_groups(4)
    fitted = np.arange(60) != 7
    found = umap_plane(states, fitted=fitted).coordinates
    assert np.isnan(found[7]).all()
    assert np.array_equal(found[fitted], umap_plane(states[fitted]).coordinates)


@pytest.mark.slow
def test_umap_needs_some_tokens() -> None:
    assert np.isfinite(umap_plane(two_groups(4)[:5]).coordinates).all()
    with pytest.raises(InvalidDataError, match="4 tokens; UMAP needs 5 or more"):
        umap_plane(two_groups(4)[:4])


def test_without_umap_learn_its_absence_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    command = re.escape(install_command("umap"))
    with pytest.raises(MissingExtraError, match=f"UMAP needs umap, .* with: {command}"):
        umap_plane(two_groups(4))
