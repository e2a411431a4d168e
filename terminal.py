"""Standard streams that never fail a command, and an interrupt that never shows a traceback.

A command that did its work must not fail because a terminal can't show a character, a disk that
takes its output is full, or the reader of a pipe has gone. `guarded` puts streams in place of
Python's that escape and that remember what failed, and returns the exit code that follows.

This module imports nothing but the standard library: `cli` needs it before anything else.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, TextIO, cast

# As shells say it: 128 and the number of the signal.
INTERRUPTED: Final = 130
FAILED: Final = 1


class Output:
    """A text stream that takes every character and never raises.

    A character that the encoding of the stream beneath lacks is escaped as in `"\\u2192"`. After a
    write failed, `failure` says why and what follows is dropped.
    """

    # What click and rich ask, to decide what they may write: everything.
    encoding: Final = "utf-8"
    errors: Final = "backslashreplace"

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; None stands for one that was closed before the process began."""
        self._stream = stream
        self._encoding = (stream and stream.encoding) or "utf-8"
        self.failure: OSError | ValueError | None = None

    def escaped(self, text: str) -> str:
        """Return the text as it will be written."""
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def write(self, text: str) -> int:
        """Write text as far as it can be; return the length of the whole."""
        if self._stream is None:
            if text:
                self._fail(OSError(errno.EBADF, "it is closed"))
        elif self.failure is None:
            try:
                self._stream.write(self.escaped(text))
            except (OSError, ValueError) as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream beneath."""
        if self._stream is not None and self.failure is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def isatty(self) -> bool:
        """Return whether a person reads this."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Return the file descriptor beneath, or raise OSError as streams without one do."""
        if self._stream is None:
            raise OSError(errno.EBADF, "it is closed")
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        """Leave the rest of a text stream to the one beneath."""
        return getattr(self._stream, name)

    def _fail(self, error: OSError | ValueError) -> None:
        if self.failure is not None:
            return
        self.failure = error
        if self._stream is None:
            return
        # What is still in the buffer would fail again when the interpreter ends.
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


class _Interrupts:
    """Handle Ctrl+C: raise KeyboardInterrupt once, and end the process when pressed again."""

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> _Interrupts:
        if _may_handle():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._end_if_swallowed
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            sys.unraisablehook = self._unraisable

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        signal.signal(signal.SIGINT, _end)
        raise KeyboardInterrupt

    def _end_if_swallowed(self, unraisable: Any) -> None:
        # Python drops what is raised in a destructor; the command would go on.
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            _end()
        self._unraisable(unraisable)


def end_at_once_when_interrupted() -> None:
    """Have Ctrl+C end this process from now on, while nothing has begun that must be undone."""
    if _may_handle():
        signal.signal(signal.SIGINT, _end)


def guarded(work: Callable[[], int]) -> int:
    """Do a command's work on streams that never fail; return the exit code of the process.

    Args:
        work: does it and returns its exit code; may raise SystemExit, as argument parsers do.

    Returns:
        130 after Ctrl+C; 1 where `work` returned 0 and its output could not be written, which
        standard error then says in a sentence; else what `work` returned. That a reader stopped
        reading, as `head` does, is no failure.
    """
    _fill_closed_descriptors()
    before = sys.stdin, sys.stdout, sys.stderr
    output, errors = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    if isinstance(sys.stdin, io.TextIOWrapper):
        # Of an answer that is no text the command says that it is none.
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        with _Interrupts() as interrupts:
            code = _code_of(work, interrupts)
            output.flush()
            if output.failure is not None and not _is_gone(output.failure):
                errors.write(f"Error: {_lost(output.failure)}\n")
                code = code or FAILED
            errors.flush()
        return INTERRUPTED if interrupts.came else code
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def escaped(text: str) -> str:
    """Return a text as standard output will show it, so that its width can be known before."""
    output: object = sys.stdout
    return output.escaped(text) if isinstance(output, Output) else text


def _code_of(work: Callable[[], int], interrupts: _Interrupts) -> int:
    try:
        return work()
    except KeyboardInterrupt:
        interrupts.came = True
        return INTERRUPTED
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        # A library may have turned the interrupt into an error of its own.
        if interrupts.came:
            return INTERRUPTED
        raise


def _lost(failure: OSError | ValueError) -> str:
    reason = getattr(failure, "strerror", None) or str(failure)
    return (
        "The command is done, but what it says could not be written to standard output: "
        f"{reason[:1].lower()}{reason[1:]}."
    )


def _is_gone(failure: OSError | ValueError) -> bool:
    return isinstance(failure, BrokenPipeError)


def _fill_closed_descriptors() -> None:
    """Open nothing in place of closed standard streams, lest a file of the store be one of them."""
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)


def _may_handle() -> bool:
    """Return whether SIGINT is free to take; a shell has it ignored in the background."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) in {signal.default_int_handler, _end}


def _end(_number: int = 0, _frame: FrameType | None = None) -> None:
    os._exit(INTERRUPTED)
