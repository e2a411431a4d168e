"""Hidden states of many tokens in many layers, in memory that does not grow with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import Floats, IntArray

# Products of sums of squares, as similarities have them, of many larger rows would be infinite in
# the type that is computed with.
_MOST_NORMS: Final = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e30}
# Rows that are looked at together.
_CHUNK: Final = 4_096

# More than these are kept in a file while they are worked with, and not in the analysis.
IN_MEMORY_BYTES: Final = 512 * 1024**2

States = npt.NDArray[np.float32]


class LayerStates:
    """The hidden states of one layer, float32 (T, d), in memory or in a file.

    It has what the metrics need of an array: shape, type, length, and rows by index. Rows of a file
    are copied, and no more of it is held.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, shape: tuple[int, int], file: BinaryIO | None, offset: int) -> None:
        """Zeros in memory, or what is in `file` from `offset`."""
        self.shape = shape
        self._file = file
        self._offset = offset
        self._array: States | None = np.zeros(shape, self.dtype) if file is None else None

    def __len__(self) -> int:
        """T."""
        return self.shape[0]

    def __getitem__(self, rows: slice | IntArray | npt.NDArray[np.bool_]) -> States:
        """The rows, float32 (N, d)."""
        found: States = self._mapped("r")[rows]
        return found if self._file is None else np.array(found)

    def write(self, first: int, states: States) -> None:
        """Put rows where they belong, from row `first`."""
        self._mapped("r+")[first : first + len(states)] = states

    def _mapped(self, mode: Literal["r", "r+"]) -> States:
        if self._array is not None:
            return self._array
        # A new map for each access: what a map has touched stays in memory as long as the map.
        file: Any = self._file
        return np.memmap(file, self.dtype, mode, self._offset, self.shape)


@contextmanager
def hidden_state_store(num_tokens: int, dimensions: Sequence[int]) -> Iterator[list[LayerStates]]:
    """Room for hidden states, gone when the context ends: nothing is left behind.

    Up to `IN_MEMORY_BYTES` it is in memory; beyond, in a file without a name in the folder for
    temporary files ($TMPDIR), which the system takes away even if the process is killed.

    Args:
        num_tokens: T.
        dimensions: of each layer.
    """
    shapes = [(num_tokens, width) for width in dimensions]
    if states_size(num_tokens, dimensions) <= IN_MEMORY_BYTES:
        yield [LayerStates(shape, None, 0) for shape in shapes]
        return
    with tempfile.TemporaryFile() as file:
        file.truncate(states_size(num_tokens, dimensions))
        yield [
            LayerStates(shape, file, states_size(num_tokens, dimensions[:layer]))
            for layer, shape in enumerate(shapes)
        ]


def states_size(num_tokens: int, dimensions: Sequence[int]) -> int:
    """Return how many bytes the hidden states of some layers take together."""
    return num_tokens * sum(dimensions) * LayerStates.dtype.itemsize


def state_norms(states: Any) -> Floats:
    """Return float64 (T,): the Euclidean norms of states (T, d) of any float type."""
    squares: Floats = np.empty(len(states))
    for start in range(0, len(states), _CHUNK):
        part = states[start : start + _CHUNK]
        # Half precision holds no sum of squares.
        np.einsum(
            "td,td->t",
            part,
            part,
            dtype=np.float64,
            casting="same_kind",
            out=squares[start : start + _CHUNK],
        )
    return np.sqrt(squares)


def state_problem(
    states: npt.NDArray[Any], padding: npt.NDArray[np.bool_] | None = None
) -> str | None:
    """Return the problem with one layer's hidden states; None if they are finite numbers.

    Args:
        states: int or float (T, d).
        padding: bool (T,), rows that are not computed with and may hold anything.

    Returns:
        The first row that holds NaN, an infinity or a number too large to square, and how many do.
    """
    if states.shape[1] == 0 and len(states):
        return "no dimensions"
    kind = np.dtype(np.float32 if states.dtype.kind == "f" and states.itemsize <= 4 else np.float64)
    wrong = np.zeros(len(states), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(states), _CHUNK):
            part = states[start : start + _CHUNK].astype(kind, copy=False)
            squares = np.einsum("td,td->t", part, part)
            wrong[start : start + _CHUNK] = ~(squares < _MOST_NORMS[kind] ** 2)
    if padding is not None:
        wrong &= ~padding
    if not wrong.any():
        return None
    first = int(np.argmax(wrong))
    row = np.asarray(states[first])
    if np.isnan(row).any():
        held = "NaN"
    else:
        held = "infinity" if np.isinf(row).any() else "a number too large to square"
    rows = f"{int(wrong.sum()):,} of {len(states):,} rows"
    return f"row {first} holds {held} ({rows}); only padding may, whose attention_mask is 0"
