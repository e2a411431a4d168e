"""Tables of metrics: one of layers, one of tokens, one of the members of a cluster."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from concept_fragmentation.analysis.choices import Layer, window_ends, window_positions
from concept_fragmentation.analysis.counting import NO_CLUSTER, compact, entropy
from concept_fragmentation.analysis.model import Analysis, AnalysisLike, as_analysis
from concept_fragmentation.analysis.noise_floor import analysis_floor
from concept_fragmentation.analysis.paths import TokenPathMetrics
from concept_fragmentation.analysis.window_grid import layer_steps
from concept_fragmentation.analysis.windows import tokens_in_cluster

if TYPE_CHECKING:
    import pandas as pd

TableOf: TypeAlias = Literal["layer", "token"]

# What a stored metric is called where it is shown. `stability` alone is that of a layer window.
SHOWN_AS: Final[Mapping[str, str]] = {"stability": "reproducibility"}

_OF_CLUSTERS: Final = ("purity", "silhouette", "stability")
_OF_STEPS: Final = ("moved", "convergence", "divergence")
_OF_ATTENTION: Final[Mapping[str, str]] = {
    "entropy": "attention_entropy",
    "entropy_normalised": "attention_entropy_normalised",
    "first_token_weight": "first_token_weight",
    "head_agreement": "head_agreement",
    "head_agreement_chance": "head_agreement_chance",
}
_OF_PATHS: Final = (
    "cluster_changes",
    "mobility_score",
    "path_entropy",
    "path_length",
    "path_length_scaled",
    "path_length_angular",
)


def layer_table(analysis: AnalysisLike) -> pd.DataFrame:
    """Return one row for each declared layer, with every metric of it.

    >>> from concept_fragmentation.analysis import analysis_from_labels
    >>> made = analysis_from_labels([" a", " b"], [[0, 1], [0, 2]])
    >>> layer_table(made)[["num_tokens", "num_clusters"]].values.tolist()
    [[2, 1], [2, 2]]

    Returns:
        A table with the layers' names as index, `layer`. Every column holds numbers, NaN where one
        is not known:

        - `num_tokens`, `num_clusters`: tokens with a cluster, and how many clusters there are; 0
          where the layer has no labels.
        - `cluster_entropy`: nats, see `LayerWindow`.
        - `purity`, `silhouette`, `reproducibility`: as `cluster_metrics` gives them; the last is
          stored as `stability`, see `cluster_stability`.
        - `attention_entropy` (nats), `attention_entropy_normalised`, `first_token_weight`,
          `head_agreement`, `head_agreement_chance`: of `attention_data`, the mean over heads; see
          `AttentionStatistics`.
        - `moved`, `convergence`, `divergence`: what happens from the layer to the next that has
          labels, see `LayerSteps`; NaN for the last.
        - `moved_floor`, `convergence_floor`, `divergence_floor`: the mean of the same between
          clusterings of the one layer that the step leads to, see `NoiseFloor`; NaN for the last,
          and where there is none.
        - every other number of `cluster_metrics`; nested ones with dots between their names.
    """
    import pandas as pd  # noqa: PLC0415

    analysis = as_analysis(analysis)
    rows = {layer: dict(_layer_row(analysis, layer)) for layer in analysis.layers}
    steps = layer_steps(analysis) if len(analysis.labelled_layers) > 1 else None
    for i, layer in enumerate(analysis.labelled_layers[:-1]):
        for name in _OF_STEPS:
            rows[layer][name] = getattr(steps, name)[i]
    if (floor := analysis_floor(analysis)) is not None:
        for i, layer in enumerate(floor.layers[:-1]):
            rows[layer] |= {f"{name}_floor": of[i] for name, of in floor.by_step().items()}
    first = ("num_tokens", "num_clusters", "cluster_entropy")
    known = [
        *first,
        *(SHOWN_AS.get(name, name) for name in _OF_CLUSTERS),
        *_OF_ATTENTION.values(),
        *_OF_STEPS,
        *(f"{name}_floor" for name in _OF_STEPS),
    ]
    further = {
        f"cluster_metrics.{name}" if name in known else name: name for name in _further(analysis)
    }
    for column, name in further.items():
        for layer in analysis.layers:
            rows[layer][column] = dict(_numbers(analysis.cluster_metrics.get(layer))).get(name)
    counted = {"num_tokens", "num_clusters"}
    return pd.DataFrame(
        {
            column: np.array(
                [_number(rows[layer].get(column)) for layer in analysis.layers],
                dtype=np.int64 if column in counted else np.float64,
            )
            for column in (*known, *further)
        },
        index=pd.Index(analysis.layers, name="layer"),
    )


def token_table(analysis: AnalysisLike, window: tuple[Layer, Layer] | None = None) -> pd.DataFrame:
    """Return one row for each token, with its metrics and what else is known of it.

    Args:
        analysis: of T tokens.
        window: the first and the last layer of the paths, by name or by position in `layers`; by
            default all.

    Returns:
        A table with the tokens' indices as index, `token_index`:

        - `token`, `position`, `sequence_id`, and `token_id` where ids are known.
        - `cluster_changes`, `mobility_score`, `path_entropy`, `path_length`, `path_length_scaled`,
          `path_length_angular`: see `token_path_metrics`; lengths are NaN without hidden states.
        - every column of `token_metadata`, such as the part of speech; numbers as floats, with NaN
          where one is missing. A column that has the name of one of the others is "token." and its
          name.

    Raises:
        UnknownChoiceError: there is no such window.
    """
    import pandas as pd  # noqa: PLC0415

    analysis = as_analysis(analysis)
    metrics = _path_metrics(analysis, window)
    columns: dict[str, Any] = {
        "token": pd.Series(analysis.tokens, dtype=object),
        "position": analysis.positions,
        "sequence_id": analysis.sequence_ids,
    }
    if analysis.token_ids is not None:
        columns["token_id"] = analysis.token_ids
    for name in _OF_PATHS:
        values = getattr(metrics, name)
        columns[name] = np.full(analysis.num_tokens, np.nan) if values is None else values
    for name, given in analysis.token_columns.items():
        columns[f"token.{name}" if name in columns else name] = column_of_values(given)
    index = pd.RangeIndex(analysis.num_tokens, name="token_index")
    return pd.DataFrame(columns, index=index)


def cluster_members(analysis: AnalysisLike, layer: Layer, cluster: int) -> pd.DataFrame:
    """Return the rows of `token_table` for the tokens in a cluster, in the order of the text.

    Args:
        analysis: with labels.
        layer: by its name or by its position in `layers`.
        cluster: raw id; -1 for the tokens without a cluster.

    Raises:
        UnknownChoiceError: there is no such layer with labels, or no such cluster in it.
    """
    analysis = as_analysis(analysis)
    return token_table(analysis).iloc[tokens_in_cluster(analysis, layer, cluster)]


def column_of_values(values: Sequence[Any]) -> pd.Series:
    """Return values as a column: numbers as floats with NaN for None, anything else as it is."""
    import pandas as pd  # noqa: PLC0415

    kinds = {type(value) for value in values} - {type(None)}
    plain = all(issubclass(kind, int | float | np.integer | np.floating) for kind in kinds)
    if not plain or bool in kinds:
        return pd.Series(list(values), dtype=object)
    if kinds and type(None) not in {type(value) for value in values}:
        return pd.Series(list(values))
    return pd.Series([_number(value) for value in values], dtype=np.float64)


def with_float_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which columns of numbers and None hold floats and NaN."""
    found = {
        name: column_of_values(frame[name].tolist()).set_axis(frame.index)
        for name in frame.columns
        if frame[name].dtype == object
    }
    return frame.assign(**found) if found else frame


def _layer_row(analysis: Analysis, layer: str) -> Iterator[tuple[str, Any]]:
    sizes = np.empty(0, dtype=np.int64)
    if layer in analysis.labelled_layers:
        labels = analysis.labels[:, analysis.labelled_layers.index(layer)]
        sizes = np.bincount(compact(labels[labels != NO_CLUSTER])[1])
        yield "cluster_entropy", entropy(sizes)
    yield "num_tokens", int(sizes.sum())
    yield "num_clusters", len(sizes)
    stored = analysis.cluster_metrics.get(layer)
    for name in _OF_CLUSTERS:
        yield SHOWN_AS.get(name, name), mean_number(_get(stored, name))
    attention = analysis.attention_figures.get(layer)
    for name, column in _OF_ATTENTION.items():
        yield column, mean_number(_get(attention, name))


def _further(analysis: Analysis) -> list[str]:
    """The other numbers of `cluster_metrics`, in the order in which they come."""
    found: dict[str, None] = {}
    for layer in analysis.layers:
        found |= dict.fromkeys(name for name, _ in _numbers(analysis.cluster_metrics.get(layer)))
    known = {*_OF_CLUSTERS, "num_clusters"}
    return [name for name in found if name not in known]


def _numbers(values: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The single numbers of nested mappings, each by its path."""
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, Mapping):
            yield from _numbers(value, path)
        elif _is_number(value):
            yield path, float(value)


def _path_metrics(analysis: Analysis, window: tuple[Layer, Layer] | None) -> TokenPathMetrics:
    if window is None:
        return analysis.token_metrics
    first, last = window_positions(analysis.layers, analysis.labelled_layers, *window_ends(window))
    return analysis.path_metrics(first, last)


def mean_number(value: object) -> float:
    """Return a number, or the mean of the finite ones in a list; NaN of anything else."""
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        return np.nan
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.nan
    return float(np.nanmean(array)) if np.isfinite(array).any() else np.nan


def _get(values: Any, name: Hashable) -> Any:
    return values.get(name) if isinstance(values, Mapping) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    return np.nan if value is None else value
