"""Every figure of every view: drawn, or said in words what it lacks."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from dash import dcc
from dash_ag_grid import AgGrid

from concept_fragmentation.analysis.extra import install_command
from concept_fragmentation.callbacks.compare import NO_OTHER, clusters
from concept_fragmentation.callbacks.downloads import csv_text
from concept_fragmentation.callbacks.figures import SOURCES, NothingDrawnError, drawn
from concept_fragmentation.callbacks.overview import NO_LABELS
from concept_fragmentation.callbacks.tokens import token_rows
from concept_fragmentation.callbacks.trajectories import together
from concept_fragmentation.callbacks.views import figure_or_reason, placed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import FIGURES, SECTIONS
from concept_fragmentation.components.view import FIRST_EXAMPLE, FULL_EXAMPLE, View
from concept_fragmentation.figures import state_map
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.examples import EXAMPLES, TWO_STORIES, load_example


def test_every_figure_stands_in_a_section_that_a_view_shows() -> None:
    shown = {section for sections in SECTIONS.values() for section in sections}
    assert {place.section for place in FIGURES.values()} <= shown
    assert set(SOURCES) <= set(FIGURES)


def test_the_keys_of_examples_in_views_are_those_that_ship() -> None:
    assert [example.key for example in EXAMPLES] == [FIRST_EXAMPLE, "two-banks", FULL_EXAMPLE]


@pytest.mark.parametrize("figure_id", sorted(SOURCES))
def test_a_figure_that_the_first_example_lacks_offers_the_one_that_has_it(
    workspace: Workspace, figure_id: str
) -> None:
    view = workspace.settle(View(example=FIRST_EXAMPLE, tokens=(1, 8)))
    place: Any = placed(figure_id, view, lambda: SOURCES[figure_id].draw(workspace, view, "light"))
    links = [part for part in place._traverse() if isinstance(part, dcc.Link)]
    lacks = figure_or_reason(lambda: SOURCES[figure_id].draw(workspace, view, "light"))
    if not isinstance(lacks, str) or FIGURES[figure_id].part == "comparison":
        assert links == []
        return
    assert [link.children for link in links] == [f"Open “{TWO_STORIES.title}”"]
    there = workspace.settle(replace(View.from_query(links[0].href), tokens=(1, 8)))
    assert FIGURES[figure_id].section in SECTIONS[there.tab]
    assert not isinstance(SOURCES[figure_id].draw(workspace, there, "light"), str)


@pytest.mark.parametrize("figure_id", sorted(SOURCES))
def test_a_figure_is_drawn_of_the_demo_and_its_data_are_handed_out(
    workspace: Workspace, figure_id: str
) -> None:
    view = workspace.settle(View(tokens=(1, 8), selection=("node", 0, 0)))
    drawn = SOURCES[figure_id].draw(workspace, view, "dark")
    assert isinstance(drawn, go.Figure) or drawn.endswith(".")
    assert csv_text(workspace, figure_id, view) is not None


@pytest.mark.parametrize("figure_id", sorted(SOURCES))
def test_a_figure_says_what_is_missing_of_an_analysis_without_labels(
    workspace: Workspace, store: GPT2AnalysisPersistence, figure_id: str
) -> None:
    bare = {"model_type": "gpt2", "layers": ["a", "b"], "token_metadata": {"tokens": ["x"]}}
    view = workspace.settle(View(analysis_id=store.save_analysis_results(bare, "gpt2", "")))
    drawn = SOURCES[figure_id].draw(workspace, view, "light")
    assert isinstance(drawn, str)
    assert drawn.endswith(".")


def test_the_table_of_tokens_says_what_is_missing_of_an_analysis_without_labels(
    workspace: Workspace, store: GPT2AnalysisPersistence
) -> None:
    bare = {"model_type": "gpt2", "layers": ["a", "b"], "token_metadata": {"tokens": ["x"]}}
    view = workspace.settle(View(analysis_id=store.save_analysis_results(bare, "gpt2", "")))
    answer, said = token_rows(workspace, view, {})
    assert answer["rowCount"] == 0
    assert said == NO_LABELS
    assert token_rows(workspace, workspace.settle(View()), {})[1] == "117 tokens"


COMPARED = (ids.DIFFERENCE_FLOW, ids.COMPARED_METRICS, ids.MOVED_BY_LAYER, ids.MOVED_TOKENS)


@pytest.mark.parametrize("figure_id", COMPARED)
def test_two_analyses_are_compared(
    workspace: Workspace, saved: str, analysis: dict[str, Any], figure_id: str
) -> None:
    labels = analysis["cluster_labels"] | {"layer_2": [1, 0, 1, 1, 0, 0, 0, 1]}
    paths = {key: value for key, value in analysis.items() if key != "token_paths"}
    moved = workspace.store.save_analysis_results(
        paths | {"cluster_labels": labels}, "gpt2", "text", name="moved"
    )
    view = workspace.settle(View(analysis_id=moved, other=saved))
    drawn = SOURCES[figure_id].draw(workspace, view, "light")
    assert isinstance(drawn, go.Figure) or figure_id == ids.COMPARED_METRICS
    assert csv_text(workspace, figure_id, view).count("\n") > 1 or isinstance(drawn, str)


def test_the_clusters_of_two_analyses_are_listed_with_their_data(
    workspace: Workspace, saved: str
) -> None:
    view = workspace.settle(View(analysis_id=saved, other=saved))
    grid, note = clusters(workspace, view, "light")
    assert isinstance(grid, AgGrid)
    assert [row["jaccard"] for row in grid.rowData] == [1.0] * 11
    assert not note
    assert csv_text(workspace, ids.MATCHED_CLUSTERS, view).count("\n") == 12
    nothing, _ = clusters(workspace, workspace.settle(View()), "light")
    assert NO_OTHER in str(nothing)


def test_where_nothing_moved_a_sentence_stands_in_place_of_the_figure(
    workspace: Workspace, saved: str
) -> None:
    view = workspace.settle(View(analysis_id=saved, other=saved))
    draw = partial(SOURCES[ids.MOVED_TOKENS].draw, workspace, view, "light")
    assert "No token is in another cluster than before." in str(
        placed(ids.MOVED_TOKENS, view, draw)
    )
    with pytest.raises(NothingDrawnError, match="No token is in another cluster"):
        drawn(workspace, ids.MOVED_TOKENS, view, "light")


def test_a_figure_is_as_high_as_its_data_need(workspace: Workspace) -> None:
    heights = []
    for tokens in ((0, 1), (0, 10, 21, 33, 44)):
        view = workspace.settle(View(tokens=tokens))
        draw = partial(drawn, workspace, ids.COMPARED_TOKENS, view, "light")
        heights.append(draw().layout.height)
        assert f"'height': '{heights[-1]}px'" in str(placed(ids.COMPARED_TOKENS, view, draw))
    assert heights[1] > heights[0]


def test_where_compared_tokens_meet_is_said_in_words(workspace: Workspace, saved: str) -> None:
    def said(*tokens: int) -> str:
        return together(workspace, workspace.settle(View(analysis_id=saved, tokens=tokens)))

    assert said(0) == ""
    assert said(0, 6) == "“<b>x</b>” and “·cat” are in one cluster in every layer."
    assert (
        said(1, 0) == "“·the” and “<b>x</b>” are in one cluster in layer_0 to layer_1 and layer_10."
    )


@pytest.mark.slow
def test_a_layer_is_mapped_by_umap_with_its_data_and_its_python(workspace: Workspace) -> None:
    view = workspace.settle(View(projection="umap", selection=("node", 1, 0)))
    figure = drawn(workspace, ids.STATE_MAP, view, "light")
    assert figure.layout.xaxis.title.text == "UMAP, first axis"
    assert csv_text(workspace, ids.STATE_MAP, view).startswith("token,position,umap_first,umap_sec")
    call = SOURCES[ids.STATE_MAP].call(workspace, view)
    again = state_map(load_example("two-stories")["analysis_data"], **call.arguments)
    assert np.array_equal(again.data[0].x, figure.data[0].x)


def test_without_umap_learn_the_map_says_so_in_its_place(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    view = workspace.settle(View(projection="umap"))
    draw = partial(SOURCES[ids.STATE_MAP].draw, workspace, view, "light")
    assert install_command("umap") in figure_or_reason(draw)


def test_what_to_compare_with_that_is_gone_is_said_in_its_place(
    workspace: Workspace, saved: str
) -> None:
    view = workspace.settle(View(analysis_id=saved, other="gone"))
    drawn = SOURCES[ids.DIFFERENCE_FLOW].draw(workspace, view, "light")
    assert isinstance(drawn, str)
    assert "gone" in drawn
