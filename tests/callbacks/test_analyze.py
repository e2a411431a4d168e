from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis.errors import InvalidDataError, ModelUnavailableError
from concept_fragmentation.callbacks import analyze, text_files
from concept_fragmentation.callbacks.analyze import Form, Request
from concept_fragmentation.callbacks.library import ChoiceMissingError, save
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError
from concept_fragmentation.persistence.model_folders import ModelFolders
from concept_fragmentation.persistence.turns import Turns

FORM: dict[str, Any] = {
    "text": "The dog saw the cat near the river.",
    "reading": "text",
    "model": "tiny",
    "other_model": None,
    "clusters": 2,
    "choose_k": "number",
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


KINDS: list[dict[str, Any]] = [{"name": "kind", "values": ["noun", None, "verb"]}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reading": "text", "text": "dog\ncat\nran"}, "choose 'A text a line' or 'A word a line'"),
        ({"reading": "words", "text": "dog\ncat"}, "2 lines, but 'kind' has a category for 3"),
        ({"reading": "lines", "text": "a\nb\nc\nd"}, "drop the table again"),
    ],
)
def test_categories_of_another_text_are_refused_before_the_run(
    workspace: Workspace, change: dict[str, Any], said: str
) -> None:
    form = FORM | change | {"categories": KINDS}
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), form, lambda _: None)
    assert said in made["failure"]
    assert not (workspace.store.base_dir / "cache" / "unsaved").exists()


@pytest.mark.parametrize("several", ["average", "skip"])
@pytest.mark.slow
def test_categories_of_words_and_texts_reach_the_tokens(workspace: Workspace, several: str) -> None:
    words = {"text": "dog\nsaxophone\n \nran", "reading": "words", "several": several}
    form = FORM | words | {"categories": KINDS}
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), form, lambda _: None)
    kept = workspace.shown(View(draft=made["draft"])).analysis
    kinds = ("noun", None, "verb") if several == "average" else ("noun", "verb")
    assert kept.token_columns["kind"] == kinds
    texts = {"text": "the dog ran\nthe cat\na boy", "reading": "lines", "categories": KINDS}
    made = analyze.outcome(
        workspace.unsaved, workspace.turns("analyze"), FORM | texts, lambda _: None
    )
    kept = workspace.shown(View(draft=made["draft"])).analysis
    by_text = [kept.token_columns["kind"][i] for i in np.unique(kept.sequence_ids, True)[1]]
    assert by_text == ["noun", None, "verb"]


@pytest.mark.slow
def test_a_text_is_analyzed_kept_unsaved_and_saved(workspace: Workspace) -> None:
    told: list[tuple[str | None, str]] = []
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), FORM, told.append)
    assert told[0][1].startswith("1 of 4")
    view = workspace.settle(View(draft=made["draft"]))
    assert not workspace.shown(view).is_saved
    # So that two runs of one text can be told apart.
    assert workspace.shown(view).name.endswith("(tiny_gpt2, k = 2, seed 0)")
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
        text_files.read_text("a.txt", b"\xff\xfe\x00")
    with pytest.raises(InvalidDataError, match="no column"):
        text_files.column_lines("a.csv", b"id,text\n1,x\n", "nothing")


@pytest.mark.slow
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


def test_a_model_is_chosen_from_those_that_are_offered(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    offered = ModelFolders(below=tmp_path / "models")
    request = Request.from_form(Form(**FORM | {"model": "folder:small"}), offered)
    assert request.model == str(folder.resolve())
    for model in ("folder:../models", "folder:", "folder:none"):
        with pytest.raises(ModelUnavailableError, match="choose another"):
            Request.from_form(Form(**FORM | {"model": model}), offered)
    with pytest.raises(ChoiceMissingError, match="Choose a model"):
        Request.from_form(Form(**FORM | {"model": str(folder)}), offered)
    named = Form(**FORM | {"model": "other", "other_model": str(folder)})
    with pytest.raises(ChoiceMissingError, match="serve --models DIR"):
        Request.from_form(named, offered)
    here = ModelFolders(any_folder=True)
    assert Request.from_form(named, here).model == str(folder.resolve())
    with pytest.raises(ChoiceMissingError, match="or give a folder of this machine"):
        Request.from_form(Form(**FORM | {"model": "other", "other_model": " "}), here)


@pytest.mark.slow
def test_words_that_will_be_skipped_are_told_before_the_model_is_run(workspace: Workspace) -> None:
    told: list[tuple[str | None, str]] = []
    words = {"text": "dog\nsaxophone\nriver\ncat\nboy", "reading": "words", "several": "skip"}
    made = analyze.outcome(workspace.unsaved, workspace.turns("analyze"), FORM | words, told.append)
    assert told[0][1] == "1 of 4: Loading the model · skips 1 of 5 words"
    assert made["note"] == "Skipped, of several tokens: 1 word (saxophone)."
    assert Request.from_form(Form(**FORM | words | {"several": "x"})).options["words"] == "average"


def test_lines_end_where_a_person_ends_them() -> None:
    form = Form(**FORM | {"text": "a\x0cb\r\n\n c\u2028d", "reading": "lines"})
    assert Request.from_form(form).text == ["a\x0cb", " c\u2028d"]


def test_words_of_several_tokens_are_named_with_their_number() -> None:
    note = analyze.words_note({"skipped": ["free software", "b c"], "averaged": []})
    assert note == "Skipped, of several tokens: 2 words (free software, b c)."
    many = [f"word {i}" for i in range(1000)]
    assert "1,000 words (word 0, " in analyze.words_note({"averaged": many})
    assert "and 992 more" in analyze.words_note({"averaged": many})
    assert analyze.words_note(None) == analyze.words_note({"skipped": [], "averaged": []}) == ""


@pytest.mark.parametrize("any_folder", [True, False])
def test_a_missing_model_is_one_sentence_with_ways_out_that_there_are(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, any_folder: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    form = FORM | {"model": "other", "other_model": "no-such/model"}
    folders = ModelFolders(any_folder=any_folder)
    turns = workspace.turns("analyze")
    made = analyze.outcome(workspace.unsaved, turns, form, lambda _: None, folders)
    assert made["failure"].startswith("The model 'no-such/model' can't be had")
    assert made["failure"].endswith("or choose the model 'tiny', which ships.")
    assert ("local folder" in made["failure"]) == any_folder
