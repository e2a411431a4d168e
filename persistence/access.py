"""Write access: whether a store is read-only, and where its temporary files go then."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from blake3 import blake3

from concept_fragmentation.persistence.blobs import set_mode, storage_errors
from concept_fragmentation.persistence.errors import StorageError

# What a file system answers to whoever may not write to it.
REFUSALS: Final = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))


def may_write(folder: Path) -> bool:
    """Return whether this process may make files in a folder that is there."""
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def may_write_file(path: Path) -> bool:
    """Return whether this process may write to a file that is there."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=effective)


def is_read_only(root: Path, folders: Iterable[str], *, there: bool) -> bool:
    """Return whether a store that is `there` is in folders that this process may not write to.

    Folders of it that are missing are made: of a store that is new, all.

    Raises:
        StorageError: there is no store, and none can be made.
    """
    with storage_errors("make", root):
        for name in folders:
            folder = root / name
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                if error.errno in REFUSALS and there:
                    return True
                raise
    return not all(may_write(root / name) for name in folders)


def private_folder(root: Path) -> Path:
    """Return a folder of this user alone for what the store in `root` can't hold, made if needed.

    It is the same for all processes of the user.

    Raises:
        StorageError: the system has no place for temporary files.
    """
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError as error:
        raise StorageError(
            f"The store in {str(root)!r} can't be written to, and no folder for temporary files "
            "was found; set the variable TMPDIR to one."
        ) from error
    user = _user()
    name = "concept-fragmentation" if user is None else f"concept-fragmentation-{user}"
    mine = temporary / name
    with storage_errors("make", mine):
        mine.mkdir(mode=0o700, exist_ok=True)
        found = mine.lstat()
        if not stat.S_ISDIR(found.st_mode) or (user is not None and found.st_uid != user):
            # Somebody else made it first, to see or to change what is put there.
            mine = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=temporary))
        elif user is not None:
            set_mode(mine, 0o700)
        folder = mine / blake3(os.fsencode(root)).hexdigest(length=16)
        folder.mkdir(exist_ok=True)
    return folder


def own_path(folder: Path) -> Path:
    """Return `folder`, or the path beside it that is this user's where it is another's."""
    user = _user()
    with storage_errors("read", folder), contextlib.suppress(FileNotFoundError):
        if user is not None and folder.stat().st_uid != user:
            return folder.with_name(f"{folder.name}-{user}")
    return folder


def own_folder(folder: Path) -> Path:
    """Make `own_path(folder)`, which nobody else may read, and return it."""
    mine = own_path(folder)
    with storage_errors("make", mine):
        mine.mkdir(mode=0o700, parents=True, exist_ok=True)
        set_mode(mine, stat.S_IMODE(mine.stat().st_mode) & ~0o077)
    return mine


def _user() -> int | None:
    # Windows has no such number.
    number: int | None = getattr(os, "geteuid", lambda: None)()
    return number


def share(path: Path) -> None:
    """Make a file that a library opens, with the permissions that the umask gives to any new file.

    SQLite would make one that only its owner may write to, whatever the umask says. One of an
    earlier version is widened to what its folder admits, where it is this user's.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    admitted = stat.S_IMODE(path.parent.stat().st_mode) & 0o060
    for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(FileNotFoundError):
            found = part.stat()
            if found.st_uid == _user():
                set_mode(part, stat.S_IMODE(found.st_mode) | admitted)
