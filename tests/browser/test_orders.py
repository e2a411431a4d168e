"""Figures are ordered a few at a time, those in sight first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import FIGURES
from concept_fragmentation.components.view import View

Open = Callable[..., Page]

AT_ONCE = 4


def ordered_by(route: Route) -> str | None:
    """Return which figure a request is for; None for all others."""
    inputs: list[Any] = route.request.post_data_json["inputs"]
    ordered = inputs[0]["id"] if len(inputs) == 1 and isinstance(inputs[0], dict) else None
    if not isinstance(ordered, dict) or ordered["type"] != ids.FIGURE_VIEW:
        return None
    return str(ordered["index"])


class Held:
    """Holds back what a page asks of its figures; every other request passes."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.page = page
        self._passes = False
        self._routes: dict[str, list[Route]] = {}
        page.route("**/_dash-update-component*", self._hold)

    def _hold(self, route: Route) -> None:
        if self._passes:
            route.continue_()
            return
        figure_id = ordered_by(route)
        if figure_id is None:
            route.continue_()
            return
        # A figure can have a note beside it, which is asked for by the same order.
        if figure_id not in self.asked:
            self.asked.append(figure_id)
        self._routes.setdefault(figure_id, []).append(route)

    def await_asked(self, count: int) -> None:
        while len(self.asked) < count:
            self.page.wait_for_timeout(20)

    def release(self, figure_id: str, *, broken: bool = False) -> None:
        for route in self._routes.pop(figure_id):
            if broken:
                route.fulfill(status=500)
            else:
                route.continue_()

    def release_all(self) -> None:
        self._passes = True
        for figure_id in list(self._routes):
            self.release(figure_id)


@pytest.fixture
def held(server: Any, open_page: Open) -> Held:
    """Return what holds the figures of "Token paths" in a page that was on another view before."""
    page = open_page(f"{server.url}{View(tab='library').to_query()}", height=900)
    held = Held(page)
    page.locator(".cf-view-tab", has_text="Token paths").click()
    return held


def test_what_is_in_sight_comes_first_and_the_rest_as_answers_come(held: Held) -> None:
    page = held.page
    held.await_asked(AT_ONCE)
    page.wait_for_timeout(500)
    assert len(held.asked) == AT_ONCE
    assert ids.SANKEY in held.asked
    assert ids.HEAT_MAP not in held.asked
    # What is waited for is busy, whether it was asked for or not.
    expect(page.locator(f"#{ids.HEAT_MAP}")).to_have_attribute("aria-busy", "true")

    page.locator(f"#{ids.HEAT_MAP}").scroll_into_view_if_needed()
    held.release(ids.SANKEY)
    held.await_asked(AT_ONCE + 1)
    # Not the trajectories, which come next on the page.
    sections = (ids.WINDOWS_SECTION, ids.MOVES_SECTION)
    assert FIGURES[held.asked[-1]].section in sections

    held.release_all()
    expect(page.locator(".cf-computed[aria-busy=true]")).to_have_count(0)
    expect(page.locator(f"#{ids.TRAJECTORIES} .main-svg").first).to_be_visible()


def test_what_is_left_before_it_was_asked_for_is_not_asked_for(held: Held) -> None:
    page = held.page
    held.await_asked(AT_ONCE)
    page.locator(".cf-view-tab", has_text="Library").click()
    expect(page.locator(f"#{ids.LIBRARY_TABLE}")).to_be_visible()
    asked = list(held.asked)
    for figure_id in asked:
        held.release(figure_id)
    # Nothing is waited for any more; then the view is shown again, and all of it is asked for.
    expect(page.locator(".cf-computed[aria-busy=true]")).to_have_count(0)
    assert held.asked == asked
    held.release_all()
    page.locator(".cf-view-tab", has_text="Token paths").click()
    expect(page.locator(f"#{ids.HEAT_MAP} .main-svg").first).to_be_visible()


def test_a_figure_that_fails_holds_no_other_up(server: Any, context: Any) -> None:
    # A page of its own: the browser complains of an answer that is broken.
    page = context.new_page()
    page.goto(f"{server.url}{View(tab='library').to_query()}")
    expect(page.locator(f"#{ids.LIBRARY_TABLE}")).to_be_visible()
    held = Held(page)
    page.locator(".cf-view-tab", has_text="Token paths").click()
    held.await_asked(AT_ONCE)
    for figure_id in list(held.asked):
        held.release(figure_id, broken=True)
    held.await_asked(AT_ONCE + 1)
    held.release_all()
    expect(page.locator(f"#{ids.HEAT_MAP} .main-svg").first).to_be_visible()
    expect(page.locator(".cf-computed[aria-busy=true]")).to_have_count(0)
    page.close()


def test_what_comes_after_figures_that_fail_is_shown(server: Any, context: Any) -> None:
    page = context.new_page()

    def fail(route: Route) -> None:
        figure_id = ordered_by(route)
        if figure_id is not None and FIGURES[figure_id].section == ids.HEADS_SECTION:
            route.fulfill(status=500)
        else:
            route.continue_()

    page.route("**/_dash-update-component*", fail)
    page.goto(f"{server.url}{View(tab='attention').to_query()}")
    expect(page.locator(f"#{ids.ATTENTION_MATRIX} .main-svg").first).to_be_visible()
    page.close()
