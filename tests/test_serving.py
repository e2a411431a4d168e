"""Every way to serve the dashboard serves it, and what can go wrong is one clear sentence."""

from __future__ import annotations

import os
import re
import resource
import runpy
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import flask
import psutil
import pytest
from click.testing import CliRunner

from concept_fragmentation import serving
from concept_fragmentation.cli import main
from concept_fragmentation.users import Users

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("concept-fragmentation")
GUNICORN = Path(sys.executable).with_name("gunicorn")
APPLICATION = "concept_fragmentation.app:create_server()"

FOLDERS = ["analysis_results", "cache", "exports", "metadata", "sessions", "visualizations"]


@contextmanager
def servers(folder: Path) -> Iterator[Callable[..., None]]:
    """Start servers in a folder; stop them at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start_one(*command: str | Path, **environment: str) -> None:
        log = (folder / "log").open("wb")
        with log:
            running.append(
                subprocess.Popen(
                    command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log
                )
            )

    yield start_one
    for process in running:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Start servers in an empty folder; stop them when the test is over."""
    with servers(tmp_path) as start_one:
        yield start_one


@dataclass(frozen=True)
class Served:
    """A dashboard that several tests look at: where it listens and where it was started."""

    port: int
    folder: Path


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return the address of a server of the command, for this machine, with 1 MiB a file."""
    served = Served(free_port(), tmp_path_factory.mktemp("command"))
    with servers(served.folder) as start_one:
        options = ("--host", "127.0.0.1", "--port", str(served.port), "--max-upload", "1")
        start_one(COMMAND, "serve", *options, "--dir", "somewhere/else")
        yield served


@pytest.fixture(scope="module")
def by_gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return the address of gunicorn with two workers, with 1 MiB a file."""
    served = Served(free_port(), tmp_path_factory.mktemp("gunicorn"))
    with servers(served.folder) as start_one:
        start_one(
            *(GUNICORN, "--no-control-socket", "--workers", "2"),
            *("--bind", f"127.0.0.1:{served.port}", APPLICATION),
            CONCEPT_FRAGMENTATION_DIR=str(served.folder / "chosen"),
            CONCEPT_FRAGMENTATION_MAX_UPLOAD="1",
        )
        yield served


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port at which something listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def default_port_taken() -> Iterator[None]:
    """Listen at the default port, unless someone does already."""
    try:
        listening = socket.create_server(("127.0.0.1", 8050))
    except OSError:
        yield
        return
    with closing(listening):
        yield


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port: int = listening.getsockname()[1]
    return port


def get(port: int, path: str) -> str:
    """Read a page, once a server answers."""
    deadline = time.monotonic() + 60
    while True:
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            try:
                connection.request("GET", path)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            answer = connection.getresponse()
            assert answer.status == 200, path
            return answer.read().decode(errors="replace")


def check_served(port: int) -> None:
    """Check the page and everything that it refers to."""
    page = get(port, "/")
    assert "<title>Concept Fragmentation</title>" in page
    files = re.findall(r'(?:href|src)="(/[^"]+)"', page)
    assert len(files) > 10
    for file in files:
        get(port, file)
    assert "GPT-2 Metrics Dashboard" in get(port, "/_dash-layout")


def folders(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.is_dir())


def fail(*arguments: str | Path, cwd: Path) -> str:
    """Run a command that must fail; return what it says."""
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_the_command_serves_with_the_store_where_it_is_told(by_command: Served) -> None:
    check_served(by_command.port)
    assert folders(by_command.folder / "somewhere" / "else") == FOLDERS
    said = f"Concept Fragmentation is at http://127.0.0.1:{by_command.port}/ (Ctrl+C stops it).\n"
    assert (by_command.folder / "log").read_text() == said


@pytest.mark.parametrize("server", ["by_command", "by_gunicorn"])
def test_a_request_that_is_too_large_is_refused_before_it_is_sent(
    request: pytest.FixtureRequest, server: str
) -> None:
    served: Served = request.getfixturevalue(server)
    get(served.port, "/")
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.putrequest("POST", "/_dash-update-component")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(20 * 2**20))
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_an_upload_limit_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_MAX_UPLOAD", "256MB")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "CONCEPT_FRAGMENTATION_MAX_UPLOAD is '256MB'; "
        "give a whole number of MiB from 1 to 99,999.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_gunicorn_serves_with_several_workers(by_gunicorn: Served) -> None:
    check_served(by_gunicorn.port)
    assert folders(by_gunicorn.folder / "chosen") == FOLDERS


def test_many_browsers_keep_their_connections(by_command: Served) -> None:
    get(by_command.port, "/")
    with ExitStack() as kept:
        for _ in range(40 * 6):
            connection = socket.create_connection(("127.0.0.1", by_command.port), 10)
            kept.enter_context(closing(connection))
        get(by_command.port, "/")


HEAVY = "{'scipy.stats', 'scipy.special', 'sklearn', 'torch', 'pandas', 'plotly', 'dash'}"
LOADED = f"print(sorted({HEAVY} & set(sys.modules)))"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what a server has loaded of what is heavy, and how many objects it keeps."""
    script = (
        f"import gc, sys; from concept_fragmentation.app import create_server; {LOADED}; "
        "create_server(); print(gc.get_freeze_count(), len(gc.get_objects()))"
    )
    environment = os.environ | {"CONCEPT_FRAGMENTATION_DIR": str(tmp_path_factory.mktemp("store"))}
    return subprocess.check_output(
        [sys.executable, "-c", script], env=environment, text=True
    ).splitlines()


def test_what_was_loaded_is_not_searched_for_garbage_again(loaded: list[str]) -> None:
    kept, searched = map(int, loaded[1].split())
    assert kept > 100 * searched


def test_beyond_this_machine_it_warns(start: Callable[..., None], tmp_path: Path) -> None:
    port = free_port()
    start(COMMAND, "serve", "--host", "0.0.0.0", "--port", str(port))  # noqa: S104
    get(port, "/")
    warning, said = (tmp_path / "log").read_text().splitlines()
    assert warning.startswith("Warning: whoever reaches this address can read, change and delete")
    assert "--auth FILE" in warning
    assert said == f"Concept Fragmentation is at http://localhost:{port}/ (Ctrl+C stops it)."


def test_on_this_machine_no_other_name_is_answered(by_command: Served) -> None:
    get(by_command.port, "/")
    with closing(HTTPConnection("127.0.0.1", by_command.port, timeout=60)) as connection:
        connection.request("GET", "/", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 403


def test_app_py_serves_at_the_default_address(start: Callable[..., None], tmp_path: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8050)) == 0:
            pytest.skip("something else listens at 127.0.0.1:8050")
    start(sys.executable, ROOT / "app.py")
    check_served(8050)
    assert folders(tmp_path / "data" / "gpt2_analysis") == FOLDERS


def test_a_taken_port_is_one_sentence(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["serve", "--port", str(taken)])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: Cannot serve at 127.0.0.1:{taken}: something else listens there. Stop that, or "
        "choose another with concept-fragmentation serve --host HOST --port PORT.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("default_port_taken")
def test_app_py_says_so_too(tmp_path: Path) -> None:
    said = fail(sys.executable, ROOT / "app.py", cwd=tmp_path)
    assert said.startswith("Cannot serve at 127.0.0.1:8050: something else listens there.")
    assert said.count("\n") == 1


@pytest.mark.parametrize("host", ["256.1.1.1", "no-such-host.invalid", "a" * 300])
def test_a_host_that_is_none_is_one_sentence(host: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--host", host])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: Cannot serve at {host}:8050: ")
    assert result.output.count("\n") == 1


def test_a_store_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "store"
    result = CliRunner().invoke(main, ["serve", "--port", str(free_port()), "--dir", str(folder)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: Could not make '{folder}': ")
    assert result.output.count("\n") == 1


def test_the_command_says_its_version_and_its_commands() -> None:
    version = CliRunner().invoke(main, ["--version"]).output
    assert re.fullmatch(r".*, version \d+\.\d+\.\d+\n", version)
    shown = CliRunner().invoke(main, ["--help"]).output
    assert "Serve the dashboard." in shown


def test_a_command_starts_without_what_only_some_need_and_a_server_loads_it_at_once(
    loaded: list[str],
) -> None:
    commands = "from concept_fragmentation import cli, persistence"
    asked = [sys.executable, "-c", f"import sys; {commands}; {LOADED}"]
    assert subprocess.check_output(asked, text=True).strip() == "[]"
    assert loaded[0] == "['dash', 'pandas', 'plotly', 'scipy.special', 'scipy.stats']"


HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


@pytest.mark.slow
def test_a_thousand_half_sent_requests_do_not_stop_the_server(by_command: Served) -> None:
    _let_open(1500)
    port = by_command.port
    get(port, "/")
    with ExitStack() as kept:
        for _ in range(1000):
            half = kept.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))
            half.sendall(HALF)
        get(port, "/_reload-hash")


def test_what_sends_nothing_is_closed_and_many_may_be_open() -> None:
    server = flask.Flask(__name__)
    server.config["MAX_CONTENT_LENGTH"] = 1
    running = serving.bind(server, "127.0.0.1", 0)
    try:
        assert running.adj.channel_timeout == serving.IDLE_SECONDS <= 60
        assert running.adj.cleanup_interval < running.adj.channel_timeout
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert running.adj.connection_limit <= serving.CONNECTIONS
        assert running.adj.connection_limit < soft
    finally:
        running.close()
        running.task_dispatcher.shutdown()


PASSWORD = "correct horse battery"  # noqa: S105 - of this test


@pytest.fixture(scope="module", params=["waitress", "gunicorn"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Path]]:
    """Return the port of a server at which one signs in, and the folder of its temporary files."""
    folder = tmp_path_factory.mktemp(request.param)
    users, port, temporary = folder / "users.json", free_port(), folder / "temporary"
    temporary.mkdir()
    Users(users).set_password("ada", PASSWORD)
    with servers(folder) as start_one:
        if request.param == "waitress":
            options = ("--port", str(port), "--auth", users, "--dir", folder / "store")
            start_one(COMMAND, "serve", *options, TMPDIR=str(temporary))
        else:
            start_one(
                *(GUNICORN, "-c", "python:concept_fragmentation.gunicorn_settings"),
                *("--no-control-socket", "--bind", f"127.0.0.1:{port}", "--workers", "1"),
                CONCEPT_FRAGMENTATION_DIR=str(folder / "store"),
                CONCEPT_FRAGMENTATION_AUTH=str(users),
                TMPDIR=str(temporary),
            )
        get(port, "/sign-in")
        yield port, temporary


@pytest.mark.slow
def test_half_sent_requests_do_not_stop_a_server(guarded: tuple[int, Path]) -> None:
    port, _ = guarded
    with ExitStack() as kept:
        # As many as there are workers, and some more.
        for _ in range(6):
            half = kept.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))
            half.sendall(HALF)
        for _ in range(4):
            get(port, "/healthz")


def send(port: int, path: str, size: int, *, chunked: bool, cookie: str = "") -> int:
    """Send so much, as far as it is taken; return the status of the answer."""
    with closing(socket.create_connection(("127.0.0.1", port), 20)) as connection:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", length, f"Cookie: {cookie}"]
        lines += ["Content-Type: application/x-www-form-urlencoded", "Connection: close"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        part = b"x" * 2**14
        framed = b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
        with suppress(ConnectionError):
            for _ in range(size // len(part)):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(framed)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status


@pytest.mark.slow
def test_nothing_large_is_received_from_who_has_not_signed_in(guarded: tuple[int, Path]) -> None:
    port, temporary = guarded
    with ExitStack() as stack:
        watcher = stack.enter_context(ThreadPoolExecutor(1))
        done = threading.Event()
        stack.callback(done.set)
        watched = watcher.submit(_largest_open, temporary, done)
        # As large as a file that somebody who signed in may send.
        for path, chunked in product(("/sign-in", "/_dash-update-component"), (False, True)):
            assert send(port, path, 50 * 2**20, chunked=chunked) in {401, 413}
            assert send(port, path, 50 * 2**20, chunked=chunked, cookie="a=b") in {401, 413}
        done.set()
        assert watched.result() < 2**20
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(
            "POST", "/sign-in", urlencode({"name": "ada", "password": PASSWORD}), form
        )
        answer = connection.getresponse()
        assert answer.status == 303
        cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    for chunked in (False, True):
        # It is received, and looked at.
        path = "/_dash-update-component"
        assert send(port, path, 2**20, chunked=chunked, cookie=cookie) in {400, 415}


def _largest_open(folder: Path, done: threading.Event) -> int:
    """Return the size of the largest temporary file that any process had open meanwhile."""
    largest = 0
    while not done.wait(0.005):
        for process in psutil.Process().children(recursive=True):
            with suppress(OSError, psutil.Error):
                for entry in Path(f"/proc/{process.pid}/fd").iterdir():
                    with suppress(OSError):
                        if str(entry.readlink()).startswith(f"{folder}/"):
                            largest = max(largest, entry.stat().st_size)
    return largest


def _let_open(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        if hard < files:
            pytest.skip(f"the system lets a process open {hard} files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """Start nginx with the file that ships, before the dashboard at a port; give its own port."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed; `apt-get install nginx-light` has this tested too")
    running: list[subprocess.Popen[bytes]] = []

    def start_before(dashboard: int) -> int:
        port = free_port()
        server = (ROOT / "deploy" / "nginx.conf").read_text()
        for what, instead in (
            ("listen 80;", f"listen 127.0.0.1:{port};"),
            ("http://127.0.0.1:8050/", f"http://127.0.0.1:{dashboard}/"),
        ):
            assert what in server
            server = server.replace(f"    proxy_pass {what}", f"    proxy_pass {instead}")
            server = server.replace(f"    {what}", f"    {instead}")
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\nevents {{}}\n"
            f"http {{ access_log off;\n{temporary}{server}}}\n"
        )
        user = ["-g", "user root;"] if os.getuid() == 0 else []
        running.append(
            subprocess.Popen([program, "-p", tmp_path, "-c", tmp_path / "nginx.conf", *user])
        )
        return port

    yield start_before
    for process in running:
        process.terminate()
        process.wait(timeout=20)


def test_the_configuration_of_nginx_that_ships_serves_below_its_path(
    start: Callable[..., None], nginx: Callable[[int], int], tmp_path: Path
) -> None:
    users = tmp_path / "users.json"
    Users(users).set_password("ada", "correct horse battery")
    dashboard = free_port()
    start(COMMAND, "serve", "--port", str(dashboard), "--auth", users, "--proxies", "1")
    get(dashboard, "/sign-in")
    port = nginx(dashboard)
    page = get(port, "/dashboard/sign-in")
    files = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/dashboard/")
        get(port, file)

    def answer(method: str, path: str, body: str = "", **headers: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body, headers)
        got = connection.getresponse()
        got.read()
        connection.close()
        return got

    assert answer("GET", "/dashboard").getheader("Location") == "/dashboard/"
    asked = answer("GET", "/dashboard/?v=1", Accept="text/html")
    assert (asked.status, asked.getheader("Location")) == (303, "/dashboard/sign-in?v=1")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    origin = {"Origin": f"http://127.0.0.1:{port}"}
    typed = "name=ada&password=correct+horse+battery"
    signed_in = answer("POST", "/dashboard/sign-in?v=1", typed, **form, **origin)
    assert (signed_in.status, signed_in.getheader("Location")) == (303, "/dashboard/?v=1")
    cookie = signed_in.getheader("Set-Cookie") or ""
    assert "; Path=/dashboard;" in cookie
    shown = answer("GET", "/dashboard/", Cookie=cookie.partition(";")[0])
    assert shown.status == 200
    foreign = answer("POST", "/dashboard/sign-in", typed, **form, Origin="http://evil.example")
    assert foreign.status == 403


def test_a_prefix_is_said_at_the_start_and_another_name_is_answered(
    start: Callable[..., None], tmp_path: Path
) -> None:
    port = free_port()
    start(
        *(COMMAND, "serve", "--port", str(port), "--prefix", "user/ada"),
        *("--server-name", "hub.example"),
    )
    get(port, "/user/ada/")
    assert f"http://127.0.0.1:{port}/user/ada/ (Ctrl+C" in (tmp_path / "log").read_text()
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for host, status in (("hub.example", 200), ("other.example", 403)):
            connection.request("GET", "/user/ada/_reload-hash", headers={"Host": host})
            response = connection.getresponse()
            response.read()
            assert response.status == status
