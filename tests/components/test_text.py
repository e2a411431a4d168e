from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.components.text import plotly_name, plotly_text, visible

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
anything = st.text(st.characters(codec=None, categories=None), max_size=60)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "·the"),
        ("the ", "the·"),
        ("a b", "a·b"),
        ("\n", "↵"),
        ("\t\r\n", "⇥U+000D↵"),
        ("", "∅"),
        ("\x00\x7f\x85", "U+0000U+007FU+0085"),
        ("\ud800", "U+D800"),
        ("a\u200bb", "aU+200Bb"),
        ("\u202eabc", "U+202Eabc"),
        ("\u00a0", "U+00A0"),
        ("\u3164", "U+3164"),
        ("\ufe0f", "U+FE0F"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("<b>x</b>", "<b>x</b>"),
        ("שלום", "שלום"),
        ("👍", "👍"),
    ],
)
def test_every_character_of_a_token_is_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


@given(anything)
def test_nothing_invisible_is_left(token: str) -> None:
    assert visible(token).strip()
    assert not {unicodedata.category(character) for character in visible(token)} & INVISIBLE


@given(anything, st.integers(1, 50))
def test_what_is_shown_is_no_longer_than_the_limit(token: str, limit: int) -> None:
    assert len(visible(token, limit)) <= limit + 1
    if len(visible(token, 1000)) > limit:
        assert visible(token, limit).endswith("…")


@given(anything, st.integers(1, 50))
def test_a_token_is_cut_between_characters_and_not_inside_a_name(token: str, limit: int) -> None:
    whole = visible(token, 10_000)
    cut = visible(token, limit)
    if cut != whole:
        beginnings = {visible(token[:length], 10_000) for length in range(1, len(token) + 1)}
        assert cut == "…" or cut[:-1] in beginnings


@given(anything)
def test_plotly_text_holds_no_markup_and_decodes_to_what_is_visible(token: str) -> None:
    text = plotly_text(token)
    assert not set(text) & set('<>$"') - set('"')
    assert html.unescape(text).strip("\u2068\u2069") == visible(token)


@pytest.mark.parametrize(
    ("token", "escaped"),
    [
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("&amp;", "&amp;amp;"),
        ("%{x}", "%{x}"),
        ("$a$", "&#36;a&#36;"),
        (" the", "·the"),
        ("שלום", "\u2068שלום\u2069"),
    ],
)
def test_plotly_text_is_escaped(token: str, escaped: str) -> None:
    assert plotly_text(token) == escaped


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("block 3 mlp", "block 3 mlp"),
        ("<b>h 0</b>", "&lt;b&gt;h 0&lt;/b&gt;"),
        ("a\nb", "a↵b"),
        ("", "∅"),
        ("  ", "∅"),
        ("transformer.h.11.mlp.c_proj", "transformer.h…"),
    ],
)
def test_a_name_keeps_the_spaces_between_its_words(name: str, shown: str) -> None:
    assert plotly_name(name, 13) == shown
