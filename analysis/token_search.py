"""Find tokens by their text, as a person types it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.model import Analysis

# No text of a token holds it, so nothing is found across the end of a sequence.
_END_OF_SEQUENCE = "\ue000"


def find_tokens(analysis: Analysis, text: str) -> npt.NDArray[np.int64]:
    """Return the tokens that match a text, best first.

    Tokens that are the text come first, then those that begin with it, then those that contain it,
    then the tokens of words that the tokenizer has cut: "free software" finds both tokens of
    " free" + " software". Case does not matter; a space does: " soft" does not find "Microsoft".

    Args:
        analysis: the analysis whose tokens are searched.
        text: what to find; the empty text finds nothing.

    Returns:
        int64 (matches,), indices of tokens, each once.
    """
    needle = text.casefold()
    sought = needle.strip()
    if not needle:
        return np.empty(0, np.int64)
    folded = [token.casefold() for token in analysis.shown_tokens]
    ranked = []
    for index, token in enumerate(folded):
        if needle in token:
            word = token.strip()
            ranked.append((0 if word == sought else 1 if word.startswith(sought) else 2, index))
    ranked.sort()
    found = dict.fromkeys(index for _, index in ranked)
    found |= dict.fromkeys(_across_tokens(folded, analysis.sequence_ids, needle))
    return np.fromiter(found, np.int64, len(found))


def _across_tokens(
    folded: list[str], sequence_ids: npt.NDArray[np.int64], needle: str
) -> list[int]:
    """Return the tokens of every place where the needle begins a word or a token, and ends in a
    later token.
    """
    ends = {
        i for i, (one, next_one) in enumerate(pairwise(sequence_ids.tolist())) if one != next_one
    }
    parts = [token + _END_OF_SEQUENCE * (i in ends) for i, token in enumerate(folded)]
    joined = "".join(parts)
    starts = np.cumsum([0, *map(len, parts)])
    found: list[int] = []
    at = joined.find(needle)
    while at >= 0:
        first, last = np.searchsorted(starts, (at, at + len(needle) - 1), side="right") - 1
        before = folded[first][: at - starts[first]]
        begins_word = not (before[-1:].isalnum() and needle[0].isalnum())
        if last > first and begins_word:
            found.extend(range(first, last + 1))
        at = joined.find(needle, at + 1)
    return found
