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
from playwright.sync_api import Page, expect

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.app import demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.messages import SUCCESS_MS

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


def bar(page: Page) -> Any:
    return page.locator(f"#{ids.ANALYSIS_BAR}")


def test_two_quick_presses_save_once(fresh: Any, open_page: Open) -> None:
    page = open_page(fresh.stories)
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
    (only,) = fresh.store.list_analyses()
    assert (only["name"], only["num_versions"]) == ("mine", 1)


def test_the_demo_can_not_be_deleted_and_it_is_said(fresh: Any, open_page: Open) -> None:
    page = open_page(fresh.stories)
    expect(page.locator(f"#{ids.DELETE}")).to_be_disabled()
    expect(page.locator(f"#{ids.DELETE_HINT}")).to_contain_text("Examples are read-only")
    save_small(fresh, "first run")
    page.reload()
    choose(page, ids.LOAD_ANALYSIS, "first run")
    expect(page.locator(f"#{ids.DELETE}")).to_be_enabled()


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


def test_save_reload_choose_and_load(fresh: Any, open_page: Open) -> None:
    save_small(fresh, "small")
    page = open_page(fresh.stories)
    save_as(page, "from the demo")
    expect(bar(page)).to_contain_text("from the demo")
    expect(bar(page)).to_contain_text("version 1")

    page.goto(fresh.stories)
    expect(bar(page)).to_contain_text("not GPT-2")
    labels = demo_analysis()["analysis_data"]["cluster_labels"]
    clusters = [set(of_layer) - {-1} for of_layer in labels.values()]
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(sum(map(len, clusters)))
    choose(page, ids.LOAD_ANALYSIS, "small · gpt2 · 6 tokens")
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(bar(page)).to_contain_text("small")
    expect(page.locator(f"#{ids.SUMMARY}")).to_contain_text("6")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(9)
    expect(page.get_by_text("Loaded 'small', version 1.")).to_be_visible()


def test_an_old_version_is_loaded_and_a_success_goes_away(fresh: Any, open_page: Open) -> None:
    page = open_page(fresh.stories)
    save_as(page, "run")
    expect(bar(page)).to_contain_text("version 1")
    page.get_by_role("button", name="Save Analysis", exact=True).click()
    expect(page.get_by_text("Saved 'run' as version 2.")).to_be_visible()
    page.locator(f"#{ids.LOAD_VERSION}").click()
    # Else the list grows below the pointer, which then hits the other one.
    options = page.locator(".dash-dropdown-content label")
    expect(options).to_have_count(2)
    options.filter(has_text=re.compile(r"^1 · ")).click()
    expect(options).to_have_count(0)
    page.clock.install()
    page.get_by_role("button", name="Load Analysis", exact=True).click()
    expect(bar(page)).to_contain_text("version 1")
    said = page.get_by_text("Loaded 'run', version 1.")
    expect(said).to_be_visible()
    page.clock.fast_forward(SUCCESS_MS)
    expect(said).to_have_count(0)


def test_a_failure_stays_and_changes_nothing(fresh: Any, open_page: Open) -> None:
    page = open_page(fresh.stories)
    page.clock.install()
    before = page.url
    page.get_by_role("button", name="Export", exact=True).click()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("save it under a name, then export it")
    page.clock.fast_forward(10 * SUCCESS_MS)
    expect(alert).to_be_visible()
    assert page.url == before
    page.locator(f"#{ids.MESSAGES} .btn-close").click()
    expect(page.locator(f"#{ids.MESSAGES} .alert")).to_have_count(0)


@pytest.mark.parametrize("label", ["JSON", "CSV", "Pickle"])
def test_an_export_opens_and_comes_back_in_an_empty_store(
    fresh: Any, server: Any, open_page: Open, label: str, tmp_path: Path
) -> None:
    name = f"exported as {label}"
    analysis_id = save_small(server, name)
    page = open_page(f"{server.url}?v=1&a={analysis_id}&w=0-2")
    page.locator(f"#{ids.EXPORT_FORMAT}").get_by_text(label, exact=True).click()
    page.get_by_role("button", name="Export", exact=True).click()
    result = page.locator(f"#{ids.EXPORT_RESULT}")
    expect(result).to_contain_text("Written to")
    written = server.store.exports_dir / result.locator("code").inner_text()
    assert written.exists()
    with page.expect_download() as download:
        result.get_by_role("link").click()
    copy = tmp_path / download.value.suggested_filename
    download.value.save_as(copy)

    if label == "JSON":
        assert (
            "c"
            in json.loads(copy.read_text())["analysis_results"]["analysis_data"]["token_metadata"][
                "tokens"
            ]
        )
    elif label == "CSV":
        assert any(entry.endswith("tokens.csv") for entry in zipfile.ZipFile(copy).namelist())
    else:
        assert pickle.loads(copy.read_bytes())["analysis_results"]  # noqa: S301 - just written

    page = open_page(fresh.stories)
    page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(copy)
    expect(bar(page)).to_contain_text(name)
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(9)
    original = server.store.load_analysis_results(analysis_id)["analysis_data"]
    imported = fresh.store.list_analyses()[0]["analysis_id"]
    assert fresh.store.load_analysis_results(imported)["analysis_data"] == original


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("notes.txt", b"just some text"),
        ("broken.json", b'{"model_type": "gpt2", "layers": ['),
        (
            "short.json",
            b'{"model_type":"gpt2","layers":["a"],"token_metadata":{"tokens":["x"]},'
            b'"cluster_labels":{"a":[0,1]}}',
        ),
        ("evil.pickle", b"cos\nsystem\n(S'true'\ntR."),
    ],
)
def test_a_wrong_file_is_refused_in_words_and_changes_nothing(
    server: Any, open_page: Open, filename: str, content: bytes
) -> None:
    page = open_page(server.stories)
    before = page.url, len(server.store.list_analyses())
    page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(
        {"name": filename, "mimeType": "application/octet-stream", "buffer": content}
    )
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(bar(page)).to_contain_text("not GPT-2")
    assert (page.url, len(server.store.list_analyses())) == before


@pytest.mark.parametrize("fresh", [{"max_upload": 1000}], indirect=True)
def test_a_file_that_is_too_large_is_not_sent_and_the_page_says_what_to_do(
    fresh: Any, open_page: Open
) -> None:
    page = open_page(fresh.stories)
    page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(
        {"name": "big.json", "mimeType": "application/json", "buffer": b" " * 1001}
    )
    said = page.get_by_role("alert").first
    expect(said).to_contain_text("'big.json' is larger than")
    expect(said).to_contain_text("--max-upload")


def test_a_bare_analysis_is_imported(server: Any, open_page: Open) -> None:
    analysis = {
        "model_type": "gpt2",
        "layers": ["first", "second"],
        "token_metadata": {"tokens": ["x", "y", "z"]},
        "cluster_labels": {"first": [0, 0, 1], "second": [1, 1, 0]},
    }
    page = open_page(server.stories)
    page.locator(f"#{ids.IMPORT} input[type=file]").set_input_files(
        {
            "name": "bare.json",
            "mimeType": "application/json",
            "buffer": json.dumps(analysis).encode(),
        }
    )
    expect(bar(page)).to_contain_text("3 tokens")
    expect(page.locator(f"#{ids.SANKEY} .sankey-node")).to_have_count(4)


def test_a_view_is_saved_and_restored_after_a_reload(server: Any, open_page: Open) -> None:
    analysis_id = save_small(server, "with a view")
    page = open_page(f"{server.url}?v=1&a={analysis_id}&w=1-2&c=path&m=2&t=3&s=node.1.2")
    seen = page.url
    page.get_by_label("Name of the view").fill("late")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("Saved the view 'late'.")).to_be_visible()
    page.goto(f"{server.url}?v=1&a={analysis_id}&w=0-2")
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


def test_a_session_is_created_filled_and_opened(server: Any, open_page: Open) -> None:
    first, second = save_small(server, "session one"), save_small(server, "session two")
    page = open_page(f"{server.url}?v=1&a={first}")
    page.get_by_label("Name of the session").fill("my runs")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_text("Created the session 'my runs'")).to_be_visible()
    page.goto(f"{server.url}?v=1&a={second}")
    expect(bar(page)).to_contain_text("session two")
    choose(page, ids.SESSION_CHOICE, "my runs")
    page.get_by_role("button", name="Add current analysis").click()
    expect(page.get_by_text("Added the analysis shown")).to_be_visible()
    page.get_by_role("button", name="Open session").click()
    listed = page.locator(f"#{ids.SESSION_ANALYSES}")
    expect(listed).to_contain_text("my runs: 2 analyses")
    listed.get_by_text("session one").click()
    expect(bar(page)).to_contain_text("session one")


def test_deleting_asks_first(server: Any, open_page: Open) -> None:
    analysis_id = save_small(server, "to be deleted")
    page = open_page(f"{server.url}?v=1&a={analysis_id}")
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
    server: Any, open_page: Open
) -> None:
    page = open_page(server.stories)
    for name in ("..%2Fmetadata%2Fcatalog.sqlite", "%2Fetc%2Fpasswd", ".."):
        answer = page.request.get(f"{server.url}exports/{name}")
        assert answer.status in {404, 200}
        assert b"SQLite" not in answer.body()
        assert b"root:" not in answer.body()


def test_long_names_of_a_session_stay_within_the_page(server: Any, open_page: Open) -> None:
    long = save_small(server, "the runs of a long week " * 8)
    server.store.create_session("long names", [long])
    page = open_page(f"{server.url}?v=1&tab=persistence", width=390)
    choose(page, ids.SESSION_CHOICE, "long names")
    page.get_by_role("button", name="Open session").click()
    expect(page.locator(".cf-session-list button")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
