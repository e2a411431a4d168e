"""The figures of attention: heads, weights, what flows into a token, and shared paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.callbacks.views import Drawing, Source, call_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.attention import (
    attention_matrix,
    rollout_matrix,
    token_rollout,
)
from concept_fragmentation.components.figures.attention_data import (
    attention_flow_frame,
    attention_matrix_frame,
    heads_frame,
    layer_agreement_frame,
    path_attention_frame,
    token_rollout_frame,
)
from concept_fragmentation.components.figures.attention_flow import (
    AttentionFlow,
    attention_flow,
    attention_flow_sankey,
)
from concept_fragmentation.components.figures.data import attention_frame
from concept_fragmentation.components.figures.heads import (
    clearest_head_entropy,
    head_agreement,
    layer_agreement,
    missing_attention,
    missing_head_agreement,
    missing_layer_agreement,
)
from concept_fragmentation.components.figures.layers import attention_by_layer
from concept_fragmentation.components.figures.path_attention import (
    PathAttention,
    missing_path_attention,
    path_attention,
    path_attention_by_layer,
    path_attention_by_token,
)
from concept_fragmentation.components.figures.weights import (
    missing_weights,
    num_heads,
    sequence_of,
    sequence_tokens,
    too_many_tokens,
    weight_layers,
)
from concept_fragmentation.components.snippet import Call
from concept_fragmentation.components.view import View


def matrix_choice(analysis: Analysis, view: View) -> tuple[int, int | None] | None:
    """Return the layer (an index) and head whose weights are shown; None without any weights.

    The layer that was chosen if it has weights, else the first that has; a head that it lacks is
    None, the mean of all.
    """
    layers = weight_layers(analysis)
    if not layers:
        return None
    chosen = None if view.layer is None else analysis.layers[view.layer]
    layer = chosen if chosen in layers else layers[0]
    head = view.head if view.head is not None and view.head < num_heads(analysis) else None
    return analysis.layers.index(layer), head


def followed_token(analysis: Analysis, view: View) -> int:
    """Return the token whose attention is followed: the first highlighted one, else the last."""
    return view.tokens[0] if view.tokens else int(sequence_tokens(analysis, 0)[-1])


def _sequence(analysis: Analysis, view: View) -> int:
    return sequence_of(analysis, view.tokens[0]) if view.tokens else 0


def _matrix(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    choice = matrix_choice(analysis, view)
    if choice is None:
        return missing_weights(analysis)
    sequence = _sequence(analysis, view)
    return too_many_tokens(analysis, sequence) or attention_matrix(
        analysis,
        analysis.layers[choice[0]],
        choice[1],
        sequence=sequence,
        highlighted_tokens=view.tokens,
        theme=theme,
    )


def _matrix_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    analysis = workspace.shown(view).analysis
    choice = matrix_choice(analysis, view)
    if choice is None:
        return pd.DataFrame()
    return attention_matrix_frame(
        analysis, analysis.layers[choice[0]], choice[1], sequence=_sequence(analysis, view)
    )


def _rollout(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    choice = matrix_choice(analysis, view)
    if choice is None:
        return missing_weights(analysis)
    sequence = _sequence(analysis, view)
    return too_many_tokens(analysis, sequence) or rollout_matrix(
        analysis,
        analysis.layers[choice[0]],
        sequence=sequence,
        highlighted_tokens=view.tokens,
        theme=theme,
    )


def _token_rollout(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if not weight_layers(analysis):
        return missing_weights(analysis)
    token = followed_token(analysis, view)
    return too_many_tokens(analysis, sequence_of(analysis, token)) or token_rollout(
        analysis, token, theme
    )


def _token_rollout_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    analysis = workspace.shown(view).analysis
    if not weight_layers(analysis):
        return pd.DataFrame()
    return token_rollout_frame(analysis, followed_token(analysis, view))


def _influx(analysis: Analysis, view: View) -> AttentionFlow:
    return attention_flow(analysis, followed_token(analysis, view), threshold=view.threshold / 100)


def _flow(workspace: Workspace, view: View, theme: str) -> Drawing:
    analysis = workspace.shown(view).analysis
    if not weight_layers(analysis):
        return missing_weights(analysis)
    return attention_flow_sankey(analysis, _influx(analysis, view), theme)


def _flow_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    analysis = workspace.shown(view).analysis
    if not weight_layers(analysis):
        return pd.DataFrame()
    return attention_flow_frame(analysis, _influx(analysis, view))


def _correlated(workspace: Workspace, view: View) -> PathAttention | None:
    analysis = workspace.shown(view).analysis
    sequence = _sequence(analysis, view)
    return workspace.computed(
        view, ("path attention", sequence), lambda: path_attention(analysis, sequence)
    )


def _by_layer(workspace: Workspace, view: View, theme: str) -> Drawing:
    found = _correlated(workspace, view)
    if found is None:
        return missing_path_attention(workspace.shown(view).analysis)
    return path_attention_by_layer(found, theme)


def _by_token(workspace: Workspace, view: View, theme: str) -> Drawing:
    found, analysis = _correlated(workspace, view), workspace.shown(view).analysis
    if found is None:
        return missing_path_attention(analysis)
    return path_attention_by_token(analysis, found, highlighted_tokens=view.tokens, theme=theme)


def _correlated_frame(workspace: Workspace, view: View) -> pd.DataFrame:
    found = _correlated(workspace, view)
    if found is None:
        return pd.DataFrame()
    return path_attention_frame(workspace.shown(view).analysis, found)


def _of_heads(
    draw: Callable[[Analysis, str], go.Figure | None], missing: Callable[[Analysis], str]
) -> Callable[[Workspace, View, str], Drawing]:
    def drawn(workspace: Workspace, view: View, theme: str) -> Drawing:
        analysis = workspace.shown(view).analysis
        figure = draw(analysis, theme)
        return missing(analysis) if figure is None else figure

    return drawn


def _of_matrix(function: str, *choices: str) -> Callable[[Workspace, View], Call]:
    def of_view(workspace: Workspace, view: View) -> Call:
        analysis = workspace.shown(view).analysis
        index, head = matrix_choice(analysis, view) or (0, None)
        said: dict[str, object] = {
            "layer": analysis.layers[index],
            "head": head,
            "sequence": _sequence(analysis, view),
            "highlighted_tokens": list(view.tokens),
        }
        return Call(function, {name: said[name] for name in choices})

    return of_view


def _of_sequence(function: str, *, highlights: bool) -> Callable[[Workspace, View], Call]:
    def of_view(workspace: Workspace, view: View) -> Call:
        sequence = _sequence(workspace.shown(view).analysis, view)
        tokens = {"highlighted_tokens": list(view.tokens)} if highlights else {}
        return Call(function, {"sequence": sequence, **tokens})

    return of_view


def _influx_call(workspace: Workspace, view: View) -> Call:
    token = followed_token(workspace.shown(view).analysis, view)
    return Call("attention_flow", {"token": token, "threshold": view.threshold / 100})


def _token_rollout_call(workspace: Workspace, view: View) -> Call:
    token = followed_token(workspace.shown(view).analysis, view)
    return Call("token_rollout", {"token": token})


SOURCES: Final[Mapping[str, Source]] = {
    ids.ATTENTION: Source(
        _of_heads(attention_by_layer, missing_attention),
        lambda w, v: attention_frame(w.shown(v).analysis),
        call_of("attention_by_layer"),
    ),
    ids.HEAD_ENTROPY: Source(
        _of_heads(clearest_head_entropy, missing_attention),
        lambda w, v: heads_frame(w.shown(v).analysis),
        call_of("head_entropy"),
    ),
    ids.HEAD_AGREEMENT: Source(
        _of_heads(head_agreement, missing_head_agreement),
        lambda w, v: attention_frame(w.shown(v).analysis),
        call_of("head_agreement"),
    ),
    ids.LAYER_AGREEMENT: Source(
        _of_heads(layer_agreement, missing_layer_agreement),
        lambda w, v: layer_agreement_frame(w.shown(v).analysis),
        call_of("layer_agreement"),
    ),
    ids.ATTENTION_MATRIX: Source(
        _matrix,
        _matrix_frame,
        _of_matrix("attention_matrix", "layer", "head", "sequence", "highlighted_tokens"),
    ),
    ids.ROLLOUT_MATRIX: Source(
        _rollout,
        _matrix_frame,
        _of_matrix("attention_rollout", "layer", "sequence", "highlighted_tokens"),
    ),
    ids.ATTENTION_FLOW: Source(_flow, _flow_frame, _influx_call),
    ids.ROLLOUT_OF_TOKEN: Source(_token_rollout, _token_rollout_frame, _token_rollout_call),
    ids.PATH_ATTENTION_LAYERS: Source(
        _by_layer, _correlated_frame, _of_sequence("path_attention_by_layer", highlights=False)
    ),
    ids.PATH_ATTENTION_TOKENS: Source(
        _by_token, _correlated_frame, _of_sequence("path_attention_by_token", highlights=True)
    ),
}
