"""The first minute on the demo: one hint at a time, each gone once it is tried or dismissed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.components import ids
from concept_fragmentation.components.hints import HINTS
from concept_fragmentation.components.view import View


@pytest.fixture
def newcomer(browser: Browser) -> Iterator[BrowserContext]:
    """Return a profile that has never been here."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(30_000)
    yield context
    context.close()


def bubbles(page: Page) -> Locator:
    return page.locator(".cf-hint-bubble:visible")


def test_hints_come_one_after_the_other_and_do_not_come_back(
    server: Any, newcomer: BrowserContext
) -> None:
    page = newcomer.new_page()
    page.goto(server.stories)
    for hint in HINTS:
        expect(bubbles(page)).to_have_count(1)
        expect(bubbles(page)).to_contain_text(hint.sentence)
        bubble, target = (
            bubbles(page).bounding_box(),
            page.locator(f"#{hint.target}").bounding_box(),
        )
        assert bubble is not None
        assert target is not None
        # Just above what it speaks of, and within the page.
        assert 0 <= target["y"] - (bubble["y"] + bubble["height"]) <= 20
        assert 0 <= bubble["x"] <= 1440 - bubble["width"]
        bubbles(page).get_by_role("button", name="Got it").click()
    expect(bubbles(page)).to_have_count(0)
    page.reload()
    expect(page.locator(f"#{ids.SANKEY} .sankey-node").first).to_be_visible()
    expect(bubbles(page)).to_have_count(0)


def test_what_was_tried_needs_no_hint(server: Any, newcomer: BrowserContext) -> None:
    page = newcomer.new_page()
    page.goto(server.stories)
    expect(bubbles(page)).to_contain_text(HINTS[0].sentence)
    page.get_by_role("button", name="Show the early layers").click()
    bubbles(page).get_by_role("button", name="Got it").click()
    expect(bubbles(page)).to_contain_text(HINTS[1].sentence)
    bubbles(page).get_by_role("button", name="Got it").click()
    # The third is about the window.
    expect(bubbles(page)).to_contain_text(HINTS[3].sentence)


def test_all_can_be_dismissed_at_once(server: Any, newcomer: BrowserContext) -> None:
    page = newcomer.new_page()
    page.goto(server.stories)
    bubbles(page).get_by_role("button", name="No more hints").click()
    expect(bubbles(page)).to_have_count(0)


def test_a_saved_analysis_has_no_hints(server: Any, newcomer: BrowserContext) -> None:
    saved = server.store.save_analysis_results(
        analysis_from_labels(["a", "b"], [[0, 1], [1, 0]]), "gpt2", ""
    )
    page = newcomer.new_page()
    page.goto(f"{server.url}{View(analysis_id=saved).to_query()}")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node").first).to_be_visible()
    expect(bubbles(page)).to_have_count(0)
