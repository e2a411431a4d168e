"""How often one may try to sign in: wrong tries are counted on disk, for all processes at once."""

from __future__ import annotations

import contextlib
import hmac
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import diskcache
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from concept_fragmentation.address import network_of
from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.persistence.cache import PlainDisk

logger = logging.getLogger(__name__)

# Of one name from one address: others can't keep the name's owner out from elsewhere.
PER_NAME: Final = RateLimitItemPerMinute(5, 5)
# From one address whatever the name, so that names can't be tried one after the other.
PER_ADDRESS: Final = RateLimitItemPerHour(50)


class AttemptsError(ConceptFragmentationError):
    """Tries can't be counted, so none can be made."""


class Attempts:
    """The wrong tries of a while, by name and address; neither can be read from the files."""

    def __init__(self, folder: Path, key: str) -> None:
        """Counts live in `folder`; `key` is a secret that hides whose they are."""
        self._folder = folder
        self._key = key.encode()
        self._limiter = FixedWindowRateLimiter(_OnDisk(folder))

    def begin(self, name: str, address: str) -> float:
        """Count a try as wrong; return for how many seconds there may be none, 0 if it may be made.

        Tries are counted before the password is looked at, so a hundred at once are a hundred.
        """
        narrow, wide = self._names(name, address)
        with self._counting():
            if not self._limiter.test(PER_ADDRESS, wide):
                return self._seconds(PER_ADDRESS, wide)
            if not self._limiter.hit(PER_NAME, narrow):
                return self._seconds(PER_NAME, narrow)
            if not self._limiter.hit(PER_ADDRESS, wide):
                return self._seconds(PER_ADDRESS, wide)
        return 0

    def succeeded(self, name: str, address: str) -> None:
        """Take back that the try was wrong, and forget the wrong ones before it of that name."""
        narrow, wide = self._names(name, address)
        with self._counting():
            self._limiter.clear(PER_NAME, narrow)
            self._limiter.hit(PER_ADDRESS, wide, cost=-1)

    def _names(self, name: str, address: str) -> tuple[str, str]:
        network = network_of(address)
        return self._hidden(f"{network} {name}"), self._hidden(network)

    def _hidden(self, text: str) -> str:
        # Passwords are typed in the field of the name now and then.
        return hmac.digest(self._key, text.encode(errors="replace"), "sha256").hex()

    def _seconds(self, limit: RateLimitItem, name: str) -> float:
        return max(self._limiter.get_window_stats(limit, name).reset_time - time.time(), 1)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            logger.exception("Tries to sign in can't be counted in %s.", self._folder)
            raise AttemptsError(
                "Nobody can sign in now: the server can't count tries; its log says why."
            ) from error


class _OnDisk(Storage):
    """Counts in a folder; `limits` itself keeps them in one process, or in a server."""

    STORAGE_SCHEME = None

    def __init__(self, folder: Path) -> None:
        super().__init__(wrap_exceptions=True)
        self._folder = str(folder)
        self._opened: diskcache.Cache | None = None
        self._opening = threading.Lock()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return (sqlite3.Error, diskcache.Timeout, OSError)

    @property
    def _counts(self) -> diskcache.Cache:
        # What refuses to open is said when it is asked for.
        with self._opening:
            if self._opened is None:
                self._opened = diskcache.Cache(self._folder, disk=PlainDisk)
            return self._opened

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with self._counts.transact():
            count, until = self._counts.get(key, 0, expire_time=True)
            left = expiry if until is None else until - time.time()
            self._counts.set(key, count + amount, expire=left)
        return int(count) + amount

    def get(self, key: str) -> int:
        return int(self._counts.get(key, 0))

    def get_expiry(self, key: str) -> float:
        return float(self._counts.get(key, expire_time=True)[1] or time.time())

    def check(self) -> bool:
        return not self._counts.check()

    def reset(self) -> int:
        return int(self._counts.clear())

    def clear(self, key: str) -> None:
        self._counts.delete(key)
