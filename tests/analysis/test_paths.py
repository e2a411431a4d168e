"""Aligned ids, path metrics and token paths."""

from __future__ import annotations

import doctest
import importlib
import math
import tracemalloc
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cosine, euclidean

from concept_fragmentation.analysis import (
    Analysis,
    InvalidAnalysisError,
    InvalidDataError,
    align_labels,
    analysis_from_labels,
    check_analysis,
    compute_token_paths,
    token_path_metrics,
    with_token_paths,
)

labels = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.integers(-1, 3)
)


# Alignment


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
def test_alignment_keeps_as_many_tokens_as_any_renaming_could(array: Any) -> None:
    aligned = align_labels(array).labels
    for layer in range(1, array.shape[1]):
        before, raw, after = aligned[:, layer - 1], array[:, layer], aligned[:, layer]
        both = (before != -1) & (raw != -1)
        clusters = sorted(set(raw[both].tolist()))
        names = sorted(set(before[both].tolist()))
        names += [10_000 + i for i in range(len(clusters))]
        best = max(
            (
                sum(
                    int(((before == name) & (raw == cluster))[both].sum())
                    for cluster, name in zip(clusters, chosen, strict=True)
                )
                for chosen in permutations(names, len(clusters))
            ),
            default=0,
        )
        assert int((before == after)[both].sum()) == best


def test_ids_that_only_were_shuffled_come_back() -> None:
    rng = np.random.default_rng(3)
    column = rng.integers(0, 6, 500)
    shuffled = np.stack([column] + [rng.permutation(6)[column] for _ in range(5)], axis=1)
    aligned = align_labels(shuffled)
    assert (aligned.labels == column[:, None]).all()
    assert aligned.num_clusters == 6


@pytest.mark.parametrize("num_clusters", [2, 12, 150])
def test_alignment_is_as_good_as_the_dense_assignment(num_clusters: int) -> None:
    rng = np.random.default_rng(num_clusters)
    array = rng.integers(-1, num_clusters, (2000, 3))
    aligned = align_labels(array).labels
    for layer in (1, 2):
        before, raw, after = aligned[:, layer - 1], array[:, layer], aligned[:, layer]
        both = (before != -1) & (raw != -1)
        overlap = np.zeros((before.max() + 1, num_clusters), dtype=int)
        np.add.at(overlap, (before[both], raw[both]), 1)
        best = overlap[linear_sum_assignment(overlap, maximize=True)].sum()
        assert int((before == after)[both].sum()) == best


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
def test_renaming_clusters_changes_no_path_metric_where_the_alignment_is_unique(seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.integers(-1, 4, (300, 4))
    for before, after in pairwise(array.T):
        overlap = np.zeros((4, 4), dtype=int)
        both = (before != -1) & (after != -1)
        np.add.at(overlap, (before[both], after[both]), 1)
        totals = sorted(overlap[range(4), list(order)].sum() for order in permutations(range(4)))
        assume(overlap.min() > 0)
        assume(totals[-1] > totals[-2])
    renamed = array.copy()
    for layer in range(4):
        names = np.append(rng.permutation(9)[:4], -1)  # the last is for -1
        renamed[:, layer] = names[array[:, layer]]
    metrics, again = (token_path_metrics(align_labels(a).labels) for a in (array, renamed))
    assert metrics.cluster_changes.tolist() == again.cluster_changes.tolist()
    assert metrics.mobility_score.tolist() == again.mobility_score.tolist()
    assert metrics.path_entropy == pytest.approx(again.path_entropy)


def test_a_cluster_that_overlaps_with_none_gets_an_id_of_its_own() -> None:
    aligned = align_labels(np.array([[0, 0, 0], [1, -1, 1], [-1, 1, 1]]))
    assert aligned.labels.tolist() == [[0, 0, 0], [1, -1, 2], [-1, 2, 2]]


# Metrics of a path


def entropy_of(path: list[int]) -> float:
    present = [cluster for cluster in path if cluster != -1]
    return float(scipy.stats.entropy(np.unique(present, return_counts=True)[1])) if present else 0.0


@given(labels)
def test_path_metrics_agree_with_going_along_each_path(array: Any) -> None:
    metrics = token_path_metrics(array)
    for i, path in enumerate(array.tolist()):
        pairs = [(a, b) for a, b in pairwise(path) if -1 not in (a, b)]
        changes = sum(a != b for a, b in pairs)
        assert metrics.cluster_changes[i] == changes
        assert metrics.mobility_score[i] == pytest.approx(changes / len(pairs) if pairs else 0)
        assert metrics.path_entropy[i] == pytest.approx(entropy_of(path), abs=1e-12)
    assert metrics.path_length is None
    assert metrics.cluster_ids_used == "aligned"


def test_hidden_states_give_length_and_angles() -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 3, (7, 4))
    states = [rng.normal(size=(7, 5)) for _ in range(4)]
    metrics = token_path_metrics(array, states)
    assert metrics.path_length is not None
    for i in range(7):
        steps = [(states[layer][i], states[layer + 1][i]) for layer in range(3)]
        assert metrics.path_length[i] == pytest.approx(sum(euclidean(a, b) for a, b in steps))
        angle = np.mean([math.acos(1 - cosine(a, b)) / math.pi for a, b in steps])
        rate = np.mean(array[i, 1:] != array[i, :-1])
        assert metrics.mobility_score[i] == pytest.approx((angle + rate) / 2)
        assert metrics.path_length_angular is not None
        assert metrics.path_length_angular[i] == pytest.approx(3 * math.pi * angle)
        scales = [np.median([np.linalg.norm(state[j]) for j in range(7)]) for state in states]
        scaled = [
            euclidean(a / scales[layer], b / scales[layer + 1])
            for layer, (a, b) in enumerate(steps)
        ]
        assert metrics.path_length_scaled is not None
        assert metrics.path_length_scaled[i] == pytest.approx(sum(scaled))


def test_norms_that_grow_with_depth_lengthen_the_euclidean_path_alone() -> None:
    rng = np.random.default_rng(2)
    same = rng.normal(size=(50, 8))
    grown = token_path_metrics(
        np.zeros((50, 4), dtype=int), [same * 2**layer for layer in range(4)]
    )
    assert grown.path_length == pytest.approx(7 * np.linalg.norm(same, axis=1))
    assert grown.path_length_scaled == pytest.approx(np.zeros(50), abs=1e-12)
    assert grown.path_length_angular == pytest.approx(np.zeros(50), abs=1e-6)
    # One token a thousand times as long decides no scale.
    outlier = [np.vstack([same, 1000 * same[:1]]) * 2**layer for layer in range(4)]
    with_outlier = token_path_metrics(np.zeros((51, 4), dtype=int), outlier)
    assert with_outlier.path_length_scaled == pytest.approx(np.zeros(51), abs=1e-9)


def test_a_quarter_turn_a_layer_is_a_path_of_half_pi_each() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    states = [
        np.array([[3.0, 0.0], [0.0, 1.0]]) @ np.linalg.matrix_power(turn, i) for i in range(5)
    ]
    metrics = token_path_metrics(np.zeros((2, 5), dtype=int), states)
    assert metrics.path_length_angular == pytest.approx([2 * math.pi] * 2)


def test_padding_has_no_length_and_moves_no_scale() -> None:
    rng = np.random.default_rng(3)
    tokens = [f"t{i}" for i in range(9)]
    states = {f"layer_{i}": rng.normal(size=(9, 4)) for i in range(3)}
    for state in states.values():
        state[5:] *= 1e6
    labels = rng.integers(0, 3, (9, 3))
    alone = analysis_from_labels(
        tokens[:5], labels[:5], hidden_states={name: state[:5] for name, state in states.items()}
    )
    padded = analysis_from_labels(tokens, labels, hidden_states=states)
    padded["token_metadata"]["attention_mask"] = [1] * 5 + [0] * 4
    paths, expected = compute_token_paths(padded), compute_token_paths(alone)
    for position in map(str, range(5)):
        assert list(paths[position]) == list(expected[position])
        for name in ("path_length", "path_length_scaled", "path_length_angular", "mobility_score"):
            assert paths[position][name] == pytest.approx(expected[position][name])
    for position in map(str, range(5, 9)):
        assert paths[position]["path_length"] is None
        assert paths[position]["path_length_scaled"] is None
        assert paths[position]["mobility_score"] == 0


def test_hidden_states_of_many_tokens_take_the_memory_of_some_thousand() -> None:
    states = [np.ones((50_000, 64), dtype=np.float32) for _ in range(3)]
    tracemalloc.start()
    metrics = token_path_metrics(np.zeros((50_000, 3), dtype=int), states)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert metrics.path_length == pytest.approx(np.zeros(50_000))
    # One layer as float64 is 26 MB.
    assert peak < 26e6


def test_mobility_does_not_depend_on_norms_and_stays_within_0_and_1() -> None:
    array = np.zeros((3, 3), dtype=np.int64)
    states = [np.array([[1.0, 0], [0, 0], [1, 1]]) * scale for scale in (1, 10, 100)]
    metrics = token_path_metrics(array, states)
    assert metrics.mobility_score == pytest.approx([0, 0, 0], abs=1e-7)
    opposite = [states[0], -states[0], states[0]]
    most = token_path_metrics(np.array([[0, 1, 0]] * 3), opposite).mobility_score
    assert most[0] == pytest.approx(1)
    assert (most <= 1).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble])
def test_every_float_type_gives_the_metrics_of_float64(kind: Any) -> None:
    rng = np.random.default_rng(1)
    array = rng.integers(0, 3, (6, 3))
    # Norms of about 3 million: in half precision, infinite.
    states = [(rng.normal(size=(6, 700)) * 10_000).astype(kind) for _ in range(3)]
    exact = token_path_metrics(array, [state.astype(np.float64) for state in states])
    metrics = token_path_metrics(array, states)
    assert metrics.path_length == pytest.approx(exact.path_length)
    assert metrics.mobility_score == pytest.approx(exact.mobility_score)


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ([np.ones((2, 5))] * 2, "hidden_states: 2 arrays for 3 layers"),
        (
            [np.ones((2, 5)), np.ones((1, 5)), np.ones((2, 5))],
            r"hidden_states\[1\]: shape \(1, 5\)",
        ),
        ([np.ones(2)] * 3, r"hidden_states\[0\]: shape \(2,\) for 2 tokens"),
    ],
)
def test_hidden_states_of_other_tokens_or_layers_are_refused(states: Any, problem: str) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        token_path_metrics(np.zeros((2, 3), dtype=np.int64), states)


def test_states_of_different_dimensions_give_no_length() -> None:
    metrics = token_path_metrics(np.array([[0, 1]]), [np.ones((1, 2)), np.ones((1, 3))])
    assert metrics.path_length is None
    assert metrics.path_length_scaled is None
    assert metrics.path_length_angular is None


# Examples


@pytest.mark.parametrize(
    "name",
    [
        "agreement",
        "alignment",
        "attention",
        "build",
        "checkpoints",
        "cluster_quality",
        "paths",
        "similarity",
        "typical",
        "validation",
        "windows",
    ],
)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"concept_fragmentation.analysis.{name}")
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


# Token paths


def test_token_paths_say_what_each_token_does(real_data: dict[str, Any], real: Analysis) -> None:
    before = list(real_data)
    paths = with_token_paths(real_data)["token_paths"]
    assert list(real_data) == before
    assert len(paths) == 10_000
    record = paths["5"]
    assert record["token_text"] == real_data["token_metadata"]["tokens"][5]
    assert record["cluster_path"] == [real_data["cluster_labels"][n][5] for n in real.layers]
    assert record["aligned_path"] == real.aligned.labels[5].tolist()
    assert record["path_length"] is None
    assert {type(value) for value in record.values()} <= {str, int, float, list, type(None)}
    check_analysis(with_token_paths(real_data))


def test_token_paths_need_labels() -> None:
    data = {"model_type": "gpt2", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}
    with pytest.raises(InvalidAnalysisError, match="cluster_labels"):
        compute_token_paths(data)


# Analyses from labels


def test_every_form_of_labels_gives_the_same_analysis() -> None:
    rows = [[0, 1], [0, 2], [-1, 2]]
    tokens = ["a", "b", "c"]
    expected = analysis_from_labels(tokens, rows, layers=["x", "y"])
    columns = {"x": [0, 0, -1], "y": [1, 2, 2]}
    for form in (
        np.array(rows),
        columns,
        pd.DataFrame(columns),
        pd.DataFrame(columns, dtype=float),
    ):
        names = None if form is not rows and not isinstance(form, np.ndarray) else ["x", "y"]
        assert analysis_from_labels(pd.Series(tokens), form, layers=names) == expected
    assert analysis_from_labels(np.array(tokens), rows, layers=["x", "y"]) == expected
    assert analysis_from_labels(tokens, np.array(rows, dtype=float), layers=["x", "y"]) == expected
    assert expected["cluster_labels"] == columns
    assert expected["token_metadata"] == {"tokens": tokens, "positions": [0, 1, 2]}


def test_layers_keep_the_order_in_which_they_are_listed() -> None:
    rows = np.arange(12)[None, :]
    analysis = Analysis.from_dict(analysis_from_labels(["a"], rows))
    assert analysis.labelled_layers == tuple(f"layer_{i}" for i in range(12))
    assert analysis.labels.tolist() == [list(range(12))]
    backwards = {f"layer_{i}": [i] for i in (10, 9, 0)}
    assert Analysis.from_dict(analysis_from_labels(["a"], backwards)).labels.tolist() == [
        [10, 9, 0]
    ]


def test_everything_given_is_kept() -> None:
    states = {"layer_0": np.ones((2, 3)), "layer_1": np.zeros((2, 3))}
    made = analysis_from_labels(
        ["a", "b"],
        [[0, 1], [1, 1]],
        model_type="mine",
        positions=[7, 9],
        token_ids=np.array([3, 4]),
        hidden_states=states,
        attention_data={"layer_0": {"entropy": 0.5}},
        cluster_metrics={"layer_1": {"purity": 1.0}},
    )
    assert made["token_paths"]["9"]["path_length"] == pytest.approx(math.sqrt(3))
    analysis = Analysis.from_dict(made)
    assert analysis.model_type == "mine"
    assert analysis.token_ids is not None
    assert analysis.token_ids.tolist() == [3, 4]
    assert analysis.attention["layer_0"]["entropy"] == 0.5
    assert analysis.cluster_metrics["layer_1"]["purity"] == 1.0


@pytest.mark.parametrize(
    ("tokens", "rows", "options", "problem"),
    [
        (["a"], [[0], [1]], {}, "2 labels for 1 tokens"),
        (["a", "b"], [0, 1], {}, "shape"),
        (["a", "b"], [[0], [1, 2]], {}, "different lengths"),
        (["a"], [[0, 1]], {"layers": ["x"]}, "1 names for the 2 columns"),
        (["a"], [[-2]], {}, "-2 is less than -1"),
        (["a"], [[0.5]], {}, "whole number"),
        (["a"], {"x": [0]}, {"layers": ["y"]}, "no layer of that name"),
        (["a"], {"x": [[0], [0, 1]]}, {}, "labels.x: the rows have different lengths"),
        (["a"], {"x": [1e300]}, {}, "whole number"),
        (["a"], {"x": [math.nan]}, {}, "whole number"),
        (["a"], {1: [0], "1": [0]}, {}, "the layer '1' is there twice"),
        (["a"], pd.DataFrame([[1, 2]], columns=["x", "x"]), {}, "the layer 'x' is there twice"),
        (["a"], [[0]], {"positions": [[1], [1, 2]]}, "positions: the rows have different lengths"),
        (["a"], [[0]], {"hidden_states": {"layer_0": [[1], [1, 2]]}}, "an array of numbers"),
        ([1], [[0]], {}, "a string is needed"),
        (["a"], [[0]], {"hidden_states": {"layer_0": np.ones((2, 2))}}, "2 rows for 1 tokens"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tokens: Any, rows: Any, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidAnalysisError, match=problem):
        analysis_from_labels(tokens, rows, **options)
