"""The real server on a free port with a store of its own, and a page in a real Chromium."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from concept_fragmentation.components import ids
from concept_fragmentation.persistence import GPT2AnalysisPersistence

START_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True)
class Server:
    """A running dashboard: where it is, and the store behind it."""

    url: str
    store: GPT2AnalysisPersistence


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Start as many dashboards as wanted, each with an empty store, in processes of their own."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> Server:
        base_dir = tmp_path_factory.mktemp("store")
        port = _free_port()
        command = [sys.executable, "-m", "concept_fragmentation.cli", "serve"]
        with (base_dir.parent / f"server-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--dir", str(base_dir)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=base_dir,
            )
        started.append(process)
        url = f"http://127.0.0.1:{port}/"
        _wait_for(url, process, Path(log.name))
        return Server(url, GPT2AnalysisPersistence(base_dir))

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(serve: Callable[[], Server]) -> Server:
    """Return a dashboard with an empty store, shared by the tests of one file."""
    return serve()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


@dataclass
class Watch:
    """What a page must never do: complain, or ask anyone but its own server."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.strangers.append(request.url)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages that are watched: a complaint in the console or a foreign request is a failure."""
    watch = Watch()
    contexts = []

    def open_one(url: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", watch.console)
        page.on("pageerror", lambda error: watch.complaints.append(str(error)))
        page.on("request", watch.request)
        page.goto(url)
        settled(page)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert watch.strangers == []
    assert watch.complaints == []


def settled(page: Page) -> None:
    """Wait until the token flow is drawn and nothing is being computed."""
    page.wait_for_selector(f"#{ids.SUMMARY} .cf-stat-value, #{ids.SUMMARY} .cf-empty")
    page.wait_for_selector(f"#{ids.SANKEY} .js-plotly-plot .main-svg")
    page.wait_for_load_state("networkidle")


def _chromium() -> str:
    """Return the Chromium that tests/get_chromium.py finds."""
    path = Path(__file__).parent.parent / "get_chromium.py"
    spec = importlib.util.spec_from_file_location("get_chromium", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.find_chromium()
    if found is None:
        pytest.fail("No Chromium was found; run tests/get_chromium.py.")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"The server ended at once:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"The server did not answer:\n{log.read_text()}")


def real_analysis() -> dict[str, Any] | None:
    """Return the real 10,000 tokens if this machine has them, else None."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data" / "gpt2_top10k_k10.json"
    path = Path(os.environ.get("GPT2_TOP10K", default))
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
