"""Finding tokens by their text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.token_search import find_tokens


def made_of(tokens: Sequence[str], sequence_ids: Sequence[int] | None = None) -> Analysis:
    metadata = {"tokens": list(tokens), "positions": list(range(len(tokens)))}
    if sequence_ids is not None:
        metadata["sequence_ids"] = list(sequence_ids)
    return Analysis.from_dict({"model_type": "m", "layers": ["a"], "token_metadata": metadata})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bank", [1, 4, 0]),  # the word, what begins with it, what contains it
        ("BANK", [1, 4, 0]),
        (" BANK", [1]),
        ("free software", [2, 3, 5, 6, 7]),
        ("software", [3, 6, 7]),  # a token, and a word that was cut in two
        ("ree soft", []),  # it begins no word
        ("", []),
        ("  ", []),
        (" s", [3, 6]),
        ("free\nsoftware", []),
    ],
)
def test_words_and_parts_of_words_are_found(text: str, found: list[int]) -> None:
    tokens = ["riverbank", " bank", " free", " software", "Banks", "the free", " soft", "ware"]
    assert find_tokens(made_of(tokens), text).tolist() == found


def test_words_of_a_script_without_spaces_are_found() -> None:
    assert find_tokens(made_of(["我", "爱", "北", "京"]), "北京").tolist() == [2, 3]


def test_nothing_is_found_across_two_sequences() -> None:
    tokens = [" free", " software", " free", " software"]
    assert find_tokens(made_of(tokens), "software free").tolist() == [1, 2]
    assert find_tokens(made_of(tokens, [0, 0, 1, 1]), "software free").tolist() == []
    assert find_tokens(made_of(tokens, [0, 0, 1, 1]), "free software").tolist() == [0, 1, 2, 3]


def test_case_folding_that_changes_lengths_finds_the_right_tokens() -> None:
    assert find_tokens(made_of(["Straße", " am", " See"]), "am see").tolist() == [1, 2]


def test_an_analysis_without_tokens_has_no_match() -> None:
    assert find_tokens(made_of([]), "a").tolist() == []
