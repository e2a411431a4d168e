"""What an analysis may look like, and what is wrong with one that may not."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.analysis import (
    Analysis,
    InvalidAnalysisError,
    attention_statistics,
    check_analysis,
    find_problems,
    layer_window,
    with_token_paths,
)

GOOD: dict[str, Any] = {
    "model_type": "gpt2",
    "layers": ["layer_0", "layer_1"],
    "token_metadata": {
        "tokens": ["a", "b", "c"],
        "positions": [0, 1, 2],
        "token_ids": [5, 6, 7],
        "attention_mask": [1, 1, 0],
        "unknown": "kept",
    },
    "token_paths": {"0": {"token_text": "a", "position": 0, "cluster_path": [0, 1]}},
    "cluster_labels": {"layer_0": [0, 1, 0], "layer_1": [1, 1, -1]},
    "attention_data": {"layer_0": {"num_heads": 2, "attention_probs": np.zeros((2, 3, 3))}},
    "cluster_metrics": {"layer_0": {"purity": 0.5}},
    "hidden_states": {"layer_0": np.zeros((3, 4))},
    "unknown": object(),
}


def changed(path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = data
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


def test_a_consistent_analysis_has_no_problems() -> None:
    assert find_problems(GOOD) == []
    tokens = {"tokens": ["\ud800", "", "\0", " x"]}
    least = {"model_type": "x", "layers": ["a"], "token_metadata": tokens}
    assert find_problems(least) == []
    arrays = changed("cluster_labels/layer_0", np.array([0, 1, 0], dtype=np.uint8))
    assert find_problems(arrays) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("model_type", ..., "model_type: a string is needed, not None"),
        ("layers", ..., "layers: a list of layer names is needed"),
        ("layers", [], "layers: at least one layer is needed"),
        (
            "layers",
            ["layer_0", "layer_1", "layer_0"],
            "layers[2]: the layer 'layer_0' is listed twice",
        ),
        ("layers", ["layer_0", 1], "layers[1]: a string is needed, not 1"),
        ("token_metadata", ..., "token_metadata: a dict"),
        ("token_metadata/tokens", ..., "token_metadata.tokens: a list of strings"),
        ("token_metadata/tokens", "abc", "token_metadata.tokens: a list of strings"),
        ("token_metadata/tokens", ["a", None, "c"], "token_metadata.tokens[1]: a string is needed"),
        ("token_metadata/positions", [0, 1], "token_metadata.positions: 2 entries for 3 tokens"),
        ("token_metadata/token_ids", [0, 1, "x"], "token_metadata.token_ids[2]: a whole number"),
        ("token_metadata/attention_mask", 1, "token_metadata.attention_mask: a list"),
        ("cluster_labels/layer_1", [0, 1], "cluster_labels.layer_1: 2 labels for 3 tokens"),
        ("cluster_labels/layer_1", [0, 1, -2], "cluster_labels.layer_1: -2 is less than -1"),
        ("cluster_labels/layer_1", [0, 1.5, 1], "cluster_labels.layer_1[1]: a whole number"),
        ("cluster_labels/layer_1", [True, 1, 1], "cluster_labels.layer_1[0]: a whole number"),
        ("cluster_labels/layer_1", [0, 1, 2**63], "cluster_labels.layer_1: a number over 64 bits"),
        ("token_metadata/positions", [0, 1, 2**99], "token_metadata.positions: a number over"),
        ("cluster_labels/layer_9", [0, 1, 1], "cluster_labels.layer_9: no layer of that name"),
        ("cluster_labels", [1], "cluster_labels: a dict"),
        ("token_paths/0/cluster_path", [0, 1, 2], "token_paths.0.cluster_path: 3 clusters for 2"),
        ("token_paths/0/cluster_path", [0, "x"], "token_paths.0.cluster_path[1]: a whole number"),
        ("token_paths/0", [], "token_paths.0: a dict is needed"),
        ("token_paths", {str(i): {} for i in range(4)}, "token_paths: 4 paths for 3 tokens"),
        ("attention_data/layer_9", {}, "attention_data.layer_9: no layer of that name"),
        ("attention_data/layer_0/num_heads", 3, "attention_probs: 2 heads where num_heads is 3"),
        ("attention_data/layer_0/num_heads", 0, "attention_data.layer_0.num_heads: a whole number"),
        (
            "attention_data/layer_0/attention_probs",
            np.zeros((2, 3, 4)),
            "attention_data.layer_0.attention_probs: shape (2, 3, 4) for 3 tokens",
        ),
        (
            "attention_data/layer_0/attention_probs",
            [["x"]],
            "attention_data.layer_0.attention_probs: an array of numbers",
        ),
        (
            "attention_data/layer_0/entropy",
            "high",
            "attention_data.layer_0.entropy: a number or a list of numbers is needed, not 'high'",
        ),
        ("attention_data/layer_0/head_agreement", {}, "head_agreement: a number or a list"),
        (
            "attention_data/layer_0/entropy_normalised",
            [0.5],
            "attention_data.layer_0.entropy_normalised: 1 numbers where num_heads is 2",
        ),
        (
            "attention_data/layer_0/first_token_weight",
            [[0.5, 0.5]],
            "attention_data.layer_0.first_token_weight: a number, or one for each head",
        ),
        (
            "attention_data/layer_0/head_agreement_chance",
            [0.5],
            "attention_data.layer_0.head_agreement_chance: a number is needed, not a list",
        ),
        (
            "attention_data/layer_0/layer_agreement",
            {"layer_9": 0.5},
            "attention_data.layer_0.layer_agreement.layer_9: no layer of that name",
        ),
        (
            "attention_data/layer_0/layer_agreement_chance",
            {"layer_1": None},
            "attention_data.layer_0.layer_agreement_chance.layer_1: a number is needed, not None",
        ),
        (
            "attention_data/layer_0/without_first_token",
            {"entropy_normalised": [0.5]},
            "attention_data.layer_0.without_first_token.entropy_normalised: 1 numbers",
        ),
        (
            "attention_data/layer_0/without_first_token",
            [0.5],
            "attention_data.layer_0.without_first_token: a dict is needed, not a list",
        ),
        ("cluster_metrics/layer_0", 3, "cluster_metrics.layer_0: a dict is needed, not 3"),
        ("token_metadata/positions", [[0, 1, 2]], "token_metadata.positions: nested by sequence"),
        (
            "cluster_labels/layer_1",
            np.array([0, 1, 2**64 - 1], dtype=np.uint64),
            "cluster_labels.layer_1: a number over 64 bits",
        ),
        ("cluster_labels/line\nfeed", [0, 1, 1], "cluster_labels.'line\\nfeed': no layer of that"),
        ("cluster_metrics/nobody", {}, "cluster_metrics.nobody: no layer of that name"),
        ("hidden_states/layer_0", np.zeros((2, 4)), "hidden_states.layer_0: 2 rows for 3 tokens"),
        ("hidden_states/layer_0", np.zeros(3), "hidden_states.layer_0: an array of numbers"),
    ],
)
def test_each_problem_is_named_by_its_path(path: str, value: Any, problem: str) -> None:
    data = changed(path, value)
    problems = find_problems(data)
    assert any(found.startswith(problem) or problem in found for found in problems), problems
    with pytest.raises(InvalidAnalysisError) as caught:
        check_analysis(data)
    assert list(caught.value.problems) == problems
    assert all(found in str(caught.value) for found in problems)


def test_statistics_of_attention_are_part_of_a_consistent_analysis() -> None:
    weights = np.tri(3)[np.newaxis] / np.arange(1, 4)[:, np.newaxis]
    found = attention_statistics({"layer_0": np.repeat(weights, 2, axis=0), "layer_1": weights})
    assert find_problems({**GOOD, "attention_data": found}) == []
    loop: dict[str, Any] = {}
    loop["without_first_token"] = loop
    assert find_problems(changed("attention_data/layer_0/without_first_token", loop)) == []


def test_a_number_too_long_to_write_out_is_a_problem_too() -> None:
    assert "model_type: a string is needed, not a very large number" in find_problems(
        changed("model_type", 10**5000)
    )
    assert find_problems(changed("attention_data/layer_0/num_heads", 10**5000)) == [
        "attention_data.layer_0.attention_probs: 2 heads where num_heads is a very large number"
    ]


def test_a_key_too_long_to_write_out_is_a_problem_too() -> None:
    key = 10**5000
    for part in ("cluster_labels", "attention_data", "cluster_metrics", "hidden_states"):
        assert f"{part}.a very large number: no layer of that name in layers" in find_problems(
            {**GOOD, part: {key: None}}
        )
    assert find_problems({**GOOD, "token_paths": {key: None, (key,): None}}) == [
        "token_paths.a very large number: a dict is needed, not None",
        "token_paths.a tuple: a dict is needed, not None",
    ]


def test_all_problems_are_listed_at_once_but_not_thousands() -> None:
    data = changed("cluster_labels/layer_1", [0])
    data["cluster_labels"]["layer_0"] = ["x"]
    data["model_type"] = 3
    assert len(find_problems(data)) >= 4
    many = changed("token_metadata/tokens", [None] * 100_000)
    assert len(find_problems(many)) == 101


arrays = hnp.arrays(
    st.sampled_from(
        ["i1", "u8", "f2", "f8", "c8", "?", "U2", "S2", "O", "M8[D]", "i4,f4"],
    ),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)
hostile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=3)
    | st.binary(max_size=3)
    | st.sampled_from([object(), object, 10**400, -(10**400), np.float32(1), np.int8(-1)])
    | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.sampled_from(
                [
                    "tokens",
                    "positions",
                    "attention_mask",
                    "layer_0",
                    "a",
                    "cluster_path",
                    "num_heads",
                    "attention_probs",
                    3,
                    "",
                    None,
                    10**400,
                    ("a", 1),
                    "x" * 10_000,
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


PLACES = [
    *GOOD,
    "token_metadata/tokens",
    "token_metadata/positions",
    "token_metadata/sequence_ids",
    "token_metadata/attention_mask",
    "token_paths/0",
    "token_paths/0/cluster_path",
    "cluster_labels/layer_0",
    "attention_data/layer_0",
    "attention_data/layer_0/num_heads",
    "attention_data/layer_0/attention_probs",
    "attention_data/layer_0/entropy",
    "attention_data/layer_0/entropy_normalised",
    "attention_data/layer_0/head_agreement_chance",
    "attention_data/layer_0/layer_agreement",
    "attention_data/layer_0/without_first_token",
    "cluster_metrics/layer_0",
    "hidden_states/layer_0",
]


@given(st.dictionaries(st.sampled_from(PLACES), hostile, max_size=3), hostile)
@pytest.mark.slow
def test_a_hostile_analysis_gets_a_list_of_problems(parts: dict[str, Any], alone: Any) -> None:
    spoilt = [changed(place, value) for place, value in parts.items()]
    for data in (alone, parts, {**GOOD, **parts}, *spoilt):
        problems = find_problems(data)
        assert all(isinstance(problem, str) and len(problem) < 400 for problem in problems)
        if not problems:
            # What passes can be computed with.
            analysis = Analysis.from_dict(data)
            assert len(analysis.token_metrics.mobility_score) == analysis.num_tokens
            if analysis.labelled_layers:
                window = layer_window(analysis, 0, len(analysis.labelled_layers) - 1)
                assert window.num_counted + window.num_left_out == analysis.num_tokens


@pytest.mark.slow
def test_lists_that_hold_themselves_or_are_very_deep_are_problems_like_others() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, deep):
        for part in GOOD:
            if part != "unknown":
                assert find_problems({**GOOD, part: value}), part
                assert find_problems({**GOOD, part: {"layer_0": value, "tokens": value}}), part
        assert find_problems(changed("attention_data/layer_0/attention_probs", value))
        assert find_problems(changed("token_paths/0/cluster_path", value))


def test_checking_ten_thousand_tokens_is_quick(real_data: dict[str, Any]) -> None:
    data = with_token_paths(real_data)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        check_analysis(data)
        times.append(time.perf_counter() - start)
    # Around 13 ms; the rest is room for busy test machines.
    assert min(times) < 0.05


def test_the_columns_of_ten_thousand_tokens_are_there_quickly(real_data: dict[str, Any]) -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        Analysis.from_dict(real_data)
        times.append(time.perf_counter() - start)
    # Around 9 ms; the rest is room for busy test machines.
    assert min(times) < 0.05


# Columns


def test_columns_are_those_of_the_dict() -> None:
    analysis = Analysis.from_dict(GOOD)
    assert analysis.tokens == ("a", "b", "c")
    assert analysis.token_ids is not None
    assert analysis.token_ids.tolist() == [5, 6, 7]
    assert analysis.labels.tolist() == [[0, 1], [1, 1], [-1, -1]]  # the last token is masked
    assert (analysis.num_tokens, analysis.num_layers) == (3, 2)


def test_layers_without_labels_are_left_out_of_the_trajectory() -> None:
    analysis = Analysis.from_dict(changed("cluster_labels/layer_0", ...))
    assert analysis.layers == ("layer_0", "layer_1")
    assert analysis.labelled_layers == ("layer_1",)
    data = {key: GOOD[key] for key in ("model_type", "layers", "token_metadata")}
    none = Analysis.from_dict(data)
    assert none.labelled_layers == ()
    assert none.labels.shape == (3, 0)


def test_labels_come_from_complete_token_paths_if_need_be() -> None:
    data = changed("cluster_labels", ...)
    data["token_metadata"].pop("attention_mask")
    assert Analysis.from_dict(data).labelled_layers == ()
    data["token_paths"] = {str(i): {"cluster_path": [i, 7]} for i in range(3)}
    assert Analysis.from_dict(data).labels.tolist() == [[0, 7], [1, 7], [2, 7]]


def test_nested_sequences_of_older_files_keep_their_boundaries() -> None:
    data = {
        "model_type": "gpt2",
        "layers": ["layer_0", "layer_1"],
        "token_metadata": {
            "tokens": [["a", "b", "<pad>"], ["c", "d", "e"]],
            "positions": [[0, 1, 2], [0, 1, 2]],
            "token_ids": [[1, 2, 0], [3, 4, 5]],
            "attention_mask": [[1, 1, 0], [1, 1, 1]],
        },
        "cluster_labels": {"layer_0": [0, 1, 9, 0, 1, 1], "layer_1": [1, 1, 9, 0, 0, 1]},
        "attention_data": {"layer_0": {"attention_probs": np.zeros((2, 4, 3, 3))}},
    }
    analysis = Analysis.from_dict(data)
    assert analysis.tokens == ("a", "b", "<pad>", "c", "d", "e")
    assert analysis.positions.tolist() == [0, 1, 2, 0, 1, 2]
    assert analysis.sequence_ids.tolist() == [0, 0, 0, 1, 1, 1]
    assert analysis.labels[2].tolist() == [-1, -1]
    window = layer_window(analysis, 0, 1)
    assert (window.num_counted, window.num_left_out) == (5, 1)
    assert 9 not in window.cluster_ids[0]
    assert list(with_token_paths(data)["token_paths"]) == ["0", "1", "2", "3", "4", "5"]
    del data["token_metadata"]["positions"]
    assert Analysis.from_dict(data).positions.tolist() == [0, 1, 2, 0, 1, 2]
    data["token_metadata"]["token_ids"] = [[1, 2], [3, 4, 5]]
    assert find_problems(data) == ["token_metadata.token_ids[0]: 2 entries for 3 tokens"]


def test_layers_keep_their_declared_order_whatever_the_order_of_the_labels() -> None:
    layers = [f"layer_{i}" for i in range(12)]
    data = {
        "model_type": "gpt2",
        "layers": layers,
        "token_metadata": {"tokens": ["a"]},
        "cluster_labels": {layer: [int(layer[6:])] for layer in sorted(layers)},
    }
    assert list(data["cluster_labels"])[2] == "layer_10"
    analysis = Analysis.from_dict(data)
    assert analysis.labelled_layers == tuple(layers)
    assert analysis.labels.tolist() == [list(range(12))]
    assert layer_window(analysis, 9, 11).layers == ("layer_9", "layer_10", "layer_11")


def test_hidden_states_keep_their_type_and_are_not_copied() -> None:
    states = np.ones((3, 4), dtype=np.float32)
    analysis = Analysis.from_dict(changed("hidden_states/layer_0", states))
    assert analysis.hidden_states["layer_0"] is states
    whole = Analysis.from_dict(changed("hidden_states/layer_0", [[1], [2], [3]]))
    assert whole.hidden_states["layer_0"].dtype == np.float64


def test_sequences_that_are_cut_otherwise_than_the_tokens_are_a_problem() -> None:
    data = {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": [["a"], ["b", "c"]], "positions": [[0, 1], [0]]},
    }
    assert find_problems(data) == [
        "token_metadata.positions[0]: 2 entries for 1 tokens",
        "token_metadata.positions[1]: 1 entries for 2 tokens",
    ]
    data["token_metadata"]["positions"] = [[0], [0, 1], [0]]
    assert find_problems(data) == ["token_metadata.positions: 3 sequences where the tokens have 2"]
    data["token_metadata"]["positions"] = [0, 0, 1]
    assert find_problems(data) == []
    data["token_metadata"]["tokens"] = [["a"], "b"]
    assert find_problems(data) == ["token_metadata.tokens[0]: a string is needed, not a list"]


def test_sequences_of_different_lengths_are_accepted() -> None:
    data = {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": [["a"], ["b", "c"]]},
        "cluster_labels": {"layer_0": [0, 1, 2]},
    }
    analysis = Analysis.from_dict(data)
    assert analysis.sequence_ids.tolist() == [0, 1, 1]
    assert analysis.positions.tolist() == [0, 0, 1]
