"""Token text as data: shown as itself, never as markup."""

from __future__ import annotations

import unicodedata
from typing import Final

# Invisible or text-turning characters are named; what is only empty space gets a mark.
_MARKS: Final = {" ": "·", "\u00a0": "⍽", "\x7f": "␡"}
_NAMED_CATEGORIES: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_EMPTY: Final = "∅"


def visible(text: str, limit: int = 40) -> str:
    """Return `text` as a person can see all of it.

    A space is `·`, a line feed `␊`, other controls their pictures; bidi controls, zero-width
    characters, lone surrogates and unassigned characters are named as `U+200B`; the empty text is
    `∅`. What is longer than `limit` characters is cut and ends in `…`.
    """
    shown = "".join(map(_visible, text[:limit]))
    return f"{shown}…" if len(text) > limit else shown or _EMPTY


def plotly_text(text: str, limit: int = 40) -> str:
    """Return `visible(text)` escaped, so that Plotly shows `<b>` and `&amp;` as themselves."""
    return visible(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _visible(character: str) -> str:
    if character in _MARKS:
        return _MARKS[character]
    if character < " ":
        return chr(0x2400 + ord(character))
    if unicodedata.category(character) in _NAMED_CATEGORIES:
        return f"U+{ord(character):04X}"
    return character
