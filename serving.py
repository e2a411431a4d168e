"""Serve a WSGI application to browsers: waitress, quietly, and one line that says where."""

from __future__ import annotations

import gc
import logging
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

# A page asks for half a dozen things at once, and there can be several pages.
THREADS: Final = 12
# Each browser keeps up to six open while its page is; beyond so many, new ones wait.
CONNECTIONS: Final = 1000


def listen(server: flask.Flask, host: str, port: int) -> None:
    """Serve until interrupted."""
    running = bind(server, host, port)
    keep_what_is_loaded()
    click.echo(f"Concept Fragmentation is at {url(host, port)} (Ctrl+C stops it).", err=True)
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
        connection_limit=CONNECTIONS,
        # select() can't watch as many.
        asyncore_use_poll=True,
        ident=None,
        # They are for ProxyFix, where the settings name proxies; else nothing reads them.
        clear_untrusted_proxy_headers=False,
        # What Flask would refuse is not even received; this is the first size that is refused.
        max_request_body_size=server.config["MAX_CONTENT_LENGTH"] + 1,
    )
