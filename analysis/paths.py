"""What a token's path through the clusters of the layers says about the token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import NO_CLUSTER, Floats, IntArray, compact
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.hidden_states import state_norms
from concept_fragmentation.analysis.shown import Shown

# Tokens whose hidden states are looked at together.
_CHUNK: Final = 4_096


@dataclass(frozen=True, eq=False, repr=False)
class TokenPathMetrics(Shown):
    """One number a token for each metric; see `token_path_metrics`.

    Attributes:
        cluster_changes: int64 (T,).
        path_length: float64 (T,), in the unit of the hidden states; None without hidden states, NaN
            for padding, tokens that are set aside, and where a hidden state is not finite.
        path_length_scaled: float64 (T,), in typical norms of a layer; None or NaN likewise.
        path_length_angular: float64 (T,), radians; None or NaN likewise.
        mobility_score: float64 (T,), in [0, 1]; NaN where a hidden state is not finite, and with
            hidden states of tokens that are set aside.
        path_entropy: float64 (T,), nats.
        cluster_ids_used: which ids were compared across layers.
    """

    cluster_changes: IntArray
    path_length: Floats | None
    path_length_scaled: Floats | None
    path_length_angular: Floats | None
    mobility_score: Floats
    path_entropy: Floats
    cluster_ids_used: str = "aligned"


def token_path_metrics(
    aligned: IntArray,
    hidden_states: Sequence[npt.NDArray[Any]] | None = None,
    padding: npt.NDArray[np.bool_] | None = None,
    set_aside: npt.NDArray[np.bool_] | None = None,
) -> TokenPathMetrics:
    """Metrics of each token's path through L layers.

    Let c(l) be the token's aligned cluster in layer l, and h(l) its hidden state. Pairs of
    neighbouring layers in which either cluster is -1 do not count; P is the number of the others.
    Aligned ids are compared between neighbouring layers only (`align_labels`).

    - cluster_changes: the number of counted pairs with c(l) != c(l + 1), the Hamming distance
      (Hamming 1950) of the path to itself, one layer on.
    - path_length: sum over l of ||h(l + 1) - h(l)||, the Euclidean length of the way through hidden
      space. The residual stream's norm grows with depth, so late layers weigh more, and lengths
      of windows at different depths do not compare: the next two do. Neighbouring layers of
      different dimensions (`unlike_steps`) have no distance: such a step is left out. None without
      hidden states, or where no step is left, as the next two.
    - path_length_scaled: the same of h(l) / m(l), with m(l) the median over tokens of ||h(l)||, so
      that a typical token has norm 1 in every layer; the median, since a few tokens (the first
      position in GPT-2) have norms of many times the others'. Ours, as is the next.
    - path_length_angular: sum over l of arccos(cos(h(l), h(l + 1))), the length of the way on the
      unit sphere: of direction alone.
    - mobility_score: how much a token moves, from 0 (never) to 1. Without hidden states
      cluster_changes / P (0 where P is 0): the rate of changing clusters. With hidden states the
      mean of that and of the mean angular distance arccos(cos(h(l), h(l + 1))) / pi, which does not
      depend on norms. Ours; there is no standard definition.
    - path_entropy: -(1 / L') sum over l of ln((1 / L') sum over m of J(l, m)), over the L' layers
      l and m in which the token has a cluster, with J(l, m) the Jaccard index (1901) of the
      members of its clusters in layers l and m. This is the similarity-sensitive entropy of order 1
      (Leinster & Cobbold 2012) of its clusters. It compares members, not ids:
      0 for a token that has the same company throughout. It nears ln L' where clusters are large
      and no two share much more than the token, and Shannon's entropy (1948) of the time spent in
      each where any two are the same or share little else.

    >>> metrics = token_path_metrics(np.array([[0, 0, 1], [2, 2, 2]]))
    >>> metrics.cluster_changes.tolist(), metrics.mobility_score.tolist()
    ([1, 0], [0.5, 0.0])

    Args:
        aligned: int64 (T, L), aligned cluster ids; -1 is "no cluster". Of all tokens, as the
            members of clusters decide on path_entropy.
        hidden_states: L arrays float (T, d), in the order of the layers, or what gives rows by
            index as arrays do; any float type, computed with as float64, some thousand tokens at a
            time. Tokens without a cluster have hidden states like any other.
        padding: bool (T,), tokens that are padding; by default none. They have no length, and do
            not count for m(l); nor do tokens whose hidden states are not finite in some layer.
        set_aside: bool (T,), positions with massive activations (`find_massive`); by default none.
            They have no length and no mobility, and do not count for m(l).

    Returns:
        TokenPathMetrics.

    Raises:
        InvalidDataError: the hidden states are not those of T tokens in L layers.
    """
    present = aligned != NO_CLUSTER
    counted = present[:, 1:] & present[:, :-1]
    changes = ((aligned[:, 1:] != aligned[:, :-1]) & counted).sum(axis=1)
    pairs = counted.sum(axis=1)
    mobility = np.divide(changes, pairs, out=np.zeros(len(aligned)), where=pairs > 0)
    length = scaled = angular = None
    if hidden_states is not None:
        _check_states(hidden_states, aligned.shape)
    steps = 0
    if hidden_states is not None:
        steps = len(hidden_states) - 1 - len(unlike_steps(hidden_states))
    if hidden_states is not None and (steps or len(hidden_states) == 1):
        known = np.ones(len(aligned), dtype=bool) if padding is None else ~padding
        if set_aside is not None:
            known &= ~set_aside
        length, scaled, angular = _path_lengths(hidden_states, known)
        turned = np.nan_to_num(angular) / np.pi
        mobility = (mobility + turned / max(steps, 1)) / 2
        # Beside numbers that count the angle, one that does not would mean something else.
        unknown = np.isnan(angular) if padding is None else np.isnan(angular) & ~padding
        mobility[unknown] = np.nan
    return TokenPathMetrics(changes, length, scaled, angular, mobility, _path_entropy(aligned))


def unlike_steps(hidden_states: Sequence[npt.NDArray[Any]]) -> list[int]:
    """Return the indices of layers whose next layer has hidden states of other dimensions.

    >>> unlike_steps([np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 3))])
    [1]
    """
    widths = [np.shape(state)[-1] for state in hidden_states]
    return [i for i in range(len(widths) - 1) if widths[i] != widths[i + 1]]


def _path_lengths(
    states: Sequence[npt.NDArray[Any]], known: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Euclidean, scaled and angular lengths (T,), NaN for tokens that are not known."""
    norms = [state_norms(state) for state in states]
    known = np.logical_and.reduce([known, *map(np.isfinite, norms)])
    scales = [float(np.median(norm[known])) if known.any() else 0.0 for norm in norms]
    lengths = np.full((3, len(known)), np.nan)
    for start in range(0, len(known), _CHUNK):
        chunk = np.flatnonzero(known[start : start + _CHUNK]) + start
        lengths[:, chunk] = 0
        # Half precision holds no sum of squares.
        before = states[0][chunk].astype(np.float64)
        for i in range(1, len(states)):
            after = states[i][chunk].astype(np.float64)
            if after.shape != before.shape:
                before = after
                continue
            products = np.einsum("td,td->t", before, after)
            sizes = norms[i - 1][chunk] * norms[i][chunk]
            lengths[0, chunk] += np.linalg.norm(after - before, axis=1)
            # A layer that is zero throughout stays at the origin.
            lengths[1, chunk] += np.linalg.norm(
                after / (scales[i] or 1.0) - before / (scales[i - 1] or 1.0), axis=1
            )
            # A zero vector has no direction; it counts as not having turned.
            cosines = np.divide(products, sizes, out=np.ones(len(chunk)), where=sizes > 0)
            lengths[2, chunk] += np.arccos(np.clip(cosines, -1, 1))
            before = after
    euclidean, scaled, angular = lengths
    return euclidean, scaled, angular


def _check_states(states: Sequence[npt.NDArray[Any]], shape: tuple[int, ...]) -> None:
    num_tokens, num_layers = shape
    if len(states) != num_layers:
        raise InvalidDataError([f"hidden_states: {len(states)} arrays for {num_layers} layers"])
    for i, state in enumerate(states):
        if np.ndim(state) != 2 or len(state) != num_tokens:
            raise InvalidDataError(
                [f"hidden_states[{i}]: shape {np.shape(state)} for {num_tokens} tokens"]
            )


def _path_entropy(labels: IntArray) -> Floats:
    """float64 (T,), nats; ids mean nothing outside their layer."""
    num_tokens, num_layers = labels.shape
    columns = [compact(labels[:, i]) for i in range(num_layers)]
    sizes = [np.bincount(codes[codes >= 0], minlength=len(ids)) for ids, codes in columns]
    present = np.array([codes >= 0 for _, codes in columns], dtype=bool).reshape(
        num_layers, num_tokens
    )
    # For each layer, how alike the token's cluster is to those of all layers: J(l, l) = 1.
    alike = present.astype(np.float64)
    for i, j in combinations(range(num_layers), 2):
        similarity = _jaccard(columns[i][1], columns[j][1], sizes[i], sizes[j])
        alike[i] += similarity
        alike[j] += similarity
    length = np.maximum(present.sum(axis=0), 1)
    alike /= length
    np.log(alike, out=alike, where=present)
    entropy: Floats = -alike.sum(axis=0) / length
    # Rounding must not show as a negative entropy, nor -0.0 as one.
    return np.maximum(entropy, 0.0) + 0.0


def _jaccard(one: IntArray, other: IntArray, sizes: IntArray, other_sizes: IntArray) -> Floats:
    """float64 (T,): the Jaccard index of each token's clusters in two layers; 0 where it lacks one.

    Args:
        one: int64 (T,), codes as `compact` gives them.
        other: int64 (T,), likewise.
        sizes: int64 (K,), how many tokens each cluster of the one layer has.
        other_sizes: of the other.
    """
    pairs = one * len(other_sizes) + other
    pairs[(one < 0) | (other < 0)] = NO_CLUSTER
    cells, codes = compact(pairs)
    # The last is for tokens that lack a cluster: their code is -1.
    shared = np.bincount(codes + 1, minlength=len(cells) + 1)[1:]
    rows, columns = np.divmod(cells, max(len(other_sizes), 1))
    index = shared / (sizes[rows] + other_sizes[columns] - shared)
    found: Floats = np.append(index, 0.0)[codes]
    return found


_FIELDS: Final = (
    "token_text",
    "position",
    "cluster_path",
    "aligned_path",
    "path_length",
    "cluster_changes",
    "mobility_score",
    "path_entropy",
)


def token_path_records(
    tokens: Sequence[str],
    positions: IntArray,
    labels: IntArray,
    aligned: IntArray,
    metrics: TokenPathMetrics,
) -> dict[str, dict[str, Any]]:
    """The `token_paths` entry of an analysis dict, in plain Python types.

    Keys are positions, as text; where positions repeat (several sequences) they are the tokens'
    indices. The scaled and angular lengths are there where they are known for any token.
    """
    places = positions.tolist()
    keys = places if len(set(places)) == len(places) else range(len(places))
    rows = zip(
        tokens,
        places,
        labels.tolist(),
        aligned.tolist(),
        _known(metrics.path_length, len(places)),
        metrics.cluster_changes.tolist(),
        _known(metrics.mobility_score, len(places)),
        metrics.path_entropy.tolist(),
        strict=True,
    )
    records = [dict(zip(_FIELDS, row, strict=True)) for row in rows]
    for name in ("path_length_scaled", "path_length_angular"):
        values = getattr(metrics, name)
        if values is not None:
            for record, value in zip(records, _known(values, len(places)), strict=True):
                record[name] = value
    return dict(zip(map(str, keys), records, strict=True))


def _known(values: Floats | None, num_tokens: int) -> list[float | None]:
    """Numbers in plain Python, None for those that are not known."""
    if values is None:
        return [None] * num_tokens
    return [None if math.isnan(value) else value for value in values.tolist()]
