"""Work in the background: each run in a process of its own, for the page that started it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import diskcache
import multiprocess
import psutil
from dash import DiskcacheManager

# A page asks several times a second; one that nobody looks at, once a minute.
GIVEN_UP_SECONDS: Final = 300.0
# An answer that did not reach the page is asked for again.
ANSWER_KEPT_SECONDS: Final = 600.0

# Runs of one person at once, of all kinds: others find a place beside them.
MOST_OF_ONE: Final = 5
# A run that was let in and has no process by then has none.
_START_SECONDS: Final = 60.0

LOST: Final = (
    "What ran in the background is lost: its process ended before it was done. The server was "
    "stopped, memory ran out, or the page was out of reach for too long. Start it again."
)
TOO_MANY: Final = (
    f"You have {MOST_OF_ONE} analyses, reports or maps at work already; wait for one, or cancel "
    "it. Where nobody signs in, all at one address count as one."
)

_LOG: Final = logging.getLogger(__name__)
# Later versions of Python start a new interpreter by default, to which the work of a callback
# can't be sent.
_PROCESSES: Final = multiprocess.get_context("fork" if sys.platform == "linux" else None)


class Background(DiskcacheManager):
    """Dash's manager, in which every run that ends without an answer ends in a sentence.

    The process of a run ends when no page has asked for it for a while, since it would hold up
    others that wait, and when its server ends. A job is the process's number and the moment it was
    started at: the number alone may be another process's by now.
    """

    given_up_seconds = GIVEN_UP_SECONDS

    def __init__(
        self,
        cache: diskcache.Cache,
        public: Callable[[str], str] = str,
        person: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Keep what runs say in `cache`.

        `public` makes a sentence fit for whoever is served; `person` says who asks, if it is known:
        a name or an address.
        """
        super().__init__(cache)  # type: ignore[no-untyped-call]
        self._public = public
        self._person = person

    def get_or_create_signing_secret(self, generate: Callable[[], bytes]) -> str:
        """Return what pages' runs are signed with, by all processes of the server."""
        # The folder holds JSON only, so text. Without a secret in common, a server of several
        # processes refuses what another of them has begun.
        secret: str = super().get_or_create_signing_secret(  # type: ignore[no-untyped-call]
            lambda: generate().decode()
        )
        return secret

    def build_cache_key(self, *_run: Any) -> str:
        """Return a name for a run: two people may ask for the same, and each gets an answer."""
        return secrets.token_hex()

    def call_job_fn(self, key: str, job_fn: Callable[..., None], args: Any, context: Any) -> str:
        """Start a run; return its job.

        One of a person who has as many at work as one may have ends in a sentence at once.
        """
        person = self._person()
        if person is not None and not self._let_in(person, key):
            self._failed(key, TOO_MANY)
            return _NO_JOB
        self._asked(key)
        process = _PROCESSES.Process(
            target=self._run,
            args=(job_fn, key, f"{key}-progress", args, context),
            # The server ends it when it is stopped, and does not wait for it.
            daemon=True,
        )
        process.start()
        job = f"{process.pid}-{_started(process.pid)}"
        if person is not None:
            self._note(person, key, job)
        return job

    def get_progress(self, key: str) -> Any:
        """Return how far a run is, for the page that asks."""
        self._asked(key)
        return super().get_progress(key)  # type: ignore[no-untyped-call]

    def get_result(self, key: str, job: str | None) -> Any:
        """Return the result of a run, `UNDEFINED` while it works or after it was cancelled."""
        result = self.handle.get(key, self.UNDEFINED)
        if result is self.UNDEFINED and job is not None and not self.job_running(job):
            # It may have ended between these two lines.
            result = self.handle.get(key, self.UNDEFINED)
            if result is self.UNDEFINED and not self.handle.get(_cancelled_key(job)):
                result = self._failed(key, LOST)
        if result is self.UNDEFINED:
            return result
        if isinstance(result, dict) and "background_callback_error" in result:
            error = result["background_callback_error"]
            _LOG.error("A run in the background failed.\n%s", error["tb"])
            result = self._failed(
                key,
                f"What ran in the background stopped at a fault of the program ({error['msg']}). "
                "The log of the server has the details.",
            )
        self.handle.touch(key, expire=ANSWER_KEPT_SECONDS)
        if job is not None:
            self._end(job)
        if isinstance(result, dict) and "failure" in result:
            return {**result, "failure": self._public(result["failure"])}
        return result

    def terminate_job(self, job: str | None) -> None:
        """Cancel a run."""
        if job is None:
            return
        self.handle.set(_cancelled_key(job), value=True, expire=ANSWER_KEPT_SECONDS)
        self._end(job)

    def terminate_unhealthy_job(self, job: str) -> bool:
        """End what is left of a run whose process is dead; return whether there was anything."""
        return not self.job_running(job) and self._end(job)

    def job_running(self, job: str) -> bool:
        """Return whether the process of a run is at work."""
        process = _process_of(job)
        with contextlib.suppress(psutil.NoSuchProcess):
            return process is not None and process.status() != psutil.STATUS_ZOMBIE
        return False

    def _let_in(self, person: str, key: str) -> bool:
        """Count a run among those of a person, unless there are too many; return whether it was."""
        now = time.time()
        with self.handle.transact():
            at_work = {
                other: (job, since)
                for other, (job, since) in self.handle.get(_runs_key(person), {}).items()
                if (self.job_running(job) if job else now - since < _START_SECONDS)
            }
            if len(at_work) >= MOST_OF_ONE:
                return False
            self.handle.set(_runs_key(person), at_work | {key: ("", now)})
        return True

    def _note(self, person: str, key: str, job: str) -> None:
        with self.handle.transact():
            runs = self.handle.get(_runs_key(person), {})
            self.handle.set(_runs_key(person), runs | {key: (job, time.time())})

    def _end(self, job: str) -> bool:
        process = _process_of(job)
        if process is None:
            return False
        _kill(process)
        with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
            process.wait(1)
        return True

    def _failed(self, key: str, sentence: str) -> dict[str, str]:
        outcome = {"failure": sentence, "key": secrets.token_hex()}
        self.handle.set(key, outcome, expire=ANSWER_KEPT_SECONDS)
        return outcome

    def _asked(self, key: str) -> None:
        self.handle.set(_asked_key(key), time.time(), expire=2 * self.given_up_seconds)

    def _run(self, job_fn: Callable[..., None], key: str, *arguments: Any) -> None:
        if _PROCESSES.get_start_method() == "fork":
            _let_go_of_the_server()
        threading.Thread(target=self._watch, args=(key,), daemon=True).start()
        threading.Thread(target=_end_with_the_server, daemon=True).start()
        job_fn(key, *arguments)

    def _watch(self, key: str) -> None:
        while True:
            time.sleep(self.given_up_seconds / 10)
            asked = self.handle.get(_asked_key(key), 0)
            if time.time() - asked > self.given_up_seconds:
                _kill(psutil.Process())


def _let_go_of_the_server() -> None:
    """Hold nothing of the server's in a process that was forked from it.

    Its sockets would keep the port taken, and its clients waiting, after the server has died. They
    give way to the null device under the same numbers: objects of the server's that are destroyed
    here close their numbers, which must be nobody else's.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    for entry in Path("/proc/self/fd").iterdir():
        descriptor = int(entry.name)
        # The standard streams may be sockets of a log.
        if descriptor > 2 and _is_socket(descriptor):
            os.dup2(null, descriptor, inheritable=False)
    os.close(null)


def _is_socket(descriptor: int) -> bool:
    # The one with which the folder itself was read is closed by now.
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    return False


def _end_with_the_server() -> None:
    """Wait until the process of the server has ended, however that came about, and end."""
    server = multiprocess.parent_process()
    if server is not None:
        server.join()
        _kill(psutil.Process())


def _kill(process: psutil.Process) -> None:
    """Kill a process and all that it started; itself last."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _process_of(job: str) -> psutil.Process | None:
    """Return the process of a run, unless it is gone."""
    number, _, started = str(job).partition("-")
    if _started(int(number)) != started:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(int(number))
    return None


def _started(number: int) -> str | None:
    """Return when a process was started, in a form that no other process of this number has.

    On Linux it is counted from the start of the system: the time of day may be set anew.
    """
    try:
        if sys.platform == "linux":
            # The name of the program, in brackets, may hold anything.
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2]
            return fields.split()[19]
        return str(psutil.Process(number).create_time())
    except (OSError, psutil.NoSuchProcess):
        return None


# No process has the number 0.
_NO_JOB: Final = "0-0"


def _runs_key(person: str) -> str:
    return f"runs of {person}"


def _asked_key(key: str) -> str:
    return f"{key}-asked"


def _cancelled_key(job: str) -> str:
    return f"{job}-cancelled"
