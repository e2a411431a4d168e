from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    analysis_from_labels,
    layer_window,
)
from concept_fragmentation.components.figures.data import (
    attention_frame,
    cluster_entropy_frame,
    cluster_sizes_frame,
    concepts_frame,
    path_metrics_frame,
    to_csv,
    token_paths_frame,
    tokens_frame,
    transition_frame,
    window_links_frame,
)

Build = Callable[..., tuple[Analysis, LayerWindow]]
LABELS = [[0, 1, 0]] * 6 + [[0, 0, 2]] * 3 + [[1, 1, 0]] * 2 + [[2, 0, -1]]


def test_the_bands_are_those_of_the_flow(build: Build) -> None:
    analysis, window = build(LABELS)
    frame = window_links_frame(analysis, window)
    first = frame[frame.source_layer == "layer_0"]
    assert first.tokens.sum() == 12
    assert frame[frame.source_layer == "layer_1"].tokens.sum() == 11
    row = first[(first.source_cluster == 0) & (first.target_cluster == 1)].iloc[0]
    assert (row.tokens, row.share_of_source) == (6, pytest.approx(6 / 9))
    assert row.source_aligned == row.target_aligned == 0
    assert np.allclose(frame.groupby(["source_layer", "source_cluster"]).share_of_source.sum(), 1)


def test_a_window_of_one_layer_has_no_bands_but_their_columns(build: Build) -> None:
    analysis, _ = build(LABELS)
    frame = window_links_frame(analysis, layer_window(analysis, 1, 1))
    assert frame.empty
    assert "tokens" in frame


def test_the_token_table_has_a_row_a_token_with_its_raw_text(build: Build) -> None:
    tokens = ["<b>x</b>", " the", *(f"t{i}" for i in range(10))]
    analysis, _ = build(LABELS, tokens=tokens)
    frame = token_paths_frame(analysis, layer_window(analysis, 1, 2))
    assert list(frame.token) == tokens
    assert list(frame.columns) == [
        "token",
        "position",
        "layer_1",
        "layer_2",
        "cluster_changes",
        "mobility_score",
        "path_entropy",
    ]
    assert frame[["layer_1", "layer_2"]].to_numpy().tolist() == [row[1:] for row in LABELS]


def test_path_length_is_a_column_where_it_is_known() -> None:
    states = {"a": np.zeros((2, 2)), "b": np.ones((2, 2))}
    labels = {"a": [0, 1], "b": [0, 1]}
    made = analysis_from_labels(["x", "y"], labels, hidden_states=states, keep_massive=True)
    analysis = Analysis.from_dict(made)
    frame = token_paths_frame(analysis, layer_window(analysis, 0, 1))
    assert np.allclose(frame.path_length, np.sqrt(2))
    assert np.allclose(frame.path_length_scaled, 1)
    assert np.allclose(frame.path_length_angular, 0)


def test_a_layer_named_like_another_column_hides_nothing(build: Build) -> None:
    names = ["token", "mobility_score", "layer token"]
    analysis, window = build(LABELS, layers=names)
    frame = token_paths_frame(analysis, window)
    assert frame.columns.is_unique
    assert frame.shape[1] == 8
    assert frame["layer mobility_score"].tolist() == [row[1] for row in LABELS]
    assert list(path_metrics_frame(analysis, window).columns) == [
        "token",
        "position",
        "cluster_changes",
        "mobility_score",
        "path_entropy",
    ]
    assert tokens_frame(analysis, [11])["layer layer token"].tolist() == [2]


def test_sizes_and_entropy_agree_with_the_window(build: Build) -> None:
    analysis, window = build(LABELS)
    sizes = cluster_sizes_frame(analysis, window)
    assert sizes.groupby("layer").tokens.sum().to_dict() == {
        "layer_0": 12,
        "layer_1": 12,
        "layer_2": 11,
    }
    entropy = cluster_entropy_frame(analysis, window)
    shares = sizes[sizes.layer == "layer_2"].tokens / 11
    assert entropy.entropy_nats[2] == pytest.approx(-(shares * np.log(shares)).sum())
    assert entropy.tokens_without_cluster.tolist() == [0, 0, 1]


def test_transitions_are_those_of_any_two_layers(build: Build) -> None:
    analysis, _ = build(LABELS)
    frame = transition_frame(analysis, 0, 2)
    assert frame.tokens.sum() == 11
    assert frame.values.tolist() == [[0, 0, 6, 6 / 9], [0, 2, 3, 3 / 9], [1, 0, 2, 1.0]]


def test_layers_have_what_they_were_given() -> None:
    made = analysis_from_labels(["x"], {"a": [0], "b": [0]})
    made["attention_data"] = {"a": {"entropy": [1.0, 2.0]}, "b": {"head_agreement": 0.5}}
    made["cluster_metrics"] = {"b": {"purity": 0.9}}
    analysis = Analysis.from_dict(made)
    attention = attention_frame(analysis)
    assert attention.layer.tolist() == ["a", "b"]
    assert attention.entropy_1.tolist()[0] == 2.0
    assert attention.head_agreement.tolist()[1] == 0.5
    assert concepts_frame(analysis).purity.tolist() == [0.9]


@pytest.mark.parametrize("token", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_token_is_a_formula_in_a_spreadsheet(token: str) -> None:
    cells = list(csv.reader(io.StringIO(to_csv(pd.DataFrame({"token": [token]})))))
    assert cells[1][0][0] not in "=+-@\t\r"
    assert cells[1][0].endswith(token.strip()) or token.strip() in cells[1][0]


def test_every_token_can_be_written_as_csv() -> None:
    tokens = ["a,b", 'say "x"', "two\nlines", "\ud800", "", "<b>x</b>", "%{x}"]
    text = to_csv(pd.DataFrame({"token": tokens, "tokens": range(len(tokens))}))
    cells = list(csv.reader(io.StringIO(text.encode().decode(), newline="")))
    assert [row[1] for row in cells[1:]] == [str(i) for i in range(len(tokens))]
    assert [row[0] for row in cells[1:]][:3] == tokens[:3]
    assert cells[4][0] == "\\ud800"
