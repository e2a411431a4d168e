"""One server of two processes: what takes long is said, and what is not saved is its maker's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, expect

from benchmarks.workers import gunicorn
from concept_fragmentation.components import ids
from concept_fragmentation.components.hints import ALL_DISMISSED, STORAGE
from concept_fragmentation.components.view import FIRST_EXAMPLE, View
from concept_fragmentation.persistence.turns import Turns

Open = Callable[..., Page]
MINUTES = 120_000
TEXT = "The girl lost a golden key near the old bridge. "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def url(folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    """Return the address of a dashboard that two processes serve."""
    with gunicorn(folder, ports[1]) as address:
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
