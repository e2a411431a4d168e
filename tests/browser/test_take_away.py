"""Taking figures away: images, a web page that opens without a network, data and code."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from concept_fragmentation.components import ids
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.view import View

Open = Callable[..., Page]


def address(server: Any, **choices: Any) -> str:
    return f"{server.url}{View(**choices).to_query()}"


def take(page: Page, label: str) -> Path:
    """Choose an entry of a figure's menu, and return the file that comes."""
    entry = page.get_by_label(label, exact=True)
    entry.locator("xpath=ancestor::details/summary").click()
    with page.expect_download() as download:
        entry.click()
    expect(page.locator(".cf-downloads[open]")).to_have_count(0)
    return Path(download.value.path())


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


@pytest.mark.parametrize("width", [1440, 390])
def test_a_png_has_the_size_of_a_printed_page_on_every_screen(
    server: Any, open_page: Open, width: int
) -> None:
    page = open_page(address(server, tab="concepts"), width=width)
    content = take(page, "Download the cluster sizes as PNG image").read_bytes()
    assert content.startswith(b"\x89PNG")
    across, down = struct.unpack(">II", content[16:24])
    assert abs(across - 3600) <= 4
    assert down > 1000


@pytest.mark.parametrize("dark", [False, True])
def test_an_svg_has_the_colours_of_the_page(server: Any, open_page: Open, dark: bool) -> None:
    page = open_page(address(server, tab="concepts"), width=390, dark=dark)
    text = take(page, "Download the cluster sizes as SVG image").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    red, green, blue = bytes.fromhex(ink("dark" if dark else "light").surface[1:])
    assert f"rgb({red}, {green}, {blue})" in text
    assert 'width="720"' in text


def test_a_web_page_of_a_figure_opens_without_a_network_in_the_theme_it_was_taken_in(
    server: Any, open_page: Open, alone: Page
) -> None:
    page = open_page(address(server, tab="paths", first=1, last=3))
    open_file(alone, take(page, "Download the token flow as web page"))
    expect(alone.locator(".sankey-node").first).to_be_visible()
    nodes = page.locator(f"#{ids.SANKEY} .sankey-node").count()
    expect(alone.locator(".sankey-node")).to_have_count(nodes)
    # The reader's system is dark; what was taken away was light.
    background = alone.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"


def test_the_menu_works_with_the_keyboard(server: Any, open_page: Open) -> None:
    page = open_page(address(server, tab="concepts"))
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


def test_on_a_narrow_screen_the_menu_stays_on_the_page(server: Any, open_page: Open) -> None:
    page = open_page(address(server, tab="concepts"), width=390)
    for opener in page.locator(f"#{ids.CLUSTERS_SECTION} .cf-downloads summary").all():
        opener.click()
        box = page.locator(".cf-downloads[open] .cf-menu").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_where_there_is_no_figure_there_is_nothing_to_download(
    server: Any, open_page: Open
) -> None:
    page = open_page(address(server, tab="compare"))
    expect(page.locator(f"#{ids.DIFFERENCE_FLOW} .cf-empty")).to_be_visible()
    expect(page.locator(f"#{ids.COMPARE_SECTION} .cf-downloads:visible")).to_have_count(0)


def test_the_code_of_a_figure_is_shown_copied_and_draws_it(
    server: Any, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(address(server, tab="paths", first=1, last=3))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    entry = page.get_by_label("Show the token flow as Python code", exact=True)
    entry.locator("xpath=ancestor::details/summary").click()
    entry.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Token flow in Python")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.locator(f"#{ids.PYTHON_COPY}")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "window=(1, 3)" in copied
    shown: list[go.Figure] = []

    def show(figure: go.Figure) -> None:
        shown.append(figure)

    monkeypatch.setattr(go.Figure, "show", show)
    exec(copied, {})  # noqa: S102 - the code is what is tested
    (figure,) = shown
    drawn = page.locator(f"#{ids.SANKEY} .sankey-node").count()
    assert len(figure.data[0].node.x) == drawn
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
