"""The trash: what was deleted, whole, until it is restored or purged.

    trash/<when>-<random>/entry.json        a document: what this is, and when it was deleted
    trash/<when>-<random>/versions/         the analysis's folder, or one version with its arrays
    trash/<when>-<random>/metadata/         the card, where a whole analysis was deleted
    trash/<when>-<random>/visualizations/   its visualization states

Files get here and back by renames and hard links, so neither way copies an array, and what another
version shares stays where it is. Whoever changes an entry holds the lock of its analysis.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.persistence import codec, documents
from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    LocalBlobs,
    flush_folder,
    link_or_copy,
    storage_errors,
)
from concept_fragmentation.persistence.clock import now, timestamp
from concept_fragmentation.persistence.errors import CorruptedFileError, UnsupportedFormatError

TRASH: Final = "trash"
RETENTION: Final = timedelta(days=30)
VERSIONS: Final = "versions"

_NAME: Final = re.compile(r"(\d{8}T\d{12})-[0-9a-f]{12}")
_STAMP: Final = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, repr=False)
class TrashEntry(Shown):
    """One thing in the trash."""

    trash_id: str
    analysis_id: str
    folder: str
    version: int | None  # None: the whole analysis
    name: str
    deleted_at: str

    def path(self, blobs: LocalBlobs) -> Path:
        """Its folder."""
        return blobs.path(f"{TRASH}/{self.trash_id}")

    @property
    def expires_at(self) -> str:
        """When `purge` will remove it."""
        return timestamp(datetime.fromisoformat(self.deleted_at) + RETENTION)


class Trash:
    """The entries in `trash/`."""

    def __init__(self, blobs: LocalBlobs) -> None:
        """Entries live in `blobs`, below `trash/`."""
        self._blobs = blobs

    def add(
        self,
        analysis_id: str,
        folder: str,
        version: int | None,
        name: str,
        files: Mapping[str, Path],
    ) -> TrashEntry:
        """An entry that holds `files`, linked under those relative names; it appears whole."""
        moment = now()
        identifier = f"{moment:{_STAMP}}-{secrets.token_hex(6)}"
        entry = TrashEntry(identifier, analysis_id, folder, version, name, timestamp(moment))
        temporary = self._blobs.path(f"{TRASH}/{TEMPORARY_PREFIX}{identifier}")
        with storage_errors("write", temporary):
            try:
                temporary.mkdir(parents=True)
                for relative, path in files.items():
                    target = temporary / relative
                    target.parent.mkdir(exist_ok=True)
                    link_or_copy(path, target)
                body = {
                    "analysis_id": analysis_id,
                    "folder": folder,
                    "version": version,
                    "name": name,
                    "deleted_at": entry.deleted_at,
                }
                rendered = documents.render("trash entry", codec.encode(body))
                LocalBlobs(temporary).write("entry.json", rendered)
                for part in temporary.iterdir():
                    if part.is_dir():
                        flush_folder(part)
                temporary.rename(entry.path(self._blobs))
                flush_folder(temporary.parent)
            except BaseException:
                for path in (temporary, entry.path(self._blobs)):
                    shutil.rmtree(path, ignore_errors=True)
                raise
        return entry

    def entries(self) -> list[TrashEntry]:
        """What can be restored, the last deleted first; what can't be read is left out."""
        found = []
        for name in sorted(self._blobs.names(TRASH), reverse=True):
            with contextlib.suppress(CorruptedFileError, UnsupportedFormatError):
                entry = self.read(name)
                if entry is not None and self._blobs.path(f"{TRASH}/{name}/{VERSIONS}").is_dir():
                    found.append(entry)
        return found

    def read(self, name: str) -> TrashEntry | None:
        """One entry, whether it holds anything or not; None if there is none.

        Raises:
            CorruptedFileError: its description is not what was written.
        """
        blob = f"{TRASH}/{name}/entry.json"
        if not _NAME.fullmatch(name) or (data := self._blobs.read(blob)) is None:
            return None
        body: dict[str, Any] = codec.decode(
            documents.parse("trash entry", data, str(self._blobs.path(blob)))
        )
        return TrashEntry(trash_id=name, **body)

    def remove(self, name: str) -> None:
        """Remove an entry for good."""
        self._blobs.delete_folder(f"{TRASH}/{name}")

    def older_than(self, age: timedelta) -> list[str]:
        """The names of the entries that were deleted longer ago than `age`."""
        limit = f"{now() - age:{_STAMP}}"
        matches = map(_NAME.fullmatch, self._blobs.names(TRASH))
        return sorted(match[0] for match in matches if match and match[1] <= limit)
