"""Serve a WSGI application to browsers: waitress, quietly, and one line that says where."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from typing import Final

import click
import flask

# The analysis loads these when it first needs them, so that a command starts at once; a server has
# them before anyone asks.
import scipy.linalg
import scipy.sparse.csgraph
import scipy.special
import scipy.stats  # noqa: F401
import waitress

from concept_fragmentation.address import url

# The key of the server's configuration under which its prefix is.
PREFIX: Final = "CONCEPT_FRAGMENTATION_PREFIX"

# A page asks for half a dozen things at once, and there can be several pages.
THREADS: Final = 12
# Each browser keeps up to six open while its page is; beyond so many, new ones wait.
CONNECTIONS: Final = 4000
# What the store, its locks and running requests have open beside connections.
OTHER_FILES: Final = 500
# A connection on which nothing comes for so long is closed: one that a browser may need again, and
# one on which half a request came.
IDLE_SECONDS: Final = 30


def listen(server: flask.Flask, host: str, port: int) -> None:
    """Serve until interrupted."""
    running = bind(server, host, port)
    keep_what_is_loaded()
    address = url(host, port, server.config.get(PREFIX, ""))
    click.echo(f"Concept Fragmentation is at {address} (Ctrl+C stops it).", err=True)
    running.run()


def keep_what_is_loaded() -> None:
    """Have Python's garbage collector pass over all that there is now: modules, mostly.

    It looks at everything again and again while requests are answered, and a request during which
    it does would wait for a tenth of a second.
    """
    gc.collect()
    gc.freeze()


def bind(server: flask.Flask, host: str, port: int) -> waitress.server.BaseWSGIServer:
    """Return what serves once its `run` is called; browsers may connect already."""
    # That a view asks for more at once than there are threads is no reason to warn of anything.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return waitress.create_server(
        server,
        host=host,
        port=port,
        threads=THREADS,
        connection_limit=_connections(),
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=IDLE_SECONDS // 6,
        # select() can't watch as many.
        asyncore_use_poll=True,
        ident=None,
        # They are for ProxyFix, where the settings name proxies; else nothing reads them.
        clear_untrusted_proxy_headers=False,
        # What Flask would refuse is not even received; this is the first size that is refused.
        max_request_body_size=server.config["MAX_CONTENT_LENGTH"] + 1,
    )


def _connections() -> int:
    """Return how many connections may be open, and have the system allow this process as many."""
    if sys.platform == "win32":
        return CONNECTIONS
    resource = importlib.import_module("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):
            # Some systems have a lower limit than the one they say.
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(CONNECTIONS, max(soft - OTHER_FILES, soft // 2)) if soft > 0 else CONNECTIONS
