"""Identifiers: which ones are admitted, and the folder or file name each one gets.

An identifier is any text of 1 to 128 characters without path separators, `..` or control
characters. The name on disk is made of `a-z 0-9 _ -` only, so that it means the same on every file
system: short lower-case identifiers stand for themselves, all others get a readable beginning and
a digest. The identifier itself is written inside the file.
"""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from datetime import datetime
from typing import Final

from blake3 import blake3

from concept_fragmentation.persistence.errors import UnsafeIdentifierError

MAX_LENGTH: Final = 128

_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,95}")
# Windows gives these names to devices, whatever the folder.
_HAS_DEVICES: Final = os.name == "nt"
_DEVICES: Final = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
_REFUSED_CATEGORIES: Final = {"Cc": "control characters", "Cs": "lone surrogates"}


def check_identifier(identifier: object, what: str = "analysis_id") -> str:
    """Return `identifier` if it is safe.

    Raises:
        UnsafeIdentifierError: it is no text, empty, too long, or holds path separators, `..`,
            control characters or lone surrogates; on Windows, it names a device.
    """
    if not isinstance(identifier, str):
        raise UnsafeIdentifierError(f"{what}: a string is needed, not {type(identifier).__name__}.")
    reason = None
    if not identifier.strip():
        reason = "it is empty"
    elif len(identifier) > MAX_LENGTH:
        reason = f"it has {len(identifier)} characters"
    elif "/" in identifier or "\\" in identifier:
        reason = "it contains a path separator"
    elif ".." in identifier or identifier == ".":
        reason = "it contains '..'" if ".." in identifier else "it is '.'"
    elif _HAS_DEVICES and _DEVICES.fullmatch(folder_name(identifier).partition(".")[0]):
        # "con.<digest>" is the device too.
        reason = "Windows has a device of that name"
    else:
        for character in identifier:
            if (category := unicodedata.category(character)) in _REFUSED_CATEGORIES:
                reason = f"it contains {_REFUSED_CATEGORIES[category]}"
                break
    if reason:
        shown = identifier if len(identifier) <= MAX_LENGTH else identifier[:40] + "..."
        raise UnsafeIdentifierError(
            f"Unsafe {what} {shown!r}: {reason}; use 1 to {MAX_LENGTH} characters without "
            "'/', '\\', '..' or control characters."
        )
    return identifier


def folder_name(identifier: str) -> str:
    """The name on disk of a checked identifier: one to one, ASCII, the same on every system."""
    if _PLAIN.fullmatch(identifier) and not _DEVICES.fullmatch(identifier):
        return identifier
    # The dot appears in no plain name, so the two kinds can't meet.
    return f"{slug(identifier, 40)}.{blake3(identifier.encode()).hexdigest(length=16)}"


def slug(text: str, length: int) -> str:
    """A readable beginning for a file name: ASCII letters, digits and hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower())[:length].strip("-") or "x"


def new_analysis_id(model_name: str, moment: datetime) -> str:
    """A fresh analysis id that says the model and the moment: `gpt2-20260102-030405-9f2c01ab`."""
    return f"{slug(model_name, 40)}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def new_session_id(session_name: str, moment: datetime) -> str:
    """A fresh session id that says when and what."""
    return f"session-{slug(session_name, 40)}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def state_id(analysis_id: str, visualization_type: str, state_name: str) -> str:
    """The id of a named visualization state: the same analysis, type and name give the same id.

    The part before the last two `~` is the analysis's folder name, so that the states of one
    analysis are found by name alone.
    """
    key = "\0".join((analysis_id, visualization_type, state_name))
    digest = blake3(key.encode("utf-8", "surrogatepass")).hexdigest(length=8)
    return f"{folder_name(analysis_id)}~{slug(state_name, 24)}~{digest}"
