"""A few work at once and others wait in a row, in real processes, some of which are killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from concept_fragmentation.persistence import StorageError
from concept_fragmentation.persistence import turns as turns_module
from concept_fragmentation.persistence.turns import BusyError, Turns

pytestmark = pytest.mark.slow

# Says how many are ahead, then "works", and goes on until its input ends.
WORKER = """
import sys
from pathlib import Path
from concept_fragmentation.persistence.turns import BusyError, Turns
turns = Turns(Path(sys.argv[1]), at_once=2, most_waiting=3)
try:
    with turns.taken(lambda ahead: print(ahead, flush=True)):
        print("works", flush=True)
        sys.stdin.read()
except BusyError as error:
    print(error, flush=True)
"""

Worker = subprocess.Popen[str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """Start workers at the same folder; kill what is left when the test is over."""
    running: list[Worker] = []

    def start_one() -> Worker:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "turns")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(worker)
        return worker

    yield start_one
    for worker in running:
        worker.kill()
        worker.communicate()


def says(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def says_at_last(worker: Worker, wanted: str) -> None:
    """Read until the worker says so; before, it may say only how many are ahead."""
    while (said := says(worker)) != wanted:
        assert said.isdecimal(), said


def end(worker: Worker) -> None:
    worker.communicate()
    assert worker.returncode == 0


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
        worker.wait()
    last = start()
    assert says(last) == "works"
    assert len(list((tmp_path / "turns").glob("*.ticket"))) == 1


def test_never_do_more_than_two_work_whoever_comes_and_goes(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from concept_fragmentation.persistence.turns import Turns
folder, marks = Path(sys.argv[1]), Path(sys.argv[2])
turns = Turns(folder, at_once=2, most_waiting=100)
most = 0
for _ in range(5):
    with turns.taken(lambda ahead: None):
        mark = marks / f"{id(turns)}-{time.time_ns()}-{sys.argv[3]}"
        mark.touch()
        most = max(most, len(list(marks.iterdir())))
        time.sleep(0.01)
        mark.unlink()
print(most)
"""
    marks = tmp_path / "marks"
    marks.mkdir()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "turns"), str(marks), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    assert max(int(worker.communicate()[0]) for worker in workers) <= 2
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
