"""The tensor file beside a version's document: safetensors, with a checksum for every tensor.

The checksums stand in the document: one for the file's header and one for each tensor, so that one
tensor can be read and verified without the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import safetensors
from blake3 import blake3

from concept_fragmentation.persistence.errors import CorruptedFileError, StorageError

Array = npt.NDArray[Any]

_DTYPES: Final = {
    "BOOL": "|b1",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_NATIVE: Final = frozenset(_DTYPES.values())
_MAX_HEADER_BYTES: Final = 100_000_000


def _digest(array: Array) -> str:
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return blake3(data.data, max_threads=blake3.AUTO).hexdigest()


def write(path: Path, tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Write a safetensors file and return its checksums, `{"header", "digests": {name: hex}}`.

    Arrays of a dtype that safetensors does not know are written as their bytes.
    """
    plain = {
        name: np.ascontiguousarray(a).reshape(a.shape)
        if a.dtype.str in _NATIVE
        else np.frombuffer(a.tobytes(), dtype=np.uint8)
        for name, a in tensors.items()
    }
    specs = {
        name: safetensors.TensorSpec(
            dtype=a.dtype.name, shape=a.shape, data_ptr=a.ctypes.data, data_len=a.nbytes
        )
        for name, a in plain.items()
    }
    try:
        safetensors.serialize_file(specs, str(path))
    except safetensors.SafetensorError as error:
        raise StorageError(
            f"Could not write {str(path)!r}: {error}; nothing was changed. "
            "Check free space and permissions of that folder and try again."
        ) from error
    with path.open("rb") as file:
        header = _read_header(file)
    return {
        "header": blake3(header).hexdigest(),
        "digests": {name: _digest(array) for name, array in plain.items()},
    }


def _read_header(file: BinaryIO) -> bytes:
    length = file.read(8)
    # A damaged length must not make us read gigabytes: the format allows a header of 100 MB.
    return length + file.read(min(int.from_bytes(length, "little"), _MAX_HEADER_BYTES))


class TensorFile:
    """A tensor file opened for reading; each tensor is verified as it is read."""

    def __init__(self, file: BinaryIO, path: str, checksums: Mapping[str, Any]) -> None:
        """Read tensors from `file`, which errors call `path`, and verify its header now.

        Raises:
            CorruptedFileError: the header is not what was written.
        """
        self._file = file
        self._path = path
        self._digests: Mapping[str, str] = checksums["digests"]
        header = _read_header(file)
        if blake3(header).hexdigest() != checksums["header"]:
            raise self._corrupted("its header")
        self._start = len(header)
        self._entries: dict[str, Any] = json.loads(header[8:])
        self._data: npt.NDArray[np.uint8] | None = None

    def read(self, name: str) -> Array:
        """One tensor, as an array that can be written to.

        Raises:
            CorruptedFileError: its bytes are not what was written; file and tensor are named.
        """
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        if self._data is None:
            # All at once, into one buffer that every array is a part of: the system gives it in
            # large pages, which makes reading twice as fast as into many small ones.
            self._data = np.empty(
                max(e["data_offsets"][1] for e in self._entries.values()), np.uint8
            )
            self._file.seek(self._start)
            self._data[self._file.readinto(self._data) :] = 0  # type: ignore[attr-defined]
        data = self._data[begin:end]
        if _digest(data) != self._digests[name]:
            raise self._corrupted(f"tensor {name!r}")
        return data.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def _corrupted(self, part: str) -> CorruptedFileError:
        return CorruptedFileError(
            f"Corrupted file {self._path!r}: {part} does not match its checksum.", path=self._path
        )
