from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy
import torch

from concept_fragmentation.analysis import InvalidDataError
from concept_fragmentation.analysis.arrays import (
    as_whole_number,
    is_missing,
    to_array,
    to_whole_numbers,
)

THREE = [1.0, 2.0, 3.0]


class OnDevice:
    """An array like CuPy's, which is copied from its device only when it is asked to be."""

    __cuda_array_interface__: dict[str, Any] = {}  # noqa: RUF012 - what CuPy has

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self) -> Any:
        return np.array(THREE)


@pytest.mark.parametrize(
    "values",
    [
        THREE,
        tuple(THREE),
        iter(THREE),
        np.array(THREE, dtype=np.float16),
        np.ma.masked_array(THREE, mask=[False] * 3),
        pd.Series(THREE, index=[7, 7, 9]),
        pd.Series([1, 2, 3], dtype="Int64"),
        pd.array(THREE, dtype="Float32"),
        pd.Index(THREE),
        torch.tensor(THREE),
        torch.tensor(THREE, requires_grad=True),
        torch.nn.Parameter(torch.tensor(THREE)) * 1,
        torch.tensor(THREE, dtype=torch.bfloat16, requires_grad=True),
        torch.tensor(THREE).to(torch.float8_e5m2),
        torch.tensor(THREE).to_sparse(),
        [torch.tensor(value, requires_grad=True) for value in THREE],
        [1.0, torch.tensor(2.0), np.float32(3)],
        OnDevice(),
    ],
)
def test_whatever_holds_numbers_is_an_array(values: Any) -> None:
    found = to_array(values, "values")
    assert found.dtype.kind in "iuf"
    np.testing.assert_array_equal(found.astype(np.float64), THREE)


def test_tables_lists_of_arrays_and_sparse_arrays_are_arrays_of_two_dimensions() -> None:
    expected = np.array([[1.0, 0.0], [0.0, 2.0]])
    for values in (
        expected,
        [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0], requires_grad=True)],
        [pd.Series([1.0, 0.0]), np.array([0.0, 2.0])],
        pd.DataFrame(expected),
        pd.DataFrame({"a": pd.array([1, 0], dtype="Int64"), "b": [0.0, 2.0]}),
        scipy.sparse.csr_array(expected),
        torch.tensor(expected).to_sparse(),
    ):
        np.testing.assert_array_equal(to_array(values, "values"), expected)


def test_a_missing_number_of_pandas_is_nan() -> None:
    found = to_array(pd.Series([1, None], dtype="Int64"), "values")
    np.testing.assert_array_equal(found, [1.0, np.nan])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("text", "values: an array or a list is needed, not 'text'"),
        ({"a": 1}, "not a dict"),
        ({1, 2}, "not a set"),
        (7, "not 7"),
        (None, "not None"),
        (torch.tensor(7), "not a Tensor"),
        (torch.zeros(3, device="meta"), "a Tensor that can't be read as an array .*meta"),
        (np.ma.masked_array(THREE, mask=[True, True, False]), "2 of its entries are masked"),
        ([[1], [2, 3]], "the rows have different lengths"),
        ([torch.zeros(2), torch.zeros(3)], r"different shapes, \(2,\) and \(3,\)"),
    ],
)
def test_what_holds_no_array_is_named(values: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=f"values: .*{sentence.removeprefix('values: ')}"):
        to_array(values, "values")


@pytest.mark.parametrize(
    "values",
    [
        [0, -1, 5],
        [0.0, -1.0, 5.0],
        [np.int8(0), -1, np.int64(5)],
        np.array([0, -1, 5], dtype=np.int8),
        np.array([0, -1, 5], dtype=object),
        pd.Series([0.0, -1.0, 5.0]),
        pd.Series([0, -1, 5], dtype="Int32"),
        pd.Categorical([0, -1, 5]),
        torch.tensor([0, -1, 5]),
        torch.tensor([0, -1, 5], dtype=torch.bfloat16, requires_grad=True),
        [torch.tensor(0), torch.tensor(-1), torch.tensor(5)],
        (value for value in (0, -1, 5)),
    ],
)
def test_whole_numbers_are_ints_of_python(values: Any) -> None:
    found = to_whole_numbers(values, "labels", least=-1)
    assert found == [0, -1, 5]
    assert set(map(type, found)) == {int}


def test_whole_numbers_keep_their_digits() -> None:
    most = 2**63 - 1
    assert to_whole_numbers([most, -most], "ids") == [most, -most]
    assert to_whole_numbers(pd.array([most, 0], dtype="Int64"), "ids") == [most, 0]
    assert to_whole_numbers(range(3), "ids") == [0, 1, 2]
    assert to_whole_numbers([], "ids") == []


def thousand(value: Any) -> Any:
    values = np.zeros(1_000)
    values[500] = value
    return values


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (thousand(np.nan), r"row 500 is NaN .* \(1 of 1,000 rows\)"),
        (thousand(np.nan).tolist(), r"row 500 is NaN .* \(1 of 1,000 rows\)"),
        (thousand(1.5), "row 500 is 1.5"),
        (thousand(-np.inf), "row 500 is -inf"),
        ([None, 1], "row 0 is None"),
        (pd.Series([1, None], dtype="Int64"), "row 1 is None"),
        (pd.array([2**62, None], dtype="Int64"), r"row 1 is None .* \(1 of 2 rows\)"),
        (["1", "2"], r"row 0 is '1' .*not text.* \(2 of 2 rows\)"),
        ([0, "1"], r"row 1 is '1' .*not text.* \(1 of 2 rows\)"),
        ([True, 1], r"row 0 is True .* \(1 of 2 rows\)"),
        (pd.Series([True, False], dtype="boolean"), "row 0 is True"),
        (torch.tensor([True]), "row 0 is True"),
        ([0, -2], "row 1: -2 is less than -1"),
        (np.array([0, -2]), "row 1: -2 is less than -1"),
        ([0.0, -2.0], "row 1 is -2.0"),
        ([2**64, 1], r"row 0 is 18446744073709551616 .*64 bits.* \(1 of 2 rows\)"),
        (np.array([2**63], dtype=np.uint64), "row 0 is 9223372036854775808 .*64 bits"),
        ([1e300], "row 0 is 1e"),
        ([10**5000], "row 0 is a very large number"),
        ([[1], [2, 3]], "the rows have different lengths"),
        ([[1], [2]], r".*shape \(2, 1\)"),
        (np.zeros((2, 1), dtype=int), r".*shape \(2, 1\)"),
        (np.array([1j]), "row 0 is"),
        (pd.Categorical(["a", "b"]), "row 0 is 'a'"),
    ],
)
def test_the_first_row_that_is_no_whole_number_is_named_alone(values: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=f"labels: {sentence}") as raised:
        to_whole_numbers(values, "labels", least=-1)
    assert len(raised.value.problems) == 1


def test_whole_numbers_of_numpy_are_whole_numbers_and_bools_are_none() -> None:
    assert [as_whole_number(value) for value in (3, np.int64(3), np.uint8(3))] == [3, 3, 3]
    assert as_whole_number(torch.tensor(3)) == 3
    for value in (True, np.bool_(True), 3.0, np.float64(3), "3", None):
        assert as_whole_number(value) is None


def test_missing_values_are_known() -> None:
    assert all(map(is_missing, (None, np.nan, float("nan"), pd.NA, pd.NaT, np.float32("nan"))))
    assert not any(map(is_missing, (0, "", "nan", False, (), [np.nan])))
