"""The catalog: an index over the files, for listing and searching. It can be deleted at any time.

Every change of an analysis is announced here first (`announce`) and recorded after the files were
changed (`record`); an announcement left behind tells that a process died in between, and that the
analysis must be looked at again.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from concept_fragmentation.persistence.blobs import storage_errors
from concept_fragmentation.persistence.errors import StorageError

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1

_BUSY_SECONDS: Final = 60
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

Answer = TypeVar("Answer")

_tables = sa.MetaData()

_analyses = sa.Table(
    "analyses",
    _tables,
    sa.Column("folder", sa.Text, primary_key=True),
    sa.Column("analysis_id", sa.Text, nullable=False, unique=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("timestamp", sa.Text, nullable=False),
    # What is searched, case-folded: id, name, model, notes and tags; and the whole input text.
    sa.Column("labels_text", sa.Text, nullable=False),
    sa.Column("input_text", sa.Text, nullable=False),
    # The answer of `list_analyses`, encoded.
    sa.Column("summary", sa.Text, nullable=False),
    sa.Index("analyses_newest", "timestamp", "analysis_id"),
    sa.Index("analyses_of_model", "model_name", "timestamp"),
)

_tags = sa.Table(
    "tags",
    _tables,
    sa.Column(
        "folder", sa.Text, sa.ForeignKey("analyses.folder", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Index("tags_of_analyses", "tag"),
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

_pending = sa.Table("pending", _tables, sa.Column("folder", sa.Text, primary_key=True))


class Entry(NamedTuple):
    """What the catalog knows of one analysis."""

    folder: str
    analysis_id: str
    model_name: str
    timestamp: str
    labels_text: str
    input_text: str | None  # None: as it was
    tags: tuple[str, ...]
    summary: str
    version_summaries: Mapping[int, str]


class Catalog:
    """A SQLite database in `path`, made anew from the files whenever it is missing or damaged."""

    def __init__(self, path: Path, read_entries: Callable[[], Iterable[Entry]]) -> None:
        """The catalog in `path`; `read_entries` reads the whole truth from the files."""
        self.path = path
        self._read_entries = read_entries
        # No pool: opening takes a fraction of a millisecond, holds across forks, and never keeps
        # a connection to a file that somebody deleted.
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=sa.NullPool,
            connect_args={"timeout": _BUSY_SECONDS},
        )
        self._writing = self._engine.execution_options(catalog_writes=True)
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)

    def announce(self, folder: str) -> bool:
        """Say that the files of `folder` are about to change.

        Returns:
            Whether an earlier change of it was announced and never recorded.
        """

        def run(connection: sa.Connection) -> bool:
            statement = insert(_pending).values(folder=folder).on_conflict_do_nothing()
            return connection.execute(statement).rowcount == 0

        return self._write(run)

    def record(self, folder: str, entry: Entry | None) -> None:
        """Replace what is known of `folder` (None: nothing is left) and end its announcement."""

        def run(connection: sa.Connection) -> None:
            nonlocal entry
            this = _analyses.c.folder == folder
            if entry is not None and entry.input_text is None:
                text = connection.scalar(sa.select(_analyses.c.input_text).where(this))
                entry = entry._replace(input_text=text)
            connection.execute(sa.delete(_analyses).where(this))
            if entry is not None:
                _insert(connection, entry)
            connection.execute(sa.delete(_pending).where(_pending.c.folder == folder))

        self._write(run)

    def pending(self) -> list[str]:
        """The folders whose change was announced and not recorded yet."""
        return self._read(lambda connection: list(connection.scalars(sa.select(_pending.c.folder))))

    def summaries(
        self,
        *,
        model_name: str | None = None,
        search: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[str]:
        """The summaries of the analyses that fit, newest first."""
        columns = _analyses.c
        query = sa.select(columns.summary).order_by(
            columns.timestamp.desc(), columns.analysis_id.desc()
        )
        if model_name is not None:
            query = query.where(columns.model_name == index_text(model_name))
        for word in index_text(search or "").casefold().split():
            query = query.where(
                columns.labels_text.contains(word, autoescape=True)
                | columns.input_text.contains(word, autoescape=True)
            )
        if tag is not None:
            with_tag = sa.select(_tags.c.folder).where(_tags.c.tag == index_text(tag))
            query = query.where(columns.folder.in_(with_tag))
        query = query.limit(-1 if limit is None else limit).offset(offset)
        return self._read(lambda connection: list(connection.scalars(query)))

    def newest_ids(self, limit: int) -> list[str]:
        """The ids of the `limit` newest analyses."""
        columns = _analyses.c
        query = sa.select(columns.analysis_id).order_by(columns.timestamp.desc()).limit(limit)
        return self._read(lambda connection: list(connection.scalars(query)))

    def versions(self, folder: str) -> dict[int, str]:
        """The summaries of an analysis's versions, newest first."""
        query = (
            sa.select(_versions.c.version, _versions.c.summary)
            .where(_versions.c.folder == folder)
            .order_by(_versions.c.version.desc())
        )
        return self._read(lambda connection: dict(map(tuple, connection.execute(query))))

    def _fill(self, connection: sa.Connection) -> None:
        # Announcements stay: whoever made one may still be at work.
        _tables.drop_all(connection, tables=[_tags, _versions, _analyses])
        _tables.create_all(connection)
        for entry in self._read_entries():
            _insert(connection, entry)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _make_ready(self) -> None:
        if self.path.exists():
            with self._engine.connect() as connection:
                if _schema_version(connection) == SCHEMA_VERSION:
                    return
        with storage_errors("write", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing.begin() as connection:
            # Another process may have made it while this one waited for its turn.
            if _schema_version(connection) != SCHEMA_VERSION:
                self._fill(connection)

    def _read(self, question: Callable[[sa.Connection], Answer]) -> Answer:
        return self._ask(self._engine, question)

    def _write(self, question: Callable[[sa.Connection], Answer]) -> Answer:
        return self._ask(self._writing, question)

    def _ask(self, engine: sa.Engine, question: Callable[[sa.Connection], Answer]) -> Answer:
        with self._translated():
            try:
                self._make_ready()
                with engine.begin() as connection:
                    return question(connection)
            except sa.exc.DatabaseError as error:
                if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                logger.warning("The catalog %s is damaged; it is made anew.", self.path)
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                self.path.with_name(name).unlink(missing_ok=True)
            self._make_ready()
            with engine.begin() as connection:
                return question(connection)

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


def index_text(text: str) -> str:
    """`text` as the catalog can hold it: lone surrogates and NUL replaced."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def _insert(connection: sa.Connection, entry: Entry) -> None:
    connection.execute(
        sa.insert(_analyses).values(
            folder=entry.folder,
            analysis_id=entry.analysis_id,
            model_name=index_text(entry.model_name),
            timestamp=entry.timestamp,
            labels_text=index_text(entry.labels_text).casefold(),
            input_text=index_text(entry.input_text or "").casefold(),
            summary=entry.summary,
        )
    )
    if entry.tags:
        tags = {index_text(tag) for tag in entry.tags}
        rows = [{"folder": entry.folder, "tag": tag} for tag in sorted(tags)]
        connection.execute(sa.insert(_tags), rows)
    connection.execute(
        sa.insert(_versions),
        [
            {"folder": entry.folder, "version": version, "summary": summary}
            for version, summary in entry.version_summaries.items()
        ],
    )


def _schema_version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not open transactions on its own: `_begin` does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("catalog_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
