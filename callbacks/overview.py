"""The bar and the summary of the window."""

from __future__ import annotations

from dash import Dash, Input, Output
from dash.development.base_component import Component

from concept_fragmentation.analysis import archetypal_paths
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.summary import analysis_facts, summary_cards
from concept_fragmentation.components.view import View

NO_LABELS = (
    "This analysis has no cluster labels, so there are no paths to show. Add cluster_labels, one "
    "list a layer, and save it again."
)
NOTHING_TO_DRAW = "No cluster labels, nothing to draw"


def register(app: Dash, workspace: Workspace) -> None:
    """Say which analysis is shown, and sum its window up."""

    @app.callback(Output(ids.ANALYSIS_BAR, "children"), Input(ids.ANALYSIS_VIEW, "data"))
    def show_analysis(query: str | None) -> list[Component]:
        shown = workspace.shown(needed(query))
        return analysis_facts(shown.analysis, shown.metadata, demo=shown.is_demo)

    @app.callback(Output(ids.SUMMARY, "children"), Input(ids.WINDOW_VIEW, "data"))
    def show_summary(query: str | None) -> list[Component]:
        return summary(workspace, needed(query))


def summary(workspace: Workspace, view: View) -> list[Component]:
    """Return the summary cards of a settled view."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    metrics = workspace.metrics(view)
    if window is None or metrics is None:
        return [empty_state(NO_LABELS)]
    top = archetypal_paths(analysis, window, top=1, examples=0)
    return summary_cards(
        analysis,
        window,
        top[0] if top else None,
        metrics.cluster_changes.mean() if analysis.num_tokens else float("nan"),
        metrics.mobility_score.mean() if analysis.num_tokens else float("nan"),
    )
