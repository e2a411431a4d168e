"""Names of files that a person takes away: after the analysis, its window and the figure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

# A name of a file may have 255 bytes, and a character has up to four.
_MOST_CHARACTERS: Final = 40


def file_stem(name: str, layers: Sequence[str]) -> str:
    """Return the beginning of an analysis's file names: its name and the window of its layers.

    >>> file_stem("Capital cities, k = 10", ["block_2", "block_3", "block_4"])
    'Capital-cities-k-10-block_2-to-block_4'
    """
    ends = [layers[0], layers[-1]] if len(layers) > 1 else list(layers)
    window = "-to-".join(filter(None, (part_of_name(end) for end in ends)))
    return "-".join(filter(None, (part_of_name(name) or "analysis", window)))


def part_of_name(text: str) -> str:
    """Return the letters, digits and marks of a text that every file system takes, as one word."""
    kept = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", text))
    return kept[:_MOST_CHARACTERS].strip("-")
