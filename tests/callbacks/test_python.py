"""The Python that the page gives for a figure draws that figure."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation.app import demo_analysis
from concept_fragmentation.callbacks.figures import SOURCES, NothingDrawnError, drawn
from concept_fragmentation.callbacks.python import python_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.snippet import SAVE_FIRST
from concept_fragmentation.components.structure import FIGURES
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[go.Figure]:
    """What a script shows, instead of a browser that opens."""
    figures: list[go.Figure] = []

    def show(figure: go.Figure) -> None:
        figures.append(figure)

    monkeypatch.setattr(go.Figure, "show", show)
    return figures


def run(code: str, shown: list[go.Figure]) -> Any:
    shown.clear()
    exec(compile(code, "snippet.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    (figure,) = shown
    return json.loads(figure.to_json())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two analyses with everything that a figure can need, the first in two versions."""
    store = GPT2AnalysisPersistence(tmp_path_factory.mktemp("library"))
    data = demo_analysis()["analysis_data"]
    # Arrays are read in no time, and each snippet reads them.
    data["hidden_states"] = {layer: np.array(of) for layer, of in data["hidden_states"].items()}
    for of in data["attention_data"].values():
        of["attention_probs"] = np.array(of["attention_probs"])
    store.save_analysis_results(data, "gpt2", "text", "first")
    store.save_analysis_results(data, "gpt2", "text", "first")
    labels = {layer: [*given[1:], given[0]] for layer, given in data["cluster_labels"].items()}
    rest = {key: value for key, value in data.items() if key != "token_paths"}
    store.save_analysis_results(rest | {"cluster_labels": labels}, "gpt2", "", "other")
    return Workspace(store)


@pytest.fixture(scope="module")
def view(library: Workspace) -> View:
    """A view in which nothing is left at its default."""
    analysis = library.shown(View(analysis_id="first")).analysis
    path = tuple(int(cluster) for cluster in analysis.labels[0, 1:4])
    return library.settle(
        View(
            analysis_id="first",
            version=1,
            first=1,
            last=3,
            colour_by="metric.path_length",
            min_count=2,
            tokens=(8, 1, 30),
            paths=(path,),
            selection=("node", 2, 0),
            heat=(0, 3),
            layer=2,
            head=1,
            threshold=5,
            other="other",
        )
    )


@pytest.mark.parametrize("figure_id", sorted(SOURCES))
def test_the_code_of_a_figure_draws_what_the_page_draws(
    library: Workspace, view: View, shown: list[go.Figure], figure_id: str
) -> None:
    code = python_of(library, figure_id, view, "dark")
    assert "version=1" in code
    page = json.loads(drawn(library, figure_id, view, "dark").to_json())
    assert run(code, shown) == page


@pytest.mark.parametrize("figure_id", sorted(SOURCES))
def test_the_code_of_a_figure_of_the_demo_loads_it_without_a_store(
    library: Workspace, shown: list[go.Figure], figure_id: str
) -> None:
    view = library.settle(View(tokens=(1, 8), other="other"))
    code = python_of(library, figure_id, view, "light")
    compares = FIGURES[figure_id].part == "comparison"
    assert ("GPT2AnalysisPersistence" in code) == compares
    page = json.loads(drawn(library, figure_id, view, "light").to_json())
    assert run(code, shown) == page


def test_the_code_of_an_unsaved_analysis_says_that_it_must_be_saved(
    workspace: Workspace, store: GPT2AnalysisPersistence, shown: list[go.Figure]
) -> None:
    data = demo_analysis()["analysis_data"]
    draft = workspace.unsaved.keep(data, "gpt2", "text", {}, "draft")
    view = workspace.settle(View(draft=draft))
    code = python_of(workspace, ids.SANKEY, view, "light")
    assert "save it on the page" in code
    store.save_analysis_results(data, "gpt2", "text", SAVE_FIRST)
    page = json.loads(drawn(workspace, ids.SANKEY, view, "light").to_json())
    assert run(code, shown) == page


def test_where_nothing_is_drawn_there_is_no_code(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved))
    with pytest.raises(NothingDrawnError, match="attention"):
        python_of(workspace, ids.ATTENTION_MATRIX, view, "light")


def test_names_in_the_code_are_text_and_nothing_else(
    workspace: Workspace, shown: list[go.Figure]
) -> None:
    layer = "x'); raise SystemExit(\"\u202e\n#"
    data = {
        "model_type": "gpt2",
        "layers": [layer],
        "token_metadata": {"tokens": ["a", "b", "c"]},
        "cluster_labels": {layer: [0, 1, 0]},
        "hidden_states": {layer: [[0.0, 1.0], [2.0, 1.0], [1.0, 3.0]]},
    }
    hostile = workspace.store.save_analysis_results(data, "gpt2", "")
    view = workspace.settle(View(analysis_id=hostile))
    code = python_of(workspace, ids.STATE_MAP, view, "light")
    assert "\u202e" not in code
    page = json.loads(drawn(workspace, ids.STATE_MAP, view, "light").to_json())
    assert run(code, shown) == page
