"""What can go wrong with the store: each error names the thing and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from concept_fragmentation.analysis.errors import ConceptFragmentationError


class NotFoundError(ConceptFragmentationError, LookupError):
    """Nothing is stored under that identifier."""


class AnalysisNotFoundError(NotFoundError):
    """No analysis, or no such version of it, is stored under that identifier."""


class VisualizationStateNotFoundError(NotFoundError):
    """No visualization state is stored under that identifier."""


class SessionNotFoundError(NotFoundError):
    """No session is stored under that identifier."""


class TrashEntryNotFoundError(NotFoundError):
    """Nothing in the trash is of that analysis."""


class AnalysisExistsError(ConceptFragmentationError):
    """The analysis or version that should be put there is there."""


class UnsupportedFormatError(ConceptFragmentationError, ValueError):
    """A format that this version can neither write nor read."""


class CorruptedFileError(ConceptFragmentationError):
    """A file of the store or an imported file is not what was written; `.path` names it."""

    def __init__(self, message: str, *, path: str) -> None:
        """Keep the sentence and the path of the damaged file."""
        super().__init__(message)
        self.path = path


class UnsafeIdentifierError(ConceptFragmentationError, ValueError):
    """An identifier that could leave the store's folder or that a file system can't hold."""


class StorageError(ConceptFragmentationError, OSError):
    """The disk refused (full, no permission, gone); what was stored before is unharmed."""


class ReadOnlyStoreError(StorageError):
    """The store lies in a folder that this user, or nobody, may write to."""

    @classmethod
    def of(cls, root: Path) -> Self:
        """Return the error that says so of the store in `root`."""
        return cls(
            f"The store in {str(root)!r} is read-only for this user; nothing was changed. Make its "
            "folders writable, or copy it elsewhere with backup() and work on the copy."
        )


def not_found_sentence(what: str, identifier: str, known: Iterable[str]) -> str:
    """`Analysis not found: 'x'.`, with the nearest known identifiers if there are any."""
    near = difflib.get_close_matches(identifier, known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return f"{what} not found: {identifier!r}.{hint}"
