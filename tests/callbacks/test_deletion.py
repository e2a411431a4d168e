"""Deleting with a question, the trash, and pages that show something deleted elsewhere."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from concept_fragmentation.callbacks import deletion
from concept_fragmentation.callbacks.library import EXAMPLE_VALUES, ChoiceMissingError
from concept_fragmentation.callbacks.workspace import DeletedError, Workspace
from concept_fragmentation.components.trash_panel import trash_list
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError


@pytest.fixture
def three(workspace: Workspace, analysis: dict[str, Any]) -> list[str]:
    save = workspace.store.save_analysis_results
    return [save(analysis, "gpt2", "text", name=name) for name in "abc"]


def names(workspace: Workspace) -> list[str]:
    return [one["name"] for one in workspace.store.list_analyses()]


@pytest.mark.slow
def test_deleting_the_version_shown_shows_the_newest_that_is_left(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    view = workspace.settle(View(analysis_id=saved))
    deleted = deletion.delete(workspace, view, [saved], 2)
    assert deleted.sentence.startswith("Deleted version 2 of 'first run'. The Library keeps it")
    assert (deleted.view.analysis_id, deleted.view.version) == (saved, 1)
    last = deletion.delete(workspace, deleted.view, [saved], 1)
    assert last.view.is_example


def test_deleting_the_analysis_shown_shows_the_first_example(
    workspace: Workspace, saved: str
) -> None:
    view = workspace.settle(View(analysis_id=saved))
    deleted = deletion.delete(workspace, view, [saved])
    assert deleted.sentence == "Deleted 'first run'. The Library keeps it in the trash for 30 days."
    assert deleted.view == workspace.settle(View.from_query(""))
    assert workspace.store.list_analyses() == []


def test_deleting_another_analysis_leaves_the_view(workspace: Workspace, three: list[str]) -> None:
    view = workspace.settle(View(analysis_id=three[0]))
    assert deletion.delete(workspace, view, three[1:2]).view == view


def test_deleting_several_leaves_the_tab_and_what_is_compared(
    workspace: Workspace, three: list[str]
) -> None:
    view = workspace.settle(View(tab="library", analysis_id=three[0], other=three[2]))
    deleted = deletion.delete(workspace, view, three[:2])
    assert deleted.sentence.startswith("Deleted 2 analyses.")
    assert (deleted.view.is_example, deleted.view.tab) == (True, "library")
    assert deleted.view.other == three[2]
    assert names(workspace) == ["c"]
    assert deletion.delete(workspace, deleted.view, three[2:]).view.other is None


def test_one_that_is_gone_keeps_all_others(workspace: Workspace, three: list[str]) -> None:
    with pytest.raises(AnalysisNotFoundError):
        deletion.delete(workspace, View(), [three[0], "gone"])
    assert len(names(workspace)) == 3


@pytest.mark.parametrize("chosen", [None, *EXAMPLE_VALUES])
def test_nothing_but_saved_analyses_can_be_deleted(chosen: str | None) -> None:
    with pytest.raises(ChoiceMissingError):
        deletion.stored_choice(chosen)


@pytest.mark.parametrize("rows", [None, [], [{}], "x"])
def test_a_selection_is_needed(rows: Any) -> None:
    with pytest.raises(ChoiceMissingError, match="Select analyses"):
        deletion.chosen_ids(rows)


def test_the_question_names_the_analysis_and_the_trash(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    question, one = deletion.deletion_question(workspace, [saved])
    assert question == (
        "Delete 'first run' with its 1 version and its saved views? It stays in the trash for 30 "
        "days; the Library restores from there."
    )
    assert one is None
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    question, one = deletion.deletion_question(workspace, [saved], 1)
    assert question.startswith("Delete version 1 of 'first run', or the whole analysis")
    assert one == 1


def test_the_dialog_asks_about_all_that_are_selected(
    workspace: Workspace, three: list[str]
) -> None:
    is_open, question, _, style, button, doomed = deletion.asked(workspace, three, None)
    assert is_open
    assert question.startswith("Delete 3 analyses with all their versions")
    assert (style, button) == ({"display": "none"}, "Delete 3 analyses")
    assert doomed == {"analyses": three, "version": None}


def test_the_trash_is_listed_and_restored_from(workspace: Workspace, three: list[str]) -> None:
    assert "The trash is empty" in str(trash_list(deletion.trash_rows(workspace), 9))
    deletion.delete(workspace, View(), three[:2])
    rows = deletion.trash_rows(workspace)
    assert [row.name for row in rows] == ["'b'", "'a'"]
    assert rows[0].deleted < rows[0].expires
    assert "1 more are listed" in str(trash_list(rows, 1))
    assert deletion.restore(workspace, rows[1].trash_id) == "Restored 'a'."
    assert names(workspace) == ["c", "a"]
    with pytest.raises(ChoiceMissingError, match="in the trash no longer"):
        deletion.restore(workspace, rows[1].trash_id)


def test_a_view_of_something_deleted_says_how_to_restore_it(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    workspace.store.delete_analysis(saved, 1)
    with pytest.raises(DeletedError, match=r"^Version 1 of 'first run' was deleted\. Restore it"):
        workspace.shown(View(analysis_id=saved, version=1))
    workspace.store.delete_analysis(saved)
    with pytest.raises(DeletedError, match=r"^'first run' was deleted\. Restore it") as raised:
        workspace.shown(View(analysis_id=saved, version=2))
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - made here
    assert str(again) == str(raised.value)
    with pytest.raises(AnalysisNotFoundError, match="Analysis not found: 'never'"):
        workspace.shown(View(analysis_id="never"))
