"""Heat maps whose cells say their numbers where there is room."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.components.figures.theme import colour_bar, colour_scale

Floats = npt.NDArray[np.float64]

# Numbers in more cells can't be read.
_MOST_WRITTEN: Final = 200


def numbered_cells(values: Floats, theme: str, *, largest: float = 1.0) -> dict[str, Any]:
    """Return the trace of a heat map from 0 to `largest`, without its hover; NaN is a gap."""
    written = values.size <= _MOST_WRITTEN
    return {
        "type": "heatmap",
        "z": values,
        "zmin": 0,
        "zmax": largest,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "colorscale": colour_scale(theme),
        "text": _two_decimals(values) if written else None,
        "texttemplate": "%{text}" if written else None,
        "textfont": {"size": 10},
        "colorbar": colour_bar(theme, nticks=4),
    }


def _two_decimals(values: Floats) -> list[list[str]]:
    return [["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in values.tolist()]
