"""Named views: saved with the analysis they belong to, and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from dash import Dash, Input, Output, State

from concept_fragmentation.callbacks.library import (
    ChoiceMissingError,
    Destination,
    Saved,
    destination,
)
from concept_fragmentation.callbacks.messages import say
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.saved_views import saved_view
from concept_fragmentation.components.thumbnail import thumbnail_address
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import title

STATE_TYPE: Final = "token_sankey"
STATES_LISTED: Final = 50


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Views."""

    @app.callback(
        Output(ids.STATE_CHOICE, "options"),
        Output(ids.STATE_CHOICE, "value"),
        Output(ids.STATE_NOTE, "children"),
        Input(ids.ANALYSIS_VIEW, "data"),
        Input(ids.LIBRARY, "data"),
        State(ids.STATE_CHOICE, "value"),
        prevent_initial_call=True,
    )
    def offer_states(
        query: str | None, _library: str | None, chosen: str | None
    ) -> tuple[list[dict[str, Any]], str | None, str]:
        options, said = state_options(workspace, needed(query))
        return options, chosen if any(o["value"] == chosen for o in options) else None, said

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Output(ids.STATE_NAME, "value"),
        Input(ids.STATE_SAVE, "n_clicks"),
        State(ids.STATE_NAME, "value"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def save_clicked(_clicks: int, name: str | None, query: str | None) -> tuple[str, str]:
        say(save_state(workspace, needed(query), name or ""))
        return uuid4().hex, ""

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.STATE_RESTORE, "n_clicks"),
        State(ids.STATE_CHOICE, "value"),
        prevent_initial_call=True,
    )
    def restore_clicked(_clicks: int, state_id: str | None) -> Destination:
        restored = restore_state(workspace, state_id)
        say(restored.sentence)
        return destination(restored.view)

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Input(ids.STATE_DELETE, "n_clicks"),
        State(ids.STATE_CHOICE, "value"),
        prevent_initial_call=True,
    )
    def delete_clicked(_clicks: int, state_id: str | None) -> str:
        say(delete_state(workspace, state_id))
        return uuid4().hex


def save_state(workspace: Workspace, view: View, name: str) -> str:
    """Save a settled view under a name, with its analysis; return what to say."""
    name = name.strip()
    if not name:
        raise ChoiceMissingError("Give the view a name, then save it.")
    if view.analysis_id is None:
        raise ChoiceMissingError(
            "A view is kept with its analysis: save that under a name first, then the view."
        )
    workspace.store.save_visualization_state(view.analysis_id, view.to_dict(), STATE_TYPE, name)
    return f"Saved the view '{title(name)}'."


def restore_state(workspace: Workspace, state_id: str | None) -> Saved:
    """Return the view that was saved; if its version is gone, of the newest one."""
    if state_id is None:
        raise ChoiceMissingError("Choose a saved view, then restore it.")
    state = workspace.store.load_visualization_state(state_id)
    saved = _saved_at(workspace, state["analysis_id"])
    wanted = View.from_dict(state["config"]).version
    known, missing = workspace.with_known_category(_looked_at(state, saved))
    view = workspace.settle(known)
    sentence = f"Restored the view '{title(state['state_name'])}'"
    gone = wanted not in saved
    sentence = f"{sentence} on the newest version." if gone else f"{sentence}."
    return Saved(view, f"{sentence} {missing}".rstrip())


def delete_state(workspace: Workspace, state_id: str | None) -> str:
    """Delete a saved view; return what to say."""
    if state_id is None:
        raise ChoiceMissingError("Choose a saved view, then delete it.")
    name = workspace.store.load_visualization_state(state_id)["state_name"]
    workspace.store.delete_visualization_state(state_id)
    return f"Deleted the view '{title(name)}'."


def state_options(workspace: Workspace, view: View) -> tuple[list[dict[str, Any]], str]:
    """Return the saved views of the analysis shown as options, newest first, and what to say."""
    if view.analysis_id is None:
        return [], "Views are kept with a saved analysis."
    states = workspace.store.list_visualization_states(view.analysis_id)
    if not states:
        return [], "There is none yet."
    analysis = workspace.shown(view).analysis
    saved = _saved_at(workspace, view.analysis_id)
    options = []
    for entry in states[:STATES_LISTED]:
        state = workspace.store.load_visualization_state(entry["state_id"])
        looked = _looked_at(state, saved)
        address = thumbnail_address(looked, saved[looked.version])
        options.append(saved_view(analysis, state, looked, address))
    more = len(states) - len(options)
    return options, f"{more:,} older ones are not listed." if more else ""


def saved_views(workspace: Workspace, analysis_id: str) -> list[tuple[str, str, str]]:
    """Return of each saved view of an analysis its id, its name, and where its thumbnail is."""
    saved = _saved_at(workspace, analysis_id)
    found = []
    for entry in workspace.store.list_visualization_states(analysis_id)[:STATES_LISTED]:
        looked = _looked_at(workspace.store.load_visualization_state(entry["state_id"]), saved)
        address = thumbnail_address(looked, saved[looked.version])
        found.append((entry["state_id"], entry["state_name"], address))
    return found


def _saved_at(workspace: Workspace, analysis_id: str) -> dict[int | None, str]:
    """When each version of an analysis was saved."""
    return {v["version"]: v["timestamp"] for v in workspace.store.list_versions(analysis_id)}


def _looked_at(state: Mapping[str, Any], saved: Mapping[int | None, str]) -> View:
    """What a state shows; if its version is gone, of the newest one."""
    view = replace(View.from_dict(state["config"]), analysis_id=state["analysis_id"])
    return view if view.version in saved else replace(view, version=next(iter(saved)))
