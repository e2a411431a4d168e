from __future__ import annotations

import re
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from concept_fragmentation.analysis import analyze
from concept_fragmentation.analysis.sequences import read_input
from concept_fragmentation.analysis.token_texts import token_texts

CODE = "if x:\n    x\n        x x"
SPACES = "    "
PART = "\ufffd"
TEXTS = [
    CODE,
    "the cat",
    "  two  spaces ",
    "\u732b and \U0001f408 cats",
    "Caf\u00e9 \ufb01ne \u2460",
    "<s>x</s>",
    "a\u200bb\tc\r\n",
    "x",
    "e\u0301x",
    "don't stop",
]
PIECES = [
    *("\u2581", "\u2581" * 4, "x", "\u2581x", "if", "\u2581if", ":", "\n", "t", "h", "e", "the"),
    *("\u2581the", "\u2581cat", "c", "a", "\u2581a", "s", "i"),
]
BYTES = [f"<0x{i:02X}>" for i in range(256)]
SENTENCEPIECE = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]


def unigram(scheme: str, *, with_bytes: bool = False, split: bool = False) -> Tokenizer:
    pieces = PIECES + (BYTES if with_bytes else [])
    scores = [("<unk>", 0.0), *((piece, -1 - i / 100) for i, piece in enumerate(pieces))]
    made = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=with_bytes))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    made.decoder = (
        decoders.Sequence([*SENTENCEPIECE, decoders.Strip(" ", 1, 0)])
        if with_bytes
        else decoders.Metaspace(prepend_scheme=scheme)
    )
    return made


def with_markers() -> Tokenizer:
    made = unigram("first", with_bytes=True)
    made.add_special_tokens(["<s>", "</s>"])
    markers = [(name, made.token_to_id(name)) for name in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=markers)
    return made


def prepending() -> Tokenizer:
    """As Llama's first tokenizer: a space in front of everything, spaces of spaces too."""
    pieces = ["<unk>", "\u2581", "x", "\u2581\u2581", "\u2581" * 4, *"if:\nthecas", *BYTES]
    made = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))},
            merges=[("\u2581", "\u2581"), ("\u2581\u2581", "\u2581\u2581")],
            unk_token=pieces[0],
            byte_fallback=True,
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    made.decoder = decoders.Sequence([*SENTENCEPIECE, decoders.Strip(" ", 1, 0)])
    return made


def byte_level(*, prefix: bool, trim: bool) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [CODE, "the cat the cat"],
        BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False),
    )
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
    return made


def word_piece() -> Tokenizer:
    words = ["[UNK]", "the", "cat", "##s", "x", "if", ":", "a", "##b", "c", "cafe", "two", "spaces"]
    made = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(words)}, unk_token=words[0])
    )
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def normalising(*steps: Any) -> Tokenizer:
    made = unigram("always")
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), *steps])
    return made


TOKENIZERS = {
    "always": unigram("always"),
    "first": unigram("first"),
    "never": unigram("never", split=True),
    "always-split": unigram("always", split=True),
    "byte-fallback": unigram("always", with_bytes=True),
    "markers": with_markers(),
    "prepending": prepending(),
    "byte-level": byte_level(prefix=False, trim=True),
    "byte-level-untrimmed": byte_level(prefix=False, trim=False),
    "byte-level-prefixed": byte_level(prefix=True, trim=True),
    "byte-level-prefixed-untrimmed": byte_level(prefix=True, trim=False),
    "word-piece": word_piece(),
    "nfkc": normalising(),
    "collapsing": normalising(normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()),
}


class Slow:
    """A tokenizer that does not say where its tokens are."""

    is_fast = False

    def __init__(self, fast: Any) -> None:
        self._fast = fast
        self.all_special_ids = fast.all_special_ids

    def __call__(self, text: str, **options: Any) -> Any:
        return self._fast(text, **options)

    def decode(self, ids: list[int], **options: Any) -> str:
        return str(self._fast.decode(ids, **options))

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return list(self._fast.convert_ids_to_tokens(ids))


class Model:
    vocabulary_size = 10_000

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer


def fast(name: str) -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=TOKENIZERS[name])


def texts_of(tokenizer: Any, text: str) -> list[str]:
    model: Any = Model(tokenizer)
    tokens: list[str] = read_input(text, None, "", model).metadata()["tokens"]
    return tokens


def is_text(tokens: list[str], text: str) -> bool:
    """Whether tokens are a text, parts of characters aside."""
    pattern = "".join(".?" if token == PART else re.escape(token) for token in tokens)
    return re.fullmatch(pattern, text, re.DOTALL) is not None


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_tokens_of_a_fast_tokenizer_are_the_text(name: str, text: str) -> None:
    tokens = texts_of(fast(name), text)
    if name == "markers":
        assert (tokens[0], tokens[-1]) == ("<s>", "</s>")
        tokens = tokens[1:-1]
    assert is_text(tokens, text)
    if text.isascii():
        assert "".join(tokens) == text


@pytest.mark.parametrize("text", [CODE, "the cat", "x"])
@pytest.mark.parametrize("name", sorted(set(TOKENIZERS) - {"word-piece", "collapsing", "markers"}))
def test_the_tokens_of_a_slow_tokenizer_are_the_text(name: str, text: str) -> None:
    assert "".join(texts_of(Slow(fast(name)), text)) == text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "always",
            CODE,
            ["if", " x", ":", "\n", SPACES, "x", "\n", SPACES, SPACES, "x", " x"],
        ),
        (
            "markers",
            CODE,
            ["<s>", "if", " x", ":", "\n", SPACES, "x", "\n", SPACES, SPACES, "x", " x", "</s>"],
        ),
        ("markers", "<s>x", ["<s>", "<s>", "x", "</s>"]),
        ("byte-fallback", "\u732b cat", ["", PART, PART, PART, " cat"]),
        ("byte-level", "\u732b cat", [PART, PART, PART, " cat"]),
        ("prepending", "  x", [" ", " ", "x"]),
        ("word-piece", "The CATS ", ["The", " CAT", "S "]),
        ("nfkc", "\ufb01 x", ["", "\ufb01", PART, " x"]),
        ("collapsing", "the   cat", ["the", "   cat"]),
        ("never", "the cat", ["the", " cat"]),
    ],
)
def test_each_token_is_its_part_of_the_text(name: str, text: str, expected: list[str]) -> None:
    assert texts_of(fast(name), text) == expected


def test_a_slow_tokenizer_gives_what_it_made_of_the_text() -> None:
    assert texts_of(Slow(fast("word-piece")), "the CATS") == ["the", " cat", "s"]
    assert texts_of(Slow(fast("byte-fallback")), "\u732b cat") == ["", PART, PART, PART, " cat"]


def test_token_ids_alone_keep_their_spaces() -> None:
    tokenizer = fast("always")
    ids = tokenizer.convert_tokens_to_ids(["\u2581" * 4, "x", "\u2581x", "\u2581" * 4])
    assert token_texts(tokenizer, ids) == (SPACES, "x", " x", SPACES)


def test_long_texts_of_characters_in_parts_are_read_in_time() -> None:
    text = "\u732b\U0001f408" * 5_000
    assert set(texts_of(fast("byte-level"), text)) == {PART}


def test_the_tokens_of_an_analysis_are_its_texts() -> None:
    texts = ["Emma met a caf\u00e9.\n\n  Twice ", "Ruth ran"]
    tokens = analyze(texts, "tiny", n_clusters=2, layers=[0])["token_metadata"]["tokens"]
    assert is_text(tokens, "".join(texts))
