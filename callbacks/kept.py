"""A cache that threads share, in which each thing is made once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """Values by key in a cache of cachetools; each is made once even when several threads ask."""

    def __init__(self, cache: MutableMapping[Hashable, Any]) -> None:
        """Keep values in `cache`, which says how many and for how long."""
        self._kept = cache
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let no other thread change what is kept meanwhile."""
        with self._lock:
            yield

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key, made by `make` if it is not kept; an error keeps nothing."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]  # type: ignore[no-any-return]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]  # type: ignore[no-any-return]
            try:
                value = make()
                with self._lock:
                    self._kept[key] = value
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return value
