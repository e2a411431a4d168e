"""Export and import: one analysis with its visualization states, outside the store.

Every format carries the same content:

    {"export_metadata": {"format", "format_version", "exported_at"},
     "analysis_results": <the loaded structure>,
     "visualization_states": [<loaded state>, ...]}
"""

from __future__ import annotations

import io
import json
import lzma
import pickle
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence import codec, csv_folder, safe_pickle
from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    flush_file,
    flush_folder,
    rename_folder,
    replacing,
    storage_errors,
)
from concept_fragmentation.persistence.csv_folder import unique
from concept_fragmentation.persistence.errors import StorageError, UnsupportedFormatError

FORMATS: Final = ("json", "csv", "pickle")

_SUFFIXES: Final = {"json": ".json", "csv": "_csv", "pickle": ".pkl"}
_JSON_FORMAT: Final = "concept_fragmentation json export"
# What a file may hold, and what an archive may unpack to: 256 MiB, and 100 times its own size.
_MAX_BYTES: Final = 4 * 2**30
_UNPACKED_BYTES: Final = 256 * 2**20
_MOST_EXPANSION: Final = 100

Content = dict[str, Any]


def check_format(export_format: object) -> str:
    """Return the format if there is such a one; UnsupportedFormatError names those there are."""
    if export_format not in FORMATS:
        raise UnsupportedFormatError(
            f"Unsupported export format {export_format!r}; choose one of {', '.join(FORMATS)}."
        )
    return str(export_format)


def default_name(folder: str, version: int, export_format: str) -> str:
    """The name of an export that was given no path."""
    return f"{folder}_v{version}{_SUFFIXES[export_format]}"


def write(content: Content, export_format: str, target: Path) -> None:
    """Write an export to `target`; what stood there is replaced in one step."""
    with storage_errors("write", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if export_format == "csv":
            _write_folder(partial(csv_folder.write, content), target)
            return
        if target.is_dir():
            raise StorageError(f"Could not write {str(target)!r}: a folder has that name.")
        data = _to_json(content) if export_format == "json" else pickle.dumps(content, protocol=4)
        with replacing(target) as temporary:
            temporary.write_bytes(data)


def pack(path: Path) -> tuple[str, bytes]:
    """An export as one file to hand out: its name and its bytes, a folder zipped."""
    with storage_errors("read", path):
        if not path.is_dir():
            return path.name, path.read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path.iterdir()):
                # Arrays hardly get smaller with more effort, which takes many times as long.
                level = 1 if file.name == csv_folder.ARRAYS else None
                archive.write(file, f"{path.name}/{file.name}", compresslevel=level)
        return f"{path.name}.zip", packed.getvalue()


def read(path: Path) -> Content:
    """The content of an exported file or folder, or of a file that an older tool wrote.

    Raises:
        InvalidDataError: it holds no analysis, or is damaged.
        StorageError: it can't be read.
    """
    with storage_errors("read", path):
        if path.is_dir():
            # A link could name anything on this machine.
            files = [file for file in path.iterdir() if file.is_file() and not file.is_symlink()]
            _check_size(path.name, sum(file.stat().st_size for file in files))
            return csv_folder.read({file.name: file.read_bytes() for file in files})
        if path.exists() and not path.is_file():
            raise InvalidDataError([f"{path.name}: it is neither a file nor a folder"])
        _check_size(path.name, path.stat().st_size)
        return read_bytes(path.name, path.read_bytes())


def _check_size(filename: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise InvalidDataError([f"{filename}: it holds more than {_MAX_BYTES // 2**30} GiB"])


def read_bytes(filename: str, data: bytes) -> Content:
    """The content of an exported file that is at hand as bytes; its name is only said, not read."""
    if data[:4] == b"PK\x03\x04":
        return csv_folder.read(_unzipped(filename, data))
    if filename.lower().endswith(".csv"):
        raise InvalidDataError(
            [f"{filename}: it is one table of a CSV export; give the whole folder, or it zipped"]
        )
    # A pickle begins with its protocol, since the second one, and always ends in a full stop; no
    # JSON does either.
    is_pickle = data[:1] == b"\x80" or data[-1:] == b"."
    parse: Callable[[bytes], Any] = safe_pickle.loads if is_pickle else _parse_json
    try:
        return _as_content(filename, parse(data))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(
            [
                f"{filename}: it is neither a JSON, CSV or pickle export nor a JSON analysis "
                f"({error})"
            ]
        ) from error


def _to_json(content: Content) -> bytes:
    head = {"format": _JSON_FORMAT, "format_version": 1}
    encoded = {
        "export_metadata": head | codec.encode(content["export_metadata"]),
        "analysis_results": codec.encode(content["analysis_results"], "analysis_results"),
        "visualization_states": codec.encode(content["visualization_states"]),
    }
    return msgspec.json.format(msgspec.json.encode(encoded), indent=1)


def _parse_json(data: bytes) -> Any:
    # The standard library's parser: other tools write NaN and lone surrogates as it does.
    parsed = json.loads(data, object_pairs_hook=unique)
    head = parsed.get("export_metadata") if isinstance(parsed, dict) else None
    if isinstance(head, dict) and head.get("format") == _JSON_FORMAT:
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


def _unzipped(filename: str, data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            limit = min(_UNPACKED_BYTES + _MOST_EXPANSION * len(data), _MAX_BYTES)
            if sum(entry.file_size for entry in entries) > limit:
                raise InvalidDataError(
                    [f"{filename}: it unpacks to more than {limit // 2**20} MiB"]
                )
            # Only the last part of a name counts: nothing is ever written under it.
            # Some tools of Windows separate by backslashes.
            return {
                PurePosixPath(entry.filename.replace("\\", "/")).name: archive.read(entry)
                for entry in entries
            }
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


def _write_folder(fill: Callable[[Path], object], target: Path) -> None:
    if (
        target.exists()
        and not (target / csv_folder.MANIFEST).is_file()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        raise StorageError(
            f"Could not write {str(target)!r}: something else has that name; choose another path."
        )
    temporary = target.with_name(f"{TEMPORARY_PREFIX}-{secrets.token_hex(6)}")
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        temporary.mkdir()
        fill(temporary)
        for file in temporary.iterdir():
            flush_file(file)
        flush_folder(temporary)
        if target.exists():
            rename_folder(target, old)
        try:
            rename_folder(temporary, target)
            flush_folder(target.parent)
        except OSError:
            if old.exists():
                shutil.rmtree(target, ignore_errors=True)
                rename_folder(old, target)
            raise
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)
