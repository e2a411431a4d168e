"""The figures of the page, for notebooks and scripts.

    with store.open_analysis("mine") as analysis:
        analysis.sankey((0, 3))

Each function here is a method of `AnalysisHandle`, found by the entry points of the group
`concept_fragmentation.figures`: the store hands out analyses and knows nothing that draws. An
analysis dict that is in no store is drawn too: `figures.sankey(my_analysis, (0, 3))`.

What they have in common: tokens are counted from 0; a `window` is the first and the last of the
layers that have cluster labels, both included, as indices, by default what the page shows first; a
`theme` is "light" or "dark". What can't be drawn raises an InvalidDataError that says what is
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, get_args

import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    LayerWindow,
    layer_window,
    principal_plane,
    umap_plane,
)
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
from concept_fragmentation.components.figures.difference_flow import (
    difference_sankey,
    flow_difference,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.token_comparison import (
    compared_tokens as side_by_side,
)
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.view import DEFAULT_THRESHOLD, MapProjection, View
from concept_fragmentation.persistence import AnalysisHandle

# An open analysis, or an analysis dict.
Source: TypeAlias = AnalysisHandle | Mapping[str, Any]
Window: TypeAlias = tuple[int, int] | None

T = TypeVar("T")

_NO_LABELS = "cluster_labels: the analysis has none, so there is no flow"


def sankey(
    handle: Source,
    window: Window = None,
    *,
    colour_by: str = "cluster",
    min_count: int = 1,
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[Sequence[int]] = (),
    theme: str = "light",
) -> go.Figure:
    """The flow of tokens through the clusters of a window of layers; see `token_sankey`.

    Args:
        handle: the open analysis, or an analysis dict.
        window: the first and the last layer.
        colour_by: "cluster", "path", or another colouring of `token_sankey`.
        min_count: bands of fewer tokens are not drawn.
        highlighted_tokens: indices of tokens whose routes stand out.
        highlighted_paths: paths, as raw cluster ids, whose routes stand out.
        theme: "light" or "dark".

    Raises:
        InvalidDataError: no layer has cluster labels, or there is no such window.
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


def path_map(handle: Source, theme: str = "light") -> go.Figure:
    """The paths of all tokens through all layers, a row a token."""
    return windows.path_map(_labelled(_analysis(handle)), theme)


def trajectories(
    handle: Source,
    window: Window = None,
    *,
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[Sequence[int]] = (),
    theme: str = "light",
) -> go.Figure:
    """The paths of a window as lines, bundled where tokens take the same one."""
    analysis, chosen = _window(_analysis(handle), window)
    return trajectory_lines(
        analysis,
        chosen,
        highlighted_tokens=highlighted_tokens,
        highlighted_paths=[tuple(path) for path in highlighted_paths],
        theme=theme,
    )


def compared_tokens(
    handle: Source, tokens: Sequence[int], window: Window = None, theme: str = "light"
) -> go.Figure:
    """The paths of two to five tokens, given by their indices, beside each other."""
    analysis, chosen = _window(_analysis(handle), window)
    for token in tokens:
        _among("token", token, range(analysis.num_tokens))
    return side_by_side(analysis, chosen, tokens, theme)


def window_fragmentation(handle: Source, window: Window = None, theme: str = "light") -> go.Figure:
    """The fragmentation of the paths of every window, and a frame around one of them."""
    analysis, chosen = _window(_analysis(handle), window)
    return windows.window_fragmentation(
        _of_two_layers(analysis), theme, window=(chosen.first, chosen.last)
    )


def convergence(handle: Source, theme: str = "light") -> go.Figure:
    """How much tokens come together and part from each layer to the next."""
    return windows.convergence_by_step(_of_two_layers(_analysis(handle)), theme)


def path_metrics(handle: Source, window: Window = None, theme: str = "light") -> go.Figure:
    """How the metrics of the tokens' paths are distributed."""
    analysis, chosen = _window(_analysis(handle), window)
    return metrics.path_metric_distributions(analysis, chosen, theme)


def path_lengths(handle: Source, window: Window = None, theme: str = "light") -> go.Figure:
    """How far the tokens travel: Euclidean, scaled and angular lengths; reads hidden states."""
    analysis, chosen = _window(_analysis(handle), window)
    drawn = metrics.path_length_distributions(analysis, chosen, theme)
    return _need(drawn, lambda: metrics.missing_lengths(analysis, chosen))


def transitions(handle: Source, source: int, target: int, theme: str = "light") -> go.Figure:
    """Where the tokens of each cluster of one labelled layer are in another; layers by index."""
    analysis = _labelled(_analysis(handle))
    for layer in (source, target):
        _among("layer", layer, range(len(analysis.labelled_layers)))
    return metrics.transition_heatmap(analysis, source, target, theme)


def cluster_sizes(
    handle: Source,
    window: Window = None,
    *,
    selected: Sequence[tuple[int, int]] = (),
    theme: str = "light",
) -> go.Figure:
    """How many tokens each cluster of a window's layers holds.

    `selected` clusters are framed; each is an index of a labelled layer and a raw cluster id.
    """
    analysis, chosen = _window(_analysis(handle), window)
    return metrics.cluster_sizes(analysis, chosen, theme, selected=selected)


def cluster_entropy(handle: Source, window: Window = None, theme: str = "light") -> go.Figure:
    """The entropy, in nats, of the cluster distribution of a window's layers."""
    analysis, chosen = _window(_analysis(handle), window)
    return metrics.cluster_entropy(analysis, chosen, theme)


def concept_metrics(handle: Source, theme: str = "light") -> go.Figure:
    """Purity, silhouette and stability of the clusters, layer by layer."""
    return _optional(handle, layers.concept_metrics, layers.missing_concepts, theme)


def layer_similarity(
    handle: Source,
    measure: concepts.Measure = "adjusted_mutual_information",
    theme: str = "light",
) -> go.Figure:
    """How alike each two layers are: their clusters, or with "cka" their hidden states."""
    _among("measure", measure, tuple(concepts.MEASURES))
    analysis = _analysis(handle)
    found = concepts.similarity_of(analysis, measure)
    layers_, matrix = _need(found, lambda: concepts.missing_similarity(analysis, measure))
    return concepts.layer_similarity(layers_, matrix, measure, theme)


def state_map(
    handle: Source,
    layer: str,
    *,
    projection: MapProjection = "pca",
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """Where the tokens of a layer lie: on the principal plane of its hidden states, or by UMAP.

    `projection` "umap" needs the extra `umap`, and seconds; see `umap_plane` for what misleads.
    """
    _among("projection", projection, get_args(MapProjection))
    analysis = _analysis(handle)
    states = analysis.hidden_states.get(layer)
    known = states if layer in analysis.labelled_layers else None
    plane = umap_plane if projection == "umap" else principal_plane
    states = _need(known, lambda: concepts.missing_states(analysis, layer))
    mapped = plane(states, fitted=~analysis.padding)
    return concepts.state_map(
        analysis,
        analysis.labelled_layers.index(layer),
        mapped,
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


def attention_by_layer(handle: Source, theme: str = "light") -> go.Figure:
    """Entropy and agreement of the attention heads, layer by layer."""
    return _optional(handle, layers.attention_by_layer, heads.missing_attention, theme)


def head_entropy(handle: Source, theme: str = "light") -> go.Figure:
    """The attention entropy of each head; normalised where that is known."""
    return _optional(handle, heads.clearest_head_entropy, heads.missing_attention, theme)


def head_agreement(handle: Source, theme: str = "light") -> go.Figure:
    """How alike the heads of each layer attend."""
    return _optional(handle, heads.head_agreement, heads.missing_head_agreement, theme)


def layer_agreement(handle: Source, theme: str = "light") -> go.Figure:
    """How alike each two layers attend."""
    return _optional(handle, heads.layer_agreement, heads.missing_layer_agreement, theme)


def attention_matrix(
    handle: Source,
    layer: str,
    head: int | None = None,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """The attention weights of a layer within a sequence, of one head or the mean of all."""
    analysis = _with_weights(handle, layer)
    if head is not None:
        _among("head", head, range(weights.num_heads(analysis)))
    return attention.attention_matrix(
        _short(analysis, sequence),
        layer,
        head,
        sequence=sequence,
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


def attention_rollout(
    handle: Source,
    layer: str,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """The attention of all layers up to one, multiplied out (Abnar & Zuidema 2020)."""
    return attention.rollout_matrix(
        _short(_with_weights(handle, layer), sequence),
        layer,
        sequence=sequence,
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


def attention_flow(
    handle: Source,
    token: int,
    *,
    threshold: float = DEFAULT_THRESHOLD / 100,
    theme: str = "light",
) -> go.Figure:
    """What flows into a token through the layers; shares below the threshold are summed up."""
    analysis = _with_token(handle, token)
    flow = influx.attention_flow(analysis, token, threshold=threshold)
    return influx.attention_flow_sankey(analysis, flow, theme)


def token_rollout(handle: Source, token: int, theme: str = "light") -> go.Figure:
    """How much of each token reaches one token, layer by layer."""
    analysis = _with_token(handle, token)
    return attention.token_rollout(
        _short(analysis, weights.sequence_of(analysis, token)), token, theme
    )


def path_attention_by_layer(
    handle: Source, *, sequence: int = 0, theme: str = "light"
) -> go.Figure:
    """The correlation between attention and shared paths within a sequence, by layer."""
    return shared.path_attention_by_layer(_correlated(_analysis(handle), sequence), theme)


def path_attention_by_token(
    handle: Source,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """The correlation between attention and shared paths within a sequence, by token."""
    analysis = _analysis(handle)
    return shared.path_attention_by_token(
        analysis,
        _correlated(analysis, sequence),
        highlighted_tokens=highlighted_tokens,
        theme=theme,
    )


def difference_flow(
    handle: Source, before: Source, window: Window = None, theme: str = "light"
) -> go.Figure:
    """The flows that were gained and lost since another analysis, `before`."""
    both = _both(before, handle)
    if len(both.paths.layers) < 2:
        raise InvalidDataError([ONE_LAYER_SHARED.rstrip(".")])
    _, chosen = _window(both.after, window)
    difference = flow_difference(both.paths, *both.shared_window(chosen.first, chosen.last))
    return difference_sankey(both.after, both.paths, difference, theme)


def compared_metrics(handle: Source, before: Source, theme: str = "light") -> go.Figure:
    """The metrics of layers beside those of another analysis, `before`."""
    both = _both(before, handle)
    drawn = comparison.metrics_side_by_side(both.before, both.after, theme)
    return _need(drawn, comparison.missing_layer_metrics)


def moved_by_layer(handle: Source, before: Source, theme: str = "light") -> go.Figure:
    """The share of tokens that are in another cluster than in `before`, by layer."""
    return comparison.moved_by_layer(_both(before, handle).found, theme)


def moved_tokens(handle: Source, before: Source, theme: str = "light") -> go.Figure:
    """The tokens that are in another cluster than in `before` in most layers."""
    both = _both(before, handle)
    return comparison.moved_tokens(both.after, both.paths, theme)


def _analysis(source: Source) -> Analysis:
    return source.analysis if isinstance(source, AnalysisHandle) else Analysis.from_dict(source)


def _need(found: T | None, missing: str | Callable[[], str]) -> T:
    """Refuse what there is not; the sentence is made where it is needed."""
    if found is None:
        said = missing if isinstance(missing, str) else missing()
        raise InvalidDataError([said.rstrip(".")])
    return found


def _among(what: str, given: object, known: Sequence[object]) -> None:
    """Refuse what an analysis does not have."""
    if given not in known:
        have = f"0 to {len(known) - 1}" if isinstance(known, range) else ", ".join(map(str, known))
        raise InvalidDataError([f"{what}: there is no {given!r}, only {have}"])


def _labelled(analysis: Analysis) -> Analysis:
    return _need(analysis if analysis.labelled_layers else None, _NO_LABELS)


def _of_two_layers(analysis: Analysis) -> Analysis:
    return _need(
        analysis if len(analysis.labelled_layers) > 1 else None,
        "cluster_labels: tokens move between layers, so labels of two are needed",
    )


def _window(analysis: Analysis, window: Window) -> tuple[Analysis, LayerWindow]:
    number = len(_labelled(analysis).labelled_layers)
    if window is None:
        shown = View().clamp(number, analysis.num_tokens)
        window = (shown.first, number - 1 if shown.last is None else shown.last)
    return analysis, layer_window(analysis, *window)


def _optional(
    source: Source,
    draw: Callable[[Analysis, str], go.Figure | None],
    missing: Callable[[Analysis], str],
    theme: str,
) -> go.Figure:
    analysis = _analysis(source)
    return _need(draw(analysis, theme), lambda: missing(analysis))


def _with_weights(source: Source, layer: str | None = None) -> Analysis:
    analysis = _analysis(source)
    having = weights.weight_layers(analysis)
    if not having:
        raise InvalidDataError([weights.missing_weights(analysis).rstrip(".")])
    if layer is not None:
        _among("layer", layer, having)
    return analysis


def _with_token(source: Source, token: int) -> Analysis:
    analysis = _with_weights(source)
    _among("token", token, range(analysis.num_tokens))
    return analysis


def _short(analysis: Analysis, sequence: int) -> Analysis:
    """The analysis, unless a sequence of it is too long for a matrix, or missing."""
    _among("sequence", sequence, _sequences(analysis))
    too_many = weights.too_many_tokens(analysis, sequence)
    return _need(None if too_many else analysis, too_many or "")


def _sequences(analysis: Analysis) -> range:
    return range(len(set(analysis.sequence_ids.tolist())))


def _correlated(analysis: Analysis, sequence: int) -> shared.PathAttention:
    _among("sequence", sequence, _sequences(analysis))
    found = shared.path_attention(analysis, sequence)
    return _need(found, lambda: shared.missing_path_attention(analysis))


def _both(before: Source, after: Source) -> Compared:
    old, new = (one.data if isinstance(one, AnalysisHandle) else one for one in (before, after))
    return _need(compared(old, new, _analysis(before), _analysis(after)), NOTHING_SHARED)
