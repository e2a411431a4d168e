"""Attention beside shared paths, against SciPy query by query and worked cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import InvalidDataError, attention_path_correlation


def causal(rng: np.random.Generator, tokens: int, heads: int = 2) -> Any:
    weights = np.tril(rng.random((heads, tokens, tokens)))
    return weights / weights.sum(axis=2, keepdims=True)


def partial(x: Any, y: Any, z: Any) -> float:
    """The correlation of what a line in the ranks of z leaves of the ranks of x and y."""
    x, y, z = map(scipy.stats.rankdata, (x, y, z))
    rest = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    return float(np.corrcoef(*rest)[0, 1])


def one_by_one(weights: Any, path: Any) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    attention = weights.mean(axis=0)
    plain, given_distance = [], []
    for i in range(len(path)):
        keys = [j for j in range(1, i) if ((path[i] >= 0) & (path[j] >= 0)).any()]
        both = [(path[i] >= 0) & (path[j] >= 0) for j in keys]
        shared = [
            float((path[i] == path[j])[layers].mean()) for j, layers in zip(keys, both, strict=True)
        ]
        if len(keys) < 3 or len(set(shared)) == 1:
            continue
        rho = scipy.stats.spearmanr(attention[i, keys], shared).statistic
        plain.append((len(keys) - 1, float(rho)))
        distance = [i - j for j in keys]
        r_a, r_s = (
            scipy.stats.spearmanr(v, distance).statistic for v in (attention[i, keys], shared)
        )
        if (1 - r_a**2) * (1 - r_s**2) > 1e-9:
            given_distance.append((len(keys) - 1, partial(attention[i, keys], shared, distance)))
    return plain, given_distance


def weighted(found: list[tuple[int, float]]) -> float:
    return float(np.average([r for _, r in found], weights=[w for w, _ in found]))


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 14), min_size=1, max_size=3))
def test_correlations_are_those_of_scipy_query_by_query(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    attentions = [causal(rng, n) for n in lengths]
    paths = [rng.integers(-1, 3, (n, 3)) for n in lengths]
    found = attention_path_correlation(iter(attentions), iter(paths))
    plain, given_distance = [], []
    for weights, path in zip(attentions, paths, strict=True):
        of_plain, of_partial = one_by_one(weights, path)
        plain += of_plain
        given_distance += of_partial
    assert found.num_queries == len(plain)
    assert found.num_pairs == sum(w + 1 for w, _ in plain)
    if plain:
        assert found.correlation == pytest.approx(weighted(plain))
        assert -1 <= found.correlation <= 1
    else:
        assert math.isnan(found.correlation)
    if given_distance:
        assert found.partial_correlation == pytest.approx(weighted(given_distance), abs=1e-6)
    assert math.isnan(found.p_value)


def test_attention_to_tokens_of_the_same_path_is_found_and_significant() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 60)
    path = np.stack([kinds] * 3, axis=1)
    alike = kinds == kinds[:, None]
    weights = np.tril(rng.random((60, 60)) * 0.1 + alike)
    weights /= weights.sum(axis=1, keepdims=True)
    found = attention_path_correlation([weights], [path], permutations=99)
    assert found.correlation > 0.7
    assert found.partial_correlation > 0.7
    assert found.p_value == 1 / 100
    unrelated = attention_path_correlation([causal(rng, 60)], [path], permutations=99)
    assert abs(unrelated.correlation) < 0.1
    assert unrelated.p_value > 0.01


def test_nearness_alone_makes_a_correlation_that_the_partial_one_lacks() -> None:
    tokens = 80
    near = np.subtract.outer(np.arange(tokens), np.arange(tokens))
    rng = np.random.default_rng(1)
    weights = np.tril(np.exp(-near / 8.0) * np.exp(0.5 * rng.normal(size=(tokens, tokens))))
    weights /= weights.sum(axis=1, keepdims=True)
    # Clusters that change with the place in the text only.
    path = np.stack([(np.arange(tokens) + shift) // 8 for shift in range(6)], axis=1)
    found = attention_path_correlation([weights], [path])
    assert found.correlation > 0.3
    assert abs(found.partial_correlation) < 0.1


def test_the_first_token_and_padding_decide_nothing() -> None:
    rng = np.random.default_rng(2)
    weights, path = causal(rng, 12), rng.integers(0, 3, (12, 2))
    expected = attention_path_correlation([weights], [path], permutations=20)
    sink = weights.copy()
    sink[:, :, 0] *= 50
    other = path.copy()
    other[0] = 9
    assert attention_path_correlation([sink], [other], permutations=20).p_value == expected.p_value
    padded = np.zeros((2, 15, 15))
    padded[:, 3:, 3:] = weights
    padded[:, :, :3] = np.tri(15, 15)[:, :3]
    mask = np.arange(15) >= 3
    labels = np.concatenate([np.full((3, 2), 1), path])
    found = attention_path_correlation([padded], [labels], [mask])
    assert found.correlation == pytest.approx(expected.correlation)
    assert found.num_pairs == expected.num_pairs
    assert mask.tolist() == [False] * 3 + [True] * 12


@pytest.mark.slow
def test_p_values_of_unrelated_paths_keep_their_promise() -> None:
    rng = np.random.default_rng(3)
    p_values = [
        attention_path_correlation(
            [causal(rng, 10)], [rng.integers(0, 2, (10, 2))], permutations=19, seed=i
        ).p_value
        for i in range(200)
    ]
    assert np.nanmean(np.array(p_values) <= 0.1) <= 0.15


@pytest.mark.parametrize(
    ("attentions", "paths", "options", "problem"),
    [
        ([np.tri(2)], [np.zeros((3, 1), int)], {}, r"paths: shape \(3, 1\) where attention has 2"),
        ([np.tri(2)], [np.zeros(2, int)], {}, "paths: shape"),
        ([np.tri(2)], [], {}, "sequences: attention, paths and masks do not all have 1"),
        ([np.tri(2)], [np.zeros((2, 1), int)], {"masks": []}, "do not all have 1"),
        ([np.ones((2, 2))], [np.zeros((2, 1), int)], {}, "must be causal"),
        ([np.tri(2)], [np.zeros((2, 1), int)], {"permutations": -1}, "-1 is less than 0"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(
    attentions: Any, paths: Any, options: Any, problem: str
) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        attention_path_correlation(attentions, paths, **options)
