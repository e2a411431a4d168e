"""Stores and handles go to other processes as their folder and id; lazy arrays as their numbers."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.persistence import (
    AnalysisHandle,
    AnalysisNotFoundError,
    GPT2AnalysisPersistence,
)

Store = GPT2AnalysisPersistence
Same = Callable[[Any, Any], bool]
Clone = Callable[[Any], Any]

CLONES: dict[str, Clone] = {
    f"protocol {protocol}": lambda value, protocol=protocol: pickle.loads(  # noqa: S301 - our own
        pickle.dumps(value, protocol)
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
} | {"copy": copy.copy, "deepcopy": copy.deepcopy}


class OwnStore(GPT2AnalysisPersistence):
    """A store as a user may derive one."""


@pytest.mark.parametrize("clone", CLONES.values(), ids=CLONES)
@pytest.mark.slow
def test_a_store_is_opened_again(tmp_path: Path, analysis: dict[str, Any], clone: Clone) -> None:
    store = OwnStore(tmp_path / "store", max_versions=2, memory_only=True)
    again = clone(store)
    assert type(again) is OwnStore
    assert again is not store
    assert again.base_dir == store.base_dir
    assert again.cache.get_stats()["kind"] == "memory"
    for _ in range(3):
        again.save_analysis_results(analysis, "gpt2", "", "mine")
    # The limit of versions came along, and both see the same files.
    assert [version["version"] for version in store.list_versions("mine")] == [3, 2]


def test_a_store_that_was_closed_is_pickled(tmp_path: Path, analysis: dict[str, Any]) -> None:
    with Store(tmp_path / "store") as store:
        store.save_analysis_results(analysis, "gpt2", "", "mine")
        store.load_analysis_results("mine")
    again = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own
    assert [entry["analysis_id"] for entry in again.list_analyses()] == ["mine"]


@pytest.mark.parametrize("clone", CLONES.values(), ids=CLONES)
def test_a_handle_is_opened_again_in_the_same_version(
    store: Store, analysis: dict[str, Any], clone: Clone, same: Same
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    with store.open_analysis("mine") as opened:
        store.save_analysis_results(analysis | {"newer": True}, "gpt2", "", "mine")
        again = clone(opened)
        assert type(again) is AnalysisHandle
        assert again.metadata == opened.metadata
        # Each has files of its own.
        again.close()
        assert (opened.labels == clone(opened).labels).all()
        assert same(clone(opened).to_dict()["analysis_data"], analysis)


def test_a_handle_on_what_is_gone_says_so(store: Store, analysis: dict[str, Any]) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    packed = pickle.dumps(store.open_analysis("mine"))
    store.delete_analysis("mine")
    with pytest.raises(AnalysisNotFoundError, match="mine"):
        pickle.loads(packed)  # noqa: S301 - our own


@pytest.mark.parametrize("clone", CLONES.values(), ids=CLONES)
def test_lazy_data_become_what_they_stand_for(
    store: Store, analysis: dict[str, Any], clone: Clone, same: Same
) -> None:
    analysis["hidden_states"] = {"layer_0": np.arange(80.0).reshape(8, 10)}
    analysis["nested"] = [[float(i + j) for i in range(30)] for j in range(4)]
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    with store.open_analysis("mine") as opened:
        copied = clone(opened.data) if clone is not copy.copy else copy.deepcopy(opened.data)
    assert same(copied, analysis)
    # Writing to it changes no file.
    copied["hidden_states"]["layer_0"][:] = 0
    assert same(store.load_analysis_results("mine")["analysis_data"], analysis)


def _work(job: tuple[Store, AnalysisHandle]) -> tuple[int, float]:
    store, opened = job
    return len(store.list_analyses()), float(opened.attention("layer_0", 0).sum())


@pytest.mark.slow
def test_a_pool_of_processes_takes_stores_and_handles(
    store: Store, analysis: dict[str, Any]
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    opened = store.open_analysis("mine")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(_work, [(store, opened)])
    assert found == [(1, float(opened.attention("layer_0", 0).sum()))]
