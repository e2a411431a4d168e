"""Heat maps whose cells say their numbers where there is room."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from plotly.colors import sample_colorscale

from concept_fragmentation.components.figures.theme import colour_bar, colour_scale
from concept_fragmentation.components.palette import text_on
from concept_fragmentation.components.words import decimals

Floats = npt.NDArray[np.float64]

# Numbers in more cells can't be read.
_MOST_WRITTEN: Final = 200


def numbered_cells(values: Floats, theme: str, *, largest: float = 1.0) -> dict[str, Any]:
    """Return the trace of a heat map from 0 to `largest`, without its hover; NaN is a gap.

    The numbers are a trace of their own, see `cell_numbers`.
    """
    return {
        "type": "heatmap",
        "z": values,
        "zmin": 0,
        "zmax": largest,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "colorscale": colour_scale(theme),
        "colorbar": colour_bar(theme, nticks=4),
    }


def cell_numbers(
    values: Floats, theme: str, *, largest: float = 1.0, percent: bool = False
) -> list[dict[str, Any]]:
    """Return the trace that writes the numbers of `numbered_cells`; none of more than 200 cells.

    Each is black or white, whichever is read better on its cell: the text of a heat map itself is
    grey on a middle blue. Zeros are left out where they are percent.
    """
    if not 0 < values.size <= _MOST_WRITTEN:
        return []
    written = np.isfinite(values) & (values >= 0.005 if percent else True)
    rows, columns = np.nonzero(written)
    shown = values[rows, columns]
    scale = sample_colorscale(
        colour_scale(theme), np.clip(shown / largest, 0, 1).tolist(), colortype="tuple"
    )
    on = [text_on("#" + "".join(f"{round(255 * part):02x}" for part in colour)) for colour in scale]
    return [
        {
            "type": "scatter",
            "mode": "text",
            "x": columns,
            "y": rows,
            "text": [f"{100 * n:.0f}" if percent else decimals(n) for n in shown.tolist()],
            "textfont": {"size": 10, "color": on},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
