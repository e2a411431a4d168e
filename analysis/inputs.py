"""The text and the categories given to `analyze`, as plain Python that provenance can keep."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final, Literal

import numpy as np

from concept_fragmentation.analysis.arrays import as_whole_number, is_missing, shown, to_array
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.model import TOKEN_COLUMNS

Words = Literal["skip", "average"]
# What stands before each word of a list, so that none is read at the first position.
DEFAULT_PREFIX: Final = "The word is"
Text = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
PlainText = str | list[str | list[int]]


def plain_text(text: Any, words: Words | None = None) -> PlainText:
    """Return a text as str, and texts or token ids as a list of str and of lists of int.

    Args:
        text: one text, several texts, the token ids of one sequence, or those of several; in a
            list, a tuple, an array, a Series or an iterator, tensors of ids too.
        words: whether it is a list of words, and what becomes of those of several tokens.

    Raises:
        InvalidDataError: it is something else, or there is nothing in it.
    """
    if isinstance(text, str) and words is None:
        items: list[Any] = [_checked_text(text, "text[0]")]
    else:
        items = _items(text, words)
    if not items or (words is None and not any(map(len, items))):
        raise InvalidDataError(["text: there is no token in it; give a text with words in it"])
    return items[0] if isinstance(text, str) else items


def plain_categories(
    categories: Mapping[Any, Any] | None, num_words: int | None = None
) -> dict[str, list[Hashable]]:
    """Return categories as lists of str, bool, numbers, tuples of these, and None for none.

    Args:
        categories: {name: one value for each token, text or word} in a list, a tuple, an array, a
            Series or an iterator. None, NaN and pandas' NA are no category.
        num_words: how many values are needed, where that is known.

    Raises:
        InvalidDataError: every problem is listed with the name of its category.
    """
    if categories is None:
        return {}
    if not isinstance(categories, Mapping):
        raise InvalidDataError(
            [f"categories: a dict {{name: values}} is needed, not {shown(categories)}"]
        )
    found: dict[str, list[Hashable]] = {}
    problems = []
    for key, values in categories.items():
        name = str(key)
        if name in found:
            problems.append(f"categories: the name {shown(name)} is given twice")
        if name in TOKEN_COLUMNS:
            problems.append(
                f"categories: {shown(name)} says something else of tokens; choose another name"
            )
        try:
            found[name] = _plain_column(values, f"categories.{name}")
        except InvalidDataError as error:
            problems += error.problems
            continue
        if num_words is not None and len(found[name]) != num_words:
            problems.append(f"categories.{name}: {len(found[name])} values for {num_words} words")
    if problems:
        raise InvalidDataError(problems)
    return found


def _items(text: Any, words: Words | None) -> list[Any]:
    if isinstance(text, str | bytes | Mapping | Set) or not isinstance(text, Iterable):
        needed = (
            "a text, a list of texts or token ids are" if words is None else "a list of words is"
        )
        raise InvalidDataError([f"text: {needed} needed, not {type(text).__name__}"])
    if callable(getattr(text, "detach", None)) or getattr(text, "ndim", 1) > 1:
        text = to_array(text, "text")
    items = list(text)
    if words is not None:
        return [_checked_word(item, f"text[{i}]") for i, item in enumerate(items)]
    if items and all(as_whole_number(item) is not None for item in items):
        return [list(map(int, items))]
    return [
        _checked_text(item, f"text[{i}]")
        if isinstance(item, str)
        else _checked_ids(item, f"text[{i}]")
        for i, item in enumerate(items)
    ]


def _checked_text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidDataError(
            [f"{path}: character {error.start} is half of a surrogate pair, which is no text"]
        ) from error
    return str(text)


def _checked_word(item: Any, path: str) -> str:
    if not isinstance(item, str):
        raise InvalidDataError([f"{path}: a word is needed, not {shown(item)}"])
    if not item.strip():
        raise InvalidDataError([f"{path}: an empty word"])
    return _checked_text(item, path)


def _checked_ids(items: Any, path: str) -> list[int]:
    if isinstance(items, str | bytes | Mapping | Set) or not isinstance(items, Iterable):
        raise InvalidDataError([f"{path}: a text or token ids are needed, not {shown(items)}"])
    if callable(getattr(items, "detach", None)):
        items = to_array(items, path)
    ids = []
    for i, item in enumerate(items):
        number = as_whole_number(item)
        if number is None:
            raise InvalidDataError([f"{path}[{i}]: a token id is needed, not {shown(item)}"])
        ids.append(number)
    return ids


def _plain_column(values: Any, path: str) -> list[Hashable]:
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise InvalidDataError(
            [f"{path}: a list with one value for each token is needed, not {shown(values)}"]
        )
    if not isinstance(values, list | tuple | Iterator) and (
        hasattr(values, "detach") or isinstance(values, np.ma.MaskedArray)
    ):
        values = to_array(values, path)
    if getattr(values, "ndim", 1) != 1:
        raise InvalidDataError([f"{path}: one value for each token is needed, not a table"])
    found = [_plain_value(value) for value in values]
    wrong = [i for i, value in enumerate(found) if not _is_category(value)]
    if wrong:
        raise InvalidDataError(
            [
                f"{path}[{wrong[0]}]: a text, a number, a tuple of these or None is needed, not "
                f"{shown(found[wrong[0]])} ({len(wrong):,} of {len(found):,} values)"
            ]
        )
    kinds = set(map(type, found))
    if bool in kinds and kinds & {int, float}:
        # They are equal in Python, and would be one category.
        raise InvalidDataError(
            [f"{path}: True and False are beside numbers; give them as text or as numbers"]
        )
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain_value, value))
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, str) else value


def _is_category(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_category, value))
    return value is None or type(value) in (str, bool, int, float)
