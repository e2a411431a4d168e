"""The health check of a server: whether it answers, and what it keeps in memory."""

from __future__ import annotations

import importlib.metadata
from typing import Final

import flask

from concept_fragmentation.callbacks.memory import Memory

ENDPOINT: Final = "healthz"


def answer(server: flask.Flask, memory: Memory) -> None:
    """Answer `/healthz` with JSON: the status, the version, and memory in MiB.

    Whoever asks has not signed in, so it says nothing of what is stored.
    """
    version = importlib.metadata.version("concept-fragmentation")

    @server.get("/healthz", endpoint=ENDPOINT)
    def say() -> flask.Response:
        response = flask.jsonify(status="ok", version=version, memory=memory.figures())
        response.headers["Cache-Control"] = "no-store"
        return response
