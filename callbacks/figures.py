"""Every figure: drawn when the browser says that it is shown and what it shows has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go
from dash import Dash, Input, Output, State

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks import attention, compare, concepts, flow, layers, trajectories
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.views import (
    Order,
    Source,
    being_made,
    figure_or_reason,
    of_all_tokens,
    order_for,
    ordered,
    placed,
)
from concept_fragmentation.callbacks.workspace import NotMadeError, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import is_of_all_tokens, sections_of_images
from concept_fragmentation.components.view import View

_RESTRICTED: Final[Mapping[str, Source]] = {
    **flow.SOURCES,
    **trajectories.SOURCES,
    **layers.SOURCES,
    **attention.SOURCES,
    **concepts.SOURCES,
    **compare.SOURCES,
}
SOURCES: Final[Mapping[str, Source]] = {
    figure_id: of_all_tokens(source) if is_of_all_tokens(figure_id) else source
    for figure_id, source in _RESTRICTED.items()
}
# In these a click chooses something; see assets/figures.js.
_CLICKED: Final = (
    ids.SANKEY,
    ids.PATH_MAP,
    ids.WINDOW_GRID,
    ids.ATTENTION,
    ids.HEAD_ENTROPY,
    ids.HEAD_AGREEMENT,
    ids.LAYER_AGREEMENT,
    ids.ATTENTION_FLOW,
    ids.ROLLOUT_OF_TOKEN,
    ids.TRAJECTORIES,
    ids.COMPARED_TOKENS,
    ids.CONCEPTS,
    ids.CLUSTER_SIZES,
    ids.CLUSTER_ENTROPY,
    ids.SIMILARITY_AMI,
    ids.SIMILARITY_CKA,
    ids.STATE_MAP,
    ids.PATH_ATTENTION_LAYERS,
    ids.PATH_ATTENTION_TOKENS,
    ids.DIFFERENCE_FLOW,
    ids.COMPARED_METRICS,
    ids.MOVED_BY_LAYER,
    ids.MOVED_TOKENS,
)


class NothingDrawnError(ConceptFragmentationError):
    """A figure that can't be drawn was asked for; the sentence says what is missing."""


def drawn(workspace: Workspace, figure_id: str, view: View, theme: str) -> go.Figure:
    """Return a figure of a settled view; NothingDrawnError says why there is none."""
    found = figure_or_reason(lambda: SOURCES[figure_id].draw(workspace, view, theme))
    if isinstance(found, str):
        raise NothingDrawnError(found)
    return found


def register(app: Dash, workspace: Workspace) -> None:
    """Draw each figure when it is told to, and listen to clicks in it."""
    for figure_id, source in SOURCES.items():

        @app.callback(
            Output(figure_id, "children"), order_for(figure_id), prevent_initial_call=True
        )
        def draw(order: Order | None, figure_id: str = figure_id, source: Source = source) -> Any:
            view, theme = ordered(workspace, order)
            try:
                return placed(figure_id, view, lambda: source.draw(workspace, view, theme))
            except NotMadeError as missing:
                return being_made(figure_id, order, missing)

    in_browser(app, "selection", "follow", Input(ids.PARTS, "data"), prevent_initial_call=True)
    for figure_id in _CLICKED:
        in_browser(
            app,
            "figures",
            "listen",
            Input(figure_id, "children"),
            State(figure_id, "id"),
            prevent_initial_call=True,
        )
    for section, figure_ids in sections_of_images().items():
        in_browser(
            app,
            "figures",
            "say_once",
            Output(section, "className"),
            *(Input(figure_id, "children") for figure_id in figure_ids),
            prevent_initial_call=True,
        )
