"""Offers to open an analysis: the newest few, each once, with its name as text."""

from __future__ import annotations

from concept_fragmentation.components.finished import (
    MOST_OFFERED,
    Finished,
    finished_list,
    with_finished,
    without_finished,
)


def finished(draft: str, name: str = "story") -> Finished:
    return Finished(draft=draft, name=name, note="Skipped: 1 word.")


def test_the_newest_few_are_offered_each_once() -> None:
    offered: list[Finished] = []
    for draft in ("a", "b", "a", "c", "d"):
        offered = with_finished(offered, finished(draft))
    assert [one["draft"] for one in offered] == ["a", "c", "d"]
    assert len(offered) == MOST_OFFERED
    assert [one["draft"] for one in without_finished(offered, "c")] == ["a", "d"]
    assert without_finished(None, "a") == []


def test_a_message_names_the_analysis_and_what_to_know_of_it() -> None:
    (message,) = finished_list([finished("a", "<b>x</b>")])
    said = str(message.to_plotly_json())
    assert "Analyzed '<b>x</b>'. It is not saved yet." in said
    assert "Skipped: 1 word." in said
    assert finished_list(None) == []
