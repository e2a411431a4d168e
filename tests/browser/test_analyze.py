"""From a text to the views: run the model that ships, cancel a run, keep what came of one."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence.turns import Turns

Open = Callable[..., Page]

TEXT = "The dog saw the cat near the river, and a girl gave the boy a red ball. " * 4


@pytest.fixture(scope="module", autouse=True)
def model_is_loaded() -> None:
    """Import what runs need, which are copies of this process: each would import it anew."""
    for name in ("torch", "transformers.models.gpt2.modeling_gpt2", "sklearn.cluster"):
        importlib.import_module(name)


def run(page: Page) -> None:
    page.get_by_role("button", name="Analyze", exact=True).last.click()


def open_result(page: Page) -> None:
    """Wait until an analysis is done, and open it."""
    page.locator(f"#{ids.FINISHED_LIST}").get_by_text("Open", exact=True).click(timeout=120_000)
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not saved yet")


def test_a_pasted_text_is_analyzed_cancelled_saved_and_loaded(fresh: Any, open_page: Open) -> None:
    page = open_page(f"{fresh.url}{View(tab='analyze').to_query()}")
    run(page)
    expect(page.get_by_role("alert").first).to_contain_text("Paste a text or drop a file")
    page.locator(f"#{ids.MESSAGES} .btn-close").click()

    page.locator(f"#{ids.ANALYZE_TEXT}").fill(TEXT)
    page.locator(f"#{ids.ANALYZE_CLUSTERS}").fill("4")
    run(page)
    offered = page.locator(f"#{ids.FINISHED_LIST}")
    expect(offered).to_contain_text("The dog saw the cat", timeout=120_000)
    # What is looked at stays, and so does the offer, over a reload too.
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_be_visible()
    page.reload()
    expect(offered).to_contain_text("The dog saw the cat")
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value(TEXT)
    open_result(page)
    expect(offered).to_be_empty()
    bar = page.locator(f"#{ids.ANALYSIS_BAR}")
    expect(bar).to_contain_text("(tiny_gpt2, k = 4, seed 0)")
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
    page.get_by_text("Examples", exact=True).click()
    page.get_by_role("link", name="Two stories, tiny model").click()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("not GPT-2")
    page.locator(f"#{ids.LOAD_ANALYSIS}").click()
    page.locator(".dash-dropdown-content").get_by_text("my text").first.click()
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("my text")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(20)


def test_a_column_of_a_file_becomes_the_text(server: Any, show: Open) -> None:
    page = show(f"{server.url}{View(tab='analyze').to_query()}")
    page.locator(f"#{ids.ANALYZE_FILE} input[type=file]").set_input_files(
        {
            "name": "texts.csv",
            "mimeType": "text/csv",
            "buffer": b'id,text,tense\n1,"The cat, asleep",\n2,A dog,now\n',
        }
    )
    page.locator(f"#{ids.ANALYZE_COLUMN}").click()
    page.locator(".dash-dropdown-content").get_by_text("text", exact=True).click()
    expect(page.locator(f"#{ids.ANALYZE_TEXT}")).to_have_value("The cat, asleep\nA dog")
    expect(page.get_by_role("radio", name="A text a line")).to_be_checked()
    # Its categories are other columns, and survive a reload, which the file does not.
    page.locator(f"#{ids.ANALYZE_CATEGORY_COLUMNS}").click()
    page.locator(".dash-dropdown-content").get_by_text("tense", exact=True).click()
    page.keyboard.press("Escape")
    note = page.locator(f"#{ids.ANALYZE_CATEGORIES_FIELD}")
    expect(note).to_contain_text("Categories of 2 texts: tense.")
    page.wait_for_timeout(500)
    page.reload()
    expect(note).to_contain_text("Categories of 2 texts: tense.")
    text = page.locator(f"#{ids.ANALYZE_TEXT}")
    text.fill("The cat, asleep\nA dog\nA boy")
    run(page)
    expect(page.get_by_role("alert").first).to_contain_text("3 lines, but 'tense' has a category")
    text.fill("The cat, asleep\nA dog")
    page.locator(f"#{ids.ANALYZE_CLUSTERS}").fill("2")
    run(page)
    open_result(page)
    page.get_by_role("button", name="Analyze", exact=True).first.click()
    page.get_by_role("button", name="Leave the categories out").click()
    expect(note).to_be_hidden()


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
        # What runs is said here too, with a way out.
        status = page.get_by_role("group", name="Analysis in progress")
        expect(status).to_contain_text("Waiting: 2 others came before")
        status.get_by_role("button", name="Cancel the analysis").click()
        expect(status).to_be_hidden()
        page.locator(".cf-view-tab", has_text="Analyze").click()
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_visible()
        expect(page.locator(f"#{ids.ANALYZE}")).to_be_enabled()
        run(page)
        expect(status).to_contain_text("Waiting: 2 others came before")
        page.locator(".cf-view-tab", has_text="Overview").click()
    # Once there is room the run goes on; how far it is, is gone before a look at one this short.
    expect(page.locator(f"#{ids.FINISHED_LIST}")).to_contain_text("Analyzed", timeout=120_000)
    expect(status).to_be_hidden()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(f"#{ids.FINISHED_LIST}")).to_be_empty()


def drop(page: Page, name: str, content: bytes) -> None:
    page.locator(f"#{ids.ANALYZE_FILE} input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": content}
    )


def test_a_dropped_text_is_read_as_one_and_says_where_it_comes_from(
    server: Any, show: Open
) -> None:
    page = show(f"{server.url}{View(tab='analyze').to_query()}")
    text, source = page.locator(f"#{ids.ANALYZE_TEXT}"), page.locator(f"#{ids.ANALYZE_SOURCE}")
    page.get_by_text("A word a line", exact=True).click()
    drop(page, "<b>story</b>.txt", b"The cat slept.\nThe dog did not.")
    expect(text).to_have_value("The cat slept.\nThe dog did not.")
    expect(page.get_by_role("radio", name="One text")).to_be_checked()
    expect(source).to_have_text("From '<b>story</b>.txt': 31 characters.")
    # An empty file, or a column with nothing in it, takes nothing away.
    for name, content in (("empty.txt", b" \n"), ("empty.csv", b"only\n \n")):
        drop(page, name, content)
        expect(page.get_by_role("alert").first).to_contain_text("there is no text in it")
        expect(text).to_have_value("The cat slept.\nThe dog did not.")
        page.locator(f"#{ids.MESSAGES} .btn-close").click()


def test_settings_and_text_are_on_the_page(server: Any, show: Open) -> None:
    text = "<script>alert(1)</script> " + "word " * 1000
    made = analysis_from_labels([" a", " b"], [[0, 1], [1, 1]], model_type="gpt2")
    made["words"] = {"skipped": ["free software"], "averaged": []}
    options = {"n_clusters": 7, "seed": 5, "clusterer": "kmeans", "layers": None}
    metadata = {"provenance": {"model": {"name": "/srv/secret/small"}, "options": options}}
    saved = server.store.save_analysis_results(made, "gpt2", text, metadata=metadata, name="x")
    page = show(f"{server.url}{View(analysis_id=saved).to_query()}")
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("k = 7")
    expect(page.locator(f"#{ids.ANALYSIS_BAR}")).to_contain_text("seed 5")
    origin = page.locator(f"#{ids.ORIGIN}")
    origin.scroll_into_view_if_needed()
    for summary in origin.locator("summary").all():
        summary.click()
    for said in ("Clusters asked for", "Words skipped", "1: free software", "small"):
        expect(origin).to_contain_text(said)
    expect(origin).not_to_contain_text("secret")
    expect(origin.locator("pre")).to_contain_text("<script>alert(1)</script> word")
    expect(origin).to_contain_text("The first 3,000 of 5,026 characters.")
    with page.expect_download() as download:
        origin.get_by_role("link", name="Download all of it").click()
    assert download.value.path().read_text(encoding="utf-8") == text
