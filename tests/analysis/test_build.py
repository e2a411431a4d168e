"""`analysis_from_labels`, from whatever a researcher has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from concept_fragmentation.analysis import (
    Analysis,
    InvalidAnalysisError,
    LazyArray,
    analysis_from_labels,
    cka_matrix,
    find_problems,
    principal_plane,
    token_path_metrics,
    with_token_paths,
)

TOKENS = [" the", " cat", " sat"]
LABELS = [[0, 1], [0, 2], [-1, 2]]
BY_LAYER = {"layer_0": [0, 0, -1], "layer_1": [1, 2, 2]}
EXPECTED = analysis_from_labels(TOKENS, LABELS)


class Columns:
    """A table like that of polars: columns by name, no mapping."""

    columns = tuple(BY_LAYER)

    def __getitem__(self, name: str) -> Any:
        return np.array(BY_LAYER[name])


@pytest.mark.parametrize(
    "labels",
    [
        np.array(LABELS, dtype=np.int8),
        np.array(LABELS, dtype=float),
        torch.tensor(LABELS),
        torch.tensor(LABELS, dtype=torch.bfloat16, requires_grad=True),
        [torch.tensor(row) for row in LABELS],
        (row for row in LABELS),
        {name: torch.tensor(column) for name, column in BY_LAYER.items()},
        {name: iter(column) for name, column in BY_LAYER.items()},
        pd.DataFrame(BY_LAYER, dtype="Int64"),
        pd.DataFrame(BY_LAYER, dtype=float),
        pd.DataFrame(BY_LAYER, dtype="category"),
        Columns(),
    ],
)
def test_labels_may_come_in_any_array(labels: Any) -> None:
    assert analysis_from_labels(TOKENS, labels) == EXPECTED


@pytest.mark.parametrize(
    "tokens",
    [tuple(TOKENS), iter(TOKENS), np.array(TOKENS), pd.Series(TOKENS, index=[4, 4, 4])],
)
def test_tokens_may_come_in_anything_with_an_order(tokens: Any) -> None:
    made = analysis_from_labels(tokens, LABELS)
    assert made == EXPECTED
    assert set(map(type, made["token_metadata"]["tokens"])) == {str}


def test_tokens_may_be_nested_by_sequence() -> None:
    made = analysis_from_labels([[" the"], [" cat", " sat"]], LABELS)
    assert Analysis.from_dict(made).positions.tolist() == [0, 0, 1]


STATES = np.array([[[1.0, 0.0], [0.5, 2.0], [3.0, 1.0]], [[0.0, 1.0], [1.5, 2.0], [3.0, 4.0]]])


@pytest.mark.parametrize(
    "states",
    [
        dict(zip(BY_LAYER, STATES, strict=True)),
        dict(zip(BY_LAYER, torch.tensor(STATES, requires_grad=True), strict=True)),
        dict(zip(BY_LAYER, torch.tensor(STATES, dtype=torch.bfloat16), strict=True)),
        {name: list(torch.tensor(rows)) for name, rows in zip(BY_LAYER, STATES, strict=True)},
        {name: pd.DataFrame(rows) for name, rows in zip(BY_LAYER, STATES, strict=True)},
        STATES,
        torch.tensor(STATES),
        list(STATES),
        # As transformers gives them: a tuple, of a batch of one.
        tuple(torch.tensor(rows[np.newaxis], requires_grad=True) for rows in STATES),
    ],
)
def test_hidden_states_may_come_in_any_array(states: Any) -> None:
    made = analysis_from_labels(TOKENS, LABELS, hidden_states=states)
    for name, expected in zip(BY_LAYER, STATES, strict=True):
        assert type(made["hidden_states"][name]) is np.ndarray
        np.testing.assert_array_equal(made["hidden_states"][name], expected)
    length = np.linalg.norm(STATES[1, 1] - STATES[0, 1])
    assert made["token_paths"]["1"]["path_length"] == pytest.approx(length)


def test_attention_may_come_in_tensors() -> None:
    weights = torch.tril(torch.ones(2, 3, 3, dtype=torch.bfloat16)).requires_grad_()
    weights = weights / weights.sum(-1, keepdim=True)
    made = analysis_from_labels(
        TOKENS,
        LABELS,
        attention_data={
            "layer_1": {
                "attention_probs": weights,
                "entropy": torch.tensor([0.5, 0.25]),
                "head_agreement": torch.tensor(0.75),
            }
        },
    )
    found = made["attention_data"]["layer_1"]
    assert found["attention_probs"].dtype == np.float32
    assert found["entropy"].tolist() == [0.5, 0.25]
    assert found["head_agreement"] == 0.75
    assert find_problems(made) == []


def holding(value: float, layer: int = 1, rows: Any = (1,), kind: Any = np.float32) -> Any:
    states = STATES.astype(kind)
    states[layer, list(rows), 1] = value
    return states


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (holding(np.nan), r"hidden_states\.layer_1: row 1 holds NaN \(1 of 3 rows\)"),
        (holding(np.nan, rows=(0, 2)), r"hidden_states\.layer_1: row 0 holds NaN \(2 of 3 rows\)"),
        (holding(np.inf, 0), r"hidden_states\.layer_0: row 1 holds infinity"),
        (holding(-np.inf, 0, kind=np.float16), "row 1 holds infinity"),
        (holding(1e30), "row 1 holds a number too large to square"),
        (holding(1e200, kind=np.float64), "row 1 holds a number too large to square"),
        (STATES.astype(complex), r"hidden_states\.layer_0: .* not complex128"),
        (STATES.astype(object), r"hidden_states\.layer_0: .* not object"),
        (STATES.astype(str), r"hidden_states\.layer_0: .* not <U"),
        (STATES > 1, r"hidden_states\.layer_0: .* not bool"),
        (STATES[:, :, :0], r"hidden_states\.layer_0: no dimensions"),
        (STATES[:, :2], r"hidden_states\.layer_0: 2 rows for 3 tokens"),
        (STATES[:1], "hidden_states: 1 arrays for 2 layers; give one for each"),
        (np.stack([STATES, STATES]), r"hidden_states\.layer_0: .* not shape \(2, 3, 2\)"),
        (np.ma.masked_array(STATES, STATES > 2), "entries are masked"),
        ({"layer_0": torch.zeros(3, 2, device="meta")}, r"hidden_states\.layer_0: a Tensor .*meta"),
        ({"layer_0": "states"}, r"hidden_states\.layer_0: .* not 'states'"),
        ({"other": STATES[0]}, r"hidden_states\.other: no layer of that name"),
        ("states", "hidden_states: a dict {layer: array} or a list of arrays is needed, not 'sta"),
        (3, "hidden_states: a dict {layer: array} or a list of arrays is needed, not 3"),
    ],
)
def test_hidden_states_that_cannot_be_computed_with_are_named(states: Any, sentence: str) -> None:
    with pytest.raises(InvalidAnalysisError, match=sentence) as raised:
        analysis_from_labels(TOKENS, LABELS, hidden_states=states)
    assert "row 1 holds" not in sentence or len(raised.value.problems) == 1


def test_large_numbers_that_can_be_squared_are_taken() -> None:
    for largest, kind in ((6e4, np.float16), (1e14, np.float32), (1e25, np.float64)):
        states = holding(largest, kind=kind)
        made = analysis_from_labels(TOKENS, LABELS, hidden_states=states, keep_massive=True)
        lengths = [record["path_length_scaled"] for record in made["token_paths"].values()]
        assert np.isfinite(lengths).all()
        states = list(made["hidden_states"].values())
        assert np.isfinite(cka_matrix(states)).all()
        assert np.isfinite(principal_plane(states[1]).coordinates).all()


def test_hidden_states_of_padding_may_hold_anything() -> None:
    states = holding(np.nan, 0, rows=(2,))
    made = analysis_from_labels(TOKENS, LABELS, hidden_states=states, attention_mask=[1, 1, 0])
    without = analysis_from_labels(TOKENS[:2], LABELS[:2], hidden_states=states[:, :2])
    for key in ("0", "1"):
        assert made["token_paths"][key] == without["token_paths"][key]
    assert made["token_paths"]["2"]["path_length"] is None
    # A token that is none in all layers is still one: say that it is padding.
    labels = np.array(LABELS)
    labels[2] = -1
    with pytest.raises(InvalidAnalysisError, match="only padding may, whose attention_mask is 0"):
        analysis_from_labels(TOKENS, labels, hidden_states=states)


def test_an_analysis_dict_with_hidden_states_that_are_not_finite_is_refused() -> None:
    made = {**EXPECTED, "hidden_states": dict(zip(BY_LAYER, holding(np.nan), strict=True))}
    assert find_problems(made) == [
        "hidden_states.layer_1: row 1 holds NaN (1 of 3 rows); only padding may, whose "
        "attention_mask is 0"
    ]
    with pytest.raises(InvalidAnalysisError):
        with_token_paths(made)
    nested = {**made, "token_metadata": {"tokens": [TOKENS], "attention_mask": [[1, 0, 1]]}}
    assert find_problems(nested) == []
    tensor = {**EXPECTED, "hidden_states": {"layer_0": torch.tensor(STATES[0])}}
    assert find_problems(tensor) == [
        "hidden_states.layer_0: an array of numbers (tokens, dimensions) is needed, not a Tensor; "
        "analysis_from_labels takes one, and gives an array"
    ]


def test_a_token_of_an_old_store_whose_state_is_not_finite_is_unknown_alone() -> None:
    states = holding(np.nan)
    lazy = {
        name: LazyArray(rows.shape, rows.dtype, lambda index, rows=rows: rows[index])
        for name, rows in zip(BY_LAYER, states, strict=True)
    }
    found = Analysis.from_dict({**EXPECTED, "hidden_states": lazy}).token_metrics
    aligned = Analysis.from_dict(EXPECTED).aligned.labels
    kept = token_path_metrics(aligned[[0, 2]], list(states[:, [0, 2]]))
    for name in ("path_length", "path_length_scaled", "path_length_angular", "mobility_score"):
        numbers = getattr(found, name)
        assert np.isnan(numbers[1])
        np.testing.assert_allclose(numbers[[0, 2]], getattr(kept, name))
    assert found.cluster_changes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tokens": "cat"}, "tokens: a list of strings is needed, not 'cat'"),
        ({"tokens": {"a": 1}}, "tokens: a list of strings is needed, not a dict"),
        ({"tokens": pd.DataFrame({"a": TOKENS})}, "tokens: .* not a DataFrame"),
        ({"tokens": pd.Series([" the", None, None])}, r"tokens: row 1 is NaN .* \(2 of 3 rows\)"),
        ({"tokens": [b"a", b"b", b"c"]}, r"tokens: row 0 is a bytes .* \(3 of 3 rows\)"),
        ({"tokens": TOKENS[:2]}, r"cluster_labels\.layer_0: 3 labels for 2 tokens"),
        ({"labels": [0, 1, 2]}, r"labels: an array \(tokens, layers\) is needed"),
        ({"labels": "labels"}, "labels: an array or a list is needed"),
        ({"labels": pd.DataFrame({"token": TOKENS})}, r"labels\.token: row 0 is ' the'"),
        ({"labels": {"a": [0, None, 1]}}, r"labels\.a: row 1 is None"),
        ({"labels": {1: [0, 0, 1], "1": [0, 0, 1]}}, "labels: the layer '1' is there twice"),
        ({"layers": "ab"}, "layers: a list of names is needed, not 'ab'"),
        ({"layers": ["a"]}, "layers: 1 names for the 2 columns of labels"),
        ({"layers": ["a", "a"]}, "labels: the layer 'a' is there twice"),
        ({"positions": [0, np.nan, 2]}, "positions: row 1 is NaN"),
        ({"token_ids": torch.zeros(3, device="meta", dtype=torch.int)}, "token_ids: a Tensor"),
        ({"attention_mask": [1, 1]}, "attention_mask: 2 entries for 3 tokens"),
        ({"attention_data": [1]}, "attention_data: a dict"),
        ({"attention_data": {"layer_0": torch.ones(1, 3, 3)}}, r"attention_data\.layer_0: a dict"),
        ({"cluster_metrics": 3}, "cluster_metrics: a dict"),
        ({"model_type": None}, "model_type: a string"),
    ],
)
def test_what_contradicts_itself_is_named(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidAnalysisError, match=sentence):
        analysis_from_labels(**{"tokens": TOKENS, "labels": LABELS, **arguments})


def test_a_column_with_one_missing_label_is_one_problem() -> None:
    labels = pd.DataFrame({"a": [0.0] * 1_000, "b": [0.0] * 1_000})
    labels.loc[500, "b"] = np.nan
    with pytest.raises(InvalidAnalysisError) as raised:
        analysis_from_labels(["x"] * 1_000, labels)
    assert raised.value.problems == (
        "labels.b: row 500 is NaN where a whole number from -1 is needed (1 of 1,000 rows); -1 "
        "means 'no cluster'",
    )


def test_a_dict_with_one_missing_label_names_it_first() -> None:
    labels: list[Any] = [0.0] * 1_000
    labels[500] = float("nan")
    made = {
        "model_type": "gpt2",
        "layers": ["a"],
        "token_metadata": {"tokens": ["x"] * 1_000},
        "cluster_labels": {"a": labels},
    }
    assert find_problems(made) == [
        "cluster_labels.a[500]: a whole number is needed, not nan",
        "cluster_labels.a[0]: a whole number is needed, not 0.0 (999 of 1,000 entries)",
    ]


def test_every_problem_is_listed() -> None:
    with pytest.raises(InvalidAnalysisError) as raised:
        analysis_from_labels("cat", {"a": ["x"]}, positions="no", hidden_states=3)
    paths = [problem.split(":")[0] for problem in raised.value.problems]
    assert paths == ["tokens", "labels.a", "positions", "hidden_states"]
