"""How often one may try to sign in, whose tries these are, and when the cookie is Secure."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import flask
import pytest
from waitress.wasyncore import close_all

from concept_fragmentation.app import Settings, SettingsError, create_app
from concept_fragmentation.attempts import PER_ADDRESS, PER_NAME, Attempts
from concept_fragmentation.serving import bind
from concept_fragmentation.users import Users

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"  # noqa: S105 - of these tests
HERE, THERE = "10.0.0.1", "10.0.0.2"

COUNTS_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from concept_fragmentation.attempts import Attempts
attempts = Attempts(Path(sys.argv[1]), "key")
print(sum(attempts.begin("ada", "10.0.0.1") == 0 for _ in range(10)))
"""


class Clock:
    """The time, which tests move on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path / "counts", "key")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.json"
    Users(path).set_password("ada", PASSWORD)
    Users(path).set_password("bob", PASSWORD)
    return path


@pytest.fixture
def serve(users: Path, tmp_path: Path) -> Callable[..., flask.Flask]:
    def server(**settings: Any) -> flask.Flask:
        made: flask.Flask = create_app(Settings(tmp_path / "store", users=users, **settings)).server
        return made

    return server


def sign_in(server: flask.Flask, password: str, address: str = HERE, **more: Any) -> Any:
    """Try from an address; each time as a browser without a session."""
    return server.test_client().post(
        "/sign-in",
        data={"name": more.pop("name", "ada"), "password": password},
        environ_base={"REMOTE_ADDR": address},
        **more,
    )


# Counting


def test_a_name_is_tried_so_often_from_an_address_then_a_while_passes(
    attempts: Attempts, clock: Clock
) -> None:
    began = clock.now
    for _ in range(PER_NAME.amount):
        assert attempts.begin("ada", HERE) == 0
        clock.now += 1
    assert attempts.begin("ada", HERE) == pytest.approx(began + PER_NAME.get_expiry() - clock.now)
    assert attempts.begin("ada", THERE) == 0
    assert attempts.begin("bob", HERE) == 0
    # Who goes on trying does not wait for longer.
    clock.now = began + PER_NAME.get_expiry() - 1
    assert attempts.begin("ada", HERE) == pytest.approx(1)
    clock.now += 2
    assert attempts.begin("ada", HERE) == 0


def test_many_names_are_tried_so_often_from_an_address(attempts: Attempts, clock: Clock) -> None:
    for number in range(PER_ADDRESS.amount):
        assert attempts.begin(f"name {number}", HERE) == 0
    assert attempts.begin("ada", HERE) == pytest.approx(PER_ADDRESS.get_expiry())
    assert attempts.begin("ada", THERE) == 0
    clock.now += PER_ADDRESS.get_expiry() + 1
    assert attempts.begin("ada", HERE) == 0


def test_right_passwords_are_no_wrong_tries(attempts: Attempts) -> None:
    for _ in range(PER_ADDRESS.amount + 1):
        assert attempts.begin("ada", HERE) == 0
        attempts.succeeded("ada", HERE)
    for _ in range(PER_NAME.amount - 1):
        assert attempts.begin("ada", HERE) == 0
    attempts.succeeded("ada", HERE)
    for _ in range(PER_NAME.amount):
        assert attempts.begin("ada", HERE) == 0
    assert attempts.begin("ada", HERE) > 0


def test_the_networks_of_ipv6_and_the_two_ways_to_write_ipv4_are_one_address_each(
    attempts: Attempts,
) -> None:
    for number in range(PER_NAME.amount):
        assert attempts.begin("ada", f"2001:db8::{number}") == 0
        assert attempts.begin("ada", HERE if number % 2 else f"::ffff:{HERE}") == 0
    assert attempts.begin("ada", "2001:db8:0:0:ffff::") > 0
    assert attempts.begin("ada", HERE) > 0
    assert attempts.begin("ada", "2001:db8:0:1::") == 0


def test_all_processes_count_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTS_IN_ANOTHER_PROCESS, str(tmp_path / "counts")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in running) == PER_NAME.amount


def test_the_files_hold_no_name_and_no_address(attempts: Attempts, tmp_path: Path) -> None:
    attempts.begin("my password by mistake", HERE)
    content = b"".join(path.read_bytes() for path in (tmp_path / "counts").iterdir())
    assert b"my password" not in content
    assert HERE.encode() not in content


# The server


def test_after_wrong_tries_the_page_says_when_to_try_again(
    serve: Callable[..., flask.Flask], clock: Clock
) -> None:
    server = serve()
    for _ in range(PER_NAME.amount):
        assert sign_in(server, "wrong").status_code == 401
    answer = sign_in(server, PASSWORD)
    assert answer.status_code == 429
    assert "Too many wrong tries. Try again in 5 minutes." in answer.text
    assert answer.headers["Retry-After"] == "300"
    assert "Set-Cookie" not in answer.headers
    # Ada herself is elsewhere; and here another may still sign in.
    assert sign_in(server, PASSWORD, THERE).status_code == 303
    assert sign_in(server, PASSWORD, name="bob").status_code == 303
    clock.now += 299.5
    assert "Try again in 1 minute." in sign_in(server, PASSWORD).text
    clock.now += 1
    assert sign_in(server, PASSWORD).status_code == 303


def test_tries_at_once_are_counted_before_they_are_looked_at(
    serve: Callable[..., flask.Flask],
) -> None:
    server = serve()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: sign_in(server, "wrong").status_code, range(24)))
    assert answers.count(401) == PER_NAME.amount
    assert answers.count(429) == 24 - PER_NAME.amount


def test_where_tries_cannot_be_counted_nobody_signs_in(
    serve: Callable[..., flask.Flask], tmp_path: Path
) -> None:
    server = serve()
    folder = tmp_path / "store" / "cache" / "sign-in"
    folder.write_text("in the way")
    answer = sign_in(server, PASSWORD)
    assert answer.status_code == 503
    assert "Nobody can sign in now: the server can&#39;t count tries" in answer.text
    assert str(tmp_path) not in answer.text
    folder.unlink()
    assert sign_in(server, PASSWORD).status_code == 303


# Behind a proxy


def test_nobody_chooses_an_address(serve: Callable[..., flask.Flask]) -> None:
    server = serve()
    for number in range(PER_NAME.amount):
        headers = {"X-Forwarded-For": f"10.1.0.{number}"}
        assert sign_in(server, "wrong", headers=headers).status_code == 401
    assert sign_in(server, "wrong", headers={"X-Forwarded-For": THERE}).status_code == 429


def test_of_proxies_that_are_named_the_address_is_taken(serve: Callable[..., flask.Flask]) -> None:
    server = serve(proxies=1)
    for number in range(PER_NAME.amount):
        # What was there before the proxy is whatever its client wrote.
        headers = {"X-Forwarded-For": f"10.1.0.{number}, {HERE}"}
        assert sign_in(server, "wrong", "127.0.0.1", headers=headers).status_code == 401
    headers = {"X-Forwarded-For": HERE}
    assert sign_in(server, "wrong", "127.0.0.1", headers=headers).status_code == 429
    headers = {"X-Forwarded-For": THERE}
    assert sign_in(server, PASSWORD, "127.0.0.1", headers=headers).status_code == 303


@pytest.mark.parametrize(
    ("proxies", "base_url", "forwarded", "secure"),
    [
        (0, "http://localhost", "https", False),
        (0, "https://localhost", "", True),
        (1, "http://localhost", "https", True),
        (1, "http://localhost", "http", False),
    ],
)
def test_the_cookie_is_for_https_where_the_request_came_by_it(
    serve: Callable[..., flask.Flask], proxies: int, base_url: str, forwarded: str, secure: bool
) -> None:
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    answer = sign_in(serve(proxies=proxies), PASSWORD, base_url=base_url, headers=headers)
    (cookie,) = answer.headers.getlist("Set-Cookie")
    parts = set(cookie.split("; ")[1:])
    assert parts == {"HttpOnly", "Path=/", "SameSite=Lax"} | ({"Secure"} if secure else set())


@pytest.mark.parametrize("proxies", [0, 1])
def test_what_a_proxy_says_reaches_the_application(
    serve: Callable[..., flask.Flask], proxies: int
) -> None:
    running = bind(serve(proxies=proxies), "127.0.0.1", 0)
    thread = Thread(target=running.run, daemon=True)
    thread.start()
    try:
        cookie = posted(running.effective_port).headers["Set-Cookie"]
    finally:
        running.trigger.pull_trigger(lambda: close_all(running._map))
        thread.join()
        running.task_dispatcher.shutdown()
    assert ("Secure" in cookie) is bool(proxies)


def posted(port: int) -> HTTPResponse:
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request(
            "POST",
            "/sign-in",
            urlencode({"name": "ada", "password": PASSWORD}),
            {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-Proto": "https"},
        )
        answer = connection.getresponse()
        answer.read()
        return answer


@pytest.mark.parametrize("given", ["-1", "10", "yes", "1.0"])
def test_a_number_of_proxies_that_is_none_is_one_sentence(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_PROXIES", given)
    with pytest.raises(SettingsError, match="give a whole number of proxies from 0 to 9"):
        Settings.from_environment()
