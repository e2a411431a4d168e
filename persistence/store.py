"""`GPT2AnalysisPersistence`: everything that the store can do, in one class."""

from __future__ import annotations

import contextlib
import logging
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from concept_fragmentation.analysis import (
    AnalysisComparison,
    check_analysis,
    compare_analyses,
)
from concept_fragmentation.analysis.choices import as_whole_number
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.validation import count_tokens
from concept_fragmentation.persistence import access, exchange, marker
from concept_fragmentation.persistence.analyses import RESERVED_METADATA, AnalysisFiles, Draft
from concept_fragmentation.persistence.backup import backup
from concept_fragmentation.persistence.blobs import LocalBlobs, storage_errors
from concept_fragmentation.persistence.cache import AnalysisCache, DiskCache, MemoryCache, NoCache
from concept_fragmentation.persistence.clock import now, timestamp
from concept_fragmentation.persistence.display import LoadedAnalysis, Metadata, table
from concept_fragmentation.persistence.documents import FORMAT_VERSION
from concept_fragmentation.persistence.errors import NotFoundError, StorageError
from concept_fragmentation.persistence.exports import Exports
from concept_fragmentation.persistence.filters import Filters
from concept_fragmentation.persistence.handle import AnalysisHandle
from concept_fragmentation.persistence.identifiers import (
    check_identifier,
    folder_name,
    new_analysis_id,
)
from concept_fragmentation.persistence.locks import Locks
from concept_fragmentation.persistence.merging import ImportReport, Merging
from concept_fragmentation.persistence.records import Sessions, VisualizationStates
from concept_fragmentation.persistence.trash import RETENTION
from concept_fragmentation.persistence.upkeep import Problem, Progress, RepairReport, Upkeep, sizes

logger = logging.getLogger(__name__)

DEFAULT_DIR: Final = Path("data") / "gpt2_analysis"
DIR_VARIABLE: Final = "CONCEPT_FRAGMENTATION_DIR"

# In a notebook.
_SHOWN: Final = 10

# Without those that a store can do without: cache/ and exports/.
_FOLDERS: Final = ("analysis_results", "visualizations", "sessions", "metadata")


class GPT2AnalysisPersistence:
    """A store of analyses, versions, visualization states, sessions and exports in one folder.

    Any number of processes may use one folder at once. Every method that changes something either
    does all of it, durably, or raises an error and changes nothing.

    Args:
        base_dir: the folder; by default `$CONCEPT_FRAGMENTATION_DIR`, else `data/gpt2_analysis`
            below the working directory. It is made on first use.
        enable_cache: keep loaded versions in `cache/`; it can be deleted at any time.
        cache_ttl: seconds until a cached version is forgotten.
        max_versions: how many versions of each analysis are kept, the newest; None keeps all.
        memory_only: keep the cache in this process instead of in `cache/`.

    Attributes:
        base_dir: the folder.
        exports_dir: where exports go that are given no path.
        cache: the cache of loaded versions.
        read_only: whether this user may not write to the folder. Everything can be read then, and
            whatever would change the store raises StorageError.

    Raises:
        InvalidDataError: `max_versions` or `cache_ttl` is not a positive number.
        UnsupportedFormatError: the store was written by a newer version; nothing was touched.
        StorageError: the folder can't be made.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str] | None = None,
        enable_cache: bool = True,
        cache_ttl: float = 3600,
        max_versions: int | None = 10,
        *,
        memory_only: bool = False,
    ) -> None:
        """Open the store in `base_dir`."""
        problems = []
        if max_versions is not None and (type(max_versions) is not int or max_versions < 1):
            problems.append(
                f"max_versions: a whole number from 1, or None, is needed, not {max_versions!r}"
            )
        if not isinstance(cache_ttl, int | float) or not cache_ttl > 0:
            problems.append(f"cache_ttl: a positive number of seconds is needed, not {cache_ttl!r}")
        chosen = base_dir or os.environ.get(DIR_VARIABLE) or DEFAULT_DIR
        if not isinstance(chosen, str | os.PathLike) or "\0" in str(chosen):
            problems.append(f"base_dir: the path of a folder is needed, not {chosen!r}")
        _refuse(problems)
        self.base_dir = Path(chosen).expanduser().absolute()
        self._options = {
            "enable_cache": enable_cache,
            "cache_ttl": cache_ttl,
            "max_versions": max_versions,
            "memory_only": memory_only,
        }
        marked = marker.check(self.base_dir)
        there = marked is not None or (self.base_dir / "analysis_results").is_dir()
        self.read_only = access.is_read_only(self.base_dir, _FOLDERS, there=there)
        self.exports_dir = self.base_dir / "exports"
        self.exports = Exports(self.exports_dir)
        for folder in (self.exports_dir, self.base_dir / "cache"):
            with storage_errors("make", folder), contextlib.ExitStack() as stack:
                if self.read_only:
                    stack.enter_context(contextlib.suppress(OSError))
                folder.mkdir(exist_ok=True)
        self.cache: AnalysisCache
        if not enable_cache:
            self.cache = NoCache()
        elif memory_only:
            self.cache = MemoryCache(cache_ttl)
        else:
            self.cache = self._disk_cache(cache_ttl)
        blobs = LocalBlobs(self.base_dir, read_only=self.read_only)
        self._blobs = blobs
        self._locks = Locks(
            self.base_dir / "metadata" / "locks", self.base_dir if self.read_only else None
        )
        if marked != FORMAT_VERSION and not self.read_only:
            marker.write(blobs)
        self._analyses = AnalysisFiles(blobs, self._locks, self.cache, max_versions)
        self._states = VisualizationStates(blobs)
        self._sessions = Sessions(blobs, self._locks, self._analyses.exists)
        self._upkeep = Upkeep(blobs, self._locks, self._analyses, self._states, self._sessions)
        if not self.read_only and (self.base_dir / "metadata" / "catalog.sqlite").exists():
            try:
                self._analyses.heal()
            except StorageError as error:
                logger.warning("What a killed process left was not looked after: %s", error)

    @property
    def cache_dir(self) -> Path:
        """The folder for what can be made anew: `cache/`, or a private one where that is read-only.

        Raises:
            StorageError: `cache/` can't be written to, and there is no place for temporary files.
        """
        folder = self.base_dir / "cache"
        return folder if access.may_write(folder) else access.private_folder(self.base_dir)

    def _disk_cache(self, ttl: float) -> AnalysisCache:
        try:
            return DiskCache(self.cache_dir, ttl)
        except StorageError as error:
            logger.warning("Loaded versions are kept in memory: %s", error)
            return MemoryCache(ttl)

    def __reduce__(self) -> tuple[Callable[..., GPT2AnalysisPersistence], tuple[Any, ...]]:
        """Pickle and copy it as its folder and options; the store is opened again there."""
        return _reopened, (type(self), self.base_dir, self._options)

    def __repr__(self) -> str:
        """The class and the folder."""
        return f"{type(self).__name__}({str(self.base_dir)!r})"

    def _repr_html_(self) -> str:
        newest = self.list_analyses(limit=_SHOWN)
        return table(
            f"{self!r}: the {len(newest)} newest analyses" if newest else f"{self!r}: empty",
            ("analysis_id", "name", "model_name", "tokens", "layers", "versions", "saved", "tags"),
            (
                (
                    entry["analysis_id"],
                    entry["name"],
                    entry["model_name"],
                    entry["num_tokens"],
                    entry["num_layers"],
                    entry["num_versions"],
                    entry["timestamp"][:19],
                    entry["tags"],
                )
                for entry in newest
            ),
        )

    def close(self) -> None:
        """Close the files that are held open, so that the folder can be moved; any call reopens."""
        self._analyses.close()
        self.cache.close()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    # Analyses

    def save_analysis_results(
        self,
        analysis_data: Mapping[str, Any] | AnalysisHandle,
        model_name: str,
        input_text: str,
        analysis_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        tags: Iterable[str] = (),
        notes: str = "",
        compress: bool = False,
    ) -> str:
        """Save an analysis; under an id that is taken it becomes the next version.

        Args:
            analysis_data: the analysis dict, see `concept_fragmentation.analysis`; it is not
                changed. The `data` of an open analysis, an open analysis, and what
                `load_analysis_results` returns are taken too; of the last two, entries of the
                metadata of their own are kept unless `metadata` gives others.
            model_name: the model, such as `openai-community/gpt2`.
            input_text: the text that was analysed, or "".
            analysis_id: 1 to 128 characters without path separators, `..` or control characters;
                by default a new one is made.
            metadata: the caller's own entries. They can't have the names of the store's own:
                analysis_id, data_format, input_text, model_name, name, notes, tags, timestamp,
                version.
            name: a name for people; by default the earlier version's, else the id.
            tags: by default the earlier version's.
            notes: by default the earlier version's.
            compress: store the arrays compressed (Zstandard, lossless); loading is as always, only
                slower. Arrays that another version of the analysis has are shared as they are.

        Returns:
            The analysis id.

        Raises:
            InvalidDataError: the analysis or another argument is inconsistent or can't be kept
                without loss; every problem is listed with its path.
            UnsafeIdentifierError: the id could leave the store's folder.
            StorageError: the disk refused; nothing was changed.
        """
        identifier = None if analysis_id is None else check_identifier(analysis_id)
        data, came_with = _bare(analysis_data)
        check_analysis(data)
        own = came_with if metadata is None else metadata
        tags = _strings("tags", tags, problems := [])
        if not isinstance(model_name, str) or not model_name:
            problems.append("model_name: a string that is not empty is needed")
        elif any("\ud800" <= character <= "\udfff" for character in model_name):
            problems.append("model_name: a lone surrogate is no character of a name")
        _need_text("input_text", input_text, problems)
        _need_text("name", name, problems, optional=True)
        _need_text("notes", notes, problems)
        if not isinstance(own, Mapping):
            problems.append(f"metadata: a dict is needed, not {type(own).__name__}")
        else:
            problems += [
                f"metadata.{key}: this name is the store's own; choose another"
                for key in RESERVED_METADATA
                if key in own
            ]
        _refuse(problems)
        if identifier is None:
            identifier = new_analysis_id(model_name, now())
        tokens = data["token_metadata"]["tokens"]
        self._analyses.save(
            Draft(
                analysis_id=identifier,
                model_name=model_name,
                input_text=input_text,
                num_tokens=count_tokens(tokens),
                num_layers=len(data["layers"]),
                analysis_data=data,
                metadata=own,
                name=name,
                tags=tags,
                notes=notes,
                compress=compress,
            )
        )
        return identifier

    def load_analysis_results(self, analysis_id: str, version: int | None = None) -> dict[str, Any]:
        """Load an analysis as it was saved.

        Args:
            analysis_id: which analysis.
            version: which version; by default the newest.

        Returns:
            `{"metadata": {...}, "analysis_data": {...}, "model_info": {"model_name", "num_tokens",
            "num_layers", "input_length" (characters)}}`; it is the caller's to change. A dict that
            is shown as one line; the analysis within is a plain dict, equal to what was saved.

        Raises:
            AnalysisNotFoundError: there is no such analysis or version.
            CorruptedFileError: a byte on disk is not what was written; the file is named.
        """
        loaded = self._analyses.load(check_identifier(analysis_id), _check_version(version))
        return LoadedAnalysis(loaded)

    def open_analysis(self, analysis_id: str, version: int | None = None) -> AnalysisHandle:
        """Open an analysis without loading it.

            with store.open_analysis("mine") as analysis:
                weights = analysis.attention("layer_3", head=5)  # reads this head only

        Args:
            analysis_id: which analysis.
            version: which version; by default the newest.

        Returns:
            A read-only handle with `metadata`, `tokens`, `labels`, `paths`, `layer_metrics`,
            `attention(layer, head)` and `to_dict()`, each read and verified when it is asked for.

        Raises:
            AnalysisNotFoundError: there is no such analysis or version.
            CorruptedFileError: its document is not what was written; the file is named.
        """
        identifier, number = check_identifier(analysis_id), _check_version(version)
        return self._analyses.open(identifier, number, self.open_analysis)

    def compress_analysis(self, analysis_id: str) -> None:
        """Compress the arrays of all versions for long-term storage (Zstandard, lossless).

        Each file is read back and compared before the original goes. Loading is as always, only
        slower.

        Raises:
            AnalysisNotFoundError: there is no such analysis.
            CorruptedFileError: a version is damaged; it is left as it is.
            StorageError: the disk refused; what was stored is unharmed.
        """
        self._analyses.compress(check_identifier(analysis_id))

    def list_analyses(
        self,
        model_name: str | None = None,
        *,
        search: str | None = None,
        tag: str | None = None,
        name_prefix: str | None = None,
        min_tokens: int | None = None,
        max_tokens: int | None = None,
        min_layers: int | None = None,
        max_layers: int | None = None,
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """The metadata of the stored analyses, newest first, without opening one.

        All filters are answered by the catalog's indices, and all of those given must hold.

        Args:
            model_name: only those of this model.
            search: only those that hold every word of this (what whitespace separates, at most
                32 words) in their id, name, model, notes, tags or input text: as a
                word or a part of one, whatever the case. No character has a meaning of its own.
            tag: only those with this tag.
            name_prefix: only those whose name begins with this, whatever the case.
            min_tokens: only those with so many tokens or more.
            max_tokens: only those with so many tokens or fewer.
            min_layers: only those with so many layers or more.
            max_layers: only those with so many layers or fewer.
            since: only those whose newest version was saved then or later: a date, a time, or the
                ISO 8601 text of one, in UTC where it names no time zone.
            until: only those whose newest version was saved then or earlier; a date alone means its
                whole day.
            limit: how many at most.
            offset: how many to skip.

        Returns:
            The metadata of each one's newest version, with `num_versions`, `num_tokens`,
            `num_layers`, `input_length` and `size_bytes` (all versions). `input_text` is cut after
            1,000 characters.

        Raises:
            InvalidDataError: a filter is of the wrong type or out of range.
        """
        filters = Filters(
            model_name=model_name,
            search=search,
            tag=tag,
            name_prefix=name_prefix,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            min_layers=min_layers,
            max_layers=max_layers,
            since=since,
            until=until,
            limit=limit,
            offset=offset,
        )
        return [Metadata(entry) for entry in self._analyses.summaries(filters)]

    def list_versions(self, analysis_id: str) -> list[dict[str, Any]]:
        """The metadata of an analysis's versions, newest first, without opening one.

        Raises:
            AnalysisNotFoundError: there is no such analysis.
        """
        versions = self._analyses.versions(check_identifier(analysis_id))
        return [Metadata(entry) for entry in versions]

    def diff(
        self, before: str | tuple[str, int | None], after: str | tuple[str, int | None]
    ) -> AnalysisComparison:
        """What changed between two analyses, or two versions: keys, tokens, clusters, metrics.

        Cluster ids are arbitrary: they are matched by best overlap first. See `compare_analyses`.

        Args:
            before: an analysis id (its newest version), or the id and a version.
            after: likewise.

        Raises:
            AnalysisNotFoundError: there is no such analysis or version.
            CorruptedFileError: a byte on disk is not what was written; the file is named.
        """
        with contextlib.ExitStack() as opened:
            old, new = (
                opened.enter_context(self.open_analysis(*((one,) if isinstance(one, str) else one)))
                for one in (before, after)
            )
            return compare_analyses(old.data, new.data, old.metadata, new.metadata)

    def update_analysis(
        self,
        analysis_id: str,
        *,
        name: str | None = None,
        tags: Iterable[str] | None = None,
        notes: str | None = None,
    ) -> None:
        """Change name, tags or notes of an analysis without a new version; None changes nothing.

        Raises:
            AnalysisNotFoundError: there is no such analysis.
            InvalidDataError: an argument is of the wrong type.
        """
        problems: list[str] = []
        _need_text("name", name, problems, optional=True)
        _need_text("notes", notes, problems, optional=True)
        new_tags = None if tags is None else _strings("tags", tags, problems)
        _refuse(problems)
        identifier = check_identifier(analysis_id)
        self._analyses.update(identifier, name=name, tags=new_tags, notes=notes)

    def delete_analysis(
        self, analysis_id: str, version: int | None = None, *, permanently: bool = False
    ) -> None:
        """Delete one version, or (None) the whole analysis with its visualization states.

        It goes to the trash, where `restore_analysis` finds it for 30 days; expired entries are
        removed by the way. Sessions keep the id and report it under `missing_analysis_ids`. The
        number of a deleted version is not given again as long as the analysis has other versions.

        Args:
            analysis_id: which analysis.
            version: which version; by default all.
            permanently: free its space at once; it can't be restored.

        Raises:
            AnalysisNotFoundError: there is no such analysis or version.
            StorageError: the disk refused; nothing was changed.
        """
        identifier, number = check_identifier(analysis_id), _check_version(version)
        self._analyses.delete(identifier, number, permanently=permanently)
        try:
            self._analyses.purge(RETENTION)
        except StorageError as error:
            logger.warning("The trash was not emptied of what expired: %s", error)

    # The trash

    def list_trash(self) -> list[dict[str, Any]]:
        """What can be restored, the last deleted first.

        Returns:
            Dicts of `trash_id`, `analysis_id`, `version` (None: the whole analysis), `name`,
            `deleted_at` and `expires_at`.
        """
        return [
            {
                "trash_id": entry.trash_id,
                "analysis_id": entry.analysis_id,
                "version": entry.version,
                "name": entry.name,
                "deleted_at": entry.deleted_at,
                "expires_at": entry.expires_at,
            }
            for entry in self._analyses.trash_entries()
        ]

    def restore_analysis(self, analysis_id: str, *, trash_id: str | None = None) -> None:
        """Undo the last delete of an analysis or of one of its versions.

        Args:
            analysis_id: which analysis.
            trash_id: which of its entries in `list_trash`; by default the last deleted.

        Raises:
            TrashEntryNotFoundError: nothing of it is in the trash.
            AnalysisExistsError: its id, or the version's number, was given again since.
            StorageError: the disk refused; it is still in the trash.
        """
        self._analyses.restore(check_identifier(analysis_id), trash_id)

    def purge(self, older_than: timedelta = RETENTION) -> int:
        """Remove from the trash, for good, what was deleted longer ago than that.

        Args:
            older_than: by default 30 days; `timedelta(0)` empties the trash.

        Returns:
            How many entries were removed.
        """
        if not isinstance(older_than, timedelta) or older_than < timedelta(0):
            _refuse([f"older_than: a timedelta from 0 is needed, not {older_than!r}"])
        return self._analyses.purge(older_than)

    # Visualization states

    def save_visualization_state(
        self,
        analysis_id: str,
        visualization_config: Mapping[str, Any],
        visualization_type: str,
        state_name: str = "default",
    ) -> str:
        """Save how an analysis is looked at; the same type and name replace the earlier state.

        Returns:
            The state's id.

        Raises:
            AnalysisNotFoundError: there is no such analysis.
            InvalidDataError: the configuration can't be kept without loss.
        """
        problems: list[str] = []
        if not isinstance(visualization_config, Mapping):
            problems.append("visualization_config: a dict is needed")
        _need_text("visualization_type", visualization_type, problems)
        _need_text("state_name", state_name, problems)
        _refuse(problems)
        identifier = check_identifier(analysis_id)
        # Under the analysis's lock: it can't be deleted between the look and the write.
        with self._locks.holding(folder_name(identifier)):
            self._analyses.check_exists(identifier)
            return self._states.save(
                identifier, visualization_config, visualization_type, state_name
            )

    def load_visualization_state(self, state_id: str) -> dict[str, Any]:
        """Load a saved view of an analysis.

        Returns:
            `{"state_id", "analysis_id", "visualization_type", "state_name", "timestamp",
            "config"}`.

        Raises:
            VisualizationStateNotFoundError: there is no such state.
            CorruptedFileError: a byte on disk is not what was written; the file is named.
        """
        return self._states.load(check_identifier(state_id, "state_id"))

    def list_visualization_states(self, analysis_id: str | None = None) -> list[dict[str, Any]]:
        """All states, or those of one analysis, newest first, without their `config`."""
        return self._states.list(None if analysis_id is None else check_identifier(analysis_id))

    def delete_visualization_state(self, state_id: str) -> None:
        """Delete a state.

        Raises:
            VisualizationStateNotFoundError: there is no such state.
        """
        self._states.delete(check_identifier(state_id, "state_id"))

    # Sessions

    def create_session(
        self,
        session_name: str,
        analysis_ids: Iterable[str] | None = None,
        *,
        notes: str = "",
        tags: Iterable[str] = (),
    ) -> str:
        """Make a session, a named list of analyses, and return its id.

        Raises:
            AnalysisNotFoundError: one of the analyses is not stored.
            InvalidDataError: an argument is of the wrong type.
        """
        problems: list[str] = []
        if not isinstance(session_name, str) or not session_name.strip():
            problems.append("session_name: a string that is not empty is needed")
        _need_text("notes", notes, problems)
        identifiers = _strings("analysis_ids", analysis_ids or (), problems)
        tags = _strings("tags", tags, problems)
        _refuse(problems)
        self._check_stored(identifiers)
        return self._sessions.create(session_name, identifiers, notes, tags)

    def load_session(self, session_id: str) -> dict[str, Any]:
        """Load a session.

        Returns:
            `{"session_id", "session_name", "analysis_ids", "missing_analysis_ids" (deleted since),
            "notes", "tags", "created_at", "updated_at"}`.

        Raises:
            SessionNotFoundError: there is no such session.
            CorruptedFileError: a byte on disk is not what was written; the file is named.
        """
        return self._sessions.load(check_identifier(session_id, "session_id"))

    def list_sessions(self) -> list[dict[str, Any]]:
        """All sessions, the last changed first."""
        return self._sessions.list()

    def update_session(
        self,
        session_id: str,
        *,
        session_name: str | None = None,
        analysis_ids: Iterable[str] | None = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        add_analysis_ids: Iterable[str] = (),
    ) -> None:
        """Change what is not None; `add_analysis_ids` are put at the end of the session's list.

        Adding is safe when several people do it at once. Ids of deleted analyses that the session
        already has may stay.

        Raises:
            SessionNotFoundError: there is no such session.
            AnalysisNotFoundError: an added analysis is not stored.
            InvalidDataError: an argument is of the wrong type.
        """
        problems: list[str] = []
        if session_name is not None and not (
            isinstance(session_name, str) and session_name.strip()
        ):
            problems.append("session_name: a string that is not empty is needed")
        _need_text("notes", notes, problems, optional=True)
        new_ids = None if analysis_ids is None else _strings("analysis_ids", analysis_ids, problems)
        added = _strings("add_analysis_ids", add_analysis_ids, problems)
        new_tags = None if tags is None else _strings("tags", tags, problems)
        _refuse(problems)
        identifier = check_identifier(session_id, "session_id")
        known = set(self._sessions.load(identifier)["analysis_ids"])
        self._check_stored(i for i in [*(new_ids or ()), *added] if i not in known)
        self._sessions.update(
            identifier,
            session_name=session_name,
            analysis_ids=new_ids,
            notes=notes,
            tags=new_tags,
            add_analysis_ids=added,
        )

    def delete_session(self, session_id: str) -> None:
        """Delete a session; its analyses stay.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        self._sessions.delete(check_identifier(session_id, "session_id"))

    # Export and import

    def export_analysis(
        self,
        analysis_id: str,
        export_format: str = "json",
        include_visualizations: bool = True,
        output_path: str | os.PathLike[str] | None = None,
        *,
        version: int | None = None,
        overwrite: bool = True,
    ) -> str:
        """Write an analysis to a file (`json`, `pickle`) or a folder (`csv`) that can be imported.

        Args:
            analysis_id: which analysis.
            export_format: `json`, `csv` or `pickle`.
            include_visualizations: whether its visualization states go with it.
            output_path: where to; by default into `exports/`. A folder that exists gets the export
                inside (json, pickle).
            version: which version; by default the newest.
            overwrite: whether what is there already is replaced, or StorageError says that it is.

        Returns:
            The path of the file or folder.

        Raises:
            AnalysisNotFoundError: there is no such analysis or version.
            UnsupportedFormatError: there is no such format.
            StorageError: the disk refused, or something else has that name.
        """
        chosen = exchange.check_format(export_format)
        loaded = dict(self.load_analysis_results(analysis_id, version))
        number = loaded["metadata"]["version"]
        file_name = exchange.default_name(folder_name(analysis_id), number, chosen)
        target = self.exports_dir / file_name
        if output_path is not None:
            target = Path(output_path).expanduser().absolute()
            if chosen != "csv" and target.is_dir():
                target /= file_name
        if not overwrite and os.path.lexists(target):
            raise StorageError(f"{str(target)!r} is there already; overwrite=True replaces it.")
        states = self._states.list(analysis_id) if include_visualizations else []
        content = {
            "export_metadata": {"exported_at": timestamp(now()), "export_format": chosen},
            "analysis_results": loaded,
            "visualization_states": [self._states.load(state["state_id"]) for state in states],
        }
        if output_path is None and not access.may_write(self.exports_dir):
            raise StorageError(
                f"Could not write to {str(self.exports_dir)!r}: this user may not; nothing was "
                "changed. Give output_path, a path elsewhere (--output on the command line)."
            )
        exchange.write(content, chosen, target)
        return str(target)

    def read_export(self, path: str | os.PathLike[str]) -> tuple[str, bytes]:
        """Return an export in `exports/` as one file: its name and its bytes, a folder zipped.

        `exports.stream` gives the same in chunks.

        Raises:
            NotFoundError: there is no such export in `exports/`.
        """
        target = Path(path)
        if target.parent != self.exports_dir:
            shown = textwrap.shorten(target.name, 200, placeholder="...")
            raise NotFoundError(f"Export not found: {shown!r} is not in {str(self.exports_dir)!r}.")
        name, chunks = self.exports.stream(target.name)
        return name, b"".join(chunks)

    def import_analysis(self, path: str | os.PathLike[str], *, name: str | None = None) -> str:
        """Save an exported analysis and its visualization states in this store.

        Takes what `export_analysis` writes (a CSV folder also zipped), and JSON files that hold a
        bare analysis dict, a loaded structure, or either under `analysis_results`. Pickles may hold
        builtin containers, numbers, strings and NumPy arrays only; none runs code.

        Args:
            path: the file or folder.
            name: the analysis's name; by default the one it was exported with.

        Returns:
            The analysis id: the one it was exported with if that is free here, else a new one.

        Raises:
            StorageError: `path` can't be read.
            InvalidDataError: it holds no analysis, or an inconsistent one.
        """
        source = Path(path).expanduser()
        return self._import(source.name, exchange.read(source), name)

    def import_bytes(self, filename: str, content: bytes, *, name: str | None = None) -> str:
        """`import_analysis` of a file that is at hand as bytes, such as an upload."""
        return self._import(filename, exchange.read_bytes(filename, content), name)

    def _import(self, filename: str, content: dict[str, Any], name: str | None) -> str:
        structure, states = content["analysis_results"], content["visualization_states"]
        _refuse(_problems_of_states(states))
        metadata, data = dict(structure["metadata"]), structure["analysis_data"]
        check_analysis(data)
        came_with = {key: metadata.pop(key, None) for key in RESERVED_METADATA}
        source = {"file": filename} | {
            key: came_with[key] for key in ("analysis_id", "version", "timestamp") if came_with[key]
        }
        identifier = came_with["analysis_id"]
        if identifier is not None:
            check_identifier(identifier)
            if self._analyses.exists(identifier):
                identifier = None
        model_name = (
            came_with["model_name"]
            or structure["model_info"].get("model_name")
            or data["model_type"]
        )
        saved = self.save_analysis_results(
            data,
            model_name,
            came_with["input_text"] or "",
            identifier,
            metadata | {"imported_from": source},
            name=name if name is not None else came_with["name"],
            tags=came_with["tags"] or (),
            notes=came_with["notes"] or "",
        )
        for state in states:
            self.save_visualization_state(
                saved,
                state["config"],
                state.get("visualization_type", "token_sankey"),
                state.get("state_name", "default"),
            )
        return saved

    # Upkeep

    def verify(
        self, analysis_id: str | None = None, progress: Progress | None = None
    ) -> list[Problem]:
        """Check every checksum, the catalog, and what states and sessions point at.

        Reads every byte; other processes may go on working.

        Args:
            analysis_id: only this analysis; by default the whole store.
            progress: is called with how many analyses are done, how many there are, and which one
                is next.

        Returns:
            What is wrong, each with its file and its remedy; nothing is changed.

        Raises:
            AnalysisNotFoundError: there is no such analysis.
        """
        identifier = None if analysis_id is None else check_identifier(analysis_id)
        return list(self._upkeep.verify(identifier, progress))

    def reindex(self) -> int:
        """Make the catalog anew from the files alone.

        Returns:
            How many analyses it holds.
        """
        return self._analyses.reindex()

    def repair(self, progress: Progress | None = None) -> RepairReport:
        """Mend what can be mended and put aside what can't.

        Torn versions, states, sessions and cards are moved to `quarantine/`, never deleted; what a
        killed process left behind is removed; the catalog is made anew.

        Args:
            progress: as of `verify`.

        Returns:
            What was done, and what is still wrong.
        """
        return self._upkeep.repair(progress)

    def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
        """Copy the store as it is at one instant, while others work on it.

        The copy is a store itself, with the trash; exports, the quarantine and what can be made
        anew (cache, catalog) stay out. Writers wait while the instant is taken, not while it is
        copied.

        Args:
            path: a folder that is not there yet, or is empty; it appears whole or not at all.
            progress: is called with how many files are copied, how many there are, and which one
                is next.

        Raises:
            StorageError: something is at `path`, or the disk refused.
        """
        backup(self.base_dir, self._locks, Path(path).expanduser().absolute(), progress)

    def import_store(
        self, path: str | os.PathLike[str], progress: Progress | None = None
    ) -> ImportReport:
        """Merge another store, such as a backup, into this one; the other is not changed.

        An analysis that is here with the same content stays as it is, and versions that are missing
        here are added. An id that is taken here by other content gets a new one, made from it and
        the content. Damaged versions are left out and reported. An error ends it; done again it
        goes on, and what came in once does not come in twice.

        Args:
            path: the other store's folder.
            progress: as of `verify`.

        Raises:
            InvalidDataError: there is no store.
            UnsupportedFormatError: it was written by a newer version.
            StorageError: the disk refused.
        """
        self._blobs.check_writable()
        source = Path(path).expanduser().absolute()
        merging = Merging(source, self._analyses, self._states, self._sessions)
        merging.run(progress)
        return merging.report

    def stats(self) -> dict[str, Any]:
        """How much there is.

        Returns:
            `{"base_dir", "format_version", "analyses", "versions", "sessions", "trash" (entries),
            "bytes", "folders": {folder: {"files", "bytes"}}}`.
        """
        listed = self._analyses.summaries(Filters())
        with storage_errors("read", self.base_dir):
            folders = sizes(self.base_dir)
        return {
            "base_dir": str(self.base_dir),
            "format_version": FORMAT_VERSION,
            "analyses": len(listed),
            "versions": sum(entry["num_versions"] for entry in listed),
            "sessions": len(self._sessions.list()),
            "trash": len(self._analyses.trash_entries()),
            "bytes": sum(folder["bytes"] for folder in folders.values()),
            "folders": folders,
        }

    # The cache

    def cleanup_cache(self, max_age_hours: float = 24) -> int:
        """Remove cached versions that were stored more than `max_age_hours` ago.

        Returns:
            How many were removed.
        """
        if not isinstance(max_age_hours, int | float) or not max_age_hours >= 0:
            raise InvalidDataError(
                [f"max_age_hours: a number of hours from 0 is needed, not {max_age_hours!r}"]
            )
        return self.cache.delete_older_than(max_age_hours * 3600)

    def _check_stored(self, analysis_ids: Iterable[str]) -> None:
        for identifier in analysis_ids:
            self._analyses.check_exists(check_identifier(identifier))


def save_gpt2_analysis(
    analysis_data: Mapping[str, Any],
    model_name: str,
    input_text: str,
    persistence_manager: GPT2AnalysisPersistence | None = None,
) -> str:
    """Save an analysis in `persistence_manager`, by default the store in the default folder."""
    store = persistence_manager or GPT2AnalysisPersistence()
    return store.save_analysis_results(analysis_data, model_name, input_text)


def load_gpt2_analysis(
    analysis_id: str, persistence_manager: GPT2AnalysisPersistence | None = None
) -> dict[str, Any]:
    """Load the newest version from `persistence_manager`, by default the default folder's store."""
    store = persistence_manager or GPT2AnalysisPersistence()
    return store.load_analysis_results(analysis_id)


def _reopened(
    kind: type[GPT2AnalysisPersistence], base_dir: Path, options: Mapping[str, Any]
) -> GPT2AnalysisPersistence:
    return kind(base_dir, **options)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InvalidDataError(problems)


def _bare(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """The analysis dict of what was given to be saved, and the metadata that it came with."""
    data: Any
    metadata: Any
    if isinstance(given, AnalysisHandle):
        data, metadata = given.data, given.metadata
    elif isinstance(given, Mapping) and "layers" not in given and "analysis_data" in given:
        data, metadata = given["analysis_data"], given.get("metadata")
    else:
        return given, {}
    own = metadata if isinstance(metadata, Mapping) else {}
    return data, {key: value for key, value in own.items() if key not in RESERVED_METADATA}


def _need_text(what: str, value: object, problems: list[str], *, optional: bool = False) -> None:
    if not isinstance(value, str) and not (optional and value is None):
        problems.append(f"{what}: a string is needed, not {type(value).__name__}")


def _strings(what: str, values: object, problems: list[str]) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        problems.append(f"{what}: a list of strings is needed, not {type(values).__name__}")
        return []
    items = list(values)
    problems += [
        f"{what}[{i}]: a string is needed, not {type(item).__name__}"
        for i, item in enumerate(items)
        if not isinstance(item, str)
    ]
    return [item for item in dict.fromkeys(items) if isinstance(item, str)] if not problems else []


def _check_version(version: object) -> int | None:
    if version is None:
        return None
    number = as_whole_number(version)
    if number is None or number < 1:
        raise InvalidDataError([f"version: a whole number from 1 is needed, not {version!r}"])
    return number


def _problems_of_states(states: object) -> list[str]:
    if not isinstance(states, list):
        return ["visualization_states: a list is needed"]
    problems = []
    for i, state in enumerate(states):
        if not isinstance(state, dict) or not isinstance(state.get("config"), dict):
            problems.append(f"visualization_states[{i}].config: an object is needed")
            continue
        problems += [
            f"visualization_states[{i}].{key}: a string is needed"
            for key in ("visualization_type", "state_name")
            if not isinstance(state.get(key, ""), str)
        ]
    return problems
