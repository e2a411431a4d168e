"""From a text to the views: run the model that ships, cancel a run, keep what came of one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence.turns import Turns

Open = Callable[..., Page]

TEXT = "The dog saw the cat near the river, and a girl gave the boy a red ball. " * 4


@pytest.fixture
def fresh(serve: Callable[[], Any]) -> Any:
    """Return a dashboard whose store is empty."""
    return serve()


def run(page: Page) -> None:
    page.get_by_role("button", name="Analyze", exact=True).last.click()


def test_a_pasted_text_is_analyzed_cancelled_saved_and_loaded(fresh: Any, open_page: Open) -> None:
    page = open_page(f"{fresh.url}{View(tab='analyze').to_query()}")
    run(page)
    expect(page.get_by_role("alert").first).to_contain_text("Paste a text or drop a file")
    page.locator(f"#{ids.MESSAGES} .btn-close").click()

    page.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT)
    page.locator(f"#{ids.ANALYZE_CLUSTERS}").fill("4")
    run(page)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not saved yet", timeout=120_000)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("The dog saw the cat")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(20)
    assert re.search(r"d=[0-9a-f]{32}", page.url)
    assert fresh.store.list_analyses() == []
    first = page.url

    # A second run, cancelled: what was shown is still shown, and nothing new is kept.
    kept = sorted((fresh.store.base_dir / "cache" / "unsaved" / "analysis_results").iterdir())
    page.get_by_role("button", name="Analyze", exact=True).first.click()
    page.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT * 200)
    run(page)
    cancel = page.get_by_role("button", name="Cancel", exact=True).first
    expect(page.locator(f"#{ids.ANALYZE_STAGE}")).to_contain_text("of 4", timeout=60_000)
    cancel.click()
    expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
    expect(cancel).to_be_disabled()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("The dog saw the cat")
    left = sorted((fresh.store.base_dir / "cache" / "unsaved" / "analysis_results").iterdir())
    assert left == kept

    # The address of the first is its result, unsaved as it is; saved, it is loaded as any other.
    page.goto(first)
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(20)
    page.get_by_label("Name", exact=True).fill("my text")
    page.get_by_role("button", name="Save Analysis", exact=True).click()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("version 1")
    page.goto(fresh.stories)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not GPT-2")
    page.locator(f"#{ids.LOAD_ANALYSIS}").click()
    page.locator(".dash-dropdown-content").get_by_text("my text").first.click()
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("my text")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(20)


def test_a_column_of_a_file_becomes_the_text(fresh: Any, open_page: Open) -> None:
    page = open_page(f"{fresh.url}{View(tab='analyze').to_query()}")
    page.locator(f"#{ids.ANALYZE_FILE} input[type=file]").set_input_files(
        {
            "name": "texts.csv",
            "mimeType": "text/csv",
            "buffer": b'id,text\n1,"The cat, asleep"\n2,A dog\n',
        }
    )
    page.locator(f"#{ids.ANALYZE_COLUMN}").click()
    page.locator(".dash-dropdown-content").get_by_text("text", exact=True).click()
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value("The cat, asleep\nA dog")
    expect(page.get_by_role("radio", name="A text a line")).to_be_checked()


def test_a_run_waits_while_others_work_and_can_be_cancelled(fresh: Any, open_page: Open) -> None:
    turns = Turns(fresh.store.base_dir / "cache" / "turns" / "analyze")
    page = open_page(f"{fresh.url}{View(tab='analyze').to_query()}")
    page.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT)
    stage = page.locator(f"#{ids.ANALYZE_STAGE}")
    with turns.taken(lambda _: None), turns.taken(lambda _: None):
        run(page)
        expect(stage).to_have_text("Waiting: 2 others came before")
        page.get_by_role("button", name="Cancel", exact=True).first.click()
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
        expect(stage).to_have_text("")
        run(page)
        expect(stage).to_have_text("Waiting: 2 others came before")
        # Meanwhile everything else is there as ever.
        page.locator(".cf-view-tab", has_text="Overview").click()
        expect(page.locator(f"#{ids.SANKEY} .sankey-node").first).to_be_visible()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not saved yet", timeout=120_000)
