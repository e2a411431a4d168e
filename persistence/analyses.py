"""Analyses: their versions (see `versions`), cards and catalog entries, kept in step.

    metadata/<folder>.json      the card: what changed of an analysis without a new version

The card is there only if name, tags or notes were changed after a save, or the newest version was
deleted; it speaks for the versions up to `after_version`, later ones speak for themselves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from concept_fragmentation.persistence import codec, documents, tensors
from concept_fragmentation.persistence.blobs import (
    LocalBlobs,
    copy_durably,
    link_or_copy,
    storage_errors,
)
from concept_fragmentation.persistence.cache import MAX_ENTRY_BYTES, AnalysisCache
from concept_fragmentation.persistence.catalog import Catalog, Entry
from concept_fragmentation.persistence.catalog_copy import CatalogCopy, Stamp
from concept_fragmentation.persistence.clock import now, timestamp
from concept_fragmentation.persistence.errors import (
    AnalysisExistsError,
    AnalysisNotFoundError,
    CorruptedFileError,
    StorageError,
    TrashEntryNotFoundError,
    UnsupportedFormatError,
    not_found_sentence,
)
from concept_fragmentation.persistence.filters import Filters
from concept_fragmentation.persistence.handle import AnalysisHandle
from concept_fragmentation.persistence.identifiers import folder_name
from concept_fragmentation.persistence.locks import Locks
from concept_fragmentation.persistence.records import states_of
from concept_fragmentation.persistence.trash import TRASH, VERSIONS, Trash, TrashEntry
from concept_fragmentation.persistence.versions import RESULTS, VersionFiles

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

_CARDS: Final = "metadata"
_LISTED_TEXT: Final = 1000
_NEAR_NAMES: Final = 2000
_NAMED: Final = 3


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
    compress: bool


@dataclass(frozen=True)
class Card:
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

    def of(self, analysis_id: str) -> Card:
        """The same card of an analysis with another id."""
        return dataclasses.replace(self, analysis_id=analysis_id)


@dataclass
class _Change:
    """One analysis while its lock is held: what is known of it, and what to record of it."""

    summaries: dict[int, dict[str, Any]]
    card: Card | None
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
        self._versions = VersionFiles(blobs)
        self._trash = Trash(blobs)
        path = blobs.path("metadata/catalog.sqlite")
        # Made when it is first asked.
        copy = CatalogCopy(path, self._stamps, self._read_entry, self._is_certain)
        self._catalog: Catalog = (
            copy if blobs.read_only else Catalog(path, self._read_entries, copy.ask)
        )

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
            self._versions.write(folder, version, document, arrays, compress=draft.compress)
            size = self._versions.size(folder, version, document)
            change.summaries[version] = _summary(document, size)
            change.input_text = draft.input_text
            self._prune(folder, change)
        return version

    def load(self, analysis_id: str, version: int | None) -> dict[str, Any]:
        """The loaded structure of one version, the newest if `version` is None."""
        return self._find(analysis_id, version, self._load)

    def open(
        self,
        analysis_id: str,
        version: int | None,
        reopen: Callable[[str, int], AnalysisHandle],
    ) -> AnalysisHandle:
        """A handle on one version, the newest if `version` is None; `reopen` as it takes it."""
        found = self._find(analysis_id, version, self._open)
        number = found["metadata"]["version"]
        return AnalysisHandle(**found, load=lambda: self.load(analysis_id, number), reopen=reopen)

    def _find(
        self,
        analysis_id: str,
        version: int | None,
        read: Callable[[str, int], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """What `read` gives for a version, with the current labels in its metadata."""
        folder = folder_name(analysis_id)
        # The newest version can be pruned between the look and the read when others save.
        for _attempt in range(10):
            number = self._versions.newest(folder) if version is None else version
            if number is None:
                break
            found = read(folder, number)
            if found is not None and found["metadata"]["analysis_id"] == analysis_id:
                card = self._read_card(folder)
                if card is not None and number <= card.after_version:
                    found["metadata"] |= card.labels()
                return found
            if version is not None:
                break
        raise self._not_found(analysis_id, version)

    def exists(self, analysis_id: str) -> bool:
        """Whether any version of it is stored."""
        return self._versions.newest(folder_name(analysis_id)) is not None

    def check_exists(self, analysis_id: str) -> None:
        """Raise AnalysisNotFoundError unless a version of it is stored."""
        if not self.exists(analysis_id):
            raise self._not_found(analysis_id, None)

    def summaries(self, filters: Filters) -> list[dict[str, Any]]:
        """What `list_analyses` returns, from the catalog alone."""
        self.heal()
        return [_from_text(summary) for summary in self._catalog.summaries(filters)]

    def versions(self, analysis_id: str) -> list[dict[str, Any]]:
        """What `list_versions` returns, newest first."""
        self.heal()
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

    def compress(self, analysis_id: str) -> None:
        """Compress the tensor files of all versions that are whole."""
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            if not change.summaries:
                raise self._not_found(analysis_id, None)
            self._versions.sweep(folder)
            # A damaged file must not be packed as if it were whole.
            for version in self._versions.numbers(folder):
                for damage in self._versions.damage(folder, version):
                    raise damage
            self._versions.compress(folder)
            sizes = self._read(folder)
            change.summaries = sizes.summaries
            change.input_text = sizes.input_text

    def delete(self, analysis_id: str, version: int | None, *, permanently: bool) -> None:
        """Delete one version, or the whole analysis with its card and visualization states."""
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            if not change.summaries or (version is not None and version not in change.summaries):
                raise self._not_found(analysis_id, version)
            if version is None or len(change.summaries) == 1:
                if permanently:
                    self._blobs.delete_folder(f"{RESULTS}/{folder}")
                else:
                    self._throw_away(folder, change)
                self._forget(folder)
                change.summaries.clear()
            else:
                if version == change.newest:
                    # Its number must not be given again, and its labels are the analysis's.
                    self._write_card(folder, change, change.labels())
                if not permanently:
                    self._throw_version_away(folder, version, change)
                self._versions.delete(folder, version)
                self._sweep(folder)
                del change.summaries[version]
                change.input_text = self._input_text(folder, change.newest)

    def _throw_away(self, folder: str, change: _Change) -> None:
        """Move the analysis's folder into the trash: the rename deletes it."""
        names = states_of(self._blobs, folder)
        if change.card is not None:
            names.append(card_name(folder))
        entry = self._trash.add(
            change.summaries[change.newest]["analysis_id"],
            folder,
            None,
            change.labels()["name"],
            {name: self._blobs.path(name) for name in names},
        )
        try:
            self._blobs.move_folder(f"{RESULTS}/{folder}", f"{TRASH}/{entry.trash_id}/{VERSIONS}")
        except StorageError:
            with contextlib.suppress(StorageError):
                self._trash.remove(entry.trash_id)
            raise

    def _throw_version_away(self, folder: str, version: int, change: _Change) -> None:
        """Link a version's files into the trash; it is deleted when its document goes."""
        document = self._versions.document(folder, version)
        if document is None:
            return
        path = self._versions.document_path(folder, version)
        files = [path, *self._versions.tensor_paths(folder, document)]
        self._trash.add(
            change.summaries[version]["analysis_id"],
            folder,
            version,
            change.labels()["name"],
            {f"{VERSIONS}/{file.name}": file for file in files if file.exists()},
        )

    def trash_entries(self) -> list[TrashEntry]:
        """What can be restored, the last deleted first."""
        return [entry for entry in self._trash.entries() if not self._is_alive(entry)]

    def _is_alive(self, entry: TrashEntry) -> bool:
        """Whether a version is where it was: it died between the two steps of deleting it."""
        if entry.version is None:
            return False
        there = self._versions.raw(entry.folder, entry.version)
        name = self._versions.document_path(entry.folder, entry.version).name
        return there is not None and there == self._blobs.read(
            f"{TRASH}/{entry.trash_id}/{VERSIONS}/{name}"
        )

    def restore(self, analysis_id: str, trash_id: str | None) -> None:
        """Put back what was deleted last of an analysis, or the entry that is named."""
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            entry = next(
                (
                    entry
                    for entry in self.trash_entries()
                    if entry.analysis_id == analysis_id and trash_id in (None, entry.trash_id)
                ),
                None,
            )
            if entry is None:
                raise TrashEntryNotFoundError(
                    f"Nothing of analysis {analysis_id!r} is in the trash"
                    + (f" under {trash_id!r}." if trash_id else ".")
                    + " list_trash() shows what is."
                )
            if entry.version is None:
                self._restore_analysis(entry, change)
            else:
                self._restore_version(entry, entry.version, change)
            fresh = self._read(folder)
            change.summaries, change.card = fresh.summaries, fresh.card
            change.input_text = fresh.input_text
            try:
                self._trash.remove(entry.trash_id)
            except StorageError as error:
                logger.warning("What was restored is still in the trash: %s", error)

    def _restore_analysis(self, entry: TrashEntry, change: _Change) -> None:
        folder = entry.folder
        if change.summaries or self._versions.numbers(folder):
            raise AnalysisExistsError(
                f"Analysis {entry.analysis_id!r} can't be restored: another one was saved under "
                f"its id since. Delete that one, then restore trash_id={entry.trash_id!r}."
            )
        self._versions.sweep(folder)
        # First what belongs to it; the rename restores it.
        for part in ("visualizations", "metadata"):
            for name in self._blobs.names(f"{TRASH}/{entry.trash_id}/{part}"):
                data = self._blobs.read(f"{TRASH}/{entry.trash_id}/{part}/{name}")
                if data is not None:
                    self._blobs.write(f"{part}/{name}", data)
        self._blobs.move_folder(f"{TRASH}/{entry.trash_id}/{VERSIONS}", f"{RESULTS}/{folder}")

    def _restore_version(self, entry: TrashEntry, version: int, change: _Change) -> None:
        if version in change.summaries or version in self._versions.numbers(entry.folder):
            raise AnalysisExistsError(
                f"Version {version} of analysis {entry.analysis_id!r} can't be restored: another "
                "one has that number now. Delete that one first."
            )
        source = entry.path(self._blobs) / VERSIONS
        path = source / self._versions.document_path(entry.folder, version).name
        with storage_errors("read", path):
            document = documents.parse("analysis", path.read_bytes(), str(path))
        self._versions.adopt(entry.folder, version, document, source, link_or_copy)

    def adopt(
        self,
        analysis_id: str,
        found: Mapping[int, dict[str, Any]],
        source: Path,
        card: Card | None,
    ) -> list[int] | None:
        """Take in the versions of another store that are missing here.

        Args:
            analysis_id: of which analysis.
            found: their documents.
            source: the folder that their tensor files are in.
            card: the other store's; it is taken if the analysis is new here.

        Returns:
            The versions that were missing; None if the id is taken here by other content.
        """
        folder = folder_name(analysis_id)
        with self._changing(folder) as change:
            here = self._versions.numbers(folder)
            common = [version for version in found if version in here]
            same = all(_same(self._versions.document(folder, v), found[v]) for v in common)
            if not same or (here and not common):
                return None
            missing = sorted(set(found) - set(here))
            if not here and card is not None and card.analysis_id == analysis_id:
                body = codec.encode(dataclasses.asdict(card))
                self._blobs.write(card_name(folder), documents.render("card", body))
            for version in missing:
                self._versions.adopt(folder, version, found[version], source, copy_durably)
            if missing:
                fresh = self._read(folder)
                change.summaries, change.card = fresh.summaries, fresh.card
                change.input_text = fresh.input_text
            return missing

    def purge(self, older_than: timedelta) -> int:
        """Remove for good what was deleted longer ago than that; how many entries."""
        self._blobs.check_writable()
        removed = 0
        for name in self._trash.older_than(older_than):
            try:
                entry = self._trash.read(name)
            except (CorruptedFileError, UnsupportedFormatError):
                # `repair` puts it aside.
                continue
            with self._locks.holding(entry.folder if entry else name):
                self._trash.remove(name)
            removed += 1
        return removed

    @contextlib.contextmanager
    def _changing(self, folder: str) -> Iterator[_Change]:
        """Hold the lock of one analysis, and record in the catalog what the block made of it."""
        with self._locks.holding(folder):
            known = self._catalog.announce(folder)
            if known is None:
                # Somebody died in a change of it: what that left behind goes.
                self._sweep(folder)
                change = self._read(folder)
            else:
                summaries = {version: _from_text(text) for version, text in known.items()}
                change = _Change(summaries, self._read_card(folder))
            try:
                yield change
            except BaseException:
                # If even this fails, the announcement stays and `heal` looks again later.
                with contextlib.suppress(StorageError, CorruptedFileError):
                    self._record(folder, self._read(folder))
                raise
            try:
                self._record(folder, change)
            except StorageError as error:
                # The files are the truth and they are changed; the announcement stays.
                logger.warning("The catalog lags behind the files: %s", error)

    def heal(self) -> None:
        """Look again at analyses whose change was announced by a process that is gone."""
        for folder in self._catalog.pending():
            with self._locks.holding_if_free(folder) as held:
                if held and folder in self._catalog.pending():
                    try:
                        self._sweep(folder)
                        change = self._read(folder)
                        # A damaged version is no deleted one.
                        if not self._versions.numbers(folder):
                            self._forget(folder)
                        self._record(folder, change)
                    except StorageError as error:
                        # A list must not fail because the disk is full; the next one heals.
                        logger.warning("The catalog lags behind the files: %s", error)

    def _record(self, folder: str, change: _Change) -> None:
        self._catalog.record(folder, self._entry(folder, change) if change.summaries else None)

    def _read_entries(self) -> Iterator[Entry]:
        """Everything that the catalog should hold."""
        for folder in self._versions.folders():
            if (entry := self._read_entry(folder)) is not None:
                yield entry

    def _read_entry(self, folder: str) -> Entry | None:
        """What the catalog should hold of one analysis; None if nothing is left of it."""
        change = self._read(folder)
        return self._entry(folder, change) if change.summaries else None

    def _stamps(self) -> dict[str, Stamp]:
        """What tells a state of an analysis's files from an earlier one, for each folder."""
        cards = {
            entry.name.removesuffix(".json"): entry.stat().st_mtime_ns
            for entry in self._blobs.entries(_CARDS)
            if entry.name.endswith(".json")
        }
        found: dict[str, Stamp] = {}
        for entry in self._blobs.entries(RESULTS):
            changed, card = entry.stat().st_mtime_ns, cards.get(entry.name, 0)
            found[entry.name] = (max(changed, card), changed, card)
        return found

    def _is_certain(self, folder: str, versions: frozenset[int]) -> bool:
        """Whether a catalog that knows these versions of a folder is right about it."""
        # A card may be newer than what the catalog says.
        has_card = self._blobs.path(card_name(folder)).exists()
        return not has_card and frozenset(self._versions.numbers(folder)) == versions

    def _entry(self, folder: str, change: _Change) -> Entry:
        return _entry(folder, change, self._versions.total_size(folder))

    def _read(self, folder: str) -> _Change:
        """One analysis as its files tell it; a damaged document is left out with a warning."""
        summaries = {}
        for version in self._versions.numbers(folder):
            try:
                document = self._versions.document(folder, version)
                if document is None:
                    continue
                size = self._versions.size(folder, version, document)
                summaries[version] = _summary(document, size)
            except (CorruptedFileError, UnsupportedFormatError) as error:
                logger.warning("Left out of the catalog: %s", error)
        text = self._input_text(folder, max(summaries)) if summaries else None
        return _Change(summaries, self._read_card(folder), text)

    def _input_text(self, folder: str, version: int) -> str | None:
        document = self._versions.document(folder, version)
        return codec.decode(document["metadata"])["input_text"] if document else None

    def _load(self, folder: str, version: int) -> dict[str, Any] | None:
        """One version, from the cache or the files; None if it is not there."""
        first_line = self._first_line(folder, version)
        if first_line is None:
            return None
        # The checksum tells one content from another.
        key = f"{folder}/{version}:{first_line!r}"
        if (packed := self._cache.get(key)) is not None:
            document, files, arrays = _unpack(packed)
            # A file that was harmed since has another size or time: it must be found out.
            if files == _identities(map(Path, files)):
                return _structure(document, arrays.__getitem__)
        found = self._versions.document(folder, version)
        if found is None:
            return None
        document = found
        paths = self._versions.tensor_paths(folder, document)
        identities = _identities([self._versions.document_path(folder, version), *paths])
        arrays = {}
        try:
            if reader := self._versions.tensors(folder, version, document):
                with reader:
                    arrays = reader.read_all()
        except CorruptedFileError:
            if self._first_line(folder, version) == first_line:
                raise
            # Deleted, or deleted and saved anew, while it was read.
            return self._load(folder, version)
        if sum(array.nbytes for array in arrays.values()) <= MAX_ENTRY_BYTES:
            self._cache.set(key, _pack(document, identities, arrays))
        return _structure(document, arrays.__getitem__)

    def _first_line(self, folder: str, version: int) -> bytes | None:
        """What tells the content of a version from any other; None if it is not there."""
        return self._versions.raw(folder, version, limit=documents.FIRST_LINE)

    def _open(self, folder: str, version: int) -> dict[str, Any] | None:
        """One version's document and its tensors, not read yet; None if it is not there."""
        if (document := self._versions.document(folder, version)) is None:
            return None
        return {
            "metadata": codec.decode(document["metadata"]),
            "model_info": document["model_info"],
            "encoded": document["analysis_data"],
            "tensors": self._versions.tensors(folder, version, document),
        }

    def _read_card(self, folder: str) -> Card | None:
        try:
            return read_card(self._blobs, folder)
        except CorruptedFileError as error:
            # Every version carries the labels it was saved with; those are still right data.
            logger.warning("%s Using the name, tags and notes as they were when saved.", error)
            return None

    def listed_folders(self) -> list[str]:
        """The folders of all analyses that the catalog knows."""
        self.heal()
        return self._catalog.folders()

    def is_listed_right(self, folder: str) -> bool:
        """Whether the catalog says of an analysis what its files say; its lock is held."""
        change = self._read(folder)
        summaries = {version: _to_text(summary) for version, summary in change.summaries.items()}
        return self._catalog.versions(folder) == summaries

    def reindex(self) -> int:
        """Make the catalog anew from the files; how many analyses it holds."""
        self._blobs.check_writable()
        return self._catalog.rebuild()

    def _write_card(self, folder: str, change: _Change, labels: dict[str, Any]) -> None:
        analysis_id = change.summaries[change.newest]["analysis_id"]
        card = Card(
            analysis_id, **labels, after_version=change.newest, last_version=change.last_given
        )
        body = codec.encode(dataclasses.asdict(card))
        self._blobs.write(card_name(folder), documents.render("card", body))
        change.card = card

    def _prune(self, folder: str, change: _Change) -> None:
        if self._max_versions is None:
            return
        old = sorted(change.summaries)[: -self._max_versions]
        for version in old:
            try:
                self._versions.delete(folder, version)
            except StorageError as error:
                # The new version is safe; the next save prunes again.
                logger.warning("An old version was not removed: %s", error)
                if self._versions.raw(folder, version, limit=1) is not None:
                    break
            del change.summaries[version]
        if old:
            self._sweep(folder)

    def _sweep(self, folder: str) -> None:
        try:
            self._versions.sweep(folder)
        except StorageError as error:
            # What was asked for is done; the next change sweeps again.
            logger.warning("Files that nobody needs were not removed: %s", error)

    def _forget(self, folder: str) -> None:
        """Remove what belongs to an analysis that has no versions left."""
        try:
            for name in [*states_of(self._blobs, folder), card_name(folder)]:
                self._blobs.delete(name)
        except StorageError as error:
            # It is deleted; `verify` finds what is left of it.
            logger.warning("Not all of a deleted analysis was removed: %s", error)

    def _not_found(self, analysis_id: str, version: int | None) -> AnalysisNotFoundError:
        there = self._versions.numbers(folder_name(analysis_id))
        if version is not None and there:
            known = ", ".join(map(str, there))
            return AnalysisNotFoundError(
                f"Version {version} of analysis {analysis_id!r} not found. Stored: {known}."
            )
        named = [
            summary["analysis_id"]
            for summary in map(
                _from_text, self._catalog.summaries(Filters(name_prefix=analysis_id))
            )
            if summary["name"] == analysis_id
        ]
        if named:
            listed = ", ".join(map(repr, named[:_NAMED]))
            return AnalysisNotFoundError(
                f"No analysis has the id {analysis_id!r}, which is a name; give the id of what has "
                f"it: {listed}{', ...' if len(named) > _NAMED else ''}."
            )
        near = self._catalog.newest_ids(_NEAR_NAMES)
        return AnalysisNotFoundError(
            not_found_sentence("Analysis", analysis_id, near)
            + " The Library and list_analyses() show what is stored."
        )


def card_name(folder: str) -> str:
    """The name of an analysis's card as a blob."""
    return f"{_CARDS}/{folder}.json"


def check_description(document: Mapping[str, Any]) -> None:
    """Raise ValueError unless a document describes itself with what the catalog needs."""
    metadata, info = codec.decode(document["metadata"]), document["model_info"]
    texts = ("analysis_id", "name", "model_name", "input_text", "timestamp", "notes")
    wrong = [key for key in texts if type(metadata[key]) is not str]
    if type(metadata["tags"]) is not list or {*map(type, metadata["tags"])} - {str}:
        wrong.append("tags")
    if wrong:
        raise ValueError(f"no text in metadata: {', '.join(wrong)}")
    if datetime.fromisoformat(metadata["timestamp"]).tzinfo is None:
        raise ValueError("metadata.timestamp has no offset")
    for key in ("num_tokens", "num_layers", "input_length"):
        if type(info[key]) is not int or not 0 <= info[key] < 2**53:
            raise ValueError(f"model_info.{key} is no count")


def _same(document: dict[str, Any] | None, other: dict[str, Any]) -> bool:
    return msgspec.json.encode(document) == msgspec.json.encode(other)


def read_card(blobs: LocalBlobs, folder: str) -> Card | None:
    """An analysis's card; None if there is none.

    Raises:
        CorruptedFileError: it is not what was written.
    """
    if (data := blobs.read(card_name(folder))) is None:
        return None
    body = documents.parse("card", data, str(blobs.path(card_name(folder))))
    return Card(**codec.decode(body))


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


def _pack(
    document: dict[str, Any], files: dict[str, Any], arrays: Mapping[str, tensors.Array]
) -> bytes:
    """A version as the cache keeps it, with what its files looked like."""
    head = msgspec.json.encode({"document": document, "files": files})
    return len(head).to_bytes(8, "little") + head + tensors.pack(arrays)


def _unpack(packed: bytes) -> tuple[dict[str, Any], dict[str, Any], dict[str, tensors.Array]]:
    end = 8 + int.from_bytes(packed[:8], "little")
    head = msgspec.json.decode(packed[8:end])
    return head["document"], head["files"], tensors.unpack(packed[end:])


def _identities(paths: Iterable[Path]) -> dict[str, Any]:
    """What a file looks like from outside: another content has another time or size."""

    def look(path: Path) -> list[int] | None:
        with storage_errors("read", path):
            try:
                stat = path.stat()
            except FileNotFoundError:
                return None
            return [stat.st_ino, stat.st_size, stat.st_mtime_ns]

    return {str(path): look(path) for path in paths}


def _structure(document: dict[str, Any], read: Callable[[str], tensors.Array]) -> dict[str, Any]:
    """The loaded structure of a document whose arrays `read` gives."""
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


def _entry(folder: str, change: _Change, size: int) -> Entry:
    newest = change.summaries[change.newest] | change.labels()
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
        summary=_to_text(newest | {"num_versions": len(change.summaries), "size_bytes": size}),
        version_summaries={v: _to_text(summary) for v, summary in change.summaries.items()},
    )


def _to_text(summary: dict[str, Any]) -> str:
    return msgspec.json.encode(codec.encode(summary)).decode()


def _from_text(text: str) -> dict[str, Any]:
    summary: dict[str, Any] = msgspec.json.decode(text)
    # Where no key begins so, JSON held everything as itself; lists are of many summaries.
    return codec.decode(summary) if '"$' in text else summary
