"""The figures of concepts: layers alike, the map of a layer, the tokens typical of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import numpy as np
import pandas as pd
from dash import Dash, Input, Output, State, set_props
from dash.development.base_component import Component

from concept_fragmentation.analysis import (
    Analysis,
    Embedding,
    Projection,
    principal_plane,
    umap_plane,
)
from concept_fragmentation.callbacks import runs
from concept_fragmentation.callbacks.browser import in_browser, write_tokens
from concept_fragmentation.callbacks.checks import read
from concept_fragmentation.callbacks.messages import say_failed
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.runs import Outcome, told_ahead
from concept_fragmentation.callbacks.views import Drawing, Order, Source, Wanted, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.concept_data import (
    cluster_tokens_frame,
    similarity_frame,
    state_map_frame,
)
from concept_fragmentation.components.figures.concepts import (
    Measure,
    known_debiased,
    layer_similarity,
    missing_similarity,
    missing_states,
    similarity_of,
    state_map,
)
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.runs import MAP, Progress
from concept_fragmentation.components.snippet import Call
from concept_fragmentation.components.structure import FIGURES
from concept_fragmentation.components.typical import (
    ClusterTokens,
    cluster_token_list,
    cluster_tokens,
)
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence.turns import Turns

NOTHING_SELECTED: Final = (
    "Click a bar in the cluster sizes, or choose a cluster here: what is typical of it is listed."
)


def register(app: Dash, workspace: Workspace) -> None:
    """List the tokens that are typical of the selected cluster."""

    @app.callback(
        Output(ids.TYPICAL, "children"), order_for(ids.TYPICAL), prevent_initial_call=True
    )
    def list_typical(order: Order | None) -> list[Component]:
        return typical(workspace, ordered(workspace, order)[0])

    write_tokens(app, ids.TYPICAL)
    _register_map(app, workspace)


def _register_map(app: Dash, workspace: Workspace) -> None:
    """Map a layer by UMAP in the background, when a figure asks for what is not made yet."""
    turns = workspace.turns("map")

    @app.callback(Output(ids.MAP_DONE, "data"), Input(ids.MAP_ASKED, "data"), **MAP.options())
    def make(set_progress: Progress, wanted: Any) -> dict[str, Any]:
        return outcome(workspace.reopened(), turns, wanted, set_progress)

    in_browser(
        app,
        "runs",
        "ask",
        Output(ids.MAP_ASKED, "data"),
        Input(ids.MAP_WANTED, "data"),
        State(ids.MAP_ASKED, "data"),
        State(ids.MAP_RUN, "hidden"),
        prevent_initial_call=True,
    )

    runs.deliver(app, ids.MAP_DONE, ids.MAP_READY)
    order = {"type": ids.FIGURE_VIEW, "index": ids.STATE_MAP}
    in_browser(
        app,
        "runs",
        "draw",
        Output(order, "data", allow_duplicate=True),
        Input(ids.MAP_READY, "data"),
        State(ids.MAP_WANTED, "data"),
        State(order, "data"),
        prevent_initial_call=True,
    )
    in_browser(
        app,
        "runs",
        "leave",
        Output(ids.MAP_PROJECTION, "value", allow_duplicate=True),
        Input(ids.MAP_CANCEL, "n_clicks"),
        prevent_initial_call=True,
    )

    @app.callback(Input(ids.MAP_READY, "data"), prevent_initial_call=True)
    def tell(ready: Outcome | None) -> None:
        if ready is not None and "failure" in ready:
            say_failed(ready["failure"])
            set_props(ids.MAP_PROJECTION, {"value": "pca"})


def typical(workspace: Workspace, view: View) -> list[Component]:
    """Return the tokens typical of the cluster that a settled view selects, or say how to."""
    if not workspace.shown(view).analysis.labelled_layers:
        return [empty_state(NO_LABELS, FIGURES[ids.TYPICAL].name)]
    found = _of_cluster(workspace, view)
    if found is None:
        return [empty_state(NOTHING_SELECTED, FIGURES[ids.TYPICAL].name)]
    layer, cluster, tokens = found
    return cluster_token_list(workspace.shown(view).analysis, layer, cluster, tokens)


def typical_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    """Return the data behind `typical`."""
    found = _of_cluster(workspace, view)
    if found is None:
        return pd.DataFrame()
    return cluster_tokens_frame(workspace.shown(view).analysis, found[2])


def _of_cluster(workspace: Workspace, view: View) -> tuple[int, int, ClusterTokens] | None:
    """The selected cluster, of a selected band the one that it leads to."""
    chosen = view.selection
    if chosen is None:
        return None
    layer, cluster = chosen[1:3] if chosen[0] == "node" else (chosen[1] + 1, chosen[3])
    analysis = workspace.shown(view).analysis
    tokens = workspace.computed(
        view, ("typical", layer, cluster), lambda: cluster_tokens(analysis, layer, cluster)
    )
    return layer, cluster, tokens


def mapped_layer(analysis: Analysis, view: View) -> int:
    """Return which labelled layer of a settled view is mapped.

    The selected layer if it has labels, else that of the selected cluster, else the first.
    """
    name = None if view.layer is None else analysis.layers[view.layer]
    if name in analysis.labelled_layers:
        return analysis.labelled_layers.index(name)
    return view.first if view.selection is None else view.selection[1]


def _similarity(measure: Measure) -> Callable[[Workspace, View, str], Drawing]:
    def drawn(workspace: Workspace, view: View, theme: str) -> Drawing:
        analysis = workspace.shown(view).analysis
        found = workspace.computed(
            view, ("similarity", measure), lambda: similarity_of(analysis, measure)
        )
        if found is None:
            return missing_similarity(analysis, measure)
        return layer_similarity(*found, measure, theme, debiased=known_debiased(analysis))

    return drawn


def _map(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if not analysis.labelled_layers:
        return NO_LABELS
    layer, plane = mapped_layer(analysis, view), plane_of(workspace, view)
    if plane is None:
        return missing_states(analysis, analysis.labelled_layers[layer])
    return state_map(
        analysis,
        layer,
        plane,
        colour_by=view.column_colouring,
        highlighted_tokens=view.tokens,
        selected=view.selected_clusters,
        theme=theme,
    )


def plane_of(
    workspace: Workspace, view: View, turn: AbstractContextManager[object] | None = None
) -> Projection | Embedding | None:
    """Return the plane of a settled view's map; None of a layer without hidden states.

    By UMAP it takes long, and comes as from `Workspace.made`, which makes it within `turn`. That of
    a part of the tokens is that of all, so that they stay where they are.
    """
    view = view.of_all_tokens
    analysis = workspace.shown(view).analysis
    layer = mapped_layer(analysis, view)
    names = analysis.labelled_layers
    states = analysis.hidden_states.get(names[layer]) if names else None
    if states is None or not len(states):
        return None
    fitted = analysis.ordinary
    if view.projection == "pca":
        return workspace.computed(
            view, ("plane", layer), lambda: principal_plane(states, fitted=fitted)
        )

    def make() -> bytes:
        return umap_plane(states, fitted=fitted).coordinates.tobytes()

    kept = workspace.made(view, f"umap {layer}", make, turn)
    return Embedding(np.frombuffer(kept).reshape(-1, 2))


def _map_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    plane = plane_of(workspace, view)
    if plane is None:
        return pd.DataFrame()
    analysis = workspace.shown(view).analysis
    return state_map_frame(analysis, mapped_layer(analysis, view), plane)


def outcome(
    workspace: Workspace, turns: Turns, wanted: Any, set_progress: Progress
) -> dict[str, Any]:
    """Map the layer that a view shows by UMAP, in turn; return its name, or why it failed.

    What is wanted is as the browser sent it.
    """

    @contextmanager
    def turn() -> Iterator[None]:
        with turns.taken(told_ahead(set_progress, MAP.waiting)):
            # How far it is, UMAP does not say.
            set_progress((None, MAP.said))
            yield

    def work() -> dict[str, str]:
        asked = read(wanted, Wanted, "wanted")
        view, _ = ordered(workspace, asked["order"])
        plane_of(workspace, view, turn())
        return {"what": asked["what"]}

    return runs.outcome("The map", work)


def _similarity_call(measure: Measure) -> Callable[[Workspace, View], Call]:
    return lambda _workspace, _view: Call("layer_similarity", {"measure": measure})


def _map_call(workspace: Workspace, view: View) -> Call:
    analysis = workspace.shown(view).analysis
    layer = analysis.labelled_layers[mapped_layer(analysis, view)]
    chosen: dict[str, object] = {"layer": layer, "highlighted_tokens": list(view.tokens)}
    if view.selection is not None:
        names = analysis.labelled_layers
        chosen["selected"] = [(names[at], cluster) for at, cluster in view.selected_clusters]
    if view.column_colouring != "cluster":
        chosen["colour_by"] = view.column_colouring
    if view.projection != "pca":
        chosen["projection"] = view.projection
    return Call("state_map", chosen)


SOURCES: Final[Mapping[str, Source]] = {
    ids.SIMILARITY_AMI: Source(
        _similarity("adjusted_mutual_information"),
        lambda w, v: similarity_frame(w.shown(v).analysis),
        _similarity_call("adjusted_mutual_information"),
    ),
    ids.SIMILARITY_CKA: Source(
        _similarity("cka"),
        lambda w, v: similarity_frame(w.shown(v).analysis),
        _similarity_call("cka"),
    ),
    ids.STATE_MAP: Source(_map, _map_frame, _map_call),
}
