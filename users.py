"""Who may sign in: a file of names and hashes of passwords, which no one else may read."""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

import msgspec
from werkzeug.security import check_password_hash, generate_password_hash

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.persistence.blobs import replacing, storage_errors

LEAST_CHARACTERS: Final = 12

_FORMAT: Final = "concept_fragmentation users 1"
_NAME: Final = re.compile(r"[\w.@-]{1,64}")


class UsersError(ConceptFragmentationError, ValueError):
    """A file of users can't be used, or a name or password not be taken."""


class _File(msgspec.Struct):
    format: str
    secret_key: str
    users: dict[str, str]


class Users:
    """The users in a file, read anew each time: who was removed is out at once."""

    def __init__(self, path: Path) -> None:
        """`path` is a file that `set_password` made, or will make."""
        self.path = path

    def check(self) -> None:
        """Raise UsersError unless someone can sign in by the file, and nobody else may read it."""
        if not self._read().users:
            raise UsersError(f"{str(self.path)!r} holds no user; {self._way_out()}")

    @property
    def secret_key(self) -> str:
        """What sessions are signed with; it stays the same, so that sessions outlive the server."""
        return self._read().secret_key

    def sign_in(self, name: str, password: str) -> str | None:
        """Return the token of a session if that is the user's password, else None."""
        stored = self._read().users.get(name)
        # Where there is no such name it takes as long to be told.
        right = check_password_hash(stored or _nobody(), password)
        return _token(name, stored) if right and stored is not None else None

    def name_of(self, token: str) -> str | None:
        """Return whose session has that token: None once the user or the password changed."""
        name = token.rpartition(":")[0]
        stored = self._read().users.get(name)
        if stored is None:
            return None
        expected = _token(name, stored).encode()
        return name if hmac.compare_digest(expected, token.encode(errors="replace")) else None

    def set_password(self, name: str, password: str) -> bool:
        """Add a user, or give one another password; return whether the user is new."""
        if not _NAME.fullmatch(name):
            raise UsersError(
                f"{name!r} is no name of a user; take up to 64 letters, digits, dots, @ and dashes."
            )
        if len(password) < LEAST_CHARACTERS:
            raise UsersError(f"Choose a password of at least {LEAST_CHARACTERS} characters.")
        if not _is_text(password):
            raise UsersError("The password holds bytes that are no text; type it anew.")
        file = self._read() if self.path.exists() else _File(_FORMAT, secrets.token_hex(32), {})
        is_new = name not in file.users
        file.users[name] = generate_password_hash(password)
        self._write(file)
        return is_new

    def remove(self, name: str) -> None:
        """Remove a user, who is signed out by that."""
        file = self._read()
        if name not in file.users:
            known = ", ".join(sorted(file.users)) or "none"
            raise UsersError(f"{str(self.path)!r} has no user {name!r}; it has: {known}.")
        del file.users[name]
        self._write(file)

    def _read(self) -> _File:
        try:
            mode = self.path.stat().st_mode
            content = self.path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsersError(
                f"Could not read {str(self.path)!r}: {reason}; {self._way_out()}"
            ) from error
        if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
            raise UsersError(
                f"Others may read {str(self.path)!r}; take that from them: chmod 600 {self.path}"
            )
        try:
            file = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._no_such_file() from error
        if file.format != _FORMAT:
            raise self._no_such_file()
        return file

    def _write(self, file: _File) -> None:
        with storage_errors("write", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(msgspec.json.format(msgspec.json.encode(file)) + b"\n")

    def _no_such_file(self) -> UsersError:
        return UsersError(f"{str(self.path)!r} is no file of users; {self._way_out()}")

    def _way_out(self) -> str:
        return f"make one with: concept-fragmentation user NAME --auth {self.path}"


def _is_text(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


@functools.cache
def _nobody() -> str:
    return generate_password_hash(secrets.token_hex())


def _token(name: str, stored: str) -> str:
    # With another password the token is another one.
    return f"{name}:{hashlib.sha256(stored.encode()).hexdigest()[:32]}"
