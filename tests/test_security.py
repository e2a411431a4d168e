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
    {"Origin": "http://["},
    {"Origin": "//"},
    {"Origin": ""},
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


COMPUTED = ["/report.html", "/figure/flow.csv", "/figure/flow.html", "/thumbnail.svg", "/exports/x"]
EMBEDDED = [
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {},
]


@pytest.mark.parametrize("path", COMPUTED)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_has_nothing_computed(
    server: flask.Flask, path: str, site: str
) -> None:
    for headers in EMBEDDED:
        answer = server.test_client().get(path, headers={"Sec-Fetch-Site": site, **headers})
        assert answer.status_code == 403, headers


def test_a_link_from_another_site_may_be_followed(server: flask.Flask) -> None:
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    followed = server.test_client().get("/", headers={"Sec-Fetch-Site": "cross-site", **headers})
    assert followed.status_code == 200
    for site in ("same-origin", "none"):
        answer = server.test_client().get("/", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200


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


@pytest.mark.parametrize("host", ["[", "[::", "a b", "é", "localhost:x", "[::1"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    server = flask.Flask(__name__)
    security.answer_only_as(server, [])
    server.add_url_rule("/", view_func=lambda: "here")
    answer = server.test_client().get("/", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code in {400, 403}


LONG = "a" * 5000
NOWHERE = [
    "/exports/%00",
    f"/exports/{LONG}",
    "/exports/%ff%2e",
    "/exports/..%2f..%2fusers.json",
    "/_dash-component-suites/os/x.js",
    "/_dash-component-suites/%00/x.js",
    f"/_dash-component-suites/dash/{LONG}",
    "/_dash-component-suites/dash/%00",
    "/assets/%00",
    f"/assets/{LONG}",
    "/assets/..%5c..%5cx",
    "/bootstrap/static/%00",
    f"/bootstrap/static/{LONG}",
    "/figure/%00.csv",
    f"/figure/{LONG}.html",
    "/thumbnail.svg?a=%00",
    f"/thumbnail.svg?a={LONG}",
    "/_dash-layout/%00",
    f"/{LONG}",
    "/%ff",
]


@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:40])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_address_that_can_name_nothing_is_refused(
    server: flask.Flask, path: str, method: str
) -> None:
    assert server.test_client().open(path, method=method).status_code in {400, 403, 404}


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "=;=\xff;a;concept_fragmentation=\xff.x"},
        {"Range": "bytes=9-1,x"},
        {"Range": "bytes=0-" + "9" * 500},
        {"If-None-Match": '"""",'},
        {"If-Modified-Since": "\xff"},
        {"Accept": "*;q=x,,;"},
        {"Accept-Encoding": ";;q=9"},
        {"X-Forwarded-For": "[,["},
        {"X-Forwarded-Proto": "["},
        {"X-Forwarded-Prefix": "["},
        {"Content-Type": "application/json; charset=x"},
        {"Content-Type": "multipart/form-data"},
    ],
    ids=str,
)
def test_no_header_is_too_much(server: flask.Flask, headers: dict[str, str]) -> None:
    client = server.test_client()
    for path in ("/", "/assets/dashboard.css", "/?" + "a" * 70_000):
        with client.get(path, headers=headers) as answer:
            assert answer.status_code < 500
    posted = client.post("/_dash-update-component", data=b"{}", headers=headers)
    assert posted.status_code in {400, 403, 415}
