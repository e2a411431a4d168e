"""Compressed files that can be read in part: one Zstandard frame for each stretch of 1 MiB.

A frame holds the header of the tensor file; every other one holds 1 MiB of what follows, the last
one the rest. At the end stands a frame that a decoder skips (magic number 0x184D2A50): for each
frame before it, its length (uint32, little-endian), the length of what it holds (uint32), and its
BLAKE3 checksum (32 bytes); then the BLAKE3 checksum of all that, and its length (uint32). So any
Zstandard tool unpacks the file, and we verify a frame before it is given to a decoder.
"""

from __future__ import annotations

import bisect
import itertools
import struct
from pathlib import Path
from typing import Final

import zstandard
from blake3 import blake3

from concept_fragmentation.persistence.errors import StorageError
from concept_fragmentation.persistence.reading import OpenedFile, closing, open_file

FRAME_BYTES: Final = 2**20

# A header of a tensor file can be longer than a chunk.
_MAX_HELD_BYTES: Final = 110_000_000
_LEVEL: Final = 3
_SKIPPED: Final = struct.Struct("<II")
_MAGIC: Final = 0x184D2A50
_ROW: Final = struct.Struct("<II32s")
_END: Final = struct.Struct("<32sI")


def compress(source: Path, target: Path) -> None:
    """Write the tensor file `source` compressed to `target`, read it back and compare.

    Raises:
        StorageError: what was read back is not what was written.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    rows = []
    with source.open("rb") as original, target.open("wb") as packed:
        length = original.read(8)
        held = length + original.read(int.from_bytes(length, "little"))
        while held:
            frame = compressor.compress(held)
            packed.write(frame)
            rows.append(_ROW.pack(len(frame), len(held), blake3(frame).digest()))
            held = original.read(FRAME_BYTES)
        table = b"".join(rows)
        table += _END.pack(blake3(table).digest(), len(table))
        packed.write(_SKIPPED.pack(_MAGIC, len(table)) + table)
    with source.open("rb") as original, closing(open_file(target)) as packed:
        frames = Frames(packed)
        same = frames.size == source.stat().st_size and all(
            frames.read(begin, min(begin + FRAME_BYTES, frames.size)) == original.read(FRAME_BYTES)
            for begin in range(0, frames.size, FRAME_BYTES)
        )
    if not same:
        raise StorageError(
            f"Could not compress {str(source)!r}: what was read back is not what was written; "
            "nothing was changed. Check the disk."
        )


class Frames:
    """A compressed file opened for reading.

    Raises:
        ValueError: it is damaged (from every method).
    """

    def __init__(self, opened: OpenedFile) -> None:
        """Read and verify the table at the end."""
        self._file = opened
        end = opened.size
        try:
            digest, length = _END.unpack(opened.read(max(0, end - _END.size), end))
        except struct.error as error:
            raise ValueError("it is too short") from error
        start = end - _END.size - length - _SKIPPED.size
        if start < 0 or length % _ROW.size:
            raise ValueError("its table of frames is damaged")
        head = opened.read(start, start + _SKIPPED.size)
        table = opened.read(start + _SKIPPED.size, end - _END.size)
        if head != _SKIPPED.pack(_MAGIC, length + _END.size) or blake3(table).digest() != digest:
            raise ValueError("its table of frames does not match its checksum")
        rows = list(_ROW.iter_unpack(table))
        self._digests = [row[2] for row in rows]
        self._frame_ends = list(itertools.accumulate(row[0] for row in rows))
        self._held_ends = list(itertools.accumulate(row[1] for row in rows))
        self._most = max((row[1] for row in rows), default=0)
        if (self._frame_ends or [0])[-1] != start or self._most > _MAX_HELD_BYTES:
            raise ValueError("its table of frames does not fit")
        self.size = self._held_ends[-1] if rows else 0

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to `end` of what was compressed."""
        if begin == end:
            return b""
        if not 0 <= begin < end <= self.size:
            raise ValueError("it is too short")
        first = bisect.bisect_right(self._held_ends, begin)
        last = bisect.bisect_left(self._held_ends, end)
        start = self._held_ends[first - 1] if first else 0
        parts = [self._frame(i) for i in range(first, last + 1)]
        held = parts[0] if len(parts) == 1 else b"".join(parts)
        return held[begin - start : end - start]

    def _frame(self, i: int) -> bytes:
        start = self._frame_ends[i - 1] if i else 0
        length = self._held_ends[i] - (self._held_ends[i - 1] if i else 0)
        frame = self._file.read(start, self._frame_ends[i])
        if blake3(frame).digest() != self._digests[i]:
            raise ValueError("a frame does not match its checksum")
        try:
            # What a frame says of its own size is not believed: it must be what the table says.
            if zstandard.frame_content_size(frame) != length:
                raise ValueError("a frame holds another number of bytes than its table says")
            return zstandard.ZstdDecompressor().decompress(frame, max_output_size=length)
        except zstandard.ZstdError as error:
            raise ValueError(f"a frame can't be unpacked ({error})") from error
