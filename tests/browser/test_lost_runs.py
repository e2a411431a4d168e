"""A server that dies, comes back or is out of reach while something runs in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from benchmarks.browser import await_server
from concept_fragmentation.components import ids
from concept_fragmentation.components.connection import SILENT
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence.turns import Turns

TEXT = "The dog saw the cat near the river, and a girl gave the boy a red ball. "
COMMAND = Path(sys.executable).with_name("concept-fragmentation")
UPDATES = "**/_dash-update-component*"


class Server:
    """A dashboard of its own process, which can be killed and started again at its port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--port", str(self.port), "--dir", self.folder],
            stderr=subprocess.DEVNULL,
        )
        await_server(self.port)

    def runs(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def end(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)
        self.process.wait(timeout=30)

    def held(self, kind: str) -> Turns:
        """Return the row in which that kind of work waits."""
        return Turns(self.folder / "cache" / "turns" / kind)


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[Server]:
    running = Server(tmp_path / "store", port)
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """Return a page that shows Analyze; its console may complain that the server is away."""
    page = context.new_page()
    page.goto(f"{server.url}{View(tab='analyze').to_query()}")
    expect(page.locator(".cf-view-tab[aria-current=page]")).to_be_visible()
    page.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT)
    page.locator(f"#{ids.ANALYZE_CLUSTERS}").fill("4")
    yield page
    page.close()


def has_ended(process: psutil.Process) -> bool:
    # In a container without an init, nobody takes the status of a dead orphan.
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_ended(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 30
    while not all(map(has_ended, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_everything(page: Page, server: Server) -> list[psutil.Process]:
    """Start an analysis, a report and a map, which all wait for their turn."""
    page.locator(f"#{ids.ANALYZE}").click()
    expect(page.locator(f"#{ids.ANALYZE_STATUS}")).to_contain_text("2 others came before")
    page.get_by_role("button", name="Report", exact=True).click()
    expect(page.locator(f"#{ids.REPORT_RUN}")).to_contain_text("2 others came before")
    page.locator(".cf-view-tab", has_text="Concepts").click()
    page.get_by_text("UMAP", exact=True).click()
    expect(page.locator(f"#{ids.MAP_RUN}")).to_contain_text("2 others came before")
    page.locator(".cf-view-tab", has_text="Analyze").click()
    runs = server.runs()
    assert len(runs) == 3
    return runs


def test_a_run_that_is_killed_a_server_that_comes_back_and_a_network_that_is_gone_for_a_while(
    page: Page, server: Server
) -> None:
    with contextlib.ExitStack() as held:
        for kind in ("analyze", "report", "map"):
            for _ in range(2):
                held.enter_context(server.held(kind).taken(lambda _: None))
        a_run_that_is_killed_ends_in_a_sentence(page, server)
        a_server_that_is_killed_comes_back(page, server)
        page.locator(f"#{ids.ANALYZE}").click()
        expect(page.locator(f"#{ids.ANALYZE_STATUS}")).to_contain_text("2 others came before")
        be_without_a_network(page)
    expect(page.locator(f"#{ids.FINISHED_LIST}")).to_contain_text(
        "Analyzed 'The dog saw the cat", timeout=120_000
    )
    expect(page.locator(f"#{ids.SERVER_SILENT}")).to_be_hidden()
    expect(page.get_by_role("alert")).to_have_count(0)


def a_run_that_is_killed_ends_in_a_sentence(page: Page, server: Server) -> None:
    page.locator(f"#{ids.ANALYZE}").click()
    expect(page.locator(f"#{ids.ANALYZE_STATUS}")).to_contain_text("2 others came before")
    (run,) = server.runs()
    run.kill()
    expect(page.get_by_role("alert").first).to_contain_text("What ran in the background is lost")
    expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
    page.locator(f"#{ids.MESSAGES} .btn-close").click()
    expect(page.locator(f"#{ids.MESSAGES} .alert")).to_have_count(0)


def a_server_that_is_killed_comes_back(page: Page, server: Server) -> None:
    runs = start_everything(page, server)
    # One that is told to end takes its runs along in the same way: tests/test_background.py.
    server.end(signal.SIGKILL)
    with closing(socket.create_server(("127.0.0.1", server.port))):
        pass
    wait_until_ended(runs)
    expect(page.locator(f"#{ids.SERVER_SILENT}")).to_have_text(SILENT)
    server.start()
    # Each ends in a sentence, and everything can be started again.
    expect(page.locator(f"#{ids.MESSAGES}")).to_contain_text("What ran in the background is lost")
    for place in (ids.SERVER_SILENT, ids.ANALYZE_STATUS, ids.REPORT_RUN, ids.MAP_RUN):
        expect(page.locator(f"#{place}")).to_be_hidden()
    expect(page.locator(f"#{ids.ANALYZE_CANCEL}")).to_be_disabled()
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value(TEXT)
    page.reload()
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value(TEXT)
    expect(page.locator(f"#{ids.ANALYZE_CLUSTERS}")).to_have_value("4")


def be_without_a_network(page: Page) -> None:
    def unreachable(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop(), body="<html>Bad gateway</html>")
        else:
            route.abort()

    # A proxy without a server first, then nothing at all.
    answers = [502, 503]
    page.route(UPDATES, unreachable)
    expect(page.locator(f"#{ids.SERVER_SILENT}")).to_be_visible()
    page.wait_for_timeout(3000)
    page.unroute(UPDATES)


def test_a_server_that_stays_away(page: Page, server: Server) -> None:
    with server.held("analyze").taken(lambda _: None), server.held("analyze").taken(lambda _: None):
        page.locator(f"#{ids.ANALYZE}").click()
        expect(page.locator(f"#{ids.ANALYZE_STATUS}")).to_contain_text("2 others came before")
        page.locator(f"#{ids.SERVER_SILENT}").evaluate("notice => { notice.dataset.tries = 4; }")
        # What is asked again from now on is asked so often.
        server.end(signal.SIGKILL)
        expect(page.locator(f"#{ids.SERVER_SILENT}")).to_be_visible()
        # Nobody has to wait: cancelled, it ends at once.
        page.locator(f"#{ids.ANALYZE_CANCEL}").click()
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
        expect(page.locator(f"#{ids.SERVER_SILENT}")).to_be_hidden()
        # Nor does anything begin.
        page.locator(f"#{ids.ANALYZE}").click()
        expect(page.get_by_role("alert").first).to_have_text(
            "The server does not answer. Check that it runs, then try again."
        )
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
        page.locator(f"#{ids.NOT_DONE} .btn-close").click()
        server.start()
        page.locator(f"#{ids.ANALYZE}").click()
        expect(page.locator(f"#{ids.ANALYZE_STATUS}")).to_contain_text("2 others came before")
        server.end(signal.SIGKILL)
        expect(page.get_by_role("alert").first).to_contain_text("the server does not answer")
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
        expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value(TEXT)
