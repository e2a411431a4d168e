"""Figures of an open analysis are those of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import isfunction
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from concept_fragmentation import figures
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
PUBLIC = {
    name
    for name, function in vars(figures).items()
    if isfunction(function) and function.__module__ == figures.__name__ and name[0] != "_"
}

# As many as 390 pixels hold beside the margins of the page and of a card.
MOST_CHARACTERS = 63


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


def test_every_figure_is_a_method_of_an_open_analysis(opened: AnalysisHandle) -> None:
    assert set(dir(opened)) >= PUBLIC
    for name in PUBLIC:
        assert getattr(opened, name).func is getattr(figures, name), name


def test_a_figure_needs_no_choices(opened: AnalysisHandle) -> None:
    for name in FIGURES - {"transitions"}:
        assert isinstance(getattr(opened, name)(), go.Figure), name
    assert isinstance(opened.transitions(0, 1), go.Figure)


def test_every_figure_of_the_page_is_here(store: GPT2AnalysisPersistence) -> None:
    workspace = Workspace(store, demo_analysis())
    view = workspace.settle(View(tokens=(1, 2)))
    assert {source.call(workspace, view).function for source in SOURCES.values()} == PUBLIC


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
        for name in PUBLIC:
            with pytest.raises(InvalidDataError):
                getattr(opened, name)(*NEEDED.get(name, ()))
        with pytest.raises(AttributeError, match="no attribute 'no_such_figure'"):
            opened.no_such_figure  # noqa: B018


# What a figure can't be drawn without.
NEEDED: dict[str, tuple[Any, ...]] = {
    "attention_flow": (0,),
    "attention_matrix": ("layer_0",),
    "attention_rollout": ("layer_0",),
    "compared_tokens": ([0, 1],),
    "state_map": ("layer_0",),
    "token_rollout": (0,),
    "transitions": (0, 1),
} | dict.fromkeys(
    ("compared_metrics", "difference_flow", "moved_by_layer", "moved_tokens"),
    (demo_analysis()["analysis_data"],),
)


def test_what_stands_above_and_below_a_figure_fits_a_narrow_page(opened: AnalysisHandle) -> None:
    before = demo_analysis()["analysis_data"]
    before["cluster_labels"]["block_1"].reverse()
    del before["token_paths"]
    for name in PUBLIC:
        given = [
            "block_1" if value == "layer_0" else before if isinstance(value, dict) else value
            for value in NEEDED.get(name, ())
        ]
        layout = getattr(opened, name)(*given).layout
        assert 10 < len(layout.title.subtitle.text) <= MOST_CHARACTERS, name
        legends = [note.text for note in layout.annotations if "■" in note.text]
        for line in "<br>".join(legends).split("<br>"):
            assert len(re.sub("<.*?>", "", line)) <= MOST_CHARACTERS, (name, line)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("sankey", {"window": (0, 99)}, "window: 0 to 99"),
        ("attention_matrix", {"layer": "block_1", "head": 99}, "head: there is no 99, only 0 to"),
        ("attention_matrix", {"layer": "no such"}, "layer: there is no 'no such', only block_1"),
        ("attention_matrix", {"layer": "block_1", "sequence": 7}, "sequence: there is no 7"),
        ("path_attention_by_layer", {"sequence": 7}, "sequence: there is no 7"),
        ("attention_flow", {"token": -1}, "token: there is no -1"),
        ("token_rollout", {"token": 10**6}, "token: there is no 1000000"),
        ("state_map", {"layer": "no such"}, "no hidden states of no such"),
        ("transitions", {"source": 0, "target": 99}, "layer: there is no 99, only 0 to 4"),
        ("compared_tokens", {"tokens": [3, 999]}, "token: there is no 999, only 0 to 116"),
        ("layer_similarity", {"measure": "no such"}, "measure: there is no 'no such'"),
    ],
)
def test_what_is_not_there_is_named(
    opened: AnalysisHandle, name: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidDataError, match=said):
        getattr(opened, name)(**given)
