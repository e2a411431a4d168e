"""Figures of thirty-one layers: every name can be read, and none lies on another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from concept_fragmentation.analysis import analysis_from_labels, attention_statistics
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import Tab, View

Open = Callable[..., Page]

LAYERS = ["embedding", *(f"block_{i}" for i in range(1, 31))]
TOKENS = 24

# Of each figure the names that stand beside each other: of layers on an axis or above columns. Two
# overlap if their boxes do, by more than a rounding.
OVERLAPS = """() => [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-graph")].flatMap(
  (graph) => {
    const groups = [
      ...[...graph.querySelectorAll(".xaxislayer-above")].map(
        (axis) => [...axis.querySelectorAll("text")]),
      [...graph.querySelectorAll(".annotation-text")],
      [...graph.querySelectorAll(".sankey-node .node-label")],
    ];
    return groups.flatMap((group) => {
      const boxes = group
        .filter((text) => text.textContent && text.checkVisibility())
        .map((text) => [text.textContent, text.getBoundingClientRect()]);
      return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
        .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
        .map(([other]) => `${graph.parentElement.id || graph.parentElement.className}: `
          + `${name} and ${other}`));
    });
  })"""

# Every figure is as wide as its place, or wider and scrolled in it.
FILLED = """() => [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-graph")].every(
  (graph) => graph.querySelector(".main-svg").clientWidth >= graph.clientWidth - 2)"""


@pytest.fixture(scope="module")
def deep(server: Any) -> str:
    """Return the id of an analysis of thirty-one layers, all but the first with attention."""
    random = np.random.default_rng(0)
    labels = {layer: random.integers(0, 5, TOKENS).tolist() for layer in LAYERS}
    weights = {}
    for layer in LAYERS[1:]:
        drawn = np.tril(random.random((3, TOKENS, TOKENS)) + 0.01)
        weights[layer] = drawn / drawn.sum(axis=-1, keepdims=True)
    found = attention_statistics(weights)
    analysis = analysis_from_labels(
        [f" token{i}" for i in range(TOKENS)],
        labels,
        layers=LAYERS,
        hidden_states={layer: random.normal(size=(TOKENS, 5)) for layer in LAYERS},
        attention_data={
            layer: {**found[layer], "attention_probs": weights[layer]} for layer in weights
        },
        cluster_metrics={layer: {"silhouette": 0.5} for layer in LAYERS},
    )
    saved: str = server.store.save_analysis_results(analysis, "gpt2", "text", name="deep")
    return saved


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["paths", "attention", "concepts"])
def test_no_two_names_overlap(server: Any, deep: str, show: Open, tab: Tab) -> None:
    view = View(tab=tab, analysis_id=deep, first=0, last=30, tokens=(3, 20))
    page = show(f"{server.url}{view.to_query()}", width=390)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        # Figures follow the width a moment later.
        page.wait_for_function(FILLED)
        page.wait_for_function(f"() => ({OVERLAPS})().length === 0", timeout=10_000)
        assert page.evaluate(OVERLAPS) == []
        # What is wider than its place scrolls within it: the page itself does not.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_flow_scrolls_in_its_frame_by_keyboard_too(server: Any, deep: str, show: Open) -> None:
    view = View(analysis_id=deep, first=0, last=30)
    page = show(f"{server.url}{view.to_query()}", width=390)
    frame = page.locator(f"#{ids.SANKEY} .cf-scroll")
    assert frame.evaluate("frame => frame.scrollWidth > 3 * frame.clientWidth")
    frame.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        f"() => document.querySelector('#{ids.SANKEY} .cf-scroll').scrollLeft > 0"
    )
