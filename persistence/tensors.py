"""Tensor files: safetensors whose every stretch of 1 MiB has a checksum, plain or compressed.

An array of 64 KiB or more has a file of its own; the smaller arrays of a version share one. A file
is named after its content, so that versions with the same array name the same file, and it is never
changed. The checksums stand in the version's document:

    {"chunk_bytes": 1048576,
     "arrays": {array: {"file": F, "name": the tensor's name in F}},
     "files": {F: {"header": blake3 of the header, "size": bytes after it,
                   "chunks": [blake3 of each 1 MiB after the header]}}}

`F` stands for `F.safetensors`, or `F.safetensors.zst` (see `compression`). What is read of an array
is verified chunk by chunk, so that a part of it is verified without reading the rest. Documents of
format 1 name one file with one checksum for each whole tensor: `{"file", "header", "digests"}`.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import re
import stat
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import safetensors
from blake3 import blake3

from concept_fragmentation.persistence import compression
from concept_fragmentation.persistence.blobs import LocalBlobs, set_mode, storage_errors
from concept_fragmentation.persistence.errors import CorruptedFileError, StorageError
from concept_fragmentation.persistence.reading import OpenedFile, closing, open_file

Array = npt.NDArray[Any]

SUFFIX: Final = ".safetensors"
COMPRESSED_SUFFIX: Final = f"{SUFFIX}.zst"
CHUNK_BYTES: Final = compression.FRAME_BYTES

_FILE: Final = re.compile(r"[a-z0-9]{1,64}")
_OWN_FILE_BYTES: Final = 64 * 2**10
_OWN_NAME: Final = "array"
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
NATIVE_DTYPES: Final = frozenset(_DTYPES.values())
_MAX_HEADER_BYTES: Final = 100_000_000
# Every number that NumPy knows may begin at a multiple of this.
_ALIGNMENT: Final = 64


# Writing


def write(
    blobs: LocalBlobs, folder: str, arrays: Mapping[str, Array], *, compress: bool
) -> dict[str, Any]:
    """Write what `folder` does not hold yet and return the document's section on tensors.

    A file that is there already is verified before it is shared; a damaged one is written anew,
    which mends every version that shares it. If writing fails, what was newly written goes again.
    Arrays of a dtype that safetensors does not know are written as their bytes.
    """
    plain = {name: _plain(array) for name, array in arrays.items()}
    small = {name: array for name, array in plain.items() if array.nbytes < _OWN_FILE_BYTES}
    section: dict[str, Any] = {"chunk_bytes": CHUNK_BYTES, "arrays": {}, "files": {}}
    written: list[str] = []
    try:
        for name, array in plain.items():
            if name not in small:
                content = _Content({_OWN_NAME: array})
                file = _share_or_write(blobs, folder, content, written, section, compress=compress)
                section["arrays"][name] = {"file": file, "name": _OWN_NAME}
        if small:
            content = _Content(small)
            file = _share_or_write(blobs, folder, content, written, section, compress=compress)
            section["arrays"] |= {name: {"file": file, "name": name} for name in small}
    except BaseException:
        for name in written:
            with contextlib.suppress(StorageError):
                blobs.delete(name)
        raise
    return section


def _plain(array: Array) -> Array:
    if array.dtype.str in NATIVE_DTYPES:
        return np.ascontiguousarray(array).reshape(array.shape)
    return np.frombuffer(array.tobytes(), dtype=np.uint8)


def _specs(tensors: Mapping[str, Array]) -> dict[str, safetensors.TensorSpec]:
    return {
        name: safetensors.TensorSpec(
            dtype=a.dtype.name, shape=a.shape, data_ptr=a.ctypes.data, data_len=a.nbytes
        )
        for name, a in tensors.items()
    }


def _serialize_file(specs: dict[str, safetensors.TensorSpec], path: Path) -> None:
    # safetensors makes files that only their owner can read; a store may be shared. What a new
    # file may be is up to the umask and to the folder, which are asked by making one.
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    safetensors.serialize_file(specs, str(path))
    set_mode(path, mode)


class _Content:
    """What a tensor file is to hold, and the name that this gives it."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._specs = _specs(tensors)
        self.described = {name: (a.dtype.str, list(a.shape)) for name, a in tensors.items()}
        self._serialized: bytes | None = None
        if _OWN_NAME in tensors and len(tensors) == 1:
            # A large one is hashed where it is, not copied.
            data = tensors[_OWN_NAME].reshape(-1).view(np.uint8).data
        else:
            self._serialized = safetensors.serialize(self._specs)
            header = 8 + int.from_bytes(self._serialized[:8], "little")
            data = memoryview(self._serialized)[header:]
        self.size = len(data)
        self.chunks = _digests(lambda begin, end: data[begin:end], self.size)
        identity = json.dumps([self.described, self.chunks]).encode()
        self.name = blake3(identity).hexdigest(length=16)

    def write(self, path: Path) -> None:
        if self._serialized is None:
            _serialize_file(self._specs, path)
        else:
            path.write_bytes(self._serialized)

    def describe(self, path: Path) -> dict[str, Any] | None:
        """The description of the file in `path` (or compressed beside it) if it holds just this."""
        try:
            with _open(path) as source:
                header = source.header()
                found = {
                    name: (_DTYPES[entry["dtype"]], entry["shape"])
                    for name, entry in _entries(header).items()
                }
                if (found, source.size) != (self.described, self.size):
                    return None
                if _digests(source.data, self.size) != self.chunks:
                    return None
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            # Not there, or damaged.
            return None
        return {"header": blake3(header).hexdigest(), "size": self.size, "chunks": self.chunks}


def _digests(data: Callable[[int, int], memoryview], size: int) -> list[str]:
    starts = range(0, size, CHUNK_BYTES)
    return [blake3(data(i, min(i + CHUNK_BYTES, size))).hexdigest() for i in starts]


def _share_or_write(
    blobs: LocalBlobs,
    folder: str,
    content: _Content,
    written: list[str],
    section: dict[str, Any],
    *,
    compress: bool,
) -> str:
    """See that `folder` holds `content`, describe its file in `section` and return its name."""
    target = f"{folder}/{content.name}{SUFFIX}"
    path = blobs.path(target)
    with storage_errors("read", path):
        description = content.describe(path)
    if description is None:
        was_there = path.exists() or blobs.path(f"{target}.zst").exists()
        # A damaged one is replaced by a plain one, which is looked for first.
        compress = compress and not was_there
        name = f"{target}.zst" if compress else target
        try:
            with blobs.writing(name) as temporary:
                if compress:
                    plain = temporary.with_name(f"{temporary.name}-plain")
                    try:
                        content.write(plain)
                        compression.compress(plain, temporary)
                    finally:
                        plain.unlink(missing_ok=True)
                else:
                    content.write(temporary)
        except safetensors.SafetensorError as error:
            raise StorageError(
                f"Could not write {str(path)!r}: {error}; nothing was changed. "
                "Check free space and permissions of that folder and try again."
            ) from error
        if not was_there:
            written.append(name)
        with storage_errors("read", path):
            description = content.describe(path)
        if description is None:
            raise StorageError(
                f"Could not write {str(path)!r}: what was read back is not what was written; "
                "nothing was changed. Check the disk."
            )
    section["files"][content.name] = description
    return content.name


def write_file(arrays: Mapping[str, Array], path: Path) -> None:
    """Write arrays to a safetensors file, without a copy of them in memory.

    Raises:
        OSError, StorageError: the disk refused.
    """
    content = {name: _plain(array) for name, array in arrays.items()}
    try:
        _serialize_file(_specs(content), path)
    except safetensors.SafetensorError as error:
        raise StorageError(
            f"Could not write {str(path)!r}: {error}; nothing was changed. "
            "Check free space and permissions of that folder and try again."
        ) from error


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as the bytes of a safetensors file."""
    content = {name: _plain(array) for name, array in arrays.items()}
    return safetensors.serialize(_specs(content))


def unpack(packed: bytes) -> dict[str, Array]:
    """The arrays of `pack`, to be written to."""
    return {
        name: np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in safetensors.deserialize(packed)  # type: ignore[no-untyped-call]
    }


def compress(blobs: LocalBlobs, name: str) -> None:
    """Replace the plain tensor file `name` by a compressed one that was read back and compared."""
    path = blobs.path(name)
    with blobs.writing(f"{name}.zst") as packed:
        compression.compress(path, packed)
    blobs.delete(name)


# Reading


class _Source(Protocol):
    """The bytes of a tensor file, whether plain or compressed."""

    size: int  # of what stands after the header

    def header(self) -> bytes:
        """The header with its length before it."""

    def data(self, begin: int, end: int, *, writable: bool = False) -> memoryview:
        """Bytes after the header, mapped into memory or made for this call.

        What is written to those that are `writable` never reaches the file.
        """

    def fill(self, buffer: npt.NDArray[np.uint8]) -> int:
        """Read everything after the header into `buffer`; how many bytes there were."""


class _PlainSource:
    def __init__(self, opened: OpenedFile) -> None:
        self._file = opened
        # A damaged length must not make us read gigabytes: the format allows a header of 100 MB.
        length = int.from_bytes(opened.read(0, 8), "little")
        self._header = opened.read(0, 8 + min(length, _MAX_HEADER_BYTES))
        self.size = opened.size - len(self._header)

    def header(self) -> bytes:
        return self._header

    def data(self, begin: int, end: int, *, writable: bool = False) -> memoryview:
        start = len(self._header)
        return self._file.map(start + begin, start + end, writable=writable)

    def fill(self, buffer: npt.NDArray[np.uint8]) -> int:
        return self._file.fill(len(self._header), buffer)


class _PackedSource:
    def __init__(self, opened: OpenedFile) -> None:
        self._frames = compression.Frames(opened)
        length = int.from_bytes(self._frames.read(0, 8), "little")
        self._start = 8 + min(length, _MAX_HEADER_BYTES, self._frames.size - 8)
        self.size = self._frames.size - self._start

    def header(self) -> bytes:
        return self._frames.read(0, self._start)

    def data(self, begin: int, end: int, *, writable: bool = False) -> memoryview:
        read = self._frames.read(self._start + begin, self._start + end)
        return memoryview(bytearray(read) if writable else read)

    def fill(self, buffer: npt.NDArray[np.uint8]) -> int:
        filled = 0
        for begin in range(0, min(self.size, len(buffer)), CHUNK_BYTES):
            data = self.data(begin, min(begin + CHUNK_BYTES, self.size, len(buffer)))
            buffer[begin : begin + len(data)] = data
            filled += len(data)
        return filled


def _entries(header: bytes) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(header[8:])
    entries.pop("__metadata__", None)
    return entries


@contextlib.contextmanager
def _open(path: Path) -> Iterator[_Source]:
    with closing(_opened(path)) as opened:
        yield _source(opened)


def _opened(path: Path) -> OpenedFile:
    """Open a tensor file, or the compressed one beside where it would be.

    Raises:
        FileNotFoundError: neither is there.
    """
    try:
        return open_file(path)
    except FileNotFoundError:
        return open_file(path.with_name(f"{path.name}.zst"))


def _source(opened: OpenedFile) -> _Source:
    if opened.path.name.endswith(COMPRESSED_SUFFIX):
        return _PackedSource(opened)
    return _PlainSource(opened)


@dataclass(frozen=True)
class _File:
    """An opened tensor file whose header was verified."""

    path: str
    source: _Source
    entries: Mapping[str, Any]
    # Where each verified stretch ends, and its checksum.
    ends: list[int]
    digests: list[str]


def _size(file: _File) -> int:
    """The bytes of all its tensors."""
    return file.ends[-1] if file.ends else 0


def files_of(section: Mapping[str, Any] | None) -> dict[str, str]:
    """The tensor files that a document's section names: `{name: name on disk if plain}`."""
    if section is None:
        return {}
    if "files" not in section:
        return {section["file"].removesuffix(SUFFIX): section["file"]}
    return {file: f"{file}{SUFFIX}" for file in section["files"]}


class TensorReader:
    """The tensors of one version; each part is verified as it is read."""

    def __init__(self, folder: Path, section: Mapping[str, Any], document_path: str) -> None:
        """Tensors of the files in `folder` that `section` of the document names."""
        self._folder = folder
        self._document_path = document_path
        if "files" in section:
            self._arrays: Mapping[str, Any] = section["arrays"]
            self._files: Mapping[str, Any] = section["files"]
        else:
            file = section["file"].removesuffix(SUFFIX)
            self._arrays = {name: {"file": file, "name": name} for name in section["digests"]}
            self._files = {file: section}
        self._chunk_bytes = section.get("chunk_bytes", CHUNK_BYTES)
        if type(self._chunk_bytes) is not int or self._chunk_bytes < 1:
            raise _corrupted(document_path, f"chunks of {self._chunk_bytes!r} bytes")
        self._opened: dict[str, _File] = {}
        self._whole: dict[str, npt.NDArray[np.uint8]] = {}
        self._stack = contextlib.ExitStack()
        # Notebooks forget to close.
        weakref.finalize(self, self._stack.close)

    def close(self) -> None:
        """Close the files; what was read stays valid."""
        self._stack.close()
        self._opened.clear()

    def __enter__(self) -> TensorReader:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def read(self, name: str) -> Array:
        """One tensor, as an array that can be written to.

        Raises:
            CorruptedFileError: its file is not what was written; the file is named.
        """
        where = self._where(name)
        file = self._file(where["file"])
        if where["file"] not in self._whole:
            self._read_file(where["file"], np.empty(_size(file), np.uint8), name)
        entry = file.entries[where["name"]]
        begin, end = entry["data_offsets"]
        data = self._whole[where["file"]][begin:end]
        return data.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def read_all(self) -> dict[str, Array]:
        """Every tensor, as arrays that can be written to.

        Raises:
            CorruptedFileError: a file is not what was written; the file is named.
        """
        first_names: dict[str, str] = {}
        for name in self._arrays:
            first_names.setdefault(self._where(name)["file"], name)
        # One buffer that every array is a part of: the system gives it in large pages, which makes
        # reading twice as fast as into many small ones.
        sizes = {name: _size(self._file(name)) for name in first_names}
        padded = [size + -size % _ALIGNMENT for size in sizes.values()]
        buffer, begin = np.empty(sum(padded), np.uint8), 0
        for (file, size), room in zip(sizes.items(), padded, strict=True):
            self._read_file(file, buffer[begin : begin + size], first_names[file])
            begin += room
        return {name: self.read(name) for name in self._arrays}

    def part(self, name: str, index: tuple[int, ...] = (), *, writable: bool = False) -> Array:
        """A tensor, or the part of it below leading indices.

        Of a plain file it is mapped into memory; only the chunks that hold it are read and
        verified, each time anew. The array is read-only, or else `writable`: what is written to it
        stays in this process and takes memory only where it is written.

        Raises:
            CorruptedFileError: they are not what was written; the file is named.
            IndexError: an index is out of range.
        """
        where = self._where(name)
        file = self._file(where["file"])
        entry = file.entries[where["name"]]
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        for axis, i in enumerate(index):
            if not 0 <= i < shape[axis]:
                raise IndexError(f"index {i} of {shape[axis]}")
            step = (end - begin) // shape[axis]
            begin, end = begin + i * step, begin + (i + 1) * step
        with self._damage(file.path, f"tensor {name!r}"):
            data = self._verified(file, begin, end, name, writable=writable)
        array = np.frombuffer(data, dtype=dtype).reshape(shape[len(index) :])
        if not writable:
            array.flags.writeable = False
        elif not array.flags.writeable:
            # Without a byte of its own, it is anybody's.
            array = array.copy()
        return array

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor as it is stored."""
        return tuple(self._entry(name)["shape"])

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype of a tensor as it is stored."""
        return np.dtype(_DTYPES[self._entry(name)["dtype"]])

    def _entry(self, name: str) -> Mapping[str, Any]:
        where = self._where(name)
        entry: Mapping[str, Any] = self._file(where["file"]).entries[where["name"]]
        return entry

    def check(self) -> None:
        """Read every file in full.

        Raises:
            CorruptedFileError: the first damage.
        """
        for damage in self.verify():
            raise damage

    def verify(
        self, on_bytes: Callable[[int], object] | None = None
    ) -> Iterator[CorruptedFileError]:
        """Read every file in full, in steps of a chunk; the damage of each damaged one."""
        for name in self._files:
            try:
                file = self._file(name)
                begin = 0
                for end, digest in zip(file.ends, file.digests, strict=True):
                    with self._damage(file.path, "its data"):
                        data = file.source.data(begin, end)
                    self._check(file, data, digest, None)
                    if on_bytes is not None:
                        on_bytes(end - begin)
                    begin = end
            except CorruptedFileError as error:
                yield error

    def _read_file(self, file_name: str, buffer: npt.NDArray[np.uint8], name: str) -> None:
        """Read and verify a whole file into `buffer`, on behalf of the tensor `name`."""
        file = self._file(file_name)
        with self._damage(file.path, f"tensor {name!r}"):
            buffer[file.source.fill(buffer) :] = 0
        begin = 0
        for end, digest in zip(file.ends, file.digests, strict=True):
            self._check(file, buffer[begin:end].data, digest, name)
            begin = end
        self._whole[file_name] = buffer

    def _where(self, name: str) -> Mapping[str, str]:
        try:
            where: Mapping[str, str] = self._arrays[name]
        except LookupError:
            raise CorruptedFileError(
                f"Corrupted file {self._document_path!r}: it names no file for tensor {name!r}.",
                path=self._document_path,
            ) from None
        return where

    def _verified(
        self, file: _File, begin: int, end: int, name: str, *, writable: bool
    ) -> memoryview:
        if begin == end:
            return memoryview(b"")
        first = bisect.bisect_right(file.ends, begin)
        last = bisect.bisect_left(file.ends, end)
        start = file.ends[first - 1] if first else 0
        data = file.source.data(start, file.ends[last], writable=writable)
        at = start
        for i in range(first, last + 1):
            self._check(file, data[at - start : file.ends[i] - start], file.digests[i], name)
            at = file.ends[i]
        return data[begin - start : end - start]

    def _check(self, file: _File, data: memoryview, digest: str, name: str | None) -> None:
        if blake3(data).hexdigest() != digest:
            part = "its data" if name is None else f"tensor {name!r}"
            raise _corrupted(file.path, f"{part} does not match its checksum")

    def _file(self, name: str) -> _File:
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def _open(self, name: str) -> _File:
        if not _FILE.fullmatch(name):
            raise CorruptedFileError(
                f"Corrupted file {self._document_path!r}: it names a tensor file {name!r}.",
                path=self._document_path,
            )
        path = self._folder / f"{name}{SUFFIX}"
        with storage_errors("read", path):
            try:
                opened = _opened(path)
            except FileNotFoundError as error:
                raise CorruptedFileError(
                    f"Corrupted analysis: its tensor file {str(path)!r} is missing.",
                    path=str(path),
                ) from error
        path = opened.path
        self._stack.callback(opened.close)
        described = self._files[name]
        with self._damage(str(path), "its header"):
            source = _source(opened)
            header = source.header()
        if blake3(header).hexdigest() != described["header"]:
            raise _corrupted(str(path), "its header does not match its checksum")
        entries = _entries(header)
        size = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        if source.size != size:
            raise _corrupted(str(path), f"it holds {source.size} bytes of tensors, not {size}")
        if "digests" in described:
            # Format 1: a checksum for each whole tensor.
            by_end = sorted(
                (entry["data_offsets"][1], described["digests"][tensor])
                for tensor, entry in entries.items()
                if entry["data_offsets"][0] < entry["data_offsets"][1]
            )
            ends, digests = [end for end, _ in by_end], [digest for _, digest in by_end]
        else:
            digests = described["chunks"]
            ends = [*range(self._chunk_bytes, size, self._chunk_bytes), size] if size else []
            if len(ends) != len(digests):
                raise _corrupted(self._document_path, "its checksums do not cover its tensors")
        return _File(str(path), source, entries, ends, digests)

    @contextlib.contextmanager
    def _damage(self, path: str, part: str) -> Iterator[None]:
        try:
            with storage_errors("read", Path(path)):
                yield
        except ValueError as error:
            raise _corrupted(path, f"{part}: {error}") from error


def _corrupted(path: str, what: str) -> CorruptedFileError:
    return CorruptedFileError(f"Corrupted file {path!r}: {what}.", path=path)
