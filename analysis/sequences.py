"""From texts, words or token ids to the sequences that a language model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import IntArray
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.inputs import PlainText, Words
from concept_fragmentation.analysis.language_models import LanguageModel
from concept_fragmentation.analysis.token_bytes import token_bytes
from concept_fragmentation.analysis.token_texts import Spans, token_texts


@dataclass(frozen=True, eq=False)
class Sequences:
    """What the model reads, and which of it becomes a token of the analysis.

    Attributes:
        ids: for each of B sequences the ids of its tokens, with those of the prefix of a word.
        words: the words where each sequence is one, which becomes one token of the analysis, the
            mean of its tokens; None where every token of a sequence is one.
        sources: int64 (B,), which of the given texts or words each sequence is.
        num_given: how many texts or words were given.
        texts: for each sequence the texts of its tokens; empty where sequences are words.
        bytes: likewise the bytes of tokens that are a part of a character, see `token_bytes`.
        left_out: the words of several tokens that were skipped.
        prefix_length: how many tokens at the beginning of each sequence are the prefix of a word.
        special_ids: ids of tokens that stand for no text.
    """

    ids: tuple[tuple[int, ...], ...]
    words: tuple[str, ...] | None
    sources: IntArray
    num_given: int
    texts: tuple[tuple[str, ...], ...] = ()
    bytes: tuple[tuple[str | None, ...], ...] = ()
    left_out: tuple[str, ...] = ()
    prefix_length: int = 0
    special_ids: frozenset[int] = frozenset()

    @property
    def num_rows(self) -> int:
        """T, the tokens of the analysis."""
        return sum(map(len, self.ids)) if self.words is None else len(self.words)

    @property
    def averaged(self) -> list[str]:
        """The words that are the mean of several tokens."""
        pairs = zip(self.words or (), self.ids, strict=False)
        return [word for word, ids in pairs if len(ids) > self.prefix_length + 1]

    @property
    def special_tokens(self) -> npt.NDArray[np.bool_]:
        """bool (T,): the tokens that stand for no text; words never do."""
        if self.words is not None:
            return np.zeros(self.num_rows, dtype=bool)
        return np.array([one in self.special_ids for ids in self.ids for one in ids], dtype=bool)

    def metadata(self) -> dict[str, Any]:
        """The `token_metadata` of the analysis.

        Words have `positions` in the order of the list, and no `token_ids` where one has several
        tokens.
        """
        if self.words is not None:
            found: dict[str, Any] = {
                "tokens": list(self.words),
                "positions": list(range(len(self.words))),
            }
            if not self.averaged:
                found["token_ids"] = [ids[self.prefix_length] for ids in self.ids]
            return found
        flat = [token_id for ids in self.ids for token_id in ids]
        found = {
            "tokens": [text for texts in self.texts for text in texts],
            "positions": [position for ids in self.ids for position in range(len(ids))],
            "token_ids": flat,
        }
        parts = [part for of_sequence in self.bytes for part in of_sequence]
        if any(part is not None for part in parts):
            found["token_bytes"] = parts
        if len(self.ids) > 1:
            lengths = [len(ids) for ids in self.ids]
            found["sequence_ids"] = np.repeat(np.arange(len(lengths)), lengths).tolist()
        return found

    def per_row(self, values: Sequence[Any], what: str) -> list[Any]:
        """One value for each token of the analysis, of one for each of them, or each text or word.

        Raises:
            InvalidDataError: there are as many as neither.
        """
        if self.words is None and len(values) == self.num_rows:
            return list(values)
        if len(values) == self.num_given:
            lengths = [len(ids) if self.words is None else 1 for ids in self.ids]
            return [values[i] for i in np.repeat(self.sources, lengths).tolist()]
        kind = f"{self.num_rows} tokens of {self.num_given} texts"
        if self.words is not None:
            kind = f"{self.num_given} words"
        raise InvalidDataError([f"{what}: {len(values)} values for {kind}"])


def read_input(
    text: PlainText, words: Words | None, prefix: str, language_model: LanguageModel
) -> Sequences:
    """Tokenise what is given.

    Args:
        text: one text, several texts, the token ids of one sequence, or those of several; see
            `plain_text`. Texts get the special tokens that the tokenizer puts around a text
            (GPT-2's puts none).
        words: None, or each item of `text` is a word that is read behind the prefix, with one space
            before it, as it would stand within a sentence; one of several tokens is skipped, or
            becomes the average of its tokens.
        prefix: what stands before each word, with the special tokens that the tokenizer puts before
            a text; "": nothing does, not even those.
        language_model: with its tokenizer.

    Raises:
        InvalidDataError: there is nothing to read, or it can't be read.
    """
    items: list[Any] = [text] if isinstance(text, str) else list(text)
    if words is not None:
        return _words(items, words, prefix, language_model)
    tokenizer = language_model.tokenizer
    ids: list[tuple[int, ...]] = []
    texts: list[tuple[str, ...]] = []
    for i, item in enumerate(items):
        if isinstance(item, str):
            found, spans = _tokenised(item, tokenizer)
            ids.append(found)
            texts.append(token_texts(tokenizer, found, item, spans))
        else:
            ids.append(_checked_ids(item, f"text[{i}]", language_model))
            texts.append(token_texts(tokenizer, ids[-1]))
    if not any(ids):
        raise InvalidDataError(["text: there is no token in it; give a text with words in it"])
    kept = [i for i, found in enumerate(ids) if found]
    return Sequences(
        ids=tuple(ids[i] for i in kept),
        words=None,
        sources=np.array(kept),
        num_given=len(items),
        texts=tuple(texts[i] for i in kept),
        bytes=tuple(tuple(token_bytes(tokenizer, ids[i], texts[i])) for i in kept),
        special_ids=frozenset(tokenizer.all_special_ids),
    )


def check_ids(sequences: Sequences, language_model: LanguageModel) -> None:
    """Refuse tokens for which the model has no embedding.

    Raises:
        InvalidDataError: the tokenizer is not the model's; the token is named.
    """
    size = language_model.vocabulary_size
    for i, ids in enumerate(sequences.ids):
        for position, token_id in enumerate(ids):
            if isinstance(token_id, int) and 0 <= token_id < size:
                continue
            token = language_model.tokenizer.convert_ids_to_tokens([token_id])[0]
            raise InvalidDataError(
                [
                    f"text[{sequences.sources[i]}]: token {position} is {token!r} with the id "
                    f"{token_id}, and the model {language_model.decoder.shown} has embeddings of "
                    f"the ids below {size:,}; use the tokenizer that it was trained with, or call "
                    "resize_token_embeddings of the model for tokens that were added"
                ]
            )


def tokenised_words(words: Sequence[str], tokenizer: Any) -> list[tuple[int, ...]]:
    """Return the token ids of each word, with one space before it."""
    return [
        tuple(tokenizer(f" {word.strip()}", add_special_tokens=False, verbose=False)["input_ids"])
        for word in words
    ]


def _words(
    items: Sequence[str], words: Words, prefix: str, language_model: LanguageModel
) -> Sequences:
    given = [word.strip() for word in items]
    ids = tokenised_words(given, language_model.tokenizer)
    before = _prefix_ids(prefix, language_model.tokenizer)
    kept = [i for i, found in enumerate(ids) if len(found) == 1 or (found and words == "average")]
    if not kept:
        raise InvalidDataError(
            ["text: no word of the list is a single token; average the tokens of each word instead"]
        )
    return Sequences(
        ids=tuple((*before, *ids[i]) for i in kept),
        words=tuple(f" {given[i]}" for i in kept),
        sources=np.array(kept),
        num_given=len(given),
        left_out=tuple(given[i] for i in sorted(set(range(len(given))) - set(kept))),
        prefix_length=len(before),
    )


def _prefix_ids(prefix: str, tokenizer: Any) -> tuple[int, ...]:
    if not prefix.strip():
        return ()
    ids = list(tokenizer(prefix.rstrip(), verbose=False)["input_ids"])
    # Some tokenizers end every text.
    while ids and ids[-1] in tokenizer.all_special_ids:
        ids.pop()
    return tuple(ids)


def _tokenised(text: str, tokenizer: Any) -> tuple[tuple[int, ...], Spans | None]:
    """Return the ids of a text, and where each token is in it, if the tokenizer says so."""
    if not getattr(tokenizer, "is_fast", False):
        return tuple(tokenizer(text, add_special_tokens=True, verbose=False)["input_ids"]), None
    # Texts longer than the context are cut into windows later: no warning is due.
    found = tokenizer(
        text,
        add_special_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    spans = zip(found["offset_mapping"], found["special_tokens_mask"], strict=True)
    return tuple(found["input_ids"]), [None if added else span for span, added in spans]


def _checked_ids(items: Sequence[int], path: str, language_model: LanguageModel) -> tuple[int, ...]:
    for i, item in enumerate(items):
        if not 0 <= item < language_model.vocabulary_size:
            raise InvalidDataError(
                [f"{path}[{i}]: token {item} of a vocabulary of {language_model.vocabulary_size}"]
            )
    return tuple(items)
