"""A few work at once and others wait in a row, in real processes, some of which are killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from concept_fragmentation.persistence import StorageError
from concept_fragmentation.persistence import turns as turns_module
from concept_fragmentation.persistence.turns import BusyError, Turns

pytestmark = pytest.mark.slow

PROCESSES = multiprocessing.get_context("fork")


def work(folder: Path, pipe: Connection) -> None:
    """Say how many are ahead, then "works", and go on until told to end."""
    turns = Turns(folder, at_once=2, most_waiting=3)
    try:
        with turns.taken(lambda ahead: pipe.send(str(ahead))):
            pipe.send("works")
            pipe.recv()
    except BusyError as error:
        pipe.send(str(error))


@dataclass
class Worker:
    """A process that works, and what it is told and says; it is a fork, which starts at once."""

    process: ForkProcess
    pipe: Connection

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """Start workers at the same folder; kill what is left when the test is over."""
    running: list[Worker] = []

    def start_one() -> Worker:
        here, there = PROCESSES.Pipe()
        process = PROCESSES.Process(target=work, args=(tmp_path / "turns", there), daemon=True)
        process.start()
        running.append(Worker(process, here))
        return running[-1]

    yield start_one
    for worker in running:
        worker.kill()


def says(worker: Worker) -> str:
    assert worker.pipe.poll(60), "it says nothing"
    said: str = worker.pipe.recv()
    return said


def says_at_last(worker: Worker, wanted: str) -> None:
    """Read until the worker says so; before, it may say only how many are ahead."""
    while (said := says(worker)) != wanted:
        assert said.isdecimal(), said


def end(worker: Worker) -> None:
    worker.pipe.send("end")
    worker.process.join()
    assert worker.process.exitcode == 0


def test_two_work_and_others_follow_in_the_order_they_came(start: Callable[[], Worker]) -> None:
    first, second = start(), start()
    assert (says(first), says(second)) == ("works", "works")
    third = start()
    assert says(third) == "2"
    fourth = start()
    assert says(fourth) == "3"
    end(first)
    says_at_last(third, "works")
    says_at_last(fourth, "2")
    end(second)
    says_at_last(fourth, "works")
    end(third)
    end(fourth)


def test_who_is_killed_at_work_or_while_waiting_holds_nobody_up(
    start: Callable[[], Worker],
) -> None:
    first, second = start(), start()
    assert (says(first), says(second)) == ("works", "works")
    third = start()
    assert says(third) == "2"
    fourth = start()
    assert says(fourth) == "3"
    third.kill()
    says_at_last(fourth, "2")
    first.kill()
    says_at_last(fourth, "works")


def test_more_than_may_wait_are_told_so(start: Callable[[], Worker], tmp_path: Path) -> None:
    running = []
    for _ in range(5):
        running.append(start())
        says(running[-1])
    refused = start()
    assert says(refused) == "Too many others wait for the server already; try again later."
    end(refused)
    # The dead make room, and nothing is left of them.
    for worker in running:
        worker.kill()
    last = start()
    assert says(last) == "works"
    assert len(list((tmp_path / "turns").glob("*.ticket"))) == 1


def come_and_go(folder: Path, marks: Path, pipe: Connection) -> None:
    """Take five turns; say how many worked at once at most."""
    turns = Turns(folder, at_once=2, most_waiting=100)
    most = 0
    for _ in range(5):
        with turns.taken(lambda _: None):
            mark = marks / f"{os.getpid()}-{time.time_ns()}"
            mark.touch()
            most = max(most, len(list(marks.iterdir())))
            time.sleep(0.01)
            mark.unlink()
    pipe.send(most)


def test_never_do_more_than_two_work_whoever_comes_and_goes(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    workers = []
    for _ in range(6):
        here, there = PROCESSES.Pipe()
        arguments = (tmp_path / "turns", marks, there)
        workers.append((PROCESSES.Process(target=come_and_go, args=arguments), here))
        workers[-1][0].start()
    assert max(int(here.recv()) for _, here in workers) <= 2
    for process, _ in workers:
        process.join()
    assert list((tmp_path / "turns").glob("*.ticket")) == []


def test_looking_at_a_ticket_that_is_just_given_back_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(tmp_path, at_once=1, most_waiting=1)
    first = contextlib.ExitStack()
    first.enter_context(turns.taken(lambda _: None))
    is_held = turns_module._is_held
    looks = []

    def look_too_late(ticket: Path) -> bool:
        looks.append(ticket)
        # The first look is for the number to draw; the second finds out who is ahead.
        if len(looks) == 2:
            first.close()
        return is_held(ticket)

    monkeypatch.setattr(turns_module, "_is_held", look_too_late)
    with turns.taken(lambda _: None):
        pass
    assert len(looks) == 2
    assert list(tmp_path.glob("*.ticket")) == []


def test_a_turn_ends_when_its_work_fails(tmp_path: Path) -> None:
    turns = Turns(tmp_path, at_once=1, most_waiting=0)
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), turns.taken(lambda _: None):
            raise ZeroDivisionError
    refused = turns.taken(lambda _: None)
    with turns.taken(lambda _: None), pytest.raises(BusyError, match="try again later"), refused:
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    turn = Turns(tmp_path / "file" / "turns").taken(lambda _: None)
    with pytest.raises(StorageError, match="Could not lock"), turn:
        pass
