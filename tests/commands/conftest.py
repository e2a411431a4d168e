"""A store with two analyses, and a way to run commands on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from concept_fragmentation.cli import main
from concept_fragmentation.persistence import GPT2AnalysisPersistence

Run = Callable[..., Result]


def small(tokens: list[str], layers: int = 2) -> dict[str, Any]:
    names = [f"layer_{i}" for i in range(layers)]
    return {
        "model_type": "gpt2",
        "layers": names,
        "token_metadata": {"tokens": tokens},
        "cluster_labels": {name: [i % 2 for i in range(len(tokens))] for name in names},
    }


@pytest.fixture
def store(tmp_path: Path) -> GPT2AnalysisPersistence:
    store = GPT2AnalysisPersistence(tmp_path / "store")
    store.save_analysis_results(small([" a", " b"]), "gpt2", "a b", "one", name="First", tags=["x"])
    store.save_analysis_results(small([" a", " b", " c"], 3), "distilgpt2", "a b c", "two")
    return store


@pytest.fixture
def run(store: GPT2AnalysisPersistence) -> Run:
    """Run a command on the store and return click's result; `code` is what it must end with."""

    def invoke(*arguments: str, code: int = 0, **options: Any) -> Result:
        result = CliRunner().invoke(
            main, [*arguments, "--dir", str(store.base_dir)], catch_exceptions=False, **options
        )
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Run a command with --json and return what it says."""
    return lambda *arguments, **options: json.loads(run(*arguments, "--json", **options).stdout)
