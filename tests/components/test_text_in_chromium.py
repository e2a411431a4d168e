"""What a person sees of a token, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from playwright.sync_api import Browser, Page

from concept_fragmentation.analysis import Analysis, analysis_from_labels, layer_window
from concept_fragmentation.components.figures.metrics import cluster_sizes, transition_heatmap
from concept_fragmentation.components.figures.sankey import token_sankey

pytestmark = pytest.mark.browser

AWKWARD = {
    "<b>x</b>": "<b>x</b>",
    "&amp;": "&amp;",
    " the": "·the",
    "\n": "↵",
    "\t": "⇥",
    "%{x}": "%{x}",
    "\ud800": "U+D800",
    "$a$": "$a$",
}
LAYERS = ["<i>h</i>0", "%{x} &lt;1", "%{customdata[0]}2"]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 900, "height": 560})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    labels = [[i % 2, i % 2, i % 2] for i in range(len(AWKWARD))]
    return Analysis.from_dict(analysis_from_labels(list(AWKWARD), labels, layers=LAYERS))


def show(page: Page, figure: go.Figure, folder: Path) -> list[str]:
    """Open a figure as a page of its own; return what it complains about."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    figure.write_html(folder / "figure.html", include_plotlyjs=True)
    page.goto((folder / "figure.html").as_uri())
    page.wait_for_selector(".main-svg .sankey-node, .main-svg .xtick, .main-svg .ytick")
    page.wait_for_function("!document.querySelector('.sankey-node[style*=\"opacity: 0\"]')")
    return complaints


def hover(page: Page, selector: str, number: int) -> str:
    """Move the mouse to an element, aside of its middle where others may cross it."""
    box: Any = page.locator(selector).nth(number).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5, steps=3)
    page.wait_for_selector(".hoverlayer .hovertext")
    return page.locator(".hoverlayer").text_content() or ""


def test_the_token_flow_shows_every_token_as_itself(
    page: Page, analysis: Analysis, tmp_path: Path
) -> None:
    tokens = range(len(AWKWARD))
    figure = token_sankey(analysis, layer_window(analysis, 0, 2), highlighted_tokens=tokens).figure
    complaints = show(page, figure, tmp_path)
    legend = "".join(page.locator(".annotation-text").all_text_contents())
    for seen in AWKWARD.values():
        assert f"“{seen}”" in legend
    for layer in LAYERS:
        assert layer[:13] in legend
    hovers = "".join(hover(page, ".sankey-link", i) for i in (0, 4))
    for seen in AWKWARD.values():
        assert f"“{seen}”" in hovers
    assert LAYERS[0] in hovers
    assert LAYERS[1] in hovers
    assert page.locator("svg a, svg b, svg i").count() == 0
    assert complaints == []


def test_a_click_reports_the_cluster_or_the_band(
    page: Page, analysis: Analysis, tmp_path: Path
) -> None:
    show(page, token_sankey(analysis, layer_window(analysis, 0, 2)).figure, tmp_path)
    page.evaluate(
        "() => { window.hits = []; document.querySelector('.js-plotly-plot').on('plotly_click', "
        "(event) => window.hits.push(event.points[0].customdata)); }"
    )
    for selector in (".sankey-node rect", ".sankey-link"):
        hover(page, selector, 0)
        page.mouse.down()
        page.mouse.up()
    hits = page.evaluate("window.hits")
    assert [hits[0][:3], hits[1][:4]] == [["node", 0, 0], ["link", 0, 0, 0]]


def test_layers_are_named_as_themselves_on_axes_and_in_hovers(
    page: Page, analysis: Analysis, tmp_path: Path
) -> None:
    complaints = show(page, cluster_sizes(analysis, layer_window(analysis, 0, 2)), tmp_path)
    assert page.locator(".xtick").all_text_contents() == [name[:14] for name in LAYERS[:2]] + [
        f"{LAYERS[2][:14]}…"
    ]
    assert LAYERS[0] in hover(page, ".bars .point path", 0)
    complaints += show(page, transition_heatmap(analysis, 1, 2), tmp_path)
    assert f"From {LAYERS[1]} to {LAYERS[2]}" in (
        page.locator(".gtitle").first.text_content() or ""
    )
    seen = hover(page, ".heatmaplayer image", 0)
    assert LAYERS[1] in seen
    assert LAYERS[2] in seen
    assert complaints == []
