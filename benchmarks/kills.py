"""A process is killed at random instants while it works on a store; nothing is lost or half done.

`python -m benchmarks.kills 1000` kills that often; a test kills less. The child tells over a pipe
what it begins and what it has done. After each kill, a model that replays this must be what the
store holds, with the one action in flight done or not done.
"""

from __future__ import annotations

import contextlib
import copy
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from concept_fragmentation.persistence import GPT2AnalysisPersistence, exchange

IDS = ("a", "b", "c")
KEPT = 3
ACTIONS = ("save", "save", "save", "update", "delete", "restore", "compress", "export", "import")

# {id: {"versions": {number: round}, "last": number, "name": name}}, and what was deleted last.
Model = dict[str, Any]


def analysis_of(number: int) -> dict[str, Any]:
    """All parts say which round wrote them; one large array is the same in all."""
    return {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": [f"token {number}"] * 100},
        "round": number,
        "same": np.arange(20_000, dtype=np.float64),
        "own": np.full(20_000, number, dtype=np.float32),
    }


def is_whole(data: dict[str, Any], number: int) -> bool:
    expected = analysis_of(number)
    return all(
        (data[key] == expected[key]).all() if key in ("same", "own") else data[key] == expected[key]
        for key in expected
    )


def applied(model: Model, action: dict[str, Any]) -> Model:
    """The model after an action."""
    after = copy.deepcopy(model)
    here, trash, chosen = after["here"], after["trash"], action["id"]
    match action["do"]:
        case "save":
            entry = here.setdefault(chosen, {"versions": {}, "last": 0, "name": chosen})
            entry["last"] += 1
            entry["versions"][entry["last"]] = action["round"]
            for old in sorted(entry["versions"])[:-KEPT]:
                del entry["versions"][old]
        case "update":
            here[chosen]["name"] = action["name"]
        case "delete":
            trash[chosen] = here.pop(chosen)
        case "restore":
            here[chosen] = trash.pop(chosen)
    return after


def possible(model: Model, rng: random.Random, number: int) -> dict[str, Any]:
    """An action that makes sense now."""
    while True:
        action = {"do": rng.choice(ACTIONS), "id": rng.choice(IDS), "round": number}
        here = action["id"] in model["here"]
        if action["do"] == "restore":
            if here or action["id"] not in model["trash"]:
                continue
        elif action["do"] != "save" and not here:
            continue
        return action | {"name": f"name {number}"}


def change(store: GPT2AnalysisPersistence, action: dict[str, Any]) -> None:
    """Do what changes one analysis; every fourth that is saved is compressed."""
    chosen = action["id"]
    match action["do"]:
        case "save":
            compress = action["round"] % 4 == 0
            data = analysis_of(action["round"])
            store.save_analysis_results(data, "gpt2", "", chosen, compress=compress)
        case "update":
            store.update_analysis(chosen, name=action["name"])
        case "delete":
            store.delete_analysis(chosen)
        case "restore":
            store.restore_analysis(chosen)
        case "compress":
            store.compress_analysis(chosen)


def _perform(store: GPT2AnalysisPersistence, folder: Path, action: dict[str, Any]) -> None:
    chosen = action["id"]
    match action["do"]:
        case "export":
            kind = ("json", "csv", "pickle")[action["round"] % 3]
            store.export_analysis(chosen, kind, output_path=folder / "exports" / kind)
        case "import":
            path = store.export_analysis(chosen, "pickle")
            store.import_analysis(path)
        case _:
            change(store, action)


def _work(folder: Path, model: Model, seed: int, number: int, said: int) -> None:
    rng = random.Random(seed)
    store = GPT2AnalysisPersistence(folder / "store", max_versions=KEPT, enable_cache=False)
    (folder / "exports").mkdir(exist_ok=True)
    os.write(said, b"{}\n")
    while True:
        number += 1
        action = possible(model, rng, number)
        os.write(said, json.dumps(action | {"done": False}).encode() + b"\n")
        _perform(store, folder, action)
        os.write(said, json.dumps(action | {"done": True}).encode() + b"\n")
        model = applied(model, action)


def run(kills: int, seed: int = 1) -> Counter[str]:
    """Kill `kills` times; how often which action was in flight."""
    rng = random.Random(seed)
    in_flight: Counter[str] = Counter()
    model: Model = {"here": {}, "trash": {}}
    number, longest, fruitless = 0, 0.1, 0
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        while in_flight.total() < kills:
            reader, writer = os.pipe()
            child = context.Process(
                target=_work, args=(folder, model, rng.random(), number, writer), daemon=True
            )
            child.start()
            os.close(writer)
            with os.fdopen(reader) as said:
                said.readline()
                time.sleep(rng.uniform(0, longest))
                assert child.is_alive(), "the child ended by itself"
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                child.join()
                log = [json.loads(line) for line in said if line.endswith("\n")]
            done = [action for action in log if action["done"]]
            fruitless = 0 if done else fruitless + 1
            if fruitless == 5:
                longest, fruitless = min(2 * longest, 3.0), 0
            for action in done:
                model = applied(model, action)
            started = log[-1] if log and not log[-1]["done"] else None
            in_flight[started["do"] if started else "nothing"] += 1
            number = max([number, *(action["round"] for action in log)])
            model = _check(folder, model, started)
        store = GPT2AnalysisPersistence(folder / "store")
        assert store.repair().problems == []
        assert store.verify() == []
    return in_flight


def _check(folder: Path, model: Model, started: dict[str, Any] | None) -> Model:
    """The state that the store is in, after it was found to be one that it may be in."""
    store = GPT2AnalysisPersistence(folder / "store", max_versions=KEPT, enable_cache=False)
    found: dict[str, Any] = {}
    for entry in store.list_analyses():
        versions = {}
        for listed in store.list_versions(entry["analysis_id"]):
            loaded = store.load_analysis_results(entry["analysis_id"], listed["version"])
            versions[listed["version"]] = loaded["analysis_data"]["round"]
            assert is_whole(loaded["analysis_data"], versions[listed["version"]])
        if entry["analysis_id"] in IDS:
            found[entry["analysis_id"]] = {"versions": versions, "name": entry["name"]}
        else:
            # Imported under a new id: whole, as was seen.
            store.delete_analysis(entry["analysis_id"], permanently=True)
    candidates = [model] if started is None else [model, applied(model, started)]
    fitting = [state for state in candidates if _fits(found, state["here"])]
    assert fitting, f"found {found}, expected one of {candidates}"
    kinds = {problem.kind for problem in store.verify()}
    # A pruned version or an export may leave a file behind; nothing else may be wrong.
    assert kinds <= {"leftover"}, store.verify()
    for path in (folder / "exports").iterdir():
        if not path.name.startswith("."):
            exchange.read(path)
    trashed = {entry["analysis_id"] for entry in store.list_trash()}
    state = copy.deepcopy(fitting[0])
    assert set(state["trash"]) <= trashed
    for identifier, entry in state["here"].items():
        entry["versions"] = found[identifier]["versions"]
    return state


def _fits(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether all is as expected; a version that was to be pruned may still be there."""
    if set(found) != set(expected):
        return False
    for identifier, entry in expected.items():
        here, wanted = found[identifier]["versions"], entry["versions"]
        more = {number: here[number] for number in here if number not in wanted}
        if found[identifier]["name"] != entry["name"]:
            return False
        if {number: here[number] for number in wanted if number in here} != wanted:
            return False
        if any(number > min(wanted) for number in more):
            return False
    return True


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        for what, count in sorted(run(*map(int, sys.argv[1:])).items()):
            print(f"{count:6} killed in {what}")
