"""What the server adds to every answer, and whom it answers: against foreign pages and scripts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

import flask
from dash.exceptions import DependencyException

_SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS"))


def send_headers(server: flask.Flask, script_hashes: Callable[[], Sequence[str]]) -> None:
    """Send with every answer what a browser must not do with it.

    Args:
        server: the application.
        script_hashes: gives the hashes of the scripts that stand in the page itself; asked for at
            the first answer, when there will be no more of them.
    """
    policy: list[str] = []

    @server.after_request
    def add(response: flask.Response) -> flask.Response:
        if not policy:
            policy.append(content_security_policy(script_hashes()))
        response.headers.setdefault("Content-Security-Policy", policy[0])
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


def content_security_policy(script_hashes: Sequence[str]) -> str:
    """Return the policy of the page: everything from its own server, and no code from text."""
    directives = {
        "default-src": ["'self'"],
        "script-src": ["'self'", *script_hashes],
        # Plotly, AG Grid and React write styles into the page.
        "style-src": ["'self'", "'unsafe-inline'"],
        # Images of figures are made in the browser.
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def refuse_foreign_pages(server: flask.Flask) -> None:
    """Refuse what a page of another site makes a browser send, as Go's net/http does.

    Browsers say whether a request is of the same origin, in Sec-Fetch-Site; where they don't, on
    plain HTTP beyond this machine, Origin must be what was asked. Programs say neither. Of requests
    that change nothing, those by which a person follows a link to here are answered: others cost
    time, and no foreign page may read what they return.
    """

    @server.before_request
    def check() -> flask.Response | None:
        request = flask.request
        site = request.headers.get("Sec-Fetch-Site")
        if request.method in _SAFE_METHODS:
            if site in {"cross-site", "same-site"} and not _follows_link(request):
                return _refusal("A page of another site can't use what is here; open it itself.")
            return None
        origin = request.headers.get("Origin")
        if site is None:
            same = origin is None or _host_of(origin) == request.host
        else:
            same = site in {"same-origin", "none"}
        if same:
            return None
        return _refusal(
            f"A page of another site ({origin}) can't change anything here. If a proxy stands in "
            "between, let it pass the Host header on."
        )


def answer_only_as(server: flask.Flask, names: Collection[str]) -> None:
    """Answer only who asks for one of the names, for localhost or a loopback address.

    A foreign page can give its own name this machine's address, and so read what it gets from here
    as its own. Nothing else would stop it where nobody signs in.
    """

    @server.before_request
    def check() -> flask.Response | None:
        name = _name_of(flask.request.host)
        if name in {"localhost", *names} or _is_loopback(name):
            return None
        return _refusal(
            "This dashboard answers on this machine only. To reach it by another name, let people "
            "sign in: concept-fragmentation serve --auth FILE."
        )


def answer_unknown_scripts(server: flask.Flask) -> None:
    """Answer who asks Dash for a script of a package that has none with 404.

    Dash has an exception for that, and nothing that catches it.
    """

    @server.errorhandler(DependencyException)
    def refuse(_error: DependencyException) -> flask.Response:
        return flask.Response("There is no such script.", status=404, mimetype="text/plain")


def _follows_link(request: flask.Request) -> bool:
    """Return whether a browser asks for a page that it shows by itself, not within another."""
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" and request.headers.get("Sec-Fetch-Dest", "document") == "document"


def _host_of(origin: str) -> str | None:
    """Return host and port of an Origin; None of one that no browser sends."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """Return the name in a Host header; empty where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refusal(sentence: str) -> flask.Response:
    return flask.Response(sentence, status=403, mimetype="text/plain")
