"""The report of the analysis shown: every figure that it has data for, in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import plotly.graph_objects as go

from concept_fragmentation.analysis import archetypal_paths
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.flow import EXAMPLES, PATHS_LISTED
from concept_fragmentation.callbacks.overview import NO_LABELS, facts_of_window, stats_of_window
from concept_fragmentation.callbacks.views import figure_or_reason
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.offline import THEMES
from concept_fragmentation.components.report import (
    Chapter,
    Plate,
    Report,
    Table,
    archetypes_table,
    layer_table,
    path_table,
    provenance_table,
    report_page,
    settings_table,
    window_table,
)
from concept_fragmentation.components.structure import FIGURES, SECTIONS, TAB_NAMES, height_of
from concept_fragmentation.components.summary import short_facts
from concept_fragmentation.components.view import Tab, View
from concept_fragmentation.components.words import title
from concept_fragmentation.persistence.flatten import scalars


def report_of(workspace: Workspace, view: View) -> str:
    """Return the report of a settled view as a web page of one file."""
    shown = workspace.shown(view)
    other = None
    if view.other is not None:
        compared = workspace.store.list_versions(view.other)[0]
        other = f"{compared['name']}, version {view.other_version or compared['version']}"
    return report_page(
        Report(
            name=title(shown.name),
            facts=tuple(
                short_facts(
                    shown.analysis, shown.metadata, demo=shown.is_demo, saved=shown.is_saved
                )
            ),
            stats=tuple(stats_of_window(workspace, view)),
            sentences=tuple(facts_of_window(workspace, view)) or (NO_LABELS,),
            tables=tuple(_tables(workspace, view)),
            chapters=tuple(_chapters(workspace, view)),
            settings=settings_table(shown.analysis, view, other),
            provenance=provenance_table(_provenance(workspace, view)),
        )
    )


def _chapters(workspace: Workspace, view: View) -> Iterator[Chapter]:
    """A chapter for each view of the page; a figure that stands in several is in the first."""
    placed: set[str] = set()
    for tab in get_args(Tab):
        if tab == "compare" and view.other is None:
            continue
        here = [
            figure_id
            for section in SECTIONS[tab]
            for figure_id, place in FIGURES.items()
            if place.section == section
            and figure_id in SOURCES
            and figure_id not in placed
            # It is about tokens that somebody chose.
            and (figure_id != ids.COMPARED_TOKENS or len(view.tokens) > 1)
        ]
        placed.update(here)
        plates: list[Plate] = []
        missing: dict[str, list[str]] = {}
        for figure_id in here:
            drawn = _drawn(workspace, figure_id, view)
            if isinstance(drawn, str):
                missing.setdefault(drawn, []).append(FIGURES[figure_id].name)
            else:
                name, height = FIGURES[figure_id].name, height_of(figure_id, drawn[THEMES[0]])
                plates.append(Plate(figure_id, name, height, drawn))
        if here:
            reasons = tuple(f"No {', '.join(names)}. {why}" for why, names in missing.items())
            yield Chapter(TAB_NAMES[tab], tuple(plates), reasons)


def _drawn(workspace: Workspace, figure_id: str, view: View) -> dict[str, go.Figure] | str:
    figures = {}
    for theme in THEMES:
        drawn = figure_or_reason(partial(SOURCES[figure_id].draw, workspace, view, theme))
        if isinstance(drawn, str):
            return drawn
        figures[theme] = drawn
    return figures


def _tables(workspace: Workspace, view: View) -> Iterator[Table]:
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    metrics = workspace.metrics(view)
    if window is None or metrics is None:
        return
    yield archetypes_table(archetypal_paths(analysis, window, top=PATHS_LISTED, examples=EXAMPLES))
    yield window_table(window)
    yield path_table(metrics)
    whole = workspace.window(replace(view, first=0, last=len(analysis.labelled_layers) - 1))
    if whole is not None:
        yield layer_table(analysis, whole)


def _provenance(workspace: Workspace, view: View) -> Iterator[tuple[str, Any]]:
    shown = workspace.shown(view)
    made = shown.data().get("provenance")
    for values in (shown.metadata, made if isinstance(made, Mapping) else {}):
        for name, value in values.items():
            if isinstance(value, list | tuple):
                yield name, ", ".join(map(str, value))
            else:
                yield from scalars({name: value})
