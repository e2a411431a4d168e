"""The catalog: an index over the files, for listing and searching. It can be deleted at any time.

An analysis's key is the moment of its newest version, in microseconds: the newest first is the
order of the keys, every index holds them in that order, and a list ends after its first page.

Words are found by their trigrams (SQLite's FTS5), so that a part of a word is found too.

Every change of an analysis is announced here first (`announce`) and recorded after the files were
changed (`record`); an announcement left behind tells that a process died in between, and that the
analysis must be looked at again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from concept_fragmentation.persistence.access import may_write, may_write_file, share
from concept_fragmentation.persistence.blobs import storage_errors
from concept_fragmentation.persistence.errors import StorageError
from concept_fragmentation.persistence.filters import Filters, microseconds

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 2

_BUSY_SECONDS: Final = 60
# What SQLite says where a log beside the database needs memory that processes share.
NO_SHARED_MEMORY: Final = (
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
_REFUSED: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

Answer = TypeVar("Answer")
Question = Callable[[sa.Connection], Answer]

_tables = sa.MetaData()

_analyses = sa.Table(
    "analyses",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("folder", sa.Text, nullable=False, unique=True),
    sa.Column("analysis_id", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("num_tokens", sa.Integer, nullable=False),
    sa.Column("num_layers", sa.Integer, nullable=False),
    # The answer of `list_analyses`, encoded.
    sa.Column("summary", sa.Text, nullable=False),
    sa.Index("analyses_of_model", "model_name", "id"),
    # Small, and in the order of the list: going through all of it takes a few milliseconds.
    sa.Index("analyses_numbers", "id", "num_tokens", "num_layers"),
)

_tags = sa.Table(
    "tags",
    _tables,
    sa.Column("id", sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Index("tags_of_analyses", "tag", "id"),
)

_versions = sa.Table(
    "versions",
    _tables,
    sa.Column(
        "folder", sa.Text, sa.ForeignKey("analyses.folder", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("summary", sa.Text, nullable=False),
)

# Case-folded: the name; id, name, model, notes and tags; the whole input text.
_texts = sa.table("texts", *map(sa.column, ("rowid", "texts", "name", "labels_text", "input_text")))
_terms = sa.table("terms", sa.column("term"))

_DROP_TEXTS: Final = ("DROP TABLE IF EXISTS terms", "DROP TABLE IF EXISTS texts")
_CREATE_TEXTS: Final = (
    "CREATE VIRTUAL TABLE texts USING fts5("
    "name, labels_text, input_text, tokenize='trigram case_sensitive 1')",
    "CREATE VIRTUAL TABLE terms USING fts5vocab(texts, row)",
)

# Before each name and after each text: the fewest characters are the beginning of a trigram then.
# No word that is searched for holds whitespace.
_PADDING: Final = "\n\n"
_TRIGRAM: Final = 3
_SAMPLE: Final = 500
_LAST_CHARACTER: Final = "\U0010ffff"

_pending = sa.Table("pending", _tables, sa.Column("folder", sa.Text, primary_key=True))


class Entry(NamedTuple):
    """What the catalog knows of one analysis."""

    folder: str
    analysis_id: str
    name: str
    model_name: str
    timestamp: str
    num_tokens: int
    num_layers: int
    labels_text: str
    input_text: str | None  # None: as it was
    tags: tuple[str, ...]
    summary: str
    version_summaries: Mapping[int, str]


class Catalog:
    """A SQLite database in `path`, made anew from the files whenever it is missing or damaged."""

    def __init__(
        self,
        path: Path,
        read_entries: Callable[[], Iterable[Entry]],
        instead: Callable[[Question[Any]], Any] | None = None,
    ) -> None:
        """The catalog in `path`; `read_entries` reads the whole truth from the files.

        `instead` answers what is asked of it once its folder can't be written to any more.
        """
        self.path = path
        self._read_entries = read_entries
        self._instead = instead
        self._is_shared = False
        # Connections stay open: whoever closes the last one makes SQLite put its log away.
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=sa.QueuePool,
            max_overflow=-1,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        self._writing = self._engine.execution_options(catalog_writes=True)
        rules = _Connections(path)
        sa.event.listen(self._engine, "connect", rules.configure)
        sa.event.listen(self._engine, "checkout", rules.check)
        sa.event.listen(self._engine, "begin", _begin)
        weakref.finalize(self, self._engine.dispose)

    def close(self) -> None:
        """Close the database; the next question opens it again."""
        self._engine.dispose()

    def announce(self, folder: str) -> dict[int, str] | None:
        """Say that the files of `folder` are about to change.

        Returns:
            The summaries of its versions, newest first; None if an earlier change of it was
            announced and never recorded, so that only the files know.
        """

        def run(connection: sa.Connection) -> dict[int, str] | None:
            statement = insert(_pending).values(folder=folder).on_conflict_do_nothing()
            announced = connection.execute(statement).rowcount == 0
            return None if announced else _versions_of(connection, folder)

        return self._write(run)

    def record(self, folder: str, entry: Entry | None) -> None:
        """Replace what is known of `folder` (None: nothing is left) and end its announcement."""

        def run(connection: sa.Connection) -> None:
            replace_entry(connection, folder, entry)
            connection.execute(sa.delete(_pending).where(_pending.c.folder == folder))

        self._write(run)

    def pending(self) -> list[str]:
        """The folders whose change was announced and not recorded yet."""
        return self._read(lambda connection: list(connection.scalars(sa.select(_pending.c.folder))))

    def summaries(self, filters: Filters) -> list[str]:
        """The summaries of the analyses that fit, newest first."""

        def run(connection: sa.Connection) -> list[str]:
            columns = _analyses.c
            # The keys first, from the indices alone; summaries are read of those only.
            key: sa.ColumnElement[int] = columns.id
            keys = sa.select(key)
            match, common = _asked_of_texts(connection, filters)
            if match is not None or common:
                key = _texts.c.rowid
                keys = keys.join_from(_texts, _analyses, columns.id == _texts.c.rowid)
            if match is not None:
                keys = keys.where(_texts.c.texts.op("MATCH")(match))
            for word in common:
                keys = keys.where(_holds(word))
            if filters.tag is not None:
                with_tag = _tags.c.tag == index_text(filters.tag)
                keys = keys.join(_tags, _tags.c.id == columns.id).where(with_tag)
                if key is columns.id:
                    key = _tags.c.id
            if filters.model_name is not None:
                keys = keys.where(columns.model_name == index_text(filters.model_name))
            for column, least, most in (
                (columns.num_tokens, filters.min_tokens, filters.max_tokens),
                (columns.num_layers, filters.min_layers, filters.max_layers),
                (key, filters.first_moment, filters.last_moment),
            ):
                if least is not None:
                    keys = keys.where(column >= least)
                if most is not None:
                    keys = keys.where(column <= most)
            limit = -1 if filters.limit is None else filters.limit
            keys = keys.order_by(key.desc()).limit(limit).offset(filters.offset)
            query = sa.select(columns.summary).where(columns.id.in_(keys))
            return list(connection.scalars(query.order_by(columns.id.desc())))

        return self._read(run)

    def newest_ids(self, limit: int) -> list[str]:
        """The ids of the `limit` newest analyses."""
        columns = _analyses.c
        query = sa.select(columns.analysis_id).order_by(columns.id.desc()).limit(limit)
        return self._read(lambda connection: list(connection.scalars(query)))

    def versions(self, folder: str) -> dict[int, str]:
        """The summaries of an analysis's versions, newest first."""
        return self._read(lambda connection: _versions_of(connection, folder))

    def folders(self) -> list[str]:
        """The folders of all analyses."""
        query = sa.select(_analyses.c.folder)
        return self._read(lambda connection: list(connection.scalars(query)))

    def rebuild(self) -> int:
        """Make everything anew from the files; how many analyses there are."""

        def run(connection: sa.Connection) -> int:
            self._fill(connection)
            counted = sa.select(sa.func.count()).select_from(_analyses)
            return int(connection.scalar(counted) or 0)

        return self._write(run)

    def _fill(self, connection: sa.Connection) -> None:
        make_tables(connection)
        for entry in self._read_entries():
            _insert(connection, entry)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _make_ready(self) -> None:
        with storage_errors("write", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            share(self.path)
        with self._writing.begin() as connection:
            # Another process may have made it while this one waited for its turn.
            if _schema_version(connection) != SCHEMA_VERSION:
                self._fill(connection)

    def _read(self, question: Question[Answer]) -> Answer:
        try:
            return self._ask(self._engine, question)
        except StorageError:
            if self._instead is None or may_write(self.path.parent):
                raise
            answer: Answer = self._instead(question)
            return answer

    def _write(self, question: Question[Answer]) -> Answer:
        return self._ask(self._writing, question)

    def _ask(self, engine: sa.Engine, question: Question[Answer]) -> Answer:
        with self._translated():
            try:
                if self.path.exists():
                    if not self._is_shared:
                        # One that an earlier version made may be closed to the group.
                        share(self.path)
                        self._is_shared = True
                    with engine.begin() as connection:
                        if _schema_version(connection) == SCHEMA_VERSION:
                            return question(connection)
                self._make_ready()
                with engine.begin() as connection:
                    return question(connection)
            except sa.exc.DatabaseError as error:
                code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
                if code in _DAMAGED:
                    reason = "is damaged"
                elif code in _REFUSED and self._is_anothers():
                    reason = "belongs to another user, who alone may write to it"
                else:
                    raise
                logger.warning("The catalog %s %s; it is made anew.", self.path, reason)
            # Windows deletes no file that is open.
            self._engine.dispose()
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                self.path.with_name(name).unlink(missing_ok=True)
            self._make_ready()
            with engine.begin() as connection:
                return question(connection)

    def _is_anothers(self) -> bool:
        """Whether it can't be written to although its folder can."""
        return may_write(self.path.parent) and not may_write_file(self.path)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with storage_errors("use", self.path):
                yield
        except sa.exc.DatabaseError as error:
            raise StorageError(
                f"Could not use the catalog {str(self.path)!r}: {error.orig}; nothing was changed. "
                "Check free space and permissions of that folder and try again."
            ) from error


def make_tables(connection: sa.Connection) -> None:
    """Make the tables anew, empty; announcements stay, whose makers may still be at work."""
    _tables.drop_all(connection, tables=[_tags, _versions, _analyses])
    for statement in _DROP_TEXTS:
        connection.exec_driver_sql(statement)
    _tables.create_all(connection)
    for statement in _CREATE_TEXTS:
        connection.exec_driver_sql(statement)


def replace_entry(connection: sa.Connection, folder: str, entry: Entry | None) -> None:
    """Put an entry in the place of the one of `folder`; None removes that one."""
    this = _analyses.c.folder == folder
    key = connection.scalar(sa.select(_analyses.c.id).where(this))
    if key is not None:
        texts = _texts.c.rowid == key
        if entry is not None and entry.input_text is None:
            text = connection.scalar(sa.select(_texts.c.input_text).where(texts))
            entry = entry._replace(input_text=text)
        connection.execute(sa.delete(_texts).where(texts))
        connection.execute(sa.delete(_analyses).where(this))
    if entry is not None:
        _insert(connection, entry)


def index_text(text: str) -> str:
    """`text` as the catalog can hold it: lone surrogates and NUL replaced."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def _asked_of_texts(connection: sa.Connection, filters: Filters) -> tuple[str | None, list[str]]:
    """What FTS5 is asked for (None for nothing), and the words that each text is searched for.

    FTS5 gets quoted strings, in which it interprets nothing.
    """
    parts, common = [], []
    for word in dict.fromkeys(_folded(filters.search or "").split()):
        if len(word) >= _TRIGRAM:
            parts.append(_quoted(word))
        elif _is_common(connection, word):
            # Too many trigrams hold it; but the first page is soon full without an index.
            common.append(word)
        else:
            holding = sa.select(_terms.c.term).where(
                _terms.c.term >= word, _terms.c.term < word + _LAST_CHARACTER
            )
            found = " OR ".join(map(_quoted, connection.scalars(holding)))
            parts.append(found or _quoted(word + _PADDING))
    parts = [f"{{labels_text input_text}} : ({part})" for part in parts]
    if filters.name_prefix:
        parts.append(f"name : ^ {_quoted(_PADDING + _folded(filters.name_prefix))}")
    return " AND ".join(parts) or None, common


def _is_common(connection: sa.Connection, word: str) -> bool:
    """Whether one in twenty of the newest texts holds `word`."""
    newest = sa.select(_texts).order_by(_texts.c.rowid.desc()).limit(_SAMPLE).subquery()
    holding = sa.select(sa.func.count()).select_from(newest).where(_holds(word, newest.c))
    return connection.scalars(holding).one() * 20 >= _SAMPLE


def _holds(word: str, columns: Any = _texts.c) -> sa.ColumnElement[bool]:
    found_in = (sa.func.instr(text, word) > 0 for text in (columns.labels_text, columns.input_text))
    return sa.or_(*found_in)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _folded(text: str) -> str:
    return index_text(text).casefold()


def _free_key(connection: sa.Connection, moment: int) -> int:
    """`moment`, or the next one that no analysis has."""
    taken = sa.select(_analyses.c.id).where(_analyses.c.id >= moment).order_by(_analyses.c.id)
    for key in connection.scalars(taken):
        if key > moment:
            break
        moment += 1
    return moment


def _insert(connection: sa.Connection, entry: Entry) -> None:
    key = _free_key(connection, microseconds(datetime.fromisoformat(entry.timestamp)))
    connection.execute(
        sa.insert(_analyses).values(
            id=key,
            folder=entry.folder,
            analysis_id=entry.analysis_id,
            model_name=index_text(entry.model_name),
            num_tokens=entry.num_tokens,
            num_layers=entry.num_layers,
            summary=entry.summary,
        )
    )
    connection.execute(
        sa.insert(_texts).values(
            rowid=key,
            name=_PADDING + _folded(entry.name),
            labels_text=_folded(entry.labels_text) + _PADDING,
            input_text=_folded(entry.input_text or "") + _PADDING,
        )
    )
    if entry.tags:
        rows = [{"id": key, "tag": tag} for tag in sorted(set(map(index_text, entry.tags)))]
        connection.execute(sa.insert(_tags), rows)
    connection.execute(
        sa.insert(_versions),
        [
            {"folder": entry.folder, "version": version, "summary": summary}
            for version, summary in entry.version_summaries.items()
        ],
    )


def _versions_of(connection: sa.Connection, folder: str) -> dict[int, str]:
    query = (
        sa.select(_versions.c.version, _versions.c.summary)
        .where(_versions.c.folder == folder)
        .order_by(_versions.c.version.desc())
    )
    return dict(map(tuple, connection.execute(query)))


def _schema_version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("catalog_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class _Connections:
    """How connections of the pool are opened, and when they must not be used again."""

    # Closing what came with a fork would take locks from the process that it came from.
    inherited: ClassVar[list[DBAPIConnection]] = []

    def __init__(self, path: Path) -> None:
        self._path = path

    def configure(self, connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        # The driver must not open transactions on its own: `_begin` does.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in NO_SHARED_MEMORY:
                raise
            # Shares of virtual machines map no file; one that holds the database alone needs none.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA locking_mode = NORMAL")
            connection.execute("SELECT count(*) FROM sqlite_master")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        record.info["process"] = os.getpid()
        record.info["file"] = self._file()

    def check(
        self, connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
    ) -> None:
        """Have another one opened where this came with a fork, or its file is gone."""
        if record.info["process"] != os.getpid():
            self.inherited.append(connection)
            record.dbapi_connection = None  # type: ignore[misc] # as SQLAlchemy has it
            proxy.dbapi_connection = None  # type: ignore[misc]
        elif record.info["file"] == self._file():
            return
        raise sa.exc.DisconnectionError

    def _file(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino
