"""The real server on a free port with a store of its own, and a page in a real Chromium."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request, expect
from waitress.server import BaseWSGIServer
from waitress.wasyncore import close_all

from benchmarks.browser import DRAWN
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.components.hints import ALL_DISMISSED, STORAGE
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.serving import bind

# A busy machine is slow, not broken.
expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)
            if not config.getoption("--soak"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@dataclass(frozen=True)
class Server:
    """A running dashboard: where it is, and the store behind it."""

    url: str
    store: GPT2AnalysisPersistence
    running: BaseWSGIServer
    thread: threading.Thread

    @property
    def stories(self) -> str:
        """Return the address of the example of two stories, which is small and has everything."""
        return f"{self.url}{View().to_query()}"

    def stop(self) -> None:
        """Close it, and wait until it is closed."""
        # Nothing left to listen to ends its loop, which must not be disturbed from outside.
        self.running.trigger.pull_trigger(partial(close_all, self.running._map))
        self.thread.join()
        self.running.task_dispatcher.shutdown()


def start(base_dir: Path, port: int = 0, **settings: Any) -> Server:
    """Start a dashboard on that port, or on a free one."""
    app = create_app(Settings(base_dir=base_dir, **settings))
    try:
        running = bind(app.server, "127.0.0.1", port)
    except OSError:  # what ran before has not let go of it yet
        running = bind(app.server, "127.0.0.1", 0)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{running.effective_port}/"
    return Server(url, GPT2AnalysisPersistence(base_dir), running, thread)


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start as many dashboards as wanted, each with an empty store and a port of its own."""
    started: list[Server] = []

    def start_one(**settings: Any) -> Server:
        started.append(start(tmp_path_factory.mktemp("store"), **settings))
        return started[-1]

    yield start_one
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    """Return two ports for the dashboards that come one after the other.

    Chromium keeps compiled scripts by their address: at a new port it would begin anew.
    """
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def forget(context: BrowserContext, url: str) -> None:
    """Let the browser remember nothing of a dashboard but its scripts."""
    session = context.new_cdp_session(context.pages[0])
    remembered = {"origin": url, "storageTypes": "local_storage,indexeddb"}
    session.send("Storage.clearDataForOrigin", remembered)
    session.detach()


def as_new(server: Server, context: BrowserContext, kept: Kept) -> Iterator[Server]:
    """Give a dashboard of which the browser remembers nothing; stop it after."""
    forget(context, server.url)
    yield server
    for page in {*context.pages[1:]} - {kept.of_file, kept.of_test}:
        page.close()
    server.stop()


@pytest.fixture(scope="module")
def server(
    ports: tuple[int, int],
    context: BrowserContext,
    kept: Kept,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """Return a dashboard with an empty store, shared by the tests of one file."""
    yield from as_new(start(tmp_path_factory.mktemp("store"), ports[0]), context, kept)


@pytest.fixture
def fresh(
    request: pytest.FixtureRequest,
    ports: tuple[int, int],
    context: BrowserContext,
    kept: Kept,
    tmp_path: Path,
) -> Iterator[Server]:
    """Return a dashboard with an empty store for one test, whose parameters are its settings."""
    settings = getattr(request, "param", {})
    yield from as_new(start(tmp_path / "store", ports[1], **settings), context, kept)


@pytest.fixture
def port(ports: tuple[int, int], context: BrowserContext) -> int:
    """Return the port for a dashboard that a test starts itself."""
    forget(context, f"http://127.0.0.1:{ports[1]}/")
    return ports[1]


@dataclass
class Watch:
    """What a page must never do: complain, or ask anyone but its own server."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.strangers.append(request.url)

    def follow(self, page: Page) -> None:
        page.on("console", self.console)
        page.on("pageerror", self.error)
        page.on("request", self.request)

    def leave(self, page: Page) -> None:
        page.remove_listener("console", self.console)
        page.remove_listener("pageerror", self.error)
        page.remove_listener("request", self.request)

    def check(self) -> None:
        assert self.strangers == []
        assert self.complaints == []


@pytest.fixture(scope="session")
def context(profile: BrowserContext) -> BrowserContext:
    """Return one profile for all pages, so that scripts are loaded and compiled once."""
    # Hints would lie over what is clicked; they have tests of their own.
    profile.add_init_script(f"localStorage.setItem({STORAGE!r}, {ALL_DISMISSED!r})")
    profile.set_default_timeout(30_000)
    return profile


@dataclass(frozen=True)
class Kept:
    """Pages that stay open: one of its own for each test would compile all scripts again."""

    of_file: Page
    of_test: Page


@pytest.fixture(scope="session")
def kept(context: BrowserContext) -> Kept:
    """Return the page that the tests of a file share, and that in which a test begins."""
    return Kept(context.new_page(), context.new_page())


def clear(page: Page) -> None:
    """Let a page ask its dashboard for nothing any more, and remember nothing of it."""
    page.unroute_all(behavior="ignoreErrors")
    page.goto(urljoin(page.url, "/healthz"))
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")


@pytest.fixture
def open_page(context: BrowserContext, kept: Kept) -> Iterator[Callable[..., Page]]:
    """Open pages that are watched: a complaint in the console or a foreign request is a failure."""
    watch = Watch()
    pages: list[Page] = []

    def open_one(
        url: str,
        *,
        width: int = 1440,
        height: int = 1000,
        dark: bool = False,
        script: str | None = None,
    ) -> Page:
        # Nothing takes a script away again.
        free = script is None and kept.of_test not in pages
        page = kept.of_test if free else context.new_page()
        pages.append(page)
        if script is not None:
            page.add_init_script(script)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page.mouse.move(0, 0)
        watch.follow(page)
        page.goto(url)
        settled(page)
        return page

    yield open_one
    for page in pages:
        watch.leave(page)
        if page is kept.of_test:
            clear(page)
        else:
            page.close()
    watch.check()


@dataclass
class SharedPage:
    """A page that stays open: what it is to show is told to it, as a link on the page does."""

    page: Page
    watch: Watch = field(default_factory=Watch)
    under_way: set[Request] = field(default_factory=set)

    def open(self, url: str) -> None:
        self.watch.follow(self.page)
        self.page.on("request", self._begun)
        self.page.on("requestfinished", self._ended)
        self.page.on("requestfailed", self._ended)
        self.page.goto(url)
        settled(self.page)

    def leave(self) -> None:
        self.watch.leave(self.page)
        self.page.remove_listener("request", self._begun)
        self.page.remove_listener("requestfinished", self._ended)
        self.page.remove_listener("requestfailed", self._ended)
        clear(self.page)

    # Playwright takes no methods of builtins.
    def _begun(self, request: Request) -> None:
        self.under_way.add(request)

    def _ended(self, request: Request) -> None:
        self.under_way.discard(request)

    def show(self, url: str, *, width: int = 1440, height: int = 1000, dark: bool = False) -> Page:
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        self.page.mouse.move(0, 0)
        self.page.evaluate(_GO_TO, urlsplit(url).query)
        calm = 0
        while calm < 3:
            self.page.wait_for_timeout(50)
            settled(self.page)
            calm = 0 if self.under_way else calm + 1
        return self.page


_GO_TO = """query => {
    window.scrollTo(0, 0);
    window.dash_clientside.set_props("location", { search: `?${query}` });
}"""


@pytest.fixture(scope="module")
def shared_page(server: Server, kept: Kept) -> Iterator[SharedPage]:
    """Open a page for all tests of a file."""
    shared = SharedPage(kept.of_file)
    # Without figures, a page is there in half the time.
    shared.open(f"{server.url}{View(tab='library').to_query()}")
    yield shared
    shared.leave()


@pytest.fixture
def show(shared_page: SharedPage) -> Iterator[Callable[..., Page]]:
    """Show an address in the page of the file, which takes far less time than to load it.

    Only for tests that leave nothing on the page that is not in the address.
    """
    yield shared_page.show
    shared_page.watch.check()


def settled(page: Page) -> None:
    """Wait until every figure is drawn and nothing is being computed."""
    page.wait_for_function(DRAWN)
