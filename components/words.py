"""Numbers, names and times as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from concept_fragmentation.components.text import visible

UNLISTED: Final = "__proto__"
_PROTOTYPE: Final = re.compile("(__proto)(__)", re.IGNORECASE)


def title(text: str, limit: int = 120) -> str:
    """Return a name as people gave it: what can't be seen is made visible, but for its spaces."""
    words = text.split(" ")
    shown = " ".join(visible(word, limit=limit) if word else "" for word in words)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def option_text(text: str) -> str:
    """Return a text that a dropdown can search, as it stands but for what ends the search.

    The library that Dash's dropdown searches with takes every part of a text for a key of an
    object, and fails where one is "__proto__": the dropdown, and the page with it, is then gone.
    """
    return _PROTOTYPE.sub("\\1\u2060\\2", text)


def is_listable(value: str) -> bool:
    """Return whether a dropdown can have a value: it searches values too, see `option_text`."""
    return UNLISTED not in value.lower()


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 token`, `10,000 tokens`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share of 1 as `12.5%`; one below the least that can be written as `<0.1%`.

    So is one just below all: `>99.9%` is not everything. Not a number is `–`.
    """
    if math.isnan(share):
        return "–"
    least, hundredths = 10.0**-digits, round(100 * share, 9)
    if 0 < hundredths < least:
        return f"<{least:.{digits}f}%"
    if 100 - least < hundredths < 100:
        return f">{100 - least:.{digits}f}%"
    return f"{signed_zero(round(hundredths, digits)):.{digits}f}%"


def decimals(number: float, digits: int = 2) -> str:
    """Return `0.25`; what rounds to nothing has no sign. Not a number is `–`."""
    if math.isnan(number):
        return "–"
    return f"{signed_zero(round(number, digits)):,.{digits}f}"


def signed_zero(number: float) -> float:
    """Return a number as it is, but zero without its sign."""
    return number if number else 0.0


def mebibytes(num_bytes: int) -> str:
    """Return `256 MiB`."""
    return f"{num_bytes / 2**20:,.4g} MiB"


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `4th`, `11th`."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    teen = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teen else endings.get(number % 10, 'th')}"


def arrows(path: Sequence[int], most: int | None = None) -> str:
    """Return a path as people read it; of more than `most` clusters the first ones."""
    shown = path if most is None or len(path) <= most else path[:most]
    more = " → …" if len(shown) < len(path) else ""
    return " → ".join(str(cluster) for cluster in shown) + more


def path_runs(path: Iterable[int]) -> str:
    """Return a path with each stay in one cluster counted: `0 → 2×3`, `1×31`."""
    stays = ((cluster, len(list(stay))) for cluster, stay in groupby(path))
    return " → ".join(f"{cluster}×{num}" if num > 1 else f"{cluster}" for cluster, num in stays)


def short_date(timestamp: str) -> str:
    """Return the day and minute of an ISO 8601 time, in UTC as it was written."""
    return timestamp[:16].replace("T", " ")
