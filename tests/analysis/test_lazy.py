"""An array that is not read yet reads what is asked for, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from concept_fragmentation.analysis import Analysis, LazyArray

NUMBERS = np.arange(24.0).reshape(2, 3, 4)


class Reader:
    """Counts what is read of an array."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        self.asked: list[tuple[int, ...]] = []

    def lazy(self) -> LazyArray:
        return LazyArray(self._array.shape, self._array.dtype, self._read)

    def _read(self, index: tuple[int, ...]) -> npt.NDArray[Any]:
        self.asked.append(index)
        part: npt.NDArray[Any] = self._array[index]
        return part


@pytest.mark.parametrize(
    ("index", "asked"),
    [
        (1, (1,)),
        (-1, (1,)),
        ((1, 2), (1, 2)),
        ((np.int64(0), -1, -4), (0, 2, 0)),
        (slice(0, 1), ()),
        ((0, slice(None), 1), ()),
        ((..., 2), ()),
        (np.array([1, 0]), ()),
        ((), ()),
    ],
)
def test_a_part_is_what_numpy_gives(index: Any, asked: tuple[int, ...]) -> None:
    reader = Reader(NUMBERS)
    assert np.array_equal(reader.lazy()[index], NUMBERS[index])
    assert reader.asked == [asked]


def test_its_size_is_known_without_reading() -> None:
    reader = Reader(NUMBERS)
    lazy = reader.lazy()
    assert (len(lazy), lazy.shape, lazy.ndim, lazy.size) == (2, (2, 3, 4), 3, 24)
    assert (np.shape(lazy), np.ndim(lazy), np.size(lazy)) == ((2, 3, 4), 3, 24)
    assert "float64" in repr(lazy)
    assert reader.asked == []


def test_numpy_reads_all_of_it() -> None:
    lazy = Reader(NUMBERS).lazy()
    assert np.array_equal(np.asarray(lazy), NUMBERS)
    assert np.asarray(lazy, dtype=np.float32).dtype == np.float32
    assert np.array(lazy, copy=True) is not NUMBERS
    assert np.mean(lazy) == NUMBERS.mean()


def test_an_index_out_of_range_is_one() -> None:
    with pytest.raises(IndexError):
        Reader(NUMBERS).lazy()[2]


def test_an_analysis_is_checked_without_reading_its_arrays() -> None:
    weights, states = Reader(np.zeros((1, 2, 2))), Reader(np.zeros((2, 5), np.int8))
    analysis = Analysis.from_dict(
        {
            "model_type": "gpt2",
            "layers": ["a"],
            "token_metadata": {"tokens": ["x", "y"]},
            "attention_data": {"a": {"attention_probs": weights.lazy()}},
            "hidden_states": {"a": states.lazy()},
        }
    )
    assert list(analysis.hidden_states) == ["a"]
    assert weights.asked == states.asked == []
    assert analysis.hidden_states["a"].dtype == np.float64
    assert states.asked == [()]
