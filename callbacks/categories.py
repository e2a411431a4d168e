"""The table of the categories of a column beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd
from dash import Dash, Output
from dash.development.base_component import Component

from concept_fragmentation.analysis import category_values
from concept_fragmentation.analysis.windows import labelled_window
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import Order, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.category_table import (
    ByCategory,
    by_category,
    by_category_grid,
    by_category_note,
    by_category_rows,
)
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.structure import FIGURES
from concept_fragmentation.components.view import View

NO_CATEGORIES: Final = (
    "This analysis says of no token which category it has. Choose columns of categories under "
    "Analyze, run 'analyze --category', or give analyze() categories."
)


def register(app: Dash, workspace: Workspace) -> None:
    """List the categories of the chosen column."""

    @app.callback(
        Output(ids.BY_CATEGORY, "children"),
        Output(ids.BY_CATEGORY_NOTE, "children"),
        order_for(ids.BY_CATEGORY),
        prevent_initial_call=True,
    )
    def list_categories(order: Order | None) -> tuple[Component, str]:
        return table(workspace, ordered(workspace, order)[0])


def table(workspace: Workspace, view: View) -> tuple[Component, str]:
    """Return the table of a settled view and what to say of it, or why there is none."""
    found = compared(workspace, view)
    if isinstance(found, str):
        return empty_state(found, FIGURES[ids.BY_CATEGORY].name), ""
    return by_category_grid(by_category_rows(found)), by_category_note(found)


def compared(workspace: Workspace, view: View) -> ByCategory | str:
    """Return the categories of a settled view's column, or say what is missing for it."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    if window is None:
        return NO_LABELS
    columns = category_values(analysis)
    if not columns:
        return NO_CATEGORIES
    column = view.category if view.category in columns else next(iter(columns))

    def compare() -> ByCategory:
        counted = analysis.without_set_aside()
        return by_category(counted, labelled_window(counted, window.first, window.last), column)

    return workspace.computed(view, ("by category", column, window.first, window.last), compare)


def frame(workspace: Workspace, view: View) -> pd.DataFrame:
    """Return the data of `table`."""
    found = compared(workspace, view)
    return pd.DataFrame() if isinstance(found, str) else found.frame


# What is listed, not drawn.
FRAMES: Final[Mapping[str, Callable[[Workspace, View], pd.DataFrame]]] = {ids.BY_CATEGORY: frame}
