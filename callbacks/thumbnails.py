"""Thumbnails of saved analyses, drawn once and kept in the store's cache."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Final

import flask
from dash import Dash

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.downloads import refusal
from concept_fragmentation.callbacks.gate import Gate
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.thumbnail import ADDRESS, thumbnail
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import AnalysisNotFoundError, GPT2AnalysisPersistence

# An address names the moment of saving, so what it stands for stays.
_KEPT_SECONDS: Final = 24 * 3600


def register(app: Dash, workspace: Workspace) -> None:
    """Serve thumbnails."""
    server: flask.Flask = app.server

    @server.get(f"{app.config.routes_pathname_prefix}{ADDRESS}")
    def send_thumbnail() -> flask.Response:
        view = View.from_query(flask.request.query_string.decode(errors="replace"))
        try:
            picture = stored_thumbnail(workspace.store, view, workspace.gate)
        except ConceptFragmentationError as error:
            return refusal(error)
        response = flask.Response(picture, mimetype="image/svg+xml")
        response.headers["Cache-Control"] = f"private, max-age={_KEPT_SECONDS}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def stored_thumbnail(store: GPT2AnalysisPersistence, view: View, gate: Gate | None = None) -> bytes:
    """Return the thumbnail of the saved analysis that a view names.

    One that is not kept yet is drawn when the gate, if one is given, admits it.

    Raises:
        AnalysisNotFoundError: it names none, or one that is not stored.
        BusyError: the gate admits no more.
    """
    if view.analysis_id is None:
        raise AnalysisNotFoundError("Only saved analyses have a thumbnail.")
    versions = store.list_versions(view.analysis_id)
    version = next((v for v in versions if view.version in {None, v["version"]}), None)
    if version is None:
        raise AnalysisNotFoundError(
            f"Version {view.version} of analysis {view.analysis_id!r} is not stored."
        )
    key = f"thumbnail {version['timestamp']} {version['version']} {view.to_query()}"
    kept = store.cache.get(key)
    if kept is None:
        with (
            nullcontext() if gate is None else gate.taken(),
            store.open_analysis(view.analysis_id, version["version"]) as opened,
        ):
            kept = thumbnail(opened.analysis, view).encode()
        store.cache.set(key, kept)
    return kept
