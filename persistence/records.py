"""Visualization states and sessions: small documents, one file each."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from blake3 import blake3

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence import codec, documents
from concept_fragmentation.persistence.blobs import LocalBlobs
from concept_fragmentation.persistence.clock import now, timestamp
from concept_fragmentation.persistence.errors import (
    CorruptedFileError,
    SessionNotFoundError,
    UnsupportedFormatError,
    VisualizationStateNotFoundError,
    not_found_sentence,
)
from concept_fragmentation.persistence.identifiers import folder_name, new_session_id, state_id
from concept_fragmentation.persistence.locks import Locks

logger = logging.getLogger(__name__)

STATES: Final = "visualizations"
SESSIONS: Final = "sessions"

_IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9._~-]*")


def states_of(blobs: LocalBlobs, folder: str) -> list[str]:
    """The blobs of every visualization state of the analysis in `folder`."""
    prefix = f"{folder}~"
    return [f"{STATES}/{name}" for name in blobs.names(STATES) if name.startswith(prefix)]


class VisualizationStates:
    """Named states of the views of an analysis; saving under the same name replaces."""

    def __init__(self, blobs: LocalBlobs) -> None:
        """States live in `visualizations/`."""
        self._blobs = blobs

    def save(
        self, analysis_id: str, config: Mapping[str, Any], visualization_type: str, state_name: str
    ) -> str:
        """Write a state and return its id."""
        identifier = state_id(analysis_id, visualization_type, state_name)
        state = {
            "state_id": identifier,
            "analysis_id": analysis_id,
            "visualization_type": visualization_type,
            "state_name": state_name,
            "timestamp": timestamp(now()),
        }
        body = codec.encode(state) | {"config": codec.encode(dict(config), "visualization_config")}
        self._blobs.write(_name(STATES, identifier), documents.render("visualization state", body))
        return identifier

    def load(self, identifier: str) -> dict[str, Any]:
        """The state, `config` included."""
        state = self.read(identifier)
        if state is None:
            raise self._not_found(identifier)
        return state

    def read(self, identifier: str) -> dict[str, Any] | None:
        """The state, `config` included; None if there is none."""
        return read_state(self._blobs, identifier)

    def adopt(self, state: dict[str, Any], analysis_id: str) -> bool:
        """Take in another store's state for `analysis_id`; False if it is here.

        Where the name is taken by another view, it is called `... (imported)`.
        """
        kind, name, config = state["visualization_type"], state["state_name"], state["config"]
        if not isinstance(config, dict):
            raise InvalidDataError([f"{name}: its config is no object"])
        for chosen in (str(name), f"{name} (imported)"):
            there = self.read(state_id(analysis_id, str(kind), chosen))
            if there is None:
                self.save(analysis_id, config, str(kind), chosen)
                return True
            if codec.encode(there["config"]) == codec.encode(config):
                return False
        raise InvalidDataError([f"{name} (imported): this name is taken here by another view"])

    def list(self, analysis_id: str | None) -> list[dict[str, Any]]:
        """All states, or those of one analysis, newest first, without their `config`."""
        prefix = "" if analysis_id is None else f"{folder_name(analysis_id)}~"
        found = _read_all(self._blobs, STATES, "visualization state", prefix)
        return [{k: v for k, v in state.items() if k != "config"} for state in found]

    def delete(self, identifier: str) -> None:
        """Delete a state; a damaged one too."""
        if _raw(self._blobs, STATES, identifier) is None:
            raise self._not_found(identifier)
        self._blobs.delete(_name(STATES, identifier))

    def _not_found(self, identifier: str) -> VisualizationStateNotFoundError:
        known = _identifiers(self._blobs, STATES)
        return VisualizationStateNotFoundError(
            not_found_sentence("Visualization state", identifier, known)
        )


class Sessions:
    """Sessions: named lists of analyses with notes and tags."""

    def __init__(self, blobs: LocalBlobs, locks: Locks, exists: Callable[[str], bool]) -> None:
        """Sessions live in `sessions/`; `exists` tells whether an analysis is stored."""
        self._blobs = blobs
        self._locks = locks
        self._exists = exists

    def create(
        self, session_name: str, analysis_ids: Sequence[str], notes: str, tags: Sequence[str]
    ) -> str:
        """Write a session and return its id."""
        moment = now()
        identifier = new_session_id(session_name, moment)
        self._write(
            {
                "session_id": identifier,
                "session_name": session_name,
                "analysis_ids": _unique(analysis_ids),
                "notes": notes,
                "tags": list(tags),
                "created_at": timestamp(moment),
                "updated_at": timestamp(moment),
            }
        )
        return identifier

    def load(self, identifier: str) -> dict[str, Any]:
        """The session; `missing_analysis_ids` are those that were deleted since."""
        return self._with_missing(self._load(identifier))

    def read(self, identifier: str) -> dict[str, Any] | None:
        """The session as `load` gives it; None if there is none."""
        session = read_session(self._blobs, identifier)
        return None if session is None else self._with_missing(session)

    def adopt(self, session: dict[str, Any], renamed: Mapping[str, str]) -> str | None:
        """Take in another store's session; its id here, None if it is here already.

        Args:
            session: as `read_session` gives it.
            renamed: {id there: id here} of analyses that have another id here.
        """
        texts = ("session_id", "session_name", "notes", "created_at", "updated_at")
        body: dict[str, Any] = {key: session[key] for key in texts}
        for key in ("analysis_ids", "tags"):
            body[key] = list(session[key])
        if not all(
            isinstance(value, str)
            for part in body.values()
            for value in (part if isinstance(part, list) else [part])
        ):
            raise InvalidDataError([f"{session['session_id']!r}: texts are needed"])
        body["analysis_ids"] = _unique(renamed.get(i, i) for i in body["analysis_ids"])
        identifier = str(body["session_id"])
        content = msgspec.json.encode(codec.encode(body), order="deterministic")
        for chosen in (identifier, f"{identifier}-{blake3(content).hexdigest(length=4)}"):
            there = read_session(self._blobs, chosen)
            if there is None:
                self._write(body | {"session_id": chosen})
                return chosen
            if there == body | {"session_id": chosen}:
                return None
        return None

    def list(self) -> list[dict[str, Any]]:
        """All sessions, newest first."""
        found = _read_all(self._blobs, SESSIONS, "session", "")
        return [self._with_missing(session) for session in found]

    def update(
        self,
        identifier: str,
        *,
        session_name: str | None,
        analysis_ids: Sequence[str] | None,
        notes: str | None,
        tags: Sequence[str] | None,
        add_analysis_ids: Sequence[str],
    ) -> None:
        """Change what is not None; `add_analysis_ids` go to the end of the list."""
        with self._locks.holding(identifier):
            session = self._load(identifier)
            if session_name is not None:
                session["session_name"] = session_name
            if notes is not None:
                session["notes"] = notes
            if tags is not None:
                session["tags"] = list(tags)
            kept = session["analysis_ids"] if analysis_ids is None else analysis_ids
            session["analysis_ids"] = _unique([*kept, *add_analysis_ids])
            session["updated_at"] = timestamp(now())
            self._write(session)

    def delete(self, identifier: str) -> None:
        """Delete a session, a damaged one too; its analyses stay."""
        with self._locks.holding(identifier):
            if _raw(self._blobs, SESSIONS, identifier) is None:
                raise self._not_found(identifier)
            self._blobs.delete(_name(SESSIONS, identifier))

    def _load(self, identifier: str) -> dict[str, Any]:
        session = _read(self._blobs, SESSIONS, identifier, "session")
        if session is None:
            raise self._not_found(identifier)
        return session

    def _not_found(self, identifier: str) -> SessionNotFoundError:
        known = _identifiers(self._blobs, SESSIONS)
        return SessionNotFoundError(not_found_sentence("Session", identifier, known))

    def _write(self, session: dict[str, Any]) -> None:
        name = _name(SESSIONS, session["session_id"])
        self._blobs.write(name, documents.render("session", codec.encode(session)))

    def _with_missing(self, session: dict[str, Any]) -> dict[str, Any]:
        missing = [i for i in session["analysis_ids"] if not self._exists(i)]
        return session | {"missing_analysis_ids": missing}


def read_state(blobs: LocalBlobs, identifier: str) -> dict[str, Any] | None:
    """A state, `config` included; None if there is none."""
    return _read(blobs, STATES, identifier, "visualization state")


def read_session(blobs: LocalBlobs, identifier: str) -> dict[str, Any] | None:
    """A session as it is stored; None if there is none."""
    return _read(blobs, SESSIONS, identifier, "session")


def _name(folder: str, identifier: str) -> str:
    return f"{folder}/{identifier}.json"


def _unique(identifiers: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(identifiers))


def _identifiers(blobs: LocalBlobs, folder: str) -> list[str]:
    return [name.removesuffix(".json") for name in blobs.names(folder) if name.endswith(".json")]


def _raw(blobs: LocalBlobs, folder: str, identifier: str) -> bytes | None:
    # Ours are made of few characters; whatever has others can't be there.
    return blobs.read(_name(folder, identifier)) if _IDENTIFIER.fullmatch(identifier) else None


def _read(blobs: LocalBlobs, folder: str, identifier: str, kind: str) -> dict[str, Any] | None:
    if (data := _raw(blobs, folder, identifier)) is None:
        return None
    path = str(blobs.path(_name(folder, identifier)))
    body: dict[str, Any] = codec.decode(documents.parse(kind, data, path))
    return body


def _read_all(blobs: LocalBlobs, folder: str, kind: str, prefix: str) -> list[dict[str, Any]]:
    found = []
    for identifier in _identifiers(blobs, folder):
        if identifier.startswith(prefix):
            try:
                body = _read(blobs, folder, identifier, kind)
            except (CorruptedFileError, UnsupportedFormatError) as error:
                logger.warning("Left out of the list: %s", error)
                continue
            if body is not None:
                found.append(body)
    newest_first = "updated_at" if folder == SESSIONS else "timestamp"
    return sorted(found, key=lambda body: str(body[newest_first]), reverse=True)
