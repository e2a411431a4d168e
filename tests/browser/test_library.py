"""The library: rows that open, deletions that ask, the trash; and the list of exported files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View

Open = Callable[..., Page]


def save(server: Any, name: str) -> str:
    analysis = analysis_from_labels(["a", "b", "c"], [[0, 1], [1, 1], [0, 0]])
    identifier: str = server.store.save_analysis_results(analysis, "gpt2", "text", name=name)
    return identifier


def rows(page: Page) -> Locator:
    return page.locator(f"#{ids.LIBRARY_GRID} .ag-center-cols-container [role=row]")


def test_deleting_asks_and_the_trash_restores_after_a_reload(fresh: Any, open_page: Open) -> None:
    for name in ("one", "two"):
        save(fresh, name)
    page = open_page(f"{fresh.url}{View(tab='library').to_query()}")
    trash = page.locator(f"#{ids.TRASH}")
    expect(trash).to_contain_text("The trash is empty.")
    rows(page).filter(has_text="two").get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete selected…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 'two' with its 1 version and its saved views?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".modal")).to_have_count(0)
    # A second press of a button within a moment counts as one (assets/once.js).
    page.wait_for_timeout(500)
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Delete selected…").click()
    dialog.get_by_role("button", name="Delete analysis").click()
    expect(rows(page)).to_have_count(1)
    expect(trash).to_contain_text("'two'")
    page.reload()
    trash.get_by_role("button", name="Restore 'two'").click()
    expect(page.get_by_text("Restored 'two'.")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    expect(trash).to_contain_text("The trash is empty.")


def test_a_click_opens_a_row_a_double_click_edits_it_and_exports_are_listed_and_deleted(
    fresh: Any, open_page: Open
) -> None:
    analysis_id = save(fresh, "one")
    page = open_page(f"{fresh.url}{View(tab='library').to_query()}")
    rows(page).get_by_text("one", exact=True).dblclick()
    page.keyboard.type("renamed")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Changed the name.")).to_be_visible()
    assert "tab=library" in page.url
    rows(page).get_by_text("renamed", exact=True).click()
    expect(page.get_by_role("status", name="Analysis shown")).to_contain_text("renamed")
    page.wait_for_url(re.compile(f"a={analysis_id}"))

    page.locator(".cf-view-tab", has_text="Persistence").click()
    page.get_by_role("button", name="Export", exact=True).click()
    result = page.locator(f"#{ids.EXPORT_RESULT}")
    expect(result).to_contain_text("Written to")
    files = page.locator(f"#{ids.EXPORT_FILES}")
    files.get_by_text("1 exported file").click()
    files.get_by_role("button", name=re.compile("^Delete the file")).click()
    expect(page.get_by_text("the analysis stays in the store")).to_be_visible()
    expect(files).to_be_empty()
    expect(result).to_be_empty()
    assert fresh.store.exports.entries() == []


def test_a_page_says_that_what_it_shows_was_deleted_elsewhere(server: Any, show: Open) -> None:
    analysis_id = save(server, "one")
    page = show(f"{server.url}{View(analysis_id=analysis_id).to_query()}")
    server.store.delete_analysis(analysis_id)
    page.get_by_role("button", name="Token paths").click()
    said = page.get_by_role("alert").first
    expect(said).to_contain_text("'one' was deleted. Restore it from the trash in the Library.")
    expect(page.get_by_role("status", name="Analysis shown")).to_contain_text("GPT-2 small")
    expect(page.locator(f"#{ids.TRAJECTORIES} .js-plotly-plot")).to_be_visible()
