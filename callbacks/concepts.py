"""The figures of concepts: layers alike, the map of a layer, the tokens typical of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd
from dash import Dash, Output
from dash.development.base_component import Component

from concept_fragmentation.analysis import (
    Analysis,
    Embedding,
    Projection,
    principal_plane,
    umap_plane,
)
from concept_fragmentation.analysis.centred import States
from concept_fragmentation.callbacks.browser import write_tokens
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.views import Drawing, Order, Source, order_for, ordered
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.concept_data import (
    cluster_tokens_frame,
    similarity_frame,
    state_map_frame,
)
from concept_fragmentation.components.figures.concepts import (
    Measure,
    layer_similarity,
    missing_similarity,
    missing_states,
    similarity_of,
    state_map,
)
from concept_fragmentation.components.parts import empty_state
from concept_fragmentation.components.snippet import Call
from concept_fragmentation.components.typical import (
    ClusterTokens,
    cluster_token_list,
    cluster_tokens,
)
from concept_fragmentation.components.view import View

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


def typical(workspace: Workspace, view: View) -> list[Component]:
    """Return the tokens typical of the cluster that a settled view selects, or say how to."""
    if not workspace.shown(view).analysis.labelled_layers:
        return [empty_state(NO_LABELS)]
    found = _of_cluster(workspace, view)
    if found is None:
        return [empty_state(NOTHING_SELECTED)]
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
        return layer_similarity(*found, measure, theme)

    return drawn


def _map(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if not analysis.labelled_layers:
        return NO_LABELS
    layer = mapped_layer(analysis, view)
    states = analysis.hidden_states.get(analysis.labelled_layers[layer])
    if states is None:
        return missing_states(analysis, analysis.labelled_layers[layer])
    plane = _plane(workspace, view, layer, states)
    return state_map(analysis, layer, plane, highlighted_tokens=view.tokens, theme=theme)


def _plane(workspace: Workspace, view: View, layer: int, states: States) -> Projection | Embedding:
    plane = umap_plane if view.projection == "umap" else principal_plane
    fitted = ~workspace.shown(view).analysis.padding
    return workspace.computed(
        view, ("plane", view.projection, layer), lambda: plane(states, fitted=fitted)
    )


def _map_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    analysis = workspace.shown(view).analysis
    layer = mapped_layer(analysis, view)
    names = analysis.labelled_layers
    states = analysis.hidden_states.get(names[layer]) if names else None
    if states is None:
        return pd.DataFrame()
    return state_map_frame(analysis, layer, _plane(workspace, view, layer, states))


def _similarity_call(measure: Measure) -> Callable[[Workspace, View], Call]:
    return lambda _workspace, _view: Call("layer_similarity", {"measure": measure})


def _map_call(workspace: Workspace, view: View) -> Call:
    analysis = workspace.shown(view).analysis
    layer = analysis.labelled_layers[mapped_layer(analysis, view)]
    chosen: dict[str, object] = {"layer": layer, "highlighted_tokens": list(view.tokens)}
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
