"""The token flow: the Sankey, the paths beside it, and the tokens of what was clicked."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from concept_fragmentation.analysis import (
    archetypal_paths,
    tokens_in_cluster,
    tokens_in_transition,
)
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.overview import NO_LABELS, NOTHING_TO_DRAW
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.theme import empty_figure
from concept_fragmentation.components.parts import card, downloads, empty_state
from concept_fragmentation.components.summary import archetypal_table, token_list
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural

PATHS_LISTED: Final = 10
# Often the same token several times; different ones are shown.
EXAMPLES: Final = 40


def register(app: Dash, workspace: Workspace) -> None:
    """Draw the flow and list what is clicked."""

    @app.callback(
        Output(ids.SANKEY, "figure"),
        Output(ids.SANKEY_NOTE, "children"),
        Input(ids.FLOW_VIEW, "data"),
        Input(ids.THEME, "data"),
    )
    def draw_flow(query: str | None, theme: str) -> tuple[go.Figure, str]:
        return flow(workspace, needed(query), theme)

    @app.callback(
        Output(ids.PATHS, "children"),
        Input(ids.FLOW_VIEW, "data"),
        Input(ids.THEME, "data"),
    )
    def list_paths(query: str | None, theme: str) -> list[Component]:
        return paths(workspace, needed(query), theme)

    @app.callback(Output(ids.SELECTION, "children"), Input(ids.SELECTION_VIEW, "data"))
    def list_tokens(query: str | None) -> Component | None:
        return selection(workspace, needed(query))

    in_browser(
        app,
        "figures",
        "listen",
        Input(ids.SANKEY, "figure"),
        State(ids.SANKEY, "id"),
    )


def flow(workspace: Workspace, view: View, theme: str) -> tuple[go.Figure, str]:
    """Return the Sankey of a settled view, and what it leaves out, in words."""
    window = workspace.window(view)
    if window is None:
        return empty_figure(NOTHING_TO_DRAW, theme), ""
    sankey = token_sankey(
        workspace.shown(view).analysis,
        window,
        colour_by=view.colour_by,
        min_count=view.min_count,
        highlighted_tokens=view.tokens,
        highlighted_paths=view.paths,
        theme=theme,
    )
    said = []
    if sankey.num_hidden_links:
        said.append(
            f"Hidden: {plural(sankey.num_hidden_links, 'band')} of fewer than {view.min_count:,} "
            f"tokens, {plural(sankey.num_hidden_tokens, 'token')} in all."
        )
    if window.num_left_out:
        said.append(f"Left out: {plural(window.num_left_out, 'token')} without a cluster.")
    return sankey.figure, " ".join(said) or "Every band is shown."


def paths(workspace: Workspace, view: View, theme: str) -> list[Component]:
    """Return the most frequent paths of a settled view."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    if window is None:
        return [empty_state(NO_LABELS)]
    found = archetypal_paths(analysis, window, top=PATHS_LISTED, examples=EXAMPLES)
    return archetypal_table(analysis, window, found, set(view.paths), theme)


def selected_tokens(workspace: Workspace, view: View) -> np.ndarray[Any, Any]:
    """Return the indices of the tokens in the selected cluster or band."""
    analysis = workspace.shown(view).analysis
    if view.selection is None:
        return np.empty(0, dtype=np.int64)
    if view.selection[0] == "node":
        return tokens_in_cluster(analysis, view.selection[1], view.selection[2])
    return tokens_in_transition(analysis, view.selection[1], view.selection[2], view.selection[3])


def selection(workspace: Workspace, view: View) -> Component | None:
    """Return the list of tokens in what is selected; None where nothing is."""
    if view.selection is None:
        return None
    analysis = workspace.shown(view).analysis
    indices = selected_tokens(workspace, view)
    heading, *rest = token_list(analysis, view.selection, indices)
    table = downloads(ids.SELECTION, "the selected tokens", image=False, query=view.to_query())
    head = html.Div([heading, table], className="cf-card-head")
    return card([head, *rest], label="Selected tokens")
