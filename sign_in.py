"""Signing in: a page that asks for name and password, and nothing without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import flask
import flask.sessions
import flask_login
from dash import Dash
from itsdangerous import BadSignature
from werkzeug.http import parse_cookie

from concept_fragmentation import health
from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.attempts import Attempts
from concept_fragmentation.callbacks.messages import public
from concept_fragmentation.components.words import plural
from concept_fragmentation.logins import Logins, LoginsError
from concept_fragmentation.prefix import address_root
from concept_fragmentation.serving import KNOWN, UNKNOWN_BODY
from concept_fragmentation.users import Users, UsersError

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Sign in · {{ title }}</title>
        {% for sheet in sheets %}<link rel="stylesheet" href="{{ sheet }}">{% endfor %}
        <script src="{{ appearance }}"></script>
    </head>
    <body>
        <main class="cf-sign-in">
            <form class="cf-card" method="post">
                <h1 class="cf-section-title">{{ title }}</h1>
                {% if failure %}
                <p class="cf-sign-in-failure" role="alert">{{ failure }}</p>
                {% endif %}
                <label class="cf-label" for="name">Name</label>
                <input class="form-control" id="name" name="name" value="{{ name }}"
                    autocomplete="username" autocapitalize="none" required autofocus>
                <label class="cf-label" for="password">Password</label>
                <input class="form-control" id="password" name="password" type="password"
                    autocomplete="current-password" required>
                <button class="btn btn-primary btn-sm" type="submit">Sign in</button>
            </form>
        </main>
    </body>
</html>
"""


class _SignedIn(flask_login.UserMixin):  # type: ignore[misc]
    """Whoever has a session; Flask-Login keeps the `id` in it."""

    def __init__(self, login: str, name: str) -> None:
        self.id = login
        self.name = name


class _Sessions(flask.sessions.SecureCookieSessionInterface):
    """Flask's, whose cookie comes back by https only if it was sent by https.

    It comes back below the prefix only: another dashboard of the host has another cookie.
    """

    def get_cookie_path(self, _app: flask.Flask) -> str:
        # Without the slash it is sent to the prefix without its slash too, and to no longer name.
        return address_root().rstrip("/") or "/"

    def get_cookie_secure(self, _app: flask.Flask) -> bool:
        return flask.request.is_secure


def who() -> str | None:
    """Return the name of who makes the current request; None of somebody who has not signed in."""
    name: str | None = getattr(flask_login.current_user, "name", None)
    return name


def require_sign_in(app: Dash, users: Users, attempts: Attempts, logins: Logins) -> None:
    """Answer nothing but the page that asks for name and password to who has not signed in.

    The style sheets and scripts of that page are anyone's: they ship with the package. Who has not
    signed in may send no more than the form of that page needs.
    """
    server: flask.Flask = app.server
    server.session_interface = _Sessions()
    server.secret_key = users.secret_key
    server.config["SESSION_COOKIE_NAME"] = "concept_fragmentation"
    server.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    manager = flask_login.LoginManager(server)
    open_to_all = {"sign_in", "bootstrap.static", "_dash_assets.static", health.ENDPOINT}

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(login: str) -> _SignedIn | None:
        try:
            token = logins.token_of(login)
            name = None if token is None else users.name_of(token)
        except (LoginsError, UsersError):
            # Who tries to sign in is told.
            return None
        return None if name is None else _SignedIn(login, name)

    server.config[KNOWN] = _cookie_reader(server, lambda login: load(login) is not None)

    @server.before_request
    def check() -> flask.Response | None:
        if not flask_login.current_user.is_authenticated:
            # One whose length is not said is refused when so much of it was read.
            flask.request.max_content_length = UNKNOWN_BODY
            if (flask.request.content_length or 0) > UNKNOWN_BODY:
                flask.abort(413)
        if flask.request.endpoint in open_to_all or flask_login.current_user.is_authenticated:
            return None
        if flask.request.method == "GET" and flask.request.accept_mimetypes.accept_html:
            # The query is the view; it is shown after signing in.
            return _redirect("sign-in", flask.request.query_string)
        return flask.Response("Sign in first: reload the page.", 401, mimetype="text/plain")

    @server.route("/sign-in", methods=["GET", "POST"], endpoint="sign_in")
    def sign_in() -> flask.Response:
        failure, status, headers = "", 200, {}
        form = flask.request.form
        name, password = form.get("name", ""), form.get("password", "")
        if flask.request.method == "POST":
            address = flask.request.remote_addr or ""
            try:
                wait = attempts.begin(name, address)
                token = None if wait else users.sign_in(name, password)
                if token is not None:
                    attempts.succeeded(name, address)
                    flask_login.login_user(_SignedIn(logins.begin(token), name))
                    return _redirect("", flask.request.query_string)
            except ConceptFragmentationError as error:
                failure, status = public(str(error)), 503
            else:
                failure, status = "The name or the password is wrong.", 401
                if wait:
                    failure, status = _try_again(wait), 429
                    headers["Retry-After"] = str(math.ceil(wait))
        page = flask.render_template_string(
            _PAGE,
            title=app.title,
            failure=failure,
            name=name,
            sheets=[
                flask.url_for("bootstrap.static", filename="css/bootstrap.min.css"),
                app.get_asset_url("dashboard.css"),
            ],
            appearance=app.get_asset_url("appearance.js"),
        )
        return flask.Response(page, status, headers)

    @server.post("/sign-out")
    def sign_out() -> flask.Response:
        try:
            logins.end(flask_login.current_user.id)
        except LoginsError as error:
            return flask.Response(public(str(error)), 503, mimetype="text/plain")
        flask_login.logout_user()
        return _redirect("sign-in")


def _cookie_reader(server: flask.Flask, is_known: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return a function that tells from the header of cookies whether a person is signed in."""
    serializer = _Sessions().get_signing_serializer(server)

    def is_signed_in(cookies: str) -> bool:
        cookie = parse_cookie(cookies).get(server.config["SESSION_COOKIE_NAME"], "")
        try:
            session = {} if serializer is None else serializer.loads(cookie)
        except BadSignature:
            return False
        login = session.get("_user_id") if isinstance(session, dict) else None
        return isinstance(login, str) and is_known(login)

    return is_signed_in


def _try_again(seconds: float) -> str:
    return f"Too many wrong tries. Try again in {plural(math.ceil(seconds / 60), 'minute')}."


def _redirect(page: str, query: bytes = b"") -> flask.Response:
    target = address_root() + page + (f"?{query.decode('latin-1')}" if query else "")
    response = flask.Response(status=303)
    response.headers["Location"] = target
    return response
