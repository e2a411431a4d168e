"""What is sent with every answer, and who gets none."""

from __future__ import annotations

import re

import flask
import pytest

from concept_fragmentation import security
from concept_fragmentation.app import Settings, create_app


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> flask.Flask:
    server: flask.Flask = create_app(Settings(tmp_path_factory.mktemp("store"))).server
    return server


@pytest.mark.parametrize("path", ["/", "/_dash-layout", "/exports/nothing", "/x"])
def test_every_answer_says_what_a_browser_must_not_do(server: flask.Flask, path: str) -> None:
    headers = server.test_client().get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert "http" not in headers["Content-Security-Policy"]
    assert policy["frame-ancestors"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_scripts_in_the_page_are_those_of_the_policy(server: flask.Flask) -> None:
    page = server.test_client().get("/").text
    inline = [
        text
        for kind, text in re.findall(r"<script([^>]*)>([^<]+)</script>", page)
        if "application/json" not in kind
    ]
    assert len(inline) == 1
    assert "onload=" not in page


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
]
OWN = [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_changes_nothing(
    server: flask.Flask, headers: dict[str, str]
) -> None:
    answer = server.test_client().post("/_dash-update-component", json={}, headers=headers)
    assert answer.status_code == 403
    assert answer.text.startswith("A page of another site")


@pytest.mark.parametrize("headers", OWN)
def test_the_own_page_and_programs_may(server: flask.Flask, headers: dict[str, str]) -> None:
    answer = server.test_client().post("/_dash-update-component", json={}, headers=headers)
    assert answer.status_code == 400  # That is no request of the page, but it is looked at.


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8050", 200),
        ("127.0.0.1:8050", 200),
        ("127.8.9.1", 200),
        ("[::1]:8050", 200),
        ("mine", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8050", 403),
        ("10.0.0.1", 403),
    ],
)
def test_on_this_machine_alone_no_other_name_is_answered(host: str, status: int) -> None:
    server = flask.Flask(__name__)
    security.answer_only_as(server, ["mine"])
    server.add_url_rule("/", view_func=lambda: "here")
    answer = server.test_client().get("/", headers={"Host": host})
    assert answer.status_code == status
