"""Keeping an analysis: save, load, versions, export, import, views, sessions, delete."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.app import demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.messages import SUCCESS_MS
from concept_fragmentation.components.view import View

Open = Callable[..., Page]

LABELS = {
    "layer_0": [0, 1, 0, 1, 2, 2],
    "layer_1": [1, 0, 1, 0, 2, 2],
    "layer_2": [0, 0, 1, 1, 2, 2],
}


def save_small(server: Any, name: str) -> str:
    analysis = analysis_from_labels([" a", "b", "c", "d", "e", "f"], LABELS, layers=list(LABELS))
    saved: str = server.store.save_analysis_results(analysis, "gpt2", "text", name=name)
    return saved


def save_as(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Save Analysis", exact=True).click()
    expect(page.get_by_text(f"Saved '{name}'")).to_be_visible()


def choose(page: Page, dropdown: str, text: str | re.Pattern[str]) -> None:
    """Choose an option of a dropdown by its text."""
    page.locator(f"#{dropdown}").click()
    content = page.locator(".dash-dropdown-content")
    content.get_by_text(text).first.click()
    expect(content).to_have_count(0)


def persistence(server: Any) -> str:
    """Return the address of the two stories where nothing is drawn."""
    return f"{server.url}{View(tab='persistence').to_query()}"


def bar(page: Page) -> Any:
    return page.locator(f"#{ids.ANALYSIS_BAR}")


# Timers that take a message away again are kept here, and end when they are told to.
MESSAGES_WAIT = f"""
window.cfWaiting = [];
const later = window.setTimeout;
window.setTimeout = (then, ms, ...more) => ms === {SUCCESS_MS}
    ? (window.cfWaiting.push(then), 0) : later(then, ms, ...more);
"""
END_TIMERS = "() => { for (const then of window.cfWaiting.splice(0)) then(); }"


def test_a_failure_stays_two_presses_save_once_and_an_old_version_is_loaded(
    fresh: Any, open_page: Open
) -> None:
    save_small(fresh, "first run")
    page = open_page(persistence(fresh), script=MESSAGES_WAIT)
    expect(page.locator(f"#{ids.DELETE}")).to_be_disabled()
    expect(page.locator(f"#{ids.DELETE_HINT}")).to_contain_text("Examples are read-only")
    choose(page, ids.LOAD_ANALYSIS, "first run")
    expect(page.locator(f"#{ids.DELETE}")).to_be_enabled()

    # A failure stays and changes nothing.
    before = page.url
    page.get_by_role("button", name="Export", exact=True).click()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("save it under a name, then export it")
    page.evaluate(END_TIMERS)
    page.wait_for_timeout(200)
    expect(alert).to_be_visible()
    assert page.url == before
    page.locator(f"#{ids.MESSAGES} .btn-close").click()
    expect(page.locator(f"#{ids.MESSAGES} .alert")).to_have_count(0)

    page.get_by_label("Name", exact=True).fill("mine")
    # The second comes when the button is there again, and the page has not switched yet.
    page.evaluate(
        """id => {
            const button = document.getElementById(id);
            new MutationObserver((_, observer) => {
                if (button.disabled) return;
                observer.disconnect();
                button.click();
            }).observe(button, { attributeFilter: ["disabled"] });
            button.click();
        }""",
        ids.SAVE,
    )
    # The second press is ignored, or answered with "is saved already" where the first took long.
    expect(page.get_by_text(re.compile("Saved 'mine'|'mine' is saved already"))).to_be_visible()
    expect(bar(page)).to_contain_text("mine")
    expect(bar(page)).to_contain_text("version 1")
    (only,) = fresh.store.list_analyses(search="mine")
    assert (only["name"], only["num_versions"]) == ("mine", 1)

    # A second press of a button within a moment counts as one (assets/once.js).
    page.wait_for_timeout(500)
    page.locator(f"#{ids.SAVE}").evaluate("button => { button.click(); button.click(); }")
    expect(page.get_by_text("Saved 'mine' as version 2.")).to_be_visible()
    expect(bar(page)).to_contain_text("version 2")
    page.locator(f"#{ids.LOAD_VERSION}").click()
    # Else the list grows below the pointer, which then hits the other one.
    options = page.locator(".dash-dropdown-content label")
    expect(options).to_have_count(2)
    options.filter(has_text=re.compile(r"^1 · ")).click()
    expect(options).to_have_count(0)
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(bar(page)).to_contain_text("version 1")
    said = page.get_by_text("Loaded 'mine', version 1.")
    expect(said).to_be_visible()
    # A success goes away.
    page.evaluate(END_TIMERS)
    expect(said).to_have_count(0)


def test_an_empty_library_invites_and_counts_and_sizes_read_well(
    fresh: Any, open_page: Open
) -> None:
    page = open_page(f"{fresh.url}?v=1&tab=library")
    page.get_by_role("button", name="Save what is shown").click()
    page.wait_for_url(re.compile("tab=persistence"))
    tokens = [f"t{i}" for i in range(1500)]
    analysis = analysis_from_labels(tokens, [[i % 3, i % 2] for i in range(1500)])
    fresh.store.save_analysis_results(analysis, "gpt2", "text", name="large")
    page.goto(f"{fresh.url}?v=1&tab=library")
    row = page.locator(f"#{ids.LIBRARY_GRID} .ag-center-cols-container [role=row]")
    expect(row).to_contain_text("1,500")
    expect(row).to_contain_text(re.compile(r"\d\.\d kB"))
    expect(page.locator(f"#{ids.LIBRARY_EMPTY}")).to_be_hidden()
    # The table is as high as its rows, until they are many.
    table = page.locator(f"#{ids.LIBRARY_TABLE}")
    expect(table).to_have_css("height", "220px")
    for number in range(5):
        save_small(fresh, f"small {number}")
    page.reload()
    expect(table).to_have_css("height", "388px")
    # What is below it stays where it is while somebody searches.
    page.get_by_label("Search", exact=True).fill("large")
    expect(row).to_have_count(1)
    expect(table).to_have_css("height", "388px")


def test_save_choose_and_load(fresh: Any, open_page: Open) -> None:
    save_small(fresh, "small")
    page = open_page(fresh.stories)
    expect(bar(page)).to_contain_text("not GPT-2")
    labels = demo_analysis()["analysis_data"]["cluster_labels"]
    clusters = [set(of_layer) - {-1} for of_layer in labels.values()]
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(sum(map(len, clusters)))
    save_as(page, "from the demo")
    expect(bar(page)).to_contain_text("from the demo")
    expect(bar(page)).to_contain_text("version 1")
    choose(page, ids.LOAD_ANALYSIS, "small · gpt2 · 6 tokens")
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(bar(page)).to_contain_text("small")
    expect(page.locator(f"#{ids.SUMMARY}")).to_contain_text("6")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(9)
    expect(page.get_by_text("Loaded 'small', version 1.")).to_be_visible()


def test_exports_open_and_come_back_in_an_empty_store(
    fresh: Any, server: Any, open_page: Open, tmp_path: Path
) -> None:
    analysis_id = save_small(server, "exported")
    page = open_page(f"{persistence(server)}&a={analysis_id}&w=0-2")
    result = page.locator(f"#{ids.EXPORT_RESULT}")
    copies = []
    for label, ending in (("JSON", ".json"), ("CSV", "_csv"), ("Pickle", ".pkl")):
        page.locator(f"#{ids.EXPORT_FORMAT}").get_by_text(label, exact=True).click()
        page.get_by_role("button", name="Export", exact=True).click()
        expect(result).to_contain_text("Written to")
        expect(result.locator("code")).to_contain_text(ending)
        written = server.store.exports_dir / result.locator("code").inner_text()
        assert written.exists()
        with page.expect_download() as download:
            result.get_by_role("link").click()
        copies.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(copies[-1])
        # A second press of a button within a moment counts as one (assets/once.js).
        page.wait_for_timeout(500)

    as_json, as_csv, as_pickle = copies
    whole = json.loads(as_json.read_text())["analysis_results"]
    assert "c" in whole["analysis_data"]["token_metadata"]["tokens"]
    assert any(entry.endswith("tokens.csv") for entry in zipfile.ZipFile(as_csv).namelist())
    assert pickle.loads(as_pickle.read_bytes())["analysis_results"]  # noqa: S301 - just written

    original = server.store.load_analysis_results(analysis_id)["analysis_data"]
    seen: set[str] = set()
    page.goto(persistence(fresh))
    expect(bar(page)).to_contain_text("not GPT-2")
    for copy in copies:
        before = page.url
        page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(copy)
        expect(page).not_to_have_url(before)
        expect(bar(page)).to_contain_text("exported")
        (imported,) = {one["analysis_id"] for one in fresh.store.list_analyses()} - seen
        seen.add(imported)
        assert fresh.store.load_analysis_results(imported)["analysis_data"] == original
    page.locator(".cf-view-tab", has_text="Overview").click()
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(9)


def drop(page: Page, name: str, content: bytes) -> None:
    page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


WRONG = {
    "notes.txt": b"just some text",
    "broken.json": b'{"model_type": "gpt2", "layers": [',
    "short.json": b'{"model_type":"gpt2","layers":["a"],"token_metadata":{"tokens":["x"]},'
    b'"cluster_labels":{"a":[0,1]}}',
    "evil.pickle": b"cos\nsystem\n(S'true'\ntR.",
}
BARE = {
    "model_type": "gpt2",
    "layers": ["first", "second"],
    "token_metadata": {"tokens": ["x", "y", "z"]},
    "cluster_labels": {"first": [0, 0, 1], "second": [1, 1, 0]},
}


@pytest.mark.parametrize("fresh", [{"max_upload": 1000}], indirect=True)
def test_a_wrong_file_is_refused_in_words_and_changes_nothing_and_a_bare_analysis_is_imported(
    fresh: Any, open_page: Open
) -> None:
    page = open_page(fresh.stories)
    before = page.url
    said = page.get_by_role("alert").first
    for name, content in WRONG.items():
        drop(page, name, content)
        expect(said).to_be_visible()
        expect(bar(page)).to_contain_text("not GPT-2")
        assert (page.url, fresh.store.list_analyses()) == (before, [])
        page.locator(f"#{ids.MESSAGES} .btn-close").click()
        expect(page.locator(f"#{ids.MESSAGES} .alert")).to_have_count(0)
    # One that is too large is not sent, and the page says what to do.
    drop(page, "big.json", b" " * 1001)
    expect(said).to_contain_text("'big.json' is larger than")
    expect(said).to_contain_text("--max-upload")
    drop(page, "bare.json", json.dumps(BARE).encode())
    expect(bar(page)).to_contain_text("3 tokens")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(4)


def test_a_view_is_saved_and_restored(server: Any, show: Open) -> None:
    analysis_id = save_small(server, "with a view")
    page = show(f"{persistence(server)}&a={analysis_id}&w=1-2&c=path&m=2&t=3&s=node.1.2")
    seen = page.url
    page.get_by_label("Name of the view").fill("late")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("Saved the view 'late'.")).to_be_visible()
    show(f"{persistence(server)}&a={analysis_id}&w=0-2")
    listed = page.locator(f"#{ids.STATE_CHOICE}")
    listed.get_by_text("late", exact=True).click()
    page.get_by_role("button", name="Restore view").click()
    page.wait_for_url(re.compile(r"w=1-2"))
    for choice in ("c=path", "m=2", "t=3", "s=node.1.2"):
        assert choice in page.url
        assert choice in seen
    expect(page.locator(f"#{ids.COLOUR_BY}")).to_contain_text("path")
    page.get_by_role("button", name="Delete view").click()
    expect(page.get_by_text("Deleted the view 'late'.")).to_be_visible()
    assert server.store.list_visualization_states(analysis_id) == []


def test_a_session_is_created_filled_and_opened(server: Any, show: Open) -> None:
    first, second = save_small(server, "session one"), save_small(server, "session two")
    page = show(f"{persistence(server)}&a={first}")
    expect(bar(page)).to_contain_text("session one")
    page.get_by_label("Name of the session").fill("my runs")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_text("Created the session 'my runs'")).to_be_visible()
    show(f"{persistence(server)}&a={second}")
    expect(bar(page)).to_contain_text("session two")
    choose(page, ids.SESSION_CHOICE, "my runs")
    page.get_by_role("button", name="Add current analysis").click()
    expect(page.get_by_text("Added the analysis shown")).to_be_visible()
    page.get_by_role("button", name="Open session").click()
    listed = page.locator(f"#{ids.SESSION_ANALYSES}")
    expect(listed).to_contain_text("my runs: 2 analyses")
    listed.get_by_text("session one").click()
    expect(bar(page)).to_contain_text("session one")


def test_deleting_asks_first(server: Any, show: Open) -> None:
    analysis_id = save_small(server, "to be deleted")
    page = show(f"{persistence(server)}&a={analysis_id}")
    expect(bar(page)).to_contain_text("to be deleted")
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It stays in the trash for 30 days; the Library")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".modal")).to_have_count(0)
    # A second press of a button within a moment counts as one (assets/once.js).
    page.wait_for_timeout(500)
    assert any(a["analysis_id"] == analysis_id for a in server.store.list_analyses())
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete analysis").click()
    expect(page.get_by_text("Deleted 'to be deleted'.")).to_be_visible()
    expect(bar(page)).to_contain_text("GPT-2 small: its")
    assert all(a["analysis_id"] != analysis_id for a in server.store.list_analyses())


def test_an_export_outside_the_exports_folder_is_not_handed_out(
    server: Any, context: BrowserContext
) -> None:
    for name in ("..%2Fmetadata%2Fcatalog.sqlite", "%2Fetc%2Fpasswd", ".."):
        answer = context.request.get(f"{server.url}exports/{name}")
        assert answer.status in {404, 200}
        assert b"SQLite" not in answer.body()
        assert b"root:" not in answer.body()


def test_long_names_of_a_session_stay_within_the_page(server: Any, show: Open) -> None:
    long = save_small(server, "the runs of a long week " * 8)
    server.store.create_session("long names", [long])
    page = show(persistence(server), width=390)
    # The list of sessions is read when the page is loaded.
    page.reload()
    choose(page, ids.SESSION_CHOICE, "long names")
    page.get_by_role("button", name="Open session").click()
    expect(page.locator(".cf-session-list button")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
