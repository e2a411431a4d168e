"""A dashboard below a path of a host, through a proxy, with sign-in: nothing leaves the path."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from benchmarks.browser import DRAWN
from concept_fragmentation.components import ids
from concept_fragmentation.components.hints import ALL_DISMISSED, STORAGE
from concept_fragmentation.users import Users

BELOW = "/user/ada/proxy/8974"
PASSWORD = "correct horse battery"  # noqa: S105 - of this test
LOADED = "image => image.complete && image.naturalWidth > 0"


# What belongs to one connection, not to what is passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextlib.contextmanager
def stripping_proxy(port: int, below: str) -> Iterator[str]:
    """Run a proxy that takes a path away, as Jupyter's does; yield the address to open.

    Args:
        port: of the server behind it, on this machine.
        below: the path, without a slash behind; all others are answered with 502.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if self.path.partition("?")[0] == below:
                self.path = self.path.replace(below, f"{below}/", 1)
            if not self.path.startswith(f"{below}/"):
                self.send_response(502)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            headers |= {"X-Forwarded-Prefix": below, "X-Forwarded-Proto": "http"}
            headers["X-Forwarded-For"] = self.client_address[0]
            with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as onward:
                onward.request(self.command, self.path.removeprefix(below), body, headers)
                answer = onward.getresponse()
                content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = pass_on  # noqa: N815 - names of http.server

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}{below}/"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def test_everything_works_below_a_path_and_nothing_is_asked_outside_it(
    serve: Callable[..., Any], browser: Browser, tmp_path: Path
) -> None:
    users = tmp_path / "users.json"
    Users(users).set_password("ada", PASSWORD)
    server = serve(users=users, proxies=1)
    context = browser.new_context(accept_downloads=True, viewport={"width": 1440, "height": 1000})
    context.add_init_script(f"localStorage.setItem({STORAGE!r}, {ALL_DISMISSED!r})")
    context.set_default_timeout(30_000)
    page = context.new_page()
    outside: list[str] = []
    failed: list[str] = []
    complaints: list[str] = []

    def look(asked: Any) -> None:
        parts = urlsplit(asked.url)
        if parts.scheme in {"http", "https"} and not f"{parts.path}/".startswith(f"{BELOW}/"):
            outside.append(asked.url)

    context.on("request", look)
    context.on(
        "response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with stripping_proxy(urlsplit(server.url).port, BELOW) as url:
        page.goto(f"{url}?v=1&tab=concepts")
        assert urlsplit(page.url).path == f"{BELOW}/sign-in"
        # Bootstrap's style sheet came.
        expect(page.get_by_label("Name")).to_have_css("display", "block")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(f"#{ids.CONCEPTS} .main-svg").first).to_be_visible()
        assert page.url == f"{url}?v=1&tab=concepts"
        (cookie,) = context.cookies()
        assert cookie["path"] == BELOW

        # Jupyter's proxy passes on the path without its slash as if it had one.
        page.goto(f"{url.removesuffix('/')}?v=1&tab=persistence")
        page.wait_for_function(DRAWN)
        assert page.url.startswith(url)
        page.get_by_label("Name", exact=True).fill("Below a path")
        page.get_by_role("button", name="Save Analysis", exact=True).click()
        expect(page.get_by_text("Saved 'Below a path'")).to_be_visible()
        page.wait_for_url(re.compile(r"[?&]a="))
        page.get_by_role("button", name="Export", exact=True).click()
        link = page.locator(f"#{ids.EXPORT_RESULT}").get_by_role("link")
        with page.expect_download() as download:
            link.click()
        assert Path(download.value.path()).stat().st_size > 1000

        page.locator(".cf-view-tab", has_text="Library").click()
        picture = page.get_by_role("img", name="Token flow of Below a path")
        expect(picture).to_be_visible()
        page.wait_for_function(LOADED, arg=picture.element_handle())
        page.go_back()
        page.wait_for_function(DRAWN)
        assert page.url.startswith(url)

        copied = page.evaluate("window.location.href")
        page.goto(copied)
        page.wait_for_function(DRAWN)
        for address in ("report.html", f"figure/{ids.SANKEY}.csv", f"figure/{ids.SANKEY}.html"):
            answer = context.request.get(f"{url}{address}?{urlsplit(copied).query}")
            assert answer.status == 200, address
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        assert urlsplit(page.url).path == f"{BELOW}/sign-in"
    context.close()
    assert outside == []
    assert failed == []
    assert complaints == []
