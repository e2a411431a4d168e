from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from concept_fragmentation.callbacks import analyze
from concept_fragmentation.callbacks.analyze import Form, Request
from concept_fragmentation.callbacks.library import ChoiceMissingError, save
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError
from concept_fragmentation.persistence.turns import Turns

FORM: dict[str, Any] = {
    "text": "The dog saw the cat near the river.",
    "reading": "text",
    "model": "tiny",
    "other_model": None,
    "clusters": 2,
    "auto": False,
    "layers": "",
    "attention": "metrics",
    "seed": 0,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": " "}, "Paste a text"),
        ({"text": "x" * 2_000_001}, "up to 2,000,000 characters"),
        ({"clusters": None}, "Clusters a layer"),
        ({"clusters": 2.5}, "Clusters a layer"),
        ({"seed": -1}, "Seed"),
        ({"model": "other", "other_model": "/etc"}, "Name a model on the hub"),
        ({"model": "other", "other_model": "../x"}, "Name a model on the hub"),
    ],
)
def test_a_form_that_cannot_be_run_says_what_to_change(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ChoiceMissingError, match=said):
        Request.from_form(Form(**FORM | change))


def test_lines_are_texts_or_words() -> None:
    request = Request.from_form(Form(**FORM | {"text": " a\n\n b ", "reading": "words"}))
    assert request.text == ["a", "b"]
    assert request.options["words"] == "average"
    assert Request.from_form(Form(**FORM | {"layers": "embedding, -1"})).options["layers"] == [
        "embedding",
        -1,
    ]


def test_a_text_is_analyzed_kept_unsaved_and_saved(workspace: Workspace) -> None:
    told: list[tuple[str | None, str]] = []
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), FORM, told.append)
    assert told[0][1].startswith("1 of 4")
    view = workspace.settle(View(draft=made["draft"]))
    assert not workspace.shown(view).is_saved
    assert workspace.store.list_analyses() == []
    saved = save(workspace, view, "mine")
    assert (saved.view.draft, saved.view.version) == (None, 1)
    loaded = workspace.store.load_analysis_results(saved.view.analysis_id or "")
    assert loaded["analysis_data"]["provenance"]["model"]["name"] == "tiny"


def test_a_failed_run_says_why_and_keeps_nothing(workspace: Workspace) -> None:
    form = FORM | {"layers": "block_99"}
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), form, lambda _: None)
    assert "block_99" in made["failure"]
    assert not (workspace.store.base_dir / "cache" / "unsaved").exists()


def test_what_is_not_kept_any_more_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(AnalysisNotFoundError, match="analyze its text again"):
        workspace.shown(View(draft="0" * 32))


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ChoiceMissingError, match="no text in UTF-8"):
        analyze.read_text("a.txt", b"\xff\xfe\x00")
    with pytest.raises(ChoiceMissingError, match="no column"):
        analyze.column_lines("a.csv", "id,text\n1,x\n", "nothing")


def test_a_run_waits_for_its_turn_and_is_refused_where_too_many_wait(workspace: Workspace) -> None:
    told: list[tuple[str | None, str]] = []
    folder = workspace.store.base_dir / "cache" / "turns" / "test"
    ahead = ExitStack()
    ahead.enter_context(Turns(folder, at_once=1).taken(lambda _: None))

    def tell(said: tuple[str | None, str]) -> None:
        told.append(said)
        ahead.close()

    one_at_once = Turns(folder, at_once=1, most_waiting=1)
    assert "draft" in analyze.outcome(workspace.unsaved, one_at_once, FORM, tell)
    assert told[0] == ("0", "Waiting: 1 other came before")
    assert told[1][1].startswith("1 of 4")
    with Turns(folder).taken(lambda _: None):
        none = Turns(folder, at_once=1, most_waiting=0)
        made = analyze.outcome(workspace.unsaved, none, FORM, tell)
    assert made["failure"].startswith("Too many others wait")
