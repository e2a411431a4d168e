"""The categories of a column beside each other, as a table of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import dash_ag_grid as dag
import numpy as np
import pandas as pd

from concept_fragmentation.analysis import (
    Analysis,
    CategoryEntropy,
    LayerWindow,
    bits,
    category_entropy,
    category_fragmentation,
    word_types,
)
from concept_fragmentation.analysis.categories import category_text
from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import sorted_table
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import arrows, decimals, title

# Of the null that each figure stands beside.
PERMUTATIONS: Final = 200

_NUMBER: Final = {"type": "rightAligned", "flex": 1, "minWidth": 92}
_DECIMALS: Final = {**_NUMBER, "valueFormatter": {"function": "cfDecimals(params.value)"}}
_DEALT: Final = "where the categories are dealt anew to the words"
_COLUMNS: Final[tuple[dict[str, Any], ...]] = (
    {"field": "category", "headerName": "category", "width": 140, "pinned": "left"},
    {
        "field": "tokens",
        "headerName": "tokens",
        **_NUMBER,
        "valueFormatter": {"function": "cfCount(params.value)"},
    },
    {
        "field": "fragmentation",
        "headerName": "F",
        "headerTooltip": "1 - the share of the path that most tokens of the category take",
        **_DECIMALS,
    },
    {
        "field": "dealt_mean",
        "headerName": "F dealt",
        "headerTooltip": f"Mean of F {_DEALT}",
        **_DECIMALS,
    },
    {
        "field": "dealt_low",
        "headerName": "dealt from",
        "headerTooltip": f"95 % of F {_DEALT}: from",
        **_DECIMALS,
    },
    {
        "field": "dealt_high",
        "headerName": "dealt to",
        "headerTooltip": f"95 % of F {_DEALT}: to",
        **_DECIMALS,
    },
    {
        "field": "p_adjusted",
        "headerName": "p",
        "headerTooltip": "Two-sided, corrected for all categories of the table (Holm)",
        **_DECIMALS,
    },
    {
        "field": "entropy_nats",
        "headerName": "H, nats",
        "headerTooltip": "Entropy of its tokens over the clusters of the window's last layer",
        **_DECIMALS,
    },
    {
        "field": "entropy_bits",
        "headerName": "H, bits",
        "headerTooltip": "The same in bits",
        **_DECIMALS,
    },
    {
        "field": "modal_path",
        "headerName": "modal path",
        "headerTooltip": "The path that most tokens of the category take",
        "flex": 3,
        "minWidth": 190,
        "sortable": False,
    },
)


@dataclass(frozen=True, eq=False)
class ByCategory:
    """The categories of a column, compared within a window.

    Attributes:
        column: which.
        layer: the last of the window, of which entropies are.
        frame: a row a category, the largest first, with the fields of the table.
        entropy: of the clusters of that layer, given the category.
    """

    column: str
    layer: str
    frame: pd.DataFrame
    entropy: CategoryEntropy


def by_category(analysis: Analysis, window: LayerWindow, column: str) -> ByCategory:
    """Compare the categories of a column of `token_metadata` within a window.

    Tokens that are set aside have no path in a window of `Analysis.without_set_aside`.

    Args:
        analysis: that the window is of.
        window: of labelled layers.
        column: of `analysis.token_columns`.
    """
    categories = [category_text(value) for value in analysis.token_columns[column]]
    types = word_types(analysis.tokens)
    found = category_fragmentation(window, categories, types, permutations=PERMUTATIONS)
    labels = analysis.labels[:, window.last]
    spread = category_entropy(labels, categories, types, permutations=PERMUTATIONS)
    rows = []
    for of in found:
        low, high = of.test.null_interval
        nats = spread.by_category.get(of.category, float("nan"))
        rows.append(
            {
                "category": str(of.category),
                "tokens": of.num_tokens,
                "fragmentation": of.test.observed,
                "dealt_mean": of.test.null_mean,
                "dealt_low": low,
                "dealt_high": high,
                "p_adjusted": of.test.p_adjusted,
                "entropy_nats": nats,
                "entropy_bits": bits(nats),
                "modal_path": arrows(of.modal_path),
            }
        )
    frame = pd.DataFrame(rows, columns=[definition["field"] for definition in _COLUMNS])
    return ByCategory(column, window.layers[-1], frame, spread)


def by_category_note(found: ByCategory) -> str:
    """Say how far all categories together tell the cluster in the last layer, beside the null."""
    test = found.entropy.test
    if not np.isfinite([test.observed, test.null_mean]).all():
        return "No token of a category has a cluster in every layer of the window."
    low, high = test.null_interval
    return (
        f"Entropy of clusters in {title(found.layer, 24)}: {decimals(found.entropy.total)} nats "
        f"({decimals(bits(found.entropy.total))} bits); given {title(found.column, 40)} "
        f"{decimals(test.observed)} nats ({decimals(bits(test.observed))} bits), where categories "
        f"that are dealt anew to the words leave {decimals(test.null_mean)} "
        f"({decimals(low)} to {decimals(high)} in 95 % of cases)."
    )


def by_category_rows(found: ByCategory) -> list[dict[str, Any]]:
    """Return the rows of the table as the browser takes them: text visible, numbers short."""
    return [
        {
            name: _cell(value) if name != "category" else visible(value, limit=60)
            for name, value in zip(found.frame.columns, row, strict=True)
        }
        for row in found.frame.itertuples(index=False, name=None)
    ]


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if np.isnan(value) else round(value, 4)


def by_category_grid(rows: list[dict[str, Any]]) -> dag.AgGrid:
    """Return the table of `by_category_rows`, which the browser sorts."""
    return sorted_table(ids.BY_CATEGORY_GRID, _COLUMNS, rows)
