"""Names of layers short enough to stand below an axis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from concept_fragmentation.analysis.cluster_quality import unstable_layers
from concept_fragmentation.components.text import plotly_name

# Behind the name of a layer whose clusters do not come again.
UNSTABLE: Final = "*"
UNSTABLE_SAID: Final = f"{UNSTABLE} not stable"

_NUMBERED: Final = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_MOST_TICKS: Final = 16
# Names of no more characters are never turned: a narrow figure writes every second one
# (assets/dashboard.css).
_UPRIGHT: Final = 4
# Cut, it could be anything.
_ABBREVIATED: Final = {"embedding": "emb"}


def abbreviated(name: str) -> str:
    """Return a layer's name as it stands below an axis: short where it is a common one."""
    return _ABBREVIATED.get(name, name)


@dataclass(frozen=True)
class LayerNames:
    """What an axis of layers says, as Plotly text.

    Attributes:
        title: what all names have in common, "layer" if that is nothing.
        ticks: what tells them apart: numbers if the names are numbered alike, else the names.
        numbered: whether the ticks are numbers.
    """

    title: str
    ticks: tuple[str, ...]
    numbered: bool


def layer_names(names: Sequence[str]) -> LayerNames:
    """Split `layer_0`, `layer_1` into the title `layer` and the ticks `0`, `1`.

    The first of three or more may be named otherwise, as an embedding is; its tick is its name.
    """
    # Before the blocks there is often an embedding.
    for unlike in (0, 1) if len(names) > 2 else (0,):
        found = [_NUMBERED.fullmatch(name) for name in names[unlike:]]
        parts = [match.groups() for match in found if match]
        frames = {(before, after) for before, _, after in parts}
        if len(parts) == len(found) and len(frames) == 1:
            ((before, after),) = frames
            title = f"{before}n{after}" if after else before.rstrip("_.-:/ ")
            ticks = [*names[:unlike], *(number for _, number, _ in parts)]
            return LayerNames(
                plotly_name(title, 24) if title else "layer",
                tuple(plotly_name(abbreviated(tick), 6) for tick in ticks),
                numbered=True,
            )
    return LayerNames("layer", tuple(plotly_name(name, 14) for name in names), numbered=False)


def marked_layers(
    names: Sequence[str], shown: Sequence[str], cluster_metrics: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return what is shown of each layer, with a mark behind those whose clusters are not stable.

    Args:
        names: of the layers.
        shown: what is shown of each, as Plotly text.
        cluster_metrics: of the analysis; see `unstable_layers`.
    """
    unstable = unstable_layers(cluster_metrics)
    return [
        f"{text}{UNSTABLE}" if name in unstable else text
        for name, text in zip(names, shown, strict=True)
    ]


def layer_axis(
    names: Sequence[str], cluster_metrics: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return an axis on which layer i stands at i, in order, however alike two names look.

    Where clusters are shown, `cluster_metrics` says which layers are marked as unstable.
    """
    shown = layer_names(names)
    ticks = marked_layers(names, shown.ticks, cluster_metrics or {})
    step = -(-len(names) // _MOST_TICKS)
    return {
        "title": {
            "text": shown.title
            if ticks == list(shown.ticks)
            else f"{shown.title} ({UNSTABLE_SAID})"
        },
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickmode": "array",
        "tickvals": list(range(0, len(names), step)),
        "ticktext": ticks[::step],
        "range": [-0.5, len(names) - 0.5],
    } | ({"tickangle": 0} if max(map(len, shown.ticks), default=0) <= _UPRIGHT else {})
