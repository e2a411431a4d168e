"""Work in the background: each run in a process of its own, for the page that started it."""

from __future__ import annotations

import functools
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from dash import DiskcacheManager

# A page asks several times a second; one that nobody looks at, once a minute.
GIVEN_UP_SECONDS: Final = 300.0


class Background(DiskcacheManager):
    """Dash's, which runs processes that say in a folder how far they are.

    A run ends when no page has asked for it for a while: it would hold up those who wait.
    """

    given_up_seconds = GIVEN_UP_SECONDS

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

    def call_job_fn(self, key: str, job_fn: Callable[..., None], args: Any, context: Any) -> int:
        """Start a run; return its process."""
        self._asked(key)
        watched = functools.partial(self._run, job_fn)
        process: int = super().call_job_fn(  # type: ignore[no-untyped-call]
            key, watched, args, context
        )
        return process

    def get_progress(self, key: str) -> Any:
        """Return how far a run is, for the page that asks."""
        self._asked(key)
        return super().get_progress(key)  # type: ignore[no-untyped-call]

    def _asked(self, key: str) -> None:
        self.handle.set(_asked_key(key), time.time(), expire=2 * self.given_up_seconds)

    def _run(self, job_fn: Callable[..., None], key: str, *arguments: Any) -> None:
        threading.Thread(target=self._watch, args=(key,), daemon=True).start()
        job_fn(key, *arguments)

    def _watch(self, key: str) -> None:
        while True:
            time.sleep(self.given_up_seconds / 10)
            asked = self.handle.get(_asked_key(key), 0)
            if time.time() - asked > self.given_up_seconds:
                self.terminate_job(os.getpid())  # type: ignore[no-untyped-call]


def _asked_key(key: str) -> str:
    return f"{key}-asked"
