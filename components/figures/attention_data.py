"""The data behind the figures of attention, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.figures.attention import rollout_of
from concept_fragmentation.components.figures.attention_flow import OTHERS, AttentionFlow
from concept_fragmentation.components.figures.heads import (
    agreement_between,
    attention_layers,
    head_values,
)
from concept_fragmentation.components.figures.path_attention import PathAttention
from concept_fragmentation.components.figures.weights import (
    head_weights,
    sequence_of,
    sequence_tokens,
    weight_layers,
)

_OF_HEADS = ("entropy", "entropy_normalised", "first_token_weight")


def heads_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a head: its entropy (nats, and normalised) and weight on the first token."""
    found = {name: head_values(analysis, name) for name in _OF_HEADS}
    known = {name: values for name, values in found.items() if values is not None}
    if not known:
        return pd.DataFrame(columns=["layer", "head", *_OF_HEADS])
    layers = attention_layers(analysis)
    most = max(values.shape[1] for values in known.values())
    frame = pd.DataFrame(
        {
            "layer": np.repeat(np.array(layers, dtype=object), most),
            "head": np.tile(np.arange(most), len(layers)),
            **{name: values.ravel() for name, values in known.items() if values.shape[1] == most},
        }
    )
    return frame.dropna(how="all", subset=[name for name in known if name in frame])


def layer_agreement_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a pair of layers: the agreement of their heads, and by chance."""
    values, chances = agreement_between(analysis)
    if values is None:
        return pd.DataFrame(columns=["layer", "other_layer", "agreement", "by_chance"])
    layers = attention_layers(analysis)
    first, second = np.triu_indices(len(layers))
    return pd.DataFrame(
        {
            "layer": [layers[i] for i in first],
            "other_layer": [layers[i] for i in second],
            "agreement": values[first, second],
            "by_chance": np.nan if chances is None else chances[first, second],
        }
    )


def attention_matrix_frame(
    analysis: Analysis, layer: str, head: int | None = None, *, sequence: int = 0
) -> pd.DataFrame:
    """Return one row a pair of tokens with weight: query, key and weight."""
    shown = head_weights(analysis, layer, head, sequence)
    tokens = sequence_tokens(analysis, sequence)
    texts = np.array(analysis.shown_tokens, dtype=object)[tokens]
    queries, keys = np.nonzero(shown)
    return pd.DataFrame(
        {
            "query": texts[queries],
            "query_position": analysis.positions[tokens[queries]],
            "key": texts[keys],
            "key_position": analysis.positions[tokens[keys]],
            "weight": shown[queries, keys],
        }
    )


def token_rollout_frame(analysis: Analysis, token: int) -> pd.DataFrame:
    """Return one row a layer and input token: its share in a token after the layer."""
    tokens = sequence_tokens(analysis, sequence_of(analysis, token))
    shares, layers = rollout_of(analysis, token), weight_layers(analysis)
    return pd.DataFrame(
        {
            "layer": np.repeat(np.array(layers, dtype=object), len(tokens)),
            "input_token": [analysis.shown_tokens[i] for i in tokens] * len(layers),
            "input_position": np.tile(analysis.positions[tokens], len(layers)),
            "share": shares.ravel(),
        }
    )


def attention_flow_frame(analysis: Analysis, flow: AttentionFlow) -> pd.DataFrame:
    """Return one row a link of the attention flow; tokens below the threshold have no position."""
    frame = pd.DataFrame({"layer": [flow.layers[layer] for layer, *_ in flow.links]})
    for side, column in (("source", 1), ("target", 2)):
        tokens = [int(link[column]) for link in flow.links]
        frame[side] = ["others" if i == OTHERS else analysis.shown_tokens[i] for i in tokens]
        positions = [np.nan if i == OTHERS else int(analysis.positions[i]) for i in tokens]
        frame[f"{side}_position"] = pd.array(positions, dtype="Int64")
    return frame.assign(share=[share for *_, share in flow.links])


def path_attention_frame(analysis: Analysis, found: PathAttention) -> pd.DataFrame:
    """Return one row a layer and query: the correlation of its attention and shared paths."""
    tokens = sequence_tokens(analysis, found.sequence)
    return pd.DataFrame(
        {
            "layer": np.repeat(np.array(found.layers, dtype=object), len(tokens)),
            "layer_correlation": np.repeat(found.correlation, len(tokens)),
            "layer_partial_correlation": np.repeat(found.partial_correlation, len(tokens)),
            "query": [analysis.shown_tokens[i] for i in tokens] * len(found.layers),
            "query_position": np.tile(analysis.positions[tokens], len(found.layers)),
            "correlation": found.by_query.ravel(),
        }
    )
