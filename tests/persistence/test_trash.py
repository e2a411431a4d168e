"""What was deleted can be had back for a while, and a newer store is not touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.persistence import (
    AnalysisExistsError,
    AnalysisNotFoundError,
    GPT2AnalysisPersistence,
    TrashEntryNotFoundError,
    UnsupportedFormatError,
    trash,
)

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]
Same = Callable[[Any, Any], bool]


def everything(store: Store) -> dict[str, Any]:
    return {
        "analyses": store.list_analyses(),
        "versions": [
            store.load_analysis_results(entry["analysis_id"], version["version"])["metadata"]
            for entry in store.list_analyses()
            for version in store.list_versions(entry["analysis_id"])
        ],
        "states": [
            store.load_visualization_state(state["state_id"])
            for state in store.list_visualization_states()
        ],
        "sessions": store.list_sessions(),
    }


@pytest.fixture
def filled(store: Store, analysis: Analysis) -> Store:
    store.save_analysis_results(analysis, "gpt2", "one", "mine", tags=["t"])
    store.save_analysis_results({**analysis, "n": 2}, "gpt2", "two", "mine")
    store.update_analysis("mine", name="a name", notes="notes")
    store.save_visualization_state("mine", {"window": (0, 1)}, "sankey")
    store.create_session("a session", ["mine"])
    return store


def test_a_deleted_analysis_comes_back_whole(filled: Store, analysis: Analysis, same: Same) -> None:
    before = everything(filled)
    filled.delete_analysis("mine")
    with pytest.raises(AnalysisNotFoundError):
        filled.load_analysis_results("mine")
    assert filled.list_visualization_states() == []
    (entry,) = filled.list_trash()
    assert (entry["analysis_id"], entry["version"], entry["name"]) == ("mine", None, "a name")
    assert entry["expires_at"] > entry["deleted_at"]
    filled.restore_analysis("mine")
    assert everything(filled) == before
    assert same(filled.load_analysis_results("mine", 1)["analysis_data"], analysis)
    assert filled.list_trash() == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_deleted_version_comes_back(filled: Store, version: int) -> None:
    before = everything(filled)
    filled.delete_analysis("mine", version)
    assert len(filled.list_versions("mine")) == 1
    assert filled.list_trash()[0]["version"] == version
    filled.restore_analysis("mine")
    assert everything(filled) == before
    assert filled.list_trash() == []


def test_what_was_deleted_last_is_restored_first(filled: Store) -> None:
    before = everything(filled)
    filled.delete_analysis("mine", 1)
    filled.delete_analysis("mine")
    assert [entry["version"] for entry in filled.list_trash()] == [None, 1]
    filled.restore_analysis("mine")
    filled.restore_analysis("mine")
    assert everything(filled) == before


def test_nothing_is_overwritten_by_a_restore(filled: Store, analysis: Analysis) -> None:
    filled.delete_analysis("mine")
    (entry,) = filled.list_trash()
    filled.save_analysis_results(analysis, "gpt2", "other", "mine")
    with pytest.raises(AnalysisExistsError, match="Delete that one"):
        filled.restore_analysis("mine")
    assert filled.load_analysis_results("mine")["metadata"]["input_text"] == "other"
    filled.delete_analysis("mine")
    filled.restore_analysis("mine", trash_id=entry["trash_id"])
    assert filled.load_analysis_results("mine")["metadata"]["input_text"] == "two"
    with pytest.raises(TrashEntryNotFoundError, match="list_trash"):
        filled.restore_analysis("nobody")


def test_what_is_deleted_permanently_is_gone(filled: Store) -> None:
    filled.delete_analysis("mine", 1, permanently=True)
    filled.delete_analysis("mine", permanently=True)
    assert filled.list_trash() == []
    with pytest.raises(TrashEntryNotFoundError):
        filled.restore_analysis("mine")


def test_the_trash_is_emptied_of_what_expired(
    filled: Store, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(trash, "now", lambda: datetime.now(UTC) - timedelta(days=31))
        filled.delete_analysis("mine", 1)
    assert len(filled.list_trash()) == 1
    assert filled.purge(timedelta(days=40)) == 0
    # Deleting something else is the occasion.
    filled.save_analysis_results(analysis, "gpt2", "", "other")
    filled.delete_analysis("other")
    assert [entry["analysis_id"] for entry in filled.list_trash()] == ["other"]
    assert filled.purge(timedelta(0)) == 1
    assert not any((filled.base_dir / "trash").iterdir())
    filled.load_analysis_results("mine")


def test_an_unfinished_delete_is_no_delete(
    filled: Store, open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the version was linked into the trash and before it was deleted."""

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    before = everything(filled)
    with monkeypatch.context() as patch:
        patch.setattr("concept_fragmentation.persistence.versions.VersionFiles.delete", die)
        with pytest.raises(KilledError):
            filled.delete_analysis("mine", 1)
    store = open_store()
    assert everything(store) == before
    assert store.list_trash() == []


def test_a_store_newer_than_the_code_says_so_and_is_not_touched(
    filled: Store, open_store: Callable[..., Store]
) -> None:
    path = filled.base_dir / "store.json"
    assert json.loads(path.read_text())["format_version"] == 2
    path.write_text(path.read_text().replace("2", "3"))
    filled.close()
    (filled.base_dir / "cache").rename(filled.base_dir / "gone")

    def state() -> dict[Path, Any]:
        found = filled.base_dir.rglob("*")
        return {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in found}

    before = state()
    with pytest.raises(UnsupportedFormatError, match=r"format 3.*nothing was touched.*Upgrade"):
        open_store()
    assert state() == before


@pytest.mark.parametrize("left", [".tmp-1-abc", ".tmpAb12Cd", f"{'a' * 32}.safetensors"])
def test_what_a_killed_save_left_is_not_in_the_way(
    filled: Store, left: str, analysis: Analysis, same: Same
) -> None:
    """A process was killed while it saved a new analysis under the id of a deleted one."""
    filled.delete_analysis("mine")
    folder = filled.base_dir / "analysis_results" / "mine"
    folder.mkdir()
    (folder / left).write_bytes(b"torn")
    filled.restore_analysis("mine")
    assert same(filled.load_analysis_results("mine", 1)["analysis_data"], analysis)
    assert not (folder / left).exists()
