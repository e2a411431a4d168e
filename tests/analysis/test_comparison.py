"""What changed between two analyses."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import (
    InvalidAnalysisError,
    compare_analyses,
    with_token_paths,
)


def analysis(tokens: list[str], **labels: list[int]) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "layers": list(labels),
        "token_metadata": {"tokens": tokens},
        "cluster_labels": labels,
    }


FOUR = analysis(["a", "b", "c", "d"], first=[0, 0, 1, 1], second=[2, 2, 2, 3])


@pytest.mark.slow
def test_an_analysis_equals_itself(real_data: dict[str, Any]) -> None:
    data = with_token_paths(real_data)
    found = compare_analyses(data, copy.deepcopy(data))
    assert found.identical
    assert not found.keys
    assert not found.metrics
    assert not any(found.labels)
    assert found.tokens.num_added == found.tokens.num_removed == 0
    assert repr(found) == "The analyses are equal."


def test_other_numbers_for_the_same_clusters_move_nobody() -> None:
    other = analysis(["a", "b", "c", "d"], first=[7, 7, 4, 4], second=[0, 0, 0, 1])
    found = compare_analyses(FOUR, other)
    assert not found.identical
    assert found.keys.changed == ("cluster_labels.first", "cluster_labels.second")
    assert [dict(layer.matches) for layer in found.labels] == [{0: 7, 1: 4}, {2: 0, 3: 1}]
    assert not any(found.labels)


def test_tokens_that_leave_their_cluster_are_named() -> None:
    other = analysis(["a", "b", "c", "d"], first=[1, 1, 0, 1], second=[5, 5, -1, 6])
    first, second = compare_analyses(FOUR, other).labels
    assert dict(first.matches) == {0: 1, 1: 0}
    assert first.moved.tolist() == [3]
    assert first.share_moved == 0.25
    assert second.moved.tolist() == [2]


def test_a_cluster_that_splits_leaves_a_new_one() -> None:
    other = analysis(["a", "b", "c", "d"], first=[0, 1, 2, 2], second=[2, 2, 2, 3])
    first, second = compare_analyses(FOUR, other).labels
    assert len(first.only_after) == 1
    assert first.only_before == ()
    assert len(first.moved) == 1
    assert not second


def test_tokens_are_paired_before_their_clusters_are_compared() -> None:
    other = analysis(["x", "a", "b", "d", "e"], first=[9, 0, 0, 1, 1], second=[2, 2, 2, 3, 3])
    found = compare_analyses(FOUR, other)
    assert found.tokens.kept_before.tolist() == [0, 1, 3]
    assert found.tokens.kept_after.tolist() == [1, 2, 3]
    assert (found.tokens.num_removed, found.tokens.num_added) == (1, 2)
    assert [layer.num_compared for layer in found.labels] == [3, 3]
    assert not any(len(layer.moved) for layer in found.labels)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
)
def test_paired_tokens_are_the_same_and_in_order(before: list[str], after: list[str]) -> None:
    found = compare_analyses(
        analysis(before, layer=[0] * len(before)), analysis(after, layer=[0] * len(after))
    ).tokens
    pairs = list(zip(found.kept_before.tolist(), found.kept_after.tolist(), strict=True))
    assert all(before[old] == after[new] for old, new in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    if before == after:
        assert len(pairs) == len(before)


@given(st.permutations(range(10)), st.integers(0, 11))
def test_a_permutation_of_the_ids_is_undone(
    real_data: dict[str, Any], order: list[int], layer: int
) -> None:
    name = real_data["layers"][layer]
    renamed = [order[label] for label in real_data["cluster_labels"][name][:500]]
    before = analysis(["t"] * 500, layer=real_data["cluster_labels"][name][:500])
    after = analysis(["t"] * 500, layer=renamed)
    (found,) = compare_analyses(before, after).labels
    assert not found
    assert all(order[old] == new for old, new in found.matches.items())


def test_metrics_say_by_how_much_they_changed() -> None:
    attention = np.zeros((2, 4, 4), np.float32)
    before = FOUR | {
        "cluster_metrics": {"first": {"purity": 0.5, "silhouette": float("nan")}},
        "attention_data": {"first": {"attention_probs": attention, "entropy": [1.0, 2.0]}},
        "notes": "old",
    }
    later = attention.copy()
    later[1, 2, 0] = 0.5
    after = FOUR | {
        "cluster_metrics": {
            "first": {"purity": 0.75, "silhouette": float("nan")},
            "second": {"purity": 1},
        },
        "attention_data": {"first": {"attention_probs": later, "entropy": [1.0, 2.0, 3.0]}},
        "fresh": 1,
    }
    found = compare_analyses(before, after, {"name": "a", "tags": ["x"]}, {"name": "b"})
    metrics = {metric.path: metric for metric in found.metrics}
    assert list(metrics) == [
        "cluster_metrics.first.purity",
        "cluster_metrics.second.purity",
        "attention_data.first.attention_probs",
        "attention_data.first.entropy",
    ]
    assert metrics["cluster_metrics.first.purity"].change == 0.25
    assert metrics["cluster_metrics.second.purity"].before is None
    assert metrics["attention_data.first.attention_probs"].largest == 0.5
    assert metrics["attention_data.first.entropy"].largest is None
    assert metrics["attention_data.first.entropy"].change == 0.5
    assert found.keys.removed == ("notes",)
    assert found.keys.added == ("cluster_metrics.second", "fresh")
    assert found.metadata.changed == ("name",)
    assert found.metadata.removed == ("tags",)
    text = repr(found)
    assert "cluster_metrics.first.purity: 0.5 -> 0.75, by 0.25 at most" in text
    assert "Metadata changed: name" in text
    json.dumps(found.to_dict(), allow_nan=False)


def test_token_metrics_are_compared_token_by_token() -> None:
    before = with_token_paths(FOUR)
    after = with_token_paths(
        analysis(["b", "c", "d", "e"], first=[0, 1, 1, 1], second=[2, 2, 3, 3])
    )
    after["token_paths"]["1"]["mobility_score"] += 0.125
    found = {m.path: m for m in compare_analyses(before, after).metrics}
    changes = found["token_paths.mobility_score"]
    assert changes.largest == pytest.approx(0.125)


def test_an_array_equals_the_list_of_its_numbers() -> None:
    before = FOUR | {"cluster_labels": {k: np.array(v) for k, v in FOUR["cluster_labels"].items()}}
    assert compare_analyses(before, FOUR).identical


def test_layers_and_labels_may_be_missing() -> None:
    bare = {"model_type": "gpt2", "layers": ["first"], "token_metadata": {"tokens": ["a"]}}
    found = compare_analyses(FOUR, bare)
    assert found.labels == ()
    assert found.tokens.num_removed == 3
    assert found.keys.removed == ("cluster_labels.first", "cluster_labels.second")


def test_an_inconsistent_analysis_is_refused() -> None:
    with pytest.raises(InvalidAnalysisError, match="layers"):
        compare_analyses(FOUR, {"model_type": "gpt2", "token_metadata": {"tokens": []}})


RUN: dict[str, Any] = {
    "model": {"name": "tiny", "weights_blake3": "a", "device": "cpu"},
    "options": {"seed": 0, "revision": None},
    "libraries": {"numpy": "2.0"},
    "started": "2026-01-01T00:00:00+00:00",
    "duration_seconds": 1.5,
}


def test_what_a_repetition_of_a_run_changes_is_listed_apart() -> None:
    again = copy.deepcopy(RUN)
    again["model"]["device"] = "cuda:0"
    again["options"]["revision"] = "main"
    again |= {"libraries": {"numpy": "2.1"}, "started": "2027", "num_cpus": 8}
    found = compare_analyses(
        FOUR | {"provenance": RUN}, FOUR | {"provenance": again}, {"name": "a", "provenance": RUN}
    )
    assert found.identical
    assert not found.keys
    assert found.surroundings.added == ("provenance.num_cpus",)
    assert found.surroundings.changed == (
        "provenance.model.device",
        "provenance.options.revision",
        "provenance.libraries",
        "provenance.started",
    )
    assert "provenance.started" not in found.metadata.removed
    assert found.to_dict()["surroundings"]["added"] == ("provenance.num_cpus",)
    assert "Expected to differ between runs, added: provenance.num_cpus" in repr(found)


def test_another_model_or_another_option_is_a_difference() -> None:
    for part, key, value in (("model", "weights_blake3", "b"), ("options", "seed", 1)):
        other = copy.deepcopy(RUN)
        other[part][key] = value
        found = compare_analyses(FOUR | {"provenance": RUN}, FOUR | {"provenance": other})
        assert not found.identical
        assert found.keys.changed == (f"provenance.{part}.{key}",)
        assert not found.surroundings
