"""Arrays that are read when they are used."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt


class LazyArray:
    """An array of known shape and dtype whose numbers are read each time they are asked for.

    `array[i]` and `array[i, j]` read only that part, `np.asarray(array)` reads everything; nothing
    that was read is kept. What is not computed with by NumPy needs `np.asarray` first. The arrays
    that it gives are the caller's to change: nothing that is written to them reaches the file.
    Pickled or copied, it becomes what it stands for.

    Attributes:
        shape: as of a NumPy array.
        dtype: as of a NumPy array.
        is_list: whether it stands for a nested list of numbers, not for an array.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        read: Callable[[tuple[int, ...]], npt.NDArray[Any]],
        *,
        is_list: bool = False,
    ) -> None:
        """`read` gives the part below leading indices, each from 0; `()` is everything."""
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.is_list = is_list
        self._read = read

    def value(self) -> npt.NDArray[Any] | list[Any]:
        """Return the array or the nested list that it stands for."""
        array = self._read(())
        if self.is_list:
            values: list[Any] = array.tolist()
            return values
        return array

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        """Pickle what it stands for: the file is not there where it is unpickled."""
        return _itself, (self.value(),)

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """The length of the first dimension."""
        return self.shape[0]

    def __repr__(self) -> str:
        """Its dtype and shape."""
        return f"LazyArray({self.dtype}, {self.shape})"

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """What NumPy's indexing gives; of leading whole numbers, only that part is read."""
        indices = index if isinstance(index, tuple) else (index,)
        if len(indices) <= self.ndim and all(isinstance(i, int | np.integer) for i in indices):
            return self._read(
                tuple(
                    int(i) + (length if i < 0 else 0)
                    for i, length in zip(indices, self.shape, strict=False)
                )
            )
        part: npt.NDArray[Any] = self._read(())[index]
        return part

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Everything; see NumPy's `__array__`."""
        return np.array(self._read(()), dtype=dtype, copy=copy)


def _itself(value: Any) -> Any:
    return value


def is_array(value: object) -> TypeGuard[npt.NDArray[Any] | LazyArray]:
    """Whether `value` is an array, read or not yet."""
    return isinstance(value, np.ndarray | LazyArray)
