"""Two people at one server of two processes: what the one has not saved, the other never sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, expect

from benchmarks.workers import gunicorn
from concept_fragmentation.components import ids
from concept_fragmentation.components.hints import ALL_DISMISSED, STORAGE
from concept_fragmentation.components.view import FIRST_EXAMPLE, View

TEXT = "The girl lost a golden key near the old bridge. "


@pytest.fixture
def url(tmp_path: Path, port: int) -> Iterator[str]:
    """Return the address of a dashboard that two processes serve."""
    with gunicorn(tmp_path / "store", port) as address:
        yield address


def open_as(person: BrowserContext, address: str) -> Page:
    """Open a page in the profile of a person."""
    page = person.new_page()
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.goto(address)
    # Nothing can be clicked before the page knows what it shows.
    expect(page.locator(".cf-view-tab[aria-current=page]")).to_be_visible()
    return page


@pytest.fixture
def another(browser: Browser) -> Iterator[BrowserContext]:
    """Return the profile of another person."""
    context = browser.new_context()
    context.set_default_timeout(30_000)
    context.add_init_script(f"localStorage.setItem({STORAGE!r}, {ALL_DISMISSED!r})")
    yield context
    context.close()


def tokens_in(answer: APIResponse) -> str:
    """Return the text of the first column of a table, in which no token needs quotes."""
    return "".join(line.partition(",")[0] for line in answer.text().splitlines()[1:])


def test_unsaved_work_is_its_makers_alone(
    url: str, context: BrowserContext, another: BrowserContext
) -> None:
    ann = open_as(context, f"{url}{View(tab='analyze').to_query()}")
    ann.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT * 4)
    ann.get_by_role("button", name="Analyze", exact=True).last.click()
    ann.locator(f"#{ids.FINISHED_LIST}").get_by_text("Open", exact=True).click(timeout=120_000)
    expect(ann.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not saved yet")

    address = ann.url
    ben = open_as(another, f"{url}{View(tab='library', example=FIRST_EXAMPLE).to_query()}")
    expect(ben.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("GPT-2 small: its")
    expect(ben.locator(f"#{ids.LIBRARY_NOTE}")).to_contain_text("Nothing is saved yet")
    assert "golden" not in ben.content()
    ben.locator(".cf-view-tab", has_text="Analysis Persistence").click()
    ben.locator(f"#{ids.LOAD_ANALYSIS}").click()
    expect(ben.locator(".dash-dropdown-content")).to_be_visible()
    assert "golden" not in ben.content()

    # Whichever of the two processes answers has her work for her, again and again.
    data = f"{url}figure/{ids.PATH_TABLE}.csv?{urlsplit(address).query}"
    for _ in range(8):
        assert TEXT in tokens_in(context.request.get(data))
    ann.reload()
    expect(ann.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("The girl lost")
    expect(ann.locator(f"#{ids.SANKEY} .sankey-node").first).to_be_visible()
    ann.get_by_label("Name", exact=True).fill("Ann's key")
    ann.get_by_role("button", name="Save Analysis", exact=True).click()
    expect(ann.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("version 1")
    ben.goto(f"{url}{View(tab='library').to_query()}")
    expect(ben.locator(f"#{ids.LIBRARY_GRID}")).to_contain_text("Ann's key")
    ann.close()
