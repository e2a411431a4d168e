from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    analysis_from_labels,
    layer_window,
    window_significance,
)
from concept_fragmentation.analysis.significance import NO_MEMORY
from concept_fragmentation.components.floors import WHY_NO_FLOOR
from concept_fragmentation.components.standouts import (
    categories_of_all_layers,
    significance_of_all_layers,
    standouts,
)

Build = Callable[..., tuple[Analysis, LayerWindow]]


def test_the_largest_path_the_mobile_and_where_paths_part_and_join_are_said(build: Build) -> None:
    labels = [[0, 0, 0]] * 6 + [[0, 0, 1]] * 3 + [[1, 1, 1]] * 5
    said = standouts(*build(labels, tokens=[f" w{i}" for i in range(14)]))
    assert said == [
        "The most frequent path is that of 6 of 14 tokens (42.9%): 0 → 0 → 0, such as “·w0”, "
        "“·w1”, “·w2” and “·w3”; 3 paths in all.",
        "Most mobile: “·w6”, “·w7” and “·w8”, with 1 cluster change in 2 steps.",
        "Least mobile: “·w0”, “·w1”, “·w2”, “·w3” and 7 more, with 0 cluster changes.",
        "Paths part most from layer_1 to layer_2: 39% of the pairs of tokens that were in one "
        "cluster no longer are.",
        "Paths join most from layer_1 to layer_2: 33% of the pairs of tokens that were apart are "
        "in one cluster.",
        WHY_NO_FLOOR,
    ]


def test_a_window_is_spoken_of_alone(build: Build) -> None:
    analysis, _ = build([[0, 0, 0]] * 3 + [[1, 1, 0]] * 3)
    said = " ".join(standouts(analysis, layer_window(analysis, 0, 1)))
    assert "layer_2" not in said
    assert "equally mobile" in said
    assert "part most" not in said


def said_of(significance: dict[str, Any]) -> list[str]:
    data = analysis_from_labels(["a"], [[0]]) | {"significance": significance}
    return significance_of_all_layers(Analysis.from_dict(data))


def test_what_the_test_of_memory_found_is_said_with_its_interval() -> None:
    first = [i % 2 for i in range(40)]
    data = analysis_from_labels([f"t{i}" for i in range(40)], [[a, 0, a] for a in first])
    fragmentation, concentration, agreement = said_of(
        window_significance(data, 0, 2, permutations=199).to_dict()
    )
    assert fragmentation.startswith(
        "Fragmentation of all layers is 0.500 where paths of the same steps that remember one "
        "layer only have 0.9"
    )
    assert ": a difference of -0.4" in fragmentation
    assert " [-0.5" in fragmentation
    assert "(p = 0.03, corrected for 3 tests, 199 permutations)." in fragmentation
    assert concentration.startswith("The share of the most frequent path through all layers is 0.5")
    assert agreement.startswith("The agreement of the first and the last layer")


def test_a_test_that_finds_nothing_does_not_say_that_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    data = analysis_from_labels([f"t{i}" for i in range(80)], rng.integers(0, 3, (80, 4)))
    said = said_of(window_significance(data, 0, 3, permutations=99).to_dict())
    assert all("the test can't tell them apart, nor does it say alike" in line for line in said)
    assert not any("no effect" in line or "by chance" in line for line in said)


def test_that_two_layers_have_no_memory_to_test_is_said() -> None:
    data = analysis_from_labels(["a", "b"], [[0, 0], [1, 1]])
    assert said_of(window_significance(data, 0, 1, permutations=9).to_dict()) == [NO_MEMORY]


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


def test_tests_of_earlier_versions_are_shown_under_the_name_of_their_null() -> None:
    kept = {"observed": 0.4, "null_mean": 0.9, "p_value": 0.002}
    assert said_of({"num_permutations": 1000, "fragmentation": kept, "convergence": kept}) == [
        "Fragmentation of all layers is 0.400 where layers that are shuffled, each by itself, have "
        "0.900: a difference of -0.500 (p = 0.002, 1,000 permutations).",
        "Convergence of all layers, the lower the more the first and the last agree, is 0.400 "
        "where layers that are shuffled, each by itself, have 0.900: a difference of -0.500 "
        "(p = 0.002, 1,000 permutations).",
    ]
    assert said_of({"num_permutations": 9, "null": "unheard of", "fragmentation": kept}) == []


def categories_of(kept: dict[str, Any]) -> list[str]:
    data = analysis_from_labels(["a"], [[0]]) | {"category_association": kept}
    return categories_of_all_layers(Analysis.from_dict(data))


def test_how_far_categories_and_paths_go_together_is_said_beside_dealt_ones() -> None:
    numbers = {"null_mean": 0.7, "null_low": 0.5, "null_high": 0.9}
    by_category = [
        {"category": "verb", "fragmentation": 0.6} | numbers,
        {"category": "noun", "fragmentation": 0.25} | numbers,
        {"category": "odd", "fragmentation": None} | numbers,
    ]
    kept = {"cramers_v": 0.4, "cramers_v_null": 0.3, "p_adjusted": 0.008}
    assert categories_of({"kind": kept | {"by_category": by_category}}) == [
        "Categories “kind” and paths: Cramér's V 0.40 where categories that are dealt anew to the "
        "words have 0.30 (p = 0.008, corrected for all tests).",
        "Off the path that most of its category take: least 25% of “noun” (dealt anew 70%, in 95 % "
        "of cases 50% to 90%), most 60% of “verb” (dealt anew 70%, in 95 % of cases 50% to 90%).",
    ]


def test_of_categories_that_earlier_versions_tested_no_p_value_is_said() -> None:
    (said,) = categories_of({"kind": {"cramers_v": 0.4, "p_value": 0.001}})
    assert "0.001" not in said
    assert "tested as if no word came twice" in said
    for odd in ({"kind": None}, {"kind": {}}, {"kind": {"by_category": [3]}}, {}):
        assert categories_of(odd) == []
