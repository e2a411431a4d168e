"""Make hostile files, one of each kind and format: small, and costly to whom trusts them.

`python -m tests.persistence.hostile_files FOLDER` writes them for a look.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from blake3 import blake3

START = b"\x80\x04"
MEBIBYTE = 2**20
JSON_HEAD = {"format": "concept_fragmentation json export", "format_version": 1}


def _bytes(count: int) -> bytes:
    return b"B" + struct.pack("<I", count) + b"x" * count


def _calls(function: str, argument: bytes, count: int) -> bytes:
    """A pickle that calls one function `count` times on one argument that it remembers."""
    module, name = function.rsplit(".", 1)
    head = f"c{module}\n{name}\n".encode() + b"\x94" + argument + b"\x94" + b"00"
    return START + head + b"](" + b"h\0h\1R" * count + b"e."


def _number_list(count: int) -> bytes:
    return b"](" + b"K\1" * count + b"e"


def _array_calls(count: int) -> bytes:
    """`count` arrays built from one text of 1 MiB."""
    dtype = b"cnumpy\ndtype\nX\2\0\0\0u1\x85R\x94"
    head = b"cnumpy.core.numeric\n_frombuffer\n\x94" + dtype + _bytes(MEBIBYTE) + b"\x94000"
    shape = b"J" + struct.pack("<i", MEBIBYTE) + b"\x85"
    return START + head + b"](" + (b"h\0(h\2h\1" + shape + b"U\1CtR") * count + b"e."


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def _csv(data: Any, tables: dict[str, bytes], arrays: bytes | None = None) -> bytes:
    return _zip(csv_files(data, tables, arrays))


def csv_files(data: Any, tables: dict[str, bytes], arrays: bytes | None = None) -> dict[str, bytes]:
    """Return the files of a CSV export whose manifest says what it likes."""
    described = None
    files = dict(tables)
    if arrays is not None:
        files["arrays.safetensors"] = arrays
        described = {"file": "arrays.safetensors", "size": len(arrays)}
        described["blake3"] = blake3(arrays).hexdigest()
    manifest = {
        "format": "concept_fragmentation csv export",
        "format_version": 2,
        "files": {},
        "tables": {name: {"rows": 0, "order": "row"} for name in tables},
        "arrays": described,
        "export_metadata": {},
        "analysis_results": {"metadata": {}, "model_info": {}, "analysis_data": data},
        "visualization_states": [],
    }
    return {"manifest.json": json.dumps(manifest).encode()} | files


def _one_column_often() -> bytes:
    column = {"$csv": {"file": "t.csv", "column": "a", "type": "text"}}
    return _csv({"layers": [column] * 50}, {"t.csv": b"a\n" + b"x\n" * 1_000_000})


def _records_often() -> bytes:
    columns = {str(i): {"column": "a", "type": "text"} for i in range(30)}
    records = {"$csv": {"file": "t.csv", "index": "a", "columns": columns}}
    return _csv({"layers": [records] * 5}, {"t.csv": b"a\n" + b"x\n" * 240_000})


def _array_often(kind: str) -> bytes:
    arrays = safetensors.numpy.save({"a": np.zeros(MEBIBYTE, np.int8)})
    one = {"tensor": "a", "type": "int", "dtype": "|i1", "shape": [MEBIBYTE]}
    return _csv({"layers": [{kind: one}] * 2000}, {}, arrays)


def _wide_csv() -> bytes:
    count = 100_000
    row = ",".join(map(str, range(count)))
    columns = {
        str(i): {"$csv": {"file": "t.csv", "column": str(i), "type": "int"}} for i in range(count)
    }
    return _csv({"layers": columns}, {"t.csv": f"{row}\n{row}\n".encode()})


def _missing_column() -> bytes:
    row = ",".join("a" * 60 + str(i) for i in range(100_000))
    column = {"$csv": {"file": "t.csv", "column": "a" * 20_000 + "b", "type": "int"}}
    return _csv({"layers": column}, {"t.csv": f"{row}\n{row}\n".encode()})


def _many_rows() -> bytes:
    column = {"$csv": {"file": "t.csv", "column": "a", "type": "text"}}
    return _csv({"layers": column}, {"t.csv": b"a\n" + b"1\n" * 30_000_000})


def _many_entries() -> bytes:
    return _zip({f"{i}.csv": b"" for i in range(20_000)})


def _understated_zip() -> bytes:
    """A zip that says of a file of 200 MiB that it has ten bytes."""
    data = bytearray(_zip({"manifest.json": b" " * (200 * MEBIBYTE)}))
    declared = struct.pack("<I", 200 * MEBIBYTE)
    return bytes(data.replace(declared, struct.pack("<I", 10)))


def _overlapping_zip() -> bytes:
    """A zip whose 900 entries are all the same 10 MiB."""
    content = b" " * (10 * MEBIBYTE)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    sizes = struct.pack("<III", zlib.crc32(content), len(packed), len(content))
    body = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", 1, 0)
    body += b"a" + packed
    entry = b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = entry * 900
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 900, 900, len(listed), len(body), 0)
    return body + listed + end


def _key_twice(count: int) -> bytes:
    pairs = [f'"{i}": 0' for i in range(count)]
    return ("{" + ", ".join([*pairs, pairs[-1]]) + "}").encode()


def _json_export(data: Any) -> bytes:
    return json.dumps({"export_metadata": JSON_HEAD, "analysis_results": data}).encode()


def _colliding_keys(count: int) -> bytes:
    """Numbers that all have one hash."""
    modulus = (1 << 61) - 1
    return (
        pickle.dumps({"layers": {}}, 4)[:-1]
        + b"0}("
        + b"".join(
            b"\x8a\x0a" + (i * modulus).to_bytes(10, "little") + b"N" for i in range(1, count)
        )
        + b"u."
    )


def _colliding_pairs(count: int) -> bytes:
    """Pairs of small numbers that all have one hash: Python's hash of a tuple turned around."""
    word = 1 << 64
    first, second, start = 11400714785074694791, 14029467366897019727, 2870177450012600261
    back = pow(second, -1, word)
    pairs = []
    number = 0
    while len(pairs) < count:
        number += 1
        mixed = (start + number * second) % word
        mixed = ((mixed << 31 | mixed >> 33) % word) * first
        other = (-mixed * back) % word
        if other < (1 << 61) - 1:
            pairs.append((number, other))
    assert len(set(map(hash, pairs))) == 1
    items = b"".join(
        b"J" + a.to_bytes(4, "little") + b"\x8a\x08" + b.to_bytes(8, "little") + b"\x86N"
        for a, b in pairs
    )
    return pickle.dumps({"layers": {}}, 4)[:-1] + b"0}(" + items + b"u."


KINDS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "deep tuple as a key": lambda: (
        "x.pkl",
        START + b"}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
    ),
    "deep list": lambda: ("x.pkl", START + b"]" * 500_000 + b"a" * 499_999 + b"."),
    "deep dict": lambda: ("x.pkl", START + b"}N" * 300_000 + b"}" + b"s" * 300_000 + b"."),
    "shared tuples as a key": lambda: ("x.pkl", START + b"})" + b"2\x86" * 31 + b"Ns."),
    "shared tuples in a frozenset": lambda: (
        "x.pkl",
        START + b"()" + b"2\x86" * 31 + b"\x91.",
    ),
    "shared tuples in a set": lambda: ("x.pkl", START + b"\x8f()" + b"2\x86" * 31 + b"\x90."),
    "shared tuples by numbers that were skipped": lambda: (
        "x.pkl",
        START + b"]q\x05)" + b"\x94h\x010h\x01h\x01\x86" * 40 + b"Ns.",
    ),
    "shared lists": lambda: ("x.pkl", START + b"](Ne" + b"2\x86" * 40 + b"."),
    "bytearrays of one text": lambda: (
        "x.pkl",
        _calls("builtins.bytearray", _bytes(MEBIBYTE) + b"\x85", 1500),
    ),
    "texts encoded over and over": lambda: (
        "x.pkl",
        _calls(
            "_codecs.encode",
            b"X" + struct.pack("<I", MEBIBYTE) + b"x" * MEBIBYTE + b"X\6\0\0\0latin1\x86",
            1500,
        ),
    ),
    "sets of one list": lambda: (
        "x.pkl",
        _calls("builtins.set", _number_list(500_000) + b"\x85", 1500),
    ),
    "frozensets of one list": lambda: (
        "x.pkl",
        _calls("builtins.frozenset", _number_list(500_000) + b"\x85", 1500),
    ),
    "arrays of one text": lambda: ("x.pkl", _array_calls(1500)),
    "memo numbers without a pickle": lambda: ("x.pkl", b"r" * (20 * MEBIBYTE) + b"."),
    "a memo beyond the pickle": lambda: ("x.pkl", START + b"]r\xff\xff\xff\x7f."),
    "keys of one hash": lambda: ("x.pkl", _colliding_keys(150_000)),
    "pairs of one hash": lambda: ("x.pkl", _colliding_pairs(40_000)),
    "a dtype of many fields": lambda: (
        "x.pkl",
        START + b"cnumpy\ndtype\nX\x40\x42\x0f\0" + b"f8," * 333_333 + b"f\x85R.",
    ),
    "a text that never ends": lambda: ("x.pkl", START + b"\x8d" + b"\xff" * 7 + b"\0."),
    "a key twice among many": lambda: ("x.json", _key_twice(40_000)),
    "deep JSON": lambda: ("x.json", b'{"layers":' + b"[" * 1_000_000),
    "deep JSON objects": lambda: ("x.json", b'{"a":' * 500_000),
    "a number of many digits": lambda: ("x.json", b'{"layers": ' + b"9" * 1_000_000 + b"}"),
    "a table without columns": lambda: (
        "x.json",
        _json_export({"$table": {"columns": {}, "length": 10**12}}),
    ),
    "an array of more than its bytes": lambda: (
        "x.json",
        _json_export({"$array": {"dtype": "<f8", "shape": [10**12], "base64": ""}}),
    ),
    "many states": lambda: (
        "x.json",
        json.dumps(
            {
                "analysis_results": {"analysis_data": {"layers": []}},
                "visualization_states": [{"config": {}}] * 20_000,
            }
        ).encode(),
    ),
    "states that are none": lambda: (
        "x.json",
        json.dumps(
            {
                "analysis_results": {"analysis_data": {"layers": []}},
                "visualization_states": [7] * 1000,
            }
        ).encode(),
    ),
    "tags that are none": lambda: (
        "x.json",
        json.dumps(
            {
                "metadata": {"tags": [7] * 300_000, "model_name": "g"},
                "analysis_data": {
                    "model_type": "gpt2",
                    "layers": ["a"],
                    "token_metadata": {"tokens": ["a"]},
                },
            }
        ).encode(),
    ),
    "one column often": lambda: ("x.zip", _one_column_often()),
    "records often": lambda: ("x.zip", _records_often()),
    "one array often": lambda: ("x.zip", _array_often("$array")),
    "one list often": lambda: ("x.zip", _array_often("$list")),
    "a hundred thousand columns": lambda: ("x.zip", _wide_csv()),
    "a missing column among many": lambda: ("x.zip", _missing_column()),
    "many rows from few bytes": lambda: ("x.zip", _many_rows()),
    "a zip of spaces": lambda: ("x.zip", _zip({"manifest.json": b" " * (300 * MEBIBYTE)})),
    "a zip of many files": lambda: ("x.zip", _many_entries()),
    "a zip that understates": lambda: ("x.zip", _understated_zip()),
    "a zip whose files overlap": lambda: ("x.zip", _overlapping_zip()),
    "a zip in a zip": lambda: (
        "x.zip",
        _zip({"manifest.json": _zip({"manifest.json": b" " * (60 * MEBIBYTE)})}),
    ),
}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for kind, make in KINDS.items():
        name, data = make()
        (target / f"{kind.replace(' ', '_')}{Path(name).suffix}").write_bytes(data)
