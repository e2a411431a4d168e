"""Every view of an analysis whose words are hostile: they stay words, and all can use the page."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.app import demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import TAB_NAMES
from concept_fragmentation.components.view import Tab, View

Open = Callable[..., Page]

LONG = "x" * 10_000
# What Plotly would make bold, low and a link of; short enough to be cut nowhere.
SHORT = ["<b>b</b>", "<i>i</i>", "<sub>s</sub>", "<a>a</a>", "x<br>y", "%{x}", "$x^2$"]
HOSTILE = [
    *SHORT,
    "<img src=x class=injected onerror='window.ran = 1'>",
    "<script class=injected>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "<b class=injected>bold</b>",
    "<a class=injected href='javascript:window.ran = 1'>link</a>",
    "<br><sub>low</sub><span style='font-size:99px'>",
    "\"' onmouseover='window.ran = 1' class='injected",
    "&lt;b&gt;&amp;&#60;",
    "%{x} %{customdata[0]}<extra></extra>",
    "$x^2$ {{7*7}} ${7*7}",
    "\u202edesrever\u202c",
    "\u2067\u2066isolates",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "nul\0bell\a\x1b[31mred\x7f",
    "\ud83d lone \udc00",
    "\u200b\u200d\ufeff",
    "a" + "\u0301" * 300,
    "\ufdfd" * 40,
    "line\nfeed\ttab\r",
    LONG,
    "__proto__",
    "constructor",
    "=HYPERLINK(1)",
    "",
]
LAYERS = [
    "<b>1</b>",
    "\u202esecond",
    f"third {LONG}",
    "fourth\0<script>window.ran = 1</script>",
    "fifth <img src=x class=injected onerror='window.ran = 1'>",
]
COLUMN = "<i class=injected>kind</i>"
NAME = f"<img src=x class=injected onerror='window.ran = 1'>\u202eeman {'long ' * 30}"


def hostile_analysis(seed: int) -> dict[str, Any]:
    """The demo, with hostile tokens, names of layers and a column, and some tokens moved."""
    demo = demo_analysis()["analysis_data"]
    text = json.dumps({key: value for key, value in demo.items() if key != "token_paths"})
    for old, new in zip(demo["layers"], LAYERS, strict=True):
        text = text.replace(json.dumps(old), json.dumps(new))
    analysis: dict[str, Any] = json.loads(text)
    metadata = analysis["token_metadata"]
    metadata["tokens"] = [HOSTILE[i % len(HOSTILE)] for i in range(len(metadata["tokens"]))]
    metadata[COLUMN] = [HOSTILE[i % 7] for i in range(len(metadata["tokens"]))]
    shuffled = random.Random(seed)
    for labels in analysis["cluster_labels"].values():
        first, second = shuffled.sample(range(len(labels)), 2)
        labels[first], labels[second] = labels[second], labels[first]
    return analysis


@pytest.fixture(scope="module")
def address(server: Any) -> str:
    """Save two hostile analyses, with views and a session; return the query that compares them."""
    saved = [
        server.store.save_analysis_results(
            hostile_analysis(seed),
            "<b class=injected>model</b>\u202e",
            "<script>window.ran = 1</script>",
            name=f"{NAME}{seed}",
            tags=["<u class=injected>tag</u>", "\u202etag"],
            notes=f"<script>window.ran = 1</script> {LONG}",
        )
        for seed in range(2)
    ]
    server.store.save_visualization_state(saved[0], {}, "token_sankey", NAME)
    server.store.create_session(NAME, saved)
    labels = hostile_analysis(0)["cluster_labels"][LAYERS[1]]
    return View(
        analysis_id=saved[0],
        other=saved[1],
        first=0,
        last=4,
        tokens=(0, 10, 13, 19),
        selection=("node", 1, labels[HOSTILE.index(LONG)]),
        colour_by=f"token.{COLUMN}",
    ).to_query()


# What a page of hostile words must not have, each with what there is of it.
HARM = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("script, style")) {
      texts.push(walker.currentNode.data);
    }
  }
  const all = texts.join("\\n");
  const outer = (selector) =>
    [...document.querySelectorAll(selector)].map((element) => element.outerHTML.slice(0, 200));
  const controls = /[\\u0000-\\u0008\\u000b-\\u001f\\u007f\\u202a-\\u202e\\u2066\\u2067]/g;
  return {
    ran: window.ran ?? null,
    injected: outer(".injected, main svg a, main b, main i, main u, main sub, main img[src=x]"),
    // Hovers have bold parts of their own.
    markup: outer(
      "main svg tspan:is([style*=bold], [style*=italic], [style*=font-size]):not(.hoverlayer *)"),
    handlers: outer("[onerror], [onmouseover], [href^='javascript:']"),
    scripts: [...document.scripts].filter((script) => !script.src).map((script) => script.id),
    controls: [...new Set(all.match(controls) || [])],
    halves: !all.isWellFormed(),
    long: texts.filter((text) => text.length > 600).map((text) => text.slice(0, 80)),
  };
}"""
HARMLESS: dict[str, Any] = {
    "ran": None,
    "injected": [],
    "markup": [],
    "handlers": [],
    "scripts": ["_dash-config", "_dash-renderer"],
    "controls": [],
    "halves": False,
    "long": [],
}

# What can't be used by who does not see well, or has no mouse.
BARRIERS = """() => axe.run(
  { exclude: [".main-svg"] }, { resultTypes: ["violations"] }
).then((found) =>
  found.violations
    .filter((violation) => ["serious", "critical"].includes(violation.impact))
    .map((violation) => [violation.id, ...violation.nodes.map((node) => node.html.slice(0, 200))])
)"""


WIDE, NARROW = (1440, "light"), (390, "dark")
ALL_LOOKS = (WIDE, NARROW, (1440, "dark"), (390, "light"))


def check_in_looks(page: Page, looks: Sequence[tuple[int, str]], *, harmless: bool) -> None:
    """Check a page that is settled, in each of these widths and themes."""
    page.evaluate(AXE_SCRIPT)
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator(f"html[data-bs-theme={scheme}]")).to_be_attached()
        settled(page)
        assert page.evaluate(BARRIERS) == [], (width, scheme)
        # Figures follow the width a moment later.
        page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")
        if harmless:
            assert page.evaluate(HARM) == HARMLESS, (width, scheme)


def settled(page: Page) -> None:
    """Wait until every figure of the view is drawn, and tables have their rows."""
    page.wait_for_function(
        """() => !document.querySelector(
              "[data-dash-is-loading=true], .cf-computed[aria-busy=true]")
          && [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-figure")].every(
              (figure) => figure.querySelector(".main-svg, .cf-empty"))
          && [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-table-place")].every(
              (table) => table.querySelector(".ag-cell-value")?.checkVisibility(
                { visibilityProperty: true }))"""
    )


@pytest.mark.soak
@pytest.mark.parametrize("tab", TAB_NAMES)
def test_hostile_words_are_words_and_nothing_is_a_barrier_in_any_view(
    server: Any, address: str, show: Open, tab: Tab, soaking: bool
) -> None:
    page = show(f"{server.url}{address}&tab={tab}", width=390, dark=True)
    settled(page)
    # On a narrow page, words have the least room; the demo is looked at on a wide one too.
    check_in_looks(page, ALL_LOOKS if soaking else (NARROW,), harmless=True)


@pytest.mark.parametrize("tab", ["paths", "attention", "concepts", "path-attention"])
def test_what_a_figure_says_above_and_below_is_not_cut_on_a_narrow_page(
    server: Any, show: Open, tab: Tab
) -> None:
    page = show(f"{server.url}{View(tab=tab, tokens=(33, 110)).to_query()}", width=390)
    settled(page)
    # Figures follow the width a moment later.
    page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".cf-shown:not([hidden]) .cf-graph")].flatMap(
          (graph) => [...graph.querySelectorAll(".gtitle-subtitle, .annotation-text")]
            .filter((text) => text.matches(".gtitle-subtitle") || /■|mean/.test(text.textContent))
            .filter((text) => text.getBoundingClientRect().right
              > graph.getBoundingClientRect().right)
            .map((text) => text.textContent))"""
    )
    assert cut == []


def test_names_between_the_bars_of_many_layers_are_left_out_of_a_narrow_page(
    server: Any, show: Open
) -> None:
    labels = np.random.default_rng(0).integers(4, size=(60, 12))
    made = analysis_from_labels([f"t{i}" for i in range(60)], labels)
    server.store.save_analysis_results(made, "gpt2", "", "twelve")
    view = View(analysis_id="twelve", first=0, last=11)
    page = show(f"{server.url}{view.to_query()}")
    names = page.locator(f"#{ids.SANKEY} .sankey-node .node-label", has_text="C")
    expect(names.first).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 1000})
    expect(names.first).to_be_hidden()
    # Those of the last layer have room beside it.
    last = page.locator(f"#{ids.SANKEY} .annotation-text", has_text=re.compile("^C[0-3]$"))
    expect(last).to_have_count(4)
    expect(last.first).to_be_visible()


def test_hostile_words_stay_words_in_what_opens_and_in_messages_and_a_tooltip_says_more(
    server: Any, address: str, show: Open
) -> None:
    page = show(f"{server.url}{address}&tab=overview")
    long = page.locator(".cf-token", has_text=re.compile("x{30}…")).first
    expect(long).to_have_attribute("title", re.compile(r"^x{500}… \(position \d+\)$"))
    for dropdown in (ids.FIND_TOKENS, ids.COLOUR_BY, ids.CLUSTER_CHOICE, ids.LOAD_ANALYSIS):
        page.locator(f"#{dropdown}").click()
        content = page.locator(".dash-dropdown-content")
        expect(content.locator(".dash-dropdown-option").first).to_be_visible()
        assert page.evaluate(HARM) == HARMLESS, dropdown
        page.keyboard.press("Escape")
        expect(content).to_have_count(0)
    page.locator(f"#{ids.SANKEY} .sankey-node rect").first.hover()
    expect(page.locator(f"#{ids.SANKEY} .hoverlayer .hovertext").first).to_be_visible()
    assert page.evaluate(HARM) == HARMLESS
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(page.get_by_text("Loaded '<img src=x")).to_be_visible()
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate(HARM) == HARMLESS
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".modal")).to_have_count(0)


@pytest.mark.soak
def test_the_demo_with_its_hints_and_the_guide_are_no_barrier(
    server: Any, open_page: Open, soaking: bool
) -> None:
    page = open_page(server.stories)
    looks = ALL_LOOKS if soaking else (WIDE, NARROW)
    check_in_looks(page, looks, harmless=False)
    page.get_by_role("tab", name="Guide").click()
    expect(page.get_by_role("tabpanel", name="Guide")).to_be_visible()
    # The other way round: it is narrow already.
    check_in_looks(page, looks[::-1], harmless=False)


def test_dropdowns_and_uploads_are_reached_by_keyboard(server: Any, show: Open) -> None:
    page = show(f"{server.url}{View(tab='analyze').to_query()}")
    page.locator(f"#{ids.ANALYZE_TEXT}").focus()
    page.keyboard.press("Tab")
    focused = page.locator("*:focus")
    expect(focused).to_have_attribute("aria-label", re.compile("Or a file"))
    page.locator(f"#{ids.ANALYZE_MODEL}").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(focused).to_have_attribute("id", ids.ANALYZE_MODEL)
    page.keyboard.press("Enter")
    expect(page.locator(".dash-dropdown-content")).to_be_visible()


def test_a_script_that_got_into_the_page_would_not_run(
    server: Any, context: BrowserContext
) -> None:
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(server.stories)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = 1";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>");
          window.setTimeout("window.ran = 1");
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()


def shift(page: Page) -> float:
    """Return the cumulative layout shift of Web Vitals since a page was loaded; 0.1 is "good"."""
    total: float = page.evaluate(
        """() => new Promise((resolve) => {
          let total = 0;
          new PerformanceObserver((list) => {
            for (const shift of list.getEntries()) if (!shift.hadRecentInput) total += shift.value;
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(total), 300);
        })"""
    )
    return total


@pytest.mark.soak
def test_nothing_jumps_while_a_view_is_loaded(server: Any, open_page: Open, soaking: bool) -> None:
    loads: list[tuple[Tab, int]] = [("overview", 1440), ("attention", 390), ("library", 1440)]
    if soaking:
        loads += [("overview", 390), ("attention", 1440), ("library", 390)]
    page: Page | None = None
    for tab, width in loads:
        address = server.url + View(tab=tab).to_query()
        if page is None:
            page = open_page(address, width=width, height=900)
        else:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            settled(page)
        assert shift(page) < 0.1, (tab, width)


@pytest.mark.soak
def test_what_all_figures_of_a_section_lack_is_said_once_and_nothing_jumps(
    server: Any, open_page: Open, soaking: bool
) -> None:
    labels = np.random.default_rng(0).integers(4, size=(60, 4))
    made = analysis_from_labels([f"t{i}" for i in range(60)], labels)
    server.store.save_analysis_results(made, "gpt2", "", "only labels")
    address = server.url + View(analysis_id="only labels", tab="attention").to_query()
    for width in (390, 1440) if soaking else (390,):
        page = open_page(address, width=width, height=900)
        said = page.get_by_text("This analysis has no attention data").filter(visible=True)
        for section in (ids.HEADS_SECTION, ids.WEIGHTS_SECTION):
            expect(page.locator(f"section#{section}").locator(said)).to_have_count(1)
            expect(page.locator(f"section#{section}")).to_be_visible()
        assert shift(page) < 0.1
        # Of an analysis that has them, all figures are there, each in its room.
        page.evaluate(
            "search => window.dash_clientside.set_props('location', {search})",
            View(tab="attention").to_query(),
        )
        expect(said).to_have_count(0)
        settled(page)
        drawn = page.locator(f"section#{ids.HEADS_SECTION} .cf-graph .main-svg:first-of-type")
        expect(drawn.first).to_be_visible()
        # Figures follow the width a moment later.
        page.wait_for_function(
            """id => [...document.querySelectorAll(`section#${id} .cf-figure`)].every(place => {
                const [room, drawn] = [place, place.querySelector(".main-svg")].map(
                    element => Math.round(element.getBoundingClientRect().width));
                return drawn === room && room > 250;
            })""",
            arg=ids.HEADS_SECTION,
        )
