"""Whether tokens of one category take the same paths."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from concept_fragmentation.analysis.cluster_quality import category_codes_of
from concept_fragmentation.analysis.counting import Floats, IntArray
from concept_fragmentation.analysis.permutation import (
    ROUNDING,
    Progress,
    check_permutations,
    report_about_hundredths,
    share_as_extreme,
)
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.windows import LayerWindow

# Paths that fewer tokens take are counted together.
RARE: Final = 5


@dataclass(frozen=True, eq=False, repr=False)
class CategoryAssociation(Shown):
    """How far the path of a token and its category belong together; see `category_association`.

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


def word_types(tokens: Sequence[str]) -> list[str]:
    """Return what `category_association` takes for the word of each token.

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
    """Whether tokens of one category take the same paths: chi-squared of category x path.

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
    num_tokens = len(window.path_of_token)
    rows, names = category_codes_of(categories, num_tokens)
    words = np.arange(num_tokens) if types is None else _words(types, num_tokens)
    kept = (rows >= 0) & (window.path_of_token >= 0)
    paths = window.path_of_token[kept]
    is_rare = np.bincount(paths, minlength=len(window.paths)) < rare
    num_rare = len(np.unique(paths[is_rare[paths]]))
    column_ids, columns = np.unique(np.where(is_rare[paths], -1, paths), return_inverse=True)
    row_ids, rows = np.unique(rows[kept], return_inverse=True)
    shape = (len(row_ids), len(column_ids))
    block_ids, block = np.unique(words[kept] * max(shape[0], 1) + rows, return_inverse=True)
    of_block = block_ids % max(shape[0], 1)
    table = _table(rows, columns, shape)
    total, degrees = len(rows), (max(shape[0], 1) - 1) * (max(shape[1], 1) - 1)
    phi_squared = p_value = v = v_null = corrected = np.nan
    if degrees:
        phi_squared = _phi_squared(table)
        v, corrected = _cramers_v(phi_squared, total, shape)
        generator = np.random.default_rng(seed)
        null = np.empty(permutations)
        for i in range(permutations):
            null[i] = _phi_squared(_table(generator.permutation(of_block)[block], columns, shape))
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
        categories=tuple(names[row] for row in row_ids),
        path_indices=column_ids,
        num_rare_paths=num_rare,
        num_tokens=total,
        num_blocks=len(block_ids),
    )


def _words(types: Sequence[Hashable], num_tokens: int) -> IntArray:
    """Codes of words from 0 on; a token without a word is a word of its own."""
    codes, _ = category_codes_of(types, num_tokens, "types")
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
    return codes


def _table(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> IntArray:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


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
