"""Analysis dicts made from what a researcher has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from concept_fragmentation.analysis.errors import InvalidAnalysisError
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.model import Analysis
from concept_fragmentation.analysis.paths import token_path_records

Labels = npt.ArrayLike | Mapping[str, Sequence[int]] | pd.DataFrame


def compute_token_paths(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The `token_paths` entry of an analysis dict.

    Returns:
        `{str(position): {"token_text", "position", "cluster_path" (raw ids), "aligned_path",
        "path_length", "cluster_changes", "mobility_score", "path_entropy", and with hidden states
        "path_length_scaled", "path_length_angular"}}` in plain Python types;
        see `token_path_metrics` for the formulas. Where positions repeat, keys are indices.

    Raises:
        InvalidAnalysisError: `data` is inconsistent, or has no cluster labels.
    """
    analysis = Analysis.from_dict(data)
    if not analysis.labelled_layers:
        raise InvalidAnalysisError(["cluster_labels: needed to compute token paths, but not there"])
    return token_path_records(
        analysis.tokens,
        analysis.positions,
        analysis.labels,
        analysis.aligned.labels,
        analysis.token_metrics,
    )


def with_token_paths(data: Mapping[str, Any]) -> dict[str, Any]:
    """A new analysis dict with `token_paths` computed; `data` is not changed.

    Raises:
        InvalidAnalysisError: as `compute_token_paths`.
    """
    data = analysis_dict(data)
    return {**data, "token_paths": compute_token_paths(data)}


def analysis_from_labels(
    tokens: Sequence[str] | pd.Series | npt.NDArray[Any],
    labels: Labels,
    *,
    model_type: str = "gpt2",
    layers: Sequence[str] | None = None,
    positions: Sequence[int] | None = None,
    token_ids: Sequence[int] | None = None,
    hidden_states: Mapping[str, npt.ArrayLike] | None = None,
    attention_data: Mapping[str, Mapping[str, Any]] | None = None,
    cluster_metrics: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """An analysis from tokens and cluster labels that were had elsewhere.

    >>> analysis = analysis_from_labels([" the", " cat"], [[0, 1], [0, 2]])
    >>> analysis["cluster_labels"]
    {'layer_0': [0, 0], 'layer_1': [1, 2]}
    >>> analysis["token_paths"]["1"]["cluster_path"]
    [0, 2]

    Args:
        tokens: (T,) the tokens' text.
        labels: cluster ids, -1 for "no cluster": an array or nested list (T, L), one row a token;
            or a mapping or DataFrame with one entry or column of T ids a layer.
        model_type: what was analysed.
        layers: the layers' names in order; by default the keys or columns of `labels`, else
            `layer_0`, `layer_1`, ...
        positions: (T,) by default 0, 1, 2, ...
        token_ids: (T,) ids in the model's vocabulary.
        hidden_states: {layer: float (T, d)}; they are kept, and used for the path lengths and
            `mobility_score`.
        attention_data: {layer: {"entropy", "head_agreement", "num_heads", "attention_probs"}}.
        cluster_metrics: {layer: {"purity", "silhouette", ...}}.

    Returns:
        An analysis dict with `token_paths` computed, in plain Python types but for the hidden
        states, which are arrays, and for what is passed through.

    Raises:
        InvalidAnalysisError: the arguments contradict each other; every problem is listed.
    """
    texts = [token.item() if isinstance(token, np.generic) else token for token in tokens]
    names, by_layer = _by_layer(labels, layers)
    data: dict[str, Any] = {
        "model_type": model_type,
        "layers": names,
        "token_metadata": {
            "tokens": texts,
            "positions": (
                list(range(len(texts))) if positions is None else _plain(positions, "positions")
            ),
        },
        "cluster_labels": by_layer,
    }
    if token_ids is not None:
        data["token_metadata"]["token_ids"] = _plain(token_ids, "token_ids")
    if hidden_states is not None:
        data["hidden_states"] = dict(hidden_states)
    if attention_data is not None:
        data["attention_data"] = dict(attention_data)
    if cluster_metrics is not None:
        data["cluster_metrics"] = dict(cluster_metrics)
    made = with_token_paths(data)
    if hidden_states is not None:
        made["hidden_states"] = {name: np.asarray(state) for name, state in hidden_states.items()}
    return made


def _by_layer(
    labels: Labels, layers: Sequence[str] | None
) -> tuple[list[str], dict[str, list[Any]]]:
    """The layers' names in order, and the labels of each as a plain list."""
    if isinstance(labels, pd.DataFrame | Mapping):
        found = [str(name) for name in labels]
        if twice := sorted({name for name in found if found.count(name) > 1}):
            raise InvalidAnalysisError(
                [f"labels: the layer {name!r} is there twice" for name in twice]
            )
        columns = (
            _plain(column, f"labels.{name}")
            for name, (_, column) in zip(found, labels.items(), strict=True)
        )
        names = found if layers is None else list(layers)
        return names, dict(zip(found, columns, strict=True))
    rows = _array(labels, "labels")
    if rows.ndim != 2:
        raise InvalidAnalysisError(
            [f"labels: an array (tokens, layers) is needed, not one of shape {rows.shape}"]
        )
    names = [f"layer_{i}" for i in range(rows.shape[1])] if layers is None else list(layers)
    if len(names) != rows.shape[1]:
        raise InvalidAnalysisError(
            [f"layers: {len(names)} names for the {rows.shape[1]} columns of labels"]
        )
    return names, {name: _plain(rows[:, i], "labels") for i, name in enumerate(names)}


def _plain(values: Any, path: str) -> list[Any]:
    """Values as a list of plain Python numbers; whole floats (a DataFrame's) become ints."""
    array = _array(values, path)
    # Beyond 2**53 floats skip whole numbers.
    if array.dtype.kind == "f" and bool(
        ((np.abs(array) < 2**53) & (array == np.floor(array))).all()
    ):
        array = array.astype(np.int64)
    plain: list[Any] = array.tolist()
    return plain


def _array(values: Any, path: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidAnalysisError([f"{path}: the rows have different lengths"]) from error
