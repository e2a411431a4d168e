"""The cache is quick, and never wrong."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence
from concept_fragmentation.persistence.unsaved import UnsavedAnalyses

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]
OpenStore = Callable[..., Store]

both_kinds = pytest.mark.parametrize("memory_only", [False, True])


@both_kinds
def test_a_second_load_is_a_hit(
    open_store: OpenStore, analysis: Analysis, memory_only: bool, same: Callable[[Any, Any], bool]
) -> None:
    store = open_store(memory_only=memory_only)
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert (store.cache.get_stats()["hits"], store.cache.get_stats()["misses"]) == (0, 0)
    store.load_analysis_results("mine")
    assert same(store.load_analysis_results("mine")["analysis_data"], analysis)
    stats = store.cache.get_stats()
    assert (stats["size"], stats["hits"], stats["misses"]) == (1, 1, 1)
    store.cache.clear()
    assert store.cache.get_stats()["size"] == 0
    assert same(store.load_analysis_results("mine")["analysis_data"], analysis)


def test_memory_only_leaves_nothing_in_the_folder(
    open_store: OpenStore, analysis: Analysis
) -> None:
    store = open_store(memory_only=True)
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    assert list((store.base_dir / "cache").iterdir()) == []


def test_a_store_without_a_cache_counts_nothing(open_store: OpenStore, analysis: Analysis) -> None:
    store = open_store(enable_cache=False)
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    store.load_analysis_results("mine")
    assert store.cache.get_stats()["size"] == store.cache.get_stats()["hits"] == 0
    assert store.cleanup_cache() == 0


@both_kinds
def test_what_another_process_saved_or_deleted_is_seen_at_once(
    open_store: OpenStore, analysis: Analysis, memory_only: bool
) -> None:
    store, other = open_store(memory_only=memory_only), open_store()
    store.save_analysis_results(analysis, "gpt2", "first", "mine")
    store.load_analysis_results("mine")
    other.update_analysis("mine", name="changed")
    assert store.load_analysis_results("mine")["metadata"]["name"] == "changed"
    other.save_analysis_results(analysis, "gpt2", "second", "mine")
    assert store.load_analysis_results("mine")["metadata"]["input_text"] == "second"
    other.delete_analysis("mine")
    with pytest.raises(AnalysisNotFoundError):
        store.load_analysis_results("mine")


@both_kinds
def test_an_id_that_was_given_again_shows_only_the_new_content(
    open_store: OpenStore, analysis: Analysis, memory_only: bool
) -> None:
    store, other = open_store(memory_only=memory_only), open_store()
    for round_number in range(20):
        other.save_analysis_results({**analysis, "n": round_number}, "gpt2", "", "mine")
        assert store.load_analysis_results("mine", 1)["analysis_data"]["n"] == round_number
        other.delete_analysis("mine")


@both_kinds
def test_entries_are_forgotten_after_their_time(
    open_store: OpenStore, analysis: Analysis, memory_only: bool
) -> None:
    store = open_store(cache_ttl=0.2, memory_only=memory_only)
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    time.sleep(0.3)
    store.load_analysis_results("mine")
    assert store.cache.get_stats()["hits"] == 0


@both_kinds
def test_cleanup_removes_only_what_is_older_and_counts_it(
    open_store: OpenStore, analysis: Analysis, memory_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(cache_ttl=10**9, memory_only=memory_only)
    present = time.time()
    for age_hours in (30, 25, 3, 0):
        monkeypatch.setattr(time, "time", lambda age=age_hours: present - age * 3600)
        store.save_analysis_results(analysis, "gpt2", "", f"id-{age_hours}")
        store.load_analysis_results(f"id-{age_hours}")
    monkeypatch.setattr(time, "time", lambda: present + 1)
    assert store.cache.get_stats()["size"] == 4
    assert store.cleanup_cache(max_age_hours=24) == 2
    assert store.cleanup_cache(max_age_hours=24) == 0
    assert store.cache.get_stats()["size"] == 2
    assert store.cleanup_cache(0) == 2


def test_what_lies_beside_a_corrupt_cache_stays(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis | {"large": "x" * 100_000}, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    folder = store.base_dir / "cache"
    assert [path for path in folder.iterdir() if path.is_dir()]
    unsaved = UnsavedAnalyses(folder / "unsaved")
    kept = unsaved.keep(analysis, "gpt2", "", {}, "theirs")
    store.close()
    (folder / "cache.db").write_bytes(b"x" * 5000)
    store.load_analysis_results("mine")
    store.close()
    assert unsaved.load(kept)["metadata"]["name"] == "theirs"
    store.load_analysis_results("mine")
    assert store.cache.get_stats()["size"] == 1


def test_a_corrupt_cache_is_dropped_with_a_warning(
    open_store: OpenStore,
    analysis: Analysis,
    same: Callable[[Any, Any], bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_store()
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    folder = store.base_dir / "cache"
    for wreck in (b"no database at all" * 100, b"SQLite format 3\0" + bytes(5000), b""):
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "cache.db").write_bytes(wreck)
        for victim in (store, open_store()):
            assert same(victim.load_analysis_results("mine")["analysis_data"], analysis)
    shutil.rmtree(folder)
    for victim in (store, open_store()):
        assert same(victim.load_analysis_results("mine")["analysis_data"], analysis)
    assert "damaged" in caplog.text


def test_a_flipped_bit_in_the_cache_is_not_served(
    open_store: OpenStore,
    analysis: Analysis,
    same: Callable[[Any, Any], bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_store()
    analysis["their own"]["long"] = "x" * 100_000  # large values stand in files
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    (value,) = (store.base_dir / "cache").rglob("*.val")
    damaged = bytearray(value.read_bytes())
    damaged[-100] ^= 1
    value.write_bytes(damaged)
    assert same(store.load_analysis_results("mine")["analysis_data"], analysis)
    assert "damaged" in caplog.text


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(self.path),))


def test_a_pickle_in_the_cache_is_never_read(
    open_store: OpenStore, analysis: Analysis, tmp_path: Path
) -> None:
    store = open_store()
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    exploded = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(str(exploded)))
    with sqlite3.connect(store.base_dir / "cache" / "cache.db") as connection:
        connection.execute("UPDATE Cache SET mode = 4, value = ?, filename = NULL", (bomb,))
    connection.close()
    open_store().load_analysis_results("mine")
    with sqlite3.connect(store.base_dir / "cache" / "cache.db") as connection:
        connection.execute("UPDATE Cache SET key = ?, raw = 0", (bomb,))
    connection.close()
    open_store().cleanup_cache(0)
    assert not exploded.exists()
