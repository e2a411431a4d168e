"""Analyses with hardly anything in them: every figure draws or says in a sentence what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from concept_fragmentation import figures
from concept_fragmentation.analysis import (
    NO_CLUSTER,
    Analysis,
    ConceptFragmentationError,
    compare_analyses,
    layer_window,
    window_significance,
    with_token_paths,
)
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.overview import summary
from concept_fragmentation.callbacks.report import report_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.figures.theme import sentence_of
from concept_fragmentation.components.standouts import significance_of_all_layers, standouts
from concept_fragmentation.components.thumbnail import thumbnail
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

LAYERS = 3
SOME = np.array([[0, 1, 2], [0, 0, 1], [1, 1, 0], [2, 1, 1], [0, 2, 2], [1, 0, 0]])


def made(labels: Any, **columns: Any) -> dict[str, Any]:
    labels = np.asarray(labels)
    num_tokens, num_layers = labels.shape
    names = [f"layer_{i}" for i in range(num_layers)]
    weights = np.tril(np.ones((2, num_tokens, num_tokens), dtype=np.float32))
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1)
    generator = np.random.default_rng(0)
    return {
        "model_type": "gpt2",
        "layers": names,
        "token_metadata": {
            "tokens": [f"t{i}" for i in range(num_tokens)],
            "kind": ["a", "b", "a", "b", "a", "b"][:num_tokens],
        }
        | columns,
        "cluster_labels": {name: labels[:, i].tolist() for i, name in enumerate(names)},
        "hidden_states": {name: generator.normal(size=(num_tokens, 4)) for name in names},
        "attention_data": {name: {"attention_probs": weights, "num_heads": 2} for name in names},
        "cluster_metrics": {name: {"silhouette": float("nan"), "purity": 0.5} for name in names},
    }


def bare(analysis: dict[str, Any]) -> dict[str, Any]:
    needed = ("model_type", "layers", "token_metadata", "cluster_labels")
    return {key: analysis[key] for key in needed}


def without(layer: int) -> Any:
    labels = SOME.copy()
    labels[:, layer] = NO_CLUSTER
    return labels


def disjoint() -> Any:
    """No token has a cluster in both of the first two layers."""
    labels = SOME.copy()
    labels[:3, 0] = labels[3:, 1] = NO_CLUSTER
    return labels


NONE = np.full(SOME.shape, NO_CLUSTER)
CASES = {
    "no clusters in the first layer": made(without(0)),
    "no clusters in a layer": made(without(1)),
    "no clusters in the last layer": made(without(2)),
    "no clusters": made(NONE),
    "no clusters, nothing else": bare(made(NONE)),
    "no token in two layers": made(disjoint()),
    "nothing but padding": made(SOME, attention_mask=[0] * len(SOME)),
    "no tokens": made(NONE[:0]),
    "no tokens, nothing else": bare(made(NONE[:0])),
    "one token": made(SOME[:1]),
    "one token without a cluster": made(NONE[:1]),
    "one layer": made(SOME[:, :1]),
    "one layer without a cluster": made(NONE[:, :1]),
    "one token in one layer": made(SOME[:1, :1]),
    "one cluster": made(np.zeros(SOME.shape, dtype=int)),
    "two tokens that are the same": made(np.zeros((2, 3), dtype=int), tokens=["x", "x"]),
    "tokens without a character": made(SOME, tokens=["", "a", "", "\ufffd", " ", "\n"]),
    "no labels": {"model_type": "m", "layers": ["a", "b"], "token_metadata": {"tokens": ["x"]}},
    "no tokens, no labels": {"model_type": "m", "layers": ["a"], "token_metadata": {"tokens": []}},
}


@pytest.fixture(params=CASES)
def sparse(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CASES[request.param]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.slow
def test_everything_on_the_page_is_drawn_or_says_what_it_lacks(
    sparse: dict[str, Any], tmp_path: Path
) -> None:
    store = GPT2AnalysisPersistence(tmp_path)
    store.save_analysis_results(sparse, "gpt2", "text", "mine", name="Mine")
    workspace = Workspace(store)
    view = workspace.settle(View(analysis_id="mine", other="mine"))
    for figure_id, source in SOURCES.items():
        drawn = source.draw(workspace, view, "light")
        said = drawn if isinstance(drawn, str) else sentence_of(drawn)
        if said is None:
            assert shows_something(drawn), figure_id
        else:
            assert said.rstrip()[-1] in ".”", figure_id
        source.frame(workspace, view)
    assert summary(workspace, view)
    assert thumbnail(workspace.shown(view).analysis, view).startswith("<svg")
    with store.open_analysis("mine") as handle:
        assert handle.metrics() is not None
        assert len(handle.metrics("token")) == len(sparse["token_metadata"]["tokens"])
        assert handle._repr_html_()


@pytest.mark.parametrize(
    "case", ["no clusters in a layer", "no clusters", "no tokens", "no labels"]
)
def test_there_is_a_report_of_it(case: str, tmp_path: Path) -> None:
    store = GPT2AnalysisPersistence(tmp_path)
    store.save_analysis_results(CASES[case], "gpt2", "text", "mine", name="Mine")
    workspace = Workspace(store)
    assert "Mine" in report_of(workspace, workspace.settle(View(analysis_id="mine")))


def shows_something(figure: Any) -> bool:
    """Whether a figure has a number in it that is one."""
    for trace in figure.data:
        for name in ("z", "y", "x"):
            if name in trace and pd.notna(np.ravel(trace[name])).any():
                return True
        if trace.type == "sankey" and len(trace.link.value):
            return True
    return False


def choices_of(function: Callable[..., go.Figure], analysis: dict[str, Any]) -> dict[str, Any]:
    """The least that a figure needs to be asked for."""
    layers = analysis["layers"]
    known = {
        "source": 0,
        "target": -1,
        "layer": layers[0],
        "token": 0,
        "tokens": [0, 1],
        "before": CASES["one cluster"],
    }
    needed = [
        name
        for name, parameter in signature(function).parameters.items()
        if parameter.default is parameter.empty and name != "handle"
    ]
    return {name: known[name] for name in needed}


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_figure_of_a_notebook_is_drawn_or_says_what_it_lacks(sparse: dict[str, Any]) -> None:
    functions = {
        name: function
        for name, function in vars(figures).items()
        if getattr(function, "__module__", "") == figures.__name__ and name[0].islower()
    }
    assert len(functions) > 20
    for name, function in functions.items():
        try:
            figure = function(sparse, **choices_of(function, sparse))
        except ConceptFragmentationError as error:
            assert str(error).endswith("."), name
        else:
            json.loads(figure.to_json())


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_number_is_computed_or_refused_in_a_sentence(sparse: dict[str, Any]) -> None:
    analysis = Analysis.from_dict(sparse)
    assert str(compare_analyses(sparse, CASES["one cluster"]))
    assert str(compare_analyses(CASES["one cluster"], sparse))
    if not analysis.labelled_layers:
        return
    assert len(with_token_paths(sparse)["token_paths"]) == analysis.num_tokens
    window = layer_window(analysis, 0, -1)
    assert isinstance(standouts(analysis, window), list)
    assert isinstance(significance_of_all_layers(analysis), list)
    tested = window_significance(analysis, 0, -1, permutations=3)
    assert np.isnan(tested.fragmentation.observed) == np.isnan(window.fragmentation)


@pytest.mark.slow
def test_it_is_taken_elsewhere_and_back(sparse: dict[str, Any], tmp_path: Path) -> None:
    store = GPT2AnalysisPersistence(tmp_path / "store")
    store.save_analysis_results(sparse, "gpt2", "text", "mine")
    elsewhere = GPT2AnalysisPersistence(tmp_path / "elsewhere")
    for kind in ("json", "csv", "pickle"):
        path = store.export_analysis("mine", kind, output_path=tmp_path / f"mine.{kind}")
        found = elsewhere.load_analysis_results(elsewhere.import_analysis(path))["analysis_data"]
        for key in ("layers", "token_metadata", "cluster_labels"):
            assert found.get(key) == sparse.get(key), kind
