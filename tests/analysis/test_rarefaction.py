"""Fragmentation at a common number of tokens, against draws and worked cases."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import (
    Analysis,
    DifferentSizesError,
    InvalidDataError,
    LayerWindow,
    analysis_from_labels,
    compare_analyses,
    compare_fragmentation,
    layer_window,
    rarefy,
)


def window_of(paths: list[int]) -> LayerWindow:
    made = analysis_from_labels(["t"] * len(paths), [[path] for path in paths])
    return layer_window(made, 0, 0)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.data())
def test_what_is_left_is_the_mean_over_all_parts_of_so_many_tokens(
    paths: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, len(paths)))
    window = window_of(paths)
    parts = [np.bincount(part) for part in combinations(paths, number)]
    found = rarefy(window, number)
    assert found.num_paths == pytest.approx(np.mean([(part > 0).sum() for part in parts]))
    reachable = math.log(min(number, len(set(paths))))
    if number > 1:
        entropies = [-sum(c / number * math.log(c / number) for c in part if c) for part in parts]
        expected = float(np.mean(entropies)) / reachable if reachable else 0
        assert found.fragmentation == pytest.approx(expected, abs=1e-9)
    else:
        assert math.isnan(found.fragmentation)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_all_tokens_are_the_window_itself(paths: list[int]) -> None:
    window = window_of(paths)
    found = rarefy(window, len(paths))
    assert found.fragmentation == pytest.approx(window.fragmentation, abs=1e-9)
    assert found.num_paths == pytest.approx(window.num_paths)


def test_fragmentation_falls_with_the_number_of_tokens_and_rarefied_it_compares(
    real: Analysis,
) -> None:
    window = layer_window(real, 4, 7)
    assert window.fragmentation == pytest.approx(0.325, abs=1e-3)
    few = rarefy(window, 100)
    assert few.fragmentation == pytest.approx(0.593, abs=0.02)
    chosen = np.random.default_rng(0).choice(real.num_tokens, 1000, replace=False)
    labels = real.labels[np.sort(chosen)]
    part = layer_window(analysis_from_labels(["t"] * 1000, labels), 4, 7)
    with pytest.raises(DifferentSizesError, match="10,000 does not compare with 1,000") as raised:
        compare_fragmentation(window, part)
    assert isinstance(raised.value, InvalidDataError)
    assert (raised.value.before, raised.value.after) == (10_000, 1000)
    assert part.fragmentation - window.fragmentation > 0.05
    assert abs(compare_fragmentation(window, part, num_tokens=1000).change) < 0.02


def test_windows_of_one_size_compare_as_they_are() -> None:
    before, after = window_of([0, 0, 1, 1]), window_of([0, 0, 0, 1])
    found = compare_fragmentation(before, after)
    assert found.before.fragmentation == pytest.approx(before.fragmentation)
    assert found.change == pytest.approx(after.fragmentation - before.fragmentation)


def test_more_tokens_than_there_are_or_none_are_refused() -> None:
    for number in (0, 5):
        with pytest.raises(InvalidDataError, match=f"num_tokens: {number} where 1 to 4"):
            rarefy(window_of([0, 0, 1, 1]), number)


def test_two_analyses_compare_at_the_size_of_the_smaller() -> None:
    labels = [[i % 3, i % 2] for i in range(60)]
    large = analysis_from_labels([f"t{i}" for i in range(60)], labels)
    small = analysis_from_labels([f"t{i}" for i in range(12)], labels[:12])
    found = compare_analyses(large, small).fragmentation
    assert found is not None
    assert (found.before.num_tokens, found.after.num_tokens) == (12, 12)
    assert found.before == rarefy(layer_window(large, 0, 1), 12)
    said = str(compare_analyses(large, small))
    assert "Fragmentation of layer_0 to layer_1, of 12 tokens: " in said
    assert compare_analyses(large, small).to_dict()["fragmentation"]["num_tokens"] == 12
    assert "Fragmentation" not in str(compare_analyses(large, large))
    turned = {**small, "layers": ["layer_1", "layer_0"]}
    assert compare_analyses(large, turned).fragmentation is None
