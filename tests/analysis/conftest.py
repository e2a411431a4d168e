"""Fixtures for the tests of what can be computed."""

from __future__ import annotations

from typing import Any

import pytest

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.persistence.examples import load_example


@pytest.fixture(scope="session")
def real_data() -> dict[str, Any]:
    """10,000 GPT-2 tokens in 12 layers, without token paths."""
    data: dict[str, Any] = load_example("gpt2-small")["analysis_data"]
    return data


@pytest.fixture(scope="session")
def real(real_data: dict[str, Any]) -> Analysis:
    return Analysis.from_dict(real_data)
