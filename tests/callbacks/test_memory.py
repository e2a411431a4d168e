"""What a server keeps in memory has an honest size, and stays within one budget."""

from __future__ import annotations

import logging
import platform
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.analysis.windows import labelled_window
from concept_fragmentation.callbacks import memory as memory_module
from concept_fragmentation.callbacks.memory import MIB, Memory, usual_budget
from concept_fragmentation.callbacks.sizes import size_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.figures.data import token_paths_frame
from concept_fragmentation.components.figures.metrics import window_metrics
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence


def deep(seed: int = 0, tokens: int = 2000) -> dict[str, Any]:
    """Return an analysis of 31 layers with hidden states."""
    rng = np.random.default_rng(seed)
    layers = [f"layer_{i}" for i in range(31)]
    return analysis_from_labels(
        [f" token {i}" for i in range(tokens)],
        rng.integers(0, 12, (tokens, 31)),
        layers=layers,
        hidden_states={layer: rng.normal(size=(tokens, 8)) for layer in layers},
    )


def array(kibibytes: int) -> Callable[[], np.ndarray[Any, Any]]:
    return lambda: np.zeros(kibibytes * 2**10, np.uint8)


def nothing() -> None:
    pytest.fail("It is not kept.")


@pytest.mark.slow
def test_sizes_are_those_that_python_took(store: GPT2AnalysisPersistence) -> None:
    store.save_analysis_results(deep(), "gpt2", "", "deep")
    workspace = Workspace(store)
    view = workspace.settle(View(analysis_id="deep"))
    shown = workspace.shown(view)
    makers: dict[str, Callable[[], Any]] = {
        "analysis": lambda: Workspace(store).shown(view),
        "window": lambda: labelled_window(shown.analysis, 0, 30),
        "frame": lambda: token_paths_frame(shown.analysis, labelled_window(shown.analysis, 0, 30)),
        "text": lambda: ["é" * 1000, b"x" * 5000],
        "objects": lambda: np.array([f"token {i}" for i in range(5000)], dtype=object),
        "records": lambda: {str(i): {"path": [i] * 31, "name": f"{i}"} for i in range(5000)},
    }
    for make in makers.values():
        make()
    for name, make in makers.items():
        tracemalloc.start()
        made = make()
        took = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert 0.7 * took < size_of(made) < 1.4 * took, name


def test_what_is_shared_or_mapped_counts_once_or_not_at_all(tmp_path: Path) -> None:
    numbers = np.arange(100_000)
    assert size_of([numbers, numbers[::2], numbers.reshape(100, -1)]) < numbers.nbytes + 1000
    assert size_of(numbers[:5]) > numbers.nbytes
    np.save(tmp_path / "mapped.npy", numbers)
    assert size_of(np.load(tmp_path / "mapped.npy", mmap_mode="r")) < 10_000
    assert size_of((None, True, 3, len, np, Path)) < 200


def test_the_least_recently_used_leave_first() -> None:
    memory = Memory(100 * 2**10)
    first = memory.get("a", array(40))
    memory.get("b", array(40))
    assert memory.get("a", array(40)) is first
    memory.get("c", array(40))
    assert memory.kept_bytes < memory.budget
    assert memory.get("a", nothing) is first  # type: ignore[comparison-overlap]
    assert memory.get("b", lambda: "made again") == "made again"


def test_what_is_larger_than_the_budget_is_handed_out_and_drops_nothing() -> None:
    memory = Memory(100 * 2**10)
    small = memory.get("small", array(50))
    assert memory.get("large", array(200)).nbytes == 200 * 2**10
    assert memory.get("small", nothing) is small  # type: ignore[comparison-overlap]
    assert memory.get("large", lambda: "made again") == "made again"


def test_an_analysis_that_computes_more_of_itself_is_measured_again(
    store: GPT2AnalysisPersistence,
) -> None:
    store.save_analysis_results(deep(), "gpt2", "", "deep")
    workspace = Workspace(store)
    view = workspace.settle(View(analysis_id="deep"))
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    before = workspace.memory.kept_bytes
    changes = analysis.token_metrics.cluster_changes
    assert changes.nbytes < workspace.memory.kept_bytes - before
    before = workspace.memory.kept_bytes
    assert window is not None
    metrics = window_metrics(analysis, window)
    assert metrics.cluster_changes.nbytes < workspace.memory.kept_bytes - before


@pytest.mark.slow
def test_one_budget_is_for_analyses_windows_tables_and_figures(
    store: GPT2AnalysisPersistence,
) -> None:
    for seed in range(3):
        store.save_analysis_results(deep(seed), "gpt2", "", f"deep-{seed}")
    workspace = Workspace(store, memory=4 * MIB)
    unbounded = Workspace(store, memory=400 * MIB)
    for seed in range(3):
        for last in range(1, 31, 6):
            view = View(analysis_id=f"deep-{seed}", first=0, last=last)
            for one in (workspace, unbounded):
                settled = one.settle(view)
                one.frame(settled)
                one.computed(settled, ("plane", last), array(300))
            assert workspace.memory.kept_bytes <= 4 * MIB
            assert workspace.frame(settled).equals(unbounded.frame(settled))
    assert unbounded.memory.kept_bytes > 8 * MIB


def test_few_analyses_stay_open_however_small(
    store: GPT2AnalysisPersistence, analysis: dict[str, Any]
) -> None:
    workspace = Workspace(store)
    shown = []
    for number in range(12):
        store.save_analysis_results(analysis, "gpt2", "", f"one-{number}")
        shown.append(workspace.shown(View(analysis_id=f"one-{number}")).analysis)
    assert workspace.shown(View(analysis_id="one-11")).analysis is shown[11]
    assert workspace.shown(View(analysis_id="one-0")).analysis is not shown[0]


def test_no_number_of_small_things_slows_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_MOST_ENTRIES", 50)
    memory = Memory(100 * MIB)
    for number in range(60):
        memory.get(number, lambda: "small")
    assert memory.get(59, nothing) == "small"
    assert memory.get(0, lambda: "made again") == "made again"


def test_the_log_says_now_and_then_what_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    memory = Memory(100 * 2**10)
    for number in range(10):
        memory.get(number, array(60))
    (said,) = caplog.messages
    assert said.startswith("Memory: 1 analyses and results left it, 0 of 0 MiB are kept;")


def test_what_was_freed_goes_back_to_the_system_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trimmed: list[int] = []
    now = [1000.0]
    monkeypatch.setattr(memory_module, "_malloc_trim", trimmed.append)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    memory = Memory(MIB)
    for number in range(60):
        now[0] += 1
        memory.get(number, array(1))
    assert len(trimmed) == 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no glibc")
def test_glibc_can_do_that() -> None:
    assert memory_module._malloc_trim is not None
    assert memory_module._malloc_trim(0) in {0, 1}


def test_the_usual_budget_follows_from_the_memory_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory_module, "_LIMITS", (str(limit),))
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("_", (), {"total": 8 * 2**30}))
    assert usual_budget() == 512 * MIB
    for said, budget in ((f"{4 * 2**30}\n", 256), ("max\n", 512), (f"{2**20}", 128)):
        limit.write_text(said)
        assert usual_budget() == budget * MIB


def test_what_another_thread_changes_meanwhile_is_measured_nevertheless() -> None:
    changing: dict[int, Any] = {}

    class Slow:
        def __sizeof__(self) -> int:
            # What another thread does while this is measured.
            changing[len(changing)] = 0
            return 1000

    changing.update({number: Slow() for number in range(3)})
    assert 3000 < size_of(changing) < 5000
    assert len(changing) == 6
