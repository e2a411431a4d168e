"""The store beside the layout that notebooks use: one indented JSON file and one metadata file."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.analysis import with_token_paths
from concept_fragmentation.persistence import GPT2AnalysisPersistence

LISTED = 10_000


class PlainJson:
    """`json.dump(indent=2)` of lists, one metadata file an analysis, listed by opening them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def save(self, identifier: str, analysis: dict[str, Any]) -> None:
        with (self.folder / f"{identifier}.json").open("w") as file:
            json.dump(analysis, file, indent=2)
        self.save_metadata(identifier)

    def save_metadata(self, identifier: str) -> None:
        number = int(identifier.rsplit("-", maxsplit=1)[-1])
        metadata = {
            "analysis_id": identifier,
            "name": identifier,
            "model_name": "gpt2",
            "input_text": "the quick brown fox",
            "timestamp": f"2026-01-01T00:00:00.{number:06d}+00:00",
            "version": 1,
            "tags": ["benchmark"],
            "notes": "",
        }
        with (self.folder / f"{identifier}_metadata.json").open("w") as file:
            json.dump(metadata, file, indent=2)

    def load(self, identifier: str) -> Any:
        with (self.folder / f"{identifier}.json").open() as file:
            return json.load(file)

    def newest(self, limit: int) -> list[dict[str, Any]]:
        found = []
        for path in self.folder.glob("*_metadata.json"):
            with path.open() as file:
                found.append(json.load(file))
        return sorted(found, key=lambda entry: str(entry["timestamp"]), reverse=True)[:limit]


def attention_analysis(tokens: int = 256, layers: int = 12, heads: int = 12) -> dict[str, Any]:
    """Causal softmax weights of random scores, float32, as a model gives them."""
    rng = np.random.default_rng(0)
    names = [f"layer_{i}" for i in range(layers)]
    future = np.triu(np.ones((tokens, tokens), dtype=bool), 1)
    attention = {}
    for name in names:
        scores = rng.normal(size=(heads, tokens, tokens)) * 2
        scores[:, future] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        attention[name] = {"num_heads": heads, "attention_probs": weights.astype(np.float32)}
    return {
        "model_type": "gpt2",
        "layers": names,
        "token_metadata": {"tokens": [f"token {i}" for i in range(tokens)]},
        "attention_data": attention,
    }


def as_lists(value: Any) -> Any:
    """What a notebook does before `json.dump`: arrays become lists."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def run() -> list[Row]:
    """Save, load and list, ours and theirs, with the ratios to reach."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path.cwd()))
    try:
        return [*_save_and_load(folder), *_listing(folder)]
    finally:
        shutil.rmtree(folder)


def _save_and_load(folder: Path) -> list[Row]:
    real = real_analysis()
    rows: list[Row] = []
    cases = (
        ("10,000 tokens, labels only", real, 9, (3, 3)),
        ("10,000 tokens with token paths", with_token_paths(real), 9, (3, 3)),
        ("256 tokens with attention", attention_analysis(), 3, (50, 200)),
    )
    for number, (name, analysis, repeat, (save_goal, load_goal)) in enumerate(cases):
        store = GPT2AnalysisPersistence(folder / f"store-{number}")
        plain = PlainJson(folder / f"plain-{number}")
        lists = as_lists(analysis)
        ours = median(
            lambda s=store, a=analysis: s.save_analysis_results(a, "gpt2", "", "a"), repeat
        )
        theirs = median(lambda p=plain, a=lists: p.save("a-1", a), repeat)
        rows.append((f"save, {name}", _ratio(ours, theirs, save_goal)))
        ours = median(lambda s=store: s.load_analysis_results("a"), repeat)
        theirs = median(lambda p=plain: p.load("a-1"), repeat)
        rows.append((f"load, {name}", _ratio(ours, theirs, load_goal)))
        fresh = GPT2AnalysisPersistence(folder / f"store-{number}", enable_cache=False)
        ours = median(lambda s=fresh: s.load_analysis_results("a"), repeat)
        rows.append((f"load without the cache, {name}", _ratio(ours, theirs, load_goal)))
    return rows


def _listing(folder: Path) -> list[Row]:
    store = GPT2AnalysisPersistence(folder / "many")
    plain = PlainJson(folder / "many-plain")
    tiny = {"model_type": "gpt2", "layers": ["l"], "token_metadata": {"tokens": ["a"]}}
    for i in range(LISTED):
        store.save_analysis_results(tiny, "gpt2", "the quick brown fox", f"a-{i}", tags=["bench"])
        plain.save_metadata(f"a-{i}")
    # Several in a row: one alone, right after a collection of garbage, measures cold caches.
    ours = median(lambda: [store.list_analyses(limit=50) for _ in range(20)], 15) / 20
    theirs = median(lambda: plain.newest(50), 3)
    assert [entry["analysis_id"] for entry in store.list_analyses(limit=50)] == [
        entry["analysis_id"] for entry in plain.newest(50)
    ]
    return [(f"newest 50 of {LISTED:,}", _ratio(ours, theirs, 200))]


def _ratio(ours: float, theirs: float, goal: float) -> str:
    reached = "reached" if theirs / ours >= goal else "MISSED"
    return (
        f"{milliseconds(ours):>10} beside {milliseconds(theirs):>10}: "
        f"{theirs / ours:6.1f}x (goal {goal}x, {reached})"
    )
