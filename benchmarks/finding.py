"""Finding analyses among many: beside MLflow's runs in SQLite, and beside one JSON file each.

The stores are filled through the code that saves, with two things put off: nothing is flushed to
the disk, and the catalog is built once at the end, by the code that rebuilds a lost one. What is
measured afterwards runs unchanged. MLflow's database is filled without flushing too. MLflow does
not install beside pandas 3: it has an environment of its own, which `make bench` makes from the
extra `bench`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.timing import ROOT, Row, median, milliseconds, real_analysis
from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence
from concept_fragmentation.persistence.catalog import Catalog

SIZES = (100, 1_000, 10_000)
LARGEST = 100_000
SHOWN = 50
SAVES = 31
MLFLOW_PYTHON = ROOT / ".bench" / "bin" / "python"

Record = dict[str, Any]


class Question:
    """One question, as each of the three is asked it."""

    def __init__(self, ours: dict[str, Any], fits: Callable[[Record], bool], mlflow: str) -> None:
        self.ours = ours
        self.fits = fits
        self.mlflow = mlflow


QUESTIONS = {
    "newest": Question({}, lambda _: True, ""),
    "by model": Question(
        {"model_name": "distilgpt2"},
        lambda r: r["model_name"] == "distilgpt2",
        "params.model_name = 'distilgpt2'",
    ),
    "by tag": Question(
        {"tag": "ablation"}, lambda r: "ablation" in r["tags"], "tags.ablation = '1'"
    ),
    "by name prefix": Question(
        {"name_prefix": "Run 7"},
        lambda r: r["name"].startswith("Run 7"),
        "attributes.run_name LIKE 'Run 7%'",
    ),
    "by words, frequent": Question(
        {"search": "the of"},
        lambda r: all(word in text_of(r) for word in ("the", "of")),
        "tags.text ILIKE '%the%' AND tags.text ILIKE '%of%'",
    ),
    "by words, one has them": Question(
        {"search": "needle 42"},
        lambda r: all(word in text_of(r) for word in ("needle", "42")),
        "tags.text ILIKE '%needle%' AND tags.text ILIKE '%42%'",
    ),
    "by tokens": Question(
        {"min_tokens": 200, "max_tokens": 220},
        lambda r: 200 <= r["num_tokens"] <= 220,
        "metrics.num_tokens >= 200 AND metrics.num_tokens <= 220",
    ),
    "by layers, none has so many": Question(
        {"min_layers": 49}, lambda r: r["num_layers"] >= 49, "metrics.num_layers >= 49"
    ),
}
# MLflow's part gives its runs times of its own, a millisecond apart.
MLFLOW_START = 1_700_000_000_000


def by_date(moments: list[datetime]) -> Question:
    """A tenth of the analyses, from the middle; `moments`: when each was about to be saved."""
    first = len(moments) // 2
    end = first + len(moments) // 10
    return Question(
        {"since": moments[first], "until": moments[end]},
        lambda r: first <= r["number"] < end,
        f"attributes.start_time >= {MLFLOW_START + first} AND "
        f"attributes.start_time < {MLFLOW_START + end}",
    )


def text_of(record: Record) -> str:
    parts = (record["name"], record["notes"], record["input_text"], *record["tags"])
    return "\n".join(parts).lower()


def make_records(count: int) -> Iterator[Record]:
    """The same records in every run: texts of real tokens, frequent ones more often."""
    rng = random.Random(0)
    tokens = real_analysis()["token_metadata"]["tokens"]
    words = [token.strip() for token in tokens if token.strip().isalpha()]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    for i in range(count):
        drawn = rng.choices(words, weights, k=68)
        yield {
            "number": i,
            "name": f"Run {i}",
            "model_name": rng.choice(["gpt2", "gpt2-medium", "distilgpt2"]),
            "input_text": " ".join(drawn[:60]),
            "notes": " ".join(drawn[60:]) + (" needle 42" if i == 42 else ""),
            "tags": rng.sample(["pos", "suffix", "baseline", "ablation", "keep"], 2),
            "num_tokens": max(1, min(int(rng.lognormvariate(3.5, 1)), 1000)),
            "num_layers": rng.choice([6, 12, 24]),
        }


def save(store: GPT2AnalysisPersistence, record: Record) -> str:
    analysis = {
        "model_type": record["model_name"],
        "layers": [f"layer_{i}" for i in range(record["num_layers"])],
        "token_metadata": {"tokens": ["a"] * record["num_tokens"]},
    }
    labels = {key: record[key] for key in ("name", "tags", "notes")}
    return store.save_analysis_results(
        analysis, record["model_name"], record["input_text"], **labels
    )


@contextlib.contextmanager
def filling(store: GPT2AnalysisPersistence) -> Iterator[None]:
    """Save without flushing and without the catalog, which is made anew afterwards."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(os, "fsync"))
        for method, answer in (("announce", {}), ("record", None)):
            stack.enter_context(mock.patch.object(Catalog, method, return_value=answer))
        yield
    for file in (store.base_dir / "metadata").glob("catalog.sqlite*"):
        file.unlink()
    store.list_analyses(limit=1)


class OneFileEach:
    """A JSON file an analysis; every question opens them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.count = 0

    def save(self, record: Record) -> None:
        self.count += 1
        with (self.folder / f"{self.count:06d}.json").open("w") as file:
            json.dump(record | {"timestamp": self.count}, file, indent=2)

    def ask(self, fits: Callable[[Record], bool]) -> list[Record]:
        found = [json.loads(path.read_bytes()) for path in self.folder.glob("*.json")]
        found.sort(key=lambda record: int(record["timestamp"]), reverse=True)
        return list(filter(fits, found))[:SHOWN]


class MLflow:
    """MLflow in an environment of its own: asked line by line, it answers with its own times."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("mlflow_side.py")
        self._process = subprocess.Popen(
            [MLFLOW_PYTHON, script, f"sqlite:///{folder / 'mlflow.db'}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def run() -> list[Row]:
    """Each question at each size, then what a hundred thousand analyses cost elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path.cwd()))
    mlflow = MLflow(folder) if MLFLOW_PYTHON.exists() else None
    try:
        return list(_rows(folder, mlflow))
    finally:
        if mlflow is not None:
            mlflow.close()
        shutil.rmtree(folder)


def _rows(folder: Path, mlflow: MLflow | None) -> Iterator[Row]:
    if mlflow is None:
        yield ("MLflow", "not installed; `make bench` installs it")
    store = GPT2AnalysisPersistence(folder / "ours")
    plain = OneFileEach(folder / "plain")
    records = make_records(LARGEST)
    moments: list[datetime] = []
    for size in (*SIZES, LARGEST):
        added = [next(records) for _ in range(size - len(moments))]
        start = time.perf_counter()
        with filling(store):
            for record in added:
                moments.append(datetime.now(UTC))
                save(store, record)
        yield (f"{size:,} analyses", f"filled in {time.perf_counter() - start:,.0f} s")
        beside = size < LARGEST
        if beside:
            for record in added:
                plain.save(record)
            if mlflow is not None:
                mlflow.ask(save=added)
        for name, question in (QUESTIONS | {"by date": by_date(moments)}).items():
            yield (f"  {name}", _ask(question, store, plain, mlflow, beside=beside))
    yield from _elsewhere(store, GPT2AnalysisPersistence(folder / "empty"))


def _ask(
    question: Question,
    store: GPT2AnalysisPersistence,
    plain: OneFileEach,
    mlflow: MLflow | None,
    *,
    beside: bool,
) -> str:
    found = store.list_analyses(**question.ours, limit=SHOWN)
    ours = median(lambda: store.list_analyses(**question.ours, limit=SHOWN), 15)
    said = f"{milliseconds(ours):>9} ({len(found)} found)"
    if not beside:
        return said
    names = [entry["name"] for entry in found]
    assert names == [record["name"] for record in plain.ask(question.fits)]
    theirs = median(lambda: plain.ask(question.fits), 3)
    said += f"; JSON files {milliseconds(theirs):>9}, {theirs / ours:7.1f}x"
    if mlflow is not None:
        answer = mlflow.ask(filter=question.mlflow, limit=SHOWN)
        assert answer["names"] == names
        said += f"; MLflow {milliseconds(answer['seconds']):>9}, {answer['seconds'] / ours:6.1f}x"
    return said


def _elsewhere(store: GPT2AnalysisPersistence, empty: GPT2AnalysisPersistence) -> Iterator[Row]:
    times: dict[str, list[float]] = {"full": [], "empty": []}
    for number, record in enumerate(make_records(SAVES)):
        for name, into in (("full", store), ("empty", empty)):
            start = time.perf_counter()
            identifier = save(into, record)
            # The first save makes folders and the catalog.
            if number:
                times[name].append(time.perf_counter() - start)
    full, fresh = (statistics.median(times[name]) for name in ("full", "empty"))
    yield (
        f"save one more into {LARGEST:,}",
        f"{milliseconds(full):>9}, into an empty store {milliseconds(fresh)}: {full / fresh:.2f}x",
    )
    identifier = store.list_analyses(limit=1)[0]["analysis_id"]

    def miss() -> None:
        with contextlib.suppress(AnalysisNotFoundError):
            store.load_analysis_results("gpt2-20260101-000000-00000000")

    for what, action in {
        "open the store": lambda: GPT2AnalysisPersistence(store.base_dir),
        "load one": lambda: store.load_analysis_results(identifier),
        "list its versions": lambda: store.list_versions(identifier),
        "rename it": lambda: store.update_analysis(identifier, name="renamed"),
        "name what is near an id that is not there": miss,
    }.items():
        yield (f"{what}, of {LARGEST:,}", f"{milliseconds(median(action)):>9}")
