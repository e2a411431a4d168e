"""Turns: of the processes that have heavy work, a few at once work, and others wait in a row."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.persistence.blobs import storage_errors

AT_ONCE: Final = 2
MOST_WAITING: Final = 8
LOOK_SECONDS: Final = 0.25

_GATE: Final = "gate"
_TICKET: Final = "*.ticket"


class BusyError(ConceptFragmentationError):
    """So many wait for a turn that no more may."""


class Turns:
    """Who works and who waits, in the files of a folder: each holds the lock of a numbered ticket.

    The system frees a lock when its process dies, however that came about, so the dead hold no turn
    up.
    """

    def __init__(
        self, folder: Path, *, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING
    ) -> None:
        """Tickets lie in `folder`, which is made when the first one is drawn."""
        self._folder = folder
        self._at_once = at_once
        self._most = at_once + most_waiting

    @contextlib.contextmanager
    def taken(self, told: Callable[[int], None]) -> Iterator[None]:
        """Wait for a turn and keep it; `told` hears again and again how many others are ahead.

        Raises:
            BusyError: too many wait already.
            StorageError: the disk refused.
        """
        with storage_errors("lock", self._folder):
            ticket, lock = self._draw()
        try:
            while True:
                with storage_errors("lock", self._folder):
                    ahead = sum(_is_held(other) for other in self._tickets() if other < ticket)
                if ahead < self._at_once:
                    break
                told(ahead)
                time.sleep(LOOK_SECONDS)
            yield
        finally:
            # While it is held: once it is free, somebody else may draw the same number.
            _remove(ticket)
            lock.release()

    def _draw(self) -> tuple[Path, FileLock]:
        self._folder.mkdir(parents=True, exist_ok=True)
        # One at a time: else two could draw the same number, or delete each other's.
        with FileLock(self._folder / _GATE):
            held = [ticket for ticket in self._tickets() if _is_held(ticket)]
            if len(held) >= self._most:
                raise BusyError("Too many others wait for the server already; try again later.")
            number = int(held[-1].stem) + 1 if held else 1
            ticket = self._folder / f"{number:012}{_TICKET[1:]}"
            lock = FileLock(ticket)
            lock.acquire()
        return ticket, lock

    def _tickets(self) -> list[Path]:
        """All tickets in the order in which they were drawn."""
        return sorted(self._folder.glob(_TICKET))


def _is_held(ticket: Path) -> bool:
    """Whether a process holds the ticket; where none does, it is removed.

    Who looks just after the ticket was given back makes its file again, so must remove it. No
    number up to the one that the looking process holds is drawn meanwhile: what is removed is
    nobody's.
    """
    lock = FileLock(ticket)
    try:
        with lock.acquire(timeout=0):
            _remove(ticket)
    except Timeout:
        return True
    return False


def _remove(ticket: Path) -> None:
    # Where a file in use can't be deleted (Windows), the lock does it when it is released.
    with contextlib.suppress(OSError):
        ticket.unlink()
