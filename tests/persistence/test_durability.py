"""Killed processes, many writers, full disks: nothing is lost and nothing is half there."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from benchmarks import crowd, kills
from concept_fragmentation.persistence import (
    AnalysisNotFoundError,
    GPT2AnalysisPersistence,
    StorageError,
)
from concept_fragmentation.persistence.catalog import Catalog
from concept_fragmentation.persistence.versions import VersionFiles

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]


def analysis_of(round_number: int, writer: int = 0) -> Analysis:
    """An analysis whose parts all say which round wrote them."""
    return {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": [f"token {round_number}"] * 300},
        "cluster_labels": {"layer_0": [round_number] * 300},
        "round": round_number,
        "writer": writer,
        "states": np.full((50, 40), round_number, dtype=np.float32),
    }


def is_whole(analysis: Analysis) -> bool:
    """Whether all parts are of one round."""
    number = analysis["round"]
    return bool(
        analysis["token_metadata"]["tokens"] == [f"token {number}"] * 300
        and analysis["cluster_labels"]["layer_0"] == [number] * 300
        and (analysis["states"] == number).all()
    )


@pytest.mark.slow
@pytest.mark.soak
def test_a_process_killed_at_any_moment_leaves_whole_versions_only(
    tmp_path: Path, soaking: bool
) -> None:
    times = 200 if soaking else 12
    folder = tmp_path / "store"
    rng = random.Random(20)
    confirmed = kills = fruitless = unpruned = 0
    # As long as a few saves take on this machine, however busy it is.
    longest = 0.06
    store = GPT2AnalysisPersistence(folder, max_versions=4, enable_cache=False)
    # One interpreter forks a child a kill: two hundred start-ups would measure imports.
    context = multiprocessing.get_context("fork")
    # Kills that come before anything is saved show nothing.
    while kills < times or confirmed <= times / 4:
        reader, writer = os.pipe()
        child = context.Process(target=_save_until_killed, args=(folder, confirmed, writer))
        child.start()
        os.close(writer)
        with os.fdopen(reader) as said:
            said.readline()
            time.sleep(rng.uniform(0, longest))
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            numbers = [int(line) for line in said if line.endswith("\n")]
        kills += 1
        fruitless = 0 if numbers else fruitless + 1
        if fruitless == 2:
            longest, fruitless = min(2 * longest, 2.0), 0
        highest = numbers[-1] if numbers else confirmed
        if highest == 0 and not store.list_analyses():
            continue
        versions = store.list_versions("mine")
        # A kill between commit and pruning leaves one more, until a save comes to its end.
        unpruned = 0 if len(numbers) > 1 else unpruned + 1
        assert len(versions) <= 5 + unpruned
        for entry in versions:
            loaded = store.load_analysis_results("mine", entry["version"])
            assert is_whole(loaded["analysis_data"])
            assert loaded["analysis_data"]["round"] == entry["version"]
        newest = versions[0]["version"]
        # What was reported is there; at most the one save in flight came on top.
        assert newest in (highest, highest + 1)
        assert store.load_analysis_results("mine")["metadata"]["version"] == newest
        for entry in store.list_analyses():
            store.load_analysis_results(entry["analysis_id"])
        confirmed = newest


def _save_until_killed(folder: Path, number: int, said: int) -> None:
    store = GPT2AnalysisPersistence(folder, max_versions=4, enable_cache=False)
    os.write(said, b"ready\n")
    while True:
        number += 1
        store.save_analysis_results(analysis_of(number), "gpt2", "", "mine", name=str(number))
        os.write(said, f"{number}\n".encode())
        if number % 3 == 0:
            store.update_analysis("mine", notes=str(number))
        if number % 4 == 0:
            store.save_analysis_results(analysis_of(number), "gpt2", "", "other")
            store.delete_analysis("other")


@pytest.mark.slow
@pytest.mark.soak
def test_eight_processes_save_one_analysis_and_none_is_lost(tmp_path: Path, soaking: bool) -> None:
    folder = tmp_path / "store"
    each = 25 if soaking else 4
    total = 8 * each
    context = multiprocessing.get_context("fork")
    with context.Pool(8) as pool:
        pool.starmap(_save_many, [(str(folder), writer, each) for writer in range(8)], chunksize=1)
    store = GPT2AnalysisPersistence(folder, max_versions=None)
    versions = store.list_versions("mine")
    assert [entry["version"] for entry in versions] == list(range(total, 0, -1))
    assert store.list_analyses()[0]["num_versions"] == total
    moments = [entry["timestamp"] for entry in versions]
    assert moments == sorted(moments, reverse=True)
    written = set()
    for entry in versions:
        data = store.load_analysis_results("mine", entry["version"])["analysis_data"]
        assert is_whole(data)
        written.add((data["writer"], data["round"]))
    assert written == {(writer, number) for writer in range(8) for number in range(each)}


def _save_many(folder: str, writer: int, each: int) -> None:
    store = GPT2AnalysisPersistence(folder, max_versions=None)
    for number in range(each):
        store.save_analysis_results(analysis_of(number, writer), "gpt2", "", "mine")


@pytest.mark.slow
def test_readers_and_deleters_meet_no_half_done_save(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        jobs = [(str(folder), role) for role in ("save", "save", "delete", "read")]
        assert all(pool.starmap(_play, jobs, chunksize=1))
    store = GPT2AnalysisPersistence(folder)
    for entry in store.list_analyses():
        assert is_whole(store.load_analysis_results(entry["analysis_id"])["analysis_data"])


def _play(folder: str, role: str) -> bool:
    store = GPT2AnalysisPersistence(folder, max_versions=3)
    for number in range(40):
        identifier = f"id-{number % 3}"
        try:
            if role == "save":
                store.save_analysis_results(analysis_of(number), "gpt2", "", identifier)
            elif role == "delete":
                store.delete_analysis(identifier)
            else:
                for entry in store.list_analyses():
                    loaded = store.load_analysis_results(entry["analysis_id"])
                    assert is_whole(loaded["analysis_data"])
        except AnalysisNotFoundError:
            assert role != "save"
    return True


@pytest.mark.parametrize("version", [None, 1])
def test_what_is_deleted_and_saved_anew_while_it_is_read_is_read_anew(
    open_store: Callable[..., Store],
    monkeypatch: pytest.MonkeyPatch,
    version: int | None,
) -> None:
    store = open_store(enable_cache=False)
    store.save_analysis_results(analysis_of(1), "gpt2", "", "mine")
    document = VersionFiles.document

    def then_replaced(self: VersionFiles, folder: str, number: int) -> dict[str, Any] | None:
        found = document(self, folder, number)
        monkeypatch.undo()
        other = open_store(enable_cache=False)
        other.delete_analysis("mine")
        other.save_analysis_results(analysis_of(2), "gpt2", "", "mine")
        return found

    monkeypatch.setattr(VersionFiles, "document", then_replaced)
    data = store.load_analysis_results("mine", version)["analysis_data"]
    assert data["round"] == 2
    assert is_whole(data)


def snapshot(store: Store) -> dict[str, Any]:
    """Everything a user can see."""
    return {
        "analyses": store.list_analyses(),
        "versions": {
            entry["analysis_id"]: [
                store.load_analysis_results(entry["analysis_id"], version["version"])["metadata"]
                for version in store.list_versions(entry["analysis_id"])
            ]
            for entry in store.list_analyses()
        },
        "states": store.list_visualization_states(),
        "sessions": store.list_sessions(),
    }


def leftovers(store: Store) -> list[Path]:
    return [p for p in store.base_dir.rglob(".*") if p.name.startswith((".tmp", ".trash-"))]


ACTIONS: dict[str, Callable[[Store], Any]] = {
    "save a version": lambda s: s.save_analysis_results(
        analysis_of(9), "gpt2", "", "mine", name="changed"
    ),
    "save anew": lambda s: s.save_analysis_results(analysis_of(9), "gpt2", "", "another"),
    "update": lambda s: s.update_analysis("mine", name="changed"),
    "save a state": lambda s: s.save_visualization_state("mine", {"a": 1}, "sankey"),
    "create a session": lambda s: s.create_session("new", ["mine"]),
    "export json": lambda s: s.export_analysis("mine", "json"),
    "export csv": lambda s: s.export_analysis("mine", "csv"),
    "export pickle": lambda s: s.export_analysis("mine", "pickle"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
@pytest.mark.slow
def test_a_failing_disk_leaves_the_store_as_it_was(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch, action: str, call: str
) -> None:
    store = open_store(enable_cache=False)
    store.save_analysis_results(analysis_of(1), "gpt2", "text", "mine", name="first")
    store.save_visualization_state("mine", {"a": 0}, "sankey")
    before = snapshot(store)
    failures = 0
    for nth in range(100):
        with monkeypatch.context() as patch:
            count = _fail_at(patch, call, nth)
            try:
                ACTIONS[action](store)
                failed = False
            except StorageError as error:
                failed = True
                assert "No space left" in str(error) or "Input/output" in str(error)
        if count() <= nth:
            # The action makes fewer calls than that: it succeeded.
            assert not failed
            break
        failures += failed
        if failed:
            assert snapshot(store) == before
            assert leftovers(store) == []
        else:
            # It failed after the commit, where nothing is lost by it.
            before = snapshot(store)
    else:
        pytest.fail("the action never got through")
    assert failures > 0


def _fail_at(patch: pytest.MonkeyPatch, call: str, nth: int) -> Callable[[], int]:
    """Let the n-th fsync, rename or write of this process fail; how many there were."""
    calls = 0

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        return run

    if call == "fsync":
        patch.setattr(os, "fsync", failing(os.fsync))
    elif call == "replace":
        patch.setattr(Path, "replace", failing(Path.replace))
        patch.setattr(Path, "rename", failing(Path.rename))
    else:
        patch.setattr(Path, "write_bytes", failing(Path.write_bytes))
        patch.setattr("safetensors.serialize_file", failing(safetensors.serialize_file))
    return lambda: calls


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of two megabytes; skipped where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root; the failing calls above test the same")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def test_a_full_disk_is_an_error_and_not_a_torn_file(small_disk: Path) -> None:
    store = GPT2AnalysisPersistence(small_disk / "store", enable_cache=False, max_versions=None)
    saved = 0
    with pytest.raises(StorageError, match=r"Could not .*(No space left|full)"):
        for number in range(1000):
            store.save_analysis_results(
                analysis_of(number) | {"more": np.full(20_000, number)}, "gpt2", "", "mine"
            )
            saved += 1
    assert saved > 2
    assert leftovers(store) == []
    versions = store.list_versions("mine")
    assert [entry["version"] for entry in versions] == list(range(saved, 0, -1))
    for entry in versions:
        loaded = store.load_analysis_results("mine", entry["version"])["analysis_data"]
        assert is_whole(loaded)
        assert loaded["round"] == entry["version"] - 1
    store.delete_analysis("mine", version=1, permanently=True)
    store.save_analysis_results(analysis_of(0), "gpt2", "", "mine")
    assert store.list_versions("mine")[0]["version"] == saved + 1
    store.close()


def test_a_save_that_died_before_the_catalog_is_listed(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Died

    store = open_store()
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "record", die)
        with pytest.raises(Died):
            store.save_analysis_results(analysis_of(1), "gpt2", "", "mine")
    (entry,) = open_store().list_analyses()
    assert (entry["analysis_id"], entry["version"]) == ("mine", 1)


def test_documents_name_what_they_hold(open_store: Callable[..., Store]) -> None:
    """Two stores can't be mixed up: a version copied elsewhere is not taken for another's."""
    store = open_store()
    store.save_analysis_results(analysis_of(1), "gpt2", "", "mine")
    results = store.base_dir / "analysis_results"
    (results / "mine").rename(results / "yours")
    with pytest.raises(AnalysisNotFoundError):
        store.load_analysis_results("yours")
    assert (
        json.loads((results / "yours" / "v000001.json").read_text())["metadata"]["analysis_id"]
        == "mine"
    )


@pytest.mark.slow
def test_kills_in_any_action_leave_what_was_there_or_what_was_to_be() -> None:
    in_flight = kills.run(12)  # `make soak` has a thousand
    assert in_flight.total() == 12
    assert len(in_flight) > 2


@pytest.mark.slow
def test_processes_that_do_everything_at_once_leave_what_their_logs_say() -> None:
    wanted = {"save", "update", "delete", "restore", "compress", "export", "load"}
    # `make soak` has 16 for a minute.
    seconds = 2
    while not wanted <= set(crowd.run(6, seconds)):
        seconds *= 2
