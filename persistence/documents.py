"""Documents: human-readable JSON that carries its own checksum.

The first line of a document is `{"checksum": "blake3:<64 hex digits>",`; the checksum is that of
every byte after that line. The rest is ordinary, indented, strict JSON in UTF-8.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from blake3 import blake3

from concept_fragmentation.persistence.errors import CorruptedFileError, UnsupportedFormatError

# 2: tensor files that versions share, with a checksum for each chunk; very long lists of text in
# tensors. 1 is still read.
FORMAT_VERSION: Final = 2

# How long the first line is.
FIRST_LINE: Final = len('{"checksum": "blake3:",\n') + 64

_FIRST_LINE: Final = re.compile(rb'\{"checksum": "blake3:([0-9a-f]{64})",\n')


def render(kind: str, body: dict[str, Any]) -> bytes:
    """A document of that kind; `body` holds plain JSON values."""
    head = {"format": f"concept_fragmentation {kind}", "format_version": FORMAT_VERSION}
    text = msgspec.json.format(msgspec.json.encode(head | body), indent=2)
    rest = text[text.index(b"\n") + 1 :] + b"\n"
    return b'{"checksum": "blake3:%s",\n' % blake3(rest).hexdigest().encode() + rest


def parse(kind: str, data: bytes, path: str) -> dict[str, Any]:
    """The body of a document.

    Raises:
        CorruptedFileError: a byte of it is not what was written; `path` is named.
        UnsupportedFormatError: it was written by a newer version.
    """
    first = _FIRST_LINE.match(data)
    if first is None:
        raise CorruptedFileError(
            f"Corrupted file {path!r}: its first line is not a checksum.", path=path
        )
    rest = memoryview(data)[first.end() :]
    if blake3(rest).hexdigest().encode() != first[1]:
        raise CorruptedFileError(
            f"Corrupted file {path!r}: its content does not match its checksum.", path=path
        )
    body: dict[str, Any] = msgspec.json.decode(b"{" + rest)
    version = body.pop("format_version")
    if version > FORMAT_VERSION:
        raise UnsupportedFormatError(
            f"{path!r} was written in format {version} and this version reads formats up to "
            f"{FORMAT_VERSION}; upgrade concept-fragmentation."
        )
    if body.pop("format") != f"concept_fragmentation {kind}":
        raise CorruptedFileError(f"Corrupted file {path!r}: it is no {kind} document.", path=path)
    return body
