"""Clicks in figures of an analysis whose layers, heads and tokens are all uneven."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from concept_fragmentation.analysis import analysis_from_labels, attention_statistics
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View

Open = Callable[..., Page]

# Only "b", "token" (called like a key of what a click chooses) and "e" have attention; only "c" and
# later have labels.
LAYERS = ["a", "b", "c", "token", "e"]
TOKENS = 12


@pytest.fixture(scope="module")
def uneven(server: Any) -> str:
    """Return the id of an analysis in which no index of one kind is one of another."""
    random = np.random.default_rng(0)
    labels = {layer: random.integers(0, 3, TOKENS).tolist() for layer in LAYERS[2:]}
    weights = {}
    for layer in ("b", "token", "e"):
        drawn = np.tril(random.random((4, TOKENS, TOKENS)) + 0.01)
        weights[layer] = drawn / drawn.sum(axis=-1, keepdims=True)
    found = attention_statistics(weights)
    analysis = analysis_from_labels(
        [f"t{i}" for i in range(TOKENS)],
        labels,
        layers=LAYERS,
        positions=[100 - i for i in range(TOKENS)],
        hidden_states={layer: random.normal(size=(TOKENS, 5)) for layer in LAYERS},
        attention_data={
            layer: {**found[layer], "attention_probs": weights[layer]} for layer in weights
        },
    )
    saved: str = server.store.save_analysis_results(analysis, "gpt2", "text", name="uneven")
    return saved


def click_at(page: Page, figure_id: str, x: float, y: float) -> None:
    """Click a place of a figure that is given in the numbers of its axes."""
    graph = page.locator(f"#{figure_id} .js-plotly-plot")
    graph.scroll_into_view_if_needed()
    left, top = graph.evaluate(
        """(graph, [x, y]) => {
            const { xaxis, yaxis } = graph._fullLayout;
            const box = graph.getBoundingClientRect();
            return [
                box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y),
            ];
        }""",
        [x, y],
    )
    page.mouse.move(left - 3, top - 3)
    page.mouse.move(left, top, steps=3)
    page.mouse.click(left, top)


def shown(page: Page) -> View:
    return View.from_query(page.evaluate("location.search"))


def test_a_head_opens_in_the_layer_in_which_it_was_clicked(
    server: Any, uneven: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='attention', analysis_id=uneven).to_query()}")
    for column, layer, head in ((0, "b", 3), (1, "token", 2), (2, "e", 0)):
        click_at(page, ids.HEAD_ENTROPY, column, head)
        title = page.locator(f"#{ids.ATTENTION_MATRIX} .gtitle")
        expect(title).to_have_text(f"Attention in {layer}, head {head}")
        assert (shown(page).layer, shown(page).head) == (LAYERS.index(layer), head)


def test_a_window_opens_that_was_clicked(server: Any, uneven: str, show: Open) -> None:
    page = show(f"{server.url}{View(tab='paths', analysis_id=uneven).to_query()}")
    click_at(page, ids.WINDOW_GRID, 2, 1)
    expect(page.locator(f"#{ids.LAYER_WINDOW_TEXT}")).to_contain_text("token to e")
    assert (shown(page).first, shown(page).last) == (1, 2)


def test_a_token_of_the_map_is_selected_whatever_its_position(
    server: Any, uneven: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='concepts', analysis_id=uneven, layer=3).to_query()}")
    x, y, index = page.locator(f"#{ids.STATE_MAP} .js-plotly-plot").evaluate(
        """graph => {
            const [points] = graph._fullData;
            const i = Array.from(points.x).indexOf(Math.max(...points.x));
            return [points.x[i], points.y[i], points.customdata[i]];
        }"""
    )
    click_at(page, ids.STATE_MAP, x, y)
    page.wait_for_url("**t=*")
    assert shown(page).tokens == (index,)


def test_a_layer_is_selected_by_its_name_in_figures_of_some_layers(
    server: Any, uneven: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='attention', analysis_id=uneven).to_query()}")
    click_at(page, ids.LAYER_AGREEMENT, 1, 0)
    page.wait_for_url("**l=3*")
    show(f"{server.url}{View(tab='concepts', analysis_id=uneven).to_query()}")
    entropy = page.locator(f"#{ids.CLUSTER_ENTROPY} .points path.point").nth(1)
    entropy.scroll_into_view_if_needed()
    entropy.click(force=True)
    page.wait_for_url("**l=3*")


def test_the_map_is_zoomed_by_dragging_and_by_the_wheel_and_back_by_a_double_click(
    server: Any, uneven: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='concepts', analysis_id=uneven, layer=3).to_query()}")
    graph = page.locator(f"#{ids.STATE_MAP} .js-plotly-plot")
    graph.scroll_into_view_if_needed()
    span = """graph => { const [a, b] = graph._fullLayout.xaxis.range; return b - a; }"""
    whole = graph.evaluate(span)
    box = graph.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    page.mouse.move(x + 60, y + 60, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "([id, whole]) => { const [a, b] = document.querySelector(`#${id} .js-plotly-plot`)"
        "._fullLayout.xaxis.range; return b - a < whole / 2; }",
        arg=[ids.STATE_MAP, whole],
    )
    # What is selected is drawn anew, at the place that was zoomed to.
    zoomed = graph.evaluate(span)
    page.evaluate("dash_clientside.gestures.tell('token', 1)")
    page.wait_for_url("**t=1*")
    expect(graph.locator(".textpoint")).to_have_count(1)
    page.wait_for_function(
        "([id, zoomed]) => { const [a, b] = document.querySelector(`#${id} .js-plotly-plot`)"
        "._fullLayout.xaxis.range; return Math.abs(b - a - zoomed) < zoomed / 100; }",
        arg=[ids.STATE_MAP, zoomed],
    )
    page.mouse.dblclick(x, y)
    page.wait_for_function(
        "([id, whole]) => { const [a, b] = document.querySelector(`#${id} .js-plotly-plot`)"
        "._fullLayout.xaxis.range; return Math.abs(b - a - whole) < whole / 100; }",
        arg=[ids.STATE_MAP, whole],
    )
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        "([id, whole]) => { const [a, b] = document.querySelector(`#${id} .js-plotly-plot`)"
        "._fullLayout.xaxis.range; return b - a < 0.95 * whole; }",
        arg=[ids.STATE_MAP, whole],
    )


def test_an_archetypal_path_lists_its_tokens_and_leads_to_the_nearest_others(
    server: Any, uneven: str, show: Open
) -> None:
    page = show(f"{server.url}{View(analysis_id=uneven).to_query()}")
    page.locator(f"#{ids.PATHS} .cf-path").first.click()
    listed = page.locator(f"#{ids.SELECTION} .cf-card")
    expect(listed).to_have_count(1)
    count = int(listed.locator(".cf-card-title").first.inner_text().split()[0])
    expect(listed.locator(".cf-token")).to_have_count(count)
    near = listed.locator("[data-path]").first
    path = near.get_attribute("data-path")
    near.click()
    page.wait_for_url(f"**_{path}*")
    expect(page.locator(f"#{ids.SELECTION} .cf-card")).to_have_count(2)
    # Clicked again, where it is listed first now, it is none of them.
    page.locator(f"#{ids.SELECTION} [data-path='{path}']").click()
    expect(page.locator(f"#{ids.SELECTION} .cf-card")).to_have_count(1)
