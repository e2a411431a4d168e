"""Ten people at once: browser sessions under `gunicorn -w 2`, each acting every few seconds.

The browsers run on the same machine as the server, which in life they do not: how long the server
takes to answer says more than how long it takes until everything is drawn.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page, Request, async_playwright

from benchmarks.browser import DRAWN, chromium_path, store_of_real_tokens
from benchmarks.timing import Row
from benchmarks.workers import gunicorn
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View

PEOPLE, SECONDS = 10, 90
# How long a person looks at what was drawn, in seconds.
LOOKS = (4.0, 8.0)
MOST = 3.0

_WINDOWS = ("early", "middle", "late", "all")


def run() -> list[Row]:
    """What an interaction takes for one person, then for each of ten."""
    with store_of_real_tokens() as (folder, analysis_id), gunicorn(folder) as url:
        address = url + View(analysis_id=analysis_id, version=1).to_query()
        alone = asyncio.run(_people(address, 1))
        crowd = asyncio.run(_people(address, PEOPLE))
    rows = []
    for number, what in enumerate(("the server's answers", "until drawn")):
        one, ten = (statistics.median(times[number] for times in each) for each in (alone, crowd))
        verdict = "reached" if ten <= MOST * one else "MISSED"
        rows.append(
            (
                f"an interaction, {what}",
                f"one person {one:,.0f} ms ({len(alone)}), each of {PEOPLE} {ten:,.0f} ms "
                f"({len(crowd)}): {ten / one:.2f}x (goal {MOST:.0f}x, {verdict})",
            )
        )
    return rows


async def _people(address: str, number: int) -> list[tuple[float, float]]:
    """For each interaction of each of them: milliseconds of the slowest answer, and until drawn."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox"]
        )
        try:
            each = await asyncio.gather(*(_person(browser, address, i) for i in range(number)))
        finally:
            await browser.close()
    return [times for one in each for times in one]


async def _person(browser: Browser, address: str, number: int) -> list[tuple[float, float]]:
    rng = random.Random(number)
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    answered: list[Request] = []

    def finished(request: Request) -> None:
        answered.append(request)

    page.on("requestfinished", finished)
    await page.goto(address)
    await page.wait_for_function(DRAWN)
    times = []
    until = time.perf_counter() + SECONDS
    async for _ in _pauses(rng, until):
        answered.clear()
        start = time.perf_counter()
        await _act(page, rng)
        # The first request leaves at once; what is drawn may change a moment later.
        await page.wait_for_timeout(150)
        await page.wait_for_function(DRAWN)
        drawn = time.perf_counter() - start
        took = [
            request.timing["responseStart"] - request.timing["requestStart"]
            for request in answered
            if "_dash-update-component" in request.url
        ]
        if took:
            times.append((max(took), 1000 * drawn))
    await context.close()
    return times


async def _pauses(rng: random.Random, until: float) -> AsyncIterator[None]:
    """Look at the page for a while, again and again."""
    while True:
        pause = rng.uniform(*LOOKS)
        if time.perf_counter() + pause > until:
            return
        await asyncio.sleep(pause)
        yield


async def _act(page: Page, rng: random.Random) -> None:
    """Do one of the things that a person does."""
    what = rng.randrange(3)
    if what == 0:
        window = rng.choice(_WINDOWS)
        await page.locator(".cf-chip-button", has_text=window.capitalize()).click()
    elif what == 1:
        await page.locator(f"#{ids.PATHS} .cf-path").nth(rng.randrange(10)).click()
    else:
        nodes = page.locator(f"#{ids.SANKEY} .sankey-node rect")
        node = nodes.nth(rng.randrange(await nodes.count()))
        await node.scroll_into_view_if_needed()
        box = await node.bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
