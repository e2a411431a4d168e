"""The dashboard as several processes serve it, for who wants to look at it from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browser import await_server, free_port
from concept_fragmentation.persistence.store import DIR_VARIABLE


@contextlib.contextmanager
def gunicorn(folder: Path, port: int | None = None) -> Iterator[str]:
    """Serve the store in a folder by two workers, at that port or a free one; give the address."""
    port = port or free_port()
    server = subprocess.Popen(
        [
            Path(sys.executable).with_name("gunicorn"),
            *("--no-control-socket", "--log-level", "warning"),
            *("--workers", "2", "--timeout", "120", "--bind", f"127.0.0.1:{port}"),
            "concept_fragmentation.app:create_server()",
        ],
        env=os.environ | {DIR_VARIABLE: str(folder)},
    )
    try:
        await_server(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()
