"""Categories beside each other: the numbers of the table, and what it says where there are few."""

from __future__ import annotations

from collections import Counter
from math import log
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    analysis_from_labels,
    layer_window,
    only_category,
)
from concept_fragmentation.components.category_table import (
    by_category,
    by_category_note,
    by_category_rows,
)


def made(kinds: list[Any], labels: Any, tokens: list[str] | None = None) -> Analysis:
    names = tokens or [f"w{i}" for i in range(len(kinds))]
    data = analysis_from_labels(names, np.asarray(labels).tolist())
    data["token_metadata"]["kind"] = kinds
    return Analysis.from_dict(data)


def test_the_numbers_are_those_of_counting() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, (90, 3))
    kinds = [["a", "b", None][i % 3] for i in range(90)]
    analysis = made(kinds, labels)
    frame = by_category(analysis, layer_window(analysis, 0, 2), "kind").frame
    assert frame["category"].tolist() == ["a", "b"]
    for row in frame.itertuples():
        mine = [i for i, kind in enumerate(kinds) if kind == row.category]
        paths = Counter(tuple(labels[i].tolist()) for i in mine)
        most = max(paths.values())
        assert row.tokens == len(mine) == 30
        assert row.fragmentation == pytest.approx(1 - most / 30)
        assert paths[tuple(map(int, row.modal_path.split(" → ")))] == most
        last = Counter(labels[i, 2] for i in mine)
        nats = -sum(n / 30 * log(n / 30) for n in last.values())
        assert row.entropy_nats == pytest.approx(nats)
        assert row.entropy_bits == pytest.approx(nats / log(2))
        assert row.dealt_low <= row.dealt_mean <= row.dealt_high


def test_categories_without_a_meaning_are_as_dealt_ones() -> None:
    """Noise, a layer that is repeated, and ten tokens: F lies where dealt categories lie."""
    generator = np.random.default_rng(4)
    inside = []
    for _ in range(25):
        labels = generator.integers(0, 4, (60, 1))
        kinds = generator.choice(["a", "b"], 60).tolist()
        for columns in (np.repeat(labels, 3, axis=1), generator.integers(0, 4, (60, 3))):
            analysis = made(kinds, columns)
            frame = by_category(analysis, layer_window(analysis, 0, 2), "kind").frame
            inside += (frame["p_adjusted"] > 0.05).tolist()
    assert np.mean(inside) > 0.9
    few = made(["a"] * 5 + ["b"] * 5, generator.integers(0, 3, (10, 2)))
    frame = by_category(few, layer_window(few, 0, 1), "kind").frame
    assert (frame["p_adjusted"] > 0.05).all()


def test_a_category_that_tells_the_path_has_no_f_where_dealt_ones_have_much() -> None:
    labels = np.repeat(np.arange(60)[:, np.newaxis] % 2, 3, axis=1)
    analysis = made([["x", "y"][i % 2] for i in range(60)], labels)
    found = by_category(analysis, layer_window(analysis, 0, 2), "kind")
    assert (found.frame["fragmentation"] == 0).all()
    assert (found.frame["dealt_low"] > 0.2).all()
    assert (found.frame["p_adjusted"] < 0.05).all()
    assert (found.entropy.test.observed, found.entropy.total) == (0, pytest.approx(log(2)))
    assert "0.69 nats (1.00 bits); given kind 0.00 nats" in by_category_note(found)


def test_one_category_of_all_tokens_is_as_it_is_dealt() -> None:
    analysis = made(["x"] * 20, np.arange(20)[:, np.newaxis] % [2, 3])
    window = layer_window(analysis, 0, 1)
    (row,) = by_category_rows(by_category(analysis, window, "kind"))
    assert row["fragmentation"] == row["dealt_mean"] == row["dealt_low"] == row["dealt_high"]
    assert row["fragmentation"] == round(1 - window.counts.max() / 20, 4)


def test_words_are_dealt_whole() -> None:
    """Of one word a category, said twenty times each, nothing can be told: each has its null."""
    tokens = ["the", "The"] * 20 + ["cat"] * 20
    labels = np.repeat([[0]] * 40 + [[1]] * 20, 2, axis=1)
    analysis = made(["x"] * 40 + ["y"] * 20, labels, tokens)
    frame = by_category(analysis, layer_window(analysis, 0, 1), "kind").frame
    assert (frame["p_adjusted"] == 1).all()


def test_tokens_that_are_not_shown_or_have_no_path_do_not_count() -> None:
    labels = np.zeros((12, 2), dtype=int)
    labels[0] = -1
    analysis = made([["x", "y"][i % 2] for i in range(12)], labels)
    frame = by_category(analysis, layer_window(analysis, 0, 1), "kind").frame
    assert dict(zip(frame["category"], frame["tokens"], strict=True)) == {"y": 6, "x": 5}
    part = only_category(analysis, "kind", ["x"])
    frame = by_category(part, layer_window(part, 0, 1), "kind").frame
    assert frame["category"].tolist() == ["x"]
    nothing = made(["x"] * 3, np.full((3, 2), -1))
    found = by_category(nothing, layer_window(nothing, 0, 1), "kind")
    assert found.frame.empty
    assert by_category_note(found).startswith("No token of a category has a cluster")


def test_names_are_text() -> None:
    analysis = made(["<b>", "\n", 1, float("nan")], np.zeros((4, 2), dtype=int))
    rows = by_category_rows(by_category(analysis, layer_window(analysis, 0, 1), "kind"))
    assert sorted(row["category"] for row in rows) == ["1", "<b>", "↵"]
