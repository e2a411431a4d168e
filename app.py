"""The dashboard as an application: the store, the page and the callbacks, wired together."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import flask
from dash import Dash, html
from flask_bootstrap import Bootstrap5
from flask_compress import Compress
from werkzeug.middleware.proxy_fix import ProxyFix

from concept_fragmentation import callbacks, health, security, serving, terminal
from concept_fragmentation.address import (
    HOST,
    PORT,
    AddressError,
    check_address,
    is_loopback,
    network_of,
)
from concept_fragmentation.analysis.extra import install_command, missing_modules
from concept_fragmentation.attempts import Attempts
from concept_fragmentation.background import Background
from concept_fragmentation.callbacks.checks import check_requests
from concept_fragmentation.callbacks.memory import usual_budget
from concept_fragmentation.callbacks.messages import PRIVATE_FOLDERS, public, tell_failure
from concept_fragmentation.callbacks.workspace import MAX_UPLOAD, Workspace
from concept_fragmentation.components.analyze_panel import Offer
from concept_fragmentation.components.comparison_table import matched_clusters_grid
from concept_fragmentation.components.layout import page
from concept_fragmentation.components.library_panel import library_grid
from concept_fragmentation.components.token_table import token_grid
from concept_fragmentation.logins import Logins
from concept_fragmentation.persistence import ConceptFragmentationError, GPT2AnalysisPersistence
from concept_fragmentation.persistence.access import own_path
from concept_fragmentation.persistence.examples import EXAMPLES, TWO_STORIES, load_example
from concept_fragmentation.persistence.jobs import job_cache
from concept_fragmentation.persistence.model_folders import ModelFolders
from concept_fragmentation.prefix import (
    BelowPrefix,
    PrefixedDash,
    checked_prefix,
    prefix_from_environment,
)
from concept_fragmentation.serving import PREFIX
from concept_fragmentation.sign_in import require_sign_in, who
from concept_fragmentation.users import Users

TITLE = "Concept Fragmentation"
MIB: Final = 2**20
MAX_UPLOAD_VARIABLE: Final = "CONCEPT_FRAGMENTATION_MAX_UPLOAD"
USERS_VARIABLE: Final = "CONCEPT_FRAGMENTATION_AUTH"
PROXIES_VARIABLE: Final = "CONCEPT_FRAGMENTATION_PROXIES"
MODELS_VARIABLE: Final = "CONCEPT_FRAGMENTATION_MODELS"
MEMORY_VARIABLE: Final = "CONCEPT_FRAGMENTATION_MEMORY"
MOST_MEMORY: Final = 999_999
MOST_PROXIES: Final = 9
UNGUARDED: Final = (
    "Warning: whoever reaches this address can read, change and delete what is stored. Let people "
    "sign in with --auth FILE, or serve at 127.0.0.1."
)
# What a request holds beside a file: all else that its callback is told, such as a long text.
_BESIDE_UPLOAD: Final = 16 * MIB

# The theme is set before anything is painted, so a dark page never flashes white. Dash asks for the
# preloaded scripts when the first figure has arrived; they take longest of all.
_INDEX = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <title>{%title%}</title>
        {%favicon%}
        <link rel="stylesheet" href="[root]bootstrap/static/css/bootstrap.min.css">
        {%css%}
        <script src="[root]assets/appearance.js"></script>
        <link rel="preload" as="script" href="[suites]dash/dcc/async-graph.js">
        <link rel="preload" as="script" href="[suites]plotly/package_data/plotly.min.js">
    </head>
    <body>
        {%app_entry%}
        <footer>
            {%config%}
            {%scripts%}
            {%renderer%}
        </footer>
    </body>
</html>
""".replace("[suites]", "[root]_dash-component-suites/")


@dataclass(frozen=True)
class Settings:
    """Where the store is, and what the dashboard admits.

    Attributes:
        base_dir: the folder of the store; None leaves it to the environment and to the default.
        max_upload: the largest file that the page takes, in bytes.
        users: the file of those who may sign in; None lets in whoever reaches the server.
        proxies: how many proxies stand in front, each of which adds to X-Forwarded-For and
            X-Forwarded-Proto, and one of which may say the prefix in X-Forwarded-Prefix; where none
            does, anybody could write these headers.
        prefix: the path of the host below which browsers find the dashboard, such as
            `/user/ada/proxy/8974/`; None leaves it to the environment.
        names: names of hosts that it answers as beside this machine's own, where it is served to
            this machine alone and nobody signs in.
        models: a folder whose folders of models are offered; None offers none.
        local: whether only people on this machine reach the server: they may name any folder of
            models, and see paths.
        memory: how many bytes each process keeps in memory of analyses and of what it computed
            from them; None is a part of the machine's memory, see `usual_budget`.
    """

    base_dir: Path | None = None
    max_upload: int = MAX_UPLOAD
    users: Path | None = None
    proxies: int = 0
    prefix: str | None = None
    names: tuple[str, ...] = ()
    models: Path | None = None
    local: bool = False
    memory: int | None = None

    @property
    def path(self) -> str:
        """The prefix that is given, or that the environment has; empty where there is none.

        Raises PrefixError where it is no path.
        """
        given = self.prefix
        return prefix_from_environment() if given is None else checked_prefix(given)

    @classmethod
    def from_environment(cls) -> Settings:
        """Return what environment variables say, for servers that are not given options.

        Raises SettingsError where one can't be read.
        """
        users = os.environ.get(USERS_VARIABLE)
        mebibytes = _whole_number(MAX_UPLOAD_VARIABLE, MAX_UPLOAD // MIB, 1, 99_999, "of MiB")
        return cls(
            max_upload=mebibytes * MIB,
            users=Path(users) if users else None,
            proxies=_whole_number(PROXIES_VARIABLE, 0, 0, MOST_PROXIES, "of proxies"),
            models=Path(models) if (models := os.environ.get(MODELS_VARIABLE)) else None,
            memory=MIB
            * _whole_number(MEMORY_VARIABLE, usual_budget() // MIB, 1, MOST_MEMORY, "of MiB"),
        )


class SettingsError(ConceptFragmentationError, ValueError):
    """An environment variable can't be read."""


def _whole_number(variable: str, default: int, least: int, most: int, unit: str) -> int:
    given = os.environ.get(variable) or str(default)
    if not re.fullmatch("[0-9]{1,9}", given) or not least <= int(given) <= most:
        raise SettingsError(
            f"{variable} is {given!r}; give a whole number {unit} from {least:,} to {most:,}."
        )
    return int(given)


def create_app(settings: Settings | None = None) -> Dash:
    """Return the application, ready to be served."""
    settings = settings or Settings()
    prefix = settings.path
    users = None if settings.users is None else Users(settings.users)
    if users is not None:
        users.check()
    if settings.models is not None and not settings.models.is_dir():
        raise SettingsError(f"There is no folder {str(settings.models)!r} to offer models from.")
    server = flask.Flask("concept_fragmentation")
    server.config["BOOTSTRAP_SERVE_LOCAL"] = True
    # The browser sends a file as text: four characters for three bytes.
    server.config["MAX_CONTENT_LENGTH"] = settings.max_upload * 4 // 3 + _BESIDE_UPLOAD
    if settings.proxies:
        proxied = ProxyFix(server.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)
        server.wsgi_app = proxied  # type: ignore[method-assign]
    below = BelowPrefix(server.wsgi_app, prefix, settings.proxies)
    server.wsgi_app = below  # type: ignore[method-assign]
    server.config[PREFIX] = prefix
    Bootstrap5(server)
    # For browsers that know gzip only: a third of the time for a fifth more bytes.
    server.config["COMPRESS_LEVEL"] = 3
    Compress(server)
    store = GPT2AnalysisPersistence(base_dir=settings.base_dir)
    background = Background(
        job_cache(store.cache_dir / "jobs"), public, who if users else _whose_address
    )
    models = ModelFolders(settings.local, settings.models)
    server.config[PRIVATE_FOLDERS] = [] if settings.local else _private(store, settings)
    flask_server: Any = server  # Dash's annotation leaves out what its documentation names.
    app = PrefixedDash(
        __name__,
        server=flask_server,
        title=TITLE,
        update_title="",
        assets_folder=str(Path(__file__).with_name("assets")),
        assets_ignore=r"appearance\\.js",
        serve_locally=True,
        on_error=tell_failure,
        suppress_callback_exceptions=False,
        background_callback_manager=background,
    )
    app.index_string = _INDEX
    titles = {example.key: example.title for example in EXAMPLES}

    def layout() -> html.Div:
        # Models may be added, and what runs them installed, while the server runs.
        offer = Offer(tuple(models.names()), settings.local, _install_command(settings))
        return page(settings.max_upload, titles, signed_in=users is not None, offer=offer)

    # Callbacks are checked against everything that can be on the page.
    grids = [token_grid([]), library_grid(), matched_clusters_grid([])]
    everything: Any = html.Div([layout(), *grids])
    app.validation_layout = everything
    app.layout = layout
    security.refuse_foreign_pages(server)
    if users is not None:
        attempts = Attempts(own_path(store.cache_dir / "sign-in"), users.secret_key)
        logins = Logins(store.cache_dir / "logins", users.secret_key)
        require_sign_in(app, users, attempts, logins)
    check_requests(app)
    workspace = Workspace(
        store,
        max_upload=settings.max_upload,
        patient=False,
        models=models,
        memory=settings.memory,
    )
    callbacks.register(app, workspace)
    health.answer(server, workspace.memory)
    security.send_headers(server, app.csp_hashes)
    security.answer_unknown_scripts(server)
    return app


def _install_command(settings: Settings) -> str | None:
    """Return the command that installs what running a model needs; None if all of it is there."""
    if not missing_modules("gpt2"):
        return None
    return install_command("gpt2", with_interpreter=settings.local)


def _private(store: GPT2AnalysisPersistence, settings: Settings) -> list[Path]:
    """Return the folders whose paths are nobody's business who is not on this machine."""
    folders = [
        *(store.base_dir, store.cache_dir, Path.cwd(), Path.home()),
        *(Path(__file__).parent, Path(sys.prefix)),
    ]
    folders += [Path(tempfile.gettempdir()), store.exports_dir]
    folders += [file for file in (settings.users, settings.models) if file is not None]
    if settings.users is not None:
        folders.append(settings.users.parent)
    return folders


def _whose_address() -> str:
    """Return what stands for who makes the current request, where nobody signs in."""
    return network_of(flask.request.remote_addr or "")


def _is_alone(settings: Settings, host: str) -> bool:
    """Return whether only people on this machine reach what is served so."""
    others = settings.users or settings.proxies or settings.names or settings.path
    return is_loopback(host) and not others


def create_server() -> flask.Flask:
    """Return the WSGI application, for `gunicorn 'concept_fragmentation.app:create_server()'`.

    Environment variables take the place of options.
    """
    server: flask.Flask = create_app(Settings.from_environment()).server
    serving.show_log()
    serving.keep_what_is_loaded()
    return server


def serve(
    settings: Settings | None = None, host: str = HOST, port: int = PORT, *, debug: bool = False
) -> None:
    """Serve the dashboard until it is interrupted.

    Raises AddressError when that can't be, such as when something else listens there.
    """
    # With --debug, Werkzeug starts this again in a child while the parent holds the port.
    if os.environ.get("WERKZEUG_RUN_MAIN") != "true":
        check_address(host, port)
    settings = settings or Settings()
    app = create_app(replace(settings, local=_is_alone(settings, host)))
    if settings.users is None and is_loopback(host):
        security.answer_only_as(app.server, [host, *settings.names])
    elif settings.users is None:
        click.echo(UNGUARDED, err=True)
    if debug:
        # The check would ask a server of Plotly's, which the policy of the page forbids.
        app.run(host=host, port=port, debug=True, dev_tools_disable_version_check=True)
    else:
        serving.listen(app.server, host, port)


def demo_analysis() -> dict[str, Any]:
    """Return the example of two stories as a loaded structure; see also `load_example`."""
    return load_example(TWO_STORIES.key)


def _serve_by_environment() -> int:
    try:
        serve(Settings.from_environment())
    except (AddressError, ConceptFragmentationError) as error:
        click.echo(error, err=True)
        return terminal.FAILED
    return 0


if __name__ == "__main__":
    sys.exit(terminal.guarded(_serve_by_environment))
