"""Looking after a store: what is wrong with it, and putting aside what can't be mended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.persistence.analyses import AnalysisFiles, card_name, read_card
from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    TRASH_PREFIX,
    LocalBlobs,
    flush_folder,
    link_or_copy,
    storage_errors,
)
from concept_fragmentation.persistence.clock import now
from concept_fragmentation.persistence.errors import CorruptedFileError, UnsupportedFormatError
from concept_fragmentation.persistence.identifiers import folder_name
from concept_fragmentation.persistence.locks import Locks
from concept_fragmentation.persistence.records import (
    SESSIONS,
    STATES,
    Sessions,
    VisualizationStates,
    states_of,
)
from concept_fragmentation.persistence.tensors import files_of
from concept_fragmentation.persistence.trash import TRASH, Trash
from concept_fragmentation.persistence.versions import RESULTS, VersionFiles, document_name

QUARANTINE: Final = "quarantine"

# Whoever writes a file is done with it after that.
_ABANDONED_SECONDS: Final = 3600.0
_REPAIR: Final = "repair() puts it aside; a backup may still have it whole"

Progress = Callable[[int, int, str], object]


@dataclass(frozen=True, repr=False)
class Problem(Shown):
    """Something that is wrong with a store.

    Attributes:
        kind: `damaged` (a byte is not what was written, or a file is missing), `newer` (written by
            a newer version), `misplaced` (a version in another's folder), `leftover` (of a killed
            process), `catalog` (the index is behind the files), `dangling` (points at an analysis
            that is not there).
        path: the file.
        analysis_id: of which analysis; None where that is not known.
        sentence: what is wrong.
        remedy: what to do.
    """

    kind: str
    path: str
    analysis_id: str | None
    sentence: str
    remedy: str


@dataclass(repr=False)
class RepairReport(Shown):
    """What `repair` did.

    Attributes:
        quarantined: the files that were put aside, as they are called in `quarantine/` now.
        removed: leftovers of killed processes that were removed.
        problems: what is still wrong.
    """

    quarantined: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Upkeep:
    """Verifies and repairs one store."""

    def __init__(
        self,
        blobs: LocalBlobs,
        locks: Locks,
        analyses: AnalysisFiles,
        states: VisualizationStates,
        sessions: Sessions,
    ) -> None:
        """Of the store in `blobs`."""
        self._blobs = blobs
        self._locks = locks
        self._analyses = analyses
        self._versions = VersionFiles(blobs)
        self._trash = Trash(blobs)
        self._states = states
        self._sessions = sessions

    def verify(self, analysis_id: str | None, progress: Progress | None) -> Iterator[Problem]:
        """Everything that is wrong, or what is wrong with one analysis."""
        listed = self._analyses.listed_folders()
        if analysis_id is None:
            folders = sorted({*self._versions.folders(), *listed})
        else:
            self._analyses.check_exists(analysis_id)
            folders = [folder_name(analysis_id)]
        for i, folder in enumerate(folders):
            if progress is not None:
                progress(i, len(folders), folder)
            yield from self._of_folder(folder)
        yield from self._of_states(analysis_id)
        yield from self._of_sessions(analysis_id)
        if analysis_id is None:
            yield from self._of_trash()
            for path in self._abandoned():
                yield _leftover(path, None)
        if progress is not None:
            progress(len(folders), len(folders), "")

    def _of_folder(self, folder: str) -> Iterator[Problem]:
        identifier: str | None = None
        readable = True
        for version in self._versions.numbers(folder):
            path = str(self._versions.document_path(folder, version))
            try:
                document = self._versions.document(folder, version)
            except CorruptedFileError as error:
                readable = False
                yield Problem("damaged", error.path, identifier, str(error), _REPAIR)
                continue
            except UnsupportedFormatError as error:
                readable = False
                remedy = "upgrade concept-fragmentation"
                yield Problem("newer", path, identifier, str(error), remedy)
                continue
            if document is None:
                continue
            identifier = str(document["metadata"]["analysis_id"])
            if folder_name(identifier) != folder:
                sentence = f"{path!r} is a version of analysis {identifier!r}, in another's folder."
                yield Problem("misplaced", path, identifier, sentence, _REPAIR)
                continue
            for damage in self._versions.damage(folder, version):
                # Deleted while it was read, it is not damaged.
                if self._versions.raw(folder, version, limit=1) is not None:
                    yield Problem("damaged", damage.path, identifier, str(damage), _REPAIR)
        try:
            read_card(self._blobs, folder)
        except CorruptedFileError as error:
            yield Problem("damaged", error.path, identifier, str(error), _REPAIR)
        with self._locks.holding_if_free(folder) as held:
            # Whoever holds it is changing these right now.
            if held:
                for name in self._versions.orphans(folder):
                    yield _leftover(self._versions.path(folder) / name, identifier)
                if readable and not self._analyses.is_listed_right(folder):
                    yield Problem(
                        "catalog",
                        str(self._blobs.path("metadata/catalog.sqlite")),
                        identifier,
                        f"The catalog does not say of {folder!r} what its files say.",
                        "reindex() makes the catalog anew from the files",
                    )

    def _of_states(self, analysis_id: str | None) -> Iterator[Problem]:
        names = (
            [name for name in self._blobs.names(STATES) if name.endswith(".json")]
            if analysis_id is None
            else [n.split("/")[1] for n in states_of(self._blobs, folder_name(analysis_id))]
        )
        for name in names:
            path = str(self._blobs.path(f"{STATES}/{name}"))
            try:
                state = self._states.read(name.removesuffix(".json"))
            except CorruptedFileError as error:
                yield Problem("damaged", path, analysis_id, str(error), _REPAIR)
                continue
            except UnsupportedFormatError as error:
                yield Problem("newer", path, analysis_id, str(error), "upgrade")
                continue
            if state is not None and not self._analyses.exists(state["analysis_id"]):
                yield Problem(
                    "dangling",
                    path,
                    state["analysis_id"],
                    f"The visualization state {path!r} is of analysis {state['analysis_id']!r}, "
                    "which is not stored.",
                    "restore_analysis() if it is in the trash; else repair() puts the state aside",
                )

    def _of_sessions(self, analysis_id: str | None) -> Iterator[Problem]:
        for name in self._blobs.names(SESSIONS):
            if not name.endswith(".json"):
                continue
            path = str(self._blobs.path(f"{SESSIONS}/{name}"))
            try:
                session = self._sessions.read(name.removesuffix(".json"))
            except CorruptedFileError as error:
                yield Problem("damaged", path, None, str(error), _REPAIR)
                continue
            except UnsupportedFormatError as error:
                yield Problem("newer", path, None, str(error), "upgrade concept-fragmentation")
                continue
            if session is None:
                continue
            for missing in session["missing_analysis_ids"]:
                if analysis_id in (None, missing):
                    yield Problem(
                        "dangling",
                        path,
                        missing,
                        f"Session {session['session_name']!r} names analysis {missing!r}, which is "
                        "not stored.",
                        "restore_analysis() if it is in the trash; else update_session()",
                    )

    def _of_trash(self) -> Iterator[Problem]:
        for name in self._blobs.names(TRASH):
            path = self._blobs.path(f"{TRASH}/{name}")
            try:
                entry = self._trash.read(name)
            except (CorruptedFileError, UnsupportedFormatError) as error:
                yield Problem("damaged", str(path / "entry.json"), None, str(error), _REPAIR)
                continue
            if entry is None or not (path / "versions").is_dir():
                yield _leftover(path, None)

    def _abandoned(self) -> list[Path]:
        """What killed processes left in the folders that many write to at once."""
        shared = ("", "metadata", STATES, SESSIONS, "exports", TRASH, RESULTS, QUARANTINE)
        found = []
        for folder in shared:
            for name in self._blobs.all_names(folder):
                if name.startswith((TEMPORARY_PREFIX, TRASH_PREFIX)):
                    path = self._blobs.path(f"{folder}/{name}")
                    try:
                        age = time.time() - path.stat().st_mtime
                    except FileNotFoundError:
                        continue
                    if age > _ABANDONED_SECONDS:
                        found.append(path)
        return found

    def repair(self, progress: Progress | None) -> RepairReport:
        """Put aside what is torn, remove leftovers, make the catalog anew; nothing is deleted."""
        self._blobs.check_writable()
        report = RepairReport()
        # One folder a repair, so that nothing is ever overwritten there.
        aside = f"{QUARANTINE}/{now():%Y%m%dT%H%M%S%f}"
        folders = sorted(self._versions.folders())
        for i, folder in enumerate(folders):
            if progress is not None:
                progress(i, len(folders), folder)
            with self._locks.holding(folder):
                self._repair_folder(folder, aside, report)
        for problem in [*self._of_states(None), *self._of_sessions(None)]:
            path = Path(problem.path)
            if problem.kind == "damaged" or (
                problem.kind == "dangling" and path.parent.name == STATES
            ):
                self._put_aside([f"{path.parent.name}/{path.name}"], aside, report)
        for problem in list(self._of_trash()):
            name = Path(problem.path).relative_to(self._blobs.path(TRASH)).parts[0]
            if problem.kind == "leftover":
                self._trash.remove(name)
                report.removed.append(problem.path)
            else:
                self._blobs.move_folder(f"{TRASH}/{name}", f"{aside}/{TRASH}/{name}")
                report.quarantined.append(str(self._blobs.path(f"{aside}/{TRASH}/{name}")))
        for path in self._abandoned():
            self._blobs.remove(path)
            report.removed.append(str(path))
        self._analyses.reindex()
        report.problems = list(self.verify(None, progress))
        return report

    def _repair_folder(self, folder: str, aside: str, report: RepairReport) -> None:
        try:
            torn = self._torn(folder)
        except UnsupportedFormatError:
            # Written by a newer version: not ours to judge, nor to touch.
            return
        names = [document_name(folder, version) for version in torn]
        if names:
            # With a torn version go the arrays that only torn versions need.
            needed: set[str] = set()
            for version in self._versions.numbers(folder):
                if version not in torn and (found := self._versions.document(folder, version)):
                    needed |= set(files_of(found["tensors"]))
            names += [
                f"{RESULTS}/{folder}/{name}"
                for name in self._blobs.names(f"{RESULTS}/{folder}")
                if ".safetensors" in name and name.split(".", maxsplit=1)[0] not in needed
            ]
            self._put_aside(names, aside, report)
        try:
            read_card(self._blobs, folder)
        except CorruptedFileError:
            self._put_aside([card_name(folder)], aside, report)
        report.removed += [
            str(self._versions.path(folder) / n) for n in self._versions.orphans(folder)
        ]
        self._versions.sweep(folder)

    def _torn(self, folder: str) -> list[int]:
        """The versions that are torn or not in their own folder.

        Raises:
            UnsupportedFormatError: one was written by a newer version.
        """
        torn = []
        for version in self._versions.numbers(folder):
            try:
                document = self._versions.document(folder, version)
                whole = document is None or (
                    folder_name(str(document["metadata"]["analysis_id"])) == folder
                    and not any(True for _ in self._versions.damage(folder, version))
                )
            except CorruptedFileError:
                whole = False
            if not whole:
                torn.append(version)
        return torn

    def _put_aside(self, names: list[str], aside: str, report: RepairReport) -> None:
        """Move blobs below `aside`: all of them are there before the first one goes."""
        targets = [self._blobs.path(f"{aside}/{name}") for name in names]
        for name, target in zip(names, targets, strict=True):
            with storage_errors("write", target):
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(self._blobs.path(name), target)
                flush_folder(target.parent)
        for name in names:
            self._blobs.delete(name)
        report.quarantined += map(str, targets)


def _leftover(path: Path, analysis_id: str | None) -> Problem:
    return Problem(
        "leftover",
        str(path),
        analysis_id,
        f"{str(path)!r} was left behind by a process that was killed.",
        "repair() removes it",
    )


def sizes(root: Path) -> dict[str, Any]:
    """How many files and bytes each folder of a store has."""
    found: dict[str, Any] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
        found[folder.name] = {"files": len(stats), "bytes": sum(s.st_size for s in stats)}
    return found
