"""Bounds on what reading an imported file may take; each follows from the size of the file.

Every format is read within the same budget, so that no file is worth more work than its size. The
numbers are several times what the densest honest file of that size needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from concept_fragmentation.analysis.errors import InvalidDataError

# Nesting of containers; the store itself keeps 100 levels.
MAX_DEPTH: Final = 150

_MEBIBYTE: Final = 2**20
_LEAST_ITEMS: Final = 4_000_000
_ITEMS_PER_BYTE: Final = 4
_LEAST_CONTAINERS: Final = 250_000
_LEAST_BYTES: Final = 2**20
_BYTES_PER_BYTE: Final = 50
_LEAST_MEMORY: Final = 200 * _MEBIBYTE
_MEMORY_PER_BYTE: Final = 64
_LEAST_SECONDS: Final = 1
_LEAST_UNPACKED: Final = 64 * _MEBIBYTE
_UNPACKED_PER_BYTE: Final = 100
_LEAST_STATES: Final = 1000
_BYTES_PER_STATE: Final = 1000


class OverBudgetError(InvalidDataError):
    """Raised for an imported file that asks for more than a file of its size may."""


@dataclass
class Budget:
    """Budget that is left for a file of `size` bytes."""

    size: int
    items: int = field(init=False)
    containers: int = field(init=False)
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        """Start with everything left."""
        self.items = _LEAST_ITEMS + _ITEMS_PER_BYTE * self.size
        self.containers = _LEAST_CONTAINERS + self.size
        self.bytes = _LEAST_BYTES + _BYTES_PER_BYTE * self.size

    def spend(self, *, items: int = 0, containers: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Take from what is left.

        Raises:
            OverBudgetError: there is not so much left.
        """
        self.items -= items
        self.containers -= containers
        self.bytes -= bytes
        if self.items < 0 or self.containers < 0 or self.bytes < 0:
            raise OverBudgetError(
                [f"the file holds or repeats more than a file of {said_size(self.size)} may"]
            )

    @property
    def memory(self) -> int:
        """Most bytes of memory for the process that reads it."""
        return _LEAST_MEMORY + _MEMORY_PER_BYTE * self.size

    @property
    def seconds(self) -> int:
        """Most seconds of processor time for reading it."""
        return _LEAST_SECONDS + -(-self.size // _MEBIBYTE)

    @property
    def states(self) -> int:
        """Most visualization states in it; each becomes a file of the store."""
        return _LEAST_STATES + self.size // _BYTES_PER_STATE

    @property
    def unpacked(self) -> int:
        """Most bytes that an archive may unpack to."""
        return _LEAST_UNPACKED + _UNPACKED_PER_BYTE * self.size


def said_size(size: int) -> str:
    """Return a size in words."""
    if size < 2**10:
        return f"{size} bytes"
    return f"{size / 2**10:.0f} KiB" if size < 2**20 else f"{size / 2**20:.1f} MiB"
