"""Analyses and their versions on disk.

    analysis_results/<folder>/v000001.json          a version: the document is the commit point
    analysis_results/<folder>/v000001.safetensors   its arrays, where it has any
    metadata/<folder>.json                          the card: what changed without a new version

A version is committed when its document stands under its final name. It is never written again.
The card is there only if name, tags or notes were changed after a save, or the newest version was
deleted; it speaks for the versions up to `after_version`, later ones speak for themselves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import msgspec

from concept_fragmentation.persistence import codec, documents, tensors
from concept_fragmentation.persistence.blobs import LocalBlobs, storage_errors
from concept_fragmentation.persistence.cache import MAX_ENTRY_BYTES, AnalysisCache
from concept_fragmentation.persistence.catalog import Catalog, Entry
from concept_fragmentation.persistence.clock import now, timestamp
from concept_fragmentation.persistence.errors import (
    AnalysisNotFoundError,
    CorruptedFileError,
    StorageError,
    UnsupportedFormatError,
    not_found_sentence,
)
from concept_fragmentation.persistence.filters import Filters
from concept_fragmentation.persistence.identifiers import folder_name
from concept_fragmentation.persistence.locks import Locks
from concept_fragmentation.persistence.records import delete_states

logger = logging.getLogger(__name__)

DATA_FORMAT: Final = "gpt2_analysis_v1"
RESERVED_METADATA: Final = (
    "analysis_id",
    "data_format",
    "input_text",
    "model_name",
    "name",
    "notes",
    "tags",
    "timestamp",
    "version",
)

_RESULTS: Final = "analysis_results"
_CARDS: Final = "metadata"
_DOCUMENT: Final = re.compile(r"v(\d{6,})\.json")
_LISTED_TEXT: Final = 1000
_NEAR_NAMES: Final = 2000


@dataclass(frozen=True)
class Draft:
    """An analysis that is about to become a version; everything in it was checked."""

    analysis_id: str
    model_name: str
    input_text: str
    num_tokens: int
    num_layers: int
    analysis_data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    name: str | None
    tags: Sequence[str]
    notes: str


@dataclass(frozen=True)
class _Card:
    """What changed of an analysis without a new version."""

    analysis_id: str
    name: str
    tags: list[str]
    notes: str
    after_version: int
    last_version: int

    def labels(self) -> dict[str, Any]:
        """The part that a reader sees."""
        return {"name": self.name, "tags": list(self.tags), "notes": self.notes}


@dataclass
class _Change:
    """One analysis while its lock is held: what is known of it, and what to record of it."""

    summaries: dict[int, dict[str, Any]]
    card: _Card | None
    # Of the newest version; None where it is as the catalog has it.
    input_text: str | None = None

    @property
    def newest(self) -> int:
        """The newest version there is, 0 if there is none."""
        return max(self.summaries, default=0)

    @property
    def last_given(self) -> int:
        """The highest version number that was ever given."""
        return max(self.newest, self.card.last_version if self.card else 0)

    def labels(self) -> dict[str, Any]:
        """The current name, tags and notes."""
        if self.card and self.card.after_version >= self.newest:
            return self.card.labels()
        newest = self.summaries[self.newest]
        return {key: newest[key] for key in ("name", "tags", "notes")}


class AnalysisFiles:
    """Saves, loads, lists and deletes versions; keeps the catalog in step."""

    def __init__(
        self, blobs: LocalBlobs, locks: Locks, cache: AnalysisCache, max_versions: int | None
    ) -> None:
        """Versions live in `blobs`; the newest `max_versions` of each analysis are kept."""
        self._blobs = blobs
        self._locks = locks
        self._cache = cache
        self._max_versions = max_versions
        self._catalog = Catalog(blobs.path("metadata/catalog.sqlite"), self._read_entries)

    def close(self) -> None:
        """Close what is held open; the next call opens it again."""
        self._catalog.close()

    def save(self, draft: Draft) -> int:
        """Commit `draft` as the next version of its analysis and return the version's number."""
        folder = folder_name(draft.analysis_id)
        arrays: dict[str, tensors.Array] = {}
        data = codec.encode(dict(draft.analysis_data), "analysis_data", arrays)
        with self._changing(folder) as change:
            version = change.last_given + 1
            document: dict[str, Any] = {
                "metadata": codec.encode(_metadata(draft, version, change), "metadata"),
                "model_info": {
                    "model_name": draft.model_name,
                    "num_tokens": draft.num_tokens,
                    "num_layers": draft.num_layers,
                    "input_length": len(draft.input_text),
                },
                "tensors": None,
                "analysis_data": data,
            }
            size = 0
            if arrays:
                with self._blobs.writing(_tensor_name(folder, version)) as path:
                    checksums = tensors.write(path, arrays)
                    size = path.stat().st_size
                document["tensors"] = {"file": f"{_stem(version)}.safetensors"} | checksums
            rendered = documents.render("analysis", document)
            self._blobs.write(_document_name(folder, version), rendered)
            change.summaries[version] = _summary(document, size + len(rendered))
            change.input_text = draft.input_text
            self._prune(folder, change)
        return version

    def load(self, analysis_id: str, version: int | None) -> dict[str, Any]:
        """The loaded structure of one version, the newest if `version` is None."""
        folder = folder_name(analysis_id)
        # The newest version can be pruned between the look and the read when others save.
        for _attempt in range(10):
            number = self._newest(folder) if version is None else version
            if number is None:
                break
            loaded = self._load(folder, number)
            if loaded is not None and loaded["metadata"]["analysis_id"] == analysis_id:
                card = self._read_card(folder)
                if card is not None and number <= card.after_version:
                    loaded["metadata"] |= card.labels()
                return loaded
            if version is not None:
                break
        raise self._not_found(analysis_id, version)

    def exists(self, analysis_id: str) -> bool:
        """Whether any version of it is stored."""
        return self._newest(folder_name(analysis_id)) is not None

    def check_exists(self, analysis_id: str) -> None:
        """Raise AnalysisNotFoundError unless a version of it is stored."""
        if not self.exists(analysis_id):
            raise self._not_found(analysis_id, None)

    def summaries(self, filters: Filters) -> list[dict[str, Any]]:
        """What `list_analyses` returns, from the catalog alone."""
        self._heal()
        return [_from_text(summary) for summary in self._catalog.summaries(filters)]

    def versions(self, analysis_id: str) -> list[dict[str, Any]]:
        """What `list_versions` returns, newest first."""
        self._heal()
        folder = folder_name(analysis_id)
        if folder in self._catalog.pending():
            # Being changed right now, or the disk is too full to heal: the files know.
            known = self._read(folder).summaries
            found = [known[version] for version in sorted(known, reverse=True)]
        else:
            found = [_from_text(summary) for summary in self._catalog.versions(folder).values()]
        if not found:
            raise self._not_found(analysis_id, None)
        if (card := self._read_card(folder)) is None:
            return found
        labels = card.labels()
        return [s | labels if s["version"] <= card.after_version else s for s in found]

    def update(
        self,
        analysis_id: str,
        *,
        name: str | None,
        tags: Sequence[str] | None,
        notes: str | None,
    ) -> None:
        """Change name, tags or notes without a new version; None leaves a thing as it is."""
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            if not change.summaries:
                raise self._not_found(analysis_id, None)
            labels = change.labels()
            if name is not None:
                labels["name"] = name
            if tags is not None:
                labels["tags"] = list(tags)
            if notes is not None:
                labels["notes"] = notes
            self._write_card(folder, change, labels)

    def delete(self, analysis_id: str, version: int | None) -> None:
        """Delete one version, or the whole analysis with its card and visualization states."""
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            if not change.summaries or (version is not None and version not in change.summaries):
                raise self._not_found(analysis_id, version)
            if version is None or len(change.summaries) == 1:
                self._blobs.delete_folder(f"{_RESULTS}/{folder}")
                self._forget(folder)
                change.summaries.clear()
                return
            if version == change.newest:
                # Its number must not be given again, and its labels are the analysis's.
                self._write_card(folder, change, change.labels())
            self._delete_version(folder, version)
            del change.summaries[version]
            change.input_text = self._input_text(folder, change.newest)

    @contextlib.contextmanager
    def _changing(self, folder: str) -> Iterator[_Change]:
        """Hold the lock of one analysis, and record in the catalog what the block made of it."""
        with self._locks.holding(folder):
            known = self._catalog.announce(folder)
            if known is None:
                change = self._read(folder)
            else:
                summaries = {version: _from_text(text) for version, text in known.items()}
                change = _Change(summaries, self._read_card(folder))
            try:
                yield change
            except BaseException:
                # If even this fails, the announcement stays and `_heal` looks again later.
                with contextlib.suppress(StorageError, CorruptedFileError):
                    self._record(folder, self._read(folder))
                raise
            try:
                self._record(folder, change)
            except StorageError as error:
                # The files are the truth and they are changed; the announcement stays.
                logger.warning("The catalog lags behind the files: %s", error)

    def _heal(self) -> None:
        """Look again at analyses whose change was announced by a process that is gone."""
        for folder in self._catalog.pending():
            with self._locks.holding_if_free(folder) as held:
                if held and folder in self._catalog.pending():
                    try:
                        change = self._read(folder)
                        if not change.summaries:
                            self._forget(folder)
                        self._record(folder, change)
                    except StorageError as error:
                        # A list must not fail because the disk is full; the next one heals.
                        logger.warning("The catalog lags behind the files: %s", error)

    def _record(self, folder: str, change: _Change) -> None:
        self._catalog.record(folder, _entry(folder, change) if change.summaries else None)

    def _read_entries(self) -> Iterator[Entry]:
        """Everything that the catalog should hold."""
        for folder in self._blobs.names(_RESULTS):
            change = self._read(folder)
            if change.summaries:
                yield _entry(folder, change)

    def _read(self, folder: str) -> _Change:
        """One analysis as its files tell it; a damaged document is left out with a warning."""
        summaries = {}
        for version in self._versions_on_disk(folder):
            try:
                document = self._read_document(folder, version)
                if document is None:
                    continue
                size = sum(stat.st_size for stat in self._stats(folder, version) if stat)
                summaries[version] = _summary(document, size)
            except (CorruptedFileError, UnsupportedFormatError) as error:
                logger.warning("Left out of the catalog: %s", error)
        text = self._input_text(folder, max(summaries)) if summaries else None
        return _Change(summaries, self._read_card(folder), text)

    def _input_text(self, folder: str, version: int) -> str | None:
        document = self._read_document(folder, version)
        return codec.decode(document["metadata"])["input_text"] if document else None

    def _load(self, folder: str, version: int) -> dict[str, Any] | None:
        """One version, from the cache or the files; None if it is not there."""
        stats = self._stats(folder, version)
        first_line = self._blobs.read(_document_name(folder, version), limit=documents.FIRST_LINE)
        if stats[0] is None or first_line is None:
            return None
        # The checksum tells one content from another, size and time a file that was harmed since.
        key = f"{folder}/{version}:{first_line!r}:" + ":".join(
            f"{stat.st_ino},{stat.st_size},{stat.st_mtime_ns}" for stat in stats if stat
        )
        cacheable = sum(stat.st_size for stat in stats if stat) <= MAX_ENTRY_BYTES
        if cacheable and (packed := self._cache.get(key)) is not None:
            length = int.from_bytes(packed[:8], "little")
            document = msgspec.json.decode(packed[8 : 8 + length])
            return _structure(document, io.BytesIO(packed[8 + length :]), key)
        document = self._read_document(folder, version)
        if document is None:
            return None
        path = self._blobs.path(_tensor_name(folder, version))
        try:
            with path.open("rb") if document["tensors"] else io.BytesIO() as file:
                structure = _structure(document, file, str(path))
                if cacheable:
                    file.seek(0)
                    body = msgspec.json.encode(document)
                    self._cache.set(key, len(body).to_bytes(8, "little") + body + file.read())
        except FileNotFoundError as error:
            if self._stats(folder, version)[0] is None:
                return None
            raise CorruptedFileError(
                f"Corrupted analysis: its tensor file {str(path)!r} is missing.", path=str(path)
            ) from error
        return structure

    def _stats(
        self, folder: str, version: int
    ) -> tuple[os.stat_result | None, os.stat_result | None]:
        """Of the document and of the tensor file; None for one that is not there."""

        def stat(name: str) -> os.stat_result | None:
            path = self._blobs.path(name)
            with storage_errors("read", path):
                try:
                    return path.stat()
                except FileNotFoundError:
                    return None

        return stat(_document_name(folder, version)), stat(_tensor_name(folder, version))

    def _read_document(self, folder: str, version: int) -> dict[str, Any] | None:
        name = _document_name(folder, version)
        data = self._blobs.read(name)
        return (
            None if data is None else documents.parse("analysis", data, str(self._blobs.path(name)))
        )

    def _versions_on_disk(self, folder: str) -> list[int]:
        matches = map(_DOCUMENT.fullmatch, self._blobs.names(f"{_RESULTS}/{folder}"))
        return sorted(int(match[1]) for match in matches if match)

    def _newest(self, folder: str) -> int | None:
        return max(self._versions_on_disk(folder), default=None)

    def _read_card(self, folder: str) -> _Card | None:
        name = f"{_CARDS}/{folder}.json"
        if (data := self._blobs.read(name)) is None:
            return None
        try:
            body = documents.parse("card", data, str(self._blobs.path(name)))
        except CorruptedFileError as error:
            # Every version carries the labels it was saved with; those are still right data.
            logger.warning("%s Using the name, tags and notes as they were when saved.", error)
            return None
        return _Card(**codec.decode(body))

    def _write_card(self, folder: str, change: _Change, labels: dict[str, Any]) -> None:
        analysis_id = change.summaries[change.newest]["analysis_id"]
        card = _Card(
            analysis_id, **labels, after_version=change.newest, last_version=change.last_given
        )
        body = codec.encode(dataclasses.asdict(card))
        self._blobs.write(f"{_CARDS}/{folder}.json", documents.render("card", body))
        change.card = card

    def _prune(self, folder: str, change: _Change) -> None:
        if self._max_versions is None:
            return
        for version in sorted(change.summaries)[: -self._max_versions]:
            try:
                self._delete_version(folder, version)
            except StorageError as error:
                # The new version is safe; the next save prunes again.
                logger.warning("An old version was not removed: %s", error)
                return
            del change.summaries[version]

    def _delete_version(self, folder: str, version: int) -> None:
        # The document first: without it the version is gone, whatever happens then.
        self._blobs.delete(_document_name(folder, version))
        self._blobs.delete(_tensor_name(folder, version))

    def _forget(self, folder: str) -> None:
        """Remove what belongs to an analysis that has no versions left."""
        delete_states(self._blobs, folder)
        self._blobs.delete(f"{_CARDS}/{folder}.json")

    def _not_found(self, analysis_id: str, version: int | None) -> AnalysisNotFoundError:
        there = self._versions_on_disk(folder_name(analysis_id))
        if version is not None and there:
            known = ", ".join(map(str, there))
            return AnalysisNotFoundError(
                f"Version {version} of analysis {analysis_id!r} not found. Stored: {known}."
            )
        near = self._catalog.newest_ids(_NEAR_NAMES)
        return AnalysisNotFoundError(
            not_found_sentence("Analysis", analysis_id, near)
            + " list_analyses() shows what is stored."
        )


def _stem(version: int) -> str:
    return f"v{version:06d}"


def _document_name(folder: str, version: int) -> str:
    return f"{_RESULTS}/{folder}/{_stem(version)}.json"


def _tensor_name(folder: str, version: int) -> str:
    return f"{_RESULTS}/{folder}/{_stem(version)}.safetensors"


def _metadata(draft: Draft, version: int, change: _Change) -> dict[str, Any]:
    """The metadata of the next version: labels that were not given stay as they are."""
    labels = (
        change.labels()
        if change.summaries
        else {"name": draft.analysis_id, "tags": [], "notes": ""}
    )
    reserved = {
        "analysis_id": draft.analysis_id,
        "name": labels["name"] if draft.name is None else draft.name,
        "model_name": draft.model_name,
        "input_text": draft.input_text,
        "timestamp": timestamp(now()),
        "version": version,
        "data_format": DATA_FORMAT,
        "tags": list(draft.tags) or labels["tags"],
        "notes": draft.notes or labels["notes"],
    }
    return reserved | dict(draft.metadata)


def _structure(document: dict[str, Any], file: BinaryIO, path: str) -> dict[str, Any]:
    """The loaded structure of a document whose arrays are in `file`."""
    checksums = document["tensors"]
    read = tensors.TensorFile(file, path, checksums).read if checksums else None
    with _paused_gc():
        return {
            "metadata": codec.decode(document["metadata"]),
            "analysis_data": codec.decode(document["analysis_data"], read),
            "model_info": document["model_info"],
        }


@contextlib.contextmanager
def _paused_gc() -> Iterator[None]:
    """Keep the collector from running while tens of thousands of containers are made that stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _summary(document: dict[str, Any], size: int) -> dict[str, Any]:
    """What lists say of a version: its metadata, a long text cut, and its numbers."""
    metadata: dict[str, Any] = codec.decode(document["metadata"])
    counted = ("num_tokens", "num_layers", "input_length")
    numbers = {key: document["model_info"][key] for key in counted}
    metadata["input_text"] = metadata["input_text"][:_LISTED_TEXT]
    return metadata | numbers | {"size_bytes": size}


def _entry(folder: str, change: _Change) -> Entry:
    newest = change.summaries[change.newest] | change.labels()
    total = sum(summary["size_bytes"] for summary in change.summaries.values())
    words = (newest[key] for key in ("analysis_id", "name", "model_name", "notes"))
    return Entry(
        folder=folder,
        analysis_id=newest["analysis_id"],
        name=newest["name"],
        model_name=newest["model_name"],
        timestamp=newest["timestamp"],
        num_tokens=newest["num_tokens"],
        num_layers=newest["num_layers"],
        labels_text="\n".join([*words, *newest["tags"]]),
        input_text=change.input_text,
        tags=tuple(newest["tags"]),
        summary=_to_text(newest | {"num_versions": len(change.summaries), "size_bytes": total}),
        version_summaries={v: _to_text(summary) for v, summary in change.summaries.items()},
    )


def _to_text(summary: dict[str, Any]) -> str:
    return msgspec.json.encode(codec.encode(summary)).decode()


def _from_text(text: str) -> dict[str, Any]:
    summary: dict[str, Any] = codec.decode(msgspec.json.decode(text))
    return summary
