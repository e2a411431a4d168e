"""Who may sign in: the file, the command that writes it, and what the server keeps from others."""

from __future__ import annotations

import functools
import io
import json
import os
import stat
import time
from pathlib import Path

import flask
import pytest
from click.testing import CliRunner
from werkzeug.security import generate_password_hash
from werkzeug.test import Client

from concept_fragmentation import users as users_module
from concept_fragmentation.app import Settings, create_app, create_server
from concept_fragmentation.cli import main
from concept_fragmentation.logins import Logins
from concept_fragmentation.serving import UNKNOWN_BODY
from concept_fragmentation.users import Users, UsersError

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"  # noqa: S105 - of these tests


@pytest.fixture
def full_work() -> None:
    """Let passwords be hashed as they are for users."""
    users_module._nobody.cache_clear()


@pytest.fixture(autouse=True)
def hashed_with_little_work(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spare all tests that are not about it the work of which each hash takes a lot."""
    if "full_work" not in request.fixturenames:
        little = functools.partial(generate_password_hash, method="scrypt:1024:8:1")
        monkeypatch.setattr(users_module, "generate_password_hash", little)


@pytest.fixture
def users(tmp_path: Path) -> Users:
    users = Users(tmp_path / "users.json")
    users.set_password("ada", PASSWORD)
    return users


@pytest.fixture
def server(users: Users, tmp_path: Path) -> flask.Flask:
    server: flask.Flask = create_app(Settings(tmp_path / "store", users=users.path)).server
    return server


def sign_in(client: Client, password: str = PASSWORD, query: str = "") -> int:
    return client.post(f"/sign-in{query}", data={"name": "ada", "password": password}).status_code


# The file


def test_the_file_is_the_owners_alone_and_holds_no_password(full_work: None, users: Users) -> None:
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    content = users.path.read_text()
    assert PASSWORD not in content
    assert json.loads(content)["users"]["ada"].startswith("scrypt:32768:8:1$")
    users.set_password("bob", PASSWORD)
    stored = json.loads(users.path.read_text())["users"]
    assert stored["ada"] != stored["bob"]
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600


def test_the_password_signs_in_and_no_other(users: Users) -> None:
    token = users.sign_in("ada", PASSWORD)
    assert token is not None
    assert users.name_of(token) == "ada"
    for name, password in (("ada", PASSWORD[:-1]), ("ada", ""), ("bob", PASSWORD), ("", "")):
        assert users.sign_in(name, password) is None
    for forged in ("", "ada", "ada:", f"{token}0", token.replace("ada", "bob"), "ada:é"):
        assert users.name_of(forged) is None


def test_another_password_or_none_ends_the_sessions(users: Users) -> None:
    token = users.sign_in("ada", PASSWORD) or ""
    key = users.secret_key
    users.set_password("ada", f"{PASSWORD} staple")
    assert users.name_of(token) is None
    token = users.sign_in("ada", f"{PASSWORD} staple") or ""
    users.remove("ada")
    assert users.name_of(token) is None
    assert users.secret_key == key


def test_that_there_is_no_such_user_takes_as_long_to_say(full_work: None, users: Users) -> None:
    def seconds(name: str) -> float:
        began = time.process_time()
        users.sign_in(name, "wrong password")
        return time.process_time() - began

    seconds("nobody")
    assert min(seconds("nobody") for _ in range(3)) > min(seconds("ada") for _ in range(3)) / 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_that_others_may_read_is_refused(users: Users) -> None:
    users.path.chmod(0o644)
    with pytest.raises(UsersError, match="chmod 600"):
        users.check()


@pytest.mark.parametrize("content", ["", "{}", "ada:x", '{"format": "other", "users": {}}', "\xff"])
def test_a_file_that_is_none_of_users_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(UsersError, match="no file of users; make one with: concept-fragmentation"):
        Users(path).check()


def test_without_a_file_or_a_user_nothing_is_served(users: Users, tmp_path: Path) -> None:
    with pytest.raises(UsersError, match="No such file"):
        create_app(Settings(tmp_path / "store", users=tmp_path / "nothing"))
    users.remove("ada")
    with pytest.raises(UsersError, match="holds no user"):
        create_app(Settings(tmp_path / "store", users=users.path))
    assert not (tmp_path / "store").exists()


# The command


def test_the_command_adds_changes_and_removes(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "users.json"

    def run(*arguments: str, said: str = "") -> str:
        done = CliRunner().invoke(main, ["user", "ada", "--auth", str(path), *arguments], said)
        return f"{done.exit_code} {done.output}"

    assert "0 " in run(said=f"{PASSWORD}\n{PASSWORD}\n")
    assert Users(path).sign_in("ada", PASSWORD)
    assert "Changed the password of ada" in run(said="another password\nanother password\n")
    assert Users(path).sign_in("ada", PASSWORD) is None
    assert "at least 12 characters" in run(said="short\nshort\n")
    assert Users(path).sign_in("ada", "another password")
    assert "Removed ada" in run("--remove")
    assert f"1 Error: {str(path)!r} has no user 'ada'; it has: none.\n" == run("--remove")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "a" * 65, "a:b"])
def test_a_name_that_is_none_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsersError, match="is no name of a user"):
        Users(tmp_path / "users.json").set_password(name, PASSWORD)
    assert list(tmp_path.iterdir()) == []


# The server


def test_nothing_but_the_sign_in_page_is_answered_before(server: flask.Flask) -> None:
    client = server.test_client()
    asked = 0
    for rule in server.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "x").replace(f"<path:{name}>", "x")
            path = path.replace(f"<string:{name}>", "x")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = client.open(path, method=method, headers={"Accept": "text/html"})
            if path in {"/sign-in", "/healthz", "/assets/x", "/bootstrap/static/x"}:
                continue
            asked += 1
            redirected = answer.status_code == 303 and answer.location.startswith("/sign-in")
            assert redirected or answer.status_code == 401, path
    assert asked > 8
    assert client.post("/_dash-update-component", json={"output": "x"}).status_code == 401


def test_who_signs_in_gets_the_view_and_who_signs_out_nothing(server: flask.Flask) -> None:
    client = server.test_client()
    asked = client.get("/?v=1&tab=paths", headers={"Accept": "text/html"})
    assert asked.location == "/sign-in?v=1&tab=paths"
    answer = client.post(asked.location, data={"name": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/?v=1&tab=paths")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get(answer.location).status_code == 200
    assert "Sign out" in client.get("/_dash-layout").text
    assert client.post("/sign-out").status_code == 303
    assert client.get("/_dash-layout").status_code in {303, 401}


def test_a_wrong_password_is_one_sentence_and_markup_in_a_name_stays_text(
    server: flask.Flask,
) -> None:
    client = server.test_client()
    answer = client.post("/sign-in", data={"name": '"><script>', "password": "x"})
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert "<script>" not in answer.text.replace("<script src", "")
    assert client.get("/_dash-layout").status_code in {303, 401}


def test_who_is_removed_is_out_at_once(server: flask.Flask, users: Users) -> None:
    client = server.test_client()
    assert sign_in(client) == 303
    assert client.get("/_dash-layout").status_code == 200
    users.set_password("bob", PASSWORD)
    users.remove("ada")
    assert client.get("/_dash-layout").status_code in {303, 401}
    users.path.unlink()
    assert client.get("/_dash-layout").status_code in {303, 401}
    assert "No such file" in client.post("/sign-in", data={"name": "a", "password": "b"}).text


def test_a_session_is_that_of_every_server_with_the_file(
    server: flask.Flask, users: Users, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_AUTH", str(users.path))
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_DIR", str(tmp_path / "store"))
    client = server.test_client()
    sign_in(client)
    cookie = client.get_cookie("concept_fragmentation")
    assert cookie is not None
    other = create_server().test_client()
    assert other.get("/_dash-layout").status_code in {303, 401}
    other.set_cookie("concept_fragmentation", cookie.value)
    assert other.get("/_dash-layout").status_code == 200


def test_no_address_leads_elsewhere_after_signing_in(server: flask.Flask) -> None:
    client = server.test_client()
    for query in ("?next=https://evil.example", "?//evil.example", "?%0d%0aX-Evil: 1"):
        answer = client.post(f"/sign-in{query}", data={"name": "ada", "password": PASSWORD})
        assert answer.location.startswith("/?")
        assert "X-Evil" not in answer.headers


def test_a_copied_cookie_is_worth_nothing_after_signing_out(
    server: flask.Flask, users: Users, tmp_path: Path
) -> None:
    client, copied = server.test_client(), server.test_client()
    # Another process of the same server.
    other = create_app(Settings(tmp_path / "store", users=users.path)).server.test_client()
    assert sign_in(client) == 303
    cookie = client.get_cookie("concept_fragmentation")
    assert cookie is not None
    for each in (copied, other):
        each.set_cookie("concept_fragmentation", cookie.value)
        assert each.get("/_dash-layout").status_code == 200
    elsewhere = server.test_client()
    assert sign_in(elsewhere) == 303
    assert client.post("/sign-out").status_code == 303
    for each in (copied, other):
        assert each.get("/_dash-layout").status_code == 401
    # The same person's other sessions go on.
    assert elsewhere.get("/_dash-layout").status_code == 200


def test_what_is_kept_of_a_login_signs_nobody_in(server: flask.Flask, tmp_path: Path) -> None:
    client = server.test_client()
    sign_in(client)
    with client.session_transaction() as session:
        login = session["_user_id"].encode()
    folder = tmp_path / "store" / "cache" / "logins"
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert kept
    assert not any(login in content for content in kept)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_login_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Logins(tmp_path / "logins", "key")
    assert kept.token_of(kept.begin("ada:x")) == "ada:x"
    monkeypatch.setattr("concept_fragmentation.logins.KEPT_SECONDS", -1.0)
    assert kept.token_of(kept.begin("ada:x")) is None
    assert kept.token_of("another") is None


def test_where_logins_cannot_be_kept_nobody_signs_in(server: flask.Flask, tmp_path: Path) -> None:
    (tmp_path / "store" / "cache" / "logins").write_text("in the way")
    answer = server.test_client().post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert answer.status_code == 503
    assert "keep who did" in answer.text
    assert str(tmp_path) not in answer.text


def test_the_sign_in_page_names_no_path_of_the_server(server: flask.Flask, users: Users) -> None:
    users.path.unlink()
    answer = server.test_client().post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert "users.json" in answer.text
    assert str(users.path.parent) not in answer.text


@pytest.mark.parametrize("path", ["/sign-in", "/_dash-update-component", "/", "/assets/x"])
def test_who_has_not_signed_in_may_send_little(server: flask.Flask, path: str) -> None:
    large = b"name=ada&password=" + b"x" * UNKNOWN_BODY
    form = "application/x-www-form-urlencoded"
    client = server.test_client()
    assert client.post(path, data=large, content_type=form).status_code == 413
    # As gunicorn passes on what is sent in chunks.
    chunked = client.post(
        "/sign-in",
        input_stream=io.BytesIO(large),
        content_type=form,
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert chunked.status_code == 413
    assert sign_in(client) == 303
    assert client.post("/sign-out", data=large, content_type=form).status_code == 303
