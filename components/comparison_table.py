"""The clusters of two analyses beside each other, as a table of the page."""

from __future__ import annotations

from typing import Any, Final

import dash_ag_grid as dag
import pandas as pd

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.palette import text_on
from concept_fragmentation.components.parts import sorted_table
from concept_fragmentation.components.words import title

# All rows are sent at once, so not more of them than stay small.
MAX_PAIRS_LISTED: Final = 2000

_NUMBER: Final = {"type": "rightAligned", "flex": 1, "minWidth": 86}
_COUNT: Final = {**_NUMBER, "valueFormatter": {"function": "cfCount(params.value)"}}
# Drawn by assets/figures.js.
_CLUSTER: Final = {"cellRenderer": "CfCluster", "flex": 1, "minWidth": 78}
_COLUMNS: Final[tuple[dict[str, Any], ...]] = (
    {"field": "layer", "headerName": "layer", "flex": 2, "minWidth": 100},
    {"field": "before", "headerName": "before", **_CLUSTER},
    {"field": "after", "headerName": "after", **_CLUSTER},
    {"field": "tokens_before", "headerName": "size before", **_COUNT, "minWidth": 106},
    {"field": "tokens_after", "headerName": "size after", **_COUNT, "minWidth": 98},
    {"field": "in_both", "headerName": "in both", **_COUNT},
    {
        "field": "jaccard",
        "headerName": "Jaccard",
        "headerTooltip": "Tokens in both clusters / tokens in either, from 0 to 1",
        "valueFormatter": {"function": "cfDecimals(params.value)"},
        **_NUMBER,
    },
)


def matched_clusters_grid(rows: list[dict[str, Any]]) -> dag.AgGrid:
    """Return the table of `matched_clusters_rows`, which the browser sorts."""
    return sorted_table(ids.MATCHED_GRID, _COLUMNS, rows)


def matched_clusters_rows(
    before: Analysis, after: Analysis, matched: pd.DataFrame, theme: str = "light"
) -> list[dict[str, Any]]:
    """Return which cluster of the one analysis is which of the other, and how far they agree.

    Each cluster has the colour that it has in the figures of its own analysis.

    Args:
        before: the first analysis.
        after: the second.
        matched: `matched_clusters_frame` of them; the first `MAX_PAIRS_LISTED` rows are taken.
        theme: "light" or "dark".
    """
    return [
        {
            "layer": title(str(layer), 24),
            **_cluster("before", before, layer, old, theme),
            **_cluster("after", after, layer, new, theme),
            "tokens_before": int(tokens_before),
            "tokens_after": int(tokens_after),
            "in_both": int(in_both),
            "jaccard": None if pd.isna(jaccard) else round(float(jaccard), 4),
        }
        for layer, old, new, tokens_before, tokens_after, in_both, jaccard in matched.head(
            MAX_PAIRS_LISTED
        ).itertuples(index=False, name=None)
    ]


def _cluster(
    when: str, analysis: Analysis, layer: str, cluster: Any, theme: str
) -> dict[str, int | str | None]:
    """A cluster and its colours; one that there is not has none."""
    if pd.isna(cluster):
        return {when: None}
    index = analysis.labelled_layers.index(layer)
    colour = colour_of(analysis, analysis.aligned.raw_to_aligned[index][int(cluster)], theme)
    return {when: int(cluster), f"{when}_colour": colour, f"{when}_text": text_on(colour)}
