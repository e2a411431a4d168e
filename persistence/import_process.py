"""Reading imported files in another process, which no file can take this one down with.

A process (see `import_child`) is started for the first import, and kept for a while for the next
ones. It answers with JSON and arrays in the store's own encoding, which is decoded here; nothing
that it sends is run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np

from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.persistence import codec
from concept_fragmentation.persistence.budget import Budget, OverBudgetError, said_size
from concept_fragmentation.persistence.errors import StorageError, UnsupportedFormatError
from concept_fragmentation.persistence.import_child import BY_SIGNAL, LENGTH_BYTES
from concept_fragmentation.persistence.safe_pickle import RefusedPickleError

# At once; others wait.
_MOST_READERS: Final = 4
# One that waited so long for the next import ends.
_IDLE_SECONDS: Final = 60.0
# A processor that others use as well gives a second of work in many.
_PATIENCE_SECONDS: Final = 60
_PATIENCE_FACTOR: Final = 20
_STEP: Final = 2**20
# Every number that NumPy knows may begin at a multiple of this.
_ALIGNMENT: Final = 64

_PACKAGES: Final = (
    "concept_fragmentation",
    "concept_fragmentation.analysis",
    "concept_fragmentation.persistence",
)
# The packages stand there without what they import by themselves, of which reading needs little.
_START: Final = """
import json, sys, types
paths, packages = json.loads(sys.argv[1])
sys.path[:] = paths
for name, path in packages:
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = path
from concept_fragmentation.persistence import import_child
import_child.main()
"""
_ERRORS: Final[dict[str, type[ConceptFragmentationError]]] = {
    kind.__name__: kind
    for kind in (InvalidDataError, OverBudgetError, RefusedPickleError, UnsupportedFormatError)
}


@dataclass(frozen=True)
class Source:
    """A file to read: its name, how many bytes it has, and those bytes step by step."""

    name: str
    size: int
    steps: Callable[[], Iterator[bytes | memoryview]]

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> Source:
        """Return the source that is at hand."""
        return cls(name, len(data), lambda: iter((memoryview(data),)))

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """Return the source that is on disk; it is never in memory as a whole."""

        def steps() -> Iterator[bytes]:
            with path.open("rb") as file:
                left = size
                while left:
                    step = file.read(min(left, _STEP))
                    if not step:
                        raise StorageError(f"{str(path)!r} became shorter while it was read.")
                    left -= len(step)
                    yield step

        size = path.stat().st_size
        return cls(path.name, size, steps)


class _EndedError(Exception):
    """Raised when the other process ended; `.code` is its exit status."""

    def __init__(self, code: int) -> None:
        """Keep the exit status."""
        super().__init__(code)
        self.code = code


def parse(filename: str, sources: Sequence[Source], *, is_folder: bool = False) -> dict[str, Any]:
    """Return the content of an export.

    Args:
        filename: the name to say.
        sources: its files; just one if it is no folder.
        is_folder: whether it is the folder of a CSV export.

    Raises:
        InvalidDataError: it holds no analysis, or is damaged.
        OverBudgetError: reading it takes more than a file of that size may.
        StorageError: it can't be read.
    """
    budget = Budget(sum(source.size for source in sources))
    head = {
        "filename": filename,
        "is_folder": is_folder,
        "files": [(source.name, source.size) for source in sources],
    }
    with _turns, _borrowed() as reader:
        try:
            document, arrays = reader.ask(head, sources, budget)
        except _EndedError as ended:
            raise _death(filename, ended.code, budget) from None
    try:
        content: dict[str, Any] = codec.decode(msgspec.json.decode(document), arrays.__getitem__)
    except (codec.CodecError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidDataError([f"{filename}: it can't be read ({error})"]) from error
    return content


def _death(filename: str, code: int, budget: Budget) -> InvalidDataError:
    """The error that says why the other process ended."""
    size = said_size(budget.size)
    number = code - BY_SIGNAL if code > BY_SIGNAL else -code
    if number in (getattr(signal, "SIGXCPU", -1), getattr(signal, "SIGKILL", -1)):
        return OverBudgetError([f"{filename}: reading it takes longer than a file of {size} may"])
    return InvalidDataError(
        [f"{filename}: reading it ended the process that read it (status {code}); it is no export"]
    )


class _Reader:
    """The other process."""

    def __init__(self) -> None:
        packages = [(name, list(sys.modules[name].__path__)) for name in _PACKAGES]
        paths = [path for path in sys.path if Path(path).is_absolute()]
        # Only what it needs of the environment; one thread, as it forks.
        environment = {
            name: value for name, value in os.environ.items() if name in ("SYSTEMROOT", "TMPDIR")
        }
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-c", _START, json.dumps([paths, packages])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=Path(sys.executable).anchor or None,
        )
        self._idle: threading.Timer | None = None
        self.is_reusable = hasattr(os, "fork")

    def ask(
        self, head: dict[str, Any], sources: Sequence[Source], budget: Budget
    ) -> tuple[bytes, dict[str, codec.Array]]:
        """Return the document and the arrays of what it read."""
        patience = threading.Timer(
            _PATIENCE_SECONDS + _PATIENCE_FACTOR * budget.seconds, self._process.kill
        )
        patience.daemon = True
        patience.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._send(head, sources)
            return self._received(2 * budget.unpacked)
        finally:
            patience.cancel()

    def _send(self, head: dict[str, Any], sources: Sequence[Source]) -> None:
        # Names of files and parts of texts may be no UTF-8, which only this writes.
        encoded = json.dumps(head).encode("ascii")
        to = self._pipe(self._process.stdin)
        to.write(len(encoded).to_bytes(LENGTH_BYTES, "little") + encoded)
        for source in sources:
            for step in source.steps():
                to.write(step)
        to.flush()

    def _received(self, most: int) -> tuple[bytes, dict[str, codec.Array]]:
        head = json.loads(self._read(min(most, int.from_bytes(self._read(LENGTH_BYTES), "little"))))
        if "error" in head:
            kind = _ERRORS.get(head["error"], InvalidDataError)
            if issubclass(kind, InvalidDataError):
                raise kind(head["said"])
            raise kind(*head["said"])
        if head["document"] + sum(size for *_, size in head["arrays"]) > most:
            # What it goes on to send is not read.
            self._process.kill()
            self._process.wait()
            raise OverBudgetError(["the file holds more than a file of its size may"])
        document = self._read(head["document"])
        # One buffer that every array is a part of: a large one goes back to the system at once.
        rooms = [size + -size % _ALIGNMENT for *_, size in head["arrays"]]
        buffer, begin = np.empty(sum(rooms), np.uint8), 0
        arrays = {}
        for (name, dtype, shape, size), room in zip(head["arrays"], rooms, strict=True):
            part = buffer[begin : begin + size]
            self._fill(part.data)
            arrays[name] = part.view(dtype).reshape(shape)
            begin += room
        return document, arrays

    def _read(self, size: int) -> bytes:
        data = self._pipe(self._process.stdout).read(size)
        if len(data) < size:
            raise _EndedError(self._process.wait())
        return data

    def _fill(self, buffer: memoryview) -> None:
        if not buffer.nbytes:
            return
        from_ = self._pipe(self._process.stdout)
        while buffer:
            count = from_.readinto(buffer)  # type: ignore[attr-defined]
            if not count:
                raise _EndedError(self._process.wait())
            buffer = buffer[count:]

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None  # noqa: S101 - for the type checker
        return pipe

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def rest(self, seconds: float, when_over: Callable[[], None]) -> None:
        """Call `when_over` after some seconds, unless it is woken."""
        self._idle = threading.Timer(seconds, when_over)
        self._idle.daemon = True
        self._idle.start()

    def wake(self) -> None:
        """Forget about being idle."""
        if self._idle is not None:
            self._idle.cancel()

    def close(self) -> None:
        """End it."""
        self.wake()
        self._process.kill()
        self.forget()
        self._process.wait()

    def forget(self) -> None:
        """Close the pipes to it, as a fork of this process must."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._pipe(pipe).close()


_turns = threading.BoundedSemaphore(_MOST_READERS)
_lock = threading.Lock()
_resting: list[_Reader] = []


@contextmanager
def _borrowed() -> Iterator[_Reader]:
    """A process to ask, which is kept for the next import unless this one failed."""
    with _lock:
        reader = _resting.pop() if _resting else None
    if reader is not None:
        reader.wake()
        if not reader.lives:
            reader.close()
            reader = None
    if reader is None:
        try:
            reader = _Reader()
        except OSError as error:
            raise StorageError(
                f"Could not start the process that reads imported files ({error}); nothing was "
                "changed. Try again when the machine has less to do."
            ) from error
    is_well = False
    try:
        yield reader
        is_well = True
    except InvalidDataError:
        is_well = True
        raise
    finally:
        _give_back(reader, is_well=is_well and reader.is_reusable and reader.lives)


def _give_back(reader: _Reader, *, is_well: bool) -> None:
    with _lock:
        keep = is_well and not _resting
        if keep:
            _resting.append(reader)
            reader.rest(_IDLE_SECONDS, lambda: _dismiss(reader))
    if not keep:
        reader.close()


def _dismiss(reader: _Reader) -> None:
    with _lock:
        if reader not in _resting:
            return
        _resting.remove(reader)
    reader.close()


def _close_all() -> None:
    while _resting:
        _resting.pop().close()


def _forget_all() -> None:
    """Start anew in a fork: the processes are its parent's, and a lock may be held forever."""
    global _turns, _lock
    _turns, _lock = threading.BoundedSemaphore(_MOST_READERS), threading.Lock()
    while _resting:
        _resting.pop().forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
