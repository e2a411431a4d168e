"""Settings that tell one analysis from another, in short and in full."""

from __future__ import annotations

from typing import Any

import pytest

from concept_fragmentation.components.origin import (
    SHOWN_CHARACTERS,
    origin,
    settings_facts,
    settings_in_short,
)


def made_by(**options: Any) -> dict[str, Any]:
    return {"model_name": "gpt2", "provenance": {"options": {"clusterer": "kmeans"} | options}}


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"n_clusters": 10, "seed": 0}, ["k = 10", "seed 0"]),
        ({"n_clusters": "auto", "seed": 3}, ["k auto", "seed 3"]),
        ({"n_clusters": {"embedding": 3, "block_1": 5}, "seed": 0}, ["k = 3 to 5", "seed 0"]),
        ({"n_clusters": {"embedding": 3}}, ["k = 3 to 3"]),
        ({"clusterer": "HDBSCAN()", "n_clusters": 10, "seed": 1}, ["HDBSCAN()", "seed 1"]),
    ],
)
def test_clusters_and_seed_are_facts(options: dict[str, Any], facts: list[str]) -> None:
    assert settings_facts(made_by(**options)) == facts
    assert settings_in_short(made_by(**options)) == ", ".join(["gpt2", *facts])


@pytest.mark.parametrize(
    "metadata", [{}, {"provenance": None}, {"provenance": {"options": "x"}}, {"provenance": []}]
)
def test_of_labels_from_elsewhere_nothing_is_made_up(metadata: dict[str, Any]) -> None:
    assert settings_facts(metadata) == []


def texts(parts: list[Any]) -> list[str]:
    found = []
    for one in parts:
        if isinstance(one, str):
            found.append(one)
        else:
            children = getattr(one, "children", None)
            found += (
                texts(children if isinstance(children, list) else [children]) if children else []
            )
    return found


def test_a_long_text_is_cut_and_says_so() -> None:
    text = "a\tb\r\nc\u200b" + "x" * SHOWN_CHARACTERS
    said = texts(origin(made_by() | {"input_text": text}, {}, [("Tokens", "3")], "?v=1"))
    shown = next(one for one in said if one.startswith("a\tb"))
    assert shown.startswith("a\tb\ncU+200B")
    assert f"The first 3,000 of {len(text):,} characters. " in said
    assert "No text was saved with this analysis." in texts(origin({}, {}, [], "?"))
