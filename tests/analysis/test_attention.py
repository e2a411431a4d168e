"""Attention by head and layer, against loops over single rows, SciPy and worked cases."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from concept_fragmentation.analysis import (
    AttentionStatistics,
    InvalidDataError,
    attention_rollout,
    attention_statistics,
)


def causal(rng: np.random.Generator, heads: int, tokens: int, sharpness: float = 1.0) -> Any:
    scores = rng.normal(size=(heads, tokens, tokens)) * sharpness
    scores[:, np.triu(np.ones((tokens, tokens), dtype=bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def uniform(heads: int, tokens: int) -> Any:
    return np.tile(np.tri(tokens) / np.arange(1, tokens + 1)[:, None], (heads, 1, 1))


def overlap(p: Any, q: Any) -> float:
    return sum(math.sqrt(a * b) for a, b in zip(p, q, strict=True))


def one_by_one(layers: list[Any], first: int) -> list[dict[str, Any]]:
    """The figures of each layer from rows of single queries, keys before `first` left out."""
    found: list[dict[str, Any]] = []
    tokens = layers[0].shape[1]
    rows = [
        [[w[h, i, first : i + 1] for h in range(len(w))] for w in layers] for i in range(tokens)
    ]
    rows = rows[first:]

    def weighted_mean(values: list[float], weights: list[float]) -> float:
        return float(np.average(values, weights=weights))

    for k, weights in enumerate(layers):
        several = [query for query in rows if len(query[k][0]) > 1]

        def mean_overlap(pairs: Any, several: list[Any] = several) -> float:
            chosen = [pair for query in several for pair in pairs(query)]
            shapes = [overlap(a / a.sum(), b / b.sum()) for a, b in chosen]
            return weighted_mean(shapes, [math.sqrt(a.sum() * b.sum()) for a, b in chosen])

        heads = range(len(weights))
        found.append(
            {
                "entropy": [
                    weighted_mean(
                        [scipy.stats.entropy(query[k][h]) for query in rows],
                        [query[k][h].sum() for query in rows],
                    )
                    for h in heads
                ],
                "entropy_normalised": [
                    weighted_mean(
                        [
                            scipy.stats.entropy(query[k][h]) / math.log(len(query[k][h]))
                            for query in several
                        ],
                        [query[k][h].sum() for query in several],
                    )
                    for h in heads
                ],
                "head_agreement": mean_overlap(lambda row, k=k: combinations(row[k], 2)),
                "layer_agreement": [
                    mean_overlap(lambda row, k=k, m=m: product(row[k], row[m]))
                    for m in range(len(layers))
                    if m != k
                ],
                "num_heads": len(weights),
            }
        )
    return found


def test_rows_that_are_nearly_all_sink_say_next_to_nothing_without_it() -> None:
    # Two heads that differ in what matters, and agree on the crumbs of rows that are all sink.
    sunk, crumbs = [0.999997, 0.000003, 0.0], [0.999997, 0.0, 0.000003]
    near = np.array([[1.0, 0, 0], [1.0, 0, 0], [0.2, 0.8, 0.0]])
    far = np.array([[1.0, 0, 0], [1.0, 0, 0], [0.2, 0.0, 0.8]])
    alone = attention_statistics({"a": np.stack([near, far])})["a"]["without_first_token"]
    assert alone["head_agreement"] == pytest.approx(0)
    padded = np.zeros((2, 13, 13))
    padded[:, :3, :3] = near, far
    for i in range(3, 13):
        padded[:, i, :3] = sunk if i % 2 else crumbs
    found = attention_statistics({"a": padded})["a"]["without_first_token"]
    # Ten rows in which both heads are alike weigh 3e-5 beside one of 0.8; as equals, 10/11.
    assert found["head_agreement"] == pytest.approx(3e-5 / (0.8 + 3e-5), rel=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(2, 4))
@pytest.mark.slow
def test_all_figures_agree_with_going_through_single_rows(
    seed: int, tokens: int, heads: int
) -> None:
    rng = np.random.default_rng(seed)
    layers = [causal(rng, heads, tokens), causal(rng, heads + 1, tokens, 3)]
    found = attention_statistics({"a": layers[0], "b": layers[1]})
    for first, part in ((0, lambda v: v), (1, lambda v: v["without_first_token"])):
        for name, expected in zip("ab", one_by_one(layers, first), strict=True):
            values = part(found[name])
            assert values["entropy"] == pytest.approx(expected["entropy"])
            assert values["entropy_normalised"] == pytest.approx(expected["entropy_normalised"])
            assert values["head_agreement"] == pytest.approx(expected["head_agreement"])
            assert list(values["layer_agreement"].values()) == pytest.approx(
                expected["layer_agreement"]
            )
    assert found["a"]["first_token_weight"] == pytest.approx(layers[0][:, 1:, 0].mean(axis=1))
    assert found["b"]["num_heads"] == heads + 1
    assert found["a"]["num_queries"] == tokens


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(0, 30))
@example(2536, 3, 19.75)
def test_figures_keep_within_their_bounds(seed: int, tokens: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    weights = causal(rng, 3, tokens, sharpness).astype(np.float32)
    found = attention_statistics({"a": weights, "b": weights})
    for values in (found["a"], found["a"]["without_first_token"]):
        for name in ("entropy_normalised", "head_agreement", "head_agreement_chance"):
            numbers = np.atleast_1d(values[name])
            known = numbers[~np.isnan(numbers)]
            assert ((known >= -1e-6) & (known <= 1 + 1e-6)).all()
    assert all(0 <= share <= 1 for share in found["a"]["first_token_weight"])


def test_heads_that_attend_to_all_alike_have_the_largest_entropy_and_agree() -> None:
    found = attention_statistics({"a": uniform(3, 6)})["a"]
    assert found["entropy_normalised"] == pytest.approx([1, 1, 1])
    assert found["entropy"] == pytest.approx([np.log(np.arange(1, 7)).mean()] * 3)
    # Rows without any shape agree by chance as much as they do.
    assert found["head_agreement"] == pytest.approx(1)
    assert found["head_agreement_chance"] == pytest.approx(1)


def test_entropy_in_nats_grows_with_the_text_and_normalised_entropy_does_not() -> None:
    short, long = (attention_statistics({"a": uniform(1, n)})["a"] for n in (8, 64))
    assert long["entropy"][0] > 1.5 * short["entropy"][0]
    assert long["entropy_normalised"] == pytest.approx(short["entropy_normalised"])


def test_agreement_by_chance_is_the_mean_over_all_orders_of_the_rows() -> None:
    rng = np.random.default_rng(4)
    weights = causal(rng, 2, 4, 2)
    values = []
    for query in range(1, 4):
        rows = weights[:, query, : query + 1]
        shuffled = [overlap(rows[0], rng.permutation(rows[1])) for _ in range(20_000)]
        values.append(np.mean(shuffled))
    found = attention_statistics({"a": weights})["a"]
    assert found["head_agreement_chance"] == pytest.approx(np.mean(values), abs=0.003)


def test_sharp_heads_on_the_same_token_agree_far_above_chance() -> None:
    tokens = 32
    previous = np.eye(tokens, k=-1) * 0.98 + uniform(1, tokens)[0] * 0.02
    previous[0] = np.eye(tokens)[0]
    weights = np.stack([previous, previous])
    found = attention_statistics({"a": weights})["a"]
    assert found["head_agreement"] == pytest.approx(1)
    assert found["head_agreement_chance"] < 0.4


def test_a_sink_hides_that_heads_differ_until_it_is_left_out() -> None:
    rng = np.random.default_rng(0)
    weights = 0.05 * causal(rng, 4, 40, 6)
    weights[:, :, 0] += 0.95
    found = attention_statistics({"a": weights.astype(np.float32)})["a"]
    assert min(found["first_token_weight"]) > 0.95
    assert found["head_agreement"] > 0.95
    assert found["without_first_token"]["head_agreement"] < 0.6
    assert max(found["entropy_normalised"]) < min(
        found["without_first_token"]["entropy_normalised"]
    )


def test_what_a_sink_leaves_is_not_lost_to_rounding() -> None:
    rng = np.random.default_rng(0)
    rest = causal(rng, 2, 20)
    weights = 1e-7 * rest
    weights[:, :, 0] = 1 - weights[:, :, 1:].sum(axis=2)
    found = attention_statistics({"a": weights.astype(np.float32)})["a"]["without_first_token"]
    expected = attention_statistics({"a": rest})["a"]["without_first_token"]
    assert found["entropy"] == pytest.approx(expected["entropy"], rel=1e-4)
    assert found["head_agreement"] == pytest.approx(expected["head_agreement"], rel=1e-4)


def test_agreement_ranks_pairs_of_heads_as_jensen_shannon_does() -> None:
    rng = np.random.default_rng(1)
    heads = causal(rng, 2, 24, 2)
    ours, theirs = [], []
    for share in np.linspace(0, 1, 9):
        mixed = np.stack([heads[0], (1 - share) * heads[0] + share * heads[1]])
        ours.append(attention_statistics({"a": mixed})["a"]["head_agreement"])
        divergences = [
            jensenshannon(mixed[0, i, : i + 1], mixed[1, i, : i + 1], base=2) ** 2
            for i in range(1, 24)
        ]
        theirs.append(1 - np.mean(divergences))
    assert scipy.stats.spearmanr(ours, theirs).statistic == pytest.approx(1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(side: str) -> None:
    rng = np.random.default_rng(2)
    weights = causal(rng, 3, 7)
    first = 3 if side == "left" else 0
    padded = rng.random((3, 10, 10))
    padded[:, np.triu(np.ones((10, 10), dtype=bool), 1)] = 0
    padded[:, first : first + 7, first : first + 7] = weights
    mask = np.zeros(10, dtype=int)
    mask[first : first + 7] = 1
    expected = attention_statistics({"a": weights, "b": weights[::-1]})
    assert_same(attention_statistics({"a": padded, "b": padded[::-1]}, mask), expected)
    rolled = attention_rollout([padded] * 3, mask)
    part = slice(first, first + 7)
    assert rolled[:, part, part] == pytest.approx(attention_rollout([weights] * 3))
    rolled[:, part, part] = 0
    assert not rolled.any()


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert list(found) == list(expected)
        for key, value in found.items():
            assert_same(value, expected[key])
    else:
        assert found == pytest.approx(expected, nan_ok=True, rel=1e-5)


def test_sequences_add_up_to_the_mean_over_their_queries() -> None:
    rng = np.random.default_rng(3)
    pairs = [(causal(rng, 2, n), causal(rng, 2, n)) for n in (3, 9)]
    statistics = AttentionStatistics(["a", "b"])
    for pair in pairs:
        statistics.add(iter(pair))
    together = statistics.by_layer()["a"]
    alone = [attention_statistics(dict(zip("ab", pair, strict=True)))["a"] for pair in pairs]
    assert together["num_queries"] == 12
    assert together["entropy"] == pytest.approx(
        (3 * np.array(alone[0]["entropy"]) + 9 * np.array(alone[1]["entropy"])) / 12
    )
    for name in ("head_agreement", "head_agreement_chance"):
        assert together[name] == pytest.approx((2 * alone[0][name] + 8 * alone[1][name]) / 10)
    batch = rng.permuted(causal(rng, 2, 5)[None], axis=1)
    batch = np.concatenate([batch, causal(rng, 2, 5)[None]])
    statistics = AttentionStatistics(["a"])
    for weights in batch:
        statistics.add([weights])
    assert_same(attention_statistics({"a": batch}), statistics.by_layer())


def test_windows_that_overlap_count_every_query_once() -> None:
    rng = np.random.default_rng(5)
    weights = causal(rng, 2, 12)
    statistics = AttentionStatistics(["a", "b"])
    early = np.arange(12) < 5
    statistics.add([weights, weights], counted=early)
    statistics.add([weights, weights], counted=~early)
    assert_same(statistics.by_layer(), attention_statistics({"a": weights, "b": weights}))


def test_half_precision_and_lists_are_taken() -> None:
    weights = causal(np.random.default_rng(6), 2, 8)
    half = attention_statistics({"a": weights.astype(np.float16)})["a"]
    assert half["entropy"] == pytest.approx(
        attention_statistics({"a": weights})["a"]["entropy"], rel=1e-2
    )
    assert_same(attention_statistics({"a": weights.tolist()}), attention_statistics({"a": weights}))


def test_what_cannot_be_counted_is_nan() -> None:
    one_head = attention_statistics({"a": causal(np.random.default_rng(0), 1, 4)})["a"]
    assert math.isnan(one_head["head_agreement"])
    one_token = attention_statistics({"a": np.ones((2, 1, 1))})["a"]
    assert one_token["entropy"] == [0, 0]
    assert np.isnan(one_token["entropy_normalised"]).all()
    assert np.isnan(one_token["without_first_token"]["entropy"]).all()
    all_on_first = np.zeros((2, 4, 4))
    all_on_first[:, :, 0] = 1
    sink = attention_statistics({"a": all_on_first})["a"]
    assert sink["entropy"] == [0, 0]
    assert sink["head_agreement"] == pytest.approx(1)
    assert np.isnan(sink["without_first_token"]["entropy"]).all()
    assert math.isnan(sink["without_first_token"]["head_agreement"])
    assert AttentionStatistics(["a"]).by_layer() == {}
    padding = attention_statistics({"a": np.ones((2, 1, 1))}, [0])["a"]
    assert padding["num_queries"] == 0


def test_no_figure_of_a_refused_sequence_is_kept() -> None:
    weights = causal(np.random.default_rng(0), 2, 4)
    statistics = AttentionStatistics(["a", "b"])
    statistics.add([weights, weights])
    before = statistics.by_layer()
    spoilt = weights.copy()
    spoilt[1, 2, 1] = np.nan
    with pytest.raises(InvalidDataError, match="attention of b: head 1 has negative weights, NaN"):
        statistics.add([weights, spoilt])
    assert statistics.by_layer() == before


@pytest.mark.parametrize(
    ("attentions", "options", "problem"),
    [
        ([np.ones((2, 3))], {}, r"attention of a: shape \(2, 3\); \(heads, tokens, tokens\)"),
        ([np.ones((2, 3, 4))], {}, "shape"),
        ([np.ones((1, 2, 2)) / 2], {}, "weights on later tokens; it must be causal"),
        ([-np.tri(3)[None]], {}, "head 0 has negative weights"),
        ([np.where(np.tri(3)[None] > 0, np.inf, 0)], {}, "infinity"),
        ([], {}, "one array for each of 1 layers is needed"),
        ([np.tri(3)[None], np.tri(3)[None]], {}, "one array for each of 1 layers is needed"),
        ([np.tri(3)[None]], {"mask": [1, 1]}, r"attention of a: mask: shape \(2,\) for 3 tokens"),
        ([np.tri(3)[None]], {"counted": [True]}, r"counted: shape \(1,\) for 3 tokens"),
    ],
)
def test_what_is_no_causal_attention_is_refused(
    attentions: Any, options: Any, problem: str
) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        AttentionStatistics(["a"]).add(attentions, **options)


def test_layers_and_sequences_that_do_not_fit_each_other_are_refused() -> None:
    statistics = AttentionStatistics(["a", "b"])
    with pytest.raises(InvalidDataError, match="attention of b: other tokens"):
        statistics.add([np.tri(3)[None], np.tri(4)[None]])
    statistics.add([np.tri(3)[None]] * 2)
    with pytest.raises(InvalidDataError, match=r"\[2, 2\] heads by layer after \[1, 1\]"):
        statistics.add([np.stack([np.tri(3)] * 2)] * 2)
    with pytest.raises(InvalidDataError, match="mask: 1 sequences where attention has 2"):
        attention_statistics({"a": np.ones((2, 1, 1, 1))}, [1])
    with pytest.raises(InvalidDataError, match="causal"):
        attention_rollout([np.ones((1, 2, 2))])
    with pytest.raises(InvalidDataError, match=r"attention\[1\]: 3 tokens after 2"):
        attention_rollout([np.tri(2)[None], np.tri(3)[None]])


# Rollout


def test_rollout_is_the_product_of_layers_with_half_of_each_token_kept() -> None:
    rng = np.random.default_rng(7)
    layers = [causal(rng, 3, 6) for _ in range(4)]
    rolled = attention_rollout(layers)
    expected = np.eye(6)
    for weights, found in zip(layers, rolled, strict=True):
        expected = (0.5 * weights.mean(axis=0) + 0.5 * np.eye(6)) @ expected
        assert found == pytest.approx(expected)
    assert rolled.sum(axis=2) == pytest.approx(np.ones((4, 6)))
    assert not np.triu(rolled, 1).any()
    assert attention_rollout([]).shape == (0, 0, 0)
