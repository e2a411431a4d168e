"""What a notebook shows of stored things is never markup."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from concept_fragmentation.persistence import GPT2AnalysisPersistence

Store = GPT2AnalysisPersistence

HOSTILE = "<script>alert(1)</script>&amp;\x1b\u202e\ud800$x$"


@pytest.fixture
def hostile(store: Store, analysis: dict[str, Any]) -> Store:
    more = {HOSTILE: HOSTILE}
    store.save_analysis_results(
        analysis, "<i>gpt2", HOSTILE, "one", more, name=HOSTILE, tags=[HOSTILE], notes=HOSTILE
    )
    return store


def check(shown: str) -> str:
    shown.encode()
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert 'class="tex2jax_ignore mathjax_ignore"' in shown
    # Well-formed, and the text is there.
    text = "".join(ET.fromstring(shown).itertext())  # noqa: S314 - our own
    assert r"<script>alert(1)</script>&amp;\x1b\u202e\ud800$x$" in text
    return text


def test_a_store_shows_its_newest_analyses(hostile: Store) -> None:
    assert "the 1 newest analyses" in check(hostile._repr_html_())


def test_an_empty_store_says_so(store: Store) -> None:
    assert "empty" in store._repr_html_()


def test_metadata_is_a_dict_and_a_table(hostile: Store) -> None:
    for entry in (hostile.list_analyses()[0], hostile.list_versions("one")[0]):
        assert isinstance(entry, dict)
        assert "num_tokens" in check(entry._repr_html_())  # type: ignore[attr-defined]


def test_an_open_analysis_shows_what_it_is(hostile: Store) -> None:
    with hostile.open_analysis("one") as opened:
        assert "version" in check(opened._repr_html_())
        assert repr(opened).startswith("<AnalysisHandle 'one' version 1: 8 tokens, 3 layers")
