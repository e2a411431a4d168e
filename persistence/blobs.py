"""The seam to the medium: named byte blobs below one root; today local files.

Names are relative, with `/`. A blob appears whole or not at all: it is written under a temporary
name, flushed, renamed, and its folder flushed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from concept_fragmentation.persistence.errors import StorageError

# Of our own temporaries, and of those that safetensors writes beside what it writes.
TEMPORARY_PREFIX: Final = ".tmp"
TRASH_PREFIX: Final = ".trash-"

# What a file system answers that has no hard links, or no more of them.
_NO_LINKS: Final = (
    errno.EPERM,
    errno.EXDEV,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EACCES,
)


@contextlib.contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that names what was tried, the path and the reason."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise StorageError(
            f"Could not {action} {str(path)!r}: {reason}; nothing was changed. "
            "Check free space and permissions of that folder and try again."
        ) from error


def flush_folder(folder: Path) -> None:
    """Make renames and unlinks in `folder` durable (where the system lets a folder be opened)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_file(path: Path) -> None:
    """Make the content of `path` durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name; where that can't be, a durable copy."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
        flush_file(target)


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file; `target` appears whole."""
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
    try:
        shutil.copyfile(source, temporary)
        flush_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it durably becomes `target`.

    Whatever stood at `target` stays until the very rename, and is there again if the rename can't
    be made durable. On failure the temporary is removed.
    """
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        yield temporary
        flush_file(temporary)
        with contextlib.suppress(FileNotFoundError):
            os.link(target, old)
        temporary.replace(target)
        try:
            flush_folder(target.parent)
        except OSError:
            if old.exists():
                old.replace(target)
            else:
                target.unlink()
            raise
    finally:
        for path in (temporary, old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


class LocalBlobs:
    """Blobs in files below `root`."""

    def __init__(self, root: Path) -> None:
        """Blobs live below `root`; folders are made when first written to."""
        self.root = root

    def path(self, name: str) -> Path:
        """The local file of a blob, for readers that map it into memory."""
        return self.root / name

    def write(self, name: str, data: bytes) -> None:
        """Create or replace a blob, atomically and durably."""
        with self.writing(name) as path:
            path.write_bytes(data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path to write a blob's content to; on success it becomes the blob."""
        target = self.path(name)
        with storage_errors("write", target):
            self._make_folder(target.parent)
            with replacing(target) as temporary:
                yield temporary

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """The content of a blob, its first `limit` bytes if given; None if there is none."""
        path = self.path(name)
        with storage_errors("read", path):
            try:
                with path.open("rb") as file:
                    return file.read(limit)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def names(self, folder: str) -> list[str]:
        """The names directly below `folder`, without temporaries and trash, in no order."""
        return [name for name in self.all_names(folder) if not name.startswith(".")]

    def all_names(self, folder: str) -> list[str]:
        """The names directly below `folder`, in no order."""
        path = self.path(folder)
        with storage_errors("list", path):
            try:
                return os.listdir(path)  # noqa: PTH208 - three times as fast
            except (FileNotFoundError, NotADirectoryError):
                return []

    def delete(self, name: str) -> None:
        """Remove a blob durably; one that is not there is fine."""
        path = self.path(name)
        with storage_errors("delete", path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            flush_folder(path.parent)

    def remove(self, path: Path) -> None:
        """Remove a file or folder that nobody uses; one that is not there is fine."""
        with storage_errors("delete", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def move_folder(self, name: str, target: str) -> None:
        """Give a folder another name, durably and in one instant; an empty one there gives way."""
        path, to = self.path(name), self.path(target)
        with storage_errors("move", path):
            self._make_folder(to.parent)
            path.rename(to)
            try:
                flush_folder(to.parent)
                flush_folder(path.parent)
            except OSError:
                to.rename(path)
                raise

    def delete_folder(self, name: str) -> None:
        """Remove a folder and all in it; to everyone else it goes in one instant."""
        path = self.path(name)
        with storage_errors("delete", path):
            trash = path.with_name(f"{TRASH_PREFIX}{secrets.token_hex(6)}")
            try:
                path.rename(trash)
            except FileNotFoundError:
                return
            flush_folder(path.parent)
            shutil.rmtree(trash)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)
