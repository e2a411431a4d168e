"""Long work on the page: it is said, can be cancelled, and shows what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.workers import gunicorn
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import FIRST_EXAMPLE, View
from concept_fragmentation.persistence.turns import Turns

Open = Callable[..., Page]
MINUTES = 120_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def url(folder: Path, port: int) -> Iterator[str]:
    """Return the address of a dashboard that two processes serve."""
    with gunicorn(folder, port) as address:
        yield address


def held(folder: Path, kind: str) -> Turns:
    """Return the row in which that kind of work waits."""
    return Turns(folder / "cache" / "turns" / kind)


def test_reports_and_maps_wait_are_cancelled_and_are_made_while_the_page_answers(
    url: str, folder: Path, open_page: Open
) -> None:
    page = open_page(f"{url}{View(tab='concepts', example=FIRST_EXAMPLE).to_query()}")
    a_report_waits_is_cancelled_and_is_made(page, folder)
    # The first example has no hidden states, and leads to the one that has them.
    page.get_by_role("group", name="map of a layer").get_by_role("link").click()
    a_map_by_umap_is_computed_while_the_page_answers(page, folder)
    # Whoever opens the same has it at once.
    page.reload()
    expect(page.locator(f"#{ids.STATE_MAP}")).to_contain_text("UMAP, first axis")
    expect(page.get_by_role("group", name="Mapping the layer by UMAP")).to_be_hidden()


def a_report_waits_is_cancelled_and_is_made(page: Page, folder: Path) -> None:
    button = page.get_by_role("button", name="Report", exact=True)
    run = page.get_by_role("group", name="Making the report")
    expect(run).to_be_hidden()
    turns = held(folder, "report")
    with turns.taken(lambda _: None), turns.taken(lambda _: None):
        button.click()
        expect(run).to_contain_text("waiting: 2 others came before")
        run.get_by_role("button", name="Cancel").click()
        expect(run).to_be_hidden()
    with page.expect_download(timeout=MINUTES) as download:
        button.click()
    assert download.value.suggested_filename == "report-gpt2-small.html"
    expect(run).to_be_hidden()


def a_map_by_umap_is_computed_while_the_page_answers(page: Page, folder: Path) -> None:
    place = page.locator(f"#{ids.STATE_MAP}")
    run = page.get_by_role("group", name="Mapping the layer by UMAP")
    expect(place.locator(".main-svg").first).to_be_visible()
    turns = held(folder, "map")
    with turns.taken(lambda _: None), turns.taken(lambda _: None):
        page.get_by_text("UMAP", exact=True).click()
        expect(place).to_contain_text("This takes a while")
        expect(run).to_contain_text("waiting: 2 others came before")
        # Meanwhile the page is as it ever was.
        page.locator(".cf-view-tab", has_text="Token paths").click()
        expect(page.locator(f"#{ids.TRAJECTORIES} .main-svg").first).to_be_visible()
        page.locator(".cf-view-tab", has_text="Concepts").click()
        expect(place).to_be_visible()
        expect(run).to_be_visible()
        run.get_by_role("button", name="Cancel").click()
        expect(run).to_be_hidden()
        expect(page.get_by_role("radio", name="PCA")).to_be_checked()
        expect(place.locator(".main-svg").first).to_be_visible()
    page.get_by_text("UMAP", exact=True).click()
    expect(place).to_contain_text("UMAP, first axis", timeout=MINUTES)
    expect(run).to_be_hidden()
