"""The catalog of a store that can't be written to: a copy of this process's own, in no file's way.

It begins with what `catalog.sqlite` says where that can be read as it lies there, and reads the
rest from the analyses' files. Others may still write to the store, so before each answer it looks
at the times of the folders, and reads again what has changed since.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from concept_fragmentation.persistence.catalog import (
    SCHEMA_VERSION,
    Answer,
    Catalog,
    Entry,
    Question,
    make_tables,
    replace_entry,
)
from concept_fragmentation.persistence.errors import ReadOnlyStoreError

logger = logging.getLogger(__name__)

# What identifies the state of an analysis's folder and card from outside.
Stamp = tuple[int, ...]

# So coarse are the times of some file systems: what changed since may look as it did before.
_UNSETTLED_NANOSECONDS: Final = 3 * 10**9
_SEEDS: Final = (
    "INSERT INTO analyses SELECT * FROM old.analyses",
    "INSERT INTO tags SELECT * FROM old.tags",
    "INSERT INTO versions SELECT * FROM old.versions",
    "INSERT INTO texts (rowid, name, labels_text, input_text) "
    "SELECT rowid, name, labels_text, input_text FROM old.texts",
)


class CatalogCopy(Catalog):
    """A catalog in temporary storage of SQLite's, kept in step with the files of a store."""

    def __init__(
        self,
        path: Path,
        look: Callable[[], Mapping[str, Stamp]],
        read_entry: Callable[[str], Entry | None],
        is_certain: Callable[[str, frozenset[int]], bool],
    ) -> None:
        """The copy of the catalog in `path`, which may be missing.

        Args:
            path: the store's own catalog; it is only read.
            look: gives the stamp of each analysis by its folder; its first number is the last
                change in nanoseconds.
            read_entry: reads one analysis from its files; None if nothing is left of it.
            is_certain: says whether what a catalog knows of a folder, that it holds just these
                versions, can be relied on.
        """
        super().__init__(path, lambda: ())
        self._look = look
        self._read_entry = read_entry
        self._is_certain = is_certain
        self._known: dict[str, Stamp | None] = {}
        self._connected: tuple[int, sa.Engine] | None = None
        self._turn = threading.RLock()

    def close(self) -> None:
        """Forget it; the next question makes it again."""
        with self._turn:
            if self._connected is not None and self._connected[0] == os.getpid():
                self._connected[1].dispose()
            self._connected = None

    def pending(self) -> list[str]:
        """Nothing: whoever changes the store looks after what was announced."""
        return []

    def ask(self, question: Question[Answer]) -> Answer:
        """Return the answer to a question, of the files as they are now."""
        with self._turn, self._translated():
            engine = self._engine_here()
            self._refresh(engine)
            with engine.begin() as connection:
                return question(connection)

    def _read(self, question: Question[Answer]) -> Answer:
        return self.ask(question)

    def _write(self, question: Question[Any]) -> Any:  # noqa: ARG002 - as of every catalog
        raise ReadOnlyStoreError.of(self.path.parent.parent)

    def _engine_here(self) -> sa.Engine:
        """The engine of this process; one that came with a fork is the other process's."""
        if self._connected is None or self._connected[0] != os.getpid():
            try:
                engine = _engine(seed=self.path)
                self._known = dict.fromkeys(self._reliable(engine))
                self._settle(self._known)
            except (sqlite3.Error, sa.exc.DBAPIError) as error:
                logger.info("The catalog %s is not used: %s", self.path, error)
                engine, self._known = _engine(seed=None), {}
            self._connected = os.getpid(), engine
        return self._connected[1]

    def _reliable(self, engine: sa.Engine) -> list[str]:
        """The folders of which the store's own catalog says what their files say; others go."""
        versions: dict[str, set[int]] = {}
        with engine.begin() as connection:
            announced = set(connection.exec_driver_sql("SELECT folder FROM pending").scalars())
            for folder, version in connection.exec_driver_sql(
                "SELECT folder, version FROM versions"
            ):
                versions.setdefault(folder, set()).add(version)
            reliable = [
                folder
                for folder, numbers in versions.items()
                if folder not in announced and self._is_certain(folder, frozenset(numbers))
            ]
            for folder in versions.keys() - set(reliable):
                replace_entry(connection, folder, None)
        return reliable

    def _settle(self, folders: Mapping[str, Any]) -> None:
        """Take the folders as they are now for known, except for those that changed just now."""
        now = time.time_ns()
        for folder, stamp in self._look().items():
            if folder in folders:
                settled = now - stamp[0] > _UNSETTLED_NANOSECONDS
                self._known[folder] = stamp if settled else None

    def _refresh(self, engine: sa.Engine) -> None:
        stamps, now = self._look(), time.time_ns()
        gone = self._known.keys() - stamps.keys()
        changed = [folder for folder, stamp in stamps.items() if self._known.get(folder) != stamp]
        if not changed and not gone:
            return
        with engine.begin() as connection:
            for folder in gone:
                replace_entry(connection, folder, None)
            for folder in changed:
                replace_entry(connection, folder, self._read_entry(folder))
        for folder in gone:
            del self._known[folder]
        for folder in changed:
            settled = now - stamps[folder][0] > _UNSETTLED_NANOSECONDS
            self._known[folder] = stamps[folder] if settled else None


def _engine(seed: Path | None) -> sa.Engine:
    """An engine on one temporary database, empty or with what stands in `seed`."""

    def connect() -> sqlite3.Connection:
        # SQLite removes it with the connection.
        connection = sqlite3.connect("", uri=True, check_same_thread=False)
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.StaticPool)
    # The driver opens no transactions on its own.
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.begin() as connection:
        make_tables(connection)
    if seed is not None:
        _copy(seed, engine)
    return engine


def _copy(path: Path, engine: sa.Engine) -> None:
    """Copy what stands in another database.

    Raises:
        sqlite3.Error: it is not there, is of another schema, or somebody writes to it.
    """
    before = _identity(path)
    connection = engine.raw_connection().driver_connection
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - for the type checker
    # What is `immutable` is read without a lock and without a file beside it.
    uri = f"file:{quote(path.as_posix())}?immutable=1"
    connection.execute("ATTACH ? AS old", (uri,))
    try:
        ((found,),) = connection.execute("PRAGMA old.user_version")
        if found != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it is of schema {found}")
        connection.execute("BEGIN")
        for statement in (*_SEEDS, "INSERT INTO pending SELECT * FROM old.pending"):
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error):
            connection.execute("DETACH old")
    if before is None or _identity(path) != before:
        raise sqlite3.DatabaseError("it changed while it was read")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return a stamp of a database file; None if its log holds changes that are not in it yet."""
    log = path.with_name(f"{path.name}-wal")
    try:
        if log.exists() and log.stat().st_size:
            return None
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
