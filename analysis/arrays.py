"""Arrays of other libraries as NumPy arrays, and lists of whole numbers.

No library is imported for it, pandas included, which takes half of the time in which a command
starts: an array is known by what it offers. Tensors of torch are taken from
any device and out of the graph of their gradients; types that NumPy lacks, such as bfloat16, become
float32, which holds each of their values.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.errors import InvalidDataError

# From here on, floats skip whole numbers.
_MOST_OF_FLOATS: Final = 2**53
_MOST: Final = 2**63 - 1
_SHOWN_CHARACTERS: Final = 40


def to_array(values: Any, path: str) -> npt.NDArray[Any]:
    """Return an array-like as a NumPy array, without a copy where that can be.

    Args:
        values: an array of NumPy, torch, JAX, CuPy or SciPy (sparse too), or of whatever else has
            `__array__`; a Series, Index or DataFrame of pandas, whose missing numbers become NaN;
            a list, a tuple or an iterator of numbers or of any of these.
        path: its name in messages.

    Raises:
        InvalidDataError: there is no array in it, entries of it are masked, its rows differ in
            length, or it can't be read (a tensor on torch's device "meta").
    """
    if isinstance(values, Iterator | range):
        values = list(values)
    if isinstance(values, str | bytes | Mapping | Set):
        raise InvalidDataError([f"{path}: an array or a list is needed, not {shown(values)}"])
    if isinstance(values, np.ma.MaskedArray):
        if masked := int(np.ma.getmaskarray(values).sum()):
            raise InvalidDataError(
                [f"{path}: {masked:,} of its entries are masked; put values there (filled) first"]
            )
        return np.asarray(values.data)
    try:
        found = _converted(values, path)
    except InvalidDataError:
        raise
    # What libraries raise for a conversion that they don't have.
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InvalidDataError(
            [f"{path}: {shown(values)} that can't be read as an array ({reason})"]
        ) from error
    if found.ndim == 0:
        raise InvalidDataError([f"{path}: an array or a list is needed, not {shown(values)}"])
    # bfloat16 and the like of ml_dtypes, which JAX and TensorFlow use.
    if found.dtype.kind == "V" and found.dtype.names is None and found.dtype.itemsize <= 2:
        return found.astype(np.float32)
    return found


def to_whole_numbers(values: Any, path: str, *, least: int | None = None) -> list[int]:
    """Return one whole number a row as a list; floats without a fraction are whole numbers too.

    Args:
        values: whatever `to_array` takes, of one dimension.
        path: its name in messages.
        least: the least number that is allowed; None: any.

    Raises:
        InvalidDataError: the first row that holds something else, and how many do.
    """
    array = _column(values, path)
    kind = array.dtype.kind
    if array.ndim != 1:
        raise InvalidDataError([f"{path}: one number a row is needed, not shape {array.shape}"])
    if kind in "iu":
        wrong = array > _MOST if kind == "u" else np.zeros(len(array), dtype=bool)
        if least is not None:
            wrong |= array < least
    elif kind == "f":
        with np.errstate(invalid="ignore"):
            wrong = ~((np.abs(array) < _MOST_OF_FLOATS) & (array == np.floor(array)))
            if least is not None:
                wrong |= array < least
    else:
        wrong = np.array([not _is_whole(item, least) for item in array.tolist()], dtype=bool)
    if wrong.any():
        raise InvalidDataError([_first_wrong(array, wrong, path, least)])
    return list(map(int, array.tolist()))


def as_whole_number(value: Any) -> int | None:
    """Return a whole number of Python or NumPy as int; None if it is none (a bool, a float)."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_of_pandas(value: Any, *kinds: str) -> bool:
    """Whether a value is of one of these classes of pandas; none is where it was not imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(
        value, tuple(operator.attrgetter(kind)(pandas) for kind in kinds)
    )


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, NaT or pandas' NA."""
    pandas = sys.modules.get("pandas")
    if value is None or (pandas is not None and (value is pandas.NA or value is pandas.NaT)):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def shown(value: Any) -> str:
    """Return a value as a message names it: short, and of an array its kind only."""
    if is_missing(value):
        return "None" if value is None else "NaN"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        # Its own class may show itself otherwise.
        text = repr(str(value[:_SHOWN_CHARACTERS]))
        return text if len(value) <= _SHOWN_CHARACTERS else f"{text}..."
    if isinstance(value, bool | int | float | complex):
        try:
            text = repr(value)
        except ValueError:  # thousands of digits
            return "a very large number"
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _column(values: Any, path: str) -> npt.NDArray[Any]:
    """Return an array in which whole numbers and bools of Python are still themselves."""
    if isinstance(values, Iterator | range):
        values = list(values)
    if isinstance(values, list | tuple):
        kinds = set(map(type, values))
        small = kinds <= {int} and (not values or max(map(abs, values)) <= _MOST)
        if not small and not any(isinstance(v, list | tuple) or _is_array_like(v) for v in values):
            # NumPy would make one type of all: True becomes 1, and 1 becomes "1" or 1.0.
            array = np.empty(len(values), dtype=object)
            array[:] = [item.item() if isinstance(item, np.generic) else item for item in values]
            return array
    if is_of_pandas(getattr(values, "dtype", None), "api.extensions.ExtensionDtype"):
        # As floats, large whole numbers beside a missing one would be rounded.
        return np.asarray(values.to_numpy(dtype=object, na_value=None))
    return to_array(values, path)


def _is_whole(item: Any, least: int | None) -> bool:
    if isinstance(item, float):
        whole = item.is_integer() and abs(item) < _MOST_OF_FLOATS
        return whole and (least is None or item >= least)
    number = as_whole_number(item)
    return number is not None and (-_MOST if least is None else least) <= number <= _MOST


def _first_wrong(
    array: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], path: str, least: int | None
) -> str:
    row, count = int(np.argmax(wrong)), int(wrong.sum())
    item = array[row]
    if isinstance(item, np.generic):
        item = item.item()
    needed = "a whole number" if least is None else f"a whole number from {least}"
    number = as_whole_number(item)
    if isinstance(item, str):
        needed = f"{needed}, not text,"
    elif number is not None and abs(number) > _MOST:
        needed = f"{needed} of 64 bits"
    rows = f"{count:,} of {len(array):,} rows"
    out = f"; {least} means 'no cluster'" if least == -1 else ""
    if number is not None and least is not None and number < least:
        return f"{path}: row {row}: {shown(item)} is less than {least} ({rows}){out}"
    return f"{path}: row {row} is {shown(item)} where {needed} is needed ({rows}){out}"


def _converted(values: Any, path: str) -> npt.NDArray[Any]:
    if isinstance(values, list | tuple):
        return _of_list(values, path)
    if callable(getattr(values, "detach", None)):
        return _of_tensor(values)
    if is_of_pandas(values, "DataFrame", "Series", "Index", "api.extensions.ExtensionArray"):
        return _of_pandas(values)
    # CuPy refuses to copy from its device unless it is asked to.
    if hasattr(values, "__cuda_array_interface__") and callable(getattr(values, "get", None)):
        values = values.get()
    elif not hasattr(values, "__array__") and callable(getattr(values, "toarray", None)):
        values = values.toarray()
    return np.asarray(values)


def _of_tensor(tensor: Any) -> npt.NDArray[Any]:
    plain = tensor.detach()
    if "strided" not in str(plain.layout):
        plain = plain.to_dense()
    plain = plain.cpu().resolve_conj().resolve_neg()
    try:
        return np.asarray(plain.numpy())
    except TypeError:
        return np.asarray(plain.float().numpy())


def _of_pandas(values: Any) -> npt.NDArray[Any]:
    import pandas as pd  # noqa: PLC0415

    if isinstance(values, pd.DataFrame):
        columns = [_of_pandas(values.iloc[:, i]) for i in range(values.shape[1])]
        return np.stack(columns, axis=1) if columns else np.empty(values.shape)
    kind = values.dtype
    missing = not isinstance(kind, np.dtype) and bool(values.isna().any())
    if missing and pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values)


def _of_list(values: list[Any] | tuple[Any, ...], path: str) -> npt.NDArray[Any]:
    if any(map(_is_array_like, values)):
        values = [_converted(item, path) if _is_array_like(item) else item for item in values]
    shapes = list(dict.fromkeys(map(np.shape, values))) if _has_arrays(values) else []
    if len(shapes) > 1:
        raise InvalidDataError(
            [f"{path}: its entries have different shapes, {shapes[0]} and {shapes[1]}"]
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidDataError([f"{path}: the rows have different lengths"]) from error


def _has_arrays(values: list[Any] | tuple[Any, ...]) -> bool:
    return any(isinstance(item, np.ndarray) for item in values)


def _is_array_like(item: Any) -> bool:
    if isinstance(item, np.generic):
        return False
    return hasattr(item, "__array__") or hasattr(item, "detach")
