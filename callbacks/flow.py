"""The token flow: the Sankey, the paths beside it, and the tokens of what was clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from dash import Dash, Output, html
from dash.development.base_component import Component

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    archetypal_paths,
    tokens_on_path,
)
from concept_fragmentation.callbacks.browser import write_tokens
from concept_fragmentation.callbacks.layers import frame_of_window
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import (
    Drawing,
    Order,
    Source,
    call_of,
    order_for,
    ordered,
)
from concept_fragmentation.callbacks.workspace import Workspace, selected
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures import data
from concept_fragmentation.components.figures.sankey import SankeyView, token_sankey
from concept_fragmentation.components.massive import set_aside_sentence
from concept_fragmentation.components.parts import card, downloads, empty_state
from concept_fragmentation.components.path_members import path_members
from concept_fragmentation.components.summary import (
    archetypal_table,
    token_list,
    without_path,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import arrows, plural

PATHS_LISTED: Final = 10
# Of many selected paths, the members of the last ones are listed.
MEMBERS: Final = 3
# Often the same token several times; different ones are shown.
EXAMPLES: Final = 40


def register(app: Dash, workspace: Workspace) -> None:
    """Say what the flow leaves out, list its paths, and the tokens of what is clicked."""

    @app.callback(
        Output(ids.SANKEY_NOTE, "children"), order_for(ids.SANKEY), prevent_initial_call=True
    )
    def say_what_is_hidden(order: Order | None) -> str:
        return note(workspace, *ordered(workspace, order))

    @app.callback(Output(ids.PATHS, "children"), order_for(ids.PATHS), prevent_initial_call=True)
    def list_paths(order: Order | None) -> list[Component]:
        return paths(workspace, *ordered(workspace, order))

    @app.callback(
        Output(ids.SELECTION, "children"), order_for(ids.SELECTION), prevent_initial_call=True
    )
    def list_tokens(order: Order | None) -> list[Component]:
        return selection(workspace, *ordered(workspace, order))

    write_tokens(app, ids.PATHS)
    write_tokens(app, ids.SELECTION)


def flow(workspace: Workspace, view: View, theme: str) -> SankeyView | None:
    """Return the Sankey of a settled view; None where no layer has labels."""
    window = workspace.window(view)
    if window is None:
        return None
    return workspace.computed(
        view,
        ("flow", view.part("flow"), theme),
        lambda: token_sankey(
            workspace.shown(view).analysis,
            window,
            colour_by=view.colour_by,
            min_count=view.min_count,
            highlighted_tokens=view.tokens,
            highlighted_paths=view.paths,
            theme=theme,
        ),
    )


def note(workspace: Workspace, view: View, theme: str) -> str:
    """Return what the Sankey of a settled view leaves out, in words."""
    sankey, window = flow(workspace, view, theme), workspace.window(view)
    if sankey is None or window is None:
        return ""
    said = []
    if sankey.num_hidden_links:
        # With the least count of one it is the sheer number of bands that hides some.
        which = f" of fewer than {view.min_count:,} tokens" if view.min_count > 1 else ""
        said.append(
            f"Hidden: {plural(sankey.num_hidden_links, 'band')}{which}, "
            f"{plural(sankey.num_hidden_tokens, 'token')} in all."
        )
    analysis = workspace.shown(view).analysis
    if sentence := set_aside_sentence(analysis):
        said.append(sentence)
    if others := without_path(analysis, window):
        said.append(f"Left out: {plural(others, 'token')} without a cluster.")
    return " ".join(said) or "Every band is shown."


def _draw(workspace: Workspace, view: View, theme: str) -> Drawing:
    sankey = flow(workspace, view, theme)
    return NO_LABELS if sankey is None else sankey.figure


def paths(workspace: Workspace, view: View, theme: str) -> list[Component]:
    """Return the most frequent paths of a settled view."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    if window is None:
        return [empty_state(NO_LABELS)]
    found = archetypal_paths(analysis, window, top=PATHS_LISTED, examples=EXAMPLES)
    return archetypal_table(analysis, window, found, set(view.paths), theme)


def selected_tokens(workspace: Workspace, view: View) -> np.ndarray[Any, Any]:
    """Return the indices of the tokens in the selected cluster or band.

    Without one, of those on the selected paths.
    """
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    if view.selection is not None:
        return selected(analysis, view.selection)
    none = np.empty(0, dtype=np.int64)
    if window is None:
        return none
    return np.concatenate([none, *(tokens_on_path(window, path) for path in view.paths)])


def selection(workspace: Workspace, view: View, theme: str = "light") -> list[Component]:
    """Return the tokens of the selected cluster or band, and those of the paths selected last."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    lists = []
    if view.selection is not None:
        indices = selected_tokens(workspace, view)
        of_cluster = replace(view, paths=())
        parts = token_list(analysis, view.selection, indices)
        lists.append(_token_card(parts, of_cluster, "Selected tokens"))
    if window is not None:
        for path in [p for p in reversed(view.paths) if len(tokens_on_path(window, p))][:MEMBERS]:
            members = path_members(analysis, window, path, set(view.paths), theme)
            of_path = replace(view, selection=None, paths=(path,))
            lists.append(_token_card(members, of_path, f"Tokens on path {arrows(path)}"))
    return lists


def _token_card(parts: list[Component], view: View, label: str) -> Component:
    heading, *rest = parts
    table = downloads(ids.SELECTION, "the selected tokens", query=view.to_query())
    return card([html.Div([heading, table], className="cf-card-head"), *rest], label=label)


def _paths_frame(_analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Every path of the window, most frequent first, with one column a layer."""
    columns = {f"layer {name}": window.paths[:, i] for i, name in enumerate(window.layers)}
    share = window.counts / max(window.num_counted, 1)
    return pd.DataFrame({"tokens": window.counts, "share": share} | columns)


def _selection_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    indices = selected_tokens(workspace, view).tolist()
    return data.tokens_frame(workspace.shown(view).analysis, indices)


SOURCES: Final[Mapping[str, Source]] = {
    ids.SANKEY: Source(
        _draw,
        frame_of_window(data.window_links_frame),
        call_of(
            "sankey", "window", "colour_by", "min_count", "highlighted_tokens", "highlighted_paths"
        ),
    ),
}
# What is listed, not drawn.
FRAMES: Final[Mapping[str, Callable[[Workspace, View], pd.DataFrame]]] = {
    ids.PATHS: frame_of_window(_paths_frame),
    ids.SELECTION: _selection_frame,
}
