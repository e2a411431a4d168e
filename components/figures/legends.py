"""What the colours of a figure mean, written below it."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape
from typing import Any, Final

from concept_fragmentation.components.palette import ink

# The height of a line, in pixels.
LEGEND_LINE: Final = 16

_CHARACTERS: Final = 48
# Below the names and the title of an axis, in pixels.
_BELOW_AXIS: Final = 44


def legend_lines(entries: Sequence[tuple[str, str]]) -> list[str]:
    """Return labels (Plotly text) after squares of their colours, in lines for a narrow page."""
    lines: list[str] = []
    free = 0
    for label, colour in entries:
        marked = f'<span style="color:{colour}">■</span> {label}'
        # With the square before it and the space between two.
        length = len(unescape(label)) + 5
        if length > free:
            lines.append(marked)
            free = _CHARACTERS + 3
        else:
            lines[-1] += f"   {marked}"
        free -= length
    return lines


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


def legend_below_axis(entries: Sequence[tuple[str, str]], theme: str) -> dict[str, Any]:
    """Return what a layout needs to name colours below its axis: the annotation and its margin."""
    return lines_below_axis(legend_lines(entries), theme)


def lines_below_axis(lines: Sequence[str], theme: str) -> dict[str, Any]:
    """Return the parts of a layout that place lines (Plotly text) below its axis."""
    return {
        "annotations": [legend_below(lines, theme, below=_BELOW_AXIS)],
        "margin": {"b": _BELOW_AXIS + LEGEND_LINE * len(lines)},
    }
