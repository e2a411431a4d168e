"""Named views: saved with the analysis they belong to, and restored."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
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
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import short_date, title

STATE_TYPE: Final = "token_sankey"


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Views."""

    @app.callback(
        Output(ids.STATE_CHOICE, "options"),
        Output(ids.STATE_CHOICE, "value"),
        Input(ids.ANALYSIS_VIEW, "data"),
        Input(ids.LIBRARY, "data"),
        State(ids.STATE_CHOICE, "value"),
        prevent_initial_call=True,
    )
    def offer_states(
        query: str | None, _library: str | None, chosen: str | None
    ) -> tuple[list[dict[str, str]], str | None]:
        options = state_options(workspace, needed(query))
        return options, chosen if any(o["value"] == chosen for o in options) else None

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
    view = replace(View.from_dict(state["config"]), analysis_id=state["analysis_id"])
    versions = [v["version"] for v in workspace.store.list_versions(state["analysis_id"])]
    gone = view.version not in versions
    view = workspace.settle(replace(view, version=None) if gone else view)
    sentence = f"Restored the view '{title(state['state_name'])}'"
    return Saved(view, f"{sentence} on the newest version." if gone else f"{sentence}.")


def delete_state(workspace: Workspace, state_id: str | None) -> str:
    """Delete a saved view; return what to say."""
    if state_id is None:
        raise ChoiceMissingError("Choose a saved view, then delete it.")
    name = workspace.store.load_visualization_state(state_id)["state_name"]
    workspace.store.delete_visualization_state(state_id)
    return f"Deleted the view '{title(name)}'."


def state_options(workspace: Workspace, view: View) -> list[dict[str, str]]:
    """Return the saved views of the analysis shown as options."""
    if view.analysis_id is None:
        return []
    return [
        {
            "label": f"{title(state['state_name'], 60)} · {short_date(state['timestamp'])}",
            "value": state["state_id"],
        }
        for state in workspace.store.list_visualization_states(view.analysis_id)
    ]
