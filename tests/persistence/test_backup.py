"""A live store is copied as it is at one instant; stores are merged."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from concept_fragmentation.persistence import (
    GPT2AnalysisPersistence,
    InvalidDataError,
    StorageError,
    UnsupportedFormatError,
)

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]
FORMAT_1 = Path(__file__).parent / "data" / "format_1"


@pytest.fixture
def filled(store: Store, analysis: Analysis) -> Store:
    large = np.arange(50_000, dtype=np.float64)
    store.save_analysis_results({**analysis, "large": large}, "gpt2", "one", "mine")
    store.save_analysis_results({**analysis, "large": large, "n": 2}, "gpt2", "two", "mine")
    store.update_analysis("mine", name="a name")
    store.save_visualization_state("mine", {"window": (0, 1)}, "sankey")
    store.save_analysis_results(analysis, "gpt2", "", "other", compress=True)
    store.create_session("a session", ["mine", "other"])
    return store


def everything(store: Store) -> dict[str, Any]:
    return {
        "analyses": store.list_analyses(),
        "versions": [
            repr(store.load_analysis_results(entry["analysis_id"], version["version"]))
            for entry in store.list_analyses()
            for version in store.list_versions(entry["analysis_id"])
        ],
        "states": [
            {
                k: v
                for k, v in store.load_visualization_state(s["state_id"]).items()
                if k != "timestamp"
            }
            for s in store.list_visualization_states()
        ],
        "sessions": store.list_sessions(),
    }


def test_a_backup_is_the_store_again(filled: Store, tmp_path: Path) -> None:
    filled.delete_analysis("mine", 1)
    said: list[tuple[int, int, str]] = []
    filled.backup(tmp_path / "copy", progress=lambda *args: said.append(args))
    assert said[-1][0] == said[-1][1] > 5
    copy = GPT2AnalysisPersistence(tmp_path / "copy")
    assert everything(copy) == everything(filled)
    assert copy.verify() == []
    copy.restore_analysis("mine")
    assert len(copy.list_versions("mine")) == 2
    assert len(filled.list_versions("mine")) == 1
    assert not list(filled.base_dir.glob(".tmp*"))


def test_a_backup_overwrites_nothing(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a file").touch()
    for path in (tmp_path / "there", filled.base_dir / "exports" / "inside"):
        with pytest.raises(StorageError, match="choose"):
            filled.backup(path)


@pytest.mark.slow
def test_a_backup_of_a_live_store_is_one_instant_of_it(tmp_path: Path) -> None:
    """Eight writers each save `a`, then `b` with the same number: no copy has `b` before `a`."""
    folder = tmp_path / "store"
    GPT2AnalysisPersistence(folder)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writers = [
        context.Process(target=_write_pairs, args=(str(folder), number, stop))
        for number in range(8)
    ]
    for writer in writers:
        writer.start()
    try:
        store = GPT2AnalysisPersistence(folder)
        while len(store.list_analyses()) < 16:
            assert all(writer.is_alive() for writer in writers)
        for copy in range(2):
            store.backup(tmp_path / f"copy-{copy}")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for copy in range(2):
        backup = GPT2AnalysisPersistence(tmp_path / f"copy-{copy}")
        assert backup.verify() == []
        for number in range(8):
            newest = {}
            for name in ("a", "b"):
                versions = [v["version"] for v in backup.list_versions(f"{name}-{number}")]
                # Between commit and pruning there is one more.
                assert versions == list(range(versions[0], max(versions[0] - len(versions), 0), -1))
                assert len(versions) in (min(versions[0], 3), 4)
                newest[name] = versions[0]
                data = backup.load_analysis_results(f"{name}-{number}")["analysis_data"]
                assert data["round"] == newest[name]
            assert newest["a"] - newest["b"] in (0, 1)


def _write_pairs(folder: str, number: int, stop: Any) -> None:
    store = GPT2AnalysisPersistence(folder, max_versions=3)
    round_number = 0
    while not stop.is_set():
        round_number += 1
        data = {
            "model_type": "gpt2",
            "layers": ["l"],
            "token_metadata": {"tokens": ["a"]},
            "round": round_number,
            "states": np.full(20_000, round_number, np.float32),
        }
        for name in ("a", "b"):
            store.save_analysis_results(data, "gpt2", "", f"{name}-{number}")


def test_a_store_merged_into_an_empty_one_is_the_same(filled: Store, tmp_path: Path) -> None:
    empty = GPT2AnalysisPersistence(tmp_path / "empty")
    report = empty.import_store(filled.base_dir)
    assert report.imported == ["mine", "other"]
    assert (report.states, len(report.sessions), report.problems) == (1, 1, [])
    assert everything(empty) == everything(filled)
    assert empty.verify() == []
    again = empty.import_store(filled.base_dir)
    assert again.already_here == ["mine", "other"]
    assert (again.imported, again.renamed, again.states, again.sessions) == ([], {}, 0, [])
    assert everything(empty) == everything(filled)


def test_missing_versions_are_added_to_the_same_analysis(
    filled: Store, tmp_path: Path, analysis: Analysis
) -> None:
    filled.backup(tmp_path / "copy")
    copy = GPT2AnalysisPersistence(tmp_path / "copy")
    copy.save_analysis_results(analysis, "gpt2", "three", "mine")
    filled.delete_analysis("mine", 1, permanently=True)
    report = filled.import_store(tmp_path / "copy")
    assert report.extended == {"mine": [1, 3]}
    assert [v["version"] for v in filled.list_versions("mine")] == [3, 2, 1]
    assert filled.verify() == []


def test_an_id_taken_by_other_content_gets_a_new_one(
    filled: Store, tmp_path: Path, analysis: Analysis
) -> None:
    here = GPT2AnalysisPersistence(tmp_path / "here")
    here.save_analysis_results(analysis, "gpt2", "something else", "mine")
    before = here.load_analysis_results("mine")["metadata"]
    report = here.import_store(filled.base_dir)
    new = report.renamed["mine"]
    assert new.startswith("mine-")
    assert report.imported == [new, "other"]
    assert here.load_analysis_results("mine")["metadata"] == before
    loaded, original = here.load_analysis_results(new), filled.load_analysis_results("mine")
    assert loaded["metadata"] == original["metadata"] | {"analysis_id": new}
    assert len(here.list_visualization_states(new)) == 1
    (session,) = here.list_sessions()
    assert session["analysis_ids"] == [new, "other"]
    assert here.verify() == []
    again = here.import_store(filled.base_dir)
    assert (again.imported, again.already_here, again.sessions) == ([], [new, "other"], [])


def test_damage_and_links_stay_outside(filled: Store, tmp_path: Path) -> None:
    folder = filled.base_dir / "analysis_results"
    path = folder / "mine" / "v000001.json"
    path.write_bytes(path.read_bytes()[:-9])
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    other = folder / "other"
    (other / f"{'a' * 32}.safetensors").symlink_to(secret)
    here = GPT2AnalysisPersistence(tmp_path / "here")
    report = here.import_store(filled.base_dir)
    assert report.imported == ["mine"]
    assert [v["version"] for v in here.list_versions("mine")] == [2]
    assert len(report.problems) == 2
    assert "v000001.json" in report.problems[0]
    assert "links" in report.problems[1]
    assert [p.kind for p in here.verify()] == ["dangling"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"file": "', b'"file": "../../'),
        (b'"analysis_id": "other"', b'"analysis_id": "../other"'),
        (b'"chunk_bytes": 1048576', b'"chunk_bytes": 0'),
        (b'"chunk_bytes": 1048576', b'"chunk_bytes": -1'),
        (b'"analysis_data": {', b'"analysis_data": 7, "x": {'),
        (b'"layers": [', b'"layers": 3, "y": ['),
        (b'"num_tokens": 8', b'"number": 8'),
        (b'"timestamp": "', b'"timestamp": "yesterday'),
        (b'"tags": []', b'"tags": 3'),
        (b'"shape": [', b'"shape": [-1, '),
    ],
)
def test_a_document_that_lies_is_left_out(
    filled: Store, tmp_path: Path, old: bytes, new: bytes
) -> None:
    """With a right checksum: whoever made it can compute one too."""
    path = filled.base_dir / "analysis_results" / "other" / "v000001.json"
    rest = path.read_bytes().split(b"\n", 1)[1]
    assert old in rest
    rest = rest.replace(old, new)
    path.write_bytes(b'{"checksum": "blake3:%s",\n' % blake3(rest).hexdigest().encode() + rest)
    here = GPT2AnalysisPersistence(tmp_path / "here")
    report = here.import_store(filled.base_dir)
    assert report.imported == ["mine"]
    assert len(report.problems) == 1
    assert everything(here)["analyses"][0]["analysis_id"] == "mine"


def test_a_store_of_format_1_comes_in(tmp_path: Path) -> None:
    here = GPT2AnalysisPersistence(tmp_path / "here")
    assert here.import_store(FORMAT_1).imported == ["small"]
    assert here.import_store(FORMAT_1).already_here == ["small"]
    shutil.copytree(FORMAT_1, tmp_path / "old")
    assert everything(here) == everything(GPT2AnalysisPersistence(tmp_path / "old"))
    assert here.verify() == []


def test_what_is_no_store_is_said(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="no store"):
        filled.import_store(tmp_path / "nothing")
    (tmp_path / "newer").mkdir()
    text = (filled.base_dir / "store.json").read_text()
    (tmp_path / "newer" / "store.json").write_text(text.replace("2", "99"))
    with pytest.raises(UnsupportedFormatError, match="format 99"):
        filled.import_store(tmp_path / "newer")
