"""Small pictures of flows, in the library and beside saved views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from concept_fragmentation.app import demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View

Open = Callable[..., Page]

LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def stories(server: Any) -> str:
    """Return the id of a copy of the demo that has saved views."""
    data = demo_analysis()["analysis_data"]
    store = server.store
    saved: str = store.save_analysis_results(data, "gpt2", "text", name="<i>stories</i>")
    for name, view in {
        "late": View(analysis_id=saved, version=1, first=2, last=4, tokens=(1,)),
        "<b>early</b>": View(analysis_id=saved, version=1, tab="paths", first=0, last=1),
    }.items():
        store.save_visualization_state(saved, view.to_dict(), "token_sankey", name)
    store.create_session("stories of a session", [saved])
    return saved


def test_the_library_shows_a_picture_of_each_analysis_in_the_theme_of_the_page(
    server: Any, stories: str, open_page: Open
) -> None:
    page = open_page(f"{server.url}{View(tab='library').to_query()}")
    picture = page.get_by_role("img", name="Token flow of <i>stories</i>")
    for system, chosen in (("light", "dark"), ("dark", "light")):
        page.emulate_media(color_scheme=system)
        page.evaluate("localStorage.removeItem('concept-fragmentation-theme')")
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(picture).to_be_visible()
        page.wait_for_function(LOADED, arg=picture.element_handle())
        expect(picture).to_have_css("color-scheme", chosen)


def test_saved_views_are_listed_with_pictures_and_chosen_with_the_keyboard(
    server: Any, stories: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='persistence', analysis_id=stories).to_query()}")
    views = page.get_by_role("group", name="Saved views")
    pictures = views.get_by_role("img")
    expect(pictures).to_have_count(2)
    for picture in pictures.all():
        page.wait_for_function(LOADED, arg=picture.element_handle())
    expect(views).to_contain_text("<b>early</b>")
    expect(
        views.get_by_role("img", name="Token flow: Overview · block_2 to block_4")
    ).to_be_visible()
    views.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(views.locator(".cf-state.active")).to_contain_text("late")
    page.get_by_role("button", name="Restore view").click()
    page.wait_for_url(lambda url: "w=2-4" in url and "t=1" in url)


def test_on_a_narrow_screen_saved_views_fit(server: Any, stories: str, show: Open) -> None:
    address = f"{server.url}{View(tab='persistence', analysis_id=stories).to_query()}"
    page = show(address, width=390)
    expect(page.locator(f"#{ids.STATE_CHOICE} img").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_session_opens_the_saved_views_of_its_analyses(
    server: Any, stories: str, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='persistence').to_query()}")
    page.locator(f"#{ids.SESSION_CHOICE}").click()
    page.get_by_role("option").filter(has_text="stories of a session").click()
    page.get_by_role("button", name="Open session").click()
    listed = page.locator(f"#{ids.SESSION_ANALYSES}")
    expect(listed.get_by_role("button", name="<i>stories</i>")).to_be_visible()
    listed.get_by_role("button", name="late").click()
    page.wait_for_url(lambda url: "w=2-4" in url and "t=1" in url)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("<i>stories</i>")
