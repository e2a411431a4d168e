"""Sentences about positions with massive activations."""

from __future__ import annotations

from typing import Final

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.massive import KINDS
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import plural

NAMED: Final = 3
READ_ALONE: Final = (
    "Each word was read at the first position, where models hold much the same of every token; "
    "give a prefix, such as “The word is”."
)

_KIND_NAMES: Final = {
    "starts": ("start of a sequence", "starts of sequences"),
    "special_tokens": ("special token", "special tokens"),
    "large_norms": ("large norm", "large norms"),
}


def set_aside_text(analysis: Analysis) -> str:
    """Return `3 tokens set aside: massive activations`; nothing where none is."""
    number = int(analysis.set_aside.sum())
    return f"{plural(number, 'token')} set aside: massive activations" if number else ""


def set_aside_kinds(analysis: Analysis) -> str:
    """Return how many tokens of each kind are set aside; nothing where none is."""
    counts = {name: len(getattr(analysis.massive, name)) for name in KINDS}
    return ", ".join(plural(count, *_KIND_NAMES[name]) for name, count in counts.items() if count)


def set_aside_sentence(analysis: Analysis) -> str:
    """Return a sentence that counts and names what is set aside; nothing where none is."""
    tokens = analysis.set_aside.nonzero()[0].tolist()
    if not tokens:
        return ""
    named = [
        f"“{visible(analysis.shown_tokens[i], 16)}” at {analysis.positions[i]}"
        for i in tokens[:NAMED]
    ]
    more = f", {len(tokens) - NAMED:,} more" if len(tokens) > NAMED else ""
    return f"{set_aside_text(analysis)} ({', '.join(named)}{more})."
