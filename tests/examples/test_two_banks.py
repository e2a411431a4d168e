"""The example of the word "bank" in two senses is what its sentences and labels say."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.persistence.examples import load_example

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "make_two_banks.py"))


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    data: dict[str, Any] = load_example("two-banks")["analysis_data"]
    return data


def test_the_sentences_are_those_of_the_analysis_with_the_word_once_in_each(
    data: dict[str, Any],
) -> None:
    with (EXAMPLES / "two_banks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert data["provenance"]["input"]["text"] == [row["text"] for row in rows]
    assert [row["sense"] for row in rows] == ["river"] * 24 + ["money"] * 24
    assert all(row["text"].split(" bank")[1:] != [] for row in rows)
    assert all(row["text"].count(" bank") == 1 for row in rows)
    columns = data["token_metadata"]
    sense = [rows[i]["sense"] for i in columns["sequence_ids"]]
    assert columns["sense"] == sense


def test_the_counts_of_seed_0_are_those_of_its_labels(
    data: dict[str, Any], script: dict[str, Any]
) -> None:
    analysis = Analysis.from_dict(data)
    bank = np.flatnonzero(np.array(analysis.tokens) == " bank")
    is_river = np.array([analysis.token_columns["sense"][i] == "river" for i in bank])
    for i, layer in enumerate(analysis.labelled_layers):
        counted = script["counts"](analysis.labels[bank, i], is_river)
        assert counted == data["bank_by_seed"]["0"][layer]
        assert np.sum(counted, axis=0).tolist() == [24, 24]


def test_senses_are_told_apart_where_they_lie_apart_and_not_in_noise(
    script: dict[str, Any],
) -> None:
    rng = np.random.default_rng(0)
    is_river = np.arange(400) % 2 == 0
    noise = rng.normal(size=(400, 6))
    assert script["told_apart"](noise, is_river) == pytest.approx(0.5, abs=0.08)
    assert script["told_apart"](noise + 9 * is_river[:, np.newaxis], is_river) == 1.0
