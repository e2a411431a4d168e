from __future__ import annotations

from typing import Any

import pytest

from concept_fragmentation.callbacks import catalogue
from concept_fragmentation.callbacks.library import ChoiceMissingError
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence


@pytest.fixture
def three(store: GPT2AnalysisPersistence, analysis: dict[str, Any]) -> list[str]:
    return [
        store.save_analysis_results(analysis, "gpt2", "text", name=name) for name in ("b", "c", "a")
    ]


def names(answer: tuple[dict[str, Any], str]) -> list[str]:
    return [row["name"] for row in answer[0]["rowData"]]


def test_the_library_is_newest_first_and_sorted_as_asked(
    workspace: Workspace, three: list[str]
) -> None:
    assert names(catalogue.library_rows(workspace, {}, "")) == ["a", "c", "b"]
    up = {"sortModel": [{"colId": "name", "sort": "asc"}]}
    assert names(catalogue.library_rows(workspace, up, "")) == ["a", "b", "c"]
    down = {"sortModel": [{"colId": "name", "sort": "desc"}]}
    assert names(catalogue.library_rows(workspace, down, "")) == ["c", "b", "a"]


def test_an_empty_library_says_what_to_do(workspace: Workspace) -> None:
    answer, said = catalogue.library_rows(workspace, {}, "")
    assert answer == {"rowData": [], "rowCount": 0}
    assert "Nothing is saved yet" in said


def test_a_library_is_searched_in_the_store(workspace: Workspace, three: list[str]) -> None:
    workspace.store.update_analysis(three[0], notes="about rivers")
    assert names(catalogue.library_rows(workspace, {}, "rivers")) == ["b"]


def test_tags_are_edited_as_a_list(workspace: Workspace, three: list[str]) -> None:
    change = {"data": {"id": three[0]}, "colId": "tags", "value": " x, y ,,"}
    assert catalogue.edit(workspace, change) == "Changed the tags."
    assert workspace.store.list_versions(three[0])[0]["tags"] == ["x", "y"]


@pytest.mark.parametrize(
    "change",
    [
        None,
        {},
        {"colId": "model", "data": {"id": "x"}},
        {"colId": "name", "data": {}, "value": " "},
    ],
)
def test_an_edit_that_cannot_be_is_refused(workspace: Workspace, change: Any) -> None:
    with pytest.raises(ChoiceMissingError):
        catalogue.edit(workspace, change)


def test_two_selected_are_compared_with_each_other(workspace: Workspace, three: list[str]) -> None:
    rows = [{"id": three[0]}, {"id": three[1]}]
    view = catalogue.compare(workspace, View(), rows)
    assert (view.tab, view.analysis_id, view.other) == ("compare", three[0], three[1])
    with pytest.raises(ChoiceMissingError):
        catalogue.compare(workspace, View(), [])
