from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import (
    Analysis,
    analysis_from_labels,
    layer_steps,
    layer_window,
    pair_divergence,
    transition,
    window_grid,
)
from concept_fragmentation.analysis.windows import pair_convergence

rows = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(-1, 3), min_size=width, max_size=width), min_size=1, max_size=20
    )
)


def made(labels: list[list[int]]) -> Analysis:
    return Analysis.from_dict(analysis_from_labels(["t"] * len(labels), labels))


@given(rows)
@pytest.mark.slow
def test_every_window_of_the_grid_is_what_that_window_says_alone(labels: list[list[int]]) -> None:
    analysis = made(labels)
    grid = window_grid(analysis)
    for first in range(len(labels[0])):
        for last in range(len(labels[0])):
            here = first, last
            if first > last:
                assert grid.num_paths[here] == grid.num_counted[here] == 0
                assert np.isnan(grid.fragmentation[here])
                continue
            window = layer_window(analysis, first, last)
            assert grid.num_counted[here] == window.num_counted
            assert grid.num_paths[here] == len(window.paths)
            assert grid.fragmentation[here] == pytest.approx(window.fragmentation, nan_ok=True)
            assert grid.concentration[here] == pytest.approx(window.concentration, nan_ok=True)


@given(rows)
@pytest.mark.slow
def test_a_step_is_the_window_of_its_two_layers(labels: list[list[int]]) -> None:
    analysis = made(labels)
    steps = layer_steps(analysis)
    assert len(steps.moved) == len(labels[0]) - 1
    for i, moved in enumerate(steps.moved):
        window = layer_window(analysis, i, i + 1)
        assert steps.num_counted[i] == window.num_counted
        assert 1 - moved == pytest.approx(window.stability, nan_ok=True)
        assert steps.convergence[i] == pytest.approx(window.convergence, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=15))
def test_divergence_is_convergence_with_the_layers_exchanged_and_counted_pair_by_pair(
    labels: list[tuple[int, int]],
) -> None:
    first, last = np.array(labels).T
    together = np.equal.outer(first, first)
    pairs = np.triu(np.ones_like(together), 1)
    parted = pairs & together & ~np.equal.outer(last, last)
    expected = parted.sum() / (pairs & together).sum() if (pairs & together).any() else np.nan
    assert pair_divergence(transition(first, last)) == pytest.approx(expected, nan_ok=True)
    joined = pairs & ~together & np.equal.outer(last, last)
    apart = pairs & ~together
    expected = joined.sum() / apart.sum() if apart.any() else np.nan
    assert pair_convergence(transition(first, last)) == pytest.approx(expected, nan_ok=True)


def test_columns_of_the_tokens_are_kept_flat_and_those_of_another_length_are_not() -> None:
    data = analysis_from_labels(["a", "b", "c"], [[0], [0], [1]])
    data["token_metadata"] |= {"pos": ["N", "V", "N"], "note": "x", "two": [1, 2]}
    assert Analysis.from_dict(data).token_columns == {"pos": ("N", "V", "N")}
    nested = {
        "model_type": "m",
        "layers": ["l"],
        "token_metadata": {"tokens": [["a"], ["b", "c"]], "pos": [["N"], ["V", "N"]]},
    }
    assert Analysis.from_dict(nested).token_columns == {"pos": ("N", "V", "N")}
