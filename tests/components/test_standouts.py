from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    analysis_from_labels,
    layer_window,
    window_significance,
)
from concept_fragmentation.components.standouts import significance_of_all_layers, standouts

Build = Callable[..., tuple[Analysis, LayerWindow]]


def test_the_largest_path_the_mobile_and_where_paths_part_and_join_are_said(build: Build) -> None:
    labels = [[0, 0, 0]] * 6 + [[0, 0, 1]] * 3 + [[1, 1, 1]] * 5
    said = standouts(*build(labels, tokens=[f" w{i}" for i in range(14)]))
    assert said == [
        "Most tokens on one path: 6 tokens (42.9%) go 0 → 0 → 0, such as “·w0”, “·w1”, “·w2” and "
        "“·w3”; 3 paths in all.",
        "Most mobile: “·w6”, “·w7” and “·w8”, with 1 cluster change in 2 steps.",
        "Least mobile: “·w0”, “·w1”, “·w2”, “·w3” and 7 more, with 0 cluster changes.",
        "Paths part most from layer_1 to layer_2: 39% of the pairs of tokens that were in one "
        "cluster no longer are.",
        "Paths join most from layer_1 to layer_2: 33% of the pairs of tokens that were apart are "
        "in one cluster.",
    ]


def test_a_window_is_spoken_of_alone(build: Build) -> None:
    analysis, _ = build([[0, 0, 0]] * 3 + [[1, 1, 0]] * 3)
    said = " ".join(standouts(analysis, layer_window(analysis, 0, 1)))
    assert "layer_2" not in said
    assert "equally mobile" in said
    assert "part most" not in said


def test_significance_is_said_where_it_was_tested(build: Build) -> None:
    analysis, window = build([[0, 0]] * 20 + [[1, 1]] * 20)
    tested = window_significance(analysis, 0, 1, permutations=99)
    said = " ".join(standouts(analysis, window, tested))
    assert "Fragmentation is lower than by chance" in said
    assert "99 permutations" in said
    shuffled, other = build([[i % 2, i // 2 % 2] for i in range(40)])
    tested = window_significance(shuffled, 0, 1, permutations=99)
    assert "no other than by chance" in " ".join(standouts(shuffled, other, tested))


def test_where_each_token_has_its_own_path_or_none_that_is_said(build: Build) -> None:
    assert standouts(*build([[0, 0], [1, 1]]))[0] == "Every token takes a path of its own."
    for labels in ([[0], [1]], [[0, -1]]):
        (said,) = standouts(*build(labels))
        assert said.startswith("Too few")


def test_tokens_and_layers_are_shown_as_themselves(build: Build) -> None:
    labels = [[0, 0]] * 2 + [[1, 0]] * 2
    said = " ".join(
        standouts(*build(labels, tokens=["\n", "\u202e", "<b>", "a"], layers=["x\n", "y"]))
    )
    assert "“↵”" in said
    assert "\n" not in said
    assert "\u202e" not in said


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"num_permutations": 9, "fragmentation": None},
        {"num_permutations": 9, "fragmentation": {"observed": "x"}},
        {"num_permutations": 9, "fragmentation": {"observed": float("nan")}},
        {"num_permutations": "9", "fragmentation": {}},
    ],
)
def test_of_tests_that_an_analysis_does_not_keep_nothing_is_said(kept: dict[str, Any]) -> None:
    data = analysis_from_labels(["a"], [[0]]) | {"significance": kept}
    assert significance_of_all_layers(Analysis.from_dict(data)) == []


def test_of_tests_that_an_analysis_keeps_the_outcome_is_said() -> None:
    kept = {"observed": 0.4, "null_mean": 0.9, "p_value": 0.002}
    data = analysis_from_labels(["a"], [[0]])
    data["significance"] = {"num_permutations": 1000, "fragmentation": kept}
    assert significance_of_all_layers(Analysis.from_dict(data)) == [
        "Fragmentation of all layers is lower than by chance: 0.400 where shuffled layers give "
        "0.900 (p = 0.002, 1,000 permutations)."
    ]
