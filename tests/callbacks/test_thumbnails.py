"""Thumbnails come from the server, are drawn once, and never show another version."""

from __future__ import annotations

import time
from typing import Any

import pytest
from dash import html
from flask.testing import FlaskClient

from concept_fragmentation.app import Settings, create_app, demo_analysis
from concept_fragmentation.callbacks.catalogue import library_rows
from concept_fragmentation.callbacks.sessions import session_analyses
from concept_fragmentation.callbacks.states import state_options
from concept_fragmentation.callbacks.thumbnails import stored_thumbnail
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence


@pytest.fixture
def client(store: GPT2AnalysisPersistence) -> FlaskClient:
    client: FlaskClient = create_app(Settings(base_dir=store.base_dir)).server.test_client()
    return client


def test_each_row_of_the_library_has_a_picture_that_the_server_hands_out(
    workspace: Workspace, saved: str, client: FlaskClient
) -> None:
    (row,) = library_rows(workspace, {}, "")[0]["rowData"]
    answer = client.get(f"/{row['thumbnail']}")
    assert answer.status_code == 200
    assert answer.mimetype == "image/svg+xml"
    assert "max-age" in answer.headers["Cache-Control"]
    assert answer.data == stored_thumbnail(workspace.store, View(analysis_id=saved))
    assert b"<path" in answer.data


def test_a_page_of_the_library_is_listed_without_opening_an_analysis(
    workspace: Workspace, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("an analysis was opened")

    monkeypatch.setattr(workspace.store, "open_analysis", refuse)
    monkeypatch.setattr(workspace.store, "load_analysis_results", refuse)
    assert library_rows(workspace, {}, "")[0]["rowCount"] == 1


def test_a_picture_is_drawn_once_for_all_processes(
    store: GPT2AnalysisPersistence, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stored_thumbnail(store, View(analysis_id=saved))
    other = GPT2AnalysisPersistence(store.base_dir)

    def refuse(*_: Any) -> None:
        raise AssertionError("an analysis was opened")

    monkeypatch.setattr(other, "open_analysis", refuse)
    assert stored_thumbnail(other, View(analysis_id=saved)) == first


def test_another_version_and_another_analysis_of_the_same_id_have_other_pictures(
    store: GPT2AnalysisPersistence, saved: str, analysis: dict[str, Any]
) -> None:
    first = stored_thumbnail(store, View(analysis_id=saved))
    demo = demo_analysis()["analysis_data"]
    store.save_analysis_results(demo, "gpt2", "text", saved)
    second = stored_thumbnail(store, View(analysis_id=saved))
    assert second != first
    assert stored_thumbnail(store, View(analysis_id=saved, version=1)) == first
    store.delete_analysis(saved)
    store.save_analysis_results(demo, "gpt2", "text", saved)
    assert stored_thumbnail(store, View(analysis_id=saved, version=1)) == second


def test_what_is_not_stored_has_no_picture(
    client: FlaskClient, store: GPT2AnalysisPersistence, saved: str
) -> None:
    for view in (View(), View(analysis_id="none"), View(analysis_id=saved, version=9)):
        answer = client.get(f"/thumbnail.svg{view.to_query()}")
        assert answer.status_code == 404, view
        assert answer.mimetype == "text/plain"
    with pytest.raises(AnalysisNotFoundError, match="Version 9"):
        stored_thumbnail(store, View(analysis_id=saved, version=9))


def test_saved_views_are_listed_with_pictures_of_what_they_show(
    workspace: Workspace, saved: str, client: FlaskClient
) -> None:
    shown = workspace.settle(View(analysis_id=saved))
    assert state_options(workspace, shown) == ([], "There is none yet.")
    looked = View(
        analysis_id=saved, version=1, tab="paths", first=1, last=2, tokens=(0,), colour_by="path"
    )
    workspace.store.save_visualization_state(saved, looked.to_dict(), "token_sankey", "<b>late</b>")
    options, said = state_options(workspace, shown)
    assert said == ""
    (picture, words) = options[0]["label"].children
    assert picture.alt == "Token flow: Token paths · layer_1 to layer_2 · by path · 1 token"
    assert words.children[0].children == "<b>late</b>"
    drawn = client.get(f"/{picture.src}").data
    assert drawn == stored_thumbnail(workspace.store, looked)
    assert b'class="route"' in drawn


def test_a_saved_view_of_a_version_that_is_gone_shows_the_newest(
    workspace: Workspace, saved: str, analysis: dict[str, Any], client: FlaskClient
) -> None:
    looked = View(analysis_id=saved, version=1, first=0, last=3)
    workspace.store.save_visualization_state(saved, looked.to_dict(), "token_sankey", "old")
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    workspace.store.delete_analysis(saved, 1)
    options, _ = state_options(workspace, workspace.settle(View(analysis_id=saved)))
    assert client.get(f"/{options[0]['label'].children[0].src}").status_code == 200


def test_a_session_lists_its_analyses_and_their_saved_views_with_pictures(
    workspace: Workspace, saved: str, client: FlaskClient
) -> None:
    looked = View(analysis_id=saved, version=1, first=1, last=2, tokens=(0,))
    state_id = workspace.store.save_visualization_state(saved, looked.to_dict(), "t", "late")
    _, listed = session_analyses(workspace, workspace.store.create_session("runs", [saved]))
    buttons = [part for part in listed._traverse() if isinstance(part, html.Button)]
    assert [button.id for button in buttons] == [
        {"type": ids.SESSION_LOAD, "index": saved},
        {"type": ids.SESSION_VIEW, "index": state_id},
    ]
    assert [button.children[1].children for button in buttons] == ["first run · 8 tokens", "late"]
    pictures = [client.get(f"/{button.children[0].src}").data for button in buttons]
    assert pictures == [
        stored_thumbnail(workspace.store, View(analysis_id=saved)),
        stored_thumbnail(workspace.store, looked),
    ]


@pytest.mark.slow
def test_fifty_pictures_that_are_drawn_already_come_at_once(
    store: GPT2AnalysisPersistence, workspace: Workspace, analysis: dict[str, Any]
) -> None:
    for i in range(50):
        store.save_analysis_results(analysis, "gpt2", "text", f"a{i}")
    client = create_app(Settings(base_dir=store.base_dir)).server.test_client()
    rows = library_rows(workspace, {}, "")[0]["rowData"]
    assert len(rows) == 50

    def page() -> float:
        began = time.perf_counter()
        library_rows(workspace, {}, "")
        for row in rows:
            assert client.get(f"/{row['thumbnail']}").status_code == 200
        return time.perf_counter() - began

    cold = page()
    # Some slack for a busy machine; docs/performance.md has what a quiet one takes.
    assert min(page() for _ in range(5)) < max(0.4, cold)
