"""A reader made from docs/format.md alone: json, safetensors and Zstandard, nothing of ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from blake3 import blake3
from safetensors.numpy import load as load_safetensors

from concept_fragmentation.analysis import with_token_paths
from concept_fragmentation.persistence import GPT2AnalysisPersistence

ROOT = Path(__file__).resolve().parents[2]
FORMAT_1 = Path(__file__).parent / "data" / "format_1"
KNOWN = 2


def read_document(path: Path) -> dict[str, Any]:
    first, rest = path.read_bytes().split(b"\n", 1)
    assert first == b'{"checksum": "blake3:%s",' % blake3(rest).hexdigest().encode()
    document: dict[str, Any] = json.loads(b"{" + rest)
    assert document["format_version"] <= KNOWN
    return document


def read_version(store: Path, folder: str, version: int) -> dict[str, Any]:
    path = store / "analysis_results" / folder / f"v{version:06d}.json"
    document = read_document(path)
    tensors = read_tensors(path.parent, document["tensors"])
    found = {
        "metadata": decode(document["metadata"], tensors),
        "analysis_data": decode(document["analysis_data"], tensors),
        "model_info": document["model_info"],
    }
    card = store / "metadata" / f"{folder}.json"
    if card.exists() and version <= (labels := read_document(card))["after_version"]:
        found["metadata"] |= {key: labels[key] for key in ("name", "tags", "notes")}
    return found


def read_tensors(folder: Path, section: dict[str, Any] | None) -> dict[str, Any]:
    if section is None:
        return {}
    if "files" not in section:
        return load_safetensors((folder / section["file"]).read_bytes())
    opened = {}
    for name, described in section["files"].items():
        path = folder / f"{name}.safetensors"
        if path.exists():
            data = path.read_bytes()
        else:
            with path.with_name(f"{path.name}.zst").open("rb") as packed:
                reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
                data = reader.read()
        start = 8 + int.from_bytes(data[:8], "little")
        assert blake3(data[:start]).hexdigest() == described["header"]
        assert len(data) - start == described["size"]
        step = section["chunk_bytes"]
        chunks = [data[i : i + step] for i in range(start, len(data), step)]
        assert [blake3(chunk).hexdigest() for chunk in chunks] == described["chunks"]
        opened[name] = load_safetensors(data)
    return {name: opened[at["file"]][at["name"]] for name, at in section["arrays"].items()}


def decode(value: Any, tensors: dict[str, Any]) -> Any:  # noqa: PLR0911, PLR0912 - one line a row
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items() if len(value) == 1 else ((None, None),)
    match tag:
        case "$float":
            if body.startswith("bits:"):
                return float(np.frombuffer(bytes.fromhex(body[5:]), ">f8")[0])
            return float(body)
        case "$int":
            return int(body, 16)
        case "$str":
            return base64.b64decode(body).decode("utf-8", "surrogatepass")
        case "$bytes":
            return base64.b64decode(body)
        case "$bytearray":
            return bytearray(base64.b64decode(body))
        case "$complex":
            return complex(*decode(body, tensors))
        case "$tuple":
            return tuple(decode(body, tensors))
        case "$set":
            return set(decode(body, tensors))
        case "$frozenset":
            return frozenset(decode(body, tensors))
        case "$dict":
            return {decode(key, tensors): decode(item, tensors) for key, item in body}
        case "$scalar":
            return np.frombuffer(base64.b64decode(body["base64"]), body["dtype"])[0]
        case "$array":
            if "tensor" in body:
                data = tensors[body["tensor"]].tobytes()
            else:
                data = base64.b64decode(body["base64"])
            return np.frombuffer(data, body["dtype"]).reshape(body["shape"])
        case "$list":
            tensor = tensors[body["tensor"]]
            return json.loads(tensor.tobytes()) if body["type"] == "json" else tensor.tolist()
        case "$table":
            columns = {name: decode(column, tensors) for name, column in body["columns"].items()}
            rows = zip(*columns.values(), strict=True)
            records = [dict(zip(columns, row, strict=True)) for row in rows]
            if "index" in body:
                return dict(zip(decode(body["index"], tensors), records, strict=True))
            return records
    return {key: decode(item, tensors) for key, item in value.items()}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.slow
def test_a_stranger_reads_what_we_write(
    tmp_path: Path,
    analysis: dict[str, Any],
    real_analysis: dict[str, Any],
    compress: bool,
    same: Callable[[Any, Any], bool],
) -> None:
    store = GPT2AnalysisPersistence(tmp_path)
    own = {"big": 10**30, "set": {1, 2}, "nan": float("nan"), "bytes": b"\0\xff", "z": 1 + 2j}
    arrays = {"large": np.arange(300_000.0), "swapped": np.arange(9, dtype=">i4"), "empty": []}
    small = {**analysis, **arrays, "own": own}
    store.save_analysis_results(small, "gpt2", "text", "small", {"own": (1, 2)}, compress=compress)
    store.save_analysis_results(small, "gpt2", "text", "small", name="second", compress=compress)
    store.update_analysis("small", notes="later")
    store.save_analysis_results(
        with_token_paths(real_analysis), "gpt2", "", "real", compress=compress
    )
    marker = json.loads((tmp_path / "store.json").read_text())
    assert marker == {"format": "concept_fragmentation store", "format_version": KNOWN}
    for folder, version in (("small", 1), ("small", 2), ("real", 1)):
        loaded = store.load_analysis_results(folder, version)
        assert same(read_version(tmp_path, folder, version), dict(loaded))


def test_a_stranger_reads_format_1(tmp_path: Path, same: Callable[[Any, Any], bool]) -> None:
    here = GPT2AnalysisPersistence(tmp_path)
    here.import_store(FORMAT_1)
    for version in (1, 2):
        loaded = here.load_analysis_results("small", version)
        assert same(read_version(FORMAT_1, "small", version), dict(loaded))
        assert same(read_version(tmp_path, "small", version), dict(loaded))


def test_the_reader_uses_nothing_of_ours() -> None:
    source = Path(__file__).read_text().split("@pytest.mark")[0]
    imports = [line for line in source.splitlines() if "concept_fragmentation." in line]
    assert {line.split()[-1] for line in imports} == {"with_token_paths", "GPT2AnalysisPersistence"}
    reader = source[source.index("def read_document") :]
    assert "GPT2AnalysisPersistence" not in reader
    assert "with_token_paths" not in reader


def test_the_page_is_one_page() -> None:
    text = (ROOT / "docs" / "format.md").read_text()
    assert len(text.splitlines()) < 100
    for tag in ("$table", "$list", "chunk_bytes", "0x184D2A50"):
        assert tag in text
