"""A cache of loaded versions: bytes under a key that names the exact files they came from.

Since a key holds the files' identity (see `AnalysisFiles.signature`), an entry can be missing but
never stale. Nothing is ever pickled: keys are text, values are bytes.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import cachetools
import diskcache
from blake3 import blake3
from diskcache.core import MODE_PICKLE

from concept_fragmentation.persistence.access import REFUSALS, may_write, share
from concept_fragmentation.persistence.catalog import NO_SHARED_MEMORY

logger = logging.getLogger(__name__)

# Larger versions are as quickly read from the store's own files.
MAX_ENTRY_BYTES: Final = 8 * 2**20
_MAX_MEMORY_BYTES: Final = 256 * 2**20
_MAX_DISK_BYTES: Final = 2**30
# In which diskcache keeps large values.
_DATABASE: Final = "cache.db"
_DISKCACHE_FOLDER: Final = re.compile("[0-9a-f]{2}")

Answer = TypeVar("Answer")


class AnalysisCache(Protocol):
    """What the store asks of a cache."""

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""

    def set(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`."""

    def delete_older_than(self, seconds: float) -> int:
        """Remove entries stored more than `seconds` ago; how many they were."""

    def clear(self) -> None:
        """Remove everything."""

    def get_stats(self) -> dict[str, Any]:
        """`size` (entries), `size_bytes`, `hits`, `misses` (of this object), `kind`."""

    def close(self) -> None:
        """Close what is held open; the next call opens it again."""


class _Counter:
    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0

    def count(self, *, hit: bool) -> None:
        if hit:
            self.hits += 1
        else:
            self.misses += 1


class NoCache:
    """The cache of a store that was opened without one: always empty."""

    def get(self, key: str) -> bytes | None:  # noqa: ARG002 - the protocol's parameter
        """None."""
        return None

    def set(self, key: str, value: bytes) -> None:
        """Keep nothing."""

    def delete_older_than(self, seconds: float) -> int:  # noqa: ARG002 - the protocol's parameter
        """0."""
        return 0

    def clear(self) -> None:
        """Nothing to do."""

    def get_stats(self) -> dict[str, Any]:
        """Zeros."""
        return {"size": 0, "size_bytes": 0, "hits": 0, "misses": 0, "kind": "none"}

    def close(self) -> None:
        """Nothing to do."""


class MemoryCache:
    """A cache in this process, least recently used entries first to go."""

    def __init__(self, ttl: float) -> None:
        """Entries are forgotten after `ttl` seconds."""
        self._entries: cachetools.TTLCache[str, tuple[float, bytes]] = cachetools.TTLCache(
            _MAX_MEMORY_BYTES, ttl, getsizeof=lambda entry: len(entry[1])
        )
        self._lock = threading.Lock()
        self._counter = _Counter()

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        with self._lock:
            entry = self._entries.get(key)
            self._counter.count(hit=entry is not None)
            return entry[1] if entry else None

    def set(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`."""
        with self._lock:
            self._entries[key] = (time.time(), value)

    def delete_older_than(self, seconds: float) -> int:
        """Remove entries stored more than `seconds` ago; how many they were."""
        limit = time.time() - seconds
        with self._lock:
            old = [key for key, (stored, _) in self._entries.items() if stored < limit]
            for key in old:
                del self._entries[key]
            return len(old)

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._entries.clear()

    def get_stats(self) -> dict[str, Any]:
        """`size` (entries), `size_bytes`, `hits`, `misses` (of this object), `kind`."""
        with self._lock:
            size, size_bytes = len(self._entries), int(self._entries.currsize)
        hits, misses = self._counter.hits, self._counter.misses
        return {
            "size": size,
            "size_bytes": size_bytes,
            "hits": hits,
            "misses": misses,
            "kind": "memory",
        }

    def close(self) -> None:
        """Nothing is held open."""


class PlainDisk(diskcache.Disk):  # type: ignore[misc]
    """diskcache's storage without its pickles: a row that claims to be one is corrupt."""

    def get(self, key: Any, raw: bool) -> Any:
        """The key as it was given."""
        if not raw:
            raise sqlite3.DatabaseError("a pickled key")
        return super().get(key, raw)

    def fetch(self, mode: int, filename: Any, value: Any, read: bool) -> Any:
        """The value as it was given."""
        if mode == MODE_PICKLE:
            raise sqlite3.DatabaseError("a pickled value")
        return super().fetch(mode, filename, value, read)


def _seal(value: bytes) -> bytes:
    return blake3(value).digest() + value


def _unseal(sealed: object) -> bytes | None:
    if sealed is None:
        return None
    if not isinstance(sealed, bytes) or blake3(sealed[32:]).digest() != sealed[:32]:
        raise ValueError("an entry does not match its checksum")
    return sealed[32:]


def _is_refusal(error: Exception) -> bool:
    """Whether an error says that this process may not write, and nothing of what is there."""
    if isinstance(error, sqlite3.Error):
        codes = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes
    return isinstance(error, OSError) and error.errno in REFUSALS


class DiskCache:
    """A cache in the store's `cache/` folder, shared by all processes that use the store."""

    def __init__(self, folder: Path, ttl: float) -> None:
        """Entries live in `folder` and are forgotten after `ttl` seconds."""
        self._folder = folder
        self._ttl = ttl
        self._counter = _Counter()
        self._opened: Any = None
        # Whether it turned out that nothing can be written there.
        self._is_off = False

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        value = self._ask(lambda cache: _unseal(cache.get(key)), None)
        self._counter.count(hit=value is not None)
        return value

    def set(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`; its tag is the moment, for `delete_older_than`."""
        self._ask(
            lambda cache: cache.set(key, _seal(value), expire=self._ttl, tag=time.time()),
            default=False,
        )

    def delete_older_than(self, seconds: float) -> int:
        """Remove entries stored more than `seconds` ago; how many they were."""
        limit = time.time() - seconds

        def remove(cache: Any) -> int:
            removed = 0
            for key in list(cache):
                # `read=True` opens a large value's file instead of reading it.
                value, stored = cache.get(key, read=True, tag=True)
                if hasattr(value, "close"):
                    value.close()
                if stored is not None and stored < limit:
                    removed += bool(cache.delete(key))
            return removed

        return self._ask(remove, 0)

    def clear(self) -> None:
        """Remove everything."""
        self._ask(lambda cache: cache.clear(), 0)

    def get_stats(self) -> dict[str, Any]:
        """`size` (entries), `size_bytes`, `hits`, `misses` (of this object), `kind`."""
        size, size_bytes = self._ask(lambda cache: (len(cache), cache.volume()), (0, 0))
        hits, misses = self._counter.hits, self._counter.misses
        return {
            "size": size,
            "size_bytes": size_bytes,
            "hits": hits,
            "misses": misses,
            "kind": "disk",
        }

    def close(self) -> None:
        """Close diskcache's database; the next call opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _ask(self, question: Callable[[Any], Answer], default: Answer) -> Answer:
        """Ask diskcache; a cache that can't answer is dropped with a warning."""
        if self._is_off:
            return default
        try:
            if self._opened is None:
                # diskcache makes a folder and files that a group can't share.
                self._folder.mkdir(parents=True, exist_ok=True)
                share(self._folder / _DATABASE)
                self._opened = diskcache.Cache(
                    str(self._folder), disk=PlainDisk, size_limit=_MAX_DISK_BYTES
                )
            return question(self._opened)
        except diskcache.Timeout:
            return default
        except (sqlite3.Error, OSError, EOFError, ValueError, TypeError) as error:
            unusable = getattr(error, "sqlite_errorcode", 0) in NO_SHARED_MEMORY
            refused = unusable or _is_refusal(error)
            if not refused:
                logger.warning(
                    "The cache in %s is damaged (%s); it was dropped.", self._folder, error
                )
            opened, self._opened = self._opened, None
            if opened is not None:
                # Its lock would keep everyone else waiting.
                with contextlib.suppress(sqlite3.Error):
                    opened.close()
            self._drop()
            if unusable or (
                refused and ((self._folder / _DATABASE).exists() or not may_write(self._folder))
            ):
                logger.warning(
                    "The cache in %s can't be used (%s); loaded versions are not kept.",
                    self._folder,
                    error,
                )
                self._is_off = True
            return default

    def _drop(self) -> None:
        """Remove what is diskcache's, and nothing else that lies in the folder."""
        for path in self._folder.glob("*"):
            if path.name.startswith(_DATABASE):
                with contextlib.suppress(OSError):
                    path.unlink()
            elif _DISKCACHE_FOLDER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
