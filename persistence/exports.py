"""The folder of exports: what lies in it, as one file each to hand out, and to delete."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from concept_fragmentation.persistence.blobs import TEMPORARY_PREFIX, storage_errors
from concept_fragmentation.persistence.errors import NotFoundError, StorageError

# Of all that lies in the folder, when the page adds to it.
MOST_BYTES: Final = 8 * 2**30
_CHUNK: Final = 2**20
# Arrays hardly get smaller with more effort, which takes many times as long.
_LEVEL: Final = 1


class ExportsFullError(StorageError):
    """The folder of exports holds as much as the page may fill."""


@dataclass(frozen=True)
class ExportEntry:
    """A file or folder in the exports folder.

    Attributes:
        name: its name in the folder.
        size_bytes: its size, of a folder that of all its files.
        modified: when it was written, in seconds since the epoch.
        is_folder: whether it is a folder, which is handed out as a zip.
    """

    name: str
    size_bytes: int
    modified: float
    is_folder: bool


class Exports:
    """Exports in one folder, by name."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Keep the folder, which need not exist yet."""
        self._folder = folder
        self._most_bytes = most_bytes

    def entries(self) -> list[ExportEntry]:
        """Return every export, the newest first.

        Raises StorageError where the folder can't be read.
        """
        with storage_errors("read", self._folder):
            if not self._folder.is_dir():
                return []
            found = [
                ExportEntry(
                    name=path.name,
                    size_bytes=sum(file.stat().st_size for file in _files(path)),
                    modified=path.stat().st_mtime,
                    is_folder=path.is_dir(),
                )
                for path in self._folder.iterdir()
                if not path.name.startswith(TEMPORARY_PREFIX)
            ]
        return sorted(found, key=lambda entry: (-entry.modified, entry.name))

    def check_room(self) -> None:
        """Raise ExportsFullError where the exports have as many bytes as they may."""
        total = sum(entry.size_bytes for entry in self.entries())
        if total >= self._most_bytes:
            raise ExportsFullError(
                f"The exports on the server have {total / 2**30:,.1f} GiB, and the page adds none "
                f"beyond {self._most_bytes / 2**30:,.1f} GiB: delete some in the list of exports."
            )

    def stream(self, name: str) -> tuple[str, Iterator[bytes]]:
        """Return an export as one file to hand out: its name, and its bytes in chunks.

        A folder becomes a zip, made while it is read, so that no copy of it is kept in memory.

        Raises:
            NotFoundError: there is no such export.
        """
        path = self._path(name)
        if path.is_dir():
            return f"{name}.zip", _zipped(path)
        return name, _chunks(path)

    def delete(self, name: str) -> None:
        """Remove an export for good; the analysis stays in the store.

        Raises:
            NotFoundError: there is no such export.
            StorageError: the disk refused.
        """
        path = self._path(name)
        with storage_errors("delete", path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _path(self, name: str) -> Path:
        # Only names that the folder lists are opened, so no name leads out of it.
        if all(entry.name != name for entry in self.entries()):
            raise NotFoundError(f"Export not found: {name[:200]!r}.")
        return self._folder / name


def _files(path: Path) -> list[Path]:
    """Return the files of an export in a fixed order, without links, which could name anything."""
    inside = sorted(path.iterdir()) if path.is_dir() and not path.is_symlink() else [path]
    return [file for file in inside if file.is_file() and not file.is_symlink()]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _zipped(folder: Path) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for file in _files(folder):
            name = f"{folder.name}/{file.name}"
            with archive.open(name, "w", force_zip64=True) as entry:
                for chunk in _chunks(file):
                    entry.write(chunk)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """A file to write a zip to without seeking; what was written is taken away bit by bit."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
