"""Analyses that nobody saved are kept for a while, and then leave nothing behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence
from concept_fragmentation.persistence import unsaved as module
from concept_fragmentation.persistence.unsaved import KEPT_HOURS, UnsavedAnalyses


def analysis(label: int) -> dict[str, Any]:
    labels = {"layer_0": [0, label], "layer_1": [1, 0]}
    return analysis_from_labels([" a", " b"], labels, hidden_states={"layer_0": [[0.5], [label]]})


def files(folder: Path) -> list[Path]:
    """Return the files of what is kept or was."""
    places = (folder / "analysis_results", folder / "trash")
    return [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "unsaved"


def test_what_is_too_old_is_gone_for_good(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsaved = UnsavedAnalyses(folder)
    old = unsaved.keep(analysis(0), "gpt2", "", {}, "old")
    before = set(files(folder))
    later = timedelta(hours=KEPT_HOURS, minutes=1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + later

    with monkeypatch.context() as patched:
        patched.setattr(module, "datetime", Later)
        unsaved.keep(analysis(1), "gpt2", "", {}, "new")
    # What was just kept seems as old to that clock.
    with pytest.raises(AnalysisNotFoundError, match="never saved"):
        unsaved.load(old)
    assert not before & set(files(folder))
    assert not any((folder / "trash").rglob("*"))


def test_what_an_earlier_version_put_in_the_trash_is_freed(folder: Path) -> None:
    unsaved = UnsavedAnalyses(folder)
    old = unsaved.keep(analysis(0), "gpt2", "", {}, "old")
    GPT2AnalysisPersistence(folder).delete_analysis(old)
    assert any((folder / "trash").rglob("*"))
    unsaved.keep(analysis(1), "gpt2", "", {}, "new")
    assert not any((folder / "trash").rglob("*"))


def test_forgetting_frees_the_space_and_keeps_the_others(folder: Path) -> None:
    unsaved = UnsavedAnalyses(folder)
    first = unsaved.keep(analysis(0), "gpt2", "", {}, "first")
    alone = files(folder)
    second = unsaved.keep(analysis(1), "gpt2", "", {}, "second")
    unsaved.forget(second)
    unsaved.forget(second)
    assert files(folder) == alone
    assert unsaved.load(first)["metadata"]["name"] == "first"


def test_the_oldest_leave_for_good_when_there_is_no_room(folder: Path) -> None:
    first = UnsavedAnalyses(folder).keep(analysis(0), "gpt2", "", {}, "first")
    alone = files(folder)
    (summary,) = GPT2AnalysisPersistence(folder).list_analyses()
    # There is room for two, and not for three.
    unsaved = UnsavedAnalyses(folder, most_bytes=summary["size_bytes"] * 5 // 2)
    second = unsaved.keep(analysis(1), "gpt2", "", {}, "second")
    assert unsaved.load(first)["metadata"]["name"] == "first"
    third = unsaved.keep(analysis(2), "gpt2", "", {}, "third")
    with pytest.raises(AnalysisNotFoundError, match="newer ones need the room"):
        unsaved.load(first)
    assert not set(alone) & set(files(folder))
    assert unsaved.load(second)["metadata"]["name"] == "second"
    assert unsaved.load(third)["metadata"]["name"] == "third"


def test_one_that_is_larger_than_all_may_be_is_kept_alone(folder: Path) -> None:
    unsaved = UnsavedAnalyses(folder, most_bytes=1)
    first = unsaved.keep(analysis(0), "gpt2", "", {}, "first")
    assert unsaved.load(first)["metadata"]["name"] == "first"
    second = unsaved.keep(analysis(1), "gpt2", "", {}, "second")
    assert unsaved.load(second)["metadata"]["name"] == "second"
    with pytest.raises(AnalysisNotFoundError):
        unsaved.load(first)
