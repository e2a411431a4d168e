"""Requests for files that are computed take turns; those without a place are told so."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import flask
import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks import downloads, report, transfer
from concept_fragmentation.callbacks.gate import AT_ONCE, MOST_WAITING, Gate
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids, thumbnail
from concept_fragmentation.components.parts import REPORT_ADDRESS
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.turns import AT_ONCE as TURNS
from concept_fragmentation.persistence.turns import BusyError


@pytest.fixture
def server(store: GPT2AnalysisPersistence) -> flask.Flask:
    server: flask.Flask = create_app(Settings(base_dir=store.base_dir)).server
    return server


class Counted:
    """A function in whose place others count how many threads are in it at once."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0
        self.calls = 0

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        with self._lock:
            self.calls += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(0.02)
        with self._lock:
            self._inside -= 1
        return self._result


def ask(server: flask.Flask, addresses: list[str]) -> list[Any]:
    """Return the answers to requests that are made at once."""
    with ThreadPoolExecutor(len(addresses)) as threads:
        return list(threads.map(lambda each: server.test_client().get(each), addresses))


def test_imports_and_exports_take_turns_and_the_page_says_when_there_is_no_place(
    store: GPT2AnalysisPersistence, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(store)
    view = View(analysis_id=saved)
    written = Counted("x.json")
    monkeypatch.setattr(store, "export_analysis", written)
    monkeypatch.setattr(store, "import_bytes", Counted(saved))
    refused = []

    def act(number: int) -> None:
        try:
            if number % 2:
                transfer.import_file(workspace, "x.json", "data:x;base64,e30=")
            else:
                transfer.export(workspace, view, "json")
        except BusyError as error:
            refused.append(str(error))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(act, range(24)))
    assert written.most <= AT_ONCE
    assert 0 < len(refused) < 24
    assert set(refused) == {"The server computes for others now; try again in a little while."}


@pytest.mark.slow
def test_of_forty_reports_at_once_two_are_made_and_others_are_told_to_come_back(
    server: flask.Flask, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Counted("report")
    monkeypatch.setattr(report, "report_of", made)
    # Each is another report.
    addresses = [
        f"/{REPORT_ADDRESS}{View(analysis_id=saved, threshold=n).to_query()}" for n in range(1, 41)
    ]
    answers = ask(server, addresses)
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert 0 < made.most <= TURNS
    assert made.calls == sum(answer.status_code == 200 for answer in answers)
    for answer in answers:
        assert (answer.status_code == 503) == ("Retry-After" in answer.headers)


def test_a_report_by_its_address_waits_for_those_made_in_the_background(
    server: flask.Flask,
    store: GPT2AnalysisPersistence,
    saved: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "report_of", made := Counted("report"))
    monkeypatch.setattr(downloads, "REPORT_WAIT", 0.1)
    address = f"/{REPORT_ADDRESS}{View(analysis_id=saved).to_query()}"
    turns = Workspace(store).turns("report")
    with ExitStack() as background:
        for _ in range(TURNS):
            background.enter_context(turns.taken(lambda _ahead: None))
        refused = server.test_client().get(address)
        assert refused.status_code == 503
        assert "for others" in refused.text
        assert not made.calls
    assert server.test_client().get(address).data == b"report"
    # It is kept, as those of the background are.
    assert server.test_client().get(address).data == b"report"
    assert made.calls == 1


@pytest.mark.parametrize("kind", ["csv", "html"])
def test_files_of_figures_take_turns(
    server: flask.Flask, saved: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    made = Counted("text")
    monkeypatch.setattr(downloads, f"{kind}_text", made)
    address = f"/figure/{ids.SANKEY}.{kind}{View(analysis_id=saved).to_query()}"
    answers = ask(server, [address] * 30)
    assert {answer.status_code for answer in answers} == {200, 503}
    assert made.most <= AT_ONCE


def test_thumbnails_take_turns_until_they_are_kept(
    server: flask.Flask, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Counted("<svg/>")
    monkeypatch.setattr("concept_fragmentation.callbacks.thumbnails.thumbnail", made)
    address = f"/{thumbnail.ADDRESS}{View(analysis_id=saved).to_query()}"
    answers = ask(server, [address] * (AT_ONCE + MOST_WAITING))
    assert {answer.status_code for answer in answers} == {200}
    assert made.most <= AT_ONCE
    assert {answer.status_code for answer in ask(server, [address] * 30)} == {200}


def test_a_gate_lets_wait_for_a_while_only_and_is_free_after_a_fault() -> None:
    gate = Gate(at_once=1, most_waiting=1, wait_seconds=0.01)
    with gate.taken(), pytest.raises(BusyError), gate.taken():
        pass
    with pytest.raises(ZeroDivisionError), gate.taken():
        _ = 1 / 0
    with gate.taken():
        pass
