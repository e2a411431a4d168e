"""Reading pickles without running code: builtin containers, numbers, text and NumPy arrays only."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence import pickle_scan
from concept_fragmentation.persistence.budget import MAX_DEPTH, Budget, OverBudgetError

# The longest that NumPy writes is that of a text's dtype.
_LONGEST_DTYPE: Final = 40


class RefusedPickleError(InvalidDataError):
    """A pickle that asks for something other than plain data."""


class _Admitted:
    """A callable a pickle may use. It has no attributes, so a pickle can't change it."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)  # past our own `__setattr__`

    def __setattr__(self, name: str, value: object) -> None:
        raise RefusedPickleError([f"the pickle sets {name!r} of a function"])

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class _Dtype:
    """Stands for a dtype while it is read: NumPy's own would take flags that make it unsafe."""

    __slots__ = ("dtype",)

    def __init__(self, description: object, *_flags: object) -> None:
        if not isinstance(description, str):
            raise RefusedPickleError([f"the pickle holds an array of dtype {description!r}"])
        self.dtype = _plain_dtype(description)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        byte_order, structure = state[1], state[2:5]
        if structure != (None, None, None) or byte_order not in ("<", ">", "|", "="):
            raise RefusedPickleError(["the pickle holds an array with fields"])
        dtype = self.dtype
        if dtype.kind in "mM" and len(state) > 8:
            unit, count = state[8][1][:2]
            dtype = _plain_dtype(f"{dtype.kind}8[{count}{bytes(unit).decode('ascii')}]")
        self.dtype = dtype if byte_order == "|" else dtype.newbyteorder(byte_order)


class _Array:
    """Stands for an array while it is read, for the same reason."""

    __slots__ = ("array",)

    def __init__(self, *_empty_array: object) -> None:
        self.array: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        self.array = _from_buffer(data, dtype, shape, "F" if fortran else "C")


def _plain_dtype(description: str) -> np.dtype[Any]:
    if len(description) > _LONGEST_DTYPE:
        raise RefusedPickleError(["the pickle holds an array of a dtype with a long description"])
    try:
        dtype = np.dtype(description)
    except (SyntaxError, TypeError, ValueError) as error:
        raise RefusedPickleError([f"the pickle holds no dtype but {description!r}"]) from error
    if dtype.hasobject or dtype.kind not in "biufcmMSU":
        raise RefusedPickleError([f"the pickle holds an array of dtype {description!r}"])
    return dtype


def _scalar(dtype: Any, data: object) -> Any:
    raw = data.encode("latin-1") if isinstance(data, str) else data
    return _from_buffer(raw, dtype, (1,), "C")[0]


def _from_buffer(data: object, dtype: Any, shape: Any, order: Any) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise RefusedPickleError(["the pickle does not build its arrays as NumPy does"])
    return np.frombuffer(bytearray(data), dtype=dtype.dtype).reshape(shape, order=order)


def _encode(text: object, encoding: object = None) -> bytes:
    # Python 2 and protocol 2 write bytes this way.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedPickleError(["the pickle encodes text in an unknown way"])
    return text.encode("latin-1")


def _bytearray(data: object = b"", encoding: object = "latin-1") -> bytearray:
    # `bytearray(10**12)` would only ask for memory.
    if isinstance(data, str):
        return bytearray(_encode(data, encoding))
    if not isinstance(data, bytes):
        raise RefusedPickleError(["the pickle builds a bytearray from something else than bytes"])
    return bytearray(data)


def _bytes(*_nothing: object) -> bytes:
    # The oldest protocols write empty bytes as a call without arguments.
    if _nothing:
        raise RefusedPickleError(["the pickle builds bytes from something else"])
    return b""


def _dict(*_nothing: object) -> dict[Any, Any]:
    # What a store loads is pickled as an empty dict to which its items are added.
    if _nothing:
        raise RefusedPickleError(["the pickle builds a dict from something else than its items"])
    return {}


_BUILTINS: Final[dict[str, Callable[..., Any]]] = {
    "bytes": _bytes,
    "complex": complex,
    "dict": _dict,
    "set": set,
    "frozenset": frozenset,
    "bytearray": _bytearray,
}
_NUMPY_CORES: Final = ("numpy.core", "numpy._core")
_ADMITTED: Final[dict[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): None,  # only ever an argument
    ("numpy", "dtype"): _Admitted(_Dtype),
    ("_codecs", "encode"): _Admitted(_encode),
    **{
        (module, name): _Admitted(call)
        for module in ("builtins", "__builtin__")
        for name, call in _BUILTINS.items()
    },
    **{(f"{core}.multiarray", "_reconstruct"): _Admitted(_Array) for core in _NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _Admitted(_scalar) for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Admitted(_from_buffer) for core in _NUMPY_CORES},
}


_WEIGHED: Final = frozenset({str, bytes, bytearray, _Array})


class _Finisher:
    """Replaces what stood for arrays and dtypes by them, in a copy of what was read.

    A pickle can name one list many times, and lists of such lists: small in memory and in the file,
    but endless when it is copied or saved. What it may come to is bounded by what it weighs.
    """

    def __init__(self, size: int) -> None:
        self._containers_left = 1000 + 4 * size
        self._bytes_left = 2**20 + 50 * size

    def finish(self, value: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise OverBudgetError([f"the pickle is nested deeper than {MAX_DEPTH} levels"])
        kind = type(value)
        if kind is dict:
            self._count([*value, *value.values()])
            return {key: self.finish(item, depth + 1) for key, item in value.items()}
        if kind is list or kind is tuple:
            self._count(value)
            if not any(type(item) in _CONTAINERS for item in value):
                return value
            return kind([self.finish(item, depth + 1) for item in value])
        if kind is _Array:
            self._count([value])
            return value.array
        if kind is _Dtype or kind is _Admitted:
            raise RefusedPickleError(["the pickle holds a dtype or function where data should be"])
        return value

    def _count(self, items: Any) -> None:
        self._containers_left -= 1 + len(items)
        self._bytes_left -= sum(
            item.array.nbytes if type(item) is _Array else len(item)
            for item in items
            if type(item) in _WEIGHED
        )
        if self._containers_left < 0 or self._bytes_left < 0:
            raise OverBudgetError(["the pickle names the same things too often to be data"])


_CONTAINERS: Final = frozenset({dict, list, tuple, _Array, _Dtype, _Admitted})


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise RefusedPickleError(
                [
                    f"the pickle asks for {module}.{name}; only builtin containers, numbers, "
                    "strings and NumPy arrays are admitted. Export the analysis as JSON instead"
                ]
            )
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedPickleError([f"the pickle refers to something outside itself ({pid!r})"])


def loads(data: bytes, budget: Budget | None = None) -> Any:
    """Return the plain data in a pickle.

    Args:
        data: the pickle.
        budget: what reading it may take; by default what its size allows.

    Raises:
        RefusedPickleError: it asks for anything but plain data; what it asks for is named.
        OverBudgetError: it is nested too deeply, or holds or copies too much.
        ValueError: it is no pickle or a damaged one.
    """
    try:
        pickle_scan.check(data, Budget(len(data)) if budget is None else budget)
        return _Finisher(len(data)).finish(_Unpickler(io.BytesIO(data)).load())
    except (InvalidDataError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
