"""Files that the server hands out: exports, figures as web pages and as CSV, and reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import flask
import pandas as pd
from dash import Dash

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks import categories, compare, concepts, flow
from concept_fragmentation.callbacks.figures import SOURCES, drawn
from concept_fragmentation.callbacks.messages import public
from concept_fragmentation.callbacks.report import made_report
from concept_fragmentation.callbacks.views import known_theme
from concept_fragmentation.callbacks.workspace import NotMadeError, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures import data
from concept_fragmentation.components.file_names import part_of_name
from concept_fragmentation.components.offline import figure_page
from concept_fragmentation.components.parts import REPORT_ADDRESS
from concept_fragmentation.components.structure import FIGURES, height_of
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import NotFoundError
from concept_fragmentation.persistence.turns import BusyError

# How long a report that is asked for by its address waits for its turn, in seconds.
REPORT_WAIT: Final = 20.0
# When who was refused may ask again, in seconds.
RETRY_AFTER: Final = 10


def register(app: Dash, workspace: Workspace) -> None:
    """Serve exports, figures and reports."""
    server: flask.Flask = app.server
    prefix = app.config.routes_pathname_prefix

    @server.get(f"{prefix}exports/<name>")
    def send_export(name: str) -> flask.Response:
        try:
            file_name, chunks = workspace.store.exports.stream(name)
        except ConceptFragmentationError as error:
            return refusal(error)
        return attachment(chunks, file_name, "application/octet-stream")

    @server.get(f"{prefix}figure/<figure_id>.csv")
    def send_data(figure_id: str) -> flask.Response:
        if figure_id not in FRAMES:
            flask.abort(404)
        try:
            with workspace.gate.taken():
                view = _view(workspace)
                text = csv_text(workspace, figure_id, view)
                name = f"{file_name(workspace, view, figure_id)}.csv"
        except ConceptFragmentationError as error:
            return refusal(error)
        return attachment(text.encode("utf-8-sig"), name, "text/csv; charset=utf-8")

    @server.get(f"{prefix}figure/<figure_id>.html")
    def send_page(figure_id: str) -> flask.Response:
        if figure_id not in SOURCES:
            flask.abort(404)
        theme = known_theme(flask.request.args.get("theme"))
        try:
            with workspace.gate.taken():
                view = _view(workspace)
                page = html_text(workspace, figure_id, view, theme)
                name = f"{file_name(workspace, view, figure_id)}.html"
        except ConceptFragmentationError as error:
            return refusal(error)
        return attachment(page.encode(), name, "text/html; charset=utf-8")

    @server.get(f"{prefix}{REPORT_ADDRESS}")
    def send_report() -> flask.Response:
        try:
            with workspace.gate.taken():
                view = _view(workspace)
                page = _kept_report(workspace, view)
            if page is None:
                page = _report_in_turn(workspace, view)
        except ConceptFragmentationError as error:
            return refusal(error)
        name = f"report-{view.analysis_id or ('unsaved' if view.draft else view.example)}.html"
        return attachment(page, name, "text/html; charset=utf-8")


def _kept_report(workspace: Workspace, view: View) -> bytes | None:
    try:
        return made_report(workspace, view)
    except NotMadeError:
        return None


def _report_in_turn(workspace: Workspace, view: View) -> bytes:
    """Make a report in this thread, in the row of those that are made in the background."""
    end = time.monotonic() + REPORT_WAIT

    def told(_ahead: int) -> None:
        if time.monotonic() > end:
            raise BusyError("The server makes reports for others now; try again in a while.")

    with workspace.report_gate.taken():
        turn = workspace.turns("report").taken(told)
        return made_report(workspace.patiently(), view, turn=turn)


def _view(workspace: Workspace) -> View:
    return workspace.settle(View.from_query(flask.request.query_string.decode(errors="replace")))


def file_name(workspace: Workspace, view: View, figure_id: str) -> str:
    """Return the file name of a figure of a settled view, without its suffix.

    The images that the browser makes have the same names (assets/downloads.js).
    """
    return f"{workspace.file_stem(view)}-{part_of_name(FIGURES[figure_id].name)}"


def html_text(workspace: Workspace, figure_id: str, view: View, theme: str) -> str:
    """Return a figure of a settled view as a web page of one file.

    Raises NothingDrawnError where there is no figure.
    """
    place = FIGURES[figure_id]
    title = f"{place.name}: {workspace.shown(view).name}"
    figure = drawn(workspace, figure_id, view, theme)
    return figure_page(figure, title, height_of(figure_id, figure), theme)


def csv_text(workspace: Workspace, figure_id: str, view: View) -> str:
    """Return the data behind a figure of a settled view as CSV, safe to open in a spreadsheet."""
    return data.to_csv(FRAMES[figure_id](workspace, view))


FRAMES: Final[Mapping[str, Callable[[Workspace, View], pd.DataFrame]]] = {
    **{figure_id: source.frame for figure_id, source in SOURCES.items()},
    **flow.FRAMES,
    **compare.FRAMES,
    **categories.FRAMES,
    ids.TYPICAL: concepts.typical_frame,
    ids.PATH_TABLE: Workspace.frame,
}


def refusal(error: ConceptFragmentationError) -> flask.Response:
    """Say why something is not handed out."""
    status = 404 if isinstance(error, NotFoundError) else 400
    response = flask.Response(public(str(error)), status=status, mimetype="text/plain")
    if isinstance(error, BusyError):
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def attachment(content: bytes | Iterator[bytes], file_name: str, mimetype: str) -> flask.Response:
    """Return a response that the browser keeps as a file."""
    response = flask.Response(content, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=file_name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
