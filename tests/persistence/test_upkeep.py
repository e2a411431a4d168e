"""What is wrong with a store is found, named and put aside; nothing is deleted."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.persistence import (
    AnalysisNotFoundError,
    ConceptFragmentationError,
    GPT2AnalysisPersistence,
    Problem,
)

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]


@pytest.fixture
def filled(store: Store, analysis: Analysis) -> Store:
    """Two versions that share a large array; the newer has one of its own."""
    shared = np.arange(50_000, dtype=np.float64)
    store.save_analysis_results({**analysis, "shared": shared}, "gpt2", "one", "mine")
    newer = {**analysis, "shared": shared, "own": shared[::-1].copy()}
    store.save_analysis_results(newer, "gpt2", "two", "mine")
    store.update_analysis("mine", name="a name")
    store.save_visualization_state("mine", {"window": (0, 1)}, "sankey")
    store.save_analysis_results(analysis, "gpt2", "", "other")
    store.create_session("a session", ["mine", "other"])
    return store


def found(store: Store) -> list[tuple[str, str]]:
    return sorted((problem.kind, Path(problem.path).name) for problem in store.verify())


def flip(path: Path, position: int) -> bytes:
    original = path.read_bytes()
    damaged = bytearray(original)
    damaged[position] ^= 8
    path.write_bytes(damaged)
    return original


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_whole_store_has_no_problems(filled: Store) -> None:
    said: list[tuple[int, int, str]] = []
    assert filled.verify(progress=lambda *args: said.append(args)) == []
    assert filled.verify("mine") == []
    assert said == [(0, 2, "mine"), (1, 2, "other"), (2, 2, "")]
    with pytest.raises(AnalysisNotFoundError):
        filled.verify("nobody")
    report = filled.repair()
    assert (report.quarantined, report.removed, report.problems) == ([], [], [])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.slow
def test_every_region_of_every_file_is_watched(
    filled: Store, compressed: bool, analysis: Analysis
) -> None:
    """Flipped one at a time: always found, always named, never served."""
    if compressed:
        filled.compress_analysis("mine")
    whole = {v: filled.load_analysis_results("mine", v)["analysis_data"] for v in (1, 2)}
    base = filled.base_dir
    paths = [
        *(base / "analysis_results" / "mine").iterdir(),
        *(base / "visualizations").glob("*.json"),
        *(base / "sessions").glob("*.json"),
        base / "metadata" / "mine.json",
    ]
    for path in paths:
        size = path.stat().st_size
        for region in range(16):
            original = flip(path, min(size * region // 16 + region % 3, size - 1))
            problems = filled.verify()
            assert ("damaged", str(path)) in [(p.kind, p.path) for p in problems]
            assert all(path.name in p.sentence and p.remedy for p in problems)
            if path.parent.name == "mine":
                served = 0
                for version in (1, 2):
                    try:
                        loaded = filled.load_analysis_results("mine", version)["analysis_data"]
                    except ConceptFragmentationError:
                        continue
                    served += 1
                    assert (loaded["shared"] == whole[version]["shared"]).all()
                assert served < 2
            path.write_bytes(original)
    assert filled.verify() == []


def test_a_torn_version_is_put_aside_with_its_arrays(filled: Store) -> None:
    folder = filled.base_dir / "analysis_results" / "mine"
    flip(folder / "v000002.json", 200)
    before = files_below(folder)
    report = filled.repair()
    quarantined = {Path(path).name for path in report.quarantined}
    assert "v000002.json" in quarantined
    assert [entry["version"] for entry in filled.list_versions("mine")] == [1]
    filled.load_analysis_results("mine")
    assert report.problems == []
    # Every byte is still there, here or there.
    kept = {Path(p).name: Path(p).read_bytes() for p in report.quarantined}
    assert {**kept, **files_below(folder)} == before


def test_a_torn_array_takes_all_versions_that_need_it(filled: Store) -> None:
    folder = filled.base_dir / "analysis_results" / "mine"
    sizes = {p.name: p.stat().st_size for p in folder.glob("*.safetensors")}
    documents = [p.read_text() for p in sorted(folder.glob("*.json"))]
    shared = next(n for n in sizes if n.split(".")[0] in documents[0] and sizes[n] > 300_000)
    flip(folder / shared, 5000)
    assert found(filled) == [("damaged", shared), ("damaged", shared)]
    report = filled.repair()
    assert {Path(p).name for p in report.quarantined} >= {"v000001.json", "v000002.json", shared}
    # Its state points at nothing now and is aside, its session says so.
    assert [problem.kind for problem in report.problems] == ["dangling"]
    assert [entry["analysis_id"] for entry in filled.list_analyses()] == ["other"]


def test_torn_states_sessions_and_cards_are_put_aside(filled: Store) -> None:
    (state,) = (filled.base_dir / "visualizations").glob("*.json")
    (session,) = (filled.base_dir / "sessions").glob("*.json")
    card = filled.base_dir / "metadata" / "mine.json"
    for path in (state, session, card):
        flip(path, 150)
    assert {name for _, name in found(filled)} == {state.name, session.name, card.name}
    report = filled.repair()
    assert {Path(p).name for p in report.quarantined} == {state.name, session.name, card.name}
    assert report.problems == []
    assert filled.load_analysis_results("mine")["metadata"]["name"] == "mine"


def test_what_killed_processes_left_is_removed(filled: Store) -> None:
    base = filled.base_dir
    left = [
        base / "analysis_results" / "mine" / ".tmp-1-abc",
        base / "analysis_results" / "mine" / ".tmpAb12Cd",
        base / "analysis_results" / "mine" / f"{'a' * 32}.safetensors",
        base / "sessions" / ".tmp-2-abc",
        base / "visualizations" / ".tmp-3-abc",
        base / "exports" / ".tmp-4-abc",
        base / "trash" / ".tmp-5-abc",
    ]
    (base / "trash").mkdir(exist_ok=True)
    for path in left:
        path.write_bytes(b"half")
        os.utime(path, (time.time() - 7200,) * 2)
    fresh = base / "sessions" / ".tmp-6-abc"
    fresh.write_bytes(b"somebody writes this now")
    assert found(filled) == sorted(("leftover", path.name) for path in left)
    report = filled.repair()
    assert sorted(report.removed) == sorted(map(str, left))
    assert report.problems == []
    assert fresh.exists()


def test_opening_a_store_heals_what_a_killed_save_left(
    filled: Store, open_store: Callable[..., Store], analysis: Analysis, monkeypatch: Any
) -> None:
    """Killed between the arrays and the document, it left arrays that nobody needs."""

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("concept_fragmentation.persistence.documents.render", die)
        patch.setattr("concept_fragmentation.persistence.versions.VersionFiles.sweep", die)
        patch.setattr("concept_fragmentation.persistence.catalog.Catalog.record", die)
        with pytest.raises(KilledError):
            filled.save_analysis_results({**analysis, "n": np.ones(99_999)}, "gpt2", "", "mine")
    assert [problem.kind for problem in filled._upkeep.verify("mine", None)] in ([], ["leftover"])
    assert open_store().verify() == []


def test_the_catalog_is_compared_with_the_files_and_made_anew(filled: Store) -> None:
    folder = filled.base_dir / "analysis_results"
    shutil.rmtree(folder / "other")
    (folder / "mine" / "v000001.json").unlink()
    assert {kind for kind, _ in found(filled)} == {"catalog", "dangling"}
    assert filled.reindex() == 1
    assert [kind for kind, _ in found(filled)] == ["dangling"]
    assert [entry["version"] for entry in filled.list_versions("mine")] == [2]


def test_a_version_in_anothers_folder_is_found(filled: Store) -> None:
    folder = filled.base_dir / "analysis_results"
    shutil.copy(folder / "other" / "v000001.json", folder / "mine" / "v000003.json")
    assert ("misplaced", "v000003.json") in found(filled)
    report = filled.repair()
    assert [Path(path).name for path in report.quarantined] == ["v000003.json"]
    assert report.problems == []


def test_problems_say_what_and_what_to_do(filled: Store) -> None:
    filled.delete_analysis("other")
    (problem,) = filled.verify()
    assert isinstance(problem, Problem)
    assert problem.analysis_id == "other"
    assert "'a session' names analysis 'other'" in problem.sentence
    assert "restore_analysis()" in problem.remedy


def test_stats_count_what_there_is(filled: Store) -> None:
    filled.delete_analysis("other")
    stats = filled.stats()
    assert {k: stats[k] for k in ("analyses", "versions", "sessions", "trash")} == {
        "analyses": 1,
        "versions": 2,
        "sessions": 1,
        "trash": 1,
    }
    files = files_below(filled.base_dir / "analysis_results")
    assert stats["folders"]["analysis_results"] == {
        "files": len(files),
        "bytes": sum(map(len, files.values())),
    }
