"""The tokens of a cluster, the most typical ones first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis, cluster_company, typical_tokens
from concept_fragmentation.components.token_chips import token_chips
from concept_fragmentation.components.words import plural, title

MAX_TYPICAL_LISTED: Final = 60

_MOST_POSITIONS: Final = 12

_ORDERS: Final = {
    "distance": "nearest to the middle of the cluster first; from their hidden states",
    "company": "those first that are with most of the others in the other layers too",
}


@dataclass(frozen=True, eq=False)
class ClusterTokens:
    """The tokens of a cluster, most typical first.

    Attributes:
        indices: int64 (N,).
        scores: float64 (N,): the distance to the middle of the cluster, in the unit of the hidden
            states, ascending; or the company, from 0 to 1, descending.
        measure: which of them.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    measure: Literal["distance", "company"]


def cluster_tokens(analysis: Analysis, layer_index: int, cluster: int) -> ClusterTokens:
    """Order the tokens of a cluster: by `typical_tokens` where the layer has hidden states.

    Else by `cluster_company`. `layer_index` is among the labelled layers, `cluster` a raw id.

    Raises:
        InvalidDataError: there is no such layer.
    """
    layer, column = analysis.labelled_layers[layer_index], analysis.labels[:, layer_index]
    if not (column == cluster).any():
        # An address may name a cluster that the analysis does not have.
        return ClusterTokens(np.empty(0, dtype=np.int64), np.empty(0), "company")
    indices, company = cluster_company(analysis, layer, cluster)
    states = analysis.hidden_states.get(layer)
    # A mean that a massive activation takes part in is far from all tokens.
    members = (column == cluster) & ~analysis.set_aside
    if states is None or not members.any():
        return ClusterTokens(indices, company, "company")
    labels = np.where(members, cluster, -1)
    found = typical_tokens(states, labels, top=len(indices))[cluster]
    return ClusterTokens(found.indices, found.distances, "distance")


def cluster_token_list(
    analysis: Analysis, layer_index: int, cluster: int, found: ClusterTokens
) -> list[Component]:
    """Return the most typical tokens of a cluster, how they are ordered, and how many there are.

    A text that is there several times is listed once, where it is most typical, with how often.
    """
    what = f"cluster {cluster} of {title(analysis.labelled_layers[layer_index], 24)}"
    unit = "" if found.measure == "company" else " from the middle"
    scores = dict(zip(found.indices.tolist(), found.scores.tolist(), strict=True))
    groups: dict[str, list[int]] = {}
    for index in scores:
        groups.setdefault(analysis.shown_tokens[index], []).append(index)
    listed = list(groups.items())[:MAX_TYPICAL_LISTED]
    more = len(scores) - sum(len(same) for _, same in listed)
    return [
        html.H3(f"Typical of {what}", className="cf-card-title"),
        html.P(_ORDERS[found.measure], className="cf-hint"),
        token_chips(
            (
                (
                    same[0],
                    text,
                    f"×{len(same):,}" if len(same) > 1 else int(analysis.positions[same[0]]),
                    f"{_positions(analysis, same)}, {found.measure} {scores[same[0]]:.3g}{unit}",
                )
                for text, same in listed
            ),
            f"Tokens typical of {what}",
        ),
        html.Span(
            f"{plural(more, 'more token')} in the CSV." if more else "",
            className="cf-hint",
        ),
    ]


def _positions(analysis: Analysis, tokens: list[int]) -> str:
    """Return the positions of the tokens of one text, the most typical first."""
    named = [str(place) for place in analysis.positions[tokens[:_MOST_POSITIONS]].tolist()]
    if len(tokens) == 1:
        return f"position {named[0]}"
    more = ", …" if len(tokens) > len(named) else ""
    return f"{len(tokens):,} times, at positions {', '.join(named)}{more}"
