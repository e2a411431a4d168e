"""Where the nodes of a Sankey stand when Plotly is not to arrange them, and what is above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from concept_fragmentation.components.figures.layer_names import layer_names
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.text import plotly_name

# So many names, with so many characters in all, have room side by side on a narrow page.
MOST_NAMES: Final = 6
MOST_CHARACTERS: Final = 32
# Names up to so many characters stand above the middle of the outermost bars too.
_MOST_CENTRED: Final = 4
# Of more columns bars are thin; by that, assets/dashboard.css knows those that have no room for
# names between them on a narrow page.
MOST_THICK: Final = 8
THIN: Final = 9


# So many columns fit every place; of more each takes so many pixels, and the figure is scrolled.
MOST_FITTING: Final = 13
COLUMN: Final = 42


def width_of_columns(number: int, column: int = COLUMN) -> int:
    """Return how many pixels a figure of so many columns needs; 0 where every place is enough."""
    return number * column if number > MOST_FITTING else 0


@dataclass(frozen=True)
class Stacked:
    """Columns of nodes, each stacked around the middle of the height.

    Attributes:
        x: of each node, column by column, from 0 to 1; never quite, which Plotly takes for unset.
        y: the middle of each node, likewise.
        heights: of each node, as a share of the plot's height.
        gap: between nodes, as a share of the plot's height.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    heights: tuple[float, ...]
    gap: float


def stacked(columns: Sequence[Sequence[float]], gap: float) -> Stacked:
    """Stack nodes of some sizes with one scale for all columns, so that the fullest just fits.

    Args:
        columns: the sizes of the nodes of each of two columns or more, from top to bottom.
        gap: between nodes, as a share of the height; less where there are many nodes.
    """
    between = min(gap, 0.4 / max(map(len, columns)))
    scale = min(
        (1 - between * (len(column) - 1)) / sum(column) for column in columns if sum(column) > 0
    )
    x, y, heights = [], [], []
    for i, column in enumerate(columns):
        top = (1 - sum(column) * scale - between * (len(column) - 1)) / 2
        for size in column:
            x.append(_within(i / (len(columns) - 1)))
            y.append(_within(round(top + size * scale / 2, 5)))
            heights.append(size * scale)
            top += size * scale + between
    return Stacked(tuple(x), tuple(y), tuple(heights), between)


def thickness(num_columns: int, usual: int) -> int:
    """Return how thick bars are, in pixels: as `usual`, or `THIN` where there are many columns."""
    return usual if num_columns <= MOST_THICK else THIN


def column_names(layers: Sequence[str]) -> list[str]:
    """Return what stands above columns, as Plotly text: the names of their layers.

    Where these are too many or too long for a narrow page, only what tells them apart.
    """
    if len(layers) > MOST_NAMES or sum(map(len, layers)) > MOST_CHARACTERS:
        return list(layer_names(layers).ticks)
    return [plotly_name(name, 14) for name in layers]


def column_heads(
    names: Sequence[str], theme: str, thick: int, *, slanted: bool = False
) -> list[dict[str, Any]]:
    """Return annotations that name two or more columns of bars, which are so `thick`.

    Long outermost names are flush with their bars, so that they aren't cut.
    """
    flush, last = max(map(len, names)) > _MOST_CENTRED, len(names) - 1
    heads = []
    for i, name in enumerate(names):
        side = 0 if not flush else -1 if i == 0 else 1 if i == last else 0
        heads.append(
            {
                "text": name,
                "xref": "paper",
                "yref": "paper",
                "x": i / last,
                "xanchor": "left" if slanted else ("left", "center", "right")[side + 1],
                "xshift": side * (thick // 2),
                "y": 1,
                "yanchor": "bottom",
                "yshift": 4,
                "textangle": -30 if slanted else 0,
                "showarrow": False,
                "font": {"size": 11, "color": ink(theme).soft},
            }
        )
    return heads


def _within(share: float) -> float:
    return min(max(share, 0.001), 0.999)
