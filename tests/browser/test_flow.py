"""Looking at an analysis: the token flow, its controls, and the address that is the view."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.components import ids
from concept_fragmentation.components.layout import DASHBOARD_TAB
from concept_fragmentation.components.view import View

# Transparent bands only hold the room of hidden ones.
VISIBLE_BANDS = f"""() => [...document.querySelectorAll("#{ids.SANKEY} .sankey-link")]
    .filter(band => parseFloat(getComputedStyle(band).fillOpacity) > 0).length"""

Open = Callable[..., Page]

TOKENS = ["<b>x</b>", " the", "&amp;", "=1+1", " cat", " sat", " on", " mat"] * 5
LABELS = {
    "layer_0": [0, 1, 0, 1, 2, 2, 1, 2] * 5,
    "layer_1": [1, 0, 1, 0, 2, 2, 0, 2] * 5,
    "layer_2": [0, 0, 1, 1, 2, 2, 1, 2] * 5,
}


@pytest.fixture(scope="module")
def awkward(server: Any) -> str:
    """Return the id of an analysis whose tokens look like markup and formulas."""
    analysis = analysis_from_labels(TOKENS, LABELS, layers=list(LABELS))
    saved: str = server.store.save_analysis_results(analysis, "gpt2", "text", name="awkward")
    return saved


def address(server: Any, **choices: Any) -> str:
    return f"{server.url}{View(**choices).to_query()}"


def click_node(page: Page, number: int) -> None:
    """Click the middle of a cluster's bar with a real mouse."""
    click_at_middle(page, page.locator(f"#{ids.SANKEY} .sankey-node rect").nth(number))


def click_at_middle(page: Page, node: Locator) -> None:
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    assert box is not None
    click_at(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def click_link(page: Page, number: int) -> None:
    """Click the middle of a band with a real mouse."""
    x, y = middle_of_link(page, number)
    click_at(page, x, y)


def middle_of_link(page: Page, number: int) -> tuple[float, float]:
    page.locator(f"#{ids.SANKEY} .sankey-link").nth(number).scroll_into_view_if_needed()
    x, y = (
        page.locator(f"#{ids.SANKEY} .sankey-link")
        .nth(number)
        .evaluate(
            """link => {
            const length = link.getTotalLength();
            const [a, b] = [0.25, 0.75].map((part) => link.getPointAtLength(length * part));
            const middle = new DOMPoint((a.x + b.x) / 2, (a.y + b.y) / 2);
            const seen = middle.matrixTransform(link.getScreenCTM());
            return [seen.x, seen.y];
        }"""
        )
    )
    return x, y


def click_at(page: Page, x: float, y: float) -> None:
    page.mouse.move(x, y, steps=3)
    page.mouse.down()
    page.mouse.up()


def title_of(page: Page) -> str:
    return page.locator(f"#{ids.SELECTION} .cf-card-title").inner_text()


def test_clicking_a_cluster_lists_its_tokens(server: Any, awkward: str, show: Open) -> None:
    page = show(address(server, analysis_id=awkward))
    click_node(page, 0)
    page.wait_for_url(re.compile(r"s=node\.0\."))
    assert re.fullmatch(r"\d+ tokens in cluster \d of layer_0", title_of(page))
    count = int(title_of(page).split()[0])
    assert page.locator(f"#{ids.SELECTION} .cf-token").count() == count
    # It is marked in the flow, in another colouring too.
    marked = page.locator(f"#{ids.SANKEY} .cf-selected")
    expect(marked).to_have_count(1)
    show(page.url + "&c=path")
    expect(marked).to_have_count(1)
    expect(marked).to_have_class(re.compile("sankey-node"))


def test_clicking_a_band_lists_the_tokens_that_move(server: Any, awkward: str, show: Open) -> None:
    page = show(address(server, analysis_id=awkward))
    click_link(page, 0)
    page.wait_for_url(re.compile(r"s=link\."))
    expect(page.locator(f"#{ids.SANKEY} .cf-selected")).to_have_class(re.compile("sankey-link"))
    assert re.fullmatch(r"\d+ tokens in layer_\d cluster \d → layer_\d cluster \d", title_of(page))
    # Another band, then a cluster: neither is taken for the other.
    click_link(page, 3)
    click_node(page, 4)
    page.wait_for_url(re.compile(r"s=node\."))


def test_a_cluster_is_chosen_by_keyboard_among_concepts(server: Any, show: Open) -> None:
    page = show(address(server, tab="concepts", layer=2))
    choice = page.locator(f"#{ids.CONCEPT_CHOICE}")
    choice.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".dash-dropdown-content")).to_be_visible()
    # Those of the layer that is mapped, and no others.
    options = page.locator(".dash-dropdown-option")
    expect(options.first).to_contain_text("block_2")
    assert all("block_2" in text for text in options.all_inner_texts())
    page.keyboard.press("ArrowDown")
    # The focus moves in a later frame than the key.
    expect(options.first.get_by_role("radio")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"s=node\.2\."))
    expect(page.locator(f"#{ids.TYPICAL}")).to_contain_text(re.compile(r"cluster \d of block_2"))
    # The token flow of other views has the same choice.
    expect(page.locator(f"#{ids.CLUSTER_CHOICE}")).to_contain_text("block_2, cluster")


def click_bar(page: Page, figure_id: str, number: int) -> None:
    """Click a bar of a figure, near its left edge, where lines of paths may end."""
    bar = page.locator(f"#{figure_id} .bars .point path").nth(number)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box is not None
    x, y = box["x"] + 3, box["y"] + box["height"] / 2
    page.mouse.move(x, y, steps=3)
    # Plotly looks what is below the pointer a moment later.
    expect(page.locator(f"#{figure_id} .hoverlayer .hovertext")).to_be_visible()
    click_at(page, x, y)


def test_a_cluster_is_selected_by_its_bar_in_the_sizes_and_is_framed_there(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="concepts", analysis_id=awkward))
    expect(page.locator(f"#{ids.TYPICAL}")).to_contain_text("Click a bar in the cluster sizes")
    expect(page.locator(f"#{ids.TYPICAL} h3")).to_have_text("Typical tokens")
    click_bar(page, ids.CLUSTER_SIZES, 4)
    # The second bar of the second layer, in the order of what the clusters are aligned to.
    page.wait_for_url(re.compile(r"s=node\.1\.0"))
    expect(page.locator(f"#{ids.TYPICAL}")).to_contain_text("Typical of cluster 0 of layer_1")
    # One frame is its own, the other that of its layer.
    expect(page.locator(f"#{ids.CLUSTER_SIZES} .shapelayer path")).to_have_count(2)
    assert frames_of_layers(page, ids.CLUSTER_SIZES) == [1]


def test_a_cluster_is_selected_by_its_bar_in_the_trajectories(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward))
    click_bar(page, ids.TRAJECTORIES, 3)
    page.wait_for_url(re.compile(r"s=node\.1\."))
    assert "of layer_1" in title_of(page)


def test_a_token_chosen_in_the_attention_is_highlighted_in_its_path_beside_it(
    server: Any, show: Open
) -> None:
    page = show(address(server, tab="path-attention", tokens=(20,)))
    marked = page.locator(f"#{ids.ATTENTION_MATRIX} .shapelayer path")
    legend = page.locator(f"#{ids.SANKEY} .annotation").filter(has_text="■")
    expect(legend).to_contain_text("at 20")
    expect(marked).to_have_count(2)
    # The input tokens stand in the first column of what flows into the token.
    click_at_middle(page, page.locator(f"#{ids.ATTENTION_FLOW} .sankey-node rect").first)
    page.wait_for_url(re.compile(r"t=\d+\.20"))
    expect(legend).to_have_count(1)
    expect(marked).to_have_count(4)


@pytest.mark.soak
def test_every_cluster_and_every_band_of_the_demo_can_be_clicked(
    server: Any, show: Open, soaking: bool
) -> None:
    page = show(address(server, first=0, last=2))
    clusters = page.locator(f"#{ids.SANKEY} .sankey-node").count()
    for number in range(0, clusters, 1 if soaking else 5):
        before = page.url
        click_node(page, number)
        expect(page).not_to_have_url(before)
        assert "s=node." in page.url
    bands = page.locator(f"#{ids.SANKEY} .sankey-link").count()
    for number in range(0, bands, 1 if soaking else 25):
        x, y = middle_of_link(page, number)
        hit = page.evaluate(
            "([x, y, n]) => document.elementFromPoint(x, y) "
            f"=== document.querySelectorAll('#{ids.SANKEY} .sankey-link')[n]",
            [x, y, number],
        )
        if hit:  # Thin bands can lie below others.
            before = page.url
            click_at(page, x, y)
            expect(page).not_to_have_url(before)
            assert "s=link." in page.url


def test_a_token_that_looks_like_markup_is_shown_as_itself(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward, selection=("node", 0, 0)))
    expect(page.locator(f"#{ids.SELECTION} .cf-token").first).to_have_text("<b>x</b> 0")
    table = page.locator(f"#{ids.PATH_TABLE}")
    expect(table.get_by_text("<b>x</b>", exact=True).first).to_be_visible()
    expect(page.locator(f"#{ids.PATHS}")).to_contain_text("<b>x</b>")
    assert page.locator(f"#{ids.SELECTION} b, #{ids.PATH_TABLE} b, #{ids.PATHS} b").count() == 0


def test_a_hover_shows_markup_in_a_token_as_itself(server: Any, awkward: str, show: Open) -> None:
    page = show(address(server, analysis_id=awkward, tokens=(0, 2)))
    box = page.locator(f"#{ids.SANKEY} .sankey-node rect").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    hover = page.locator(f"#{ids.SANKEY} .hoverlayer")
    expect(hover).to_contain_text("<b>x</b>")
    expect(hover).to_contain_text("&amp;")


def test_the_address_restores_what_was_seen(server: Any, show: Open) -> None:
    seen = {
        "tab": "paths",
        "first": 1,
        "last": 4,
        "colour_by": "path",
        "min_count": 3,
        "tokens": (1, 8),
        "selection": ("node", 2, 2),
        "heat": (1, 3),
    }
    page = show(address(server, **seen))
    expect(page.locator(f"#{ids.LAYER_WINDOW_TEXT}")).to_contain_text("block_1 to block_4")
    expect(page.locator(f"#{ids.COLOUR_BY}")).to_contain_text("path")
    expect(page.locator(f"#{ids.MIN_COUNT}")).to_have_value("3")
    expect(page.locator(f"#{ids.FIND_TOKENS}")).to_contain_text("#8")
    expect(page.locator(f"#{ids.SELECTION}")).to_contain_text("cluster 2 of block_2")
    expect(page.locator(f"#{ids.HEAT_TARGET}")).to_contain_text("block_3")
    expect(page.locator(f"#{ids.SANKEY_NOTE}")).to_contain_text("Hidden")


def test_the_first_start_shows_the_demo_and_what_was_chosen_stays_in_history_and_over_a_reload(
    server: Any, open_page: Open
) -> None:
    page = open_page(server.stories)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not GPT-2")
    expect(page.get_by_role("tab", name="GPT-2 Metrics Dashboard", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Analysis Persistence", exact=True)).to_be_visible()
    assert page.locator(f"#{ids.SANKEY} .sankey-node").count() == 35
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")

    window = page.locator(f"#{ids.LAYER_WINDOW_TEXT}")
    page.get_by_role("button", name="Show the late layers").click()
    expect(window).to_contain_text("block_3 to block_4")
    page.get_by_role("button", name="Show the early layers").click()
    expect(window).to_contain_text("embedding to block_1")
    page.go_back()
    expect(window).to_contain_text("block_3 to block_4")
    assert page.locator(f"#{ids.SANKEY} .sankey-node").count() == 14
    page.go_back()
    expect(window).to_contain_text("embedding to block_4")
    page.go_forward()
    expect(window).to_contain_text("block_3 to block_4")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(14)
    click_node(page, 0)
    page.wait_for_url(re.compile(r"s=node\."))
    page.reload()
    expect(window).to_contain_text("block_3 to block_4")
    expect(page.locator(f"#{ids.SANKEY} .cf-selected")).to_have_class(re.compile("sankey-node"))
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_the_window_can_be_moved_with_the_keyboard(server: Any, show: Open) -> None:
    page = show(server.stories)
    page.locator(f"#{ids.LAYER_WINDOW}").get_by_role("slider").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"#{ids.LAYER_WINDOW_TEXT}")).to_contain_text("block_1 to block_4")
    page.wait_for_url(re.compile(r"w=1-4"))


def test_clicking_a_path_highlights_it_and_clicking_again_does_not(server: Any, show: Open) -> None:
    page = show(server.stories)
    path = page.locator(f"#{ids.PATHS} .cf-path").nth(1)
    path.click()
    expect(path).to_have_attribute("aria-pressed", "true")
    page.wait_for_url(re.compile(r"p="))
    path.click()
    expect(path).to_have_attribute("aria-pressed", "false")


def test_tokens_are_found_by_typing_and_restricted_to_a_category(server: Any, show: Open) -> None:
    page = show(server.stories)
    page.locator(f"#{ids.FIND_TOKENS}").click()
    page.keyboard.type("money")
    options = page.locator(
        ".dash-dropdown-content label, .dash-dropdown-content .dash-dropdown-option"
    )
    expect(options.filter(has_text="money").first).to_be_visible()
    options.filter(has_text="money").first.click()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"t=\d+"))
    page.get_by_role("button", name="Clear highlights").click()
    page.wait_for_url(re.compile(r"^(?!.*t=)"))

    page.locator(f"#{ids.ONLY_COLUMN}").click()
    page.locator(".dash-dropdown-content").get_by_text("part_of_speech", exact=True).click()
    page.locator(f"#{ids.ONLY_VALUES}").click()
    options.filter(has_text="noun (29)").first.click()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"o=part_of_speech%3Anoun"))
    expect(page.locator(f"#{ids.SUMMARY}")).to_contain_text("of 117: part_of_speech noun")
    expect(page.locator(f"#{ids.SANKEY}")).to_contain_text("29 tokens on")
    page.locator(f"#{ids.ONLY_COLUMN}").click()
    page.locator(".dash-dropdown-content").get_by_text("every category", exact=True).click()
    page.wait_for_url(re.compile(r"^(?!.*o=)"))
    expect(page.locator(f"#{ids.SANKEY}")).to_contain_text("116 tokens on")


def test_the_table_is_filtered_on_the_server(server: Any, show: Open) -> None:
    page = show(address(server, tab="paths"))
    note = page.locator(f"#{ids.PATH_TABLE_NOTE}")
    expect(note).to_have_text("117 tokens")
    page.locator(f"#{ids.PATH_TABLE} .ag-header-cell").filter(has_text="token").first.locator(
        ".ag-header-cell-menu-button, .ag-header-cell-filter-button"
    ).click()
    words = page.locator(".ag-filter-body input[type=text]").first
    words.fill("river")
    expect(note).to_have_text(re.compile(r"^\d of 117 tokens match$"))
    words.fill("")
    expect(note).to_have_text("117 tokens")
    page.keyboard.press("Escape")


def test_thin_bands_can_be_hidden_and_the_page_says_so(server: Any, show: Open) -> None:
    page = show(server.stories)
    all_bands = page.evaluate(f"({VISIBLE_BANDS})()")
    page.locator(f"#{ids.MIN_COUNT}").fill("6")
    page.keyboard.press("Enter")
    expect(page.locator(f"#{ids.SANKEY_NOTE}")).to_contain_text("of fewer than 6 tokens")
    page.wait_for_function(f"before => ({VISIBLE_BANDS})() < before", arg=all_bands)
    assert page.evaluate(f"({VISIBLE_BANDS})()") > 0


def test_a_link_to_what_is_gone_shows_the_demo_and_says_why(server: Any, open_page: Open) -> None:
    page = open_page(address(server, analysis_id="gone"))
    alert = page.get_by_role("alert")
    expect(alert.first).to_contain_text("Analysis not found: 'gone'.")
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("GPT-2 small: its")


def test_an_analysis_without_labels_says_what_it_lacks(server: Any, show: Open) -> None:
    bare = {"model_type": "gpt2", "layers": ["a", "b"], "token_metadata": {"tokens": ["x", "y"]}}
    analysis_id = server.store.save_analysis_results(bare, "gpt2", "x y", name="bare")
    page = show(address(server, analysis_id=analysis_id))
    expect(page.locator(f"#{ids.SUMMARY}")).to_contain_text("no cluster labels")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_horizontal_scroll(server: Any, show: Open, dark: bool) -> None:
    page = show(
        address(server, tokens=(1, 8), selection=("node", 0, 0)), width=390, height=844, dark=dark
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.bsTheme") == (
        "dark" if dark else "light"
    )
    page.get_by_role("tab", name="Guide").click()
    expect(page.get_by_text("Bring your own clusters")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name=DASHBOARD_TAB).click()


def test_the_two_pages_are_tabs_for_the_keyboard(server: Any, show: Open) -> None:
    page = show(f"{server.url}{View(tab='library').to_query()}")
    dashboard, guide = page.get_by_role("tab", name=DASHBOARD_TAB), page.get_by_role("tab").nth(1)
    expect(dashboard).to_have_attribute("aria-selected", "true")
    dashboard.focus()
    for key, chosen, other in (
        ("ArrowRight", guide, dashboard),
        ("ArrowRight", dashboard, guide),
        ("End", guide, dashboard),
        ("Home", dashboard, guide),
        ("ArrowLeft", guide, dashboard),
    ):
        page.keyboard.press(key)
        expect(chosen).to_be_focused()
        expect(chosen).to_have_attribute("aria-selected", "true")
        expect(other).to_have_attribute("tabindex", "-1")
    expect(page.get_by_role("tabpanel")).to_have_accessible_name("Guide")
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    dashboard.click()


def test_the_data_of_a_figure_is_downloaded_as_csv(server: Any, awkward: str, show: Open) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the data of the token paths as CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert text.count("<b>x</b>") == 5
    assert not re.search(r"(^|,)=1\+1", text, flags=re.MULTILINE)


def frames_of_layers(page: Page, figure_id: str) -> list[float]:
    """Return where a figure frames a layer: the middles on the axis of layers."""
    return page.locator(f"#{figure_id} .js-plotly-plot").evaluate(
        """graph => (graph.layout.shapes || []).filter(shape => shape.name === "cf-layer")
            .map(shape => (shape.x0 + shape.x1) / 2)"""
    )


def test_a_layer_that_is_selected_in_one_figure_is_framed_in_all(server: Any, show: Open) -> None:
    page = show(address(server, tab="concepts"))
    expect(page.locator(f"#{ids.STATE_MAP} .gtitle")).to_contain_text("Tokens in embedding")
    assert frames_of_layers(page, ids.CLUSTER_ENTROPY) == []
    point = page.locator(f"#{ids.CLUSTER_ENTROPY} .scatterlayer .point").nth(2)
    box = point.bounding_box()
    assert box is not None
    click_at(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile(r"l=2"))
    expect(page.locator(f"#{ids.STATE_MAP} .gtitle")).to_contain_text("Tokens in block_2")
    for figure_id in (ids.CLUSTER_ENTROPY, ids.CLUSTER_SIZES, ids.CONCEPTS):
        assert frames_of_layers(page, figure_id) == [2]
    # The matrices have rows of layers too, whose frames are no columns.
    assert len(frames_of_layers(page, ids.SIMILARITY_AMI)) == 2
    # The attention of that layer is shown, and it stays selected when something else changes.
    page.get_by_role("button", name="Attention", exact=True).click()
    expect(page.locator(f"#{ids.ATTENTION_MATRIX} .gtitle")).to_contain_text("block_2")
    assert frames_of_layers(page, ids.ATTENTION) == [2]
    # Layers that have no attention leave the matrix where it was, and stay selected.
    show(address(server, tab="attention", layer=0))
    expect(page.locator(f"#{ids.ATTENTION_MATRIX} .gtitle")).to_contain_text("block_1")
    page.get_by_role("button", name="Show the early layers").click()
    page.wait_for_url(re.compile(r"w=0-1.*l=0"))
    page.get_by_role("button", name="Clear highlights").click()
    page.wait_for_url(lambda url: "l=" not in url)
    assert frames_of_layers(page, ids.ATTENTION) == []


def test_a_layer_is_selected_by_keyboard(server: Any, show: Open) -> None:
    page = show(address(server, tab="concepts"))
    page.locator(f"#{ids.MAP_LAYER}").focus()
    page.keyboard.press("Enter")
    # It opens at the layer that is mapped.
    focused = page.locator(".dash-dropdown-content input:focus")
    expect(focused).to_have_value("0")
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_value("1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"l=1"))
    expect(page.locator(f"#{ids.STATE_MAP} .gtitle")).to_contain_text("Tokens in block_1")
    assert frames_of_layers(page, ids.CLUSTER_ENTROPY) == [1]


def test_a_cluster_selects_its_layer_and_is_marked_in_the_trajectories(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward, tokens=(0, 1)))
    click_node(page, 0)
    page.wait_for_url(re.compile(r"s=node\.0\..*l=0"))
    expect(page.locator(f"#{ids.TRAJECTORIES} .cf-selected")).to_have_count(1)
    assert frames_of_layers(page, ids.COMPARED_TOKENS) == [0]


def test_a_token_is_highlighted_from_any_list_and_in_all(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward, selection=("node", 0, 0)))
    chips = page.locator(f"#{ids.SELECTION} .cf-token")
    rows = page.locator(f"#{ids.PATH_GRID} .ag-center-cols-container .ag-row")
    highlighted = page.locator(f"#{ids.PATH_GRID} .ag-center-cols-container .cf-highlighted")
    legend = page.locator(f"#{ids.SANKEY} .annotation").filter(has_text="■")
    expect(rows).not_to_have_count(0)
    expect(highlighted).to_have_count(0)
    # By the mouse in a list, by the keyboard in the same list: arrows go on, Enter chooses.
    chips.nth(0).click()
    page.wait_for_url(re.compile(r"[?&]t=0(&|$)"))
    expect(chips.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(highlighted).to_have_count(1)
    expect(legend).to_have_count(1)
    chips.nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"[?&]t=\d+\.0(&|$)"))
    expect(highlighted).to_have_count(2)
    # In the table, likewise; a second time is once too many.
    highlighted.nth(0).locator(".ag-cell").first.click()
    page.wait_for_url(lambda url: re.search(r"[?&]t=\d+(&|$)", url) is not None)
    expect(highlighted).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"[?&]t=\d+\.\d+(&|$)"))
    expect(highlighted).to_have_count(2)


def test_nothing_is_lost_of_what_is_clicked_faster_than_the_server_answers(
    server: Any, awkward: str, show: Open
) -> None:
    page = show(address(server, tab="paths", analysis_id=awkward, selection=("node", 0, 0)))
    page.evaluate(
        """() => {
        for (const chip of [...document.querySelectorAll(".cf-token")].slice(0, 3)) chip.click();
        const tabs = [...document.querySelectorAll(".cf-view-tab")];
        tabs.find(tab => tab.innerText === "Concepts").click();
    }"""
    )
    page.wait_for_url(re.compile(r"tab=concepts.*[?&]t=\d+\.\d+\.\d+(&|$)"))
    # What was done once is not done again with the next.
    page.get_by_role("button", name="Attention", exact=True).click()
    page.wait_for_url(re.compile(r"tab=attention.*[?&]t=\d+\.\d+\.\d+(&|$)"))
