"""What the page is made of: its tabs, the sections each of them shows, and every figure's place.

A section can stand in several tabs. A figure is drawn when its section is shown and the part of
the view that it depends on is not the one it was drawn for; so a tab loads its own figures only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from concept_fragmentation.components import ids
from concept_fragmentation.components.view import Part, Tab

TAB_NAMES: Final[Mapping[Tab, str]] = {
    "overview": "Overview",
    "analyze": "Analyze",
    "paths": "Token paths",
    "attention": "Attention",
    "concepts": "Concepts",
    "path-attention": "Path and attention",
    "compare": "Compare",
    "library": "Library",
    "persistence": "Analysis Persistence",
}

SECTIONS: Final[Mapping[Tab, tuple[str, ...]]] = {
    "overview": (
        ids.WINDOW_SECTION,
        ids.SUMMARY_SECTION,
        ids.FLOW_SECTION,
        ids.GLANCE_SECTION,
        ids.ORIGIN_SECTION,
        ids.PERSISTENCE,
    ),
    "analyze": (ids.ANALYZE_SECTION,),
    "paths": (
        ids.WINDOW_SECTION,
        ids.FLOW_SECTION,
        ids.TRAJECTORIES_SECTION,
        ids.CATEGORIES_SECTION,
        ids.TABLE_SECTION,
        ids.WINDOWS_SECTION,
        ids.MOVES_SECTION,
    ),
    "attention": (ids.WINDOW_SECTION, ids.HEADS_SECTION, ids.WEIGHTS_SECTION),
    "concepts": (
        ids.WINDOW_SECTION,
        ids.CLUSTERS_SECTION,
        ids.MAP_SECTION,
        ids.SIMILARITY_SECTION,
    ),
    "path-attention": (
        ids.WINDOW_SECTION,
        ids.PATH_ATTENTION_SECTION,
        ids.FLOW_SECTION,
        ids.WEIGHTS_SECTION,
    ),
    "compare": (ids.WINDOW_SECTION, ids.COMPARE_SECTION),
    "library": (ids.LIBRARY_SECTION,),
    "persistence": (ids.PERSISTENCE,),
}


@dataclass(frozen=True)
class Place:
    """Where a figure stands, and the part of the view that it depends on.

    `name` says what it shows, within a sentence; `height` is in pixels, of figures that are as high
    as their data need the least. `is_image` says whether it can be downloaded as an image: tables
    and lists can't.
    """

    name: str
    section: str
    part: Part
    height: int = 340
    is_image: bool = True


FIGURES: Final[Mapping[str, Place]] = {
    ids.SUMMARY: Place("summary", ids.SUMMARY_SECTION, "window", is_image=False),
    ids.STANDS_OUT: Place("what stands out", ids.GLANCE_SECTION, "window", is_image=False),
    ids.PATH_MAP: Place("paths at a glance", ids.GLANCE_SECTION, "glance", 400),
    ids.ORIGIN: Place("settings and text", ids.ORIGIN_SECTION, "analysis", is_image=False),
    ids.SANKEY: Place("token flow", ids.FLOW_SECTION, "flow", 520),
    ids.PATHS: Place("archetypal paths", ids.FLOW_SECTION, "flow", is_image=False),
    ids.SELECTION: Place("selected tokens", ids.FLOW_SECTION, "members", is_image=False),
    ids.TRAJECTORIES: Place("trajectories", ids.TRAJECTORIES_SECTION, "traces", 460),
    ids.COMPARED_TOKENS: Place("compared tokens", ids.TRAJECTORIES_SECTION, "traces", 320),
    ids.BY_CATEGORY: Place(
        "table by category", ids.CATEGORIES_SECTION, "categories", is_image=False
    ),
    ids.PATH_TABLE: Place("token paths", ids.TABLE_SECTION, "window", is_image=False),
    ids.WINDOW_GRID: Place("path fragmentation", ids.WINDOWS_SECTION, "window", 420),
    ids.CONVERGENCE: Place("convergence", ids.WINDOWS_SECTION, "analysis", 420),
    # As high as the one beside it with its controls.
    ids.PATH_METRICS: Place("path metrics", ids.MOVES_SECTION, "window", 422),
    ids.PATH_LENGTHS: Place("path lengths", ids.MOVES_SECTION, "window", 320),
    ids.HEAT_MAP: Place("transitions between two layers", ids.MOVES_SECTION, "heat", 380),
    ids.ATTENTION: Place("attention by layer", ids.HEADS_SECTION, "analysis"),
    ids.HEAD_ENTROPY: Place("head entropy", ids.HEADS_SECTION, "analysis", 400),
    ids.HEAD_AGREEMENT: Place("head agreement", ids.HEADS_SECTION, "analysis"),
    ids.LAYER_AGREEMENT: Place("agreement of layers", ids.HEADS_SECTION, "analysis", 400),
    ids.ATTENTION_MATRIX: Place("attention matrix", ids.WEIGHTS_SECTION, "head", 560),
    ids.ROLLOUT_MATRIX: Place("attention rollout", ids.WEIGHTS_SECTION, "head", 560),
    ids.ATTENTION_FLOW: Place("attention flow", ids.WEIGHTS_SECTION, "influx", 460),
    ids.ROLLOUT_OF_TOKEN: Place("rollout of a token", ids.WEIGHTS_SECTION, "tokens", 460),
    ids.CONCEPTS: Place("concept metrics by layer", ids.CLUSTERS_SECTION, "analysis"),
    ids.CLUSTER_SIZES: Place("cluster sizes", ids.CLUSTERS_SECTION, "sizes"),
    ids.CLUSTER_ENTROPY: Place("cluster entropy", ids.CLUSTERS_SECTION, "window"),
    ids.SIMILARITY_AMI: Place("similarity of clusterings", ids.SIMILARITY_SECTION, "analysis", 420),
    ids.SIMILARITY_CKA: Place(
        "similarity of hidden states", ids.SIMILARITY_SECTION, "analysis", 420
    ),
    ids.STATE_MAP: Place("map of a layer", ids.MAP_SECTION, "map", 480),
    ids.TYPICAL: Place("typical tokens", ids.MAP_SECTION, "selection", is_image=False),
    ids.DIFFERENCE_FLOW: Place("difference of flows", ids.COMPARE_SECTION, "comparison", 500),
    ids.COMPARED_METRICS: Place("metrics side by side", ids.COMPARE_SECTION, "comparison", 450),
    ids.MOVED_BY_LAYER: Place("tokens moved by layer", ids.COMPARE_SECTION, "comparison", 360),
    ids.MATCHED_CLUSTERS: Place(
        "matched clusters", ids.COMPARE_SECTION, "comparison", is_image=False
    ),
    ids.MOVED_TOKENS: Place("tokens that moved most", ids.COMPARE_SECTION, "comparison", 180),
    ids.COMPARE_CHOICE: Place(
        "what to compare with", ids.COMPARE_SECTION, "comparison", is_image=False
    ),
    ids.LIBRARY_TABLE: Place("library", ids.LIBRARY_SECTION, "nothing", is_image=False),
    ids.PATH_ATTENTION_LAYERS: Place(
        "path and attention by layer", ids.PATH_ATTENTION_SECTION, "analysis", 420
    ),
    ids.PATH_ATTENTION_TOKENS: Place(
        "path and attention by token", ids.PATH_ATTENTION_SECTION, "tokens", 420
    ),
}


def is_of_all_tokens(figure_id: str) -> bool:
    """Return whether a figure shows all tokens, whatever category the view is restricted to."""
    place = FIGURES[figure_id]
    return place.part == "comparison" or place.section == ids.WEIGHTS_SECTION


def sections_of_images() -> dict[str, list[str]]:
    """Return the sections all of whose figures are images, none a table or list, with these."""
    found: dict[str, list[str]] = {}
    for figure_id, place in FIGURES.items():
        found.setdefault(place.section, []).append(figure_id)
    return {
        section: figures
        for section, figures in found.items()
        if all(FIGURES[figure_id].is_image for figure_id in figures)
    }


def height_of(figure_id: str, drawn: go.Figure) -> int:
    """Return how high a figure is drawn, in pixels: as high as it wants to be, if it says so."""
    return int(drawn.layout.height or FIGURES[figure_id].height)


def tab_of(figure_id: str) -> Tab:
    """Return the first tab that shows a figure."""
    section = FIGURES[figure_id].section
    return next(tab for tab, sections in SECTIONS.items() if section in sections)


def structure() -> dict[str, Any]:
    """Return the same for the browser, which decides what has to be drawn (assets/orders.js)."""
    return {
        "tabs": {tab: list(sections) for tab, sections in SECTIONS.items()},
        "figures": {
            figure_id: {"section": place.section, "part": place.part}
            for figure_id, place in FIGURES.items()
        },
    }
