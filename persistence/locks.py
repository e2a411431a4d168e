"""Locks between processes: one writer at a time for each analysis, session or state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from blake3 import blake3
from filelock import FileLock, Timeout

from concept_fragmentation.persistence.blobs import storage_errors
from concept_fragmentation.persistence.errors import ReadOnlyStoreError, StorageError

# A fixed number of lock files: they can't be deleted safely, so there must not be one a name.
_STRIPES: Final = 256
_GATE: Final = "gate.lock"
_WAIT_SECONDS: Final = 120.0


class Locks:
    """Locks in files below `folder`; the system frees them when their process dies."""

    def __init__(self, folder: Path, read_only: Path | None = None) -> None:
        """Lock files live in `folder`; of a store that is `read_only`, its folder is given."""
        self._folder = folder
        self._read_only = read_only

    @property
    def are_kept(self) -> bool:
        """Whether there are locks: a store that is read-only has none."""
        return self._read_only is None

    @contextlib.contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Wait for the lock of `name` and hold it; a holder must not ask for another.

        Raises:
            StorageError: somebody else held it for two minutes, or the store is read-only.
        """
        self._check_writable()
        with storage_errors("lock", self._folder):
            # Whoever wants all locks closes the gate first: else they would seldom all be free.
            if (gate := self._acquire_file(_GATE, _WAIT_SECONDS)) is not None:
                gate.release()
            lock = self._acquire(name, _WAIT_SECONDS)
        if lock is None:
            raise StorageError(
                f"{name!r} is in use by another process for {_WAIT_SECONDS:.0f} seconds; "
                "nothing was changed. Try again when that process is done."
            )
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def holding_all(self) -> Iterator[None]:
        """Hold every lock: nobody changes an analysis or a session meanwhile.

        Raises:
            StorageError: somebody else held one for two minutes, or the store is read-only.
        """
        self._check_writable()
        with contextlib.ExitStack() as stack:
            for file in (_GATE, *map(_stripe, range(_STRIPES))):
                with storage_errors("lock", self._folder):
                    lock = self._acquire_file(file, _WAIT_SECONDS)
                if lock is None:
                    raise StorageError(
                        f"The store is in use by another process for {_WAIT_SECONDS:.0f} seconds; "
                        "nothing was changed. Try again when that process is done."
                    )
                stack.callback(lock.release)
            yield

    @contextlib.contextmanager
    def holding_if_free(self, name: str) -> Iterator[bool]:
        """Hold the lock of `name` if nobody does; yields whether it is held.

        A store that is read-only has no locks: nobody changes it here.
        """
        if self._read_only is not None:
            yield True
            return
        with storage_errors("lock", self._folder):
            lock = self._acquire(name, 0)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _check_writable(self) -> None:
        if self._read_only is not None:
            raise ReadOnlyStoreError.of(self._read_only)

    def _acquire(self, name: str, timeout: float) -> FileLock | None:
        stripe = blake3(name.encode()).digest(length=1)[0] % _STRIPES
        return self._acquire_file(_stripe(stripe), timeout)

    def _acquire_file(self, file: str, timeout: float) -> FileLock | None:
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / file, thread_local=False)
        try:
            lock.acquire(timeout=timeout, poll_interval=0.005)
        except Timeout:
            return None
        return lock


def _stripe(number: int) -> str:
    return f"{number:02x}.lock"
