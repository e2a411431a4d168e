"""Export and import: one analysis with its visualization states, outside the store.

Every format carries the same content:

    {"export_metadata": {"format", "format_version", "exported_at"},
     "analysis_results": <the loaded structure>,
     "visualization_states": [<loaded state>, ...]}
"""

from __future__ import annotations

import pickle
import secrets
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence import codec, csv_folder, import_process
from concept_fragmentation.persistence.blobs import (
    TEMPORARY_PREFIX,
    flush_file,
    flush_folder,
    rename_folder,
    replacing,
    storage_errors,
)
from concept_fragmentation.persistence.errors import StorageError, UnsupportedFormatError
from concept_fragmentation.persistence.parsing import JSON_FORMAT

FORMATS: Final = ("json", "csv", "pickle")

_SUFFIXES: Final = {"json": ".json", "csv": "_csv", "pickle": ".pkl"}
_MAX_BYTES: Final = 4 * 2**30

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
            sources = [import_process.Source.of_file(file) for file in files]
            _check_size(path.name, sum(source.size for source in sources))
            return import_process.parse(path.name, sources, is_folder=True)
        if path.exists() and not path.is_file():
            raise InvalidDataError([f"{path.name}: it is neither a file nor a folder"])
        source = import_process.Source.of_file(path)
        _check_size(path.name, source.size)
        return import_process.parse(path.name, [source])


def _check_size(filename: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise InvalidDataError([f"{filename}: it holds more than {_MAX_BYTES // 2**30} GiB"])


def read_bytes(filename: str, data: bytes) -> Content:
    """Return the content of an exported file that is at hand; its name is only said, not read.

    Raises:
        InvalidDataError: it holds no analysis, is damaged, or asks for more than its size allows.
    """
    _check_size(filename, len(data))
    return import_process.parse(filename, [import_process.Source.of_bytes(filename, data)])


def _to_json(content: Content) -> bytes:
    head = {"format": JSON_FORMAT, "format_version": 1}
    encoded = {
        "export_metadata": head | codec.encode(content["export_metadata"]),
        "analysis_results": codec.encode(content["analysis_results"], "analysis_results"),
        "visualization_states": codec.encode(content["visualization_states"]),
    }
    return msgspec.json.format(msgspec.json.encode(encoded), indent=1)


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
