"""Many processes do everything at once to one store, which then is what their logs come to.

`python -m benchmarks.crowd 16 60` lets 16 processes work for 60 seconds; a test does less.

Each process owns one analysis, which only it changes: what that holds afterwards is known exactly.
All of them change the shared analyses, too: of those is known that version numbers are unique, that
every version is whole and is one that somebody says to have saved, and that the newest is there
unless somebody deleted it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.kills import KEPT, Model, applied, change, is_whole
from concept_fragmentation.persistence import (
    AnalysisExistsError,
    GPT2AnalysisPersistence,
    NotFoundError,
)

SHARED = ("shared-0", "shared-1")
ACTIONS = (
    "save",
    "save",
    "save",
    "update",
    "delete",
    "restore",
    "compress",
    "export",
    "load",
    "list",
)


def _work(folder: str, number: int, seconds: float) -> tuple[Model, set[int], Counter[str]]:
    """Act until the time is over: the own analysis's model, the rounds saved in shared ones."""
    rng = random.Random(number)
    store = GPT2AnalysisPersistence(folder, max_versions=KEPT, enable_cache=False)
    model: Model = {"here": {}, "trash": {}}
    shared_rounds: set[int] = set()
    done: Counter[str] = Counter()
    own, round_number = f"own-{number}", number * 1_000_000
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        round_number += 1
        do, mine = rng.choice(ACTIONS), rng.random() < 0.5
        chosen = own if mine else rng.choice(SHARED)
        action = {"do": do, "id": chosen, "round": round_number, "name": f"name {round_number}"}
        if do == "save" and not mine:
            # Before it is there for others to see.
            shared_rounds.add(round_number)
        try:
            _perform(store, action, Path(folder).parent / f"exports-{number}")
        except (NotFoundError, AnalysisExistsError):
            # Of the own analysis it must be true.
            if mine:
                here = own in model["here"]
                assert here or own not in model["trash"] if do == "restore" else not here, action
            done[f"{do} in vain"] += 1
            continue
        done[do] += 1
        if mine:
            if do == "restore":
                assert own in model["trash"]
                assert own not in model["here"]
            model = applied(model, action)
    return model, shared_rounds, done


def _perform(store: GPT2AnalysisPersistence, action: dict[str, Any], exports: Path) -> None:
    chosen = action["id"]
    match action["do"]:
        case "export":
            store.export_analysis(chosen, "pickle", output_path=exports)
        case "load":
            loaded = store.load_analysis_results(chosen)["analysis_data"]
            assert is_whole(loaded, loaded["round"])
        case "list":
            for entry in store.list_analyses():
                with contextlib.suppress(NotFoundError):
                    store.list_versions(entry["analysis_id"])
        case _:
            change(store, action)


def run(processes: int, seconds: float) -> Counter[str]:
    """Let them work, and compare; how often each action was done."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        with context.Pool(processes) as pool:
            jobs = [(str(folder), number, seconds) for number in range(processes)]
            results = pool.starmap(_work, jobs, chunksize=1)
        store = GPT2AnalysisPersistence(folder, max_versions=KEPT, enable_cache=False)
        assert store.verify() == []
        listed = {entry["analysis_id"]: entry for entry in store.list_analyses()}
        expected = {own: entry for model, _, _ in results for own, entry in model["here"].items()}
        assert set(listed) - set(SHARED) == set(expected)
        for own, entry in expected.items():
            assert listed[own]["name"] == entry["name"]
            assert _rounds(store, own) == entry["versions"]
        saved = set().union(*(rounds for _, rounds, _ in results))
        for identifier in set(SHARED) & set(listed):
            rounds = _rounds(store, identifier)
            assert set(rounds.values()) <= saved
            assert len(set(rounds.values())) == len(rounds) <= KEPT
            # Only whole analyses were deleted, so what is left has no gaps.
            assert sorted(rounds) == list(range(min(rounds), max(rounds) + 1))
        assert store.reindex() == len(listed)
        assert {entry["analysis_id"]: entry for entry in store.list_analyses()} == listed
        return sum((done for _, _, done in results), Counter())


def _rounds(store: GPT2AnalysisPersistence, identifier: str) -> dict[int, int]:
    """{version: round}, after each version was found whole."""
    found = {}
    for entry in store.list_versions(identifier):
        data = store.load_analysis_results(identifier, entry["version"])["analysis_data"]
        assert is_whole(data, data["round"])
        found[entry["version"]] = data["round"]
    return found


if __name__ == "__main__":
    for what, count in sorted(run(int(sys.argv[1]), float(sys.argv[2])).items()):
        print(f"{count:6} {what}")
