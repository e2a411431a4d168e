"""Exports: listed, handed out in chunks, deleted."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.persistence import GPT2AnalysisPersistence, NotFoundError
from concept_fragmentation.persistence.exports import Exports, ExportsFullError


@pytest.fixture
def exported(store: GPT2AnalysisPersistence, analysis: dict[str, Any]) -> list[Path]:
    store.save_analysis_results(analysis, "gpt2", "text", "mine")
    return [Path(store.export_analysis("mine", kind)) for kind in ("json", "csv", "pickle")]


def test_an_export_is_listed_with_its_size(
    store: GPT2AnalysisPersistence, exported: list[Path]
) -> None:
    sizes = {entry.name: entry.size_bytes for entry in store.exports.entries()}
    json_file, folder, pickle_file = exported
    assert sizes == {
        json_file.name: json_file.stat().st_size,
        pickle_file.name: pickle_file.stat().st_size,
        folder.name: sum(file.stat().st_size for file in folder.iterdir()),
    }


def test_a_full_folder_of_exports_says_what_to_delete(exported: list[Path]) -> None:
    folder = exported[0].parent
    total = sum(entry.size_bytes for entry in Exports(folder).entries())
    Exports(folder, most_bytes=total + 1).check_room()
    with pytest.raises(ExportsFullError, match=r"delete some in the list of exports\.$"):
        Exports(folder, most_bytes=total).check_room()


def test_a_file_is_handed_out_as_it_is_and_a_folder_as_a_zip_that_imports(
    store: GPT2AnalysisPersistence, exported: list[Path], tmp_path: Path
) -> None:
    json_file, folder, _ = exported
    name, chunks = store.exports.stream(json_file.name)
    assert (name, b"".join(chunks)) == (json_file.name, json_file.read_bytes())
    name, chunks = store.exports.stream(folder.name)
    packed = b"".join(chunks)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        inside = {entry: archive.read(entry) for entry in archive.namelist()}
    assert inside == {f"{folder.name}/{f.name}": f.read_bytes() for f in folder.iterdir()}
    other = GPT2AnalysisPersistence(tmp_path / "other")
    copy_id = other.import_bytes(name, packed)
    loaded = store.load_analysis_results("mine")["analysis_data"]
    assert repr(other.load_analysis_results(copy_id)["analysis_data"]) == repr(loaded)


def test_a_large_export_is_never_held_whole(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "arrays.safetensors").write_bytes(bytes(range(256)) * 2**17)  # 32 MiB
    tracemalloc.start()
    chunks = sum(1 for _ in Exports(tmp_path).stream("large")[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chunks > 32
    assert peak < 2**23


def test_a_deleted_export_is_gone_and_the_analysis_stays(
    store: GPT2AnalysisPersistence, exported: list[Path]
) -> None:
    for path in exported:
        store.exports.delete(path.name)
    assert store.exports.entries() == []
    assert not any(path.exists() for path in exported)
    assert store.load_analysis_results("mine")
    with pytest.raises(NotFoundError, match="Export not found"):
        store.exports.delete(exported[0].name)


@pytest.mark.parametrize("name", ["../metadata", "..", ".", "", "/etc/passwd", "\0", "x" * 5000])
def test_no_name_leads_out_of_the_folder(store: GPT2AnalysisPersistence, name: str) -> None:
    with pytest.raises(NotFoundError):
        store.exports.stream(name)
    with pytest.raises(NotFoundError):
        store.exports.delete(name)


def test_a_link_in_an_export_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "exports" / "mine"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    packed = b"".join(Exports(tmp_path / "exports").stream("mine")[1])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == []
