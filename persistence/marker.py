"""`store.json`: the mark that a folder is a store, and the format that it is written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from concept_fragmentation.persistence.blobs import LocalBlobs
from concept_fragmentation.persistence.documents import FORMAT_VERSION
from concept_fragmentation.persistence.errors import CorruptedFileError, UnsupportedFormatError

MARKER: Final = "store.json"

_FORMAT: Final = "concept_fragmentation store"


def check(root: Path) -> int | None:
    """The format version that a store says it has; None if it says nothing. Nothing is touched.

    Raises:
        UnsupportedFormatError: it was written by a newer version.
        CorruptedFileError: its mark can't be read.
    """
    path = root / MARKER
    data = LocalBlobs(root).read(MARKER)
    if data is None:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    version = found.get("format_version") if isinstance(found, dict) else None
    if type(version) is not int or found.get("format") != _FORMAT:
        raise CorruptedFileError(
            f"Corrupted file {str(path)!r}: it is no mark of a store. If the folder is a store, "
            "delete this file; it is made anew.",
            path=str(path),
        )
    if version > FORMAT_VERSION:
        raise UnsupportedFormatError(
            f"The store in {str(root)!r} is written in format {version} and this version reads "
            f"formats up to {FORMAT_VERSION}; nothing was touched. Upgrade concept-fragmentation."
        )
    return version


def write(blobs: LocalBlobs) -> None:
    """Mark the store as one of this format."""
    text = json.dumps({"format": _FORMAT, "format_version": FORMAT_VERSION}, indent=2)
    blobs.write(MARKER, text.encode() + b"\n")
