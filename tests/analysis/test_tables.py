"""The tables of layers, of tokens and of the members of a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    UnknownChoiceError,
    analysis_from_labels,
    cluster_members,
    layer_steps,
    layer_table,
    layer_window,
    token_table,
)


@pytest.fixture
def made() -> dict[str, Any]:
    """Return an analysis of four layers, the second without labels."""
    rng = np.random.default_rng(0)
    names = ["embedding", "block_2", "block_3"]
    analysis = analysis_from_labels(
        list("abcde"),
        [[0, 1, 2], [0, 1, 2], [1, 1, 0], [1, 0, 0], [-1, 0, 0]],
        layers=names,
        token_ids=[5, 6, 7, 8, 9],
        hidden_states={name: rng.normal(size=(5, 3)) for name in names},
        cluster_metrics={
            "embedding": {"purity": 0.5, "num_clusters": 2, "purity_by_category": {"pos": 0.5}},
            "block_3": {"stability": 0.75, "silhouette": None, "inertia": 12, "note": "x"},
        },
        attention_data={"block_2": {"entropy": [1.0, 2.0, None], "first_token_weight": [0.25]}},
    )
    analysis["layers"] = ["embedding", "block_1", "block_2", "block_3"]
    analysis["token_metadata"] |= {
        "part_of_speech": ["N", "V", None, "N", "N"],
        "frequency": [1, None, 3, 4.5, 5],
        "rank": [1, 2, 3, 4, 5],
        "position": [9, 9, 9, 9, 9],
        "unknown": [None] * 5,
    }
    return analysis


def test_every_metric_of_a_layer_is_a_column_of_numbers(made: dict[str, Any]) -> None:
    table = layer_table(made)
    assert list(table.index) == made["layers"]
    assert table.index.name == "layer"
    assert set(map(str, table.dtypes)) == {"int64", "float64"}
    assert table["num_tokens"].tolist() == [4, 0, 5, 5]
    assert table["num_clusters"].tolist() == [2, 0, 2, 2]
    analysis = Analysis.from_dict(made)
    entropy = layer_window(analysis, 0, 3).cluster_entropy
    assert table["cluster_entropy"].dropna().tolist() == entropy.tolist()
    steps = layer_steps(analysis)
    for name in ("moved", "convergence", "divergence"):
        assert table[name].dropna().tolist() == getattr(steps, name).tolist()
        assert np.isnan(table.loc["block_3", name])
    assert table.loc["embedding", "purity"] == 0.5
    assert table.loc["embedding", "purity_by_category.pos"] == 0.5
    assert table.loc["block_3", "reproducibility"] == 0.75
    assert table.loc["block_3", "inertia"] == 12
    assert table.loc["block_2", "attention_entropy"] == 1.5
    assert table.loc["block_2", "first_token_weight"] == 0.25
    assert table["silhouette"].isna().all()
    assert not {"note", "stability"} & set(table.columns)


def test_a_table_of_an_analysis_that_has_next_to_nothing_has_the_same_columns() -> None:
    bare = {"model_type": "gpt2", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}
    table = layer_table(bare)
    assert table.loc["a", "num_tokens"] == 0
    assert table.drop(columns=["num_tokens", "num_clusters"]).isna().all(axis=None)
    tokens = token_table(bare)
    assert len(tokens) == 1
    assert {"token", "mobility_score", "path_length"} <= set(tokens.columns)


def test_a_metric_named_like_a_column_of_the_table_does_not_take_its_place(
    made: dict[str, Any],
) -> None:
    made["cluster_metrics"]["embedding"] |= {"moved": 77, "reproducibility": 5}
    table = layer_table(made)
    assert table.loc["embedding", "moved"] != 77
    assert table.loc["embedding", "cluster_metrics.moved"] == 77
    assert table.loc["embedding", "cluster_metrics.reproducibility"] == 5
    assert table.loc["block_3", "reproducibility"] == 0.75


def test_every_metric_of_a_token_is_a_column(made: dict[str, Any]) -> None:
    table = token_table(made)
    metrics = Analysis.from_dict(made).token_metrics
    assert table["token"].tolist() == list("abcde")
    assert table["token_id"].tolist() == [5, 6, 7, 8, 9]
    assert table["position"].tolist() == [0, 1, 2, 3, 4]
    lengths = pytest.approx(metrics.path_length.tolist(), nan_ok=True)
    assert table["path_length"].tolist() == lengths
    # The first token is set aside.
    assert table["path_length"].isna().tolist() == [True] + [False] * 4
    assert table["cluster_changes"].tolist() == metrics.cluster_changes.tolist()
    assert table["part_of_speech"].tolist() == ["N", "V", None, "N", "N"]
    assert table["token.position"].tolist() == [9] * 5
    assert np.array_equal(table["frequency"], [1, np.nan, 3, 4.5, 5], equal_nan=True)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table["unknown"].dtype == np.float64
    late = token_table(made, ("block_2", -1))
    assert late["cluster_changes"].tolist() == [0, 0, 1, 0, 0]
    assert (late["path_length"] < table["path_length"])[1:].all()
    with pytest.raises(UnknownChoiceError, match="window: there is no 'x'"):
        token_table(made, ("x", "block_3"))


def test_the_members_of_a_cluster_are_rows_of_the_table_of_tokens(made: dict[str, Any]) -> None:
    found = cluster_members(made, "block_2", 1)
    pd.testing.assert_frame_equal(found, token_table(made).loc[[0, 1, 2]])
    assert cluster_members(made, 0, -1)["token"].tolist() == ["e"]
    with pytest.raises(UnknownChoiceError, match="cluster: there is no 9"):
        cluster_members(made, -1, 9)
