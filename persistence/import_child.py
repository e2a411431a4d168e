"""The process that reads imported files: it waits, and forks for each file.

It is started by `import_process`, in an interpreter of its own with nothing of the environment, and
imports only what reading needs. A file is read in a fork, which the system limits: processor time,
memory, no file opened or written, no connection, no further process. So nothing of one file is left
when the next one comes. Where there is no fork (Windows), one process reads one file and nothing
limits it but the checks of the parsers.

Both ways go: eight bytes that say how long the head is, the head in JSON, then bytes.
"""

from __future__ import annotations

import contextlib
import encodings.ascii
import encodings.cp437
import encodings.latin_1
import encodings.raw_unicode_escape
import encodings.unicode_escape
import encodings.utf_8_sig
import encodings.utf_16
import encodings.utf_16_be
import encodings.utf_16_le
import encodings.utf_32
import encodings.utf_32_be
import encodings.utf_32_le  # noqa: F401 - no file can be opened later
import gc
import io
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.persistence import codec, csv_folder, parsing
from concept_fragmentation.persistence.budget import Budget, OverBudgetError, said_size
from concept_fragmentation.persistence.tensors import NATIVE_DTYPES

# The exit status of one that a signal ended is this and the signal's number.
BY_SIGNAL: Final = 64
LENGTH_BYTES: Final = 8

_REQUEST: Final = 0
_ANSWER: Final = 1
_LONGEST_PROBLEM: Final = 450
_MOST_PROBLEMS: Final = 50
# Where the system does not say how much memory a process has.
_USUAL_MEMORY: Final = 2**30


def main() -> None:
    """Read one file after the other until nobody sends any."""
    gc.disable()
    if not hasattr(os, "fork"):
        _read_one()
        return
    gc.freeze()
    while True:
        select.select([_REQUEST], [], [])
        process = os.fork()
        if process == 0:
            status = 1
            try:
                status = _read_one()
            finally:
                # Not the way a fork would end that shares its parent's buffers.
                os._exit(status)
        _, ended = os.waitpid(process, 0)
        if ended:
            code = os.waitstatus_to_exitcode(ended)
            sys.exit(BY_SIGNAL - code if code < 0 else code)


def _read_one() -> int:
    source = io.BufferedReader(io.FileIO(_REQUEST, closefd=False))
    length = source.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        # Nobody is there any more.
        return 1
    request = json.loads(source.read(int.from_bytes(length, "little")))
    budget = Budget(sum(size for _, size in request["files"]))
    _limit(budget)
    try:
        head, parts = _answer(request, source, budget)
    except MemoryError:
        head, parts = _too_much_memory(budget), []
    _send(head, parts)
    return 0


def _answer(
    request: dict[str, Any], source: BinaryIO, budget: Budget
) -> tuple[dict[str, Any], list[Any]]:
    filename = request["filename"]
    try:
        files = {name: source.read(size) for name, size in request["files"]}
        if request["is_folder"]:
            content = csv_folder.read(files, budget)
        else:
            (data,) = files.values()
            content = parsing.parse(filename, data, budget)
        files.clear()
        _check_states(filename, content["visualization_states"], budget)
        return _encoded(content)
    except ConceptFragmentationError as error:
        return {"error": type(error).__name__, "said": _said(error)}, []
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - hostile files find what nobody thought of
        said = f"{filename}: it can't be read ({type(error).__name__}: {error})"
        return {"error": InvalidDataError.__name__, "said": [said[:_LONGEST_PROBLEM]]}, []


def _check_states(filename: str, states: object, budget: Budget) -> None:
    if isinstance(states, list) and len(states) > budget.states:
        raise OverBudgetError(
            [
                f"{filename}: it holds {len(states):,} visualization states; a file of "
                f"{said_size(budget.size)} may hold {budget.states:,}"
            ]
        )


def _encoded(content: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The head and the parts of an answer: JSON and arrays, never a pickle."""
    results = content["analysis_results"]
    found: dict[str, codec.Array] = {}
    document = {
        "export_metadata": codec.encode(content["export_metadata"], "export_metadata", found),
        "analysis_results": {
            name: codec.encode(results[name], name, found)
            for name in ("metadata", "analysis_data", "model_info")
        },
        "visualization_states": codec.encode(
            content["visualization_states"], "visualization_states", found
        ),
    }
    content.clear()
    results.clear()
    parts: list[Any] = [msgspec.json.encode(document)]
    described = []
    for name, array in found.items():
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        is_native = array.dtype.str in NATIVE_DTYPES
        dtype, shape = (array.dtype.str, array.shape) if is_native else ("|u1", data.shape)
        described.append((name, dtype, shape, data.nbytes))
        parts.append(data.data)
    return {"document": len(parts[0]), "arrays": described}, parts


def _said(error: ConceptFragmentationError) -> list[str]:
    problems = error.problems if isinstance(error, InvalidDataError) else error.args
    return [str(problem)[:_LONGEST_PROBLEM] for problem in problems[:_MOST_PROBLEMS]]


def _too_much_memory(budget: Budget) -> dict[str, Any]:
    said = f"reading it takes more memory than a file of {said_size(budget.size)} may"
    return {"error": OverBudgetError.__name__, "said": [said]}


def _send(head: dict[str, Any], parts: list[Any]) -> None:
    encoded = json.dumps(head).encode("ascii")
    for part in (len(encoded).to_bytes(LENGTH_BYTES, "little"), encoded, *parts):
        left = memoryview(part)
        while left:
            left = left[os.write(_ANSWER, left) :]


def _limit(budget: Budget) -> None:
    """Limit this process to what the budget allows."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    limits = {
        resource.RLIMIT_CPU: budget.seconds,
        resource.RLIMIT_AS: _memory_in_use() + budget.memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 0,
    }
    if hasattr(resource, "RLIMIT_NPROC"):
        limits[resource.RLIMIT_NPROC] = 0
    for kind, most in limits.items():
        # Not every system knows every limit, and none may be raised.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def _memory_in_use() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return _USUAL_MEMORY
    return pages * os.sysconf("SC_PAGE_SIZE")
