"""Figures of an open analysis are those of the page."""

from __future__ import annotations

import json
import pydoc
import re
import runpy
import subprocess
import sys
import venv
from collections import defaultdict
from collections.abc import Iterator
from inspect import getdoc, isfunction, signature
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation import figures
from concept_fragmentation.analysis import InvalidDataError, UnknownChoiceError
from concept_fragmentation.app import demo_analysis
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.flow import flow
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.options import CHECKS
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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GPT2AnalysisPersistence:
    store = GPT2AnalysisPersistence(tmp_path_factory.mktemp("store"))
    store.save_analysis_results(demo_analysis()["analysis_data"], "gpt2", "text", "demo")
    return store


@pytest.fixture(scope="module")
def opened(store: GPT2AnalysisPersistence) -> Iterator[AnalysisHandle]:
    with store.open_analysis("demo") as handle:
        yield handle


def same(left: go.Figure, right: go.Figure) -> bool:
    return bool(json.loads(left.to_json()) == json.loads(right.to_json()))


def options_of(name: str) -> list[str]:
    return [
        o for o in signature(getattr(figures, name)).parameters if o not in ("handle", "before")
    ]


@pytest.mark.parametrize("name", sorted(PUBLIC))
@pytest.mark.slow
def test_every_option_of_every_figure_is_checked(opened: AnalysisHandle, name: str) -> None:
    before = demo_analysis()["analysis_data"]
    given = dict(NEEDED_BY_NAME.get(name, {}))
    if "before" in signature(getattr(figures, name)).parameters:
        given["before"] = before
    for option in options_of(name):
        assert option in CHECKS
        with pytest.raises(UnknownChoiceError, match=r"\w+: .*(there is no|needed)"):
            getattr(opened, name)(**given | {option: object()})
    with pytest.raises(UnknownChoiceError, match="theme: there is no 'blue', only light, dark"):
        getattr(opened, name)(**given, theme="blue")


@pytest.mark.parametrize(
    ("plain", "full"),
    [
        ("mobility_score", "metric.mobility_score"),
        ("path_entropy", "metric.path_entropy"),
        ("part_of_speech", "token.part_of_speech"),
        ("path", "path"),
    ],
)
def test_colours_are_by_the_plain_name_of_a_metric_or_column(plain: str, full: str) -> None:
    data = with_parts_of_speech()
    drawn = figures.sankey(data, colour_by=plain)
    assert same(drawn, figures.sankey(data, colour_by=full))
    assert len(set(drawn.data[0].link.color)) > 2


def test_a_column_named_like_a_metric_is_meant_by_its_full_name() -> None:
    data = with_parts_of_speech()
    kinds = data["token_metadata"]["part_of_speech"]
    data["token_metadata"] |= {"mobility_score": kinds, "cluster": kinds}
    for name, other in (("mobility_score", "metric.mobility_score"), ("cluster", "cluster")):
        plain, full = (figures.sankey(data, colour_by=by) for by in (name, f"token.{name}"))
        assert same(plain, figures.sankey(data, colour_by=other))
        assert not same(plain, full)


def with_parts_of_speech() -> dict[str, Any]:
    data: dict[str, Any] = demo_analysis()["analysis_data"]
    number = len(data["token_metadata"]["tokens"])
    data["token_metadata"]["part_of_speech"] = [
        ("NOUN", "VERB", "DET")[i % 3] for i in range(number)
    ]
    return data


@pytest.mark.slow
def test_layers_are_names_or_positions_in_every_figure(opened: AnalysisHandle) -> None:
    for first, last in ((1, 3), ("block_1", "block_3"), (-4, -2), (np.int64(1), "block_3")):
        window = (first, last)
        assert same(opened.sankey(window), opened.sankey((1, 3)))
        assert same(opened.trajectories(list(window)), opened.trajectories((1, 3)))
    for layer in (2, "block_2", -3, np.int32(2)):
        assert same(opened.attention_matrix(layer), opened.attention_matrix("block_2"))
        assert same(opened.attention_rollout(layer), opened.attention_rollout("block_2"))
        assert same(opened.state_map(layer), opened.state_map("block_2"))
        assert same(opened.transitions(layer, -1), opened.transitions(2, 4))
        selected = opened.cluster_sizes(selected=[(layer, 1)])
        assert same(selected, opened.cluster_sizes(selected=[(2, 1)]))
        assert not same(selected, opened.cluster_sizes())


def test_positions_count_layers_without_labels_too() -> None:
    data = demo_analysis()["analysis_data"]
    del data["token_paths"], data["cluster_labels"]["block_1"]
    drawn = figures.sankey(data, (2, 4))
    assert same(drawn, figures.sankey(data, ("block_2", "block_4")))
    with pytest.raises(UnknownChoiceError, match="window: 'block_1' has no cluster labels, only"):
        figures.sankey(data, (1, 4))
    assert same(figures.transitions(data, 0, 2), figures.transitions(data, "embedding", "block_2"))


@pytest.mark.slow
def test_an_analysis_is_drawn_in_any_shape(opened: AnalysisHandle) -> None:
    drawn = opened.sankey((0, 3))
    for given in (opened.data, opened.to_dict(), opened.analysis):
        assert same(figures.sankey(given, (0, 3)), drawn)
    moved = opened.moved_by_layer(opened.to_dict())
    assert same(figures.moved_by_layer(opened.to_dict(), opened), moved)
    with pytest.raises(InvalidDataError, match="as open analyses or as dicts, not as Analysis"):
        figures.moved_by_layer(opened.analysis, opened)
    with pytest.raises(InvalidDataError, match="an analysis dict is needed, not str"):
        figures.sankey("demo")


def test_every_figure_is_a_method_of_an_open_analysis(opened: AnalysisHandle) -> None:
    assert set(dir(opened)) >= PUBLIC
    for name in PUBLIC:
        method = getattr(opened, name)
        assert method.__func__ is getattr(figures, name), name
        # What `help` shows.
        options = list(signature(method).parameters)
        assert options == list(signature(getattr(figures, name)).parameters)[1:]
        assert f"{name}(" in (text := pydoc.plain(pydoc.render_doc(method)))
        assert (getdoc(getattr(figures, name)) or "").splitlines()[0] in text


def test_type_checkers_know_the_figures_as_they_are() -> None:
    path = Path(__file__).parents[1] / "docs" / "make_figure_methods.py"
    made: dict[str, Any] = runpy.run_path(str(path))
    kept = made["TARGET"].read_text(encoding="utf-8")
    assert kept == made["stub"](), "run docs/make_figure_methods.py"


MISUSED = """
from concept_fragmentation.persistence import GPT2AnalysisPersistence

store = GPT2AnalysisPersistence("x")
opened = store.open_analysis("mine")
reveal_type(opened.sankey)
figure = opened.sankey(("block_1", -1), colour_by="mobility_score", theme="dark")
opened.moved_by_layer(opened)
opened.moved_by_layer(opened.data)
opened.sankee()
opened.sankey(theme="blue")
opened.sankey(color_by="path")
opened.state_map("block_1", projection="tsne")
opened.metrics("tokens")
"""


@pytest.mark.slow
def test_a_type_checker_refuses_what_is_not_there(tmp_path: Path) -> None:
    """As in an environment that `make` made: an editable installation, and a link for checkers."""
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    (packages / "concept_fragmentation-stubs").symlink_to(Path(__file__).parents[1])
    script = tmp_path / "script.py"
    script.write_text(MISUSED)
    python = tmp_path / "venv" / "bin" / "python"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", python, "--cache-dir=cache", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said: dict[int, str] = defaultdict(str)
    for line in done.stdout.splitlines():
        if line.startswith("script.py:"):
            said[int(line.split(":")[1])] += line
    assert "def (window: tuple[str | int, str | int] | None =" in said[6]
    assert '"AnalysisHandle" has no attribute "sankee"' in said[10]
    assert 'Argument "theme" to "sankey"' in said[11]
    assert 'Unexpected keyword argument "color_by"' in said[12]
    assert 'Argument "projection" to "state_map"' in said[13]
    assert 'Argument 1 to "metrics"' in said[14]
    assert not {7, 8, 9} & set(said), said


def test_a_figure_needs_no_choices(opened: AnalysisHandle) -> None:
    for name in FIGURES - {"transitions"}:
        assert isinstance(getattr(opened, name)(), go.Figure), name
    assert isinstance(opened.transitions(0, 1), go.Figure)


def test_every_figure_of_the_page_is_here(store: GPT2AnalysisPersistence) -> None:
    workspace = Workspace(store)
    view = workspace.settle(View(tokens=(1, 2)))
    assert {source.call(workspace, view).function for source in SOURCES.values()} == PUBLIC


@pytest.mark.slow
def test_they_are_what_the_page_draws(
    store: GPT2AnalysisPersistence, opened: AnalysisHandle
) -> None:
    workspace = Workspace(store)
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


NEEDED_BY_NAME: dict[str, dict[str, Any]] = {
    "attention_flow": {"token": 0},
    "attention_matrix": {"layer": "block_1"},
    "attention_rollout": {"layer": "block_1"},
    "compared_tokens": {"tokens": [0, 1]},
    "state_map": {"layer": "block_1"},
    "token_rollout": {"token": 0},
    "transitions": {"source": 0, "target": 1},
}


@pytest.mark.slow
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
        ("state_map", {"layer": "no such"}, "layer: there is no 'no such', only embedding"),
        ("transitions", {"source": 0, "target": 99}, "layer: there is no 99, only 0 to 4"),
        ("compared_tokens", {"tokens": [3, 999]}, "token: there is no 999, only 0 to 116"),
        ("layer_similarity", {"measure": "no such"}, "measure: there is no 'no such'"),
        ("layer_similarity", {"measure": "ckaa"}, "did you mean 'cka'"),
        ("state_map", {"layer": 0, "projection": "tsne"}, "there is no 'tsne', only pca, umap"),
        ("state_map", {"layer": "blok_1"}, "did you mean 'block_1'"),
        ("sankey", {"window": ("a", "b")}, "window: there is no 'a', only embedding, block_1"),
        ("sankey", {"window": "block_1"}, "the first and the last layer are needed, such as"),
        ("sankey", {"window": 3}, "the first and the last layer are needed, such as"),
        ("sankey", {"window": (0, 1, 2)}, "the first and the last layer are needed, such as"),
        ("sankey", {"window": (0.0, 1)}, "a layer's name or its position is needed, not 0.0"),
        ("sankey", {"window": (False, True)}, "its position is needed, not False"),
        ("sankey", {"colour_by": "moblity_score"}, "did you mean 'mobility_score'"),
        ("sankey", {"colour_by": "metric.nothing"}, "colour_by: there is no 'metric.nothing'"),
        ("sankey", {"colour_by": "token.nothing"}, "only cluster, path, cluster_changes"),
        ("sankey", {"colour_by": None}, "colour_by: there is no None"),
        ("sankey", {"min_count": 0}, "min_count: a whole number from 1 is needed, not 0"),
        ("sankey", {"min_count": 2.5}, "min_count: a whole number from 1 is needed, not 2.5"),
        ("sankey", {"highlighted_tokens": [117]}, "token: there is no 117, only 0 to 116"),
        ("sankey", {"highlighted_tokens": [True]}, "token: a whole number is needed, not True"),
        ("sankey", {"highlighted_tokens": 3}, "tokens: a list of indices is needed, not 3"),
        ("sankey", {"highlighted_tokens": "cat"}, "tokens: a list of indices is needed"),
        ("sankey", {"highlighted_paths": [(0, 1)]}, "has 2 clusters where the window has 5 layers"),
        ("sankey", {"highlighted_paths": [(9, 9, 9, 9, 9)]}, "path: no token takes"),
        ("trajectories", {"highlighted_paths": [3]}, "path: a list of clusters is needed, not 3"),
        ("trajectories", {"highlighted_paths": [("a",) * 5]}, "numbers of clusters are needed"),
        ("cluster_sizes", {"selected": [("block_9", 0)]}, "layer: there is no 'block_9'"),
        ("cluster_sizes", {"selected": [(0, 99)]}, "cluster: there is no 99 in embedding, only"),
        ("cluster_sizes", {"selected": [0]}, "selected: a layer and a cluster are needed"),
        ("attention_flow", {"token": 0, "threshold": 2}, "threshold: a share from 0 to 1"),
        ("attention_flow", {"token": 0, "threshold": "x"}, "threshold: a share from 0 to 1"),
        ("attention_flow", {"token": "cat"}, "token: a whole number is needed, not 'cat'"),
        ("attention_matrix", {"layer": 0}, "layer: there is no 'embedding', only block_1"),
        ("attention_matrix", {"layer": 1, "head": True}, "head: a whole number is needed"),
        ("transitions", {"source": 0.5, "target": 1}, "its position is needed, not 0.5"),
    ],
)
@pytest.mark.slow
def test_what_is_not_there_is_named(
    opened: AnalysisHandle, name: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidDataError, match=said):
        getattr(opened, name)(**given)
