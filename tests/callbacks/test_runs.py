"""What takes long is made once, in turn, by a process of its own; the server hands it out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import flask
import pytest

from concept_fragmentation.analysis import principal_plane
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks import concepts, report, runs
from concept_fragmentation.callbacks.downloads import csv_text
from concept_fragmentation.callbacks.workspace import NotMadeError, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

Said = list[tuple[str | None, str]]
UMAP = View(tab="concepts", projection="umap")


@pytest.fixture
def hurried(store: GPT2AnalysisPersistence) -> Workspace:
    """Return what the server works with."""
    return Workspace(store, patient=False)


def count_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """Count from now on how often a function is called, which goes on to do what it does."""
    calls: list[int] = []
    function: Callable[..., Any] = getattr(module, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, counted)
    return calls


@pytest.mark.slow
def test_a_report_is_made_once_with_its_progress_and_handed_out_by_the_server(
    hurried: Workspace, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch, report, "report_of")
    query = View(analysis_id=saved).to_query()
    said: Said = []
    turns = hurried.turns("report")
    made = report.outcome(hurried.reopened(), turns, query, said.append)
    shares = [float(share or 0) for share, _ in said]
    assert shares == sorted(shares)
    assert (shares[-1], len(shares) > 20) == (100, True)
    # The same view again, of whoever, is there already.
    again = report.outcome(hurried.reopened(), turns, query, said.append)
    assert again["file"] == made["file"]
    assert again["key"] != made["key"]
    server: flask.Flask = create_app(Settings(hurried.store.base_dir)).server
    answer = server.test_client().get(f"/{made['file']}")
    assert answer.headers["Content-Disposition"] == f"attachment; filename=report-{saved}.html"
    assert "first run" in answer.text
    assert len(calls) == 1
    # Under another name it is another report.
    hurried.store.update_analysis(saved, name="renamed")
    report.outcome(hurried.reopened(), turns, query, said.append)
    assert "renamed" in server.test_client().get(f"/{made['file']}").text
    assert len(calls) == 2


@pytest.mark.slow
def test_a_map_by_umap_is_left_to_the_background_and_kept(
    hurried: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # UMAP itself is run by the tests of projections, and once in the browser.
    monkeypatch.setattr(concepts, "umap_plane", principal_plane)
    calls = count_calls(monkeypatch, concepts, "umap_plane")
    view = hurried.settle(UMAP)
    with pytest.raises(NotMadeError):
        concepts.plane_of(hurried, view)
    with pytest.raises(NotMadeError):
        csv_text(hurried, ids.STATE_MAP, view)
    assert calls == []
    wanted = {"order": {"query": view.part("map"), "theme": "light"}, "what": "it"}
    made = concepts.outcome(hurried.reopened(), hurried.turns("map"), wanted, lambda _: None)
    assert made["what"] == "it"
    assert csv_text(hurried, ids.STATE_MAP, view).startswith("token,position,umap_first")
    concepts.outcome(hurried.reopened(), hurried.turns("map"), wanted, lambda _: None)
    assert len(calls) == 1
    # In twos of principal components, nothing is waited for.
    assert concepts.plane_of(hurried, hurried.settle(View(tab="concepts"))) is not None


def test_who_waited_for_a_turn_takes_what_another_made_meanwhile(workspace: Workspace) -> None:
    view = workspace.settle(View())

    @contextmanager
    def turn() -> Any:
        workspace.made(view, "it", lambda: b"theirs")
        yield

    assert workspace.made(view, "it", lambda: b"mine", turn()) == b"theirs"
    assert workspace.made(view, "another", lambda: b"mine") == b"mine"


def test_a_run_that_fails_ends_in_one_sentence(hurried: Workspace) -> None:
    turns = hurried.turns("report")
    gone = report.outcome(hurried, turns, View(analysis_id="gone").to_query(), lambda _: None)
    assert "gone" in gone["failure"]
    for sent in (None, 1, ["?"]):
        made = report.outcome(hurried, turns, sent, lambda _: None)
        assert made["failure"].endswith("Reload the page.")
        assert concepts.outcome(hurried, turns, sent, lambda _: None)["failure"].endswith(".")

    def stops() -> dict[str, str]:
        raise MemoryError

    assert runs.outcome("The map", stops)["failure"] == "The map stopped: MemoryError."
