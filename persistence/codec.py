"""Python values to strict JSON and back, without loss.

JSON holds what it can hold as itself. Everything else becomes an object with one key that begins
with `$`:

    {"$float": "nan" | "inf" | "-inf" | "bits:<hex>"}   floats that JSON has no number for
    {"$int": "0x..."}                        integers outside 64 bits
    {"$str": base64}                         text with lone surrogates (UTF-8, surrogates passed)
    {"$bytes": base64}, {"$bytearray": base64}, {"$complex": [real, imaginary]}
    {"$tuple": [...]}, {"$set": [...]}, {"$frozenset": [...]}
    {"$dict": [[key, value], ...]}           keys that are no plain text, or that begin with `$`
    {"$scalar": {"dtype", "base64"}}         a NumPy scalar
    {"$array": {"dtype", "shape", "base64"}} a NumPy array, C order, or
    {"$array": {"dtype", "shape", "tensor"}} the same, its bytes in the tensor file under that name

and, only where there is a tensor file:

    {"$list": {"type": "int" | "float" | "bool", "tensor"}}  a long regular list of numbers, nested
                                                             or not
    {"$list": {"type": "json", "tensor"}}    a very long list of text, None and numbers: the bytes
                                             of its JSON, in UTF-8
    {"$table": {"columns": {name: [...]}, "index": [...]}}   a dict of records with the same keys
    {"$table": {"columns": {name: [...]}, "length": N}}      a list of such records

Only exact types are taken (a subclass would come back as its base, which is a loss), so a value is
either returned as it was or refused by its path.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.lazy import LazyArray

Array = npt.NDArray[Any]

MAX_DEPTH: Final = 100
# Shorter lists stay in the JSON, where a person can read them.
_LONG_LIST: Final = 64
_LONG_TABLE: Final = 16
_VERY_LONG_LIST: Final = 1000

_INT64: Final = (-(2**63), 2**63 - 1)
_STORABLE_KINDS: Final = "biufcmMSU"
_LIST_KINDS: Final = {"int": "i", "float": "f", "bool": "b"}
# As many as NumPy allows.
_MAX_DIMENSIONS: Final = 32
_PLAIN_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


_IN_TENSORS: Final = ("$array", "$list")

_Leaf = str | int | float | bool | None


class CodecError(ValueError):
    """An encoded value that `decode` can't have been given by `encode`."""


def encode(value: object, path: str = "", tensors: dict[str, Array] | None = None) -> Any:
    """Encode `value` as plain JSON values.

    Args:
        value: what to encode; it is not changed.
        path: what to call `value` in problems, such as `metadata`.
        tensors: where arrays and long lists of numbers go, under names made from their path;
            without it, everything stays in the JSON.

    Raises:
        InvalidDataError: a value that can't be kept without loss, named by its path.
    """
    return _Encoder(tensors).encode(value, path, 0)


def decode(
    encoded: Any,
    tensor: Callable[[str], Array] | None = None,
    stand_in: Callable[[Mapping[str, Any]], Any] | None = None,
) -> Any:
    """The value that `encode` was given.

    Args:
        encoded: plain JSON values; containers in it may be reused in the result.
        tensor: gives the array of that name, as it was stored.
        stand_in: gives what is to stand for an array or list in a tensor, so that it is not read;
            None where the array or list itself is. It gets what `encode` wrote of it.

    Raises:
        CodecError: `encoded` is not what `encode` writes.
    """
    try:
        return _Decoder(tensor, stand_in).decode(encoded, 0)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        if isinstance(error, CodecError | InvalidDataError):
            raise
        raise CodecError(f"{type(error).__name__}: {error}") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _is_text(strings: str) -> bool:
    try:
        strings.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Encoder:
    def __init__(self, tensors: dict[str, Array] | None) -> None:
        self.tensors = tensors

    def encode(self, value: Any, path: str, depth: int) -> Any:  # noqa: PLR0911, PLR0912 - one line a type
        if depth > MAX_DEPTH:
            raise InvalidDataError(
                [f"{path}: nested deeper than {MAX_DEPTH} levels (or in itself)"]
            )
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return (
                value
                if _is_text(value)
                else {"$str": _base64(value.encode("utf-8", "surrogatepass"))}
            )
        if kind is int:
            return value if _INT64[0] <= value <= _INT64[1] else {"$int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"$float": _special_float(value)}
        if kind is list:
            return self._list(value, path, depth)
        if kind is dict:
            return self._dict(value, path, depth)
        if kind is tuple:
            return {"$tuple": self._items(value, path, depth)}
        if kind is np.ndarray or kind is np.memmap:
            return {"$array": self._array(value, path)}
        if isinstance(value, np.generic):
            array = np.asarray(value)
            self._check_dtype(array.dtype, path)
            return {"$scalar": {"dtype": array.dtype.str, "base64": _base64(array.tobytes())}}
        if kind is bytes or kind is bytearray:
            return {f"${kind.__name__}": _base64(bytes(value))}
        if kind is complex:
            return {
                "$complex": [self.encode(part, path, depth) for part in (value.real, value.imag)]
            }
        if kind is set or kind is frozenset:
            # A set has no order; sorted by type and text, equal sets give equal documents.
            ordered = sorted(value, key=lambda item: (type(item).__name__, repr(item)))
            return {f"${kind.__name__}": self._items(ordered, path, depth)}
        if kind is LazyArray:
            return self.encode(value.value(), path, depth)
        raise InvalidDataError(
            [
                f"{path}: a value of type {kind.__module__}.{kind.__qualname__} can't be stored "
                "without loss; convert it to a dict, list, number, string or NumPy array"
            ]
        )

    def _items(self, values: Any, path: str, depth: int) -> list[Any]:
        return [self.encode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(values)]

    def _list(self, values: list[Any], path: str, depth: int) -> Any:
        kinds = _kinds(values)
        if len(kinds) == 1:
            (kind,) = kinds
            in_tensors = self.tensors is not None and len(values) >= _LONG_LIST
            if not (in_tensors and kind in (int, float, bool)) and _is_json(kind, values):
                return self._leaves(values, path)
        is_table = self.tensors is not None and len(values) >= _LONG_TABLE and kinds == {dict}
        if is_table and (columns := _columns(values)) is not None:
            table = self._table(columns, path, depth)
            return {"$table": {"columns": table, "length": len(values)}}
        if self.tensors is not None and (numbers := _regular_numbers(values, kinds)) is not None:
            name, array = numbers
            return {"$list": {"type": name, "tensor": self._store(array, path)}}
        return self._leaves(self._items(values, path, depth), path)

    def _leaves(self, values: list[Any], path: str) -> Any:
        """A list that JSON can hold; if nobody would read one so long, in the tensors."""
        if self.tensors is None or len(values) < _VERY_LONG_LIST:
            return values
        if not _PLAIN_LEAVES.issuperset(map(type, values)):
            return values
        array = np.frombuffer(msgspec.json.encode(values), dtype=np.uint8)
        return {"$list": {"type": "json", "tensor": self._store(array, path)}}

    def _dict(self, mapping: dict[Any, Any], path: str, depth: int) -> Any:
        keys = list(mapping)
        if not _are_plain_keys(keys):
            return {
                "$dict": [
                    [
                        self.encode(key, f"{path}.<key>", depth + 1),
                        self.encode(item, _below(path, key), depth + 1),
                    ]
                    for key, item in mapping.items()
                ]
            }
        if self.tensors is not None and len(keys) >= _LONG_TABLE:
            records = list(mapping.values())
            if _kinds(records) == {dict} and (columns := _columns(records)) is not None:
                table = self._table(columns, path, depth)
                return {"$table": {"columns": table, "index": self._leaves(keys, f"{path}.*")}}
        return {
            key: self.encode(item, _below(path, key), depth + 1) for key, item in mapping.items()
        }

    def _table(self, columns: dict[str, list[Any]], path: str, depth: int) -> dict[str, Any]:
        return {
            name: self.encode(column, f"{path}.*.{name}", depth + 1)
            for name, column in columns.items()
        }

    def _array(self, array: Array, path: str) -> dict[str, Any]:
        self._check_dtype(array.dtype, path)
        description: dict[str, Any] = {"dtype": array.dtype.str, "shape": list(array.shape)}
        if self.tensors is None:
            return description | {"base64": _base64(array.tobytes())}
        return description | {"tensor": self._store(np.asarray(array, order="C"), path)}

    def _check_dtype(self, dtype: np.dtype[Any], path: str) -> None:
        if dtype.kind not in _STORABLE_KINDS or not dtype.itemsize:
            raise InvalidDataError(
                [
                    f"{path}: NumPy values of dtype {dtype} can't be stored; "
                    "convert them to numbers, fixed-width strings or a list"
                ]
            )

    def _store(self, array: Array, path: str) -> str:
        assert self.tensors is not None  # noqa: S101 - for the type checker
        base = re.sub(r"[^A-Za-z0-9_.*\[\]-]", "_", path)[:200]
        name, count = base, 1
        while name in self.tensors:
            count += 1
            name = f"{base}~{count}"
        self.tensors[name] = array
        return name


def _below(path: str, key: object) -> str:
    name = key if isinstance(key, str) else repr(key)
    return f"{path}.{name}" if path else name


def _kinds(values: Sequence[Any]) -> set[type[Any]]:
    """The types of values; quick for a long list of one type."""
    kinds = list(map(type, values))
    return {kinds[0]} if kinds and kinds.count(kinds[0]) == len(kinds) else set(kinds)


def _is_json(kind: type[Any], values: list[Any]) -> bool:
    """Whether values of one type are all fit for JSON as they are; quick for long lists."""
    if kind is str:
        return _is_text("".join(values))
    if kind is int:
        lowest, highest = _INT64
        return bool(lowest <= min(values) and max(values) <= highest)
    if kind is float:
        return bool(np.isfinite(np.array(values)).all())
    return kind is bool or values[0] is None


def _special_float(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    bits = struct.pack(">d", value)
    return "nan" if bits == struct.pack(">d", math.nan) else f"bits:{bits.hex()}"


def _columns(records: list[dict[Any, Any]]) -> dict[str, list[Any]] | None:
    """The columns of records that share their keys and the keys' order; None if they do not."""
    names = tuple(records[0])
    if not names or not _are_plain_keys(names):
        return None
    if list(map(tuple, records)).count(names) != len(records):
        return None
    return {name: list(map(itemgetter(name), records)) for name in names}


def _are_plain_keys(keys: Sequence[Any]) -> bool:
    """Whether JSON can have these keys as they are and none passes for a tag."""
    if not _kinds(keys) <= {str}:
        return False
    # Joined, thousands are looked at in one go; what is refused here for a NUL in it is still
    # kept, only less readably.
    joined = "\0" + "\0".join(keys)
    return "\0$" not in joined and _is_text(joined)


def _regular_numbers(values: list[Any], kinds: set[type[Any]]) -> tuple[str, Array] | None:
    """A long list, or regular nested list, of only int, only float or only bool, as an array.

    `kinds` are the types of `values`.
    """
    shape: list[int] = []
    flat: list[Any] = values
    while True:
        shape.append(len(flat) // math.prod(shape))
        if kinds != {list}:
            break
        if len(set(map(len, flat))) != 1 or len(shape) > _MAX_DIMENSIONS or not flat[0]:
            return None
        flat = list(chain.from_iterable(flat))
        kinds = _kinds(flat)
    if len(flat) < _LONG_LIST or len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind is int:
        array = _narrow(flat)
        return None if array is None else ("int", array.reshape(shape))
    if kind is float or kind is bool:
        return kind.__name__, np.array(flat, dtype=kind).reshape(shape)
    return None


def _narrow(values: list[int]) -> Array | None:
    """Integers in the smallest signed dtype that holds them; None if 64 bits do not."""
    try:
        array = np.array(values, dtype=np.int64)
    except OverflowError:
        return None
    low, high = array.min(), array.max()
    for dtype in (np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return array.astype(dtype)
    return array


class _Decoder:
    def __init__(
        self,
        tensor: Callable[[str], Array] | None,
        stand_in: Callable[[Mapping[str, Any]], Any] | None,
    ) -> None:
        self.tensor = tensor
        self.stand_in = stand_in

    def decode(self, value: Any, depth: int) -> Any:
        if depth > 3 * MAX_DEPTH:
            raise CodecError(f"nested deeper than {MAX_DEPTH} levels")
        if type(value) is list:
            if _kinds(value) <= _PLAIN_LEAVES:
                return value
            return [self.decode(item, depth + 1) for item in value]
        if type(value) is dict:
            if len(value) == 1:
                (key,) = value
                if key[:1] == "$":
                    return self._tagged(key, value[key], depth + 1)
            return {key: self.decode(item, depth + 1) for key, item in value.items()}
        return value

    def _tagged(self, tag: str, body: Any, depth: int) -> Any:
        if tag in _IN_TENSORS and self.stand_in is not None and "tensor" in body:
            stand_in = self.stand_in(body)
            if stand_in is not None:
                return stand_in
        decoder = getattr(self, f"_decode_{tag[1:]}", None)
        if decoder is None:
            raise CodecError(f"unknown kind of value {tag!r}")
        return decoder(body, depth)

    def _decode_float(self, body: str, _depth: int) -> float:
        if body.startswith("bits:"):
            (value,) = struct.unpack(">d", bytes.fromhex(body[5:]))
            return float(value)
        if body not in ("nan", "inf", "-inf"):
            raise CodecError(f"unknown float {body!r}")
        return float(body)

    def _decode_int(self, body: str, _depth: int) -> int:
        return int(body, 16)

    def _decode_str(self, body: str, _depth: int) -> str:
        return base64.b64decode(body, validate=True).decode("utf-8", "surrogatepass")

    def _decode_bytes(self, body: str, _depth: int) -> bytes:
        return base64.b64decode(body, validate=True)

    def _decode_bytearray(self, body: str, _depth: int) -> bytearray:
        return bytearray(base64.b64decode(body, validate=True))

    def _decode_complex(self, body: list[Any], depth: int) -> complex:
        real, imaginary = (self.decode(part, depth) for part in body)
        return complex(real, imaginary)

    def _decode_tuple(self, body: list[Any], depth: int) -> tuple[Any, ...]:
        return tuple(self._sequence(body, depth))

    def _decode_set(self, body: list[Any], depth: int) -> set[Any]:
        return set(self._sequence(body, depth))

    def _decode_frozenset(self, body: list[Any], depth: int) -> frozenset[Any]:
        return frozenset(self._sequence(body, depth))

    def _sequence(self, body: Any, depth: int) -> list[Any]:
        if type(body) is not list:
            raise CodecError("a list is needed")
        return [self.decode(item, depth) for item in body]

    def _decode_dict(self, body: list[Any], depth: int) -> dict[Any, Any]:
        return {self.decode(key, depth): self.decode(item, depth) for key, item in body}

    def _decode_scalar(self, body: Mapping[str, Any], _depth: int) -> Any:
        data = base64.b64decode(body["base64"], validate=True)
        return np.frombuffer(data, dtype=_dtype(body["dtype"]), count=1)[0]

    def _decode_array(self, body: Mapping[str, Any], _depth: int) -> Array:
        dtype, shape = _dtype(body["dtype"]), _shape(body["shape"])
        if "tensor" in body:
            array = self._tensor(body["tensor"])
            if array.dtype != dtype:
                array = array.view(dtype).reshape(shape)
            if array.shape != shape:
                raise CodecError(
                    f"tensor {body['tensor']!r} has the shape {array.shape}, not {shape}"
                )
            return array
        data = base64.b64decode(body["base64"], validate=True)
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise CodecError(f"an array of {dtype} {shape} can't have {len(data)} bytes")
        # A copy of our own, so that what is returned can be written to.
        return np.frombuffer(bytearray(data), dtype=dtype).reshape(shape)

    def _decode_list(self, body: Mapping[str, Any], _depth: int) -> list[Any]:
        array = self._tensor(body["tensor"])
        if body["type"] == "json":
            return msgspec.json.decode(array.tobytes(), type=list[_Leaf])
        if array.dtype.kind != _LIST_KINDS[body["type"]]:
            raise CodecError(f"a list of {body['type']} can't be stored as {array.dtype}")
        values: list[Any] = array.tolist()
        return values

    def _decode_table(self, body: Mapping[str, Any], depth: int) -> Any:
        columns = {name: self._column(column, depth) for name, column in body["columns"].items()}
        index = self.decode(body["index"], depth) if "index" in body else None
        length = body["length"] if index is None else len(index)
        if {len(column) for column in columns.values()} != {length}:
            raise CodecError("a table's columns have different lengths")
        # Column by column into copies of one template: twice as fast as row by row.
        template: dict[str, Any] = dict.fromkeys(columns)
        records = [template.copy() for _ in range(length)]
        for name, column in columns.items():
            for record, item in zip(records, column, strict=True):
                record[name] = item
        return records if index is None else dict(zip(index, records, strict=True))

    def _column(self, column: Any, depth: int) -> Any:
        # A list that is a column is no value of its own: each record gets its item.
        is_list = type(column) is dict and "$list" in column
        return (_Decoder(self.tensor, None) if is_list else self).decode(column, depth)

    def _tensor(self, name: str) -> Array:
        if self.tensor is None:
            raise CodecError(f"no tensor file, but tensor {name!r} is asked for")
        return self.tensor(name)


def _dtype(text: Any) -> np.dtype[Any]:
    try:
        dtype = np.dtype(text) if isinstance(text, str) else None
    except (SyntaxError, TypeError, ValueError):
        # NumPy reads "," as a list of dtypes, in Python's syntax.
        dtype = None
    if dtype is None or dtype.kind not in _STORABLE_KINDS or not dtype.itemsize:
        raise CodecError(f"unknown dtype {text!r}")
    return dtype


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
        raise CodecError(f"not a shape: {shape!r}")
    return tuple(shape)
