"""Serving below a path of a host, such as `/user/ada/proxy/8974/`, whatever proxy is in between.

Some proxies take the path away before they pass a request on, some leave it. `BelowPrefix` makes
the two one, by WSGI's own rule: `SCRIPT_NAME` is where the application is, `PATH_INFO` is what is
asked of it. Flask builds its addresses from that, and `PrefixedDash` has Dash do so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import flask
from dash._configs import get_combined_config
from dash._utils import AttributeDict
from markupsafe import escape

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.checks import CheckedDash

VARIABLE: Final = "CONCEPT_FRAGMENTATION_PREFIX"

# Dash reads each from a variable too, such as DASH_URL_BASE_PATHNAME.
_DASH_SETTINGS: Final = (
    "requests_pathname_prefix",
    "routes_pathname_prefix",
    "url_base_pathname",
)
_HEADER: Final = "HTTP_X_FORWARDED_PREFIX"
_LONGEST: Final = 1024
# What RFC 3986 lets stand in a path, after percent-encoding, but for what ends a value in headers;
# "//" would begin another host.
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+=:@%-]+)*")
# What the application has at its own root: below one of these names, a request that a proxy
# stripped could not be told from one that it did not.
_OWN: Final = frozenset(
    (
        "assets",
        "bootstrap",
        "exports",
        "figure",
        "report.html",
        "sign-in",
        "sign-out",
        "text.txt",
        "thumbnail.svg",
    )
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class PrefixError(ConceptFragmentationError, ValueError):
    """A prefix can't be served below."""


def checked_prefix(given: str, where: str = "The prefix") -> str:
    """Return a prefix as `SCRIPT_NAME` has it: empty, or with a slash before and none behind.

    Args:
        given: such as `/user/ada/` or `user/ada`.
        where: what names it in the sentence of the error.

    Raises:
        PrefixError: it is no path, or one that the application uses itself.
    """
    path = given.strip("/")
    prefix = f"/{path}" if path else ""
    parts = prefix.split("/")[1:]
    if (
        not _PREFIX.fullmatch(prefix)
        or len(prefix) > _LONGEST
        or {".", ".."} & {unquote(part) for part in parts}
    ):
        raise PrefixError(f"{where} is {given!r}; give a path such as /user/ada/dashboard/.")
    if parts and (parts[0] in _OWN or parts[0].startswith("_")):
        raise PrefixError(
            f"{where} is {given!r}, but the dashboard has a path {parts[0]!r} of its own; give "
            f"another, such as /dashboard{prefix}/."
        )
    return prefix


def prefix_from_environment() -> str:
    """Return the prefix that variables name, by our own name or by those of Dash; empty: none.

    Raises:
        PrefixError: one of them is no path, or they say different things.
    """
    by_dash = {
        name: checked_prefix(given, f"DASH_{name.upper()}")
        for name in _DASH_SETTINGS
        if (given := _dash_says(name)) is not None
    }
    if given := os.environ.get(VARIABLE):
        return checked_prefix(given, VARIABLE)
    # Requests may be for a path that a proxy takes away before they come here.
    if len(by_dash) > 1 and by_dash.get("routes_pathname_prefix") == "":
        del by_dash["routes_pathname_prefix"]
    if len(set(by_dash.values())) > 1:
        raise PrefixError(
            f"The variables {' and '.join(f'DASH_{name.upper()}' for name in by_dash)} say "
            f"different things; set {VARIABLE} alone."
        )
    return next(iter(by_dash.values()), "")


def _dash_says(setting: str) -> str | None:
    """Return the value of Dash's variable for a setting; None where it is not set."""
    said = get_combined_config(setting, None)  # type: ignore[no-untyped-call]
    return None if said is None else str(said)


class BelowPrefix:
    """A WSGI application that answers below a prefix, whether or not a proxy took it away."""

    def __init__(self, application: Application, prefix: str, proxies: int) -> None:
        """Wrap an application.

        Args:
            application: what is served.
            prefix: from `checked_prefix`; empty: where the server or a proxy says.
            proxies: how many proxies' `X-Forwarded-Prefix` is believed, which goes before `prefix`.
        """
        self._application = application
        self._prefix = prefix
        self._proxies = proxies

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        prefix = self._forwarded(environ) or self._prefix
        if prefix:
            path = environ.get("PATH_INFO", "")
            # WSGI has both decoded, as Latin-1.
            plain = unquote(prefix, encoding="latin-1")
            if path == plain:
                # Relative addresses of the page need the slash.
                query = environ.get("QUERY_STRING", "")
                start_response(
                    "307 Temporary Redirect",
                    [("Location", f"{prefix}/" + (f"?{query}" if query else ""))],
                )
                return [b""]
            if path.startswith(f"{plain}/"):
                environ["PATH_INFO"] = path[len(plain) :]
            environ["SCRIPT_NAME"] = plain
        return self._application(environ, start_response)

    def _forwarded(self, environ: Mapping[str, Any]) -> str:
        if not self._proxies:
            return ""
        values = [part.strip() for part in environ.get(_HEADER, "").split(",") if part.strip()]
        if not values:
            return ""
        try:
            return checked_prefix(values[-self._proxies :][0])
        except PrefixError:
            # As if it were not there: nothing is served below such a path.
            return ""


def address_root() -> str:
    """Return the path, quoted, below which the current request's application is."""
    return quote(flask.request.script_root.rstrip("/"), safe="/!$&'()*+=:@~") + "/"


class PrefixedDash(CheckedDash):
    """A Dash below whatever prefix the request that it answers came by.

    Dash itself takes one prefix for all requests, when it is made. In its `index_string`, `[root]`
    stands for that of the request.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make an application that is at its own root, whatever Dash's variables say."""
        others = [_dash_says(name) for name in _DASH_SETTINGS[:2]]
        if _dash_says("url_base_pathname") is None:
            options |= dict.fromkeys(_DASH_SETTINGS[:2], "/")
        elif others == [None, None]:
            options["url_base_pathname"] = "/"
        else:
            # Dash takes no other beside this one, not even from a variable.
            raise PrefixError(
                "DASH_URL_BASE_PATHNAME says all that other variables of Dash say of prefixes; "
                f"unset them, or set {VARIABLE} alone."
            )
        super().__init__(*arguments, **options)
        config = _RequestConfig(self.config)
        vars(config).update(vars(self.config))
        self.config = config

    def index(self, *arguments: Any, **named: Any) -> Any:
        """Return the page, at the root only: its addresses are relative to that."""
        if named.get("path"):
            return flask.Response(
                f"There is nothing here. The dashboard is at {address_root()}.\n",
                status=404,
                mimetype="text/plain",
            )
        page: Any = super().index
        return page(*arguments, **named)

    def interpolate_index(self, *arguments: Any, **parts: Any) -> str:
        """Return the page with the addresses of the request's prefix."""
        filled: Any = super().interpolate_index
        page: str = filled(*arguments, **parts)
        return page.replace("[root]", str(escape(address_root())))


class _RequestConfig(AttributeDict):
    """Dash's configuration, in which the prefix is that of the request that is answered."""

    def __getitem__(self, key: str) -> Any:
        if key == "requests_pathname_prefix" and flask.has_request_context():
            return address_root()
        return super().__getitem__(key)
