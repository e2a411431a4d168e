"""A consistent copy of a live store: everything as it was at one instant.

For that instant every lock of the store is held, while all files get a second name (a hard link) in
a folder aside; files are never changed, so what has a second name stays. Then the writers go on and
the files are copied from there.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    flush_file,
    flush_folder,
    link_or_copy,
    rename_folder,
    storage_errors,
)
from concept_fragmentation.persistence.errors import StorageError
from concept_fragmentation.persistence.locks import Locks
from concept_fragmentation.persistence.marker import MARKER
from concept_fragmentation.persistence.records import SESSIONS, STATES
from concept_fragmentation.persistence.trash import TRASH
from concept_fragmentation.persistence.versions import RESULTS

# Without what can be made anew (cache, catalog) and what is already outside (exports, quarantine).
_COPIED: Final = (RESULTS, STATES, SESSIONS, "metadata", TRASH)

Progress = Callable[[int, int, str], object]


def backup(root: Path, locks: Locks, target: Path, progress: Progress | None) -> None:
    """Copy the store in `root` to `target`, which appears whole or not at all.

    Raises:
        StorageError: `target` is there already or inside the store, or the disk refused.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(
            f"Could not back up to {str(target)!r}: something is there; choose a new folder."
        )
    if target.resolve().is_relative_to(root.resolve()):
        raise StorageError(
            f"Could not back up to {str(target)!r}: it is inside the store; choose another folder."
        )
    mark = f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    snapshot, copy = root / mark, target.parent / mark
    with storage_errors("back up to", target):
        try:
            if locks.are_kept:
                with locks.holding_all():
                    for path in _files(root):
                        aside = snapshot / path.relative_to(root)
                        aside.parent.mkdir(parents=True, exist_ok=True)
                        link_or_copy(path, aside)
                source = snapshot
                files = [path for path in snapshot.rglob("*") if path.is_file()]
            else:
                # Of a store that nobody may write to, there is nothing to hold.
                source, files = root, list(_files(root))
            for i, path in enumerate(files):
                relative = path.relative_to(source)
                if progress is not None:
                    progress(i, len(files), str(relative))
                to = copy / relative
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
                flush_file(to)
                if source is snapshot:
                    # Whoever repairs meanwhile sees that this is not abandoned.
                    os.utime(snapshot)
            for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
                flush_folder(folder)
            rename_folder(copy, target)
            flush_folder(target.parent)
            if progress is not None:
                progress(len(files), len(files), "")
        finally:
            shutil.rmtree(snapshot, ignore_errors=True)
            shutil.rmtree(copy, ignore_errors=True)


def _files(root: Path) -> Iterator[Path]:
    """The files of a store that its analyses, states and sessions are made of."""
    if (root / MARKER).exists():
        # Stores of format 1 have none.
        yield root / MARKER
    for folder in _COPIED:
        for path in (root / folder).rglob("*"):
            parts = path.relative_to(root).parts
            hidden = any(part.startswith(".") for part in parts)
            made_anew = parts[0] == "metadata" and path.suffix != ".json"
            if path.is_file() and not hidden and not made_anew:
                yield path
