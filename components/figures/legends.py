"""What the colours of a figure mean, written below it."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape
from typing import Any, Final

from concept_fragmentation.components.palette import ink

# The height of a line, in pixels.
LEGEND_LINE: Final = 16

_CHARACTERS: Final = 62


def legend_lines(entries: Sequence[tuple[str, str]]) -> list[str]:
    """Return labels (Plotly text) after squares of their colours, in lines for a narrow page."""
    if not entries:
        return []
    marked = [f'<span style="color:{colour}">■</span> {label}' for label, colour in entries]
    longest = max(len(unescape(label)) for label, _ in entries) + 3
    a_line = max(_CHARACTERS // longest, 1)
    return ["   ".join(marked[i : i + a_line]) for i in range(0, len(marked), a_line)]


def legend_below(
    lines: Sequence[str], theme: str, *, shift: int = 0, below: int = 6
) -> dict[str, Any]:
    """Return the annotation that writes lines `below` the plot, moved right by `shift` pixels."""
    return {
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
        "text": "<br>".join(lines),
        "x": 0,
        "xshift": shift,
        "xanchor": "left",
        "y": 0,
        "yshift": -below,
        "yanchor": "top",
        "align": "left",
        "font": {"size": 11, "color": ink(theme).text},
    }
