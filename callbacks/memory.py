"""The cache of everything that a server shows, within one budget of memory."""

from __future__ import annotations

import ctypes
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from concept_fragmentation.callbacks.kept import Kept
from concept_fragmentation.callbacks.sizes import Measured

logger = logging.getLogger(__name__)

T = TypeVar("T")
MIB: Final = 2**20
# Of the machine's memory, a server keeps so much unless it is told otherwise.
_SHARE: Final = 16
_LEAST: Final = 128 * MIB
_MOST: Final = 1024 * MIB
# Each open analysis may hold open a file for every layer.
_MOST_ANALYSES: Final = 8
# All are looked at whenever one is added.
_MOST_ENTRIES: Final = 1000
# The log says at most so often that something was dropped.
_QUIET_SECONDS: Final = 600.0
# What was freed goes back to the system at most so often; it takes some 20 ms.
_TRIM_SECONDS: Final = 20.0
# Where Linux says how much memory a container may have.
_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Memory:
    """Values by key that together have a number of bytes; the least recently used leave first.

    A value is measured when it was made, and anew when it has computed more of itself. One that is
    larger than all the budget is handed out and not kept.
    """

    def __init__(self, budget: int) -> None:
        """Keep nothing yet, and never more than `budget` bytes."""
        self.budget = budget
        self._entries = _Entries()
        self._kept = Kept(self._entries)
        self._dropped = 0
        self._said = self._trimmed = -_QUIET_SECONDS

    def get(self, key: Hashable, make: Callable[[], T], *, is_analysis: bool = False) -> T:
        """Return the value of a key, made by `make` if it is not kept; an error keeps nothing.

        Of those that are an open analysis, few are kept, however small: each holds files open.
        """
        is_new = False

        def measured() -> Measured[T]:
            nonlocal is_new
            is_new = True
            return Measured(make(), is_analysis)

        entry = self._kept.get(key, measured)
        if is_new or entry.has_grown:
            self._make_room()
        return entry.value

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept now."""
        return self._make_room()

    def figures(self) -> dict[str, float]:
        """Return what is kept, the budget, and all memory of this process, in MiB."""
        numbers = {
            "kept_mib": self.kept_bytes,
            "budget_mib": self.budget,
            "resident_mib": psutil.Process().memory_info().rss,
        }
        return {name: round(number / MIB, 1) for name, number in numbers.items()}

    def _make_room(self) -> int:
        """Drop what is too much; return how many bytes remain."""
        with self._kept.held():
            grown = [entry for entry in self._entries.values() if entry.has_grown]
            for entry in grown:
                entry.measure()
            kept, dropped = self._entries.shrink(self.budget)
        self._trim()
        self._dropped += dropped
        if self._dropped and time.monotonic() - self._said > _QUIET_SECONDS:
            self._said = time.monotonic()
            logger.info(
                "Memory: %d analyses and results left it, %.0f of %.0f MiB are kept; the process "
                "has %.0f MiB.",
                self._dropped,
                kept / MIB,
                self.budget / MIB,
                psutil.Process().memory_info().rss / MIB,
            )
            self._dropped = 0
        return int(kept)

    def _trim(self) -> None:
        """Give back to the system what was freed.

        glibc keeps a part of the heap for each thread, and what is free within: of 586 MiB of a
        server with twelve threads and many clicks behind it, 114 MiB.
        """
        if time.monotonic() - self._trimmed > _TRIM_SECONDS:
            self._trimmed = time.monotonic()
            if _malloc_trim is not None:
                _malloc_trim(0)


# Other C libraries than glibc have none.
_malloc_trim: Final = (
    getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
)


class _Entries(OrderedDict[Hashable, Measured[Any]]):
    """Measured values, the one that was used last at the end."""

    def __getitem__(self, key: Hashable) -> Measured[Any]:
        self.move_to_end(key)
        return super().__getitem__(key)

    def shrink(self, budget: int) -> tuple[int, int]:
        """Drop until the budget holds; return the bytes that remain, and how many left."""
        before = len(self)
        for key in [key for key, entry in self.items() if entry.size > budget]:
            del self[key]
        analyses = [key for key, entry in self.items() if entry.is_analysis]
        for key in analyses[:-_MOST_ANALYSES]:
            del self[key]
        kept = sum(entry.size for entry in self.values())
        while kept > budget or len(self) > _MOST_ENTRIES:
            _, entry = self.popitem(last=False)
            kept -= entry.size
        return kept, before - len(self)


def usual_budget() -> int:
    """Return the budget of a server that is told none: a part of the machine's memory, in bytes."""
    limits = [psutil.virtual_memory().total]
    for path in map(Path, _LIMITS):
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            # There is no such file, or it says "max".
            continue
    return int(min(max(min(limits) // _SHARE, _LEAST), _MOST) // MIB * MIB)
