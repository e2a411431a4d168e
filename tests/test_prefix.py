"""The dashboard below a path of a host: by option, by variable and by what a proxy says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import flask
import pytest
from werkzeug.test import Client

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.prefix import (
    BelowPrefix,
    PrefixError,
    checked_prefix,
    prefix_from_environment,
)
from concept_fragmentation.users import Users

BELOW = "/user/ada/proxy/8974"
PASSWORD = "correct horse battery"  # noqa: S105 - of this test


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> flask.Flask:
    """Return a dashboard below a prefix, behind one proxy, with a user."""
    folder = tmp_path_factory.mktemp("store")
    users = folder / "users.json"
    Users(users).set_password("ada", PASSWORD)
    app = create_app(Settings(folder / "store", users=users, prefix=f"{BELOW}/", proxies=1))
    made: flask.Flask = app.server
    return made


def proxied(server: flask.Flask, below: str, *, strips: bool, tells: bool) -> Client:
    """Return a browser before a proxy that passes on what is asked below a path.

    Args:
        server: the dashboard.
        below: the path, percent-encoded.
        strips: whether the proxy takes the path away.
        tells: whether it says so in X-Forwarded-Prefix.
    """

    def proxy(environ: dict[str, str], start_response: Any) -> Iterable[bytes]:
        plain = unquote(below, encoding="latin-1")
        if not environ["PATH_INFO"].startswith(plain):
            start_response("502 Bad Gateway", [])
            return [b"not below the path"]
        if strips:
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(plain)
        if tells:
            environ["HTTP_X_FORWARDED_PREFIX"] = below
        answer: Iterable[bytes] = server.wsgi_app(environ, start_response)
        return answer

    return Client(proxy)


def sign_in(client: Client, below: str) -> None:
    form = {"name": "ada", "password": PASSWORD}
    assert client.post(f"{below}/sign-in?v=1", data=form).status_code == 303


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page)


@pytest.mark.parametrize(
    ("below", "strips", "tells"),
    [
        (BELOW, False, False),
        (BELOW, True, False),  # nginx, with a slash behind the address of proxy_pass
        (BELOW, True, True),  # jupyter-server-proxy
        ("/other/path", True, True),
        ("/other/path", False, True),
        ("/~ada/x@y+z", True, True),
    ],
)
def test_every_address_is_below_the_prefix(
    server: flask.Flask, below: str, strips: bool, tells: bool
) -> None:
    client = proxied(server, below, strips=strips, tells=tells)
    asked = client.get(f"{below}/?v=1&tab=concepts", headers={"Accept": "text/html"})
    assert asked.headers["Location"] == f"{below}/sign-in?v=1&tab=concepts"
    found = addresses(client.get(f"{below}/sign-in").text)
    assert len(found) == 3
    sign_in(client, below)
    page = client.get(f"{below}/").text
    found += addresses(page)
    assert len(found) > 25
    for address in found:
        assert address.startswith(f"{below}/"), address
        with client.get(address, buffered=True) as answer:
            assert answer.status_code == 200, address
    assert f'"requests_pathname_prefix":"{below}/"'.replace("/", "\\u002f") in page
    signed_out = client.post(f"{below}/sign-out")
    assert signed_out.headers["Location"] == f"{below}/sign-in"


def test_the_cookie_is_sent_below_the_prefix_only(server: flask.Flask) -> None:
    form = {"name": "ada", "password": PASSWORD}
    answer = server.test_client().post(f"{BELOW}/sign-in", data=form)
    assert f"; Path={BELOW};" in f"{answer.headers['Set-Cookie']};"
    assert answer.headers["Location"] == f"{BELOW}/"


def test_the_prefix_without_its_slash_leads_to_it(server: flask.Flask) -> None:
    answer = server.test_client().get(f"{BELOW}?v=1")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{BELOW}/?v=1")


@pytest.mark.parametrize(
    ("header", "below"),
    [
        ("//evil.example", "/evil.example"),
        ("evil", "/evil"),
        ("/a/../b", BELOW),
        ("/exports", BELOW),
        ("/a b", BELOW),
        ("\x7f", BELOW),
    ],
)
def test_a_header_that_is_no_prefix_leads_to_no_other_host(
    server: flask.Flask, header: str, below: str
) -> None:
    answer = server.test_client().get(
        "/?v=1", headers={"X-Forwarded-Prefix": header, "Accept": "text/html"}
    )
    assert answer.headers["Location"] == f"{below}/sign-in?v=1"


def test_without_proxies_the_header_counts_for_nothing(tmp_path: Path) -> None:
    client = create_app(Settings(tmp_path)).server.test_client()
    page = client.get("/", headers={"X-Forwarded-Prefix": "/elsewhere"}).text
    assert "elsewhere" not in page
    assert all(address.startswith("/") for address in addresses(page))


def test_the_outermost_of_the_believed_proxies_says_the_prefix() -> None:
    seen: list[str] = []

    def application(environ: dict[str, str], _start: object) -> list[bytes]:
        seen.append(environ["SCRIPT_NAME"])
        return []

    for proxies, sent in ((2, "/forged, /outer, /inner"), (2, "/outer"), (1, "/forged, /inner")):
        environ = {"HTTP_X_FORWARDED_PREFIX": sent, "PATH_INFO": "/"}
        BelowPrefix(application, "", proxies)(environ, lambda *_: None)
    assert seen == ["/outer", "/outer", "/inner"]


def test_nothing_but_the_root_is_the_page(server: flask.Flask) -> None:
    client = proxied(server, BELOW, strips=True, tells=False)
    sign_in(client, BELOW)
    answer = client.get(f"{BELOW}/elsewhere/x")
    assert answer.status_code == 404
    assert answer.text == f"There is nothing here. The dashboard is at {BELOW}/.\n"


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("/", ""), ("", ""), ("/a/", "/a"), ("a/b", "/a/b"), ("//a", "/a"), ("/%20x/", "/%20x")],
)
def test_a_prefix_is_written_as_one_likes(given: str, prefix: str) -> None:
    assert checked_prefix(given) == prefix


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/a b/", "give a path such as"),
        ("http://x/y", "give a path such as"),
        ("/a//b", "give a path such as"),
        ("/a/../b", "give a path such as"),
        ("/a/%2e%2E/b", "give a path such as"),
        ("/a?b", "give a path such as"),
        ("/" + "a" * 2000, "give a path such as"),
        ("/assets/", "has a path 'assets' of its own"),
        ("/_dash-layout", "has a path '_dash-layout' of its own"),
    ],
)
def test_what_is_no_prefix_is_one_sentence(given: str, said: str) -> None:
    with pytest.raises(PrefixError, match=re.escape(said)):
        checked_prefix(given)


@pytest.mark.parametrize(
    ("variables", "prefix"),
    [
        ({}, ""),
        ({"CONCEPT_FRAGMENTATION_PREFIX": "/a"}, "/a"),
        ({"DASH_REQUESTS_PATHNAME_PREFIX": "/user/ada/proxy/8974/"}, BELOW),
        ({"DASH_URL_BASE_PATHNAME": "/a/"}, "/a"),
        ({"DASH_ROUTES_PATHNAME_PREFIX": "/a/"}, "/a"),
        ({"DASH_ROUTES_PATHNAME_PREFIX": "/", "DASH_REQUESTS_PATHNAME_PREFIX": "/a/"}, "/a"),
        ({"CONCEPT_FRAGMENTATION_PREFIX": "/b", "DASH_REQUESTS_PATHNAME_PREFIX": "/a/"}, "/b"),
    ],
)
@pytest.mark.slow
def test_variables_say_it_too_those_of_dash_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], prefix: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert prefix_from_environment() == prefix
    page = create_app(Settings(tmp_path)).server.test_client().get(f"{prefix}/").text
    assert f'href="{prefix}/bootstrap/' in page


@pytest.mark.parametrize(
    "variables",
    [
        {"DASH_ROUTES_PATHNAME_PREFIX": "/a/", "DASH_REQUESTS_PATHNAME_PREFIX": "/b/a/"},
        {"DASH_URL_BASE_PATHNAME": "/a/", "DASH_REQUESTS_PATHNAME_PREFIX": "/a/"},
        {"DASH_REQUESTS_PATHNAME_PREFIX": "/a b/"},
        {"CONCEPT_FRAGMENTATION_PREFIX": "http://x/"},
    ],
)
def test_variables_that_can_not_be_followed_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PrefixError, match=r"(DASH|CONCEPT)_[A-Z_]+_P"):
        create_app(Settings(tmp_path))
