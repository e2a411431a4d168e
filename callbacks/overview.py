"""The bar and the summary of the window."""

from __future__ import annotations

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from concept_fragmentation.analysis import archetypal_paths
from concept_fragmentation.callbacks.views import Order, needed, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.standouts import (
    categories_of_all_layers,
    significance_of_all_layers,
    standouts,
)
from concept_fragmentation.components.summary import (
    Stat,
    analysis_facts,
    summary_cards,
    summary_stats,
)
from concept_fragmentation.components.view import View

NO_LABELS = (
    "This analysis has no cluster labels, so there are no paths to show. Add cluster_labels, one "
    "list a layer, and save it again."
)


def register(app: Dash, workspace: Workspace) -> None:
    """Say which analysis is shown, and sum its window up."""

    @app.callback(
        Output(ids.ANALYSIS_BAR, "children"),
        Input(ids.ANALYSIS_VIEW, "data"),
        prevent_initial_call=True,
    )
    def show_analysis(query: str | None) -> list[Component]:
        shown = workspace.shown(needed(query))
        return analysis_facts(
            shown.analysis, shown.known, example=shown.is_example, saved=shown.is_saved
        )

    @app.callback(
        Output(ids.SUMMARY, "children"), order_for(ids.SUMMARY), prevent_initial_call=True
    )
    def show_summary(order: Order | None) -> list[Component]:
        return summary(workspace, ordered(workspace, order)[0])

    @app.callback(
        Output(ids.STANDS_OUT, "children"), order_for(ids.STANDS_OUT), prevent_initial_call=True
    )
    def say_what_stands_out(order: Order | None) -> list[Component]:
        return stands_out(workspace, ordered(workspace, order)[0])


def summary(workspace: Workspace, view: View) -> list[Component]:
    """Return the summary cards of a settled view."""
    return summary_cards(stats_of_window(workspace, view)) or [empty_state(NO_LABELS)]


def stats_of_window(workspace: Workspace, view: View) -> list[Stat]:
    """Return the numbers that sum a settled view's window up; none where no layer has labels."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    metrics = workspace.metrics(view)
    if window is None or metrics is None:
        return []
    top = archetypal_paths(analysis, window, top=1, examples=0)
    known = analysis.ordinary
    return summary_stats(
        analysis,
        window,
        top[0] if top else None,
        metrics.cluster_changes[known].mean() if known.any() else float("nan"),
        metrics.mobility_score[known].mean() if known.any() else float("nan"),
    )


def stands_out(workspace: Workspace, view: View) -> list[Component]:
    """Return in words what stands out in a settled view's window."""
    facts = facts_of_window(workspace, view)
    if not facts:
        return [empty_state(NO_LABELS)]
    return [html.Ul([html.Li(fact) for fact in facts], className="cf-facts")]


def facts_of_window(workspace: Workspace, view: View) -> list[str]:
    """Return what stands out in a settled view's window; nothing where no layer has labels."""
    shown, window = workspace.shown(view), workspace.window(view)
    if window is None:
        return []
    of_all = "" if shown.analysis.part is None else "Of all tokens: "
    return workspace.computed(
        view,
        ("facts", window.first, window.last),
        lambda: [
            *standouts(shown.analysis, window),
            *(f"{of_all}{said}" for said in significance_of_all_layers(shown.analysis)),
            *(f"{of_all}{said}" for said in categories_of_all_layers(shown.analysis)),
        ],
    )
