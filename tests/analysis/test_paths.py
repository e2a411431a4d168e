"""Path metrics and token paths."""

from __future__ import annotations

import doctest
import importlib
import math
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
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


# Metrics of a path


def entropy_of(array: Any, token: int) -> float:
    """Return the similarity-sensitive entropy of a token's clusters, by sets of tokens."""
    members = [
        {i for i, cluster in enumerate(column) if cluster == column[token]}
        for column in np.asarray(array).T.tolist()
        if column[token] != -1
    ]
    alike = [np.mean([len(a & b) / len(a | b) for b in members]) for a in members]
    return -float(np.mean(np.log(alike))) if alike else 0.0


@given(labels)
def test_path_metrics_agree_with_going_along_each_path(array: Any) -> None:
    metrics = token_path_metrics(array)
    for i, path in enumerate(array.tolist()):
        pairs = [(a, b) for a, b in pairwise(path) if -1 not in (a, b)]
        changes = sum(a != b for a, b in pairs)
        assert metrics.cluster_changes[i] == changes
        assert metrics.mobility_score[i] == pytest.approx(changes / len(pairs) if pairs else 0)
        assert metrics.path_entropy[i] == pytest.approx(entropy_of(array, i), abs=1e-12)
    assert metrics.path_length is None
    assert metrics.cluster_ids_used == "aligned"


def test_the_entropy_of_ten_tokens_is_that_of_the_formula_by_hand() -> None:
    array = np.zeros((10, 3), dtype=np.int64)
    array[5:, 2] = 1
    # Layers 0 and 1 hold all ten, layer 2 five of them: J is 1 and 1/2.
    expected = -(2 * math.log((1 + 1 + 0.5) / 3) + math.log((1 + 0.5 + 0.5) / 3)) / 3
    assert token_path_metrics(array).path_entropy == pytest.approx([expected] * 10)


@given(labels, st.integers(0, 2**32 - 1))
def test_renaming_the_clusters_of_a_layer_changes_no_entropy(array: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    renamed = np.stack([np.append(rng.permutation(9)[:4], -1)[c] for c in array.T], axis=1)
    entropy, again, aligned = (
        token_path_metrics(of).path_entropy for of in (array, renamed, align_labels(array).labels)
    )
    assert entropy == pytest.approx(again, abs=1e-12)
    assert entropy == pytest.approx(aligned, abs=1e-12)


def test_one_layer_again_and_again_has_no_entropy() -> None:
    column = np.random.default_rng(0).integers(-1, 7, 500)
    names = np.append(np.random.default_rng(1).permutation(7), -1)
    same = np.stack([column, names[column], column, column], axis=1)
    assert token_path_metrics(same).path_entropy.tolist() == [0.0] * 500


def test_shuffled_layers_have_the_entropy_of_clusters_that_overlap_by_chance() -> None:
    rng = np.random.default_rng(0)
    column = np.repeat(np.arange(5), 1000)
    entropy = token_path_metrics(
        np.stack([rng.permutation(column) for _ in range(6)], axis=1)
    ).path_entropy
    # Two clusters of a fifth each share 1/25 of the tokens: J is 1/25 by 9/25.
    assert entropy == pytest.approx(np.full(5000, -math.log((1 + 5 / 9) / 6)), rel=0.03)


def test_clusters_that_share_one_token_have_nearly_the_entropy_of_shannon() -> None:
    size = 4000
    array = np.empty((1 + 2 * size, 4), dtype=np.int64)
    array[0] = [0, 0, 0, 1]
    # Others never change: token 0 is with half of them in three layers, and with the rest in one.
    array[1 : size + 1], array[size + 1 :] = 0, 1
    entropy = token_path_metrics(array).path_entropy
    assert entropy[0] == pytest.approx(scipy.stats.entropy([3, 1]), rel=0.002)
    assert entropy[0] < scipy.stats.entropy([3, 1])


def test_as_many_clusters_as_tokens_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    array = np.stack([rng.permutation(5_000) for _ in range(4)], axis=1)
    tracemalloc.start()
    entropy = token_path_metrics(array).path_entropy
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert entropy.tolist() == [0.0] * 5_000
    # A table of all pairs of clusters is 200 MB.
    assert peak < 20e6


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
