"""Fixtures for the tests of what can be computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.analysis import Analysis

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "gpt2_top10k_k10.json"


@pytest.fixture(scope="session")
def real_data() -> dict[str, Any]:
    """10,000 GPT-2 tokens in 12 layers, without token paths."""
    loaded: dict[str, Any] = json.loads(REAL.read_text())
    return loaded


@pytest.fixture(scope="session")
def real(real_data: dict[str, Any]) -> Analysis:
    return Analysis.from_dict(real_data)
