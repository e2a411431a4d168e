"""A gate for requests that compute: a few threads work, a few wait, others are refused.

`Turns` does the same for processes, which may wait for minutes. A request that waits keeps a thread
of the server, so a gate lets few wait, and not for long.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from concept_fragmentation.persistence.turns import BusyError

AT_ONCE: Final = 2
# A browser asks for six things at once. gunicorn has eight threads by our settings, and waitress
# twelve: some are left for the page.
MOST_WAITING: Final = 4
WAIT_SECONDS: Final = 20.0


class Gate:
    """Admits as many at once as it is told, and lets as many wait."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Nobody is inside yet."""
        self._working = threading.BoundedSemaphore(at_once)
        self._places = threading.BoundedSemaphore(at_once + most_waiting)
        self._wait_seconds = wait_seconds

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait to be admitted, and stay inside.

        Raises:
            BusyError: too many wait already, or it took too long.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError(_BUSY)
        try:
            if not self._working.acquire(timeout=self._wait_seconds):
                raise BusyError(_BUSY)
            try:
                yield
            finally:
                self._working.release()
        finally:
            self._places.release()


_BUSY: Final = "The server computes for others now; try again in a little while."
