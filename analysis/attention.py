"""What attention weights say by head and by layer, read so that the causal mask does not mislead.

Weights are those of one sequence of S tokens, (heads, S, S): the row of each query is a
distribution over the keys up to itself. Four things mislead, and each is answered here:

- A query can spread over the tokens up to itself only: entropy grows with the position, whatever
  the head does. It is given in nats, and as a share of its largest value.
- Many heads put most weight on the first token when they look for nothing (an "attention sink":
  Xiao et al. 2024). All is given with it and without it.
- Heads agree on early queries because there is little to disagree about. Agreement is given beside
  what the causal mask and the sharpness of the rows alone would make of it.
- Padding is no token: padded queries are not counted, and padded keys hold no weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import Floats, IntArray
from concept_fragmentation.analysis.errors import InvalidDataError

Weights = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

# A row that sums to less than this holds no weight to speak of.
_NOTHING: Final = 1e-30


class AttentionStatistics:
    """Statistics of attention over any number of sequences, added one at a time.

    Memory does not grow with the number of sequences: while one is added, two arrays (S, S) are
    held for each layer, and a few for the head at hand.

    Let a(h, i, j) be the weight of head h and query i on key j, each row scaled to sum to 1, and
    n(i) the number of keys that query i can reach, padding apart. All figures are means over the
    counted queries, those with n(i) > 1 but for the entropy in nats:

    - entropy of a head, nats: -sum over j of a(h, i, j) ln a(h, i, j) (Shannon 1948).
    - entropy_normalised of a head: the entropy divided by ln n(i), its largest value: 0 if all
      weight is on one key, 1 if it is the same on all.
    - first_token_weight of a head: its weight on the first token.
    - head_agreement of a layer: the mean over pairs of its heads h, h' of the Bhattacharyya
      coefficient (Bhattacharyya 1943) of their rows, the sum over j of
      sqrt(a(h, i, j) a(h', i, j)), that is 1 minus their squared Hellinger distance: 1 for heads
      that attend alike, 0 for heads that share no key.
    - head_agreement_chance: the same if each head put the weights of its row on the keys that it
      can reach in random order: the expectation over permutations of both rows,
      (sum over j of sqrt a(h, i, j)) (sum over j of sqrt a(h', i, j)) / n(i).
    - layer_agreement of two layers, and its chance: the same over the pairs of a head of the one
      layer and a head of the other.

    Without the first token they are the same of rows that lack it, scaled to sum to 1 again, with
    n(i) - 1 keys. What is left of a row whose weight is nearly all on the first token is next to
    nothing, and its shape says little: a row counts by the weight r(h, i) that it has on the other
    keys, in the entropies by r(h, i), in agreements by the geometric mean of both rows',
    sqrt(r(h, i) r(h', i)). Agreement is then the sum over queries and pairs of heads of
    sqrt(a(h, i, j) a(h', i, j)) over the other keys j, divided by the sum of sqrt(r r').

    >>> weights = np.array([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]])
    >>> statistics = AttentionStatistics(["layer_0"])
    >>> statistics.add([weights])
    >>> found = statistics.by_layer()["layer_0"]
    >>> found["entropy_normalised"], round(found["head_agreement"], 3)
    ([1.0, 0.0], 0.707)
    """

    def __init__(self, layers: Sequence[str]) -> None:
        """Begin without any sequence; `layers` names what `add` is given, in order."""
        self._layers = tuple(layers)
        self._num_queries = 0
        self._num_heads: list[int] | None = None
        self._with_first = _Means(len(self._layers))
        self._without_first = _Means(len(self._layers))
        self._first_token_weight = _Mean.zero(len(self._layers))

    def add(
        self,
        attentions: Iterable[Weights],
        mask: npt.ArrayLike | None = None,
        counted: npt.ArrayLike | None = None,
    ) -> None:
        """Add one sequence.

        Args:
            attentions: for each layer float (heads, S, S), in the order of `layers`; taken one at a
                time, so that they may come from a generator. float16 is computed with as float32.
            mask: (S,), 0 for padding; by default there is none.
            counted: bool (S,), the queries that count; by default all. Those that are context only,
                as in the overlap of two windows of a long text, do not.

        Raises:
            InvalidDataError: the arrays are not those of causal attention in `layers`, or hold NaN
                or negative weights. Nothing of the sequence is added then.
        """
        rows: list[_LayerRows] = []
        for name, weights in zip_longest(self._layers, attentions):
            if name is None or weights is None:
                raise InvalidDataError(
                    [f"attention: one array for each of {len(self._layers)} layers is needed"]
                )
            rows.append(_rows(f"attention of {name}", weights, mask, counted))
            if rows[-1].with_first.roots.shape != rows[0].with_first.roots.shape:
                raise InvalidDataError([f"attention of {name}: other tokens than the layer before"])
        heads = [len(layer.first_token_weight) for layer in rows]
        if self._num_heads not in (None, heads):
            raise InvalidDataError([f"attention: {heads} heads by layer after {self._num_heads}"])
        self._num_heads = heads
        self._num_queries += len(rows[0].with_first.reach) if rows else 0
        self._with_first.add([layer.with_first for layer in rows])
        self._without_first.add([layer.without_first for layer in rows])
        for total, layer in zip(self._first_token_weight, rows, strict=True):
            reached = layer.with_first.reach > 1
            total.add(layer.first_token_weight, layer.with_first.weight * reached)

    def by_layer(self) -> dict[str, dict[str, Any]]:
        """What was found, as the `attention_data` of an analysis dict, in plain Python types.

        Returns:
            {layer: {"num_heads", "num_queries" (counted ones), "entropy" [heads],
            "entropy_normalised" [heads], "first_token_weight" [heads], "head_agreement",
            "head_agreement_chance", "layer_agreement" {other layer: number},
            "layer_agreement_chance" likewise, "without_first_token": {the same figures}}}.
            NaN where nothing could be counted: for agreement within a layer of one head, say.
        """
        if self._num_heads is None:
            return {}
        return {
            name: {
                "num_heads": self._num_heads[i],
                "num_queries": self._num_queries,
                "first_token_weight": self._first_token_weight[i].mean().tolist(),
                **self._with_first.of_layer(i, self._layers),
                "without_first_token": self._without_first.of_layer(i, self._layers),
            }
            for i, name in enumerate(self._layers)
        }


def attention_statistics(
    attentions: Mapping[str, npt.ArrayLike], mask: npt.ArrayLike | None = None
) -> dict[str, dict[str, Any]]:
    """`AttentionStatistics` of attention that is in memory.

    Args:
        attentions: {layer: float (heads, S, S)} of one sequence, or {layer: float (B, heads, S, S)}
            of B sequences of one length.
        mask: (S,) or (B, S), 0 for padding; by default there is none.

    Returns:
        See `AttentionStatistics.by_layer`.

    Raises:
        InvalidDataError: the arrays are not those of causal attention.
    """
    layers = {name: np.asarray(weights) for name, weights in attentions.items()}
    statistics = AttentionStatistics(list(layers))
    if {weights.ndim for weights in layers.values()} != {4}:
        statistics.add(layers.values(), mask)
        return statistics.by_layer()
    sizes = {len(weights) for weights in layers.values()}
    masks = [None] * max(sizes) if mask is None else list(np.atleast_2d(np.asarray(mask)))
    if sizes != {len(masks)}:
        raise InvalidDataError([f"mask: {len(masks)} sequences where attention has {max(sizes)}"])
    for i, of_sequence in enumerate(masks):
        statistics.add((weights[i] for weights in layers.values()), of_sequence)
    return statistics.by_layer()


def attention_rollout(attentions: Iterable[Weights], mask: npt.ArrayLike | None = None) -> Floats:
    """How much of each token flows into each token up to each layer (Abnar & Zuidema 2020).

    With A(l) the mean of a layer's heads, R(l) = (A(l) + I) / 2 R(l - 1) and R(-1) = I: attention
    mixes tokens, and the residual stream keeps half. Every row sums to 1. It takes every head for
    equal, and values and MLPs for the identity: it says where information can flow, not that it
    does.

    >>> attention_rollout([np.array([[[1.0, 0.0], [0.5, 0.5]]])] * 2).round(3).tolist()
    [[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.438, 0.562]]]

    Args:
        attentions: for each of L layers float (heads, S, S), causal. Looked at one at a time.
        mask: (S,), 0 for padding, whose rows and columns are 0.

    Returns:
        float64 (L, S, S), [l, i, j] the share of the input token j in token i after layer l.

    Raises:
        InvalidDataError: the arrays are not those of causal attention.
    """
    rolled = []
    flow: Floats | None = None
    for i, weights in enumerate(attentions):
        keys = _checked(f"attention[{i}]", weights, mask)
        mixed = (mean_of_heads(weights, mask) + np.diag(keys.astype(np.float64))) / 2
        if flow is not None and flow.shape != mixed.shape:
            raise InvalidDataError([f"attention[{i}]: {len(mixed)} tokens after {len(flow)}"])
        flow = mixed if flow is None else mixed @ flow
        rolled.append(flow)
    return np.stack(rolled) if rolled else np.empty((0, 0, 0))


def mean_of_heads(weights: Weights, mask: npt.ArrayLike | None = None) -> Floats:
    """The mean of a layer's heads with rows that sum to 1, and 0 for padding.

    Args:
        weights: float (heads, S, S), causal.
        mask: (S,), 0 for padding.

    Returns:
        float64 (S, S).

    Raises:
        InvalidDataError: the array is not that of causal attention.
    """
    keys = _checked("attention", weights, mask)
    mean: Floats = np.mean(weights, axis=0, dtype=np.float64)
    if np.triu(mean, 1).any():
        raise InvalidDataError(["attention: weights on later tokens; it must be causal"])
    mean = np.where(keys[:, np.newaxis] & keys, mean, 0.0)
    totals = mean.sum(axis=1, keepdims=True)
    np.divide(mean, totals, out=mean, where=totals > _NOTHING)
    return mean


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of Q counted queries in one layer, with or without the first token.

    Attributes:
        reach: int64 (Q,), how many keys each can reach.
        weight: float64 (heads, Q), by how much each row counts; 0 for rows without weight.
        entropy: float64 (heads, Q), nats; NaN for rows without weight.
        roots: float (Q, S), the square roots of the rows times their weights, summed over heads.
        spread: float64 (heads, Q), the same of each row, summed over keys.
    """

    reach: IntArray
    weight: Floats
    entropy: Floats
    roots: npt.NDArray[Any]
    spread: Floats


@dataclass(frozen=True, eq=False)
class _LayerRows:
    with_first: _Rows
    without_first: _Rows
    first_token_weight: Floats


def _rows(
    path: str, weights: Weights, mask: npt.ArrayLike | None, counted: npt.ArrayLike | None
) -> _LayerRows:
    keys = _checked(path, weights, mask)
    queries = np.flatnonzero(keys & _flags(f"{path}: counted", counted, len(keys)))
    num_heads, num_queries = len(weights), len(queries)
    kind = np.float64 if weights.dtype == np.float64 else np.float32
    smallest = np.finfo(kind).tiny
    first = int(np.argmax(keys))
    entropy, entropy_rest, spread, spread_rest = np.empty((4, num_heads, num_queries))
    share, counts, counts_rest = np.empty((3, num_heads, num_queries))
    roots, roots_rest = np.zeros((2, num_queries, len(keys)), dtype=kind)
    # Used again for each head: new memory would take longer than what is done with it.
    rows, work = np.empty((2, num_queries, len(keys)), dtype=kind)
    with np.errstate(invalid="ignore", divide="ignore"):
        for head in range(num_heads):
            rows[:] = weights[head] if num_queries == len(keys) else weights[head, queries]
            if not keys.all():
                rows[:, ~keys] = 0
            alone = rows[:, first].astype(np.float64)
            # The rest is summed by itself: what is left of a sink is lost in a difference.
            rows[:, first] = 0
            rest = rows.sum(axis=1).astype(np.float64)
            # 0 ln 0 is 0.
            np.log(np.maximum(rows, smallest, out=work), out=work)
            surprise = np.multiply(work, rows, out=work).sum(axis=1).astype(np.float64)
            root = np.sqrt(rows, out=rows)
            root_rest = root.sum(axis=1)
            total = rest + alone
            fine = np.isfinite(root_rest).all() and np.isfinite(total).all()
            if not fine or alone.min(initial=0) < 0:
                raise InvalidDataError(
                    [f"{path}: head {head} has negative weights, NaN or infinity"]
                )
            rest[rest < _NOTHING] = np.nan
            total[total < _NOTHING] = np.nan
            entropy_rest[head] = np.log(rest) - surprise / rest
            surprise += alone * np.log(np.maximum(alone, smallest))
            entropy[head] = np.log(total) - surprise / total
            share[head] = alone / total
            scale = 1 / np.sqrt(total)
            counts[head], counts_rest[head] = np.isfinite(scale), np.nan_to_num(rest / total)
            scale[np.isnan(scale)] = 0
            spread_rest[head] = root_rest * scale
            spread[head] = (root_rest + np.sqrt(alone)) * scale
            root *= scale.astype(kind)[:, np.newaxis]
            roots_rest += root
            root[:, first] = np.sqrt(alone) * scale
            roots += root
    if (roots[np.arange(len(keys)) > queries[:, np.newaxis]] > 0).any():
        raise InvalidDataError([f"{path}: weights on later tokens; it must be causal"])
    reach = np.cumsum(keys, dtype=np.int64)[queries]
    return _LayerRows(
        _Rows(reach, counts, np.clip(entropy, 0, np.log(reach)), roots, spread),
        _Rows(
            reach - 1,
            counts_rest,
            np.clip(entropy_rest, 0, np.log(np.maximum(reach - 1, 1))),
            roots_rest,
            spread_rest,
        ),
        share,
    )


class _Mean:
    """The weighted mean of each head over queries."""

    def __init__(self) -> None:
        self._sum: Floats = np.zeros(())
        self._number: Floats = np.zeros(())

    @staticmethod
    def zero(number: int) -> list[_Mean]:
        return [_Mean() for _ in range(number)]

    def add(self, values: Floats, weight: Floats) -> None:
        """Add the values (heads, Q) that are not NaN by their weights (heads, Q)."""
        found = np.where(np.isnan(values), 0, weight)
        self._sum = self._sum + np.where(found > 0, values * found, 0).sum(axis=1)
        self._number = self._number + found.sum(axis=1)

    def mean(self) -> Floats:
        return _mean(self._sum, self._number)


class _Means:
    """The means over queries of L layers' figures."""

    def __init__(self, num_layers: int) -> None:
        self._entropy = _Mean.zero(num_layers)
        self._normalised = _Mean.zero(num_layers)
        self._agreement, self._chance, self._number = np.zeros((3, num_layers, num_layers))

    def add(self, layers: Sequence[_Rows]) -> None:
        for i, rows in enumerate(layers):
            most = np.log(np.maximum(rows.reach, 2))
            self._entropy[i].add(rows.entropy, rows.weight * (rows.reach > 0))
            self._normalised[i].add(rows.entropy / most, rows.weight * (rows.reach > 1))
        for i, here in enumerate(layers):
            for j, there in enumerate(layers[: i + 1]):
                agreement, chance, number = _within(here) if i == j else _between(here, there)
                counted = here.reach > 1
                self._agreement[i, j] += agreement[counted].sum()
                self._chance[i, j] += chance[counted].sum()
                self._number[i, j] += number[counted].sum()

    def of_layer(self, i: int, layers: Sequence[str]) -> dict[str, Any]:
        # Of heads that have next to nothing left beside the sink, rounding is a part of the figure.
        agreement, chance = (
            np.clip(np.where(np.tri(len(layers), dtype=bool), means, means.T), 0, 1)
            for means in (
                _mean(self._agreement, self._number),
                _mean(self._chance, self._number),
            )
        )
        others = [j for j in range(len(layers)) if j != i]
        return {
            "entropy": self._entropy[i].mean().tolist(),
            "entropy_normalised": self._normalised[i].mean().tolist(),
            "head_agreement": float(agreement[i, i]),
            "head_agreement_chance": float(chance[i, i]),
            "layer_agreement": {layers[j]: float(agreement[i, j]) for j in others},
            "layer_agreement_chance": {layers[j]: float(chance[i, j]) for j in others},
        }


def _within(rows: _Rows) -> tuple[Floats, Floats, Floats]:
    """For each query (Q,) the sums over pairs of heads of agreement, of chance and of weights.

    The square of a sum over heads holds every pair twice and every head with itself once, which
    agrees with itself by 1: no pair need be looked at by itself.
    """
    alone = rows.weight.sum(axis=0)
    together = np.einsum("qs,qs->q", rows.roots, rows.roots, dtype=np.float64)
    chance = rows.spread.sum(axis=0) ** 2 - (rows.spread**2).sum(axis=0)
    weights = np.sqrt(rows.weight).sum(axis=0) ** 2 - alone
    # Of one head there are no pairs, and rounding must not make any.
    pairs = (rows.weight > 0).sum(axis=0) > 1
    return (
        np.where(pairs, together - alone, 0),
        np.where(pairs, chance / np.maximum(rows.reach, 1), 0),
        np.where(pairs, weights, 0),
    )


def _between(here: _Rows, there: _Rows) -> tuple[Floats, Floats, Floats]:
    """The same for the pairs of a head here and a head there."""
    together = np.einsum("qs,qs->q", here.roots, there.roots, dtype=np.float64)
    chance = here.spread.sum(axis=0) * there.spread.sum(axis=0) / np.maximum(here.reach, 1)
    weights = np.sqrt(here.weight).sum(axis=0) * np.sqrt(there.weight).sum(axis=0)
    return together, chance, weights


def _mean(totals: Floats, number: Floats) -> Floats:
    means: Floats = np.full(np.shape(totals), np.nan)
    np.divide(totals, number, out=means, where=number > 0)
    return means


def _flags(path: str, flags: npt.ArrayLike | None, length: int) -> Bools:
    if flags is None:
        return np.ones(length, dtype=bool)
    found = np.asarray(flags).astype(bool)
    if found.shape != (length,):
        raise InvalidDataError([f"{path}: shape {found.shape} for {length} tokens"])
    return found


def _checked(path: str, weights: Weights, mask: npt.ArrayLike | None) -> Bools:
    """Which tokens are no padding, once the weights have a shape that can be worked with."""
    if np.ndim(weights) != 3 or not weights.shape[0] or weights.shape[1] != weights.shape[2]:
        raise InvalidDataError(
            [f"{path}: shape {np.shape(weights)}; (heads, tokens, tokens) is needed"]
        )
    if not weights.shape[1]:
        raise InvalidDataError([f"{path}: there are no tokens"])
    return _flags(f"{path}: mask", mask, weights.shape[1])
