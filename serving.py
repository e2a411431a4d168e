"""Serve a WSGI application to browsers: waitress, quietly, and one line that says where."""

from __future__ import annotations

import copy
import functools
import gc
import importlib
import logging
import sys
from collections.abc import Callable
from typing import Final

import click
import flask
import flask.logging

# The analysis loads these when it first needs them, so that a command starts at once; a server has
# them before anyone asks.
import scipy.linalg
import scipy.sparse.csgraph
import scipy.special
import scipy.stats  # noqa: F401
import waitress
import waitress.channel
import waitress.parser

from concept_fragmentation.address import url
from concept_fragmentation.callbacks import memory

# The key of the server's configuration under which its prefix is.
PREFIX: Final = "CONCEPT_FRAGMENTATION_PREFIX"
# The key under which is what tells by a header of cookies whether somebody is signed in, if anybody
# needs to be.
KNOWN: Final = "CONCEPT_FRAGMENTATION_KNOWN"
# The largest body of a request of somebody who is not signed in, in bytes; the form of the sign-in
# has a few hundred.
UNKNOWN_BODY: Final = 64 * 2**10

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
    show_log()
    keep_what_is_loaded()
    address = url(host, port, server.config.get(PREFIX, ""))
    click.echo(f"Concept Fragmentation is at {address} (Ctrl+C stops it).", err=True)
    running.run()


def show_log() -> None:
    """Write what the package logs to standard error, unless somebody has said where it goes."""
    log = logging.getLogger("concept_fragmentation")
    if not log.hasHandlers():
        log.addHandler(flask.logging.default_handler)
    if memory.logger.level == logging.NOTSET:
        memory.logger.setLevel(logging.INFO)


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
    running = waitress.create_server(
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
    is_known = server.config.get(KNOWN)
    if is_known is not None:
        parser = staticmethod(functools.partial(_Parser, is_known))
        channel = type("_Channel", (waitress.channel.HTTPChannel,), {"parser_class": parser})
        # A host with several addresses has a server for each, in a map.
        for listening in getattr(running, "map", {0: running}).values():
            if isinstance(listening, waitress.server.BaseWSGIServer):
                listening.channel_class = channel
    return running


class _Parser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]
    """Receives requests; of somebody who is not signed in, it takes small ones only.

    waitress receives all of a body before the application is asked.
    """

    adj: waitress.Adjustments

    def __init__(self, is_known: Callable[[str], bool], adj: waitress.Adjustments) -> None:
        super().__init__(adj)
        self._is_known = is_known

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        may_be_large = self.chunked or self.content_length > UNKNOWN_BODY
        if may_be_large and not self._is_known(self.headers.get("COOKIE", "")):
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = UNKNOWN_BODY + 1


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
