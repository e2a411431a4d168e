"""One head of an analysis of 1,024 tokens (12 x 12 x 1024 x 1024 float32) without the others.

First through a handle, then as the page answers a browser that asks for another head.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from benchmarks.store import attention_analysis
from benchmarks.timing import Row, milliseconds
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
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
            with spawn.Pool(1) as pool:
                rows += [
                    (f"{what}, {kind}", figure) for what, figure in pool.apply(_draw, (folder,))
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
    return [
        ("open", milliseconds(statistics.median(opened))),
        ("open, switch to a head and sum it", _times(switched)),
        ("resident above idle, at most", _memory(most)),
    ]


def _draw(folder: str) -> list[Row]:
    """What the server takes to answer with the figure of one head after the other."""
    app = create_app(Settings(base_dir=Path(folder)))
    page = app.server.test_client()
    page.get("/")
    ask_for_figure(page, ids.ATTENTION_MATRIX, View())
    idle = _resident()
    most, switched, size = 0.0, [], 0
    for i in range(LAYERS * HEADS):
        view = View(analysis_id="large", version=1, layer=i % LAYERS, head=i // LAYERS)
        start = time.perf_counter()
        answer = ask_for_figure(page, ids.ATTENTION_MATRIX, view)
        switched.append(time.perf_counter() - start)
        size = max(size, len(answer))
        most = max(most, _resident() - idle)
    return [
        ("page: switch to a head and draw it", _times(switched)),
        ("page: its answer, at most", f"{size / 1e3:,.0f} KB (compressed)"),
        ("page: resident above idle, at most", _memory(most)),
    ]


def ask_for_figure(page: FlaskClient, figure_id: str, view: View) -> bytes:
    """Ask the page for a figure as a browser does; return the answer as it is sent."""
    answer = page.post(
        "/_dash-update-component",
        json={
            "output": f"{figure_id}.children",
            "outputs": {"id": figure_id, "property": "children"},
            "changedPropIds": [],
            "inputs": [
                {
                    "id": {"type": ids.FIGURE_VIEW, "index": figure_id},
                    "property": "data",
                    "value": {"query": view.to_query(), "theme": "light"},
                }
            ],
        },
        headers={"Accept-Encoding": "gzip, deflate, br, zstd"},
    )
    if answer.status_code != 200:
        raise RuntimeError(f"{figure_id} was answered with {answer.status}")
    return answer.data


def _times(seconds: list[float]) -> str:
    slowest = max(seconds)
    return (
        f"median {milliseconds(statistics.median(seconds))}, slowest {milliseconds(slowest)} "
        f"(goal 100 ms, {'reached' if slowest < MOST_SECONDS else 'MISSED'})"
    )


def _memory(most: float) -> str:
    megabytes = most / 1e6
    verdict = "reached" if megabytes < MOST_MEGABYTES else "MISSED"
    return f"{megabytes:.0f} MB (goal {MOST_MEGABYTES} MB, {verdict})"


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
