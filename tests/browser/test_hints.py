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


def check_hint(page: Page, number: int) -> Locator:
    """Check that this hint alone is shown, just above what it speaks of; return it."""
    shown = bubbles(page)
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text(HINTS[number].sentence)
    bubble = shown.bounding_box()
    target = page.locator(f"#{HINTS[number].target}").bounding_box()
    assert bubble is not None
    assert target is not None
    assert 0 <= target["y"] - (bubble["y"] + bubble["height"]) <= 20
    assert 0 <= bubble["x"] <= 1440 - bubble["width"]
    return shown


def test_hints_come_one_after_the_other_do_not_come_back_and_leave_out_what_was_tried(
    server: Any, newcomer: BrowserContext
) -> None:
    saved = server.store.save_analysis_results(
        analysis_from_labels(["a", "b"], [[0, 1], [1, 0]]), "gpt2", ""
    )
    page = newcomer.new_page()
    flow = page.locator(f"#{ids.SANKEY} .sankey-node").first
    # Who saved an analysis knows the page.
    page.goto(f"{server.url}{View(analysis_id=saved).to_query()}")
    expect(flow).to_be_visible()
    expect(bubbles(page)).to_have_count(0)

    page.goto(server.stories)
    for number in (0, 1):
        check_hint(page, number).get_by_role("button", name="Got it").click()
    # All can be dismissed at once.
    check_hint(page, 2).get_by_role("button", name="No more hints").click()
    expect(bubbles(page)).to_have_count(0)
    page.reload()
    expect(flow).to_be_visible()
    expect(bubbles(page)).to_have_count(0)

    # A newcomer once more, who tries something before.
    page.evaluate("localStorage.clear()")
    page.reload()
    expect(bubbles(page)).to_contain_text(HINTS[0].sentence)
    page.get_by_role("button", name="Show the early layers").click()
    for number in (0, 1):
        check_hint(page, number).get_by_role("button", name="Got it").click()
    # The third is about the window.
    check_hint(page, 3).get_by_role("button", name="Got it").click()
    expect(bubbles(page)).to_have_count(0)
