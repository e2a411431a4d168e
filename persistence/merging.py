"""Taking another store's analyses, states and sessions into this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from concept_fragmentation.analysis import check_analysis
from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.persistence import codec, documents, marker
from concept_fragmentation.persistence.analyses import (
    AnalysisFiles,
    check_description,
    read_card,
)
from concept_fragmentation.persistence.blobs import LocalBlobs
from concept_fragmentation.persistence.errors import StorageError
from concept_fragmentation.persistence.identifiers import check_identifier, folder_name
from concept_fragmentation.persistence.records import (
    SESSIONS,
    STATES,
    Sessions,
    VisualizationStates,
    read_session,
    read_state,
    states_of,
)
from concept_fragmentation.persistence.versions import RESULTS, VersionFiles

_ID_LENGTH: Final = 100

Progress = Callable[[int, int, str], object]


@dataclass(repr=False)
class ImportReport(Shown):
    """What `import_store` did.

    Attributes:
        imported: ids of the analyses that are new here, under the id that they have here.
        extended: {id: the versions that were missing here}.
        already_here: ids of the analyses of which everything was here.
        renamed: {id there: id here}, where the id was taken here by other content.
        states: how many visualization states came in.
        sessions: ids of the sessions that came in.
        problems: what was left out, and why.
    """

    imported: list[str] = field(default_factory=list)
    extended: dict[str, list[int]] = field(default_factory=dict)
    already_here: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    states: int = 0
    sessions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Merging:
    """Reads one other store, which is never changed, and merges it into this one."""

    def __init__(
        self,
        source: Path,
        analyses: AnalysisFiles,
        states: VisualizationStates,
        sessions: Sessions,
    ) -> None:
        """From the store in `source`.

        Raises:
            InvalidDataError: there is no store.
            UnsupportedFormatError: it was written by a newer version.
        """
        if marker.check(source) is None and not (source / RESULTS).is_dir():
            raise InvalidDataError(
                [f"{source}: it is no store; a folder with {marker.MARKER} is needed"]
            )
        self._blobs = LocalBlobs(source)
        self._versions = VersionFiles(self._blobs)
        self._analyses = analyses
        self._states = states
        self._sessions = sessions
        self.report = ImportReport()

    def run(self, progress: Progress | None) -> None:
        """Merge everything; done again, it goes on where an error ended it."""
        folders = sorted(self._versions.folders())
        for i, folder in enumerate(folders):
            if progress is not None:
                progress(i, len(folders), folder)
            self._merge_folder(folder)
        for name in sorted(self._blobs.names(SESSIONS)):
            if name.endswith(".json"):
                self._merge_session(name)
        if progress is not None:
            progress(len(folders), len(folders), "")

    def _merge_folder(self, folder: str) -> None:
        found: dict[int, dict[str, Any]] = {}
        links = self._links(folder)
        for version in [] if links else self._versions.numbers(folder):
            document = self._attempt(
                f"version {version} in {folder!r}", partial(self._whole, folder, version)
            )
            if document is not None:
                found[version] = document
        if links:
            self._leave_out(folder, "it holds links; only plain files are taken")
        if not found:
            return
        identifier = str(codec.decode(found[max(found)]["metadata"])["analysis_id"])
        card = self._attempt(f"the card of {folder!r}", partial(read_card, self._blobs, folder))
        path = self._versions.path(folder)
        here, added = identifier, self._analyses.adopt(identifier, found, path, card)
        if added is None:
            # The id is taken by other content; the new one is made from the content, so that the
            # same import again finds it.
            content = blake3(b"".join(documents.render("analysis", d) for d in found.values()))
            here = f"{identifier[:_ID_LENGTH]}-{content.hexdigest(length=4)}"
            named = {version: _named(document, here) for version, document in found.items()}
            card = card and card.of(here)
            added = self._analyses.adopt(here, named, path, card)
            if added is None:
                self._leave_out(folder, f"its id and {here!r} are both taken by other content")
                return
            self.report.renamed[identifier] = here
        if not added:
            self.report.already_here.append(here)
        elif len(added) == len(found):
            self.report.imported.append(here)
        else:
            self.report.extended[here] = added
        for name in states_of(self._blobs, folder):
            self._attempt(f"the state {name!r}", partial(self._merge_state, name, here))

    def _links(self, folder: str) -> bool:
        path = self._versions.path(folder)
        return path.is_symlink() or any(file.is_symlink() for file in path.iterdir())

    def _whole(self, folder: str, version: int) -> dict[str, Any] | None:
        """A version's document, after everything that it names was verified and understood."""
        document = self._versions.document(folder, version)
        if document is None:
            return None
        metadata = codec.decode(document["metadata"])
        identifier = check_identifier(metadata["analysis_id"])
        if folder_name(identifier) != folder or metadata["version"] != version:
            raise InvalidDataError([f"it says it is version {metadata['version']} of {identifier}"])
        for damage in self._versions.damage(folder, version):
            raise damage
        reader = self._versions.tensors(folder, version, document)
        if reader is None:
            check_analysis(codec.decode(document["analysis_data"]))
        else:
            with reader:
                check_analysis(codec.decode(document["analysis_data"], reader.part))
        check_description(document)
        return document

    def _merge_state(self, name: str, here: str) -> None:
        if self._blobs.path(name).is_symlink():
            raise InvalidDataError(["it is a link"])
        state = read_state(self._blobs, name.removeprefix(f"{STATES}/").removesuffix(".json"))
        if state is not None and self._states.adopt(state, here):
            self.report.states += 1

    def _merge_session(self, name: str) -> None:
        def merge() -> None:
            if self._blobs.path(f"{SESSIONS}/{name}").is_symlink():
                raise InvalidDataError(["it is a link"])
            session = read_session(self._blobs, name.removesuffix(".json"))
            if session is not None:
                added = self._sessions.adopt(session, self.report.renamed)
                self.report.sessions += [] if added is None else [added]

        self._attempt(f"the session {name!r}", merge)

    def _attempt(self, what: str, run: Callable[[], Any]) -> Any:
        """The result; what is damaged or makes no sense over there is left out and reported."""
        try:
            return run()
        except StorageError:
            raise
        except ConceptFragmentationError as error:
            self._leave_out(what, str(error))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._leave_out(what, f"it can't be understood ({type(error).__name__}: {error})")
        return None

    def _leave_out(self, what: str, why: str) -> None:
        self.report.problems.append(f"Left out {what} of {str(self._blobs.root)!r}: {why}")


def _named(document: dict[str, Any], identifier: str) -> dict[str, Any]:
    return document | {"metadata": document["metadata"] | {"analysis_id": identifier}}
