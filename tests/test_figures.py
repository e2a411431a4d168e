"""Figures of an open analysis are those of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import InvalidDataError
from concept_fragmentation.app import demo_analysis
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.flow import flow
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisHandle, GPT2AnalysisPersistence

FIGURES = {
    "attention_by_layer",
    "cluster_entropy",
    "cluster_sizes",
    "concept_metrics",
    "path_metrics",
    "sankey",
    "transitions",
}


@pytest.fixture
def store(tmp_path: Path) -> GPT2AnalysisPersistence:
    store = GPT2AnalysisPersistence(tmp_path / "store")
    store.save_analysis_results(demo_analysis()["analysis_data"], "gpt2", "text", "demo")
    return store


@pytest.fixture
def opened(store: GPT2AnalysisPersistence) -> Iterator[AnalysisHandle]:
    with store.open_analysis("demo") as handle:
        yield handle


def same(left: go.Figure, right: go.Figure) -> bool:
    return bool(json.loads(left.to_json()) == json.loads(right.to_json()))


def test_an_open_analysis_has_every_figure(opened: AnalysisHandle) -> None:
    assert set(dir(opened)) >= FIGURES
    for name in FIGURES - {"transitions"}:
        assert isinstance(getattr(opened, name)(), go.Figure), name
    assert isinstance(opened.transitions(0, 1), go.Figure)


def test_they_are_what_the_page_draws(
    store: GPT2AnalysisPersistence, opened: AnalysisHandle
) -> None:
    workspace = Workspace(store, demo_analysis())
    first = workspace.settle(View(analysis_id="demo"))
    assert same(opened.sankey(), flow(workspace, first, "light").figure)
    view = workspace.settle(View(analysis_id="demo", first=1, last=3, colour_by="path"))
    drawn = opened.sankey((1, 3), colour_by="path")
    assert same(drawn, flow(workspace, view, "light").figure)
    for name, figure_id in {
        "path_metrics": ids.PATH_METRICS,
        "cluster_sizes": ids.CLUSTER_SIZES,
        "cluster_entropy": ids.CLUSTER_ENTROPY,
    }.items():
        drawn = getattr(opened, name)((1, 3), theme="dark")
        assert same(drawn, SOURCES[figure_id].draw(workspace, view, "dark")), name


def test_what_can_not_be_drawn_is_said(tmp_path: Path) -> None:
    store = GPT2AnalysisPersistence(tmp_path / "store")
    bare: dict[str, Any] = {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": [" a"]},
    }
    store.save_analysis_results(bare, "gpt2", "a", "bare")
    with store.open_analysis("bare") as opened:
        for name in FIGURES - {"transitions"}:
            with pytest.raises(InvalidDataError):
                getattr(opened, name)()
        with pytest.raises(AttributeError, match="no attribute 'no_such_figure'"):
            opened.no_such_figure  # noqa: B018
    store.save_analysis_results(demo_analysis()["analysis_data"], "gpt2", "", "demo")
    with store.open_analysis("demo") as opened, pytest.raises(InvalidDataError, match="layer"):
        opened.sankey((0, 99))
