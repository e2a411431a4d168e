"""Tokens that are a part of a character are told apart by their bytes."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from concept_fragmentation.analysis import Analysis, analysis_from_labels, analyze, layer_window
from concept_fragmentation.analysis.token_bytes import shown_bytes, token_bytes
from concept_fragmentation.components.figures.data import token_paths_frame
from concept_fragmentation.components.figures.token_comparison import compared_tokens
from concept_fragmentation.components.summary import token_list

PART = "\ufffd"
CAT = "猫"


def byte_level() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes, in the alphabet of GPT-2's."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def with_fallback() -> PreTrainedTokenizerFast:
    pieces = ["<unk>", "a", *(f"<0x{i:02X}>" for i in range(256))]
    numbers = {piece: i for i, piece in enumerate(pieces)}
    made = Tokenizer(models.BPE(numbers, [], unk_token=pieces[0], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.mark.parametrize("tokenizer", [byte_level(), with_fallback()], ids=["bytes", "fallback"])
def test_the_bytes_of_a_part_of_a_character_are_known(tokenizer: Any) -> None:
    ids = tokenizer(f"a{CAT}", add_special_tokens=False)["input_ids"]
    texts = ["a", PART, PART, PART]
    assert token_bytes(tokenizer, ids, texts) == [None, "e7", "8c", "ab"]


def test_the_character_that_stands_for_a_part_is_itself_where_it_was_read() -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens([PART])
    (token,) = tokenizer(PART, add_special_tokens=False)["input_ids"]
    assert token_bytes(tokenizer, [token], [PART]) == [None]


def test_bytes_are_shown_beside_what_is_text_of_them() -> None:
    assert shown_bytes("20e78c") == " \\xe7\\x8c"
    assert shown_bytes("e78cab") == CAT


def of_tokens(**metadata: Any) -> Analysis:
    data = analysis_from_labels([f"{PART}", " a", PART], [[0, 1], [1, 0], [0, 0]])
    return Analysis.from_dict(
        data | {"token_metadata": data["token_metadata"] | metadata, "token_paths": {}}
    )


def test_an_analysis_shows_bytes_or_ids_or_at_least_that_there_is_a_part() -> None:
    known = of_tokens(token_bytes=["e7", None, "8c"], token_ids=[5, 6, 7])
    assert known.shown_tokens == ("\\xe7", " a", "\\x8c")
    assert known.tokens == (PART, " a", PART)
    assert "token_bytes" not in known.token_columns
    assert of_tokens(token_ids=[5, 6, 7]).shown_tokens == (f"{PART}[5]", " a", f"{PART}[7]")
    assert of_tokens().shown_tokens == (PART, " a", PART)


@pytest.mark.parametrize("given", [["zz", None, None], [1, 2, 3], ["e7"], "e7", {"a": 1}])
def test_what_are_no_bytes_is_left_aside(given: Any) -> None:
    assert of_tokens(token_bytes=given, token_ids=[5, 6, 7]).shown_tokens[0] == f"{PART}[5]"


def test_figures_lists_and_tables_show_bytes() -> None:
    analysis = of_tokens(token_bytes=["e7", None, "8c"])
    window = layer_window(analysis, 0, 1)
    line = compared_tokens(analysis, window, [0, 2]).data[0]
    assert line.customdata[0][0] == "“\\xe7” at 0"
    assert list(token_paths_frame(analysis, window)["token"]) == ["\\xe7", " a", "\\x8c"]
    assert "xe7" in str(token_list(analysis, ("node", 0, 0), analysis.labels[:1, 0]))


@pytest.mark.slow
def test_analyze_keeps_bytes_where_there_is_a_part_of_a_character() -> None:
    made = analyze("a 🐈 b", model="tiny", n_clusters=2)
    shown = Analysis.from_dict(made).shown_tokens
    assert PART not in "".join(shown)
    parts = made["token_metadata"].get("token_bytes")
    if PART in made["token_metadata"]["tokens"]:
        assert bytes.fromhex("".join(part or "" for part in parts)).decode().strip() == "🐈"
    assert "token_bytes" not in analyze("a cat sat", model="tiny", n_clusters=2)["token_metadata"]
