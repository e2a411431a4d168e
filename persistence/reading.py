"""Reading stretches of a file that is never changed, by several threads at once."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

# Windows has no such call, and deletes and moves no file that anybody holds open or mapped.
_READS_AT: Final = hasattr(os, "pread")


class OpenedFile(Protocol):
    """A file opened for reading.

    Attributes:
        size: its bytes.
        path: where it was when it was opened.
    """

    size: int
    path: Path

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from `begin` to `end`, fewer where the file is shorter."""

    def map(self, begin: int, end: int, *, writable: bool) -> memoryview:
        """Return the bytes from `begin` to `end`; what is written there never reaches the file.

        Raises:
            ValueError: the file is shorter.
        """

    def fill(self, begin: int, buffer: npt.NDArray[np.uint8]) -> int:
        """Read into `buffer` what stands from `begin` on; return how many bytes there were."""

    def close(self) -> None:
        """Close it; what was read or mapped stays valid."""


def open_file(path: Path) -> OpenedFile:
    """Open a file for reading, as this system does it without hindering others.

    Raises:
        OSError: it can't be opened.
    """
    return _Held(path) if _READS_AT else _Reopened(path)


class _Held:
    """A file that stays open, so that it can be read even after its name is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, begin: int, end: int) -> bytes:
        # Where the file stands is nobody's to change: several threads read at once.
        parts = []
        while begin < end and (part := os.pread(self._file.fileno(), end - begin, begin)):
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def map(self, begin: int, end: int, *, writable: bool) -> memoryview:
        if begin == end:
            return memoryview(b"")
        if end > self.size:
            raise ValueError("it is too short")
        # A mapping of its own for each call: what nobody holds any more is not resident either.
        aligned = begin - begin % mmap.ALLOCATIONGRANULARITY
        access = mmap.ACCESS_COPY if writable else mmap.ACCESS_READ
        mapped = mmap.mmap(self._file.fileno(), end - aligned, access=access, offset=aligned)
        return memoryview(mapped)[begin - aligned :]

    def fill(self, begin: int, buffer: npt.NDArray[np.uint8]) -> int:
        self._file.seek(begin)
        return int(self._file.readinto(buffer.data))

    def close(self) -> None:
        self._file.close()


class _Reopened:
    """A file that is opened for each read, so that others can delete or move it in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def read(self, begin: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(begin)
            return file.read(max(0, end - begin))

    def map(self, begin: int, end: int, *, writable: bool) -> memoryview:
        data = self.read(begin, end)
        if len(data) != end - begin:
            raise ValueError("it is too short")
        return memoryview(bytearray(data) if writable else data)

    def fill(self, begin: int, buffer: npt.NDArray[np.uint8]) -> int:
        with self.path.open("rb") as file:
            file.seek(begin)
            return int(file.readinto(buffer.data))

    def close(self) -> None:
        """Nothing is open."""


def closing(opened: OpenedFile) -> contextlib.closing[OpenedFile]:
    """Close a file at the end of a `with` block."""
    return contextlib.closing(opened)
