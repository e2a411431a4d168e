"""A running server goes on, and answers others, whatever file is dropped on its page."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.components import ids
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from tests.persistence import hostile_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by the system"),
]

COMMAND = Path(sys.executable).with_name("concept-fragmentation")
# Address space, most of which is never used: the stacks of threads and mapped libraries.
MOST_KIBIBYTES = 4 * 2**20
HONEST = {"model_type": "gpt2", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}


class Dropped:
    """A running server and what its page does with a dropped file."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process
        dependencies = json.loads(self.ask("GET", "/_dash-dependencies")[1])
        (self.callback,) = [
            one
            for one in dependencies
            if [(of["id"], of["property"]) for of in one["inputs"]] == [(ids.IMPORT, "contents")]
            and not one["clientside_function"]
        ]

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            headers = {"Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def drop(self, name: str, data: bytes) -> tuple[int, bytes]:
        contents = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
        names = self.callback["output"].strip(".").split("...")
        outputs = [dict(zip(("id", "property"), one.split(".", 1), strict=True)) for one in names]
        body = {
            "output": self.callback["output"],
            "outputs": outputs,
            "inputs": [{"id": ids.IMPORT, "property": "contents", "value": contents}],
            "state": [{"id": ids.IMPORT, "property": "filename", "value": name}],
            "changedPropIds": [f"{ids.IMPORT}.contents"],
        }
        return self.ask("POST", "/_dash-update-component", body)


@contextmanager
def serving(folder: Path) -> Iterator[Dropped]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--host 127.0.0.1 --port {port} --dir {folder / 'store'}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", f"ulimit -v {MOST_KIBIBYTES} && exec {COMMAND} serve {options}"],
            cwd=folder,
            env=os.environ,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield Dropped(port, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def memory(process: subprocess.Popen[bytes]) -> int:
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(text.split("VmHWM:")[1].split()[0]) * 2**10


@pytest.mark.soak
def test_a_server_goes_on_whatever_is_dropped(tmp_path: Path, soaking: bool) -> None:
    # Here a third of them; tests/persistence/test_hostile_files.py reads all.
    kinds = list(hostile_files.KINDS.items())[:: 1 if soaking else 3]
    with serving(tmp_path) as server:
        store = GPT2AnalysisPersistence(tmp_path / "store")
        honest = json.dumps(HONEST).encode()
        assert server.drop("honest.json", honest)[0] == 200
        assert len(store.list_analyses()) == 1
        before = memory(server.process)
        for kind, make in kinds:
            name, data = make()
            asked = threading.Event()
            answers: list[tuple[int, bytes]] = []

            def drop(
                name: str = name,
                data: bytes = data,
                asked: threading.Event = asked,
                answers: list[tuple[int, bytes]] = answers,
            ) -> None:
                answers.append(server.drop(name, data))
                asked.set()

            dropping = threading.Thread(target=drop)
            dropping.start()
            # Another visitor asks meanwhile, at least once and until the file is refused.
            while True:
                status, answer = server.ask("GET", "/")
                assert status == 200, (kind, status, answer)
                if asked.wait(0.2):
                    break
            dropping.join()
            ((status, answer),) = answers
            assert status < 500, (kind, answer)
            assert b"Traceback" not in answer
            assert server.process.poll() is None, kind
        assert len(store.list_analyses()) == 1
        assert server.drop("honest.json", honest)[0] == 200
        assert len(store.list_analyses()) == 2
        # The largest file has 20 MiB, which arrive in a text of 27.
        assert memory(server.process) - before < 200 * 2**20
        assert b"Traceback" not in (tmp_path / "log").read_bytes()
