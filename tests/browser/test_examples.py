"""The examples: on the first screen, in the bar, and where something is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from benchmarks.browser import DRAWN
from concept_fragmentation.components.view import FIRST_EXAMPLE, View


def test_a_first_start_shows_gpt2_small_and_the_menu_opens_the_other(
    server: Any, open_page: Callable[..., Page]
) -> None:
    page = open_page(server.url)
    bar = page.get_by_role("status", name="Analysis shown")
    expect(bar).to_contain_text("10,000 tokens")
    expect(page.get_by_role("button", name="Overview")).to_have_attribute("aria-current", "page")
    expect(page.locator("#token-sankey .js-plotly-plot")).to_be_visible()
    page.get_by_text("Examples", exact=True).click()
    page.get_by_role("link", name="Two stories, tiny model").click()
    expect(bar).to_contain_text("117 tokens")
    expect(page.get_by_role("link", name="Two stories, tiny model")).to_be_hidden()
    page.go_back()
    expect(bar).to_contain_text("10,000 tokens")


def test_a_view_without_data_opens_the_example_that_has_them(
    server: Any, show: Callable[..., Page]
) -> None:
    view = View(tab="attention", example=FIRST_EXAMPLE)
    page = show(f"{server.url}{view.to_query()}")
    heads = page.locator("section#heads")
    # Four figures lack it, and the section says so once.
    said = heads.get_by_text("This analysis has no attention data.", exact=True)
    expect(said.locator("visible=true")).to_have_count(1)
    heads.get_by_role("link", name="Open “Two stories, tiny model”").click()
    expect(heads.locator(".js-plotly-plot").first).to_be_visible()
    page.wait_for_function(DRAWN)
    assert View.from_query(page.url.partition("?")[2]) == View(tab="attention")
