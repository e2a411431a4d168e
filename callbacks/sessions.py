"""Sessions: analyses that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from dash import ALL, Dash, Input, Output, State, ctx, html
from dash.development.base_component import Component

from concept_fragmentation.callbacks.library import (
    ChoiceMissingError,
    Destination,
    destination,
    load,
)
from concept_fragmentation.callbacks.messages import say
from concept_fragmentation.callbacks.states import restore_state, saved_views
from concept_fragmentation.callbacks.views import clicked, needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.saved_views import session_entry
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import option_text, plural, title


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Sessions."""

    @app.callback(
        Output(ids.SESSION_CHOICE, "options"),
        Output(ids.SESSION_CHOICE, "value"),
        Input(ids.LIBRARY, "data"),
        State(ids.SESSION_CHOICE, "value"),
    )
    def offer_sessions(
        _library: str | None, chosen: str | None
    ) -> tuple[list[dict[str, str]], str | None]:
        options = session_options(workspace)
        return options, chosen if any(o["value"] == chosen for o in options) else None

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Output(ids.SESSION_NAME, "value"),
        Input(ids.SESSION_CREATE, "n_clicks"),
        State(ids.SESSION_NAME, "value"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def create_clicked(_clicks: int, name: str | None, query: str | None) -> tuple[str, str]:
        say(create(workspace, needed(query), name or ""))
        return uuid4().hex, ""

    @app.callback(
        Output(ids.SESSION_ANALYSES, "children"),
        Input(ids.SESSION_OPEN, "n_clicks"),
        Input(ids.SESSION_ADD, "n_clicks"),
        State(ids.SESSION_CHOICE, "value"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def open_or_add(
        _open: int | None, _add: int | None, session_id: str | None, query: str | None
    ) -> list[Component]:
        if ctx.triggered_id == ids.SESSION_ADD:
            say(add(workspace, needed(query), session_id))
        return session_analyses(workspace, session_id)

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Output(ids.SESSION_ANALYSES, "children", allow_duplicate=True),
        Input(ids.SESSION_DELETE, "n_clicks"),
        State(ids.SESSION_CHOICE, "value"),
        prevent_initial_call=True,
    )
    def delete_clicked(_clicks: int, session_id: str | None) -> tuple[str, list[Component]]:
        say(delete(workspace, session_id))
        return uuid4().hex, []

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input({"type": ids.SESSION_LOAD, "index": ALL}, "n_clicks"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def load_clicked(clicks: Sequence[int | None], query: str | None) -> Destination:
        loaded = load(workspace, needed(query), clicked(clicks), None)
        say(loaded.sentence)
        return destination(loaded.view)

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input({"type": ids.SESSION_VIEW, "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def restore_clicked(clicks: Sequence[int | None]) -> Destination:
        restored = restore_state(workspace, clicked(clicks))
        say(restored.sentence)
        return destination(restored.view)


def create(workspace: Workspace, view: View, name: str) -> str:
    """Make a session, with the analysis shown in it if that is saved; return what to say."""
    name = name.strip()
    if not name:
        raise ChoiceMissingError("Give the session a name, then create it.")
    analyses = [] if view.analysis_id is None else [view.analysis_id]
    workspace.store.create_session(name, analyses)
    with_it = " with the analysis shown" if analyses else ""
    return f"Created the session '{title(name)}'{with_it}."


def add(workspace: Workspace, view: View, session_id: str | None) -> str:
    """Add the analysis shown to a session; return what to say."""
    session = _session(workspace, session_id)
    if view.analysis_id is None:
        raise ChoiceMissingError(
            "What is shown is not in the store yet: save it under a name, then add it."
        )
    name = title(session["session_name"])
    if view.analysis_id in session["analysis_ids"]:
        return f"The analysis shown is in the session '{name}' already."
    workspace.store.update_session(session["session_id"], add_analysis_ids=(view.analysis_id,))
    return f"Added the analysis shown to the session '{name}'."


def delete(workspace: Workspace, session_id: str | None) -> str:
    """Delete a session, not its analyses; return what to say."""
    session = _session(workspace, session_id)
    workspace.store.delete_session(session["session_id"])
    return f"Deleted the session '{title(session['session_name'])}'. Its analyses are kept."


def session_options(workspace: Workspace) -> list[dict[str, str]]:
    """Return the sessions as options."""
    return [
        {
            "label": option_text(
                f"{title(session['session_name'], 60)} · "
                f"{plural(len(session['analysis_ids']), 'analysis', 'analyses')}"
            ),
            "value": session["session_id"],
        }
        for session in workspace.store.list_sessions()
    ]


def session_analyses(workspace: Workspace, session_id: str | None) -> list[Component]:
    """Return the analyses of a session with their saved views; missing ones are named."""
    session = _session(workspace, session_id)
    missing = set(session["missing_analysis_ids"])
    entries: list[Component] = []
    for analysis_id in session["analysis_ids"]:
        if analysis_id in missing:
            entries.append(html.Li(f"{title(analysis_id)} was deleted", className="cf-hint"))
            continue
        newest = workspace.store.list_versions(analysis_id)[0]
        entries.append(session_entry(newest, saved_views(workspace, analysis_id)))
    count = plural(len(entries), "analysis", "analyses")
    return [
        html.P(f"{title(session['session_name'])}: {count}", className="cf-label mb-1"),
        html.Ul(entries, className="cf-session-list"),
    ]


def _session(workspace: Workspace, session_id: str | None) -> dict[str, Any]:
    if session_id is None:
        raise ChoiceMissingError("Choose a session first.")
    return workspace.store.load_session(session_id)
