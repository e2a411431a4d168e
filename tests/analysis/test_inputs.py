from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from concept_fragmentation.analysis import InvalidDataError
from concept_fragmentation.analysis.inputs import plain_categories, plain_text

WORDS = ["one", "two"]


@pytest.mark.parametrize(
    "given",
    [
        WORDS,
        tuple(WORDS),
        iter(WORDS),
        np.array(WORDS),
        np.array(WORDS, dtype=object),
        pd.Series(WORDS, index=[5, 5]),
        pd.Index(WORDS),
        pd.Categorical(WORDS),
    ],
)
def test_texts_and_words_may_come_in_anything_with_an_order(given: Any) -> None:
    found = plain_text(given)
    assert found == WORDS
    assert set(map(type, found)) == {str}


@pytest.mark.parametrize(
    "given",
    [
        [3, 5],
        [[3, 5]],
        (3, 5),
        np.array([3, 5], dtype=np.uint16),
        np.array([[3, 5]]),
        [np.array([3, 5])],
        torch.tensor([3, 5]),
        torch.tensor([[3, 5]]),
        [torch.tensor([3, 5])],
        pd.Series([3, 5]),
        range(3, 6, 2),
    ],
)
def test_token_ids_may_come_in_arrays_and_tensors(given: Any) -> None:
    found = plain_text(given)
    assert found == [[3, 5]]
    assert {type(token_id) for token_id in found[0]} == {int}


def test_texts_and_ids_may_be_mixed() -> None:
    assert plain_text(["one", [3], ""]) == ["one", [3], ""]


@pytest.mark.parametrize(
    ("given", "words", "sentence"),
    [
        ("", None, "text: there is no token in it"),
        ([], None, "text: there is no token in it"),
        (["", []], None, "text: there is no token in it"),
        ([], "skip", "text: there is no token in it"),
        ("one two", "skip", "text: a list of words is needed, not str"),
        (["one", 3], "skip", r"text\[1\]: a word is needed, not 3"),
        (["one", " "], "skip", r"text\[1\]: an empty word"),
        (["one", None], None, r"text\[1\]: a text or token ids are needed, not None"),
        (pd.Series(["one", None]), None, r"text\[1\]: .* not NaN"),
        (["one", 3], None, r"text\[1\]: a text or token ids are needed, not 3"),
        ([[3, True]], None, r"text\[0\]\[1\]: a token id is needed, not True"),
        ([[3, 1.5]], None, r"text\[0\]\[1\]: a token id is needed, not 1.5"),
        ([True, False], None, r"text\[0\]: .* not True"),
        ({"input_ids": [3]}, None, "text: .* not dict"),
        ({"one", "two"}, None, "text: .* not set"),
        (["one", b"two"], None, r"text\[1\]: "),
        (["half \udc00"], "skip", r"text\[0\]: character 5 is half of a surrogate pair"),
    ],
)
def test_what_is_no_text_is_named(given: Any, words: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        plain_text(given, words)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["NN", "VB", None], ["NN", "VB", None]),
        (("NN", "VB", "NN"), ["NN", "VB", "NN"]),
        ((tag for tag in ("NN", "VB")), ["NN", "VB"]),
        ([("NN", 1), ("VB", None)], [("NN", 1), ("VB", None)]),
        (np.array(["NN", "VB"]), ["NN", "VB"]),
        (np.array([1.5, np.nan]), [1.5, None]),
        (np.array([3, 4], dtype=np.int8), [3, 4]),
        (pd.Series(["NN", None, np.nan, pd.NA]), ["NN", None, None, None]),
        (pd.Categorical(["NN", None]), ["NN", None]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (torch.tensor([3, 4]), [3, 4]),
        (["1", 1, 1.5], ["1", 1, 1.5]),
        ([], []),
    ],
)
def test_categories_are_plain_values_and_missing_ones_are_none(given: Any, expected: Any) -> None:
    found = plain_categories({"tag": given})["tag"]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tag": "noun"}, r"categories\.tag: a list .* not 'noun'"),
        ({"tag": {"a": 1}}, r"categories\.tag: a list .* not a dict"),
        ({"tag": {"a", "b"}}, r"categories\.tag: a list .* not a set"),
        ({"tag": 3}, r"categories\.tag: a list .* not 3"),
        ({"tag": ["a", ["b"], ["c"]]}, r"categories\.tag\[1\]: .* not a list \(2 of 3 values\)"),
        ({"tag": ["a", object()]}, r"categories\.tag\[1\]: .* not an object"),
        ({"tag": [("a", ["b"])]}, r"categories\.tag\[0\]"),
        ({"tag": [True, 1]}, "True and False are beside numbers"),
        ({"tag": pd.DataFrame({"a": ["x"]})}, "not a table"),
        ({"positions": ["a"]}, "'positions' says something else of tokens"),
        ({"1": ["a"], 1: ["b"]}, "the name '1' is given twice"),
        (["a", "b"], "categories: a dict"),
    ],
)
def test_what_is_no_category_is_named(given: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        plain_categories(given)


def test_every_problem_of_categories_is_listed() -> None:
    with pytest.raises(InvalidDataError) as raised:
        plain_categories({"a": "noun", "b": ["x"], "tokens": ["x", "y"]}, 2)
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "categories.a",
        "categories.b",
        "categories",
    ]


def test_no_categories_are_none() -> None:
    assert plain_categories(None) == plain_categories({}) == {}
