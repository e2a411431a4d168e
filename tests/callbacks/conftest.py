"""A workspace on a store of its own, with a small analysis that has awkward tokens in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.persistence import GPT2AnalysisPersistence

TOKENS = ["<b>x</b>", " the", "the", "=1+1", "\n", "&amp;", " cat", " sat"]
LABELS = {
    "layer_0": [0, 0, 1, 1, 2, 2, 0, 1],
    "layer_1": [1, 1, 0, 0, 2, 2, 1, 0],
    "layer_2": [0, 1, 1, 1, 0, 0, 0, 1],
    "layer_10": [2, 2, 1, 1, 0, 0, 2, 1],
}


@pytest.fixture
def analysis() -> dict[str, Any]:
    return analysis_from_labels(TOKENS, LABELS, layers=list(LABELS))


@pytest.fixture
def store(tmp_path: Path) -> GPT2AnalysisPersistence:
    return GPT2AnalysisPersistence(tmp_path / "store")


@pytest.fixture
def workspace(store: GPT2AnalysisPersistence) -> Workspace:
    return Workspace(store)


@pytest.fixture
def saved(store: GPT2AnalysisPersistence, analysis: dict[str, Any]) -> str:
    """Return the id of the small analysis, saved under the name `first run`."""
    return store.save_analysis_results(analysis, "gpt2", "text", name="first run")
