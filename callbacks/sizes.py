"""Estimates of the memory that a value keeps, for caches that are bounded by it.

Python has no such number: `sys.getsizeof` stops at the first object, and a walk over everything
takes as long as making it. So a value is walked, and of a long list or mapping a sample stands for
the rest, which are of one kind in everything that is kept here.
"""

from __future__ import annotations

import mmap
import random
import sys
import types
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, Generic, TypeVar

import numpy as np
import pandas as pd

T = TypeVar("T")

# Of what is longer, so many items are looked at.
_SAMPLE: Final = 64
_PACKAGE: Final = __name__.partition(".")[0]
# What many values share, or what is the system's to keep.
_NOT_OURS: Final = (
    type(None),
    bool,
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    mmap.mmap,
)
# Python has one object for each of these.
_SHARED_INTEGERS: Final = range(-5, 257)


class Measured(Generic[T]):
    """A value and how many bytes it keeps; one that computes parts of itself later grows."""

    def __init__(self, value: T, is_analysis: bool = False) -> None:
        """Measure it."""
        self.value = value
        self.is_analysis = is_analysis
        self.size = 0
        self._growing: list[tuple[dict[str, Any], int]] = []
        self.measure()

    def measure(self) -> None:
        """Measure it anew."""
        walk = _Walk()
        self.size = walk.size_of(self.value)
        self._growing = [(held, len(held)) for held in walk.growing]

    @property
    def has_grown(self) -> bool:
        """Whether it has computed more of itself since it was measured."""
        return any(len(held) != length for held, length in self._growing)


def size_of(value: Any) -> int:
    """Return about how many bytes a value keeps: exact for arrays, tables, bytes and text.

    Objects that are reached twice count once. Mapped files, functions, classes and modules count
    nothing.
    """
    return _Walk().size_of(value)


class _Walk:
    def __init__(self) -> None:
        self._seen: set[int] = set()
        # The attributes of our own objects, many of which keep what they compute when first asked.
        self.growing: list[dict[str, Any]] = []

    def size_of(self, value: Any) -> int:
        if isinstance(value, _NOT_OURS) or id(value) in self._seen:
            return 0
        if isinstance(value, int) and value in _SHARED_INTEGERS:
            return 0
        self._seen.add(id(value))
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, memoryview):
            return self.size_of(value.obj)
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return int(np.sum(value.memory_usage(deep=True)))
        return self._object(value)

    def _object(self, value: Any) -> int:
        size = sys.getsizeof(value, 0)
        if isinstance(value, str | bytes | bytearray | float):
            return size
        if isinstance(value, dict):
            size += self._of_many(len(value), value) + self._of_many(len(value), value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            size += self._of_many(len(value), value)
        attributes = getattr(value, "__dict__", None)
        if attributes is not None:
            if type(value).__module__.startswith(_PACKAGE):
                self.growing.append(attributes)
            size += sys.getsizeof(attributes)
            # As a list: another thread may compute one more now.
            size += sum(map(self.size_of, list(attributes.values())))
        for name in _slots(type(value)):  # type: ignore[arg-type]
            size += self.size_of(getattr(value, name, None))
        return size

    def _array(self, array: np.ndarray[Any, Any]) -> int:
        if array.base is not None:
            return sys.getsizeof(array, 0) + self.size_of(array.base)
        size = sys.getsizeof(array, array.nbytes)
        return size + self._of_many(array.size, array.flat) if array.dtype.hasobject else size

    def _of_many(self, number: int, items: Iterable[Any]) -> int:
        # A list of our own: another thread may change a mapping while it is looked at.
        listed = list(items)
        if number > _SAMPLE:
            # At random: what is listed often takes turns, such as nodes and bands.
            chosen = sorted(random.Random(number).sample(range(number), _SAMPLE))  # noqa: S311
            listed = [listed[i] for i in chosen if i < len(listed)]
        return round(sum(map(self.size_of, listed)) * max(number / _SAMPLE, 1))


@cache
def _slots(kind: type) -> tuple[str, ...]:
    """Return the names of a class's attributes that are not in `__dict__`."""
    declared = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    names = [name for some in declared for name in ([some] if isinstance(some, str) else some)]
    return tuple(name for name in names if name not in {"__dict__", "__weakref__"})
