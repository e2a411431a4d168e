"""The dashboard in Chromium with the real 10,000 tokens: paint, answers, and long tasks.

The server runs in a process of its own. Each action is one that a person does; what is measured of
it is every request that it causes and every task that holds the page's main thread.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import runpy
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, sync_playwright

from benchmarks.timing import ROOT, Row, real_analysis
from concept_fragmentation.analysis import with_token_paths
from concept_fragmentation.app import Settings, serve
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import TAB_NAMES
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

MOST_PAINT, MOST_SERVER, MOST_KILOBYTES, MOST_TASK = 1500, 100, 300, 200
LOADS = 5

# When the dashboard was first painted, when its token flow was, and since then [start, duration] of
# tasks of more than 50 ms.
_WATCH = """
window.cfTasks = [];
const look = () => {
  const now = performance.now();
  if (!window.cfDashboard && document.querySelector(".cf-view-tab")) window.cfDashboard = now;
  if (document.querySelector(".sankey-node")) window.cfFlow = now;
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
new PerformanceObserver(list => {
  for (const task of list.getEntries()) window.cfTasks.push([task.startTime, task.duration]);
}).observe({type: "longtask", buffered: true});
"""
# Every figure of the shown sections has been drawn, or says why there is none.
DRAWN = """() => document.querySelector(".cf-view-tab[aria-current=page]")
    && !document.querySelector("[data-dash-is-loading=true], .cf-computed[aria-busy=true]")
    && [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-figure")].every(
        figure => figure.querySelector(".main-svg, .cf-empty"))"""


@dataclass
class Traffic:
    """The requests of a page: those under way, and those that came back."""

    open: set[Request] = field(default_factory=set)
    done: list[Request] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", self._started)
        page.on("requestfailed", self._failed)
        page.on("requestfinished", self._finished)

    def _started(self, request: Request) -> None:
        self.open.add(request)

    def _failed(self, request: Request) -> None:
        self.open.discard(request)

    def _finished(self, request: Request) -> None:
        self.open.discard(request)
        self.done.append(request)


@dataclass(frozen=True)
class Cost:
    """What an action cost: milliseconds until all is drawn, and the worst of each kind."""

    until_drawn: float
    requests: int
    server: float
    kilobytes: float
    task: float

    def row(self, name: str) -> Row:
        return (
            name,
            f"{self.until_drawn:6,.0f} ms until drawn; {self.requests:2} requests; server "
            f"{self.server:4.0f} ms at most{_verdict(self.server, MOST_SERVER)}, answer "
            f"{self.kilobytes:4.0f} KB at most{_verdict(self.kilobytes, MOST_KILOBYTES)}, "
            f"task {self.task:4.0f} ms at most{_verdict(self.task, MOST_TASK)}",
        )


def run() -> list[Row]:
    """First paint, then one action after the other."""
    with dashboard() as (url, analysis_id), chromium() as browser:
        return list(_rows(browser, url, View(analysis_id=analysis_id, version=1)))


def _rows(browser: Browser, url: str, view: View) -> Iterator[Row]:
    address = url + view.to_query()
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    for what, number in (("empty cache", 1), ("again", LOADS)):
        loads = []
        for _ in range(number):
            page = context.new_page()
            page.add_init_script(_WATCH)
            page.goto(address)
            page.wait_for_function(DRAWN)
            loads.append(page.evaluate("[window.cfDashboard, window.cfFlow, performance.now()]"))
            page.close()
        shell, flow, everything = map(statistics.median, zip(*loads, strict=True))
        yield (
            f"open, {what}",
            f"the dashboard after {shell:,.0f} ms{_verdict(shell, MOST_PAINT)}, the token flow "
            f"after {flow:,.0f} ms, everything after {everything:,.0f} ms",
        )
    page = context.new_page()
    page.add_init_script(_WATCH)
    traffic = Traffic()
    traffic.watch(page)
    page.goto(address)
    _settle(page, traffic)
    worst = Cost(0, 0, 0, 0, 0)
    for name, action in _actions(page).items():
        cost = _measure(page, traffic, action)
        yield cost.row(name)
        worst = Cost(
            max(worst.until_drawn, cost.until_drawn),
            max(worst.requests, cost.requests),
            max(worst.server, cost.server),
            max(worst.kilobytes, cost.kilobytes),
            max(worst.task, cost.task),
        )
    yield worst.row("the worst of each")
    context.close()


def _actions(page: Page) -> dict[str, Callable[[], None]]:
    """In order: each starts where the one before ended."""

    def tab(name: str) -> Callable[[], None]:
        return page.locator(".cf-view-tab", has_text=TAB_NAMES[name]).first.click  # type: ignore[index]

    def quick(name: str) -> Callable[[], None]:
        return lambda: page.locator(".cf-chip-button", has_text=name).click()

    def option(text: str) -> None:
        page.locator(".dash-dropdown-content label", has_text=text).first.click()

    def click_cluster() -> None:
        node = page.locator(f"#{ids.SANKEY} .sankey-node rect").first
        node.scroll_into_view_if_needed()
        box = node.bounding_box()
        assert box is not None
        # Plotly listens to the mouse, not to clicks.
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
        page.mouse.down()
        page.mouse.up()

    def choose_colouring() -> None:
        page.locator(f"#{ids.COLOUR_BY}").click()
        option("path")

    def highlight_token() -> None:
        page.locator(f"#{ids.FIND_TOKENS}").click()
        page.locator(".dash-dropdown-content").wait_for()
        page.keyboard.type("water", delay=40)
        option("water")

    def click_path() -> None:
        page.locator(f"#{ids.PATHS} .cf-path").first.click()

    def sort_table() -> None:
        page.locator(f"#{ids.PATH_TABLE} .ag-header-cell-label").nth(3).click()

    return {
        "select a cluster": click_cluster,
        "window: late": quick("Late"),
        "window: all": quick("All"),
        "colour by path": choose_colouring,
        "highlight a path": click_path,
        "highlight a token": highlight_token,
        "view: Token paths": tab("paths"),
        "sort the table": sort_table,
        "view: Attention": tab("attention"),
        "view: Concepts": tab("concepts"),
        "view: Path and attention": tab("path-attention"),
        "view: Compare": tab("compare"),
        "view: Library": tab("library"),
        "view: Overview": tab("overview"),
        "back": lambda: _ignore(page.go_back()),
        "dark": lambda: page.emulate_media(color_scheme="dark"),
    }


def _ignore(_: Any) -> None:
    """Say nothing of what an action returns."""


def _measure(page: Page, traffic: Traffic, action: Callable[[], None]) -> Cost:
    done = len(traffic.done)
    begun = page.evaluate("performance.now()")
    start = time.perf_counter()
    action()
    ended = _settle(page, traffic)
    requests = traffic.done[done:]
    tasks = [duration for at, duration in page.evaluate("window.cfTasks") if at >= begun]
    return Cost(
        until_drawn=1000 * (ended - start),
        requests=len(requests),
        server=max(
            (r.timing["responseStart"] - r.timing["requestStart"] for r in requests), default=0
        ),
        kilobytes=max((r.sizes()["responseBodySize"] / 1000 for r in requests), default=0),
        task=max(tasks, default=0),
    )


def _settle(page: Page, traffic: Traffic) -> float:
    """Wait until nothing has happened for a while; return when the last thing did."""
    last = time.perf_counter()
    while (asked := time.perf_counter()) - last < 0.4:
        page.wait_for_timeout(20)
        drawn = page.evaluate(f"({DRAWN})()")
        answered = time.perf_counter()
        # A page that answers late was busy until then.
        if traffic.open or not drawn or answered - asked > 0.1:
            last = answered
    return last


def _verdict(value: float, most: float) -> str:
    return "" if value <= most else f" (goal {most:,}, MISSED)"


@contextlib.contextmanager
def dashboard() -> Iterator[tuple[str, str]]:
    """Serve a store that holds the real tokens; give the address and the analysis's id."""
    with store_of_real_tokens() as (folder, analysis_id):
        port = free_port()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(Settings(base_dir=folder), "127.0.0.1", port), daemon=True
        )
        server.start()
        try:
            await_server(port)
            yield f"http://127.0.0.1:{port}/", analysis_id
        finally:
            server.terminate()
            server.join()


@contextlib.contextmanager
def store_of_real_tokens() -> Iterator[tuple[Path, str]]:
    """Make a store that holds the real tokens; give its folder and the analysis's id."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as folder:
        with GPT2AnalysisPersistence(folder) as store:
            analysis_id = store.save_analysis_results(
                with_token_paths(real_analysis()), "gpt2", "", name="The 10,000 most frequent"
            )
        yield Path(folder), analysis_id


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium that the tests use."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def chromium_path() -> str:
    found: str | None = runpy.run_path(str(ROOT / "tests" / "get_chromium.py"))["find_chromium"]()
    if found is None:
        raise RuntimeError("No Chromium was found; install one: python tests/get_chromium.py")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_server(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("The dashboard did not start within 30 s.")
