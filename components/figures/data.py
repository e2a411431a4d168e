"""The data behind each figure, as tables: what the CSV downloads hold."""

from __future__ import annotations

import pandas as pd

from concept_fragmentation.analysis import Analysis, LayerWindow, transition
from concept_fragmentation.analysis.cells import escape_cell
from concept_fragmentation.components.figures.layers import attention_entropies, layer_numbers
from concept_fragmentation.components.figures.metrics import window_metrics


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
    rows = []
    for i, flow in enumerate(window.transitions):
        shares = flow.probabilities
        rows += [
            {
                "source_layer": window.layers[i],
                "source_cluster": int(flow.source_ids[a]),
                "target_layer": window.layers[i + 1],
                "target_cluster": int(flow.target_ids[b]),
                "tokens": int(flow.counts[a, b]),
                "share_of_source": float(shares[a, b]),
                "source_aligned": _aligned(analysis, window.first + i, flow.source_ids[a]),
                "target_aligned": _aligned(analysis, window.first + i + 1, flow.target_ids[b]),
            }
            for a, b in zip(*flow.counts.nonzero(), strict=True)
        ]
    return pd.DataFrame(rows)


def token_paths_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a token: its text, position, cluster in each layer, and path metrics."""
    metrics = window_metrics(analysis, window)
    columns = {"token": list(analysis.tokens), "position": analysis.positions}
    layers = slice(window.first, window.last + 1)
    labels = analysis.labels[:, layers]
    for i, layer in enumerate(window.layers):
        name = layer if layer not in columns else f"layer {layer}"
        columns[name] = labels[:, i]
    columns["cluster_changes"] = metrics.cluster_changes
    columns["mobility_score"] = metrics.mobility_score
    columns["path_entropy"] = metrics.path_entropy
    if metrics.path_length is not None:
        columns["path_length"] = metrics.path_length
    return pd.DataFrame(columns)


def tokens_frame(analysis: Analysis, indices: list[int]) -> pd.DataFrame:
    """Return one row for each of some tokens: its text, position and cluster in each layer."""
    chosen = {
        "token": [analysis.tokens[index] for index in indices],
        "position": analysis.positions[indices],
    }
    for i, layer in enumerate(analysis.labelled_layers):
        chosen[layer if layer not in chosen else f"layer {layer}"] = analysis.labels[indices, i]
    return pd.DataFrame(chosen)


def path_metrics_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a token with its path metrics within the window."""
    frame = token_paths_frame(analysis, window)
    return frame.drop(columns=[name for name in window.layers if name in frame])


def cluster_sizes_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a cluster of the window's layers: its tokens and aligned id."""
    return pd.DataFrame(
        [
            {
                "layer": layer,
                "cluster": cluster,
                "tokens": size,
                "aligned": _aligned(analysis, window.first + i, cluster),
            }
            for i, layer in enumerate(window.layers)
            for cluster, size in zip(
                window.cluster_ids[i].tolist(), window.cluster_sizes[i].tolist(), strict=True
            )
        ]
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
    """Return one row a pair of clusters of two layers: tokens and share of the source's."""
    flow = transition(
        analysis.labels[:, source_layer_index], analysis.labels[:, target_layer_index]
    )
    return pd.DataFrame(
        [
            {
                "source_cluster": int(source),
                "target_cluster": int(target),
                "tokens": int(flow.counts[a, b]),
                "share_of_source": float(flow.probabilities[a, b]),
            }
            for a, source in enumerate(flow.source_ids)
            for b, target in enumerate(flow.target_ids)
        ]
    )


def attention_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a layer: attention entropy (nats) of each head and head agreement."""
    entropies = attention_entropies(analysis)
    agreements = layer_numbers(analysis.attention, "head_agreement")
    return pd.DataFrame(
        [
            {"layer": layer, "head_agreement": agreements.get(layer)}
            | {f"entropy_{i}": value for i, value in enumerate(entropies.get(layer, []))}
            for layer in analysis.layers
            if layer in entropies or layer in agreements
        ]
    )


def concepts_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a layer: purity and silhouette."""
    purity = layer_numbers(analysis.cluster_metrics, "purity")
    silhouette = layer_numbers(analysis.cluster_metrics, "silhouette")
    return pd.DataFrame(
        [
            {"layer": layer, "purity": purity.get(layer), "silhouette": silhouette.get(layer)}
            for layer in analysis.layers
            if layer in purity or layer in silhouette
        ]
    )


def _aligned(analysis: Analysis, layer_index: int, cluster: int) -> int:
    return analysis.aligned.raw_to_aligned[layer_index][int(cluster)]
