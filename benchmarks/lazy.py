"""One head of an analysis of 1,024 tokens (12 x 12 x 1024 x 1024 float32) without the others."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.store import attention_analysis
from benchmarks.timing import Row, milliseconds
from concept_fragmentation.persistence import GPT2AnalysisPersistence

TOKENS, LAYERS, HEADS = 1024, 12, 12
MOST_MEGABYTES, MOST_SECONDS = 150, 0.1


def run() -> list[Row]:
    """Head switches in a fresh process, of plain and of compressed files; what that saves."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as folder:
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(1) as pool:
            pool.apply(_save, (folder,))
        rows = []
        sizes = {}
        for kind in ("plain", "compressed"):
            if kind == "compressed":
                start = time.perf_counter()
                GPT2AnalysisPersistence(folder).compress_analysis("large")
                rows.append(("compress", f"{time.perf_counter() - start:.1f} s"))
            sizes[kind] = GPT2AnalysisPersistence(folder).list_analyses()[0]["size_bytes"]
            with spawn.Pool(1) as pool:
                rows += [
                    (f"{what}, {kind}", figure) for what, figure in pool.apply(_look, (folder,))
                ]
        share = sizes["compressed"] / sizes["plain"]
        rows.append(
            (
                "size compressed",
                f"{sizes['compressed'] / 1e6:.0f} of {sizes['plain'] / 1e6:.0f} MB: {share:.1%} "
                f"(goal 50%, {'reached' if share <= 0.5 else 'MISSED'})",
            )
        )
        return rows


def _save(folder: str) -> None:
    analysis = attention_analysis(TOKENS, LAYERS, HEADS)
    GPT2AnalysisPersistence(folder).save_analysis_results(analysis, "gpt2", "", "large")


def _look(folder: str) -> list[Row]:
    """Open and switch as a page does: every request opens the analysis anew."""
    store = GPT2AnalysisPersistence(folder)
    store.list_analyses(limit=1)
    idle = _resident()
    most, opened, switched = 0.0, [], []
    for i in range(LAYERS * HEADS):
        start = time.perf_counter()
        analysis = store.open_analysis("large")
        opened.append(time.perf_counter() - start)
        weights: Any = analysis.attention(f"layer_{i % LAYERS}", i // LAYERS)
        assert float(weights.sum()) > TOKENS - 1
        switched.append(time.perf_counter() - start)
        analysis.close()
        most = max(most, _resident() - idle)
    slowest = max(switched)
    megabytes = most / 1e6
    return [
        ("open", milliseconds(statistics.median(opened))),
        (
            "open, switch to a head and sum it",
            f"median {milliseconds(statistics.median(switched))}, slowest {milliseconds(slowest)} "
            f"(goal 100 ms, {'reached' if slowest < MOST_SECONDS else 'MISSED'})",
        ),
        (
            "resident above idle, at most",
            f"{megabytes:.0f} MB (goal {MOST_MEGABYTES} MB, "
            f"{'reached' if megabytes < MOST_MEGABYTES else 'MISSED'})",
        ),
    ]


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
