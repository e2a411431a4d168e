"""A disk that refuses any single call leaves a store as it was, or as it was to be."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from concept_fragmentation.persistence import GPT2AnalysisPersistence, StorageError

Store = GPT2AnalysisPersistence
IMPORT = "import a store"
FORMAT_1 = Path(__file__).parent / "data" / "format_1"


def analysis_of(number: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": ["a"] * 20},
        "round": number,
        "same": np.arange(10_000.0),
        "own": np.full(100, number),
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "store"
    store = GPT2AnalysisPersistence(folder, enable_cache=False)
    for number in (1, 2):
        store.save_analysis_results(analysis_of(number), "gpt2", "", "mine", name="first")
    store.save_visualization_state("mine", {"a": 0}, "sankey")
    store.save_analysis_results(analysis_of(3), "gpt2", "", "gone")
    store.delete_analysis("gone")
    store.create_session("s", ["mine"])
    store.close()
    return folder


ACTIONS: dict[str, Callable[[Store], Any]] = {
    "save": lambda s: s.save_analysis_results(analysis_of(9), "gpt2", "", "mine"),
    "save compressed": lambda s: s.save_analysis_results(
        analysis_of(9) | {"more": np.ones(20_000)}, "gpt2", "", "mine", compress=True
    ),
    "prune": lambda s: GPT2AnalysisPersistence(
        s.base_dir, enable_cache=False, max_versions=2
    ).save_analysis_results(analysis_of(9), "gpt2", "", "mine"),
    "update": lambda s: s.update_analysis("mine", name="changed"),
    "compress": lambda s: s.compress_analysis("mine"),
    "delete": lambda s: s.delete_analysis("mine"),
    "delete permanently": lambda s: s.delete_analysis("mine", permanently=True),
    "delete a version": lambda s: s.delete_analysis("mine", 2),
    "restore": lambda s: s.restore_analysis("gone"),
    "back up": lambda s: s.backup(s.base_dir.parent / "backup"),
    IMPORT: lambda s: s.import_store(FORMAT_1),
    "change a session": lambda s: s.update_session(
        s.list_sessions()[0]["session_id"], session_name="changed"
    ),
}


def seen(store: Store) -> dict[str, Any]:
    """What a user sees, without moments."""
    listed = store.list_analyses()
    return {
        "analyses": {entry["analysis_id"]: entry["name"] for entry in listed},
        "versions": {
            (entry["analysis_id"], version["version"]): store.load_analysis_results(
                entry["analysis_id"], version["version"]
            )["analysis_data"].get("round")
            for entry in listed
            for version in store.list_versions(entry["analysis_id"])
        },
        "trash": sorted(entry["analysis_id"] for entry in store.list_trash()),
        "sessions": [session["session_name"] for session in store.list_sessions()],
    }


def fail_at(patch: pytest.MonkeyPatch, nth: int) -> Callable[[], int]:
    """Let the n-th call that changes the disk fail; how many there were."""
    calls = 0

    def failing(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if name == "mkdir" and arguments[0].is_dir():
                # It changes nothing.
                return real(*arguments, **options)
            calls += 1
            if calls == nth + 1:
                number = errno.ENOSPC if nth % 2 else errno.EIO
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        patch.setattr(owner, name, run)

    for name in ("replace", "rename", "write_bytes", "unlink", "mkdir", "rmdir"):
        failing(Path, name)
    for name in ("fsync", "link"):
        failing(os, name)
    failing(shutil, "copyfile")
    failing(safetensors, "serialize_file")
    return lambda: calls


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("action", ACTIONS)
def test_each_call_failing_in_turn_leaves_before_or_after(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, soaking: bool
) -> None:
    outcomes = []
    # Backing up and importing make many calls that are alike: a copied file, a written one.
    step = 1 if soaking else 24 if action in ("back up", IMPORT) else 7
    for nth in range(0, 300, step):
        folder = tmp_path / str(nth) / "store"
        shutil.copytree(prepared, folder)
        store = GPT2AnalysisPersistence(folder, enable_cache=False)
        before = seen(store)
        with monkeypatch.context() as patch:
            count = fail_at(patch, nth)
            try:
                ACTIONS[action](store)
                failed = False
            except StorageError as error:
                assert str(folder.parent) in str(error)
                failed = True
        after = seen(store)
        outcomes.append((failed, after == before))
        if failed and action == IMPORT:
            # What came in before the error stays; done again, it goes on.
            ACTIONS[action](store)
            imported = seen(store)
            assert imported["versions"][("small", 2)] is None
            assert len(imported["sessions"]) == 2
            after = imported
        # Seen again by somebody who opens it anew, and nothing is wrong with it.
        again = GPT2AnalysisPersistence(folder, enable_cache=False)
        assert seen(again) == after
        assert {problem.kind for problem in again.verify()} <= {"leftover", "dangling"}
        shutil.rmtree(folder.parent)
        if count() <= nth:
            assert not failed
            break
    else:
        pytest.fail("the action never got through")
    assert any(failed for failed, _ in outcomes)
    done = after
    unchanged = [same for failed, same in outcomes if failed]
    late = 0 if action != IMPORT else len(unchanged)
    assert sum(unchanged) >= len(unchanged) - 2 - late, "an error, but it was done all the same"
    assert done == before or action not in ("back up", "compress")
