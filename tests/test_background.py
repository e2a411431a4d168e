"""Runs in processes of their own: each answers the page that started it, and ends without one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.background import MOST_OF_ONE, TOO_MANY, Background
from concept_fragmentation.persistence.jobs import job_cache
from concept_fragmentation.sign_in import who
from concept_fragmentation.users import Users

pytestmark = pytest.mark.slow


class Impatient(Background):
    given_up_seconds = 1.0


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Impatient]:
    with job_cache(tmp_path) as cache:
        yield Impatient(cache)  # type: ignore[no-untyped-call]


# A server: it listens, has a run going, and says where and which.
SERVER = """
import signal, socket, sys, time
from concept_fragmentation.background import Background
from concept_fragmentation.persistence.jobs import job_cache
listening = socket.create_server(("127.0.0.1", 0))
# What gunicorn's workers do when they are told to stop.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
background = Background(job_cache(sys.argv[1]))
jobs = [background.call_job_fn(key, lambda *_: time.sleep(600), {}, {}) for key in ("a", "b")]
print(listening.getsockname()[1], *jobs, flush=True)
time.sleep(600)
"""


def start(background: Background, work: Callable[[], Any]) -> tuple[str, str]:
    """Start a run of something; return its key and its job."""
    key = background.build_cache_key()

    def job(result_key: str, _progress_key: str, _args: Any, _context: Any) -> None:
        background.handle.set(result_key, work())

    return key, background.call_job_fn(key, job, {}, {})


def process_of(job: str) -> psutil.Process:
    return psutil.Process(int(job.partition("-")[0]))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_pages_that_ask_for_the_same_get_an_answer_each(background: Impatient) -> None:
    runs = [start(background, lambda: "done") for _ in range(2)]
    for key, process in runs:
        wait_for(lambda key=key: background.result_ready(key))  # type: ignore[misc]
        assert background.get_result(key, process) == "done"


def test_a_run_goes_on_while_its_page_asks_and_ends_soon_after(background: Impatient) -> None:
    key, process = start(background, lambda: time.sleep(60))
    until = time.monotonic() + 3 * background.given_up_seconds
    while time.monotonic() < until:
        background.get_progress(key)
        assert background.job_running(process)
        time.sleep(0.1)
    wait_for(lambda: not background.job_running(process))  # type: ignore[no-untyped-call]
    assert not background.result_ready(key)  # type: ignore[no-untyped-call]


def test_all_processes_of_a_server_sign_alike(tmp_path: Path) -> None:
    first, second = (create_app(Settings(tmp_path))._get_signing_secret() for _ in range(2))
    assert first == second


def test_a_run_whose_process_is_killed_ends_in_a_sentence(background: Impatient) -> None:
    key, job = start(background, lambda: time.sleep(600))
    assert background.get_result(key, job) is background.UNDEFINED
    process_of(job).kill()
    wait_for(lambda: not background.job_running(job))
    lost = background.get_result(key, job)
    assert lost["failure"].startswith("What ran in the background is lost")
    # The page asks again where the answer did not reach it.
    assert background.get_result(key, job) == lost


def test_one_person_has_a_few_runs_at_once_and_others_have_theirs(tmp_path: Path) -> None:
    asking = ["ada"]
    with job_cache(tmp_path) as cache:
        background = Impatient(cache, person=lambda: asking[0])
        runs = [start(background, lambda: time.sleep(600)) for _ in range(MOST_OF_ONE)]
        refused = start(background, lambda: "done")
        assert background.get_result(*refused)["failure"] == TOO_MANY
        asking[0] = "bob"
        other = start(background, lambda: "done")
        wait_for(lambda: background.get_result(*other) == "done")
        asking[0] = "ada"
        background.terminate_job(runs[0][1])
        again = start(background, lambda: "done")
        wait_for(lambda: background.get_result(*again) == "done")
        for _, job in runs:
            background.terminate_job(job)


def test_a_run_belongs_to_who_signed_in(tmp_path: Path) -> None:
    Users(tmp_path / "users.json").set_password("ada", "correct horse battery")
    app = create_app(Settings(tmp_path / "store", users=tmp_path / "users.json"))
    app.server.add_url_rule("/who", view_func=lambda: f"{who()}")
    client = app.server.test_client()
    client.post("/sign-in", data={"name": "ada", "password": "correct horse battery"})
    assert client.get("/who").text == "ada"


def test_an_answer_that_did_not_reach_the_page_is_given_again(background: Impatient) -> None:
    key, job = start(background, lambda: {"draft": "1"})
    wait_for(lambda: background.result_ready(key))  # type: ignore[no-untyped-call]
    for _ in range(2):
        assert background.get_result(key, job) == {"draft": "1"}


def test_a_cancelled_run_ends_without_a_sentence(background: Impatient) -> None:
    key, job = start(background, lambda: time.sleep(600))
    background.terminate_job(job)
    assert not background.job_running(job)
    assert background.get_result(key, job) is background.UNDEFINED


def test_a_run_that_raises_what_nobody_expected_ends_in_a_sentence(
    background: Impatient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_set_progress: Any) -> None:
        raise KeyError("layer_7")

    job_fn = background.make_job_fn(fail, progress=True)  # type: ignore[no-untyped-call]
    context = {"triggered_inputs": []}
    job = background.call_job_fn("key", job_fn, [], context)
    wait_for(lambda: background.result_ready("key"))  # type: ignore[no-untyped-call]
    failure = background.get_result("key", job)["failure"]
    assert "stopped at a fault of the program ('layer_7')" in failure
    assert "Traceback" in caplog.text


def test_a_process_that_has_the_number_of_an_ended_run_is_left_alone(
    background: Impatient,
) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        job = f"{stranger.pid}-1"
        assert not background.job_running(job)
        background.terminate_job(job)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_that_ends_frees_its_port_and_takes_its_runs_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            port, *jobs = server.stdout.readline().split()
            runs = [process_of(job) for job in jobs]
            # Before the end, for whoever looks: the runs hold no socket of the server.
            wait_for(lambda: not any(run.net_connections() for run in runs))
            os.kill(server.pid, number)
            server.wait(timeout=30)
        finally:
            server.kill()
    with closing(socket.create_server(("127.0.0.1", int(port)))):
        pass
    wait_for(lambda: not any(map(is_at_work, runs)))


def is_at_work(process: psutil.Process) -> bool:
    # In a container without an init, nobody takes the status of a dead orphan.
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_where_nobody_signs_in_each_address_has_its_runs(tmp_path: Path) -> None:
    app = create_app(Settings(tmp_path / "store", proxies=1))
    background = app._background_manager

    def whose(address: str) -> str:
        with app.server.test_request_context(environ_base={"REMOTE_ADDR": address}):
            found: str = background._person()
            return found

    assert whose("192.0.2.1") == whose("::ffff:192.0.2.1") != whose("192.0.2.2")
    assert whose("2001:db8::1") == whose("2001:db8::ffff:1") != whose("2001:db8:0:1::1")
