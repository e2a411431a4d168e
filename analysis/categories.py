"""The tokens of some categories: which columns have categories, and these tokens alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from concept_fragmentation.analysis.arrays import is_missing
from concept_fragmentation.analysis.choices import choose
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.model import Analysis, AnalysisLike, as_analysis

# A column with more values than this, such as an address, groups nothing.
MOST_VALUES: Final = 200
# So many values are in the name of a part.
_NAMED: Final = 3


def category_values(analysis: AnalysisLike) -> dict[str, dict[str, int]]:
    """Return the columns of categories: how many tokens have each value, most frequent first.

    A column is one of `token_metadata` with at most `MOST_VALUES` different values. A value is its
    text; None and NaN are none.

    >>> made = {"tokens": ["a", "b", "c"], "kind": ["x", "y", "x"], "number": [1, None, 1]}
    >>> category_values({"model_type": "m", "layers": [], "token_metadata": made})
    {'kind': {'x': 2, 'y': 1}, 'number': {'1': 2}}
    """
    found = {}
    for name, values in as_analysis(analysis).token_columns.items():
        counted = Counter(text for value in values if (text := category_text(value)) is not None)
        if name and 0 < len(counted) <= MOST_VALUES:
            found[name] = dict(counted.most_common())
    return found


def category_text(value: Any) -> str | None:
    """Return the text of a category, and None of what is none: None, NaN and pandas' NA."""
    return None if is_missing(value) else str(value)


def only_category(analysis: AnalysisLike, column: str, values: Iterable[str]) -> Analysis:
    """Return the analysis of the tokens whose category in a column is one of some values.

    All tokens stay, so that indices mean the same; the others have no cluster in any layer, and
    take part in no path, length or mean. See `Analysis.of_tokens` for what is kept of the whole.

    >>> made = {"tokens": ["a", "b", "c"], "kind": ["x", "y", "x"]}
    >>> labels = {"one": [0, 1, 2]}
    >>> whole = {"model_type": "m", "layers": ["one"], "token_metadata": made,
    ...          "cluster_labels": labels}
    >>> only_category(whole, "kind", ["x"]).labels.ravel().tolist()
    [0, -1, 2]

    Args:
        analysis: of T tokens.
        column: one of `category_values`.
        values: of it, as texts.

    Raises:
        UnknownChoiceError: there is no such column or value; the message lists what there is.
        InvalidDataError: no value is given.
    """
    analysis = as_analysis(analysis)
    known = category_values(analysis)
    column = choose("column", column, known)
    wanted = [choose(f"value of {column}", value, known[column]) for value in values]
    if not wanted:
        raise InvalidDataError([f"{column}: give one or more of its values"])
    tokens = np.array(
        [category_text(value) in wanted for value in analysis.token_columns[column]], dtype=bool
    )
    return analysis.of_tokens(tokens, part_name(column, wanted))


def part_name(column: str, values: Iterable[str]) -> str:
    """Return what the tokens of some categories have in common, in a few words.

    >>> part_name("part_of_speech", ["noun", "verb"])
    'part_of_speech noun or verb'
    """
    listed = list(values)
    more = len(listed) - _NAMED
    named = [*listed[:_NAMED], *([f"{more:,} more"] if more > 0 else [])]
    said = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
    return f"{column} {said}"
