"""The figures of the page, for notebooks and scripts.

    with store.open_analysis("mine") as analysis:
        analysis.sankey((0, 3))

Each function here is a method of `AnalysisHandle`, found by the entry points of the group
`concept_fragmentation.figures`: the store hands out analyses and knows nothing that draws. An
analysis dict that is in no store is drawn too: `figures.sankey(my_analysis, (0, 3))`.

Every option is checked before anything is drawn, and one that is not there raises an
UnknownChoiceError that lists what there is. In every figure:

- A layer is given by its name, or by its position in `layers`: from 0, or negative from the end.
- `window` is the first and the last layer, both included, such as `(0, 3)` or
  `("block_1", "block_4")`; by default what the page shows first.
- A token is given by its index, from 0; `highlighted_tokens` are several.
- A path is given by the raw ids of its clusters, one for each layer of the window that has labels;
  a token takes it.
- `theme` is "light" or "dark".

What can't be drawn of an analysis raises an InvalidDataError that says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    Layer,
    LayerWindow,
    as_analysis,
    principal_plane,
    umap_plane,
)
from concept_fragmentation.analysis.windows import labelled_window
from concept_fragmentation.components.figures import (
    attention,
    comparison,
    concepts,
    heads,
    layers,
    metrics,
    weights,
    windows,
)
from concept_fragmentation.components.figures import attention_flow as influx
from concept_fragmentation.components.figures import path_attention as shared
from concept_fragmentation.components.figures.compared import (
    NOTHING_SHARED,
    ONE_LAYER_SHARED,
    Compared,
    compared,
)
from concept_fragmentation.components.figures.concepts import Measure
from concept_fragmentation.components.figures.difference_flow import (
    difference_sankey,
    flow_difference,
)
from concept_fragmentation.components.figures.options import (
    Source,
    Theme,
    Window,
    checked_figure,
    column_colouring,
    column_of,
    columns_of_window,
    layer_name,
    weighted_layer,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.token_comparison import (
    compared_tokens as side_by_side,
)
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.view import DEFAULT_THRESHOLD, MapProjection
from concept_fragmentation.persistence import AnalysisHandle

T = TypeVar("T")

_NO_LABELS = "cluster_labels: the analysis has none, so there is no flow"


@checked_figure()
def sankey(
    handle: Source,
    window: Window = None,
    *,
    colour_by: str = "cluster",
    min_count: int = 1,
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[Sequence[int]] = (),
    theme: Theme = "light",
) -> go.Figure:
    """The flow of tokens through the clusters of a window of layers; see `token_sankey`.

    Args:
        handle: the open analysis, or an analysis dict.
        window: the first and the last layer.
        colour_by: "cluster": a band has the colour of the cluster that it leaves; "path": the most
            frequent paths have a colour each. Or the name of a metric of `token_metrics` such as
            "mobility_score", or of a column of `token_metadata` such as "part_of_speech"; where a
            column has the name of one of the others, it is "token." and its name.
        min_count: bands of fewer tokens are not drawn.
        highlighted_tokens: indices of tokens whose routes stand out.
        highlighted_paths: paths, as raw cluster ids, whose routes stand out.
        theme: "light" or "dark".

    Raises:
        UnknownChoiceError: there is no such window, colouring, token or path.
        InvalidDataError: no layer has cluster labels.
    """
    analysis, chosen = _window(_analysis(handle), window)
    return token_sankey(
        analysis,
        chosen,
        colour_by=colour_by,
        min_count=min_count,
        highlighted_tokens=highlighted_tokens,
        highlighted_paths=[tuple(path) for path in highlighted_paths],
        theme=theme,
    ).figure


@checked_figure(colour_by=column_colouring)
def path_map(handle: Source, theme: Theme = "light", *, colour_by: str = "cluster") -> go.Figure:
    """The paths of all tokens through all layers, a row a token.

    With `colour_by`, a column of `token_metadata`, the tokens are by category, whose colours stand
    beside the rows.
    """
    return windows.path_map(_labelled(_analysis(handle)), theme, colour_by=colour_by)


@checked_figure(colour_by=column_colouring)
def trajectories(
    handle: Source,
    window: Window = None,
    *,
    colour_by: str = "cluster",
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[Sequence[int]] = (),
    theme: Theme = "light",
) -> go.Figure:
    """The paths of a window as lines, bundled where tokens take the same one.

    Lines have the colour of the cluster in which they begin, or with `colour_by`, a column of
    `token_metadata`, those of the categories of their tokens.
    """
    analysis, chosen = _window(_analysis(handle), window)
    return trajectory_lines(
        analysis,
        chosen,
        colour_by=colour_by,
        highlighted_tokens=highlighted_tokens,
        highlighted_paths=[tuple(path) for path in highlighted_paths],
        theme=theme,
    )


@checked_figure()
def compared_tokens(
    handle: Source, tokens: Sequence[int], window: Window = None, theme: Theme = "light"
) -> go.Figure:
    """The paths of two to five tokens, given by their indices, beside each other."""
    analysis, chosen = _window(_analysis(handle), window)
    return side_by_side(analysis, chosen, tokens, theme)


@checked_figure()
def window_fragmentation(
    handle: Source, window: Window = None, theme: Theme = "light"
) -> go.Figure:
    """The fragmentation of the paths of every window, and a frame around one of them."""
    analysis, chosen = _window(_analysis(handle), window)
    return windows.window_fragmentation(
        _of_two_layers(analysis), theme, window=(chosen.first, chosen.last)
    )


@checked_figure()
def convergence(handle: Source, theme: Theme = "light") -> go.Figure:
    """How much tokens come together and part from each layer to the next."""
    return windows.convergence_by_step(_of_two_layers(_analysis(handle)), theme)


@checked_figure()
def path_metrics(handle: Source, window: Window = None, theme: Theme = "light") -> go.Figure:
    """How the metrics of the tokens' paths are distributed."""
    analysis, chosen = _window(_analysis(handle), window)
    return metrics.path_metric_distributions(analysis, chosen, theme)


@checked_figure()
def path_lengths(handle: Source, window: Window = None, theme: Theme = "light") -> go.Figure:
    """How far the tokens travel: Euclidean, scaled and angular lengths; reads hidden states."""
    analysis, chosen = _window(_analysis(handle), window)
    drawn = metrics.path_length_distributions(analysis, chosen, theme)
    return _need(drawn, lambda: metrics.missing_lengths(analysis, chosen))


@checked_figure()
def transitions(handle: Source, source: Layer, target: Layer, theme: Theme = "light") -> go.Figure:
    """Where the tokens of each cluster of one layer are in another."""
    analysis = _labelled(_analysis(handle))
    first, second = column_of(analysis, source), column_of(analysis, target)
    missing = metrics.missing_transitions(analysis, first, second)
    _need(None if missing else analysis, missing or "")
    return metrics.transition_heatmap(analysis, first, second, theme)


@checked_figure()
def cluster_sizes(
    handle: Source,
    window: Window = None,
    *,
    selected: Sequence[tuple[Layer, int]] = (),
    theme: Theme = "light",
) -> go.Figure:
    """How many tokens each cluster of a window's layers holds.

    `selected` clusters are framed; each is a layer and a raw cluster id.
    """
    analysis, chosen = _window(_analysis(handle), window)
    columns = [(column_of(analysis, layer), cluster) for layer, cluster in selected]
    return metrics.cluster_sizes(analysis, chosen, theme, selected=columns)


@checked_figure()
def cluster_entropy(handle: Source, window: Window = None, theme: Theme = "light") -> go.Figure:
    """The entropy, in nats, of the cluster distribution of a window's layers."""
    analysis, chosen = _window(_analysis(handle), window)
    return metrics.cluster_entropy(analysis, chosen, theme)


@checked_figure()
def concept_metrics(handle: Source, theme: Theme = "light") -> go.Figure:
    """Purity, silhouette and reproducibility of the clusters, layer by layer."""
    return _optional(handle, layers.concept_metrics, layers.missing_concepts, theme)


@checked_figure()
def layer_similarity(
    handle: Source,
    measure: Measure = "adjusted_mutual_information",
    theme: Theme = "light",
) -> go.Figure:
    """How alike each two layers are: their clusters, or with "cka" their hidden states."""
    analysis = _analysis(handle)
    found = concepts.similarity_of(analysis, measure)
    layers_, matrix = _need(found, lambda: concepts.missing_similarity(analysis, measure))
    debiased = concepts.known_debiased(analysis)
    return concepts.layer_similarity(layers_, matrix, measure, theme, debiased=debiased)


@checked_figure(colour_by=column_colouring)
def state_map(
    handle: Source,
    layer: Layer,
    *,
    projection: MapProjection = "pca",
    colour_by: str = "cluster",
    highlighted_tokens: Sequence[int] = (),
    selected: Sequence[tuple[Layer, int]] = (),
    theme: Theme = "light",
) -> go.Figure:
    """Where the tokens of a layer lie: on the principal plane of its hidden states, or by UMAP.

    `projection` "umap" needs the extra `umap`, and seconds; see `umap_plane` for what misleads.
    The tokens that are in all of the `selected` clusters are outlined; each is a layer and a raw
    cluster id. `colour_by` is "cluster" or a column of `token_metadata`.
    """
    analysis = _analysis(handle)
    name = layer_name(analysis, layer)
    states = analysis.hidden_states.get(name)
    known = states if name in analysis.labelled_layers and analysis.num_tokens else None
    plane = umap_plane if projection == "umap" else principal_plane
    states = _need(known, lambda: concepts.missing_states(analysis, name))
    mapped = plane(states, fitted=analysis.whole.ordinary)
    return concepts.state_map(
        analysis,
        analysis.labelled_layers.index(name),
        mapped,
        colour_by=colour_by,
        highlighted_tokens=highlighted_tokens,
        selected=[(column_of(analysis, name), cluster) for name, cluster in selected],
        theme=theme,
    )


@checked_figure()
def attention_by_layer(handle: Source, theme: Theme = "light") -> go.Figure:
    """Entropy and agreement of the attention heads, layer by layer."""
    return _optional(handle, layers.attention_by_layer, heads.missing_attention, theme)


@checked_figure()
def head_entropy(handle: Source, theme: Theme = "light") -> go.Figure:
    """The attention entropy of each head; normalised where that is known."""
    return _optional(handle, heads.clearest_head_entropy, heads.missing_attention, theme)


@checked_figure()
def head_agreement(handle: Source, theme: Theme = "light") -> go.Figure:
    """How alike the heads of each layer attend."""
    return _optional(handle, heads.head_agreement, heads.missing_head_agreement, theme)


@checked_figure()
def layer_agreement(handle: Source, theme: Theme = "light") -> go.Figure:
    """How alike each two layers attend."""
    return _optional(handle, heads.layer_agreement, heads.missing_layer_agreement, theme)


@checked_figure(layer=weighted_layer)
def attention_matrix(
    handle: Source,
    layer: Layer,
    head: int | None = None,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: Theme = "light",
) -> go.Figure:
    """The attention weights of a layer within a sequence, of one head or the mean of all."""
    analysis = _with_weights(handle)
    return attention.attention_matrix(
        _short(analysis, sequence),
        layer_name(analysis, layer),
        head,
        sequence=sequence,
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


@checked_figure(layer=weighted_layer)
def attention_rollout(
    handle: Source,
    layer: Layer,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: Theme = "light",
) -> go.Figure:
    """The attention of all layers up to one, multiplied out (Abnar & Zuidema 2020)."""
    analysis = _with_weights(handle)
    return attention.rollout_matrix(
        _short(analysis, sequence),
        layer_name(analysis, layer),
        sequence=sequence,
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


@checked_figure()
def attention_flow(
    handle: Source,
    token: int,
    *,
    threshold: float = DEFAULT_THRESHOLD / 100,
    theme: Theme = "light",
) -> go.Figure:
    """What flows into a token through the layers; shares below the threshold are summed up."""
    analysis = _with_weights(handle)
    flow = influx.attention_flow(analysis, token, threshold=threshold)
    return influx.attention_flow_sankey(analysis, flow, theme)


@checked_figure()
def token_rollout(handle: Source, token: int, theme: Theme = "light") -> go.Figure:
    """How much of each token reaches one token, layer by layer."""
    analysis = _with_weights(handle)
    return attention.token_rollout(
        _short(analysis, weights.sequence_of(analysis, token)), token, theme
    )


@checked_figure()
def path_attention_by_layer(
    handle: Source, *, sequence: int = 0, theme: Theme = "light"
) -> go.Figure:
    """The correlation between attention and shared paths within a sequence, by layer."""
    return shared.path_attention_by_layer(_correlated(_analysis(handle), sequence), theme)


@checked_figure()
def path_attention_by_token(
    handle: Source,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: Theme = "light",
) -> go.Figure:
    """The correlation between attention and shared paths within a sequence, by token."""
    analysis = _analysis(handle)
    return shared.path_attention_by_token(
        analysis,
        _correlated(analysis, sequence),
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


@checked_figure()
def difference_flow(
    handle: Source, before: Source, window: Window = None, theme: Theme = "light"
) -> go.Figure:
    """The flows that were gained and lost since another analysis, `before`."""
    both = _both(before, handle)
    if len(both.paths.layers) < 2:
        raise InvalidDataError([ONE_LAYER_SHARED.rstrip(".")])
    _, chosen = _window(both.after, window)
    difference = flow_difference(both.paths, *both.shared_window(chosen.first, chosen.last))
    return difference_sankey(both.after, both.paths, difference, theme)


@checked_figure()
def compared_metrics(handle: Source, before: Source, theme: Theme = "light") -> go.Figure:
    """The metrics of layers beside those of another analysis, `before`."""
    both = _both(before, handle)
    drawn = comparison.metrics_side_by_side(both.before, both.after, theme)
    return _need(drawn, comparison.missing_layer_metrics)


@checked_figure()
def moved_by_layer(handle: Source, before: Source, theme: Theme = "light") -> go.Figure:
    """The share of tokens that are in another cluster than in `before`, by layer."""
    return comparison.moved_by_layer(_both(before, handle).found, theme)


@checked_figure()
def moved_tokens(handle: Source, before: Source, theme: Theme = "light") -> go.Figure:
    """The tokens that are in another cluster than in `before` in most layers."""
    both = _both(before, handle)
    return comparison.moved_tokens(both.after, both.paths, theme)


def _analysis(source: Source) -> Analysis:
    return as_analysis(source)


def _need(found: T | None, missing: str | Callable[[], str]) -> T:
    """Refuse what there is not; the sentence is made where it is needed."""
    if found is None:
        said = missing if isinstance(missing, str) else missing()
        raise InvalidDataError([said.rstrip(".")])
    return found


def _labelled(analysis: Analysis) -> Analysis:
    return _need(analysis if analysis.labelled_layers else None, _NO_LABELS)


def _of_two_layers(analysis: Analysis) -> Analysis:
    return _need(
        analysis if len(analysis.labelled_layers) > 1 else None,
        "cluster_labels: tokens move between layers, so labels of two are needed",
    )


def _window(analysis: Analysis, window: Window) -> tuple[Analysis, LayerWindow]:
    return analysis, labelled_window(analysis, *columns_of_window(_labelled(analysis), window))


def _optional(
    source: Source,
    draw: Callable[[Analysis, str], go.Figure | None],
    missing: Callable[[Analysis], str],
    theme: str,
) -> go.Figure:
    analysis = _analysis(source)
    return _need(draw(analysis, theme), lambda: missing(analysis))


def _with_weights(source: Source) -> Analysis:
    analysis = _analysis(source)
    if not weights.weight_layers(analysis):
        raise InvalidDataError([weights.missing_weights(analysis).rstrip(".")])
    return analysis


def _short(analysis: Analysis, sequence: int) -> Analysis:
    """The analysis, unless a sequence of it is too long for a matrix."""
    too_many = weights.too_many_tokens(analysis, sequence)
    return _need(None if too_many else analysis, too_many or "")


def _correlated(analysis: Analysis, sequence: int) -> shared.PathAttention:
    found = shared.path_attention(analysis, sequence)
    return _need(found, lambda: shared.missing_path_attention(analysis))


def _both(before: Source, after: Source) -> Compared:
    old, new = (_dict_of(one) for one in (before, after))
    return _need(compared(old, new, _analysis(before), _analysis(after)), NOTHING_SHARED)


def _dict_of(source: Source) -> Mapping[str, Any]:
    """The analysis as a dict, which knows more than its columns do."""
    if isinstance(source, AnalysisHandle):
        return source.data
    if isinstance(source, Mapping):
        return source
    raise InvalidDataError(
        [f"analysis: two are compared as open analyses or as dicts, not as {type(source).__name__}"]
    )
