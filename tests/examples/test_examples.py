"""The examples run, and do what they say."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.persistence import GPT2AnalysisPersistence

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(*arguments: str | Path, cwd: Path) -> str:
    temporary = cwd / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(temporary.iterdir()) == []
    return done.stdout


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Return what the persistence demo says, and what lies where it was started when it is done."""
    folder = tmp_path_factory.mktemp("walk")
    said = run(EXAMPLES / "gpt2_persistence_demo.py", cwd=folder)
    return said, [path.name for path in folder.iterdir()]


def test_the_persistence_demo_walks_through_everything_and_leaves_nothing(
    walk: tuple[str, list[str]],
) -> None:
    said, left = walk
    assert [line for line in said.splitlines() if line and not line.startswith(" ")][1:] == [
        "Save and load",
        "Versions",
        "Update, list, search, tags",
        "Visualization states",
        "Sessions",
        "Export and import",
        "Cache",
        "Errors",
        "Delete",
    ]
    assert left == ["temporary"]


def test_the_persistence_demo_shows_what_the_store_promises(walk: tuple[str, list[str]]) -> None:
    said, _ = walk
    assert "False" not in said
    for promise in (
        "loaded 117 tokens, 5 layers",
        "equal to what was saved: True",
        "{'seed': 7, 'quantiles': (0.25, 0.75), 'loss': nan}",
        "version 1: 57 paths; Seven clusters in every layer.",
        "kept of three: [3, 2]",
        "all, newest first: Three clusters; River and bank, k-means",
        "search 'river K-MEANS': River and bank, k-means\n",
        "tag 'checked': River and bank, k-means\n",
        "restored as it was: True",
        "How many clusters? k = 3, 4, 5: 2 analyses",
        "_v3.json; comes back equal: True, 2 views",
        "_v3_csv; comes back equal: True, 2 views",
        "arrays.safetensors, attention.csv, cluster_labels.csv, manifest.json, token_paths.csv",
        "_v3.pkl; comes back equal: True, 2 views",
        "a bare JSON analysis: Written by hand",
        "loaded twice: 1 miss, 1 hit, 1 entry",
        "older than a day: 0 removed",
        "older than now: 1 removed",
        "cleared: 0 entries",
        "AnalysisNotFoundError: Analysis not found: ",
        "InvalidAnalysisError: Invalid data: layers[5]: the layer 'embedding' is listed twice; ",
        "InvalidDataError: Invalid data: metadata.version: ",
        "UnsafeIdentifierError: Unsafe analysis_id '../elsewhere'",
        "StorageError: Could not make ",
        "UnsupportedFormatError: Unsupported export format 'xlsx'",
        "RefusedPickleError: Invalid data: the pickle asks for builtins.print",
        "CorruptedFileError: Corrupted file ",
        "version 2; left: [3]",
        "a view; left: ['river, late layers']",
        "an analysis; the session reports it missing: True",
        "a session; left: ['How many clusters?']",
    ):
        assert promise in said


def test_the_persistence_demo_leaves_a_store_to_look_at(tmp_path: Path) -> None:
    said = run(EXAMPLES / "gpt2_persistence_demo.py", "--dir", "kept", cwd=tmp_path)
    assert said.splitlines()[-1] == "Look at it: concept-fragmentation serve --dir kept"
    store = GPT2AnalysisPersistence(tmp_path / "kept")
    (kept,) = store.list_analyses()
    assert (kept["name"], kept["version"], kept["num_versions"]) == (
        "River and bank, k-means",
        3,
        1,
    )
    data = store.load_analysis_results(kept["analysis_id"])["analysis_data"]
    assert {state.dtype for state in data["hidden_states"].values()} == {np.dtype("float32")}
    assert len(store.list_visualization_states(kept["analysis_id"])) == 1
    assert len(store.list_sessions()) == 1
    exports = sorted(path.name.rpartition("_v3")[2] for path in store.exports_dir.iterdir())
    assert exports == [".json", ".pkl", "_csv", "older.json"]


def test_the_demo_that_ships_is_what_its_script_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    made = runpy.run_path(str(EXAMPLES / "make_demo_analysis.py"))["make_demo"]()
    shipped = json.loads((ROOT / "data" / "demo_analysis.json").read_text(encoding="utf-8"))
    check_close(made, shipped, "demo")


def check_close(made: Any, shipped: Any, path: str) -> None:
    """Compare all but the last digits of floats, which the processor's arithmetic decides."""
    if isinstance(shipped, dict):
        assert list(made) == list(shipped), path
        for key, value in shipped.items():
            check_close(made[key], value, f"{path}.{key}")
    elif isinstance(shipped, list):
        assert len(made) == len(shipped), path
        for i, value in enumerate(shipped):
            check_close(made[i], value, f"{path}[{i}]")
    elif isinstance(shipped, float) or isinstance(made, float):
        # Hidden states are rounded to three digits.
        assert made == pytest.approx(shipped, abs=2e-3), path
    else:
        assert made == shipped, path
