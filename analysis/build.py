"""Analysis dicts made from what a researcher has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.arrays import is_of_pandas, shown, to_array, to_whole_numbers
from concept_fragmentation.analysis.errors import InvalidAnalysisError, InvalidDataError
from concept_fragmentation.analysis.lazy import LazyArray
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.massive import find_massive, sequence_starts
from concept_fragmentation.analysis.model import Analysis
from concept_fragmentation.analysis.paths import token_path_records
from concept_fragmentation.analysis.validation import sequence_lengths

if TYPE_CHECKING:
    import pandas as pd

Labels: TypeAlias = "npt.ArrayLike | Mapping[str, npt.ArrayLike] | pd.DataFrame"


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
    tokens: Iterable[str],
    labels: Labels,
    *,
    model_type: str = "gpt2",
    layers: Iterable[str] | None = None,
    positions: npt.ArrayLike | None = None,
    token_ids: npt.ArrayLike | None = None,
    attention_mask: npt.ArrayLike | None = None,
    hidden_states: Mapping[str, npt.ArrayLike] | Sequence[npt.ArrayLike] | None = None,
    attention_data: Mapping[str, Mapping[str, Any]] | None = None,
    cluster_metrics: Mapping[str, Mapping[str, Any]] | None = None,
    keep_massive: bool = False,
) -> dict[str, Any]:
    """Return an analysis of tokens and cluster labels that were had elsewhere.

    >>> analysis = analysis_from_labels([" the", " cat"], [[0, 1], [0, 2]])
    >>> analysis["cluster_labels"]
    {'layer_0': [0, 0], 'layer_1': [1, 2]}
    >>> analysis["token_paths"]["1"]["cluster_path"]
    [0, 2]

    Arrays may be those of torch (on any device, with a gradient, in bfloat16), JAX, pandas or
    whatever else `to_array` takes, and lists of them.

    Args:
        tokens: (T,) the tokens' text.
        labels: cluster ids, -1 for "no cluster": an array or nested list (T, L), one row a token;
            or a mapping or DataFrame with one entry or column of T ids a layer. Floats without a
            fraction are whole numbers.
        model_type: what was analysed.
        layers: the layers' names in order; by default the keys or columns of `labels`, else
            `layer_0`, `layer_1`, ...
        positions: (T,) by default 0, 1, 2, ...
        token_ids: (T,) ids in the model's vocabulary.
        attention_mask: (T,) 0 for padding, which has no cluster and whose hidden states may hold
            anything.
        hidden_states: {layer: float (T, d)}, or as many arrays as there are layers, in their order;
            each may be a batch of one, (1, T, d), as transformers gives them. They are kept, and
            used for the path lengths and `mobility_score`. All numbers are finite.
        attention_data: {layer: {"entropy", "head_agreement", "num_heads", "attention_probs"}}.
        cluster_metrics: {layer: {"purity", "silhouette", ...}}.
        keep_massive: compare positions with massive activations like all others. By default, with
            hidden states, they are set aside (`find_massive`): their labels stay, but path lengths,
            maps, similarities of layers and tests leave them out.

    Returns:
        An analysis dict with `token_paths` computed, in plain Python types but for the hidden
        states and attention weights, which are arrays, and for what is passed through.

    Raises:
        InvalidAnalysisError: the arguments contradict each other; every problem is listed.
    """
    problems: list[str] = []
    texts = _texts(tokens, problems)
    names, by_layer = _by_layer(labels, layers, problems)
    metadata: dict[str, Any] = {"tokens": texts}
    if sequence_lengths(texts) is None:
        metadata["positions"] = list(range(len(texts)))
    for name, values in (
        ("positions", positions),
        ("token_ids", token_ids),
        ("attention_mask", attention_mask),
    ):
        if values is not None:
            metadata[name] = _whole_numbers(values, name, problems)
    data: dict[str, Any] = {
        "model_type": model_type,
        "layers": names,
        "token_metadata": metadata,
        "cluster_labels": by_layer,
    }
    if hidden_states is not None:
        data["hidden_states"] = _states(hidden_states, names, problems)
    if attention_data is not None:
        data["attention_data"] = _attention(attention_data, problems)
    if cluster_metrics is not None:
        data["cluster_metrics"] = (
            dict(cluster_metrics) if isinstance(cluster_metrics, Mapping) else cluster_metrics
        )
    if problems:
        raise InvalidAnalysisError(problems)
    if hidden_states is not None and not keep_massive:
        data["set_aside"] = _massive(Analysis.from_dict(data))
    return with_token_paths(data)


def _massive(analysis: Analysis) -> dict[str, Any]:
    """Return the `set_aside` of an analysis with hidden states."""
    starts = sequence_starts(analysis.sequence_ids, analysis.padding) | (analysis.positions == 0)
    states = list(analysis.hidden_states.values())
    return find_massive(states, starts=starts, padding=analysis.padding).record()


def _texts(tokens: Any, problems: list[str]) -> list[Any]:
    """Return the tokens as a list of str."""
    if (
        isinstance(tokens, str | bytes | Mapping | Set)
        or is_of_pandas(tokens, "DataFrame")
        or not isinstance(tokens, Iterable)
        or getattr(tokens, "ndim", 1) != 1
    ):
        problems.append(f"tokens: a list of strings is needed, not {shown(tokens)}")
        return []
    texts = [str(token) if isinstance(token, str) else token for token in tokens]
    # Nested sequences are checked with the rest.
    wrong = [i for i, text in enumerate(texts) if not isinstance(text, str | list | tuple)]
    if wrong:
        problems.append(
            f"tokens: row {wrong[0]} is {shown(texts[wrong[0]])} where a string is needed "
            f"({len(wrong):,} of {len(texts):,} rows)"
        )
    return texts


def _by_layer(
    labels: Any, layers: Any, problems: list[str]
) -> tuple[list[str], dict[str, list[int]]]:
    """Return the layers' names in order, and the labels of each as a plain list."""
    given = None if layers is None else _names(layers, problems)
    if isinstance(labels, Mapping) or is_of_pandas(labels, "DataFrame"):
        items = [(str(name), column) for name, column in labels.items()]
    # Tables of polars and the like have columns by name, too.
    elif hasattr(labels, "columns") and not isinstance(labels, np.ndarray):
        items = [(str(name), labels[name]) for name in labels.columns]
    else:
        try:
            rows = to_array(labels, "labels")
        except InvalidDataError as error:
            problems += error.problems
            return given or [], {}
        if rows.ndim != 2:
            problems.append(
                f"labels: an array (tokens, layers) is needed, not one of shape {rows.shape}"
            )
            return given or [], {}
        names = [f"layer_{i}" for i in range(rows.shape[1])] if given is None else given
        if len(names) != rows.shape[1]:
            problems.append(f"layers: {len(names)} names for the {rows.shape[1]} columns of labels")
            return names, {}
        items = [(name, rows[:, i]) for i, name in enumerate(names)]
    found = [name for name, _ in items]
    problems += [
        f"labels: the layer {name!r} is there twice"
        for name in sorted({name for name in found if found.count(name) > 1})
    ]
    return (
        found if given is None else given,
        {name: _whole_numbers(column, f"labels.{name}", problems, -1) for name, column in items},
    )


def _names(layers: Any, problems: list[str]) -> list[Any]:
    if isinstance(layers, str | bytes | Mapping | Set) or not isinstance(layers, Iterable):
        problems.append(f"layers: a list of names is needed, not {shown(layers)}")
        return []
    return [str(name) if isinstance(name, str) else name for name in layers]


def _whole_numbers(
    values: Any, path: str, problems: list[str], least: int | None = None
) -> list[int]:
    try:
        return to_whole_numbers(values, path, least=least)
    except InvalidDataError as error:
        problems += error.problems
        return []


def _states(states: Any, names: Sequence[Any], problems: list[str]) -> dict[Any, Any]:
    """Return hidden states by layer as arrays (T, d)."""
    if not isinstance(states, Mapping):
        try:
            arrays = None if isinstance(states, str | bytes) else list(states)
        except TypeError:
            arrays = None
        if arrays is None:
            problems.append(
                f"hidden_states: a dict {{layer: array}} or a list of arrays is needed, not "
                f"{shown(states)}"
            )
            return {}
        if len(arrays) != len(names):
            problems.append(
                f"hidden_states: {len(arrays)} arrays for {len(names)} layers; give one for each, "
                "or a dict {layer: array}"
            )
            return {}
        states = dict(zip(names, arrays, strict=True))
    found = {}
    for layer, state in states.items():
        try:
            array = to_array(state, f"hidden_states.{layer}")
        except InvalidDataError as error:
            needed = "an array of numbers (tokens, dimensions) is needed"
            problems += [f"{problem}; {needed}" for problem in error.problems]
            continue
        found[layer] = array[0] if array.ndim == 3 and len(array) == 1 else array
    return found


def _attention(attention: Any, problems: list[str]) -> Any:
    """Return the attention of each layer with arrays of other libraries as those of NumPy."""
    if not isinstance(attention, Mapping):
        return attention
    found: dict[Any, Any] = {}
    for layer, values in attention.items():
        if not isinstance(values, Mapping):
            found[layer] = values
            continue
        found[layer] = dict(values)
        for name, value in values.items():
            path = f"attention_data.{layer}.{name}"
            weights = name == "attention_probs" and value is not None
            try:
                if hasattr(value, "detach") or (weights and not isinstance(value, LazyArray)):
                    found[layer][name] = to_array(value, path)
            except InvalidDataError as error:
                if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
                    found[layer][name] = value.item()
                else:
                    problems += error.problems
    return found
