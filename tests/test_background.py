"""Runs in processes of their own: each answers the page that started it, and ends without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.background import Background
from concept_fragmentation.persistence.jobs import job_cache


class Impatient(Background):
    given_up_seconds = 1.0


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Impatient]:
    with job_cache(tmp_path) as cache:
        yield Impatient(cache)  # type: ignore[no-untyped-call]


def start(background: Background, work: Callable[[], Any]) -> tuple[str, int]:
    """Start a run of something; return its key and its process."""
    key = background.build_cache_key()

    def job(result_key: str, _progress_key: str, _args: Any, _context: Any) -> None:
        background.handle.set(result_key, work())

    return key, background.call_job_fn(key, job, {}, {})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_pages_that_ask_for_the_same_get_an_answer_each(background: Impatient) -> None:
    runs = [start(background, lambda: "done") for _ in range(2)]
    for key, process in runs:
        wait_for(lambda key=key: background.result_ready(key))  # type: ignore[misc]
        assert background.get_result(key, process) == "done"  # type: ignore[no-untyped-call]


def test_a_run_goes_on_while_its_page_asks_and_ends_soon_after(background: Impatient) -> None:
    key, process = start(background, lambda: time.sleep(60))
    until = time.monotonic() + 3 * background.given_up_seconds
    while time.monotonic() < until:
        background.get_progress(key)
        assert background.job_running(process)  # type: ignore[no-untyped-call]
        time.sleep(0.1)
    wait_for(lambda: not background.job_running(process))  # type: ignore[no-untyped-call]
    assert not background.result_ready(key)  # type: ignore[no-untyped-call]


def test_all_processes_of_a_server_sign_alike(tmp_path: Path) -> None:
    first, second = (create_app(Settings(tmp_path))._get_signing_secret() for _ in range(2))
    assert first == second
