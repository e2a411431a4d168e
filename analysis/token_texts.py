"""The text of each token, such that the texts of all are the text that was read.

A tokenizer does not say so in one way. Decoding a token alone loses the space before it where the
decoder takes the first space of a text away (SentencePiece); its place in the text is trimmed by
some, and the slow ones have none; what is normalised (lower case, NFKC) is decoded as something
else than what was read; and several tokens may be one character.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# Stands for the part of a character.
_PART: Final = "\ufffd"
# More tokens are not one character, nor a few characters that begin and end within tokens.
_MOST_PARTS: Final = 16
_SOME_TEXT: Final = "a"

Spans = Sequence[tuple[int, int] | None]


def token_texts(
    tokenizer: Any, ids: Sequence[int], text: str | None = None, spans: Spans | None = None
) -> tuple[str, ...]:
    """Return the text of each token of a sequence.

    Joined, they are the text that was read, with these exceptions:

    - a token that is a part of a character is U+FFFD; of a character that was normalised to several
      tokens, the first is the character;
    - special tokens that the tokenizer adds are their names, such as `<s>`;
    - a slow tokenizer does not say where its tokens are: if it normalises or leaves characters out,
      they are what it made of the text.

    The space that some tokenizers put in front of a text belongs to no token, and one that is
    nothing else is "". What a tokenizer leaves out belongs to the token after it, or to the last.

    Args:
        tokenizer: of transformers.
        ids: of the tokens.
        text: what was read; None where ids were given.
        spans: for each token its first character and the one after its last, None for those that
            the tokenizer added; where it says so.
    """
    decoder = _Decoder(tokenizer)
    own = decoder.each(ids)
    if text is None or "".join(own) == text:
        return tuple(own)
    found: list[str] = []
    at = 0
    while len(found) < len(ids):
        i = len(found)
        piece = own[i]
        span = None if spans is None else spans[i]
        # Where the token after it begins, where that is known.
        behind = None if spans is None or i + 1 == len(ids) else spans[i + 1]
        after = None if behind is None else behind[0]
        first, last = span or (0, 0)
        if spans is not None and span is None:
            found.append(piece)
        elif piece and text.startswith(piece, at) and not _is_padded(piece, at, last, after):
            found.append(piece)
            at += len(piece)
        elif (
            parts := _parts(decoder, ids[i : i + _MOST_PARTS], text, at) if _PART in piece else None
        ):
            found += own[i : i + parts[0]]
            at += parts[1]
        elif piece == " " and (at == 0 or spans is None or after == first):
            found.append("")
        elif piece[:1] == " " and piece[1:] and text.startswith(piece[1:], at):
            found.append(piece[1:])
            at += len(piece) - 1
        elif last > at:
            found.append(text[at:last])
            at = last
        else:
            found.append(piece if first == last else _PART)
    read = [i for i, span in enumerate(spans or ()) if span is not None]
    if read and at < len(text):
        found[read[-1]] += text[at:]
    return tuple(found)


def _is_padded(token: str, at: int, last: int, after: int | None) -> bool:
    """Return whether a token at the front has one space more than the text that it stands for."""
    return at == 0 and token[0] == " " and last == after == len(token) - 1


def _parts(decoder: _Decoder, ids: Sequence[int], text: str, at: int) -> tuple[int, int] | None:
    """Return how many tokens are whole characters together, and how many characters of the text."""
    for count in range(2, len(ids) + 1):
        whole = decoder.together(ids[:count])
        if _PART not in whole and whole and text.startswith(whole, at):
            return count, len(whole)
    return None


class _Decoder:
    """Decodes tokens behind another one, so that the decoder takes no first space away."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._front: list[int] = list(
            tokenizer(_SOME_TEXT, add_special_tokens=False, verbose=False)["input_ids"]
        )
        self._before = self._decode(self._front)

    def each(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token."""
        known: Mapping[int, str] = {token: self.together([token]) for token in dict.fromkeys(ids)}
        return [known[token] for token in ids]

    def together(self, ids: Sequence[int]) -> str:
        """Return the text of some tokens in a row."""
        behind = self._decode([*self._front, *ids])
        if behind.startswith(self._before) and _PART not in self._before:
            return behind[len(self._before) :]
        return self._decode(ids)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
