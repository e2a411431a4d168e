"""An analysis as a folder of CSV files that a spreadsheet opens and that comes back unchanged.

`manifest.json` holds everything, encoded as `codec` describes, except

- columns of tokens, paths and labels, which stand in CSV files (see `csv_tables`) and to which the
  manifest refers with

    {"$csv": {"file", "column", "type"}}                                    one list
    {"$csv": {"file", "index", "columns": {name: column or [columns]}}}     a dict of records

  `tables` says of each file how many rows it has and the checksum of each column;
- arrays and long lists of numbers, which stand in `arrays.safetensors`. `arrays` has its size and
  checksum.

What is small (metrics of a layer, attention entropy) stands in the manifest and is repeated in CSV
files for reading only; the manifest's `files` says which is which.

Format 1 had no checksums and escaped only formulas; attention stood in CSV files to which
{"$csv": {"file", "array": {"dtype", "shape"}}} refers. It is still read.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
from blake3 import blake3

from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.persistence import codec, tensors
from concept_fragmentation.persistence.budget import Budget
from concept_fragmentation.persistence.csv_tables import Table, TableWriter, named, render_plain
from concept_fragmentation.persistence.flatten import scalars

MANIFEST: Final = "manifest.json"
ARRAYS: Final = "arrays.safetensors"
FORMAT: Final = "concept_fragmentation csv export"
FORMAT_VERSION: Final = 2

_TOKENS: Final = "tokens.csv"
_PATHS: Final = "token_paths.csv"
_LABELS: Final = "cluster_labels.csv"
_READ_BACK: Final = "read back"
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}\.csv")


def write(content: Mapping[str, Any], folder: Path) -> None:
    """Write the files of an export into an empty folder.

    Args:
        content: `{"analysis_results", "export_metadata", "visualization_states"}`.
        folder: where to.

    Raises:
        OSError, StorageError: the disk refused.
    """
    _Writer(content).write(folder)


def read(files: Mapping[str, bytes], budget: Budget | None = None) -> dict[str, Any]:
    """Return the content that `write` was given.

    Args:
        files: the files by name.
        budget: what reading them may take; by default what their size allows.

    Raises:
        InvalidDataError: a file is missing or is not what was written; it is named.
        OverBudgetError: the files hold more, or refer to the same more often, than they may.
    """
    return _Reader(files, budget or Budget(sum(map(len, files.values())))).content()


class _Writer:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._data: dict[str, Any] = content["analysis_results"]["analysis_data"]
        layers = self._data.get("layers")
        self._layers: list[str] = list(layers) if isinstance(layers, list | tuple) else []
        self._files: dict[str, bytes] = {}
        self._notes: dict[str, str] = {}
        self._tables: dict[str, Any] = {}
        # What stands for a reference while the rest is encoded; nobody else's text begins so.
        self._mark = secrets.token_hex(16)
        self._references: dict[str, dict[str, Any]] = {}

    def write(self, folder: Path) -> None:
        rest = dict(self._data)
        for part in (self._tokens, self._token_paths, self._cluster_labels):
            part(rest)
        self._metrics()
        arrays: dict[str, tensors.Array] = {}
        data = self._with_references(codec.encode(rest, "analysis_data", arrays))
        described = None
        if arrays:
            tensors.write_file(arrays, folder / ARRAYS)
            described = {"file": ARRAYS, "size": (folder / ARRAYS).stat().st_size}
            described["blake3"] = _digest_of_file(folder / ARRAYS)
            self._notes[ARRAYS] = f"{_READ_BACK}: arrays and long lists of numbers"
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "files": self._notes,
            "tables": self._tables,
            "arrays": described,
            "export_metadata": codec.encode(self._content["export_metadata"]),
            "analysis_results": {
                "metadata": codec.encode(self._content["analysis_results"]["metadata"]),
                "model_info": codec.encode(self._content["analysis_results"]["model_info"]),
                "analysis_data": data,
            },
            "visualization_states": codec.encode(self._content["visualization_states"]),
        }
        self._files[MANIFEST] = json.dumps(manifest, indent=1).encode()
        for name, content in self._files.items():
            (folder / name).write_bytes(content)

    def _tokens(self, rest: dict[str, Any]) -> None:
        """tokens.csv: one row a token, one column for each list in `token_metadata`."""
        metadata = self._data.get("token_metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("tokens"), list):
            return
        table = TableWriter(_TOKENS, len(metadata["tokens"]))
        rest["token_metadata"] = dict(metadata)
        for name, values in metadata.items():
            if isinstance(name, str) and type(values) is list:
                kind = table.add(name, values)
                if kind is not None:
                    rest["token_metadata"][name] = self._refer(_column(_TOKENS, name, kind))
        self._add(table, _READ_BACK)

    def _token_paths(self, rest: dict[str, Any]) -> None:
        """token_paths.csv: one row a token, one column a layer."""
        paths, note = self._data.get("token_paths"), _READ_BACK
        if not paths:
            # Computing needs more of the library than reading, which a process of its own does.
            from concept_fragmentation.analysis import compute_token_paths  # noqa: PLC0415

            try:
                paths, note = compute_token_paths(dict(self._data)), "for reading: computed"
            except ConceptFragmentationError:
                return
        records = list(paths.values())
        names = list(records[0]) if records else []
        table = TableWriter(_PATHS, len(records))
        exact = type(paths) is dict and all(
            type(record) is dict and list(record) == names for record in records
        )
        exact = exact and set(map(type, paths)) == {str}
        if table.add("key", list(map(str, paths))) is None:
            return
        structure: dict[str, Any] = {}
        for name in names:
            values = [record.get(name) for record in records]
            described = self._path_column(name, values, table) if isinstance(name, str) else None
            exact = exact and described is not None
            structure[name] = described
        if note == _READ_BACK:
            if exact:
                reference = {"file": _PATHS, "index": "key", "columns": structure}
                rest["token_paths"] = self._refer(reference)
            else:
                note = "for reading: the manifest has more"
        self._add(table, note)

    def _path_column(
        self, name: str, values: list[Any], table: TableWriter
    ) -> dict[str, Any] | None:
        kind = table.add(name, values)
        if kind is not None:
            return {"column": name, "type": kind}
        if not all(type(value) is list for value in values):
            return None
        lengths = set(map(len, values))
        if len(lengths) != 1:
            return None
        (length,) = lengths
        layers = self._layers if length == len(self._layers) else [str(i) for i in range(length)]
        # The path itself has the layers' own names; another list's columns say which list.
        titles = layers if name == "cluster_path" else [f"{name}.{layer}" for layer in layers]
        kinds = [table.add(title, [v[i] for v in values]) for i, title in enumerate(titles)]
        if not kinds or None in kinds:
            return None
        return {"columns": titles, "types": kinds}

    def _cluster_labels(self, rest: dict[str, Any]) -> None:
        """cluster_labels.csv: one row a token, one column a layer."""
        labels = self._data.get("cluster_labels")
        if not isinstance(labels, dict) or len({len(v) for v in labels.values()}) != 1:
            return
        table = TableWriter(_LABELS, len(next(iter(labels.values()))))
        rest["cluster_labels"] = dict(labels)
        for layer in [name for name in self._layers if name in labels]:
            if type(labels[layer]) is not list:
                table.add(layer, [int(value) for value in labels[layer]], is_read_back=False)
            elif (kind := table.add(layer, labels[layer])) is not None:
                rest["cluster_labels"][layer] = self._refer(_column(_LABELS, layer, kind))
        self._add(table, _READ_BACK)

    def _metrics(self) -> None:
        """The small numbers of each layer, for reading."""
        for file, key in (
            ("cluster_metrics.csv", "cluster_metrics"),
            ("attention.csv", "attention_data"),
        ):
            by_layer = self._data.get(key)
            if not isinstance(by_layer, dict) or not by_layer:
                continue
            rows = {layer: dict(scalars(values)) for layer, values in by_layer.items()}
            names = dict.fromkeys(name for row in rows.values() for name in row)
            columns: dict[str, list[Any]] = {"layer": list(map(str, rows))}
            for name in names:
                title = name if name not in columns else f"{name}_"
                columns[title] = [row.get(name) for row in rows.values()]
            self._files[file] = render_plain(columns)
            self._notes[file] = "for reading: the manifest has it"

    def _add(self, table: TableWriter, note: str) -> None:
        if table:
            self._files[table.file] = table.render()
            self._notes[table.file] = note
            self._tables[table.file] = table.describe()

    def _refer(self, reference: dict[str, Any]) -> str:
        name = f"{self._mark}{len(self._references)}"
        self._references[name] = {"$csv": reference}
        return name

    def _with_references(self, encoded: Any) -> Any:
        """Put every reference into its place in the encoded content: they are values of dicts."""
        if type(encoded) is not dict:
            return self._references.get(encoded, encoded) if type(encoded) is str else encoded
        if set(encoded) == {"$dict"}:
            pairs = [[key, self._with_references(item)] for key, item in encoded["$dict"]]
            return {"$dict": pairs}
        return {key: self._with_references(item) for key, item in encoded.items()}


def _column(file: str, column: str, kind: str) -> dict[str, Any]:
    return {"file": file, "column": column, "type": kind}


def _digest_of_file(path: Path) -> str:
    # A large file is mapped, not read into memory.
    return blake3().update_mmap(path).hexdigest()


class _Reader:
    def __init__(self, files: Mapping[str, bytes], budget: Budget) -> None:
        self._files = files
        self._budget = budget
        self._arrays: dict[str, tensors.Array] = {}
        self._taken: set[str] = set()
        self._tables: dict[str, Table] = {}
        self._described: Mapping[str, Any] | None = None

    def content(self) -> dict[str, Any]:
        if MANIFEST not in self._files:
            raise InvalidDataError(
                [f"{MANIFEST}: not in the folder, so it is no CSV export of ours"]
            )
        try:
            manifest = json.loads(self._files[MANIFEST], object_pairs_hook=unique)
            version = manifest["format_version"] if manifest["format"] == FORMAT else None
            if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
                raise InvalidDataError([f"{MANIFEST}: it is no CSV export that this version reads"])
            if version > 1:
                self._described = manifest["tables"]
                self._arrays = self._unpacked(manifest["arrays"])
            results = manifest["analysis_results"]
            data = codec.decode(self._resolved(results["analysis_data"]), self._array)
            return {
                "export_metadata": codec.decode(manifest["export_metadata"]),
                "analysis_results": {
                    "metadata": codec.decode(results["metadata"]),
                    "model_info": codec.decode(results["model_info"]),
                    "analysis_data": data,
                },
                "visualization_states": codec.decode(manifest["visualization_states"]),
            }
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            if isinstance(error, InvalidDataError):
                raise
            raise InvalidDataError([f"{MANIFEST}: {type(error).__name__}: {error}"]) from error

    def _array(self, name: str) -> tensors.Array:
        array = self._arrays[name]
        # Each mention is saved as an array of its own; an export mentions each once.
        if name in self._taken:
            self._budget.spend(bytes=array.nbytes)
        self._taken.add(name)
        return array

    def _unpacked(self, described: Mapping[str, Any] | None) -> dict[str, tensors.Array]:
        if described is None:
            return {}
        file = described["file"]
        if file not in self._files:
            raise named(str(file), self._files)
        data = self._files[file]
        if len(data) != described["size"]:
            raise InvalidDataError(
                [f"{file}: it has {len(data):,} bytes where {described['size']:,} were exported"]
            )
        if blake3(data).hexdigest() != described["blake3"]:
            raise InvalidDataError([f"{file}: it is not what was exported; export again"])
        try:
            return tensors.unpack(data)
        except safetensors.SafetensorError as error:
            raise InvalidDataError([f"{file}: {error}"]) from error

    def _resolved(self, value: Any) -> Any:
        """`value` with every reference to a CSV file replaced by what stands there."""
        if type(value) is list:
            return [self._resolved(item) for item in value] if _has_containers(value) else value
        if type(value) is dict:
            if set(value) == {"$csv"}:
                return self._referred(value["$csv"])
            if set(value) == {"$list"} and "tensor" in value["$list"]:
                # Few bytes can be many numbers, which take more room in a list.
                self._budget.spend(items=self._arrays[value["$list"]["tensor"]].size)
            return {key: self._resolved(item) for key, item in value.items()}
        return value

    def _referred(self, reference: Mapping[str, Any]) -> Any:
        table = self._table(reference["file"])
        if "array" in reference:
            return table.weights(reference["array"])
        if "index" in reference:
            return self._records(table, reference)
        # Plain values of one type, which the codec leaves as they are; lone surrogates too.
        return table.column(reference["column"], reference["type"])

    def _records(self, table: Table, reference: Mapping[str, Any]) -> dict[str, Any]:
        columns = []
        for described in reference["columns"].values():
            if "columns" in described:
                parts = zip(described["columns"], described["types"], strict=True)
                lists = zip(*(table.column(*part) for part in parts), strict=True)
                columns.append([list(row) for row in lists])
            else:
                columns.append(table.column(described["column"], described["type"]))
        names = list(reference["columns"])
        self._budget.spend(containers=table.num_rows)
        # A name such as "$tuple" would mean something to the codec.
        pairs = [
            [[name, value] for name, value in zip(names, row, strict=True)]
            for row in zip(*columns, strict=True)
        ] or [[] for _ in table.column(reference["index"], "text")]
        keys = table.column(reference["index"], "text")
        return {"$dict": [[k, {"$dict": row}] for k, row in zip(keys, pairs, strict=True)]}

    def _table(self, file: str) -> Table:
        if file not in self._tables:
            if not _FILE_NAME.fullmatch(file) or file not in self._files:
                raise named(file, self._files)
            described = None if self._described is None else self._described[file]
            self._tables[file] = Table(file, self._files[file], described, self._budget)
        return self._tables[file]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for `json.loads`; ValueError if a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _has_containers(values: list[Any]) -> bool:
    return not {list, dict}.isdisjoint(map(type, values))
