"""Whether tokens of one category take the same paths, and are in the same clusters."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from concept_fragmentation.analysis.cluster_quality import category_codes_of, word_codes
from concept_fragmentation.analysis.counting import Floats, IntArray, compact, entropy
from concept_fragmentation.analysis.permutation import (
    ROUNDING,
    PermutationTest,
    Progress,
    check_permutations,
    holm,
    permutation_test,
    report_about_hundredths,
    share_as_extreme,
)
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.windows import LayerWindow

# Paths that fewer tokens take are counted together.
RARE: Final = 5


@dataclass(frozen=True, eq=False, repr=False)
class CategoryAssociation(Shown):
    """Association of the path of a token with its category; see `category_association`.

    Attributes:
        chi_squared: Pearson's, over the table.
        degrees_of_freedom: (categories - 1) (paths - 1).
        p_value: by permutation, (1 + number of chi-squared at least as large) / (1 + M).
        cramers_v: sqrt(chi_squared / N / (min(categories, paths) - 1)), from 0 (independent) to 1
            (the path tells the category or the other way round); Cramér 1946.
        cramers_v_null: its mean over the permutations, which is above 0: what it is beside.
        cramers_v_corrected: with the bias taken off that it has where all tokens are independent
            (Bergsma 2013); of few blocks with many tokens each it takes off too little.
        table: int64 (C, P), the tokens of each category on each path.
        categories: (C,) the rows.
        path_indices: int64 (P,), the columns: indices into the window's paths, -1 for all rare
            paths together.
        num_rare_paths: how many those are.
        num_tokens: N, the tokens that have a category and a path.
        num_blocks: how many categories were permuted: one for each word of each category.
    """

    shown_first = ("cramers_v", "cramers_v_null", "p_value", "num_tokens", "num_blocks")

    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    cramers_v: float
    cramers_v_null: float
    cramers_v_corrected: float
    table: IntArray
    categories: tuple[Hashable, ...]
    path_indices: IntArray
    num_rare_paths: int
    num_tokens: int
    num_blocks: int


@dataclass(frozen=True, eq=False, repr=False)
class CategoryFragmentation(Shown):
    """Fragmentation of the tokens of one category; see `category_fragmentation`.

    Attributes:
        category: which.
        num_tokens: of it that have a path.
        modal_path: raw cluster ids of the path that most of them take; of equals the one that most
            of all tokens take.
        test: F beside that of categories dealt anew.
    """

    category: Hashable
    num_tokens: int
    modal_path: tuple[int, ...]
    test: PermutationTest


@dataclass(frozen=True, eq=False, repr=False)
class CategoryEntropy(Shown):
    """Entropy of the clusters of a layer, given the category; see `category_entropy`.

    Attributes:
        by_category: {category: H(K | c)}, nats.
        total: H(K) of the tokens that have a category, nats.
        test: H(K | C), nats, beside that of categories dealt anew.
    """

    by_category: dict[Hashable, float]
    total: float
    test: PermutationTest


def word_types(tokens: Sequence[str]) -> list[str]:
    """Return the word of each token, as `category_association` takes it.

    Its text without the spaces around it, and without the difference of capitals.

    >>> word_types([" The", "the", "cat"])
    ['the', 'the', 'cat']
    """
    return [token.strip().casefold() for token in tokens]


def category_association(
    window: LayerWindow,
    categories: Sequence[Hashable],
    types: Sequence[Hashable] | None,
    *,
    rare: int = RARE,
    permutations: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> CategoryAssociation:
    """Test whether tokens of one category take the same paths: chi-squared of category x path.

    The occurrences of a word in running text take like paths and have like categories because they
    are one word. Taken for independent, they make any categories of words look significant. So the
    tokens of one word and one category are a block, and the p-value compares with the same table
    once the categories are dealt anew to the blocks. Where every word has one category, as of a
    dictionary, this is exact if the words' categories are exchangeable. Where the category of a
    word depends on where it stands, a word has several blocks; dealt categories may then meet in
    one word, which makes the null wider, and the p-value too large rather than too small.

    >>> from concept_fragmentation.analysis import analysis_from_labels, layer_window
    >>> made = analysis_from_labels(["a", "b"] * 50, [[0], [1]] * 50)
    >>> window = layer_window(made, 0, 0)
    >>> alone = category_association(window, ["x", "y"] * 50, None)
    >>> round(alone.cramers_v, 3), alone.p_value < 0.01
    (1.0, True)
    >>> by_word = category_association(window, ["x", "y"] * 50, ["a", "b"] * 50)
    >>> by_word.p_value, by_word.num_blocks
    (1.0, 2)

    Args:
        window: of T tokens.
        categories: (T,) any category a token, part of speech say; None or NaN for none. Tokens
            without one, or without a path, are left out.
        types: (T,) the word of each token, as `word_types` gives it of running text; None only
            where every token is independent of the others, as in a list of different words.
        rare: paths that fewer tokens take are one column, "rare paths", together.
        permutations: M, of the categories over the blocks.
        seed: of the permutations.
        progress: called with the number of permutations done and of all.

    Returns:
        CategoryAssociation; NaN where there are not two categories and two paths.

    Raises:
        InvalidDataError: not one category and one word a token, or fewer than one permutation is
            asked for.
    """
    check_permutations(permutations)
    blocks = _blocks(window.path_of_token, categories, types)
    paths = window.path_of_token[blocks.tokens]
    is_rare = np.bincount(paths, minlength=len(window.paths)) < rare
    num_rare = len(np.unique(paths[is_rare[paths]]))
    column_ids, columns = np.unique(np.where(is_rare[paths], -1, paths), return_inverse=True)
    shape = (len(blocks.names), len(column_ids))
    table = _table(blocks.rows, columns, shape)
    total, degrees = len(columns), (max(shape[0], 1) - 1) * (max(shape[1], 1) - 1)
    phi_squared = p_value = v = v_null = corrected = np.nan
    if degrees:
        phi_squared = _phi_squared(table)
        v, corrected = _cramers_v(phi_squared, total, shape)
        null = np.empty(permutations)
        for i, rows in enumerate(blocks.dealt(permutations, seed)):
            null[i] = _phi_squared(_table(rows, columns, shape))
            report_about_hundredths(progress, i, i + 1, permutations)
        p_value = share_as_extreme(null >= phi_squared * (1 - ROUNDING))
        v_null = float(np.sqrt(null / (min(shape) - 1)).mean())
    return CategoryAssociation(
        chi_squared=phi_squared * total,
        degrees_of_freedom=degrees,
        p_value=p_value,
        cramers_v=v,
        cramers_v_null=v_null,
        cramers_v_corrected=corrected,
        table=table,
        categories=blocks.names,
        path_indices=column_ids,
        num_rare_paths=num_rare,
        num_tokens=total,
        num_blocks=len(blocks.of_block),
    )


def category_fragmentation(
    window: LayerWindow,
    categories: Sequence[Hashable],
    types: Sequence[Hashable] | None,
    *,
    permutations: int = 200,
    seed: int = 0,
) -> list[CategoryFragmentation]:
    """Return how far each category scatters over paths: 1 - the share of its modal path.

    F = 1 - max over paths p of n(c, p) / n(c), with n(c, p) the tokens of category c on path p: the
    fragmentation that work on concept trajectories reports by category. 0 if all its tokens take
    one path. It is not `LayerWindow.fragmentation`, which is an entropy: of all paths but the modal
    one F says nothing. Two things mislead. F of few tokens is low, for one of n tokens is always on
    the modal path, so that 1 - 1/n is the most there can be. And a category without a path of its
    own has the F of all tokens together, which may be low. Both are in the null beside it, of
    categories dealt anew to the blocks of words, as in `category_association`.

    >>> from concept_fragmentation.analysis import analysis_from_labels, layer_window
    >>> made = analysis_from_labels(list("abcd"), [[0], [0], [1], [2]])
    >>> found = category_fragmentation(layer_window(made, 0, 0), ["x", "x", "x", "y"], None)
    >>> [(of.category, round(of.test.observed, 3), of.modal_path) for of in found]
    [('x', 0.333, (0,)), ('y', 0.0, (2,))]

    Args:
        window: of T tokens.
        categories: (T,), None or NaN for none, as in `category_association`.
        types: (T,) the word of each token, or None, as in `category_association`.
        permutations: of the null.
        seed: of the permutations.

    Returns:
        One for each category with a token on a path, the largest first. `p_adjusted` is corrected
        for all of them (`holm`).

    Raises:
        InvalidDataError: as in `category_association`.
    """
    check_permutations(permutations)
    blocks = _blocks(window.path_of_token, categories, types)
    paths = window.path_of_token[blocks.tokens]
    shape = (len(blocks.names), len(window.paths))
    if not len(paths):
        return []
    table = _table(blocks.rows, paths, shape)
    null = np.array(
        [_not_modal(_table(rows, paths, shape)) for rows in blocks.dealt(permutations, seed)]
    )
    sizes, modal = table.sum(axis=1), table.argmax(axis=1)
    tests = [
        permutation_test(observed, of_category)
        for observed, of_category in zip(_not_modal(table), null.T, strict=True)
    ]
    adjusted = holm([test.p_value for test in tests])
    return [
        CategoryFragmentation(
            category=blocks.names[i],
            num_tokens=int(sizes[i]),
            modal_path=tuple(window.paths[modal[i]].tolist()),
            test=replace(tests[i], p_adjusted=float(adjusted[i])),
        )
        for i in np.argsort(-sizes, kind="stable")
    ]


def category_entropy(
    labels: IntArray,
    categories: Sequence[Hashable],
    types: Sequence[Hashable] | None,
    *,
    permutations: int = 200,
    seed: int = 0,
) -> CategoryEntropy:
    """Return how widely the tokens of a category spread over the clusters of one layer.

    For a category c: H(K | c) = -sum over k of p(k | c) ln p(k | c), with p(k | c) the share of its
    tokens in cluster k; over all, H(K | C) = sum over c of p(c) H(K | c) (Shannon 1948), which is
    H(K) less the mutual information of clusters and categories. 0 if the category tells the
    cluster. What misleads: few tokens can't spread, so that H(K | C) is below H(K) by chance. Its
    null has categories dealt anew to the blocks of words, as in `category_association`.

    >>> found = category_entropy(np.array([0, 0, 1, 1]), ["x", "x", "y", "y"], None)
    >>> found.test.observed, round(found.total, 3)
    (0.0, 0.693)

    Args:
        labels: int64 (T,), clusters of one layer; -1 is "no cluster".
        categories: (T,), None or NaN for none.
        types: (T,) the word of each token, or None, as in `category_association`.
        permutations: of the null.
        seed: of the permutations.

    Returns:
        CategoryEntropy, in nats; `bits` makes bits of them.

    Raises:
        InvalidDataError: as in `category_association`.
    """
    check_permutations(permutations)
    ids, codes = compact(np.asarray(labels, dtype=np.int64))
    blocks = _blocks(codes, categories, types)
    clusters = codes[blocks.tokens]
    shape = (len(blocks.names), len(ids))
    table = _table(blocks.rows, clusters, shape)
    null = np.full(permutations, np.nan)
    observed = np.nan
    if len(clusters):
        observed = _conditional_entropy(table)
        for i, rows in enumerate(blocks.dealt(permutations, seed)):
            null[i] = _conditional_entropy(_table(rows, clusters, shape))
    return CategoryEntropy(
        by_category={name: entropy(row) for name, row in zip(blocks.names, table, strict=True)},
        total=entropy(table.sum(axis=0)),
        test=permutation_test(observed, null),
    )


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Tokens that have a category and a place, and which of them are dealt together.

    Attributes:
        tokens: int64 (N,), their indices.
        rows: int64 (N,), the index of each one's category in `names`.
        names: (C,) the categories.
        block: int64 (N,), which block each is in: one for each word of each category.
        of_block: int64 (B,), the category of each block.
    """

    tokens: IntArray
    rows: IntArray
    names: tuple[Hashable, ...]
    block: IntArray
    of_block: IntArray

    def dealt(self, permutations: int, seed: int) -> Iterator[IntArray]:
        """Deal the categories to the blocks anew; the rows of each deal."""
        generator = np.random.default_rng(seed)
        for _ in range(permutations):
            yield generator.permutation(self.of_block)[self.block]


def _blocks(
    places: IntArray, categories: Sequence[Hashable], types: Sequence[Hashable] | None
) -> _Blocks:
    """The blocks of tokens whose place, a path or a cluster, is not -1."""
    rows, names = category_codes_of(categories, len(places))
    words = np.arange(len(places)) if types is None else word_codes(types, len(places))
    tokens = np.flatnonzero((rows >= 0) & (places >= 0))
    row_ids, rows = np.unique(rows[tokens], return_inverse=True)
    number = max(len(row_ids), 1)
    block_ids, block = np.unique(words[tokens] * number + rows, return_inverse=True)
    found = tuple(names[row] for row in row_ids)
    return _Blocks(tokens, rows, found, block, block_ids % number)


def _table(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> IntArray:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _not_modal(table: IntArray) -> Floats:
    """1 - the share of each row's largest count; NaN for a row without any."""
    sizes = table.sum(axis=1)
    shares: Floats = np.full(len(table), np.nan)
    np.divide(table.max(axis=1), sizes, out=shares, where=sizes > 0)
    return 1 - shares


def _conditional_entropy(table: IntArray) -> float:
    """H(column | row), nats: the entropy of the cells less that of the rows."""
    return max(0.0, entropy(table.ravel()) - entropy(table.sum(axis=1)))


def _phi_squared(table: IntArray) -> float:
    """Pearson's chi-squared / N, the sum of n(i, j)^2 / (n(i) n(j)) less 1."""
    sizes = np.outer(table.sum(axis=1), table.sum(axis=0)).astype(np.float64)
    shares: Floats = np.zeros(table.shape)
    np.divide(table.astype(np.float64) ** 2, sizes, out=shares, where=sizes > 0)
    return max(0.0, float(shares.sum()) - 1)


def _cramers_v(phi_squared: float, total: int, shape: tuple[int, int]) -> tuple[float, float]:
    rows, columns = shape
    v = float(np.sqrt(phi_squared / (min(shape) - 1)))
    unbiased = max(0.0, phi_squared - (rows - 1) * (columns - 1) / (total - 1))
    smaller = min(size - (size - 1) ** 2 / (total - 1) for size in shape) - 1
    # As many categories as tokens leave nothing to be associated.
    return v, float(np.sqrt(unbiased / smaller)) if smaller > ROUNDING else np.nan
