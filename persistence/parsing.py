"""Parsing an imported file of any format; it runs in the process that `import_process` starts."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence import codec, csv_folder, safe_pickle
from concept_fragmentation.persistence.budget import Budget, OverBudgetError, said_size
from concept_fragmentation.persistence.csv_folder import unique
from concept_fragmentation.persistence.errors import UnsupportedFormatError

JSON_FORMAT: Final = "concept_fragmentation json export"

_LISTED_FILE: Final = b"PK\x01\x02"
_MOST_FILES: Final = 1000

Content = dict[str, Any]


def parse(filename: str, data: bytes, budget: Budget) -> Content:
    """Return the content of an exported file; its name is only said, not read.

    Raises:
        InvalidDataError: it holds no analysis, is damaged, or asks for more than its size allows.
    """
    if data[:4] == b"PK\x03\x04":
        return csv_folder.read(_unzipped(filename, data, budget), budget)
    if filename.lower().endswith(".csv"):
        raise InvalidDataError(
            [f"{filename}: it is one table of a CSV export; give the whole folder, or it zipped"]
        )
    # A pickle begins with its protocol, since the second one, and always ends in a full stop; no
    # JSON does either.
    is_pickle = data[:1] == b"\x80" or data[-1:] == b"."
    try:
        value = safe_pickle.loads(data, budget) if is_pickle else _parse_json(data)
        return _as_content(filename, value)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(
            [
                f"{filename}: it is neither a JSON, CSV or pickle export nor a JSON analysis "
                f"({error})"
            ]
        ) from error


def _parse_json(data: bytes) -> Any:
    # The standard library's parser: other tools write NaN and lone surrogates as it does.
    parsed = json.loads(data, object_pairs_hook=unique)
    head = parsed.get("export_metadata") if isinstance(parsed, dict) else None
    if isinstance(head, dict) and head.get("format") == JSON_FORMAT:
        if head.get("format_version") != 1:
            raise UnsupportedFormatError(
                f"The export is of format version {head.get('format_version')!r} and this version "
                "reads version 1; upgrade concept-fragmentation."
            )
        return codec.decode(parsed)
    return parsed


def _as_content(filename: str, value: Any) -> Content:
    """Any of the shapes that `import_analysis` takes, as export content."""
    if isinstance(value, dict):
        if isinstance(value.get("analysis_results"), dict):
            return {
                "export_metadata": value.get("export_metadata") or {},
                "analysis_results": _as_structure(filename, value["analysis_results"]),
                "visualization_states": value.get("visualization_states") or [],
            }
        structure = _as_structure(filename, value)
        return {"export_metadata": {}, "analysis_results": structure, "visualization_states": []}
    raise InvalidDataError([f"{filename}: an analysis is an object, not {type(value).__name__}"])


def _as_structure(filename: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(value.get("analysis_data"), dict):
        metadata, info = value.get("metadata") or {}, value.get("model_info") or {}
        if not isinstance(metadata, dict) or not isinstance(info, dict):
            raise InvalidDataError([f"{filename}: metadata and model_info must be objects"])
        return {"metadata": metadata, "analysis_data": value["analysis_data"], "model_info": info}
    if "token_metadata" in value or "layers" in value:
        return {"metadata": {}, "analysis_data": dict(value), "model_info": {}}
    raise InvalidDataError(
        [
            f"{filename}: it holds no analysis; expected the keys model_type, layers and "
            "token_metadata, or an export that holds them under analysis_results"
        ]
    )


def _unzipped(filename: str, data: bytes, budget: Budget) -> dict[str, bytes]:
    # The list of an archive's files takes twenty times as much memory once it is read.
    if data.count(_LISTED_FILE) > _MOST_FILES:
        raise OverBudgetError([f"{filename}: the archive is too large: over {_MOST_FILES} files"])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > budget.unpacked:
                raise OverBudgetError(
                    [
                        f"{filename}: the archive is too large: it unpacks to more than "
                        f"{said_size(budget.unpacked)}. Unpack it and import the folder"
                    ]
                )
            # Only the last part of a name counts: nothing is ever written under it.
            # Some tools of Windows separate by backslashes.
            return {
                PurePosixPath(entry.filename.replace("\\", "/")).name: archive.read(entry)
                for entry in entries
            }
    except InvalidDataError:
        raise
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        lzma.LZMAError,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise InvalidDataError([f"{filename}: the archive is damaged ({error})"]) from error
