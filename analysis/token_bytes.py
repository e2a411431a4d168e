"""The bytes of tokens that are a part of a character, which no text can say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

PART: Final = "\ufffd"
_FALLBACK: Final = re.compile(r"<0x([0-9A-F]{2})>")


def token_bytes(tokenizer: Any, ids: Sequence[int], texts: Sequence[str]) -> list[str | None]:
    """Return the bytes of each token that is a part of a character, in hexadecimal; else None.

    Known of tokenizers that work on bytes, as GPT-2's does, and of those that fall back to bytes,
    as Llama's first does.

    Args:
        tokenizer: of transformers.
        ids: of the tokens.
        texts: of the tokens; U+FFFD stands for the part of a character.
    """
    parts = dict.fromkeys(i for i, text in zip(ids, texts, strict=True) if PART in text)
    names = tokenizer.convert_ids_to_tokens(list(parts)) if parts else []
    known = {i: _bytes_of(str(name)) for i, name in zip(parts, names, strict=True)}
    return [known[i] if PART in text else None for i, text in zip(ids, texts, strict=True)]


def shown_bytes(hexadecimal: str) -> str:
    r"""Return bytes as text, those that are a part of a character as `\xe7`.

    >>> shown_bytes("20e78c")
    ' \\xe7\\x8c'
    """
    return bytes.fromhex(hexadecimal).decode("utf-8", "backslashreplace")


def _bytes_of(name: str) -> str | None:
    """The bytes of a token in hexadecimal, by its name in the vocabulary."""
    fallback = _FALLBACK.fullmatch(name)
    if fallback:
        return fallback.group(1).lower()
    alphabet = _alphabet()
    if not name or not all(character in alphabet for character in name):
        return None
    raw = bytes(alphabet[character] for character in name)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
    # The character U+FFFD itself, or a name that is text as it is.
    return None


@cache
def _alphabet() -> dict[str, int]:
    """The characters that stand for bytes in byte-level BPE (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + i): byte for i, byte in enumerate(others)
    }
