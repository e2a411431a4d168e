"""How alike the hidden states of two layers are, whatever rotation or scale they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.centred import (
    States,
    centred,
    chunks,
    cross_product,
    mean_state,
)
from concept_fragmentation.analysis.counting import Floats, IntArray
from concept_fragmentation.analysis.errors import InvalidDataError

# Of more tokens than these, a random sample of as many is compared.
CKA_TOKENS: Final = 10_000

_DECIMALS: Final = 10


def linear_cka(states_a: States, states_b: States, *, debiased: bool = False) -> float:
    """Linear centred kernel alignment of two layers' hidden states; see `cka_matrix`.

    >>> states = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
    >>> round(linear_cka(states, 3 * states[:, ::-1]), 6)
    1.0

    Args:
        states_a: float (T, d).
        states_b: float (T, e).
        debiased: see `cka_matrix`.

    Returns:
        From 0 to 1; NaN where a layer's states are all the same.
    """
    return float(cka_matrix([states_a, states_b], debiased=debiased)[0, 1])


def cka_matrix(
    states: Sequence[States],
    *,
    mask: npt.ArrayLike | None = None,
    debiased: bool = False,
    seed: int = 0,
) -> Floats:
    """Linear centred kernel alignment of each two layers (Kornblith et al. 2019).

    ||Y'X||^2 / (||X'X|| ||Y'Y||), Frobenius norms, of hidden states X and Y with every dimension's
    mean taken off. It does not change if a layer is rotated or scaled as a whole. Two things
    mislead: with fewer tokens than some times the dimensions it is near 1 for anything, even for
    noise, which `debiased` corrects; and a few dimensions or tokens of very large norm (the first
    position in GPT-2) can decide it alone, which `mask` can leave out.

    Debiased, the Hilbert-Schmidt independence criterion that each norm is gives way to its unbiased
    estimate (Song et al. 2012, as in Nguyen, Raghu & Kornblith 2021), which is 0 on average for
    unrelated states. With k(i) and l(i) the squared norms of row i of X and Y:
    ||Y'X||^2 - k.l n / (n - 2) + (sum of k) (sum of l) / ((n - 1) (n - 2)). It may be below 0.

    Time grows with T d^2 for each pair; memory holds d x d and some thousand rows, whatever T is.
    Of more than `CKA_TOKENS` tokens a random sample of as many is compared.

    Args:
        states: L arrays float (T, d), of one T; d may differ between layers. They may be memory
            maps. Computed with as float64, whatever they are: in float32 one token of huge norm
            costs the second digit.
        mask: (T,), 0 for tokens that are left out, as padding is.
        debiased: estimate without the bias of few tokens; four are needed.
        seed: of the sample.

    Returns:
        float64 (L, L), symmetric, 1 on the diagonal; NaN where a layer's states are all the same.
        Rounded to 10 decimals: what is beyond them changes with the number of threads.

    Raises:
        InvalidDataError: the states are not those of the same tokens, or are not finite.
    """
    sizes = {np.shape(state)[:1] for state in states}
    if any(state.ndim != 2 for state in states) or len(sizes) > 1:
        shapes = [np.shape(state) for state in states]
        raise InvalidDataError([f"hidden_states: shapes {shapes}; one (tokens, d) is needed each"])
    tokens = _tokens(mask, len(states[0]) if states else 0, seed)
    means = [mean_state(state, tokens) for state in states]
    norms = [_squared_norms(state, mean, tokens) for state, mean in zip(states, means, strict=True)]
    found: Floats = np.empty((len(states), len(states)))
    for i in range(len(states)):
        for j in range(i + 1):
            both = cross_product(states[i], states[j], means[i], means[j], tokens)
            product = float(np.einsum("de,de->", both, both))
            if debiased:
                product = _unbiased(product, norms[i], norms[j])
            found[i, j] = found[j, i] = product
    own = found.diagonal().copy()
    # A layer that varies by no more than rounding has nothing to be alike in.
    rounding = [1e-13 * len(tokens) * float(mean @ mean) for mean in means]
    own[[norm.sum() <= least for norm, least in zip(norms, rounding, strict=True)]] = np.nan
    with np.errstate(invalid="ignore"):
        found /= np.sqrt(np.outer(own, own))
    return found.round(_DECIMALS)


def _tokens(mask: npt.ArrayLike | None, num_tokens: int, seed: int) -> IntArray:
    kept = np.ones(num_tokens, dtype=bool) if mask is None else np.asarray(mask).astype(bool)
    if kept.shape != (num_tokens,):
        raise InvalidDataError([f"mask: shape {kept.shape} for {num_tokens} tokens"])
    tokens = np.flatnonzero(kept)
    if len(tokens) > CKA_TOKENS:
        chosen = np.random.default_rng(seed).choice(len(tokens), CKA_TOKENS, replace=False)
        tokens = tokens[np.sort(chosen)]
    return tokens


def _squared_norms(state: States, mean: Floats, tokens: IntArray) -> Floats:
    norms: Floats = np.empty(len(tokens))
    for chunk in chunks(tokens):
        rows = centred(state, mean, tokens[chunk])
        norms[chunk] = np.einsum("td,td->t", rows, rows)
    return norms


def _unbiased(product: float, norms_a: Floats, norms_b: Floats) -> float:
    n = len(norms_a)
    if n < 4:
        return np.nan
    own = float(norms_a @ norms_b)
    sums = float(norms_a.sum() * norms_b.sum())
    return product - own * n / (n - 2) + sums / ((n - 1) * (n - 2))
