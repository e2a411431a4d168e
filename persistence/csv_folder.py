"""An analysis as a folder of CSV files that a spreadsheet opens and that comes back unchanged.

`manifest.json` holds everything, encoded as `codec` describes, except long columns: those stand in
the CSV files, and the manifest refers to them with

    {"$csv": {"file", "column", "type"}}                                    one list
    {"$csv": {"file", "index", "columns": {name: column or [columns]}}}     a dict of records
    {"$csv": {"file", "array": {"dtype", "shape"}}}                         heads x queries x keys

What is small (metrics of a layer, attention entropy) stands in the manifest and is repeated in CSV
files for reading only; the manifest's `files` says which is which.

Text cells are escaped as `analysis.cells` describes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import compute_token_paths
from concept_fragmentation.analysis.cells import escape_cell, unescape_cell
from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.persistence import codec
from concept_fragmentation.persistence.flatten import scalars

MANIFEST: Final = "manifest.json"
FORMAT: Final = "concept_fragmentation csv export"

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}\.csv")


Files = dict[str, bytes]


def write(content: Mapping[str, Any]) -> Files:
    """The files of an export: `{"analysis_results", "export_metadata", "visualization_states"}`."""
    return _Writer(content).files()


def read(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The content that `write` was given.

    Raises:
        InvalidDataError: a file is missing or is not what the manifest says; it is named.
    """
    return _Reader(files).content()


class _Writer:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._data: dict[str, Any] = content["analysis_results"]["analysis_data"]
        layers = self._data.get("layers")
        self._layers: list[str] = list(layers) if isinstance(layers, list | tuple) else []
        self._files: Files = {}
        self._notes: dict[str, str] = {}

    def files(self) -> Files:
        data = codec.encode(self._data, "analysis_data")
        for part in (self._tokens, self._token_paths, self._cluster_labels, self._attention):
            part(data)
        self._metrics()
        manifest = {
            "format": FORMAT,
            "format_version": 1,
            "files": self._notes,
            "export_metadata": codec.encode(self._content["export_metadata"]),
            "analysis_results": {
                "metadata": codec.encode(self._content["analysis_results"]["metadata"]),
                "model_info": codec.encode(self._content["analysis_results"]["model_info"]),
                "analysis_data": data,
            },
            "visualization_states": codec.encode(self._content["visualization_states"]),
        }
        self._files[MANIFEST] = json.dumps(manifest, indent=1).encode()
        return self._files

    def _tokens(self, data: dict[str, Any]) -> None:
        """tokens.csv: one row a token, one column for each list in `token_metadata`."""
        metadata = self._data.get("token_metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("tokens"), list):
            return
        length = len(metadata["tokens"])
        columns: dict[str, list[str]] = {}
        for name, values in metadata.items():
            if isinstance(values, list) and len(values) == length:
                cells = _cells(values)
                if cells is not None:
                    kind, columns[name] = cells
                    data["token_metadata"][name] = _reference("tokens.csv", name, kind)
        self._write("tokens.csv", columns, "read back")

    def _token_paths(self, data: dict[str, Any]) -> None:
        """token_paths.csv: one row a token, one column a layer."""
        paths, note = self._data.get("token_paths"), "read back"
        if not paths:
            try:
                paths, note = compute_token_paths(dict(self._data)), "for reading: computed"
            except ConceptFragmentationError:
                return
        columns: dict[str, list[str]] = {"key": [escape_cell(key) for key in paths]}
        structure: dict[str, Any] = {}
        records = list(paths.values())
        names = list(records[0]) if records else []
        exact = all(isinstance(key, str) for key in paths) and all(
            list(r) == names for r in records
        )
        for name in names:
            values = [record.get(name) for record in records]
            described = self._path_column(name, values, columns)
            exact = exact and described is not None
            structure[name] = described
        if note == "read back":
            if exact:
                data["token_paths"] = {
                    "$csv": {"file": "token_paths.csv", "index": "key", "columns": structure}
                }
            else:
                note = "for reading: the manifest has more"
        self._write("token_paths.csv", columns, note)

    def _path_column(
        self, name: str, values: list[Any], columns: dict[str, list[str]]
    ) -> dict[str, Any] | None:
        if (cells := _cells(values)) is not None:
            columns[name] = cells[1]
            return {"column": name, "type": cells[0]}
        if not all(type(value) is list for value in values):
            return None
        lengths = set(map(len, values))
        if len(lengths) != 1:
            return None
        (length,) = lengths
        names = self._layers if length == len(self._layers) else [str(i) for i in range(length)]
        # The path itself has the layers' own names; another list's columns say which list.
        titles = names if name == "cluster_path" else [f"{name}.{layer}" for layer in names]
        parts = [_cells([value[i] for value in values]) for i in range(length)]
        if not parts or any(part is None for part in parts) or set(titles) & set(columns):
            return None
        columns |= {title: part[1] for title, part in zip(titles, parts, strict=True) if part}
        kinds = [part[0] for part in parts if part]
        return {"columns": titles, "types": kinds}

    def _cluster_labels(self, data: dict[str, Any]) -> None:
        """cluster_labels.csv: one row a token, one column a layer."""
        labels = self._data.get("cluster_labels")
        if not isinstance(labels, dict) or len({len(v) for v in labels.values()}) != 1:
            return
        columns: dict[str, list[str]] = {}
        for layer in [name for name in self._layers if name in labels]:
            values = labels[layer]
            if type(values) is list and (cells := _cells(values)) is not None:
                columns[layer] = cells[1]
                data["cluster_labels"][layer] = _reference("cluster_labels.csv", layer, cells[0])
            else:
                columns[layer] = [str(int(value)) for value in values]
        self._write("cluster_labels.csv", columns, "read back")

    def _attention(self, data: dict[str, Any]) -> None:
        """One file a layer with attention weights: a row for each head and query."""
        attention = self._data.get("attention_data")
        if not isinstance(attention, dict):
            return
        for layer, values in attention.items():
            if not isinstance(values, dict):
                continue
            weights = values.get("attention_probs")
            array = np.asarray(weights) if isinstance(weights, np.ndarray | list) else None
            if array is None or array.ndim != 3 or array.dtype.kind != "f":
                continue
            name = self._layer_file("attention", layer)
            note = "for reading: the manifest has more"
            if isinstance(weights, np.ndarray) and weights.dtype.str in ("<f2", "<f4", "<f8"):
                note = "read back"
                shape = {"dtype": weights.dtype.str, "shape": list(weights.shape)}
                data["attention_data"][layer]["attention_probs"] = {
                    "$csv": {"file": name, "array": shape}
                }
            self._files[name] = _attention_csv(array)
            self._notes[name] = note

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
            names = list(dict.fromkeys(name for row in rows.values() for name in row))
            columns = {"layer": [escape_cell(str(layer)) for layer in rows]}
            for name in names:
                columns[name] = [
                    escape_cell(str(row[name]))
                    if isinstance(row.get(name), str)
                    else str(row.get(name, ""))
                    for row in rows.values()
                ]
            self._write(file, columns, "for reading: the manifest has it")

    def _layer_file(self, kind: str, layer: str) -> str:
        plain = f"{kind}_{layer}.csv"
        if _FILE_NAME.fullmatch(plain) and plain not in self._files:
            return plain
        return f"{kind}_layer-{len(self._files)}.csv"

    def _write(self, file: str, columns: Mapping[str, Sequence[str]], note: str) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([escape_cell(name) for name in columns])
        writer.writerows(zip(*columns.values(), strict=True))
        self._files[file] = text.getvalue().encode("utf-8", "surrogatepass")
        self._notes[file] = note


def _reference(file: str, column: str, kind: str) -> dict[str, Any]:
    return {"$csv": {"file": file, "column": column, "type": kind}}


def _cells(values: list[Any]) -> tuple[str, list[str]] | None:
    """The type and the cells of a column; None if a CSV file can't hold it exactly."""
    kinds = set(map(type, values))
    if kinds == {str}:
        if all(map(_is_plain_text, values)):
            return "text", [escape_cell(value) for value in values]
        literals = [json.dumps(value) for value in values]
        return ("json", literals) if [json.loads(cell) for cell in literals] == values else None
    if kinds == {type(None)}:
        return "none", [""] * len(values)
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if kinds <= {kind, type(None)} and kind in kinds:
            if kind is int and any(v is not None and abs(v) >= 2**63 for v in values):
                return None
            return name, ["" if value is None else repr(value) for value in values]
    return None


def _is_plain_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and "\r" not in text


def _parsers() -> dict[str, Callable[[str], Any]]:
    def optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
        return lambda cell: parse(cell) if cell else None

    truths = {"True": True, "False": False}
    return {
        "text": unescape_cell,
        "json": json.loads,
        "none": lambda _cell: None,
        "int": optional(int),
        "float": optional(float),
        "bool": optional(truths.__getitem__),
    }


def _attention_csv(array: npt.NDArray[Any]) -> bytes:
    heads, queries, keys = array.shape
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["head", "query", *(f"key_{key}" for key in range(keys))])
    for head in range(heads):
        rows = array[head].astype(np.float64).tolist()
        writer.writerows([head, query, *rows[query]] for query in range(queries))
    return text.getvalue().encode()


class _Reader:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._tables: dict[str, tuple[list[str], list[list[str]]]] = {}
        self._parsers = _parsers()

    def content(self) -> dict[str, Any]:
        if MANIFEST not in self._files:
            raise InvalidDataError(
                [f"{MANIFEST}: not in the folder, so it is no CSV export of ours"]
            )
        try:
            manifest = json.loads(self._files[MANIFEST], object_pairs_hook=unique)
            if manifest["format"] != FORMAT or manifest["format_version"] > 1:
                raise InvalidDataError([f"{MANIFEST}: it is no CSV export that this version reads"])
            results = manifest["analysis_results"]
            return {
                "export_metadata": codec.decode(manifest["export_metadata"]),
                "analysis_results": {
                    "metadata": codec.decode(results["metadata"]),
                    "model_info": codec.decode(results["model_info"]),
                    "analysis_data": codec.decode(self._resolved(results["analysis_data"])),
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

    def _resolved(self, value: Any) -> Any:
        """`value` with every reference to a CSV file replaced by what stands there."""
        if type(value) is list:
            return [self._resolved(item) for item in value] if _has_containers(value) else value
        if type(value) is dict:
            if set(value) == {"$csv"}:
                return self._referred(value["$csv"])
            return {key: self._resolved(item) for key, item in value.items()}
        return value

    def _referred(self, reference: Mapping[str, Any]) -> Any:
        file = reference["file"]
        if "array" in reference:
            return self._array(file, reference["array"])
        if "index" in reference:
            return self._records(file, reference)
        return self._column(file, reference["column"], reference["type"])

    def _records(self, file: str, reference: Mapping[str, Any]) -> dict[str, Any]:
        columns = []
        for described in reference["columns"].values():
            if "columns" in described:
                parts = zip(described["columns"], described["types"], strict=True)
                lists = zip(*(self._column(file, *part) for part in parts), strict=True)
                columns.append([list(row) for row in lists])
            else:
                columns.append(self._column(file, described["column"], described["type"]))
        names = list(reference["columns"])
        keys = self._column(file, reference["index"], "text")
        records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        return {"$dict": [[key, record] for key, record in zip(keys, records, strict=True)]}

    def _column(self, file: str, name: str, kind: str) -> list[Any]:
        titles, rows = self._table(file)
        if name not in titles:
            raise InvalidDataError([f"{file}: it has no column {name!r}"])
        position, parse = titles.index(name), self._parsers[kind]
        values = []
        for line, row in enumerate(rows, start=2):
            try:
                values.append(parse(row[position]))
            except (ValueError, LookupError) as error:
                cell = row[position] if position < len(row) else ""
                problem = f"{file}: row {line}, column {name!r}: {cell!r} is no {kind}"
                raise InvalidDataError([problem]) from error
        return values

    def _array(self, file: str, described: Mapping[str, Any]) -> Any:
        _, rows = self._table(file)
        dtype, shape = np.dtype(described["dtype"]), described["shape"]
        if dtype.kind != "f" or math.prod(shape) != sum(len(row) - 2 for row in rows):
            raise InvalidDataError([f"{file}: it does not hold {shape} weights"])
        try:
            values = np.array([row[2:] for row in rows], dtype=np.float64)
        except ValueError as error:
            raise InvalidDataError([f"{file}: {error}"]) from error
        return values.astype(dtype).reshape(shape)

    def _table(self, file: str) -> tuple[list[str], list[list[str]]]:
        if file not in self._tables:
            if not _FILE_NAME.fullmatch(file) or file not in self._files:
                raise InvalidDataError([f"{file}: the manifest names it, but it is not there"])
            text = self._files[file].decode("utf-8-sig", "surrogatepass")
            try:
                titles, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
            except (csv.Error, ValueError) as error:
                raise InvalidDataError([f"{file}: {error}"]) from error
            self._tables[file] = ([unescape_cell(title) for title in titles], rows)
        return self._tables[file]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for `json.loads`; ValueError if a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _has_containers(values: list[Any]) -> bool:
    return not {list, dict}.isdisjoint(map(type, values))
