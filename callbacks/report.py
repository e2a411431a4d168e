"""The report of the analysis shown: every figure that it has data for, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import plotly.graph_objects as go
from blake3 import blake3
from dash import Dash, Input, Output, State, no_update

from concept_fragmentation.analysis import archetypal_paths
from concept_fragmentation.callbacks import runs
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.checks import read
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.flow import EXAMPLES, PATHS_LISTED
from concept_fragmentation.callbacks.messages import public, without_folders
from concept_fragmentation.callbacks.overview import NO_LABELS, facts_of_window, stats_of_window
from concept_fragmentation.callbacks.runs import Outcome, told_ahead
from concept_fragmentation.callbacks.views import figure_or_reason
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.messages import failure
from concept_fragmentation.components.offline import THEMES
from concept_fragmentation.components.parts import REPORT_ADDRESS
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
from concept_fragmentation.components.runs import REPORT, Progress
from concept_fragmentation.components.structure import FIGURES, SECTIONS, TAB_NAMES, height_of
from concept_fragmentation.components.summary import short_facts
from concept_fragmentation.components.view import Tab, View
from concept_fragmentation.components.words import title
from concept_fragmentation.persistence.flatten import scalars
from concept_fragmentation.persistence.turns import Turns

Told = Callable[[int, int], None]


def register(app: Dash, workspace: Workspace) -> None:
    """Make the report of what is shown in the background, and hand it to the browser."""
    turns = workspace.turns("report")

    @app.callback(
        Output(ids.REPORT_READY, "data"),
        Input(ids.REPORT, "n_clicks"),
        State(ids.VIEW, "data"),
        **REPORT.options(),
    )
    def make(set_progress: Progress, _clicks: Any, query: Any) -> dict[str, Any]:
        return outcome(workspace.reopened(), turns, query, set_progress)

    @app.callback(
        Output(ids.MESSAGES, "children", allow_duplicate=True),
        Input(ids.REPORT_READY, "data"),
        prevent_initial_call=True,
    )
    def tell(ready: Outcome | None) -> Any:
        if ready is None or "failure" not in ready:
            return no_update
        return [failure(public(ready["failure"]))]

    in_browser(app, "runs", "take", Input(ids.REPORT_READY, "data"), prevent_initial_call=True)


def outcome(
    workspace: Workspace, turns: Turns, query: Any, set_progress: Progress
) -> dict[str, Any]:
    """Make the report of a view, in turn; return where the server has it, or why it failed.

    The view is as the browser sent it.
    """

    def told(drawn: int, all_figures: int) -> None:
        set_progress((str(round(100 * drawn / all_figures)), REPORT.said))

    def work() -> dict[str, str]:
        view = workspace.settle(View.from_query(read(query, str, "view")))
        made_report(workspace, view, told, turns.taken(told_ahead(set_progress, REPORT.waiting)))
        return {"file": REPORT_ADDRESS + view.to_query()}

    return runs.outcome("The report", work)


def made_report(
    workspace: Workspace,
    view: View,
    told: Told | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> bytes:
    """Return the report of a settled view as `Workspace.made` does."""
    known = (_others_name(workspace, view), sorted(workspace.shown(view).metadata.items()))
    content = blake3(repr(known).encode(errors="surrogatepass")).hexdigest()
    return workspace.made(
        view,
        f"report {view.to_query()} {content}",
        lambda: report_of(workspace, view, told).encode(),
        turn,
    )


def report_of(workspace: Workspace, view: View, told: Told | None = None) -> str:
    """Return the report of a settled view as a web page of one file.

    `told` hears which of how many figures are drawn.
    """
    shown = workspace.shown(view)
    other = _others_name(workspace, view)
    return report_page(
        Report(
            name=title(shown.name),
            facts=tuple(
                short_facts(
                    shown.analysis, shown.known, example=shown.is_example, saved=shown.is_saved
                )
            ),
            stats=tuple(stats_of_window(workspace, view)),
            sentences=tuple(facts_of_window(workspace, view)) or (NO_LABELS,),
            tables=tuple(_tables(workspace, view)),
            chapters=tuple(_chapters(workspace, view, told)),
            settings=settings_table(shown.analysis, view, other),
            provenance=provenance_table(_provenance(workspace, view)),
        )
    )


def _others_name(workspace: Workspace, view: View) -> str | None:
    if view.other is None:
        return None
    compared = workspace.store.list_versions(view.other)[0]
    return f"{compared['name']}, version {view.other_version or compared['version']}"


def _figures(view: View) -> dict[Tab, list[str]]:
    """What belongs to each view of the page; a figure that stands in several is in the first."""
    placed: dict[str, Tab] = {}
    for tab in get_args(Tab):
        for section in SECTIONS[tab]:
            for figure_id, place in FIGURES.items():
                if place.section == section and figure_id in SOURCES:
                    placed.setdefault(figure_id, tab)
    if len(view.tokens) < 2:
        # It is about tokens that somebody chose.
        del placed[ids.COMPARED_TOKENS]
    tabs = {tab: [one for one, its in placed.items() if its == tab] for tab in get_args(Tab)}
    return {
        tab: here
        for tab, here in tabs.items()
        if here and (tab != "compare" or view.other is not None)
    }


def _chapters(workspace: Workspace, view: View, told: Told | None) -> Iterator[Chapter]:
    """A chapter for each view of the page."""
    figures = _figures(view)
    number, drawn_so_far = sum(map(len, figures.values())), 0
    for tab, here in figures.items():
        plates: list[Plate] = []
        missing: dict[str, list[str]] = {}
        for figure_id in here:
            drawn = _drawn(workspace, figure_id, view)
            if isinstance(drawn, str):
                missing.setdefault(drawn, []).append(FIGURES[figure_id].name)
            else:
                name, height = FIGURES[figure_id].name, height_of(figure_id, drawn[THEMES[0]])
                plates.append(Plate(figure_id, name, height, drawn))
            drawn_so_far += 1
            if told is not None:
                told(drawn_so_far, number)
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
    yield window_table(analysis, window)
    yield path_table(metrics)
    whole = workspace.window(replace(view, first=0, last=len(analysis.labelled_layers) - 1))
    if whole is not None:
        yield layer_table(analysis, whole)


def _provenance(workspace: Workspace, view: View) -> Iterator[tuple[str, Any]]:
    """Return the metadata of an analysis, without the path of the folder of models."""
    folders = [] if workspace.models.below is None else [workspace.models.below]
    for name, value in _all_provenance(workspace, view):
        yield name, without_folders(value, folders) if isinstance(value, str) else value


def _all_provenance(workspace: Workspace, view: View) -> Iterator[tuple[str, Any]]:
    shown = workspace.shown(view)
    made = shown.data().get("provenance")
    for values in (shown.metadata, made if isinstance(made, Mapping) else {}):
        for name, value in values.items():
            if isinstance(value, list | tuple):
                yield name, ", ".join(map(str, value))
            else:
                yield from scalars({name: value})
