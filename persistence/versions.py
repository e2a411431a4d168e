"""The files of versions: which there are, and how one is written, read and removed.

    analysis_results/<folder>/v000001.json             a version: the document is the commit point
    analysis_results/<folder>/<content>.safetensors    arrays that one or more versions name
    analysis_results/<folder>/<content>.safetensors.zst    the same, compressed

A version is committed when its document stands under its final name; it is never written again.
Which tensor files are needed is read from the documents alone: there is no count that could drift.
Whatever changes a folder holds the lock of its analysis.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from concept_fragmentation.persistence import documents, tensors
from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    LocalBlobs,
    flush_folder,
    storage_errors,
)
from concept_fragmentation.persistence.errors import CorruptedFileError, UnsupportedFormatError

RESULTS: Final = "analysis_results"

_DOCUMENT: Final = re.compile(r"v(\d{6,9})\.json")
_TENSORS: Final = re.compile(r"([a-z0-9]{1,64})\.safetensors(?:\.zst)?")


class VersionFiles:
    """The versions of all analyses, each analysis in its folder."""

    def __init__(self, blobs: LocalBlobs) -> None:
        """Versions live in `blobs`, below `analysis_results/`."""
        self._blobs = blobs

    def folders(self) -> list[str]:
        """The folders of all analyses, in no order."""
        return self._blobs.names(RESULTS)

    def numbers(self, folder: str) -> list[int]:
        """The numbers of the versions in a folder, ascending."""
        matches = map(_DOCUMENT.fullmatch, self._blobs.names(f"{RESULTS}/{folder}"))
        return sorted(int(match[1]) for match in matches if match)

    def newest(self, folder: str) -> int | None:
        """The highest number of a version in a folder; None if there is none."""
        return max(self.numbers(folder), default=None)

    def path(self, folder: str) -> Path:
        """Where an analysis's files are."""
        return self._blobs.path(f"{RESULTS}/{folder}")

    def document_path(self, folder: str, version: int) -> Path:
        """Where a version's document is."""
        return self._blobs.path(document_name(folder, version))

    def write(
        self,
        folder: str,
        version: int,
        document: dict[str, Any],
        arrays: Mapping[str, tensors.Array],
        *,
        compress: bool,
    ) -> None:
        """Commit a version; `document["tensors"]` is filled in."""
        if arrays:
            document["tensors"] = tensors.write(
                self._blobs, f"{RESULTS}/{folder}", arrays, compress=compress
            )
        try:
            rendered = documents.render("analysis", document)
            self._blobs.write(document_name(folder, version), rendered)
        except BaseException:
            self.sweep(folder)
            raise

    def raw(self, folder: str, version: int, limit: int = -1) -> bytes | None:
        """A version's document as it stands on disk, its first `limit` bytes if given."""
        return self._blobs.read(document_name(folder, version), limit)

    def document(self, folder: str, version: int) -> dict[str, Any] | None:
        """A version's document; None if there is none.

        Raises:
            CorruptedFileError: it is not what was written.
        """
        data = self.raw(folder, version)
        path = str(self.document_path(folder, version))
        return None if data is None else documents.parse("analysis", data, path)

    def tensors(
        self, folder: str, version: int, document: Mapping[str, Any]
    ) -> tensors.TensorReader | None:
        """A reader of a version's tensors, which must be closed; None where it has none."""
        if document["tensors"] is None:
            return None
        path = str(self.document_path(folder, version))
        return tensors.TensorReader(self.path(folder), document["tensors"], path)

    def tensor_paths(self, folder: str, document: Mapping[str, Any]) -> list[Path]:
        """The tensor files of a version as they are on disk; one that is missing as if plain."""
        paths = []
        for name in tensors.files_of(document["tensors"]).values():
            plain = self.path(folder) / name
            packed = plain.with_name(f"{name}.zst")
            paths.append(packed if packed.exists() and not plain.exists() else plain)
        return paths

    def size(self, folder: str, version: int, document: Mapping[str, Any]) -> int:
        """The bytes of a version's document and tensor files, those included that it shares."""
        paths = [self.document_path(folder, version), *self.tensor_paths(folder, document)]
        return sum(map(_size, paths))

    def total_size(self, folder: str) -> int:
        """The bytes of all that is in a folder; what versions share counts once."""
        return sum(_size(self.path(folder) / n) for n in self._blobs.names(f"{RESULTS}/{folder}"))

    def delete(self, folder: str, version: int) -> None:
        """Remove a version's document; `sweep` removes its tensor files where nobody needs them."""
        self._blobs.delete(document_name(folder, version))

    def adopt(
        self,
        folder: str,
        version: int,
        document: dict[str, Any],
        source: Path,
        place: Callable[[Path, Path], object],
    ) -> None:
        """Commit a version whose tensor files are in another folder; `place` brings them here.

        Raises:
            CorruptedFileError: what came is not what the document says.
        """
        path = self.path(folder)
        with storage_errors("write", path):
            path.mkdir(parents=True, exist_ok=True)
            flush_folder(path.parent)
            for plain in tensors.files_of(document["tensors"]).values():
                for name in (plain, f"{plain}.zst"):
                    here = (path / plain).exists() or (path / f"{plain}.zst").exists()
                    if not here and (source / name).exists():
                        place(source / name, path / name)
            flush_folder(path)
        try:
            if reader := self.tensors(folder, version, document):
                with reader:
                    reader.check()
            rendered = documents.render("analysis", document)
            self._blobs.write(document_name(folder, version), rendered)
        except BaseException:
            self.sweep(folder)
            raise

    def needed(self, folder: str) -> set[str] | None:
        """The names of the tensor files that any version needs; None if a document is damaged."""
        names: set[str] = set()
        for version in self.numbers(folder):
            try:
                document = self.document(folder, version)
            except (CorruptedFileError, UnsupportedFormatError):
                return None
            if document is not None:
                names |= set(tensors.files_of(document["tensors"]))
        return names

    def orphans(self, folder: str) -> list[str]:
        """Tensor files that no version needs, and what unfinished writes left behind."""
        names = self._blobs.all_names(f"{RESULTS}/{folder}")
        found = [name for name in names if name.startswith(TEMPORARY_PREFIX)]
        stored = {name: match[1] for name in names if (match := _TENSORS.fullmatch(name))}
        # Of a damaged document nobody knows what it needs.
        if stored and (needed := self.needed(folder)) is not None:
            found += [name for name, file in stored.items() if file not in needed]
        return found

    def sweep(self, folder: str) -> None:
        """Remove `orphans`, and the folder if nothing is left in it."""
        for name in self.orphans(folder):
            self._blobs.delete(f"{RESULTS}/{folder}/{name}")
        path = self.path(folder)
        with storage_errors("delete", path):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def damage(
        self, folder: str, version: int, on_bytes: Callable[[int], object] | None = None
    ) -> Iterator[CorruptedFileError]:
        """Read a version in full: what is wrong with its document and its tensor files."""
        try:
            document = self.document(folder, version)
        except CorruptedFileError as error:
            yield error
            return
        if document is not None and (reader := self.tensors(folder, version, document)):
            with reader:
                yield from reader.verify(on_bytes)

    def compress(self, folder: str) -> None:
        """Compress every tensor file, each verified before the plain one goes."""
        for name in self._blobs.names(f"{RESULTS}/{folder}"):
            if name.endswith(tensors.SUFFIX) and _TENSORS.fullmatch(name):
                tensors.compress(self._blobs, f"{RESULTS}/{folder}/{name}")


def document_name(folder: str, version: int) -> str:
    """The name of a version's document as a blob."""
    return f"{RESULTS}/{folder}/v{version:06d}.json"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
