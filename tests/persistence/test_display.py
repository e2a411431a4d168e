"""What a notebook shows of stored things is never markup."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from concept_fragmentation.analysis import with_token_paths
from concept_fragmentation.persistence import (
    GPT2AnalysisPersistence,
    ImportReport,
    Problem,
    RepairReport,
    safe_pickle,
)
from concept_fragmentation.persistence.trash import TrashEntry

Store = GPT2AnalysisPersistence

HOSTILE = "<script>alert(1)</script>&amp;\x1b\u202e\ud800$x$"


@pytest.fixture
def hostile(store: Store, analysis: dict[str, Any]) -> Store:
    more = {HOSTILE: HOSTILE}
    store.save_analysis_results(
        analysis, "<i>gpt2", HOSTILE, "one", more, name=HOSTILE, tags=[HOSTILE], notes=HOSTILE
    )
    return store


def check(shown: str) -> str:
    shown.encode()
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert 'class="tex2jax_ignore mathjax_ignore"' in shown
    # Well-formed, and the text is there.
    text = "".join(ET.fromstring(shown).itertext())  # noqa: S314 - our own
    assert r"<script>alert(1)</script>&amp;\x1b\u202e\ud800$x$" in text
    return text


def test_a_store_shows_its_newest_analyses(hostile: Store) -> None:
    assert "the 1 newest analyses" in check(hostile._repr_html_())


def test_an_empty_store_says_so(store: Store) -> None:
    assert "empty" in store._repr_html_()


def test_metadata_is_a_dict_and_a_table(hostile: Store) -> None:
    for entry in (hostile.list_analyses()[0], hostile.list_versions("one")[0]):
        assert isinstance(entry, dict)
        assert "num_tokens" in check(entry._repr_html_())  # type: ignore[attr-defined]


@pytest.mark.slow
def test_what_is_loaded_is_a_dict_that_shows_itself_in_a_line(
    store: Store, hostile: Store, real_analysis: dict[str, Any], same: Callable[[Any, Any], bool]
) -> None:
    store.save_analysis_results(with_token_paths(real_analysis), "gpt2", "", "large")
    with store.open_analysis("large") as opened:
        for loaded in (store.load_analysis_results("large"), opened.to_dict()):
            assert isinstance(loaded, dict)
            assert len(repr(loaded)) < 300
            assert repr(loaded).startswith(
                "<loaded analysis 'large' version 1: 10,000 tokens, 12 lay"
            )
            assert "'analysis_data'" in repr(loaded)
            # All that it holds is plain, and so is a copy of it.
            assert type(loaded["analysis_data"]) is dict
            plain = dict(loaded)
            assert loaded == plain
            assert plain == loaded
            for copied in (pickle.loads(pickle.dumps(loaded)), copy.deepcopy(loaded)):  # noqa: S301
                assert type(copied) is dict
                assert same(copied["analysis_data"], plain["analysis_data"])
            assert json.loads(json.dumps(loaded["model_info"])) == loaded["model_info"]
            assert json.loads(json.dumps(loaded | {"analysis_data": 1})) == dict(
                loaded | {"analysis_data": 1}
            )
            loaded["mine"] = 1
            assert loaded.pop("mine") == 1
        assert len(repr(opened)) < 300
        assert len(repr(opened.analysis)) < 300
        assert "<table" in opened.analysis._repr_html_()
    assert "num_tokens" in check(hostile.load_analysis_results("one")._repr_html_())  # type: ignore[attr-defined]


def test_what_was_loaded_is_imported_from_a_pickle(store: Store, analysis: dict[str, Any]) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    path = store.base_dir.parent / "loaded.pkl"
    path.write_bytes(pickle.dumps(store.load_analysis_results("mine")))
    assert type(safe_pickle.loads(path.read_bytes())) is dict
    copied = store.import_analysis(path)
    assert store.diff(copied, "mine").identical
    with pytest.raises(safe_pickle.RefusedPickleError, match="from something else than its items"):
        safe_pickle.loads(pickle.dumps(Hostile()))


class Hostile:
    """Asks for a dict that is made of something."""

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ([(1, 2)],)


def test_reports_show_themselves_in_a_line() -> None:
    many = [f"analysis-{i}" for i in range(1000)]
    problem = Problem("damaged", "x" * 300, "x" * 300, "x" * 300, "x" * 300)
    entry = TrashEntry("t" * 90, "x" * 90, "x" * 90, 1, "<b>" * 300, "2026-01-01")
    for report in (
        ImportReport(imported=many, problems=many, renamed=dict.fromkeys(many, "x")),
        RepairReport(quarantined=many, problems=[problem] * 1000),
        problem,
        entry,
    ):
        assert len(repr(report)) <= 300
        assert type(report).__name__ in repr(report)
        assert "<b>" not in report._repr_html_()
    assert "imported=1,000 entries" in repr(ImportReport(imported=list(range(1000))))  # type: ignore[arg-type]


def test_an_open_analysis_shows_what_it_is(hostile: Store) -> None:
    with hostile.open_analysis("one") as opened:
        assert "version" in check(opened._repr_html_())
        assert repr(opened).startswith("<AnalysisHandle 'one' version 1: 8 tokens, 3 layers")
