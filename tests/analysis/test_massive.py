"""Positions with massive activations: what they would do, and that they no longer do it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    InvalidAnalysisError,
    analysis_from_labels,
    cka_matrix,
    find_massive,
    find_problems,
    principal_plane,
    token_path_metrics,
    window_significance,
)
from concept_fragmentation.analysis.clustering import Clusterer
from concept_fragmentation.analysis.massive import MASSIVE_MULTIPLE, MASSIVE_SHARE
from concept_fragmentation.components.figures.concept_data import state_map_frame
from concept_fragmentation.components.figures.concepts import similarity_of, state_map

TOKENS, LAYERS, WIDTH = 200, 4, 32
PLANTED = 77


def gaussian(seed: int, tokens: int = TOKENS) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(LAYERS, tokens, WIDTH)))


def planted() -> list[np.ndarray]:
    """Return three clusters in every layer, and one state a hundred times as long in layer 2."""
    states = gaussian(0)
    for layer in states:
        layer[np.arange(TOKENS), np.arange(TOKENS) % 3] += 15
    states[2][PLANTED] *= 100
    return states


def starts(tokens: int) -> np.ndarray:
    return np.arange(tokens) == 0


def labelled(states: list[np.ndarray], labels: np.ndarray | None = None, **options: Any) -> Any:
    of_all = np.tile(np.arange(TOKENS) % 3, (LAYERS, 1)).T if labels is None else labels
    tokens = [f"t{i}" for i in range(len(of_all))]
    return analysis_from_labels(tokens, of_all, hidden_states=states, **options)


@pytest.fixture(scope="module")
def ordinary() -> np.ndarray:
    mask = find_massive(planted(), starts=starts(TOKENS)).mask(TOKENS)
    assert np.flatnonzero(mask).tolist() == [0, PLANTED]
    return ~mask


@pytest.mark.parametrize("tokens", [10, 200, 10_000])
@pytest.mark.parametrize("stretched", [1, 30])
def test_gaussian_states_lose_nothing_but_the_start(tokens: int, stretched: float) -> None:
    states = gaussian(tokens, tokens)
    for layer in states:
        # A covariance with few large dimensions and a mean, as hidden states have.
        layer[:, :8] *= stretched
        layer[:, 8:] += 0.5 * stretched
    found = find_massive(states, starts=starts(tokens))
    assert found.starts.tolist() == [0]
    assert not len(found.special_tokens)
    assert not len(found.large_norms)


def test_what_is_massive_in_one_layer_is_set_aside_in_all(ordinary: np.ndarray) -> None:
    made = labelled(planted())
    assert made["set_aside"] == {
        "starts": [0],
        "special_tokens": [],
        "large_norms": [PLANTED],
        "multiple": MASSIVE_MULTIPLE,
        "share": MASSIVE_SHARE,
    }
    assert np.array_equal(Analysis.from_dict(made).ordinary, ordinary)


def test_a_group_of_large_norms_is_no_exception() -> None:
    states = gaussian(1)
    states[1][:40] *= 20
    assert not len(find_massive(states, starts=starts(TOKENS)).large_norms)


def test_the_few_of_a_short_text_and_of_layers_of_zeros() -> None:
    states = gaussian(2, 10)
    states[0][:] = 0
    states[0][3] = 1
    states[1][6] *= 100
    assert find_massive(states, starts=starts(10)).large_norms.tolist() == [6]


def test_padding_is_no_start_and_moves_no_median() -> None:
    states = np.stack(planted())
    padded = np.concatenate([np.full((LAYERS, 300, WIDTH), 1e6), states], axis=1)
    labels = np.zeros((TOKENS + 300, LAYERS), dtype=int)
    mask = [0] * 300 + [1] * TOKENS
    made = labelled(list(padded), labels, attention_mask=mask)
    assert made["set_aside"]["starts"] == [300]
    assert made["set_aside"]["large_norms"] == [300 + PLANTED]


def test_kmeans_is_that_without_the_token(ordinary: np.ndarray) -> None:
    layer, told = planted()[2], list[float]()
    with_it = Clusterer("auto").cluster("x", layer, told.append)
    without = Clusterer("auto").cluster("x", layer[ordinary], told.append)
    assert len(set(with_it.labels)) == 2
    assert max((with_it.silhouette_by_k or {}).values()) > 0.95
    assert len(set(without.labels)) == 3
    by_group = [set(without.labels[np.arange(TOKENS)[ordinary] % 3 == i]) for i in range(3)]
    assert all(len(found) == 1 for found in by_group)


def test_similarity_and_map_and_lengths_are_those_without_the_token(ordinary: np.ndarray) -> None:
    states = planted()
    analysis = Analysis.from_dict(labelled(states))
    left = [layer[ordinary] for layer in states]
    found = similarity_of(analysis, "cka")
    assert found is not None
    np.testing.assert_allclose(found[1], cka_matrix(left, debiased=True), atol=1e-6)
    assert abs(found[1][1, 2] - cka_matrix(states, debiased=True)[1, 2]) > 0.5

    plane = principal_plane(states[2], fitted=analysis.ordinary)
    without = principal_plane(left[2])
    np.testing.assert_allclose(plane.coordinates[ordinary], without.coordinates, atol=1e-6)
    drawn = state_map(analysis, 2, plane)
    assert not {0, PLANTED} & set(drawn.data[0].customdata)
    assert "198 tokens, 2 set aside" in drawn.layout.title.text + str(drawn.layout.title)
    frame = state_map_frame(analysis, 2, plane)
    assert frame["first_component"].isna().tolist() == (~ordinary).tolist()

    metrics = analysis.token_metrics
    alone = token_path_metrics(analysis.aligned.labels[ordinary], left)
    for name in ("path_length", "path_length_scaled", "path_length_angular", "mobility_score"):
        values = getattr(metrics, name)
        np.testing.assert_allclose(values[ordinary], getattr(alone, name), rtol=1e-12)
        assert np.isnan(values[~ordinary]).all()


def test_supplied_labels_stay_and_tests_leave_the_token_out(ordinary: np.ndarray) -> None:
    labels = np.random.default_rng(3).integers(0, 3, (TOKENS, LAYERS))
    made = labelled(planted(), labels)
    assert np.array_equal(np.transpose(list(made["cluster_labels"].values())), labels)
    assert made["token_paths"][str(PLANTED)]["cluster_path"] == labels[PLANTED].tolist()
    assert made["token_paths"][str(PLANTED)]["mobility_score"] is None
    tested = window_significance(made, 0, 3, permutations=20).fragmentation
    left = [layer[ordinary] for layer in planted()]
    without = labelled(left, labels[ordinary], keep_massive=True)
    alone = window_significance(without, 0, 3, permutations=20).fragmentation
    kept = labelled(planted(), labels, keep_massive=True)
    assert tested.observed == alone.observed
    assert np.array_equal(tested.null, alone.null)
    all_in = window_significance(kept, 0, 3, permutations=20).fragmentation
    assert tested.observed != all_in.observed
    assert "set_aside" not in kept
    assert Analysis.from_dict(kept).ordinary.all()


def test_an_analysis_that_names_none_sets_none_aside() -> None:
    made = labelled(planted())
    del made["set_aside"]
    assert Analysis.from_dict(made).ordinary.all()


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ([0], "set_aside: a dict is needed"),
        ({"starts": 3}, "set_aside.starts: a list of indices"),
        ({"large_norms": [1, TOKENS]}, f"set_aside.large_norms: the index {TOKENS} of {TOKENS}"),
        ({"special_tokens": [-1]}, "set_aside.special_tokens: -1 is less than 0"),
        ({"starts": ["a"]}, r"set_aside.starts\[0\]: a whole number"),
    ],
)
def test_a_record_that_names_no_tokens_is_refused(record: Any, problem: str) -> None:
    data = labelled(planted()) | {"set_aside": record}
    assert len(find_problems(data)) == 1
    with pytest.raises(InvalidAnalysisError, match=problem):
        Analysis.from_dict(data)
