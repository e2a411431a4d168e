"""Logins: who is signed in, kept on disk for all processes of a server, until they sign out."""

from __future__ import annotations

import contextlib
import hmac
import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import diskcache

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.persistence.access import own_folder
from concept_fragmentation.persistence.cache import PlainDisk

logger = logging.getLogger(__name__)

# After so long one signs in again.
KEPT_SECONDS: Final = 30 * 24 * 3600.0


class LoginsError(ConceptFragmentationError):
    """Logins can't be kept, so nobody can sign in or out."""


class Logins:
    """The logins of a server: a cookie names one, and is worth nothing once it has ended.

    A cookie that holds all that is known of a login, as Flask's does, would be valid for as long as
    somebody has a copy of it. Of a login that was lost, one signs in again.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Logins live in `folder`; `key` is a secret that hides the names of those."""
        self._folder = folder
        self._key = key.encode()
        self._opened: diskcache.Cache | None = None
        self._opening = threading.Lock()

    def begin(self, token: str) -> str:
        """Keep whose login it is, by the token of `Users`; return the login's secret name.

        Raises:
            LoginsError: it can't be kept.
        """
        login = secrets.token_urlsafe(32)
        with self._keeping():
            self._logins.set(self._hidden(login), token, expire=KEPT_SECONDS)
        return login

    def token_of(self, login: str) -> str | None:
        """Return whose login that is; None of one that ended, or that there never was.

        Raises:
            LoginsError: what is kept can't be read.
        """
        with self._keeping():
            token = self._logins.get(self._hidden(login))
        return token if isinstance(token, str) else None

    def end(self, login: str) -> None:
        """End a login.

        Raises:
            LoginsError: it can't be ended.
        """
        with self._keeping():
            self._logins.delete(self._hidden(login))

    def _hidden(self, login: str) -> str:
        # Who can read the files can't sign in by them.
        return hmac.digest(self._key, login.encode(errors="replace"), "sha256").hex()

    @property
    def _logins(self) -> diskcache.Cache:
        with self._opening:
            if self._opened is None:
                folder = str(own_folder(self._folder))
                # None leaves before its time.
                self._opened = diskcache.Cache(folder, disk=PlainDisk, eviction_policy="none")
            return self._opened

    @contextlib.contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, diskcache.Timeout, OSError, ConceptFragmentationError) as error:
            logger.exception("Logins can't be kept in %s.", self._folder)
            raise LoginsError(
                "Nobody can sign in or out now: the server can't keep who did; its log says why."
            ) from error
