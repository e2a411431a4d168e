"""The data behind each figure, as tables: what the CSV downloads hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from concept_fragmentation.analysis import Analysis, LayerWindow, Transition, transition
from concept_fragmentation.analysis.cells import escape_cell
from concept_fragmentation.analysis.tables import SHOWN_AS
from concept_fragmentation.components.figures.layers import (
    CONCEPT_METRICS,
    attention_entropies,
    layer_numbers,
)
from concept_fragmentation.components.figures.metrics import window_metrics

_PATH_LENGTHS: Final = ("path_length", "path_length_scaled", "path_length_angular")
_OTHER_COLUMNS: Final = frozenset(
    ("token", "position", "cluster_changes", "mobility_score", "path_entropy", *_PATH_LENGTHS)
)


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV in which no spreadsheet takes a text for a formula."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = [_cell(str(value)) for value in safe[name]]
    safe.columns = [_cell(str(name)) for name in safe.columns]
    text: str = safe.to_csv(index=False, lineterminator="\r\n")
    return text


def _cell(text: str) -> str:
    # A lone surrogate has no bytes in UTF-8.
    return escape_cell(text).encode("utf-8", "backslashreplace").decode()


def window_links_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a band of the token Sankey: from, to, tokens, share of the source cluster."""
    frames = [
        _flow_frame(flow).assign(
            source_layer=window.layers[i],
            target_layer=window.layers[i + 1],
            source_aligned=_aligned(analysis, window.first + i, flow.source_ids)[
                flow.source_indices
            ],
            target_aligned=_aligned(analysis, window.first + i + 1, flow.target_ids)[
                flow.target_indices
            ],
        )
        for i, flow in enumerate(window.transitions)
    ]
    columns = [
        "source_layer",
        "source_cluster",
        "target_layer",
        "target_cluster",
        "tokens",
        "share_of_source",
        "source_aligned",
        "target_aligned",
    ]
    return (
        pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    )


def token_paths_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a token: its text, position, cluster in each layer, and path metrics.

    The index of a row is that of the token.
    """
    metrics = window_metrics(analysis, window)
    columns = {"token": list(analysis.shown_tokens), "position": analysis.positions}
    for i, name in enumerate(_layer_columns(window.layers)):
        columns[name] = analysis.labels[:, window.first + i]
    columns["cluster_changes"] = metrics.cluster_changes
    columns["mobility_score"] = metrics.mobility_score
    columns["path_entropy"] = metrics.path_entropy
    for name in _PATH_LENGTHS:
        values = getattr(metrics, name)
        if values is not None:
            columns[name] = values
    return pd.DataFrame(columns)[analysis.looked_at]


def tokens_frame(analysis: Analysis, indices: list[int]) -> pd.DataFrame:
    """Return one row for each of some tokens: its text, position and cluster in each layer."""
    chosen = {
        "token": [analysis.shown_tokens[index] for index in indices],
        "position": analysis.positions[indices],
    }
    for i, name in enumerate(_layer_columns(analysis.labelled_layers)):
        chosen[name] = analysis.labels[indices, i]
    return pd.DataFrame(chosen)


def path_metrics_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a token with its path metrics within the window."""
    frame = token_paths_frame(analysis, window)
    return frame.drop(columns=_layer_columns(window.layers))


def cluster_sizes_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a cluster of the window's layers: its tokens and aligned id."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "layer": layer,
                    "cluster": window.cluster_ids[i],
                    "tokens": window.cluster_sizes[i],
                    "aligned": _aligned(analysis, window.first + i, window.cluster_ids[i]),
                }
            )
            for i, layer in enumerate(window.layers)
        ],
        ignore_index=True,
    )


def cluster_entropy_frame(
    analysis: Analysis,  # noqa: ARG001 - every table of a window is called alike
    window: LayerWindow,
) -> pd.DataFrame:
    """Return one row a layer of the window: its cluster entropy in nats and number of clusters."""
    return pd.DataFrame(
        {
            "layer": window.layers,
            "entropy_nats": window.cluster_entropy,
            "clusters": [len(ids) for ids in window.cluster_ids],
            "tokens_without_cluster": window.left_out_by_layer,
        }
    )


def transition_frame(
    analysis: Analysis, source_layer_index: int, target_layer_index: int
) -> pd.DataFrame:
    """Return one row a pair of clusters that any token takes: tokens and share of the source's."""
    return _flow_frame(
        transition(analysis.labels[:, source_layer_index], analysis.labels[:, target_layer_index])
    )


def attention_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a layer: attention entropy (nats) of each head and head agreement."""
    entropies = attention_entropies(analysis)
    agreements = layer_numbers(analysis.attention, "head_agreement")
    return pd.DataFrame(
        [
            {"layer": layer, "head_agreement": agreements.get(layer, np.nan)}
            | {f"entropy_{i}": value for i, value in enumerate(entropies.get(layer, []))}
            for layer in analysis.layers
            if layer in entropies or layer in agreements
        ]
    )


def concepts_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a layer: purity, silhouette and reproducibility."""
    found = {
        SHOWN_AS.get(name, name): layer_numbers(analysis.cluster_metrics, name)
        for name in CONCEPT_METRICS
    }
    return pd.DataFrame(
        [
            {"layer": layer} | {name: values.get(layer, np.nan) for name, values in found.items()}
            for layer in analysis.layers
            if any(layer in values for values in found.values())
        ]
    )


def _flow_frame(flow: Transition) -> pd.DataFrame:
    totals = np.bincount(flow.source_indices, flow.num_tokens, len(flow.source_ids))
    return pd.DataFrame(
        {
            "source_cluster": flow.source_ids[flow.source_indices],
            "target_cluster": flow.target_ids[flow.target_indices],
            "tokens": flow.num_tokens,
            "share_of_source": flow.num_tokens / totals[flow.source_indices],
        }
    )


def _layer_columns(layers: Sequence[str]) -> list[str]:
    """The columns of the layers' clusters: named like them, unless another column is."""
    names: list[str] = []
    for layer in layers:
        name = layer
        while name in _OTHER_COLUMNS or (name != layer and name in layers):
            name = f"layer {name}"
        names.append(name)
    return names


def _aligned(
    analysis: Analysis, layer_index: int, clusters: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    mapping = analysis.aligned.raw_to_aligned[layer_index]
    return np.array([mapping[cluster] for cluster in clusters.tolist()], dtype=np.int64)
