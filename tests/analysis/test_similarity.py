"""Similarity of layers, against definitions written out with matrices of all tokens."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from concept_fragmentation.analysis import CKA_TOKENS, InvalidDataError, cka_matrix, linear_cka


def with_kernels(x: Any, y: Any) -> float:
    """HSIC of centred Gram matrices (Kornblith et al., equation 3)."""
    n = len(x)
    centre = np.eye(n) - 1 / n

    def hsic(a: Any, b: Any) -> float:
        return float(np.trace(a @ a.T @ centre @ b @ b.T @ centre))

    return hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))


def unbiased(x: Any, y: Any) -> float:
    """HSIC_1 of Song et al. (2012), written out with kernels without diagonals."""
    n = len(x)

    def hsic(a: Any, b: Any) -> float:
        k, m = a @ a.T, b @ b.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        return float(
            np.trace(k @ m) + k.sum() * m.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * (k @ m).sum()
        )

    return hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))


@given(st.integers(0, 2**32 - 1), st.integers(5, 30), st.integers(1, 8), st.integers(1, 8))
@pytest.mark.slow
def test_alignment_is_that_of_the_kernels(seed: int, tokens: int, d: int, e: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(tokens, d)) + 5
    y = x[:, :1] * rng.normal(size=e) + rng.normal(size=(tokens, e))
    found = linear_cka(x, y)
    assert found == pytest.approx(with_kernels(x, y))
    assert -1e-12 <= found <= 1 + 1e-12
    assert linear_cka(x, y, debiased=True) == pytest.approx(unbiased(x, y))


def test_turning_scaling_and_moving_a_layer_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert linear_cka(x, 7 * x @ turn + 3) == pytest.approx(1)
    assert linear_cka(x, 7 * y @ turn + 3) == pytest.approx(linear_cka(x, y))


def test_few_tokens_of_noise_look_alike_until_debiased() -> None:
    rng = np.random.default_rng(1)
    pairs = [rng.normal(size=(2, 30, 300)) for _ in range(20)]
    assert min(linear_cka(x, y) for x, y in pairs) > 0.85
    assert np.mean([linear_cka(x, y, debiased=True) for x, y in pairs]) == pytest.approx(
        0, abs=0.02
    )


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_pair_of_layers_is_compared_without_the_masked_tokens(
    debiased: bool, kind: Any
) -> None:
    rng = np.random.default_rng(2)
    states = [(rng.normal(size=(9000, d)) + 20).astype(kind) for d in (4, 6, 6)]
    states[2] += 2 * states[1]
    mask = np.arange(9000) % 3 > 0
    for state in states:
        state[~mask] = np.nan
    found = cka_matrix(states, mask=mask, debiased=debiased)
    assert found == pytest.approx(found.T)
    assert found.diagonal() == pytest.approx(np.ones(3))
    first, second = states[1][mask].astype(float), states[2][mask].astype(float)
    assert found[1, 2] == pytest.approx(linear_cka(first, second, debiased=debiased), abs=1e-4)


def test_of_many_tokens_a_sample_is_compared() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(CKA_TOKENS + 5000, 5))
    y = x @ rng.normal(size=(5, 5)) + rng.normal(size=x.shape)
    chosen = np.sort(np.random.default_rng(7).choice(len(x), CKA_TOKENS, replace=False))
    found = cka_matrix([x, y], seed=7)
    assert found[0, 1] == pytest.approx(linear_cka(x[chosen], y[chosen]))
    expected = np.linalg.norm((y - y.mean(0)).T @ (x - x.mean(0))) ** 2
    for part in (x, y):
        expected /= np.linalg.norm((part - part.mean(0)).T @ (part - part.mean(0)))
    assert found[0, 1] == pytest.approx(expected, abs=0.01)


def test_memory_does_not_grow_with_the_tokens() -> None:
    states = [np.ones((9000, 32), dtype=np.float32) * np.arange(9000)[:, None] for _ in range(3)]
    tracemalloc.start()
    assert cka_matrix(states) == pytest.approx(np.ones((3, 3)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_a_layer_that_does_not_vary_is_like_none() -> None:
    rng = np.random.default_rng(0)
    found = cka_matrix([np.full((30, 3), 0.1), rng.normal(size=(30, 3))])
    assert np.isnan(found).tolist() == [[True, True], [True, False]]
    assert math.isnan(linear_cka(np.ones((3, 1)), np.ones((3, 1)), debiased=True))
    assert cka_matrix([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("states", "mask", "problem"),
    [
        ([np.ones((3, 2)), np.ones((4, 2))], None, r"shapes \[\(3, 2\), \(4, 2\)\]"),
        ([np.ones(3)], None, "shapes"),
        ([np.ones((3, 2))], [1], r"mask: shape \(1,\) for 3 tokens"),
        ([np.array([[np.nan], [1.0]])], None, "not finite"),
    ],
)
def test_states_that_do_not_fit_are_refused(states: Any, mask: Any, problem: str) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        cka_matrix(states, mask=mask)


def with_a_sink(kind: Any, shape: tuple[int, int] = (300, 40)) -> list[Any]:
    """Two layers alike in all tokens but the first, whose norm is two hundred times the others'."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=shape) * 20
    layers = [shared + rng.normal(size=shared.shape) * 5 for _ in range(2)]
    for layer, norm in zip(layers, (26_000, 30), strict=True):
        layer[0] = norm
    return [layer.astype(np.float32).astype(kind) for layer in layers]


@pytest.mark.parametrize("debiased", [True, False])
def test_a_token_of_huge_norm_costs_no_digits(debiased: bool) -> None:
    single, double = (
        cka_matrix(with_a_sink(kind), debiased=debiased) for kind in (np.float32, np.float64)
    )
    assert single.tolist() == double.tolist()
    expected = (unbiased if debiased else with_kernels)(*with_a_sink(np.float64))
    assert single[0, 1] == pytest.approx(expected, abs=1e-9)


def test_the_number_of_threads_changes_nothing() -> None:
    # Of fewer numbers BLAS uses one thread, whatever it may.
    layers = with_a_sink(np.float32, (2000, 200))
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(cka_matrix(layers, debiased=True).tolist())
    assert found[0] == found[1]
