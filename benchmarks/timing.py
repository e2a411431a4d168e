"""Medians of repeated runs."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from concept_fragmentation.persistence.examples import load_example

ROOT = Path(__file__).resolve().parents[1]

Row = tuple[str, str]


def real_analysis() -> dict[str, Any]:
    """10,000 GPT-2 tokens in 12 layers, without token paths."""
    data: dict[str, Any] = load_example("gpt2-small")["analysis_data"]
    return data


def median(run: Callable[[], Any], repeat: int = 7) -> float:
    """The median time of `run` in seconds, after one run that does not count."""
    run()
    times = []
    for _ in range(repeat):
        gc.collect()
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
        del result
    return statistics.median(times)


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"
