"""Token text as data: shown as itself, never as markup."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Invisible or text-turning characters are named; the usual blanks get a mark. Unicode's control
# pictures would be shorter than names, but few systems have a font with them.
_MARKS: Final = {" ": "·", "\n": "↵", "\t": "⇥"}
_NAMED_CATEGORIES: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
# Letters and marks that draw nothing: Unicode's Default_Ignorable_Code_Point beyond those
# categories, and the blank of Braille.
_BLANKS: Final = frozenset(
    map(
        chr,
        [
            0x034F,
            *range(0x115F, 0x1161),
            *range(0x17B4, 0x17B6),
            *range(0x180B, 0x1810),
            0x2800,
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0100, 0xE01F0),
        ],
    )
)
_EMPTY: Final = "∅"
_CODE_POINT: Final = re.compile(r"U\+((?:10|[0-9A-F])?[0-9A-F]{4})")
_RIGHT_TO_LEFT: Final = {"R", "AL", "AN"}
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
# `$` too: where a notebook has loaded MathJax, Plotly would typeset what is between two of them.
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def visible(text: str, limit: int = 40) -> str:
    """Return `text` as a person can see all of it.

    A space is `·`, a line feed `↵`, a tab `⇥`; other controls, blanks, bidi controls, zero-width
    characters, lone surrogates and unassigned characters are named as `U+200B`; an accent without a
    letter stands on `◌`; the empty text is `∅`. What would be shown longer than `limit` characters
    is cut and ends in `…`.
    """
    if text.isascii() and text.isprintable() and 0 < len(text) <= limit:
        # Most tokens; a figure may name ten thousand.
        return text.replace(" ", "·")
    shown = ""
    for character in text[: limit + 1]:
        mark = _visible(character)
        if not shown and unicodedata.category(character).startswith("M") and mark == character:
            mark = f"◌{mark}"
        if len(shown) + len(mark) > limit:
            return f"{shown}…"
        shown += mark
    return shown or _EMPTY


def from_visible(shown: str) -> str:
    """Return the text that `visible` shows so; other text is returned as it is."""
    for character, mark in _MARKS.items():
        shown = shown.replace(mark, character)
    return _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), shown)


def plotly_text(text: str, limit: int = 40) -> str:
    """Return `visible(text)` such that Plotly shows `<b>` and `&amp;` as themselves.

    For labels, ticks, annotations and hovers, though not inside a template, where `%{x}` has a
    meaning: a template takes text from `customdata`. Text that runs from right to left is isolated,
    so that it can't turn around what stands beside it.
    """
    return _escaped(visible(text, limit))


def plotly_name(name: str, limit: int = 40) -> str:
    """Return a layer's name like `plotly_text`, but with its words a space apart."""
    words = [visible(word, limit) for word in name.split(" ") if word]
    shown = " ".join(words) or _EMPTY
    return _escaped(shown if len(shown) <= limit else f"{shown[:limit]}…")


def _escaped(shown: str) -> str:
    if not shown.replace("·", "").isascii() and any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown
    ):
        shown = f"{_ISOLATE}{shown}{_END_OF_ISOLATE}"
    return shown.translate(_ESCAPES)


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if character in _MARKS:
        return _MARKS[character]
    if character in _BLANKS or unicodedata.category(character) in _NAMED_CATEGORIES:
        return f"U+{ord(character):04X}"
    return character
