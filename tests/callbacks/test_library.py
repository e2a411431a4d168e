from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from concept_fragmentation.callbacks import library
from concept_fragmentation.callbacks.library import EXAMPLE_VALUES, ChoiceMissingError, Saved
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence
from concept_fragmentation.persistence.examples import EXAMPLES, Example, load_example

GPT2_SMALL, TWO_BANKS, TWO_STORIES = EXAMPLE_VALUES


@pytest.mark.parametrize("key", [example.key for example in EXAMPLES])
def test_saving_an_example_makes_a_new_analysis(workspace: Workspace, key: str) -> None:
    made = library.save(workspace, workspace.settle(View(example=key)), "mine")
    assert made.sentence == "Saved 'mine' as a new analysis, version 1."
    loaded = workspace.store.load_analysis_results(made.view.analysis_id or "")
    assert loaded["analysis_data"] == load_example(key)["analysis_data"]
    assert loaded["metadata"]["name"] == "mine"


def test_saving_under_its_own_name_makes_the_next_version(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved, first=1, last=2, colour_by="path"))
    made = library.save(workspace, view, " first run ")
    assert made.sentence == "Saved 'first run' as version 2."
    assert made.view.analysis_id == saved
    assert made.view.version == 2
    assert (made.view.first, made.view.last, made.view.colour_by) == (1, 2, "path")


def test_saving_under_another_name_makes_a_new_analysis(workspace: Workspace, saved: str) -> None:
    made = library.save(workspace, workspace.settle(View(analysis_id=saved)), "second run")
    assert made.view.analysis_id != saved
    assert [a["name"] for a in workspace.store.list_analyses()] == ["second run", "first run"]


def test_an_old_version_saved_again_keeps_its_own_data(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    newer = analysis | {"model_type": "gpt2-medium"}
    workspace.store.save_analysis_results(newer, "gpt2", "text", saved)
    library.save(workspace, workspace.settle(View(analysis_id=saved, version=1)), "first run")
    loaded = workspace.store.load_analysis_results(saved, 3)
    assert loaded["analysis_data"]["model_type"] == analysis["model_type"]


def test_the_callers_own_metadata_survive_saving_again(
    workspace: Workspace, store: GPT2AnalysisPersistence, analysis: dict[str, Any]
) -> None:
    analysis_id = store.save_analysis_results(
        analysis, "gpt2", "text", metadata={"k": 10}, name="a", tags=["x"], notes="why"
    )
    library.save(workspace, workspace.settle(View(analysis_id=analysis_id)), "a")
    metadata = store.load_analysis_results(analysis_id, 2)["metadata"]
    assert (metadata["k"], metadata["tags"], metadata["notes"]) == (10, ["x"], "why")


@pytest.mark.slow
def test_a_second_press_does_not_save_again_unless_what_was_saved_is_gone(
    workspace: Workspace,
) -> None:
    view = workspace.settle(View())
    made = library.save(workspace, view, "mine").view
    last: library.Destination = {
        "query": made.to_query(),
        "key": "1",
        "saved": [view.to_query(), "mine"],
    }
    again = library.saved_before(workspace, view, "mine", last)
    assert again == library.Saved(made, "'mine' is saved already.")
    assert library.saved_before(workspace, view, "other", last) is None
    assert library.saved_before(workspace, view, "mine", {"query": "?", "key": "2"}) is None
    assert library.saved_before(workspace, view, "mine", None) is None
    workspace.store.delete_analysis(made.analysis_id or "")
    assert library.saved_before(workspace, view, "mine", last) is None


def test_a_name_is_needed_to_save(workspace: Workspace) -> None:
    with pytest.raises(ChoiceMissingError, match="Give the analysis a name"):
        library.save(workspace, workspace.settle(View()), "  ")
    assert workspace.store.list_analyses() == []


def test_loading_shows_the_newest_version_with_a_fresh_window(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    before = workspace.settle(View(first=2, last=3, colour_by="path", tokens=(1,)))
    loaded = library.load(workspace, before, saved, None)
    assert loaded.sentence == "Loaded 'first run', version 2."
    assert (loaded.view.version, loaded.view.first, loaded.view.last) == (2, 0, 3)
    assert loaded.view.colour_by == "path"
    assert loaded.view.tokens == ()


@pytest.mark.parametrize(("value", "example"), EXAMPLE_VALUES.items())
@pytest.mark.slow
def test_loading_an_example_needs_no_store(
    workspace: Workspace, saved: str, value: str, example: Example
) -> None:
    loaded = library.load(workspace, workspace.settle(View(analysis_id=saved)), value, None)
    assert loaded.view.is_example
    assert workspace.shown(loaded.view).name == load_example(example.key)["metadata"]["name"]


def test_loading_what_is_gone_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(AnalysisNotFoundError, match="Analysis not found"):
        library.load(workspace, View(), "gone", None)
    with pytest.raises(ChoiceMissingError, match="Choose a saved analysis"):
        library.load(workspace, View(), None, None)


def test_saved_analyses_are_offered_newest_first_after_the_examples(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    newer = workspace.store.save_analysis_results(analysis, "gpt2", "text", name="newer")
    options = library.analysis_options(workspace, "", TWO_STORIES)
    assert [option["value"] for option in options if not option.get("disabled")] == [
        *(GPT2_SMALL, TWO_BANKS, TWO_STORIES),
        *(newer, saved),
    ]
    assert [i for i, option in enumerate(options) if option.get("disabled")] == [0, 4]
    assert options[5]["label"].startswith("newer · gpt2 · 8 tokens · 20")


def test_examples_stand_alone_where_nothing_is_saved(workspace: Workspace) -> None:
    options = library.analysis_options(workspace, "", None)
    assert [option["value"] for option in options[1:]] == [GPT2_SMALL, TWO_BANKS, TWO_STORIES]
    assert library.analysis_options(workspace, "", None, with_examples=False) == []


def test_the_chosen_analysis_stays_offered_while_searching_for_another(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    other = workspace.store.save_analysis_results(analysis, "gpt2", "text", name="other")
    options = library.analysis_options(workspace, "other", saved)
    assert {option["value"] for option in options if not option.get("disabled")} == {
        *EXAMPLE_VALUES,
        *(saved, other),
    }


def test_versions_are_offered_newest_first(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    assert [o["value"] for o in library.version_options(workspace, saved)] == [2, 1]
    assert library.version_options(workspace, TWO_STORIES) == []
    assert library.version_options(workspace, "gone") == []


@pytest.mark.slow
def test_two_presses_at_once_save_once(workspace: Workspace) -> None:
    view = workspace.settle(View())
    presses = library.Presses()

    def press(page: str) -> Saved:
        return presses.once(
            (page, view.to_query(), "mine"), lambda: library.save(workspace, view, "mine")
        )

    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(press, ["one"] * 4))
    assert len({one.view for one in saved}) == 1
    assert len(workspace.store.list_analyses()) == 1
    # Another page means another analysis.
    press("two")
    assert len(workspace.store.list_analyses()) == 2


def test_a_save_that_failed_can_be_pressed_again() -> None:
    presses = library.Presses()
    saved = Saved(View(), "Saved.")

    def fail() -> Saved:
        raise ChoiceMissingError("Give the analysis a name, then save it.")

    with pytest.raises(ChoiceMissingError):
        presses.once("press", fail)
    assert presses.once("press", lambda: saved) is saved
