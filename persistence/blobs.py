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
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from concept_fragmentation.persistence.errors import ReadOnlyStoreError, StorageError

# Of our own temporaries, and of those that safetensors writes beside what it writes.
TEMPORARY_PREFIX: Final = ".tmp"
TRASH_PREFIX: Final = ".trash-"

# What a file system answers that has no hard links, or no more of them.
_NO_LINKS: Final = frozenset(
    (
        errno.EPERM,
        errno.EXDEV,
        errno.EMLINK,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EACCES,
        # Windows says so of a disk without NTFS.
        errno.EINVAL,
    )
)
# What a file system answers that can't flush a folder: shares of VirtualBox, some of CIFS and FUSE.
_NO_FOLDER_FLUSH: Final = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF))
# What a file system answers that keeps no permissions of its own.
_NO_PERMISSIONS: Final = frozenset(
    (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
)
# On Windows a file that somebody reads can't be replaced; readers of ours are done at once.
_REFUSES_WHILE_READ: Final = os.name == "nt"
_PATIENCE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.01


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
    """Make renames and unlinks in `folder` durable, where the file system can flush a folder.

    Where it can't, a rename is atomic all the same, and durable as soon as the system writes it.
    """
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        # Windows opens no folders.
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | flag)
    except PermissionError as error:
        if error.errno != errno.EACCES:
            raise
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(descriptor)


def flush_file(path: Path) -> None:
    """Make the content of `path` durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name; where that can't be, a durable copy."""
    link: Callable[[Path, Path], None] | None = getattr(os, "link", None)
    if link is not None:
        try:
            link(source, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
    mode = stat.S_IMODE(source.stat().st_mode)
    # A file that only its owner may read is never readable by others, not even for an instant.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o600))
    try:
        shutil.copyfile(source, target)
        set_mode(target, mode)
        flush_file(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def set_mode(path: Path, mode: int) -> None:
    """Give a file these permissions, where the file system keeps any."""
    if stat.S_IMODE(path.stat().st_mode) == mode:
        return
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in _NO_PERMISSIONS:
            raise


def replace_file(source: Path, target: Path) -> None:
    """Rename `source` to `target`, over what stands there."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if not _REFUSES_WHILE_READ or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def rename_folder(source: Path, target: Path) -> None:
    """Rename the folder `source` to `target`; an empty folder there gives way."""
    try:
        source.rename(target)
    except FileExistsError:
        # Windows replaces no folder, not even an empty one.
        target.rmdir()
        source.rename(target)


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file; `target` appears whole."""
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
    try:
        shutil.copyfile(source, temporary)
        flush_file(temporary)
        replace_file(temporary, target)
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
            link_or_copy(target, old)
        replace_file(temporary, target)
        try:
            flush_folder(target.parent)
        except OSError:
            if old.exists():
                replace_file(old, target)
            else:
                target.unlink()
            raise
    finally:
        for path in (temporary, old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


class LocalBlobs:
    """Blobs in files below `root`."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        """Blobs live below `root`; folders are made when first written to.

        If `read_only`, whatever would change them raises ReadOnlyStoreError.
        """
        self.root = root
        self.read_only = read_only

    def check_writable(self) -> None:
        """Raise ReadOnlyStoreError if nothing may be changed."""
        if self.read_only:
            raise ReadOnlyStoreError.of(self.root)

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
        self.check_writable()
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

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What lies directly below `folder`, without temporaries and trash, in no order."""
        path = self.path(folder)
        with storage_errors("list", path):
            try:
                with os.scandir(path) as found:
                    return [entry for entry in found if not entry.name.startswith(".")]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def delete(self, name: str) -> None:
        """Remove a blob durably; one that is not there is fine."""
        self.check_writable()
        path = self.path(name)
        with storage_errors("delete", path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            flush_folder(path.parent)

    def remove(self, path: Path) -> None:
        """Remove a file or folder that nobody uses; one that is not there is fine."""
        self.check_writable()
        with storage_errors("delete", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def move_folder(self, name: str, target: str) -> None:
        """Give a folder another name, durably and in one instant; an empty one there gives way."""
        self.check_writable()
        path, to = self.path(name), self.path(target)
        with storage_errors("move", path):
            self._make_folder(to.parent)
            rename_folder(path, to)
            try:
                flush_folder(to.parent)
                flush_folder(path.parent)
            except OSError:
                to.rename(path)
                raise

    def delete_folder(self, name: str) -> None:
        """Remove a folder and all in it; to everyone else it goes in one instant."""
        self.check_writable()
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
