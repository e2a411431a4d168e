"""Taking figures away: images, pages that open without a network, data, code and reports."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, Route, expect

from concept_fragmentation.app import demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.view import View

Open = Callable[..., Page]


def address(server: Any, **choices: Any) -> str:
    return f"{server.url}{View(**choices).to_query()}"


def rgb(colour: str) -> str:
    """`#rrggbb` as a browser writes it."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgb({red}, {green}, {blue})"


def entry_of(page: Page, name: str, label: str) -> Locator:
    """Open the menu of the figure of that name, and return one of its entries."""
    page.get_by_label(f"Download {name}", exact=True).click()
    return page.locator(".cf-downloads[open]").get_by_label(label, exact=True)


def take(page: Page, name: str, kind: str) -> Path:
    """Choose an entry of a figure's menu, and return the file that comes."""
    entry = entry_of(page, name, f"Download {name} as {kind}")
    with page.expect_download() as download:
        entry.click()
    expect(page.locator(".cf-downloads[open]")).to_have_count(0)
    return Path(download.value.path())


# Of these, what Plotly draws is said by its name.
BARRIERS = """() => axe.run({ exclude: [".main-svg"] }).then((found) => found.violations
    .filter((violation) => ["serious", "critical"].includes(violation.impact))
    .map((violation) => [violation.id, violation.nodes[0].html]))"""


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    """A page in a profile without a network, which fails when it asks for one."""
    context = browser.new_context(offline=True, color_scheme="dark")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    context.route(re.compile(r"^(?!file:|data:|blob:)"), refuse)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert asked == []
    assert errors == []


def open_file(page: Page, file: Path) -> None:
    # A download has no ending, by which the browser would know what it is.
    copy = file.with_name(f"{file.name}.html")
    copy.write_bytes(file.read_bytes())
    page.goto(copy.as_uri())


def test_a_png_has_the_size_of_a_printed_page_on_every_screen(server: Any, show: Open) -> None:
    for width in (1440, 390):
        page = show(address(server, tab="concepts"), width=width)
        content = take(page, "the cluster sizes", "PNG image").read_bytes()
        assert content.startswith(b"\x89PNG")
        across, down = struct.unpack(">II", content[16:24])
        assert abs(across - 3600) <= 4
        assert down > 1000


@pytest.mark.parametrize("dark", [False, True])
def test_an_svg_has_the_colours_of_the_page(server: Any, show: Open, dark: bool) -> None:
    page = show(address(server, tab="concepts"), width=390, dark=dark)
    text = take(page, "the cluster sizes", "SVG image").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert rgb(ink("dark" if dark else "light").surface) in text
    assert 'width="720"' in text


def test_files_are_named_after_what_they_show_and_a_web_page_opens_without_a_network(
    server: Any, show: Open, alone: Page
) -> None:
    page = show(address(server, tab="paths", first=1, last=3))
    names = []
    for kind in ("PNG image", "SVG image", "CSV data", "web page"):
        entry = entry_of(page, "the token flow", f"Download the token flow as {kind}")
        with page.expect_download() as download:
            entry.click()
        names.append(download.value.suggested_filename)
    stems = {name.rpartition(".")[0] for name in names}
    assert len(stems) == 1
    assert stems.pop().endswith("-block_1-to-block_3-token-flow")
    assert [name.rpartition(".")[2] for name in names] == ["png", "svg", "csv", "html"]

    open_file(alone, Path(download.value.path()))
    expect(alone.locator(".sankey-node").first).to_be_visible()
    nodes = page.locator(f"#{ids.SANKEY} .sankey-node").count()
    expect(alone.locator(".sankey-node")).to_have_count(nodes)
    # The reader's system is dark; what was taken away was light.
    background = alone.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    alone.evaluate(AXE_SCRIPT)
    assert alone.evaluate(BARRIERS) == []


def test_the_menu_works_with_the_keyboard(server: Any, show: Open) -> None:
    page = show(address(server, tab="concepts"))
    opener = page.locator(f"#{ids.CLUSTERS_SECTION} .cf-downloads summary").first
    menu = page.locator(".cf-downloads[open] .cf-menu")
    opener.focus()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    page.keyboard.press("Tab")
    expect(menu.locator(".cf-download").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("Tab")
    expect(menu).to_be_hidden()
    opener.click()
    expect(menu).to_be_visible()
    page.locator(".cf-brand").click()
    expect(menu).to_be_hidden()


def test_on_a_narrow_screen_the_menu_stays_on_the_page(server: Any, show: Open) -> None:
    page = show(address(server, tab="concepts"), width=390)
    for opener in page.locator(f"#{ids.CLUSTERS_SECTION} .cf-downloads summary").all():
        opener.click()
        box = page.locator(".cf-downloads[open] .cf-menu").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_where_there_is_no_figure_there_is_nothing_to_download(server: Any, show: Open) -> None:
    page = show(address(server, tab="compare"))
    expect(page.locator(f"#{ids.DIFFERENCE_FLOW} .cf-empty")).to_be_visible()
    expect(page.locator(f"#{ids.COMPARE_SECTION} .cf-downloads:visible")).to_have_count(0)


def test_the_code_of_a_figure_is_shown_copied_and_draws_it(
    server: Any, show: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = show(address(server, tab="paths", first=1, last=3))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    entry_of(page, "the token flow", "Show the token flow as Python code").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Token flow in Python")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.locator(f"#{ids.PYTHON_COPY}")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "window=(1, 3)" in copied
    shown: list[go.Figure] = []

    def keep(figure: go.Figure) -> None:
        shown.append(figure)

    monkeypatch.setattr(go.Figure, "show", keep)
    exec(copied, {})  # noqa: S102 - the code is what is tested
    (figure,) = shown
    drawn = page.locator(f"#{ids.SANKEY} .sankey-node").count()
    assert len(figure.data[0].node.x) == drawn
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_report_opens_without_a_network_as_its_reader_needs_it(
    server: Any, show: Open, alone: Page
) -> None:
    """In the colours of the system, in light on paper, on a narrow screen, and without barriers."""
    page = show(address(server, tab="concepts", tokens=(1, 8)))
    with page.expect_download() as download:
        page.get_by_role("button", name="Report", exact=True).click()
    assert download.value.suggested_filename == "report-two-stories.html"
    open_file(alone, Path(download.value.path()))
    places = alone.locator("[data-figure]")
    assert places.count() > 20
    for place in places.all():
        expect(place.locator(".main-svg").first).to_be_visible()
    expect(alone.locator("h1")).to_have_text(demo_analysis()["metadata"]["name"])
    dark, light = (rgb(ink(theme).surface) for theme in ("dark", "light"))
    figure = alone.locator(".main-svg").first
    expect(figure).to_have_css("background-color", dark)
    # The reader's system turns light, then dark again.
    alone.emulate_media(color_scheme="light")
    expect(figure).to_have_css("background-color", light)
    alone.emulate_media(color_scheme="dark")
    expect(figure).to_have_css("background-color", dark)
    alone.evaluate(AXE_SCRIPT)
    assert alone.evaluate(BARRIERS) == []
    alone.evaluate(
        """() => addEventListener("beforeprint", () => {
            window.printed = [...document.querySelectorAll("[data-figure]")].map((place) => {
                const drawn = place.querySelector(".main-svg");
                return [drawn.style.backgroundColor, drawn.clientWidth].join();
            });
        })"""
    )
    alone.pdf(format="A4")
    assert set(alone.evaluate("window.printed")) == {f"{light},700"}
    expect(figure).to_have_css("background-color", dark)
    alone.set_viewport_size({"width": 390, "height": 844})
    alone.wait_for_function("() => document.documentElement.scrollWidth <= 390")


@pytest.mark.parametrize("dark", [False, True])
def test_an_open_menu_and_the_dialog_with_code_are_no_barrier(
    server: Any, show: Open, dark: bool
) -> None:
    page = show(address(server, tab="concepts"), dark=dark)
    page.evaluate(AXE_SCRIPT)
    page.locator(f"#{ids.CLUSTERS_SECTION} .cf-downloads summary").first.click()
    expect(page.locator(".cf-downloads .cf-menu")).to_be_visible()
    assert page.evaluate(BARRIERS) == []
    page.locator(".cf-downloads .cf-menu").get_by_text("Python code").click()
    expect(page.get_by_role("dialog", name="Concept metrics by layer in Python")).to_be_visible()
    # Not while it fades in: its colours are not its own yet.
    expect(page.locator(".modal.show")).to_have_css("opacity", "1")
    assert page.evaluate(BARRIERS) == []
    page.keyboard.press("Escape")
    expect(page.locator(".modal")).to_have_count(0)
