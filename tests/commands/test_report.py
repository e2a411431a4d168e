"""`concept-fragmentation report`: an analysis as one web page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.persistence import GPT2AnalysisPersistence


def test_a_report_is_written(
    run: Any, store: GPT2AnalysisPersistence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "one.html"
    assert run("report", "one", "--output", str(output)).stdout == f"{output}\n"
    page = output.read_text(encoding="utf-8")
    assert "<h1>First</h1>" in page
    # All layers, also where the page would show a third of them first.
    assert "layer_0 to layer_1, 2 layers" in page
    monkeypatch.chdir(tmp_path)
    assert run("report", "two", "--version", "1").stdout == "report-two.html\n"
    assert "distilgpt2" in (tmp_path / "report-two.html").read_text(encoding="utf-8")


def test_what_can_not_be_reported_is_said(run: Any, tmp_path: Path) -> None:
    assert "none" in run("report", "none", code=1).stderr
    assert "9" in run("report", "one", "--version", "9", code=1).stderr
    output = tmp_path / "no folder" / "one.html"
    said = run("report", "one", "--output", str(output), code=1).stderr
    assert str(output.name) in said
    assert "No such file" in said


def test_a_report_is_written_over_another_file_only_by_force(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    said = run("report", "First", "-o", str(path), code=1).output
    assert said == f"Error: '{path}' is there already; --force replaces it.\n"
    assert path.read_text() == "mine"
    run("report", "First", "-o", str(path), "--force")
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.glob("*.html")) == [path]
