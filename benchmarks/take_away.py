"""Taking an analysis of 10,000 tokens x 12 layers away, and listing fifty of them with pictures."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.timing import Row, median, milliseconds, real_analysis
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.catalogue import library_rows
from concept_fragmentation.callbacks.downloads import html_text
from concept_fragmentation.callbacks.report import report_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

ROWS = 50


def run() -> list[Row]:
    """Time and size of a report and of a figure's page; a page of the library, first and again."""
    with tempfile.TemporaryDirectory() as folder:
        store = GPT2AnalysisPersistence(folder)
        for i in range(ROWS):
            store.save_analysis_results(real_analysis(), "gpt2", "", f"a{i}")
        workspace = Workspace(store)
        view = workspace.settle(View(analysis_id="a0", first=0, last=11))
        server = create_app(Settings(base_dir=Path(folder))).server.test_client()

        def picture(address: str) -> int:
            return len(server.get(f"/{address}").data)

        def page() -> list[int]:
            listed = library_rows(workspace, {}, "")[0]["rowData"]
            return [picture(row["thumbnail"]) for row in listed]

        rows: list[Row] = []
        for name, make in {
            "report of all layers": lambda: report_of(workspace, view),
            "token flow as a web page": lambda: html_text(workspace, ids.SANKEY, view, "light"),
        }.items():
            took = milliseconds(median(make))
            rows.append((name, f"{took:>9}, {len(make().encode()) / 1e6:.1f} MB"))
        began = time.perf_counter()
        sizes = page()
        first = (time.perf_counter() - began) / len(sizes)
        rows.append(("a thumbnail, drawn", f"{milliseconds(first):>9}, {max(sizes) / 1000:.0f} kB"))
        named = f"{ROWS} rows of the library with their thumbnails, again"
        rows.append((named, f"{milliseconds(median(page)):>9}"))
        return rows
