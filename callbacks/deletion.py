"""Delete saved analyses after a question, list the trash, and restore from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict
from uuid import uuid4

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from concept_fragmentation.callbacks.library import (
    EXAMPLE_VALUES,
    ChoiceMissingError,
    Saved,
    destination,
)
from concept_fragmentation.callbacks.messages import say
from concept_fragmentation.callbacks.views import Order, clicked, needed, order_for
from concept_fragmentation.callbacks.workspace import Workspace, name_in_trash
from concept_fragmentation.components import ids
from concept_fragmentation.components.trash_panel import TrashRow, trash_list
from concept_fragmentation.components.view import FIRST_EXAMPLE, View
from concept_fragmentation.components.words import plural, short_date, title
from concept_fragmentation.persistence import NotFoundError
from concept_fragmentation.persistence.trash import RETENTION

MAX_SELECTED: Final = 200
TRASH_LISTED: Final = 50

_KEPT: Final = f"in the trash for {RETENTION.days} days"
_HIDDEN: Final = {"display": "none"}

Rows = Sequence[Mapping[str, Any]]


class Doomed(TypedDict):
    """The analyses that the dialog asks about, and the one version that was chosen, if any."""

    analyses: list[str]
    version: int | None


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the buttons that delete, their dialog, and the trash."""
    _register_dialog(app, workspace)
    _register_trash(app, workspace)


def _register_dialog(app: Dash, workspace: Workspace) -> None:
    def question_outputs() -> list[Output]:
        places = (
            (ids.DELETE_DIALOG, "is_open"),
            (ids.DELETE_QUESTION, "children"),
            (ids.DELETE_VERSION, "children"),
            (ids.DELETE_VERSION, "style"),
            (ids.DELETE_ALL, "children"),
            (ids.DOOMED, "data"),
        )
        return [Output(place, name, allow_duplicate=True) for place, name in places]

    @app.callback(
        question_outputs(),
        Input(ids.DELETE, "n_clicks"),
        State(ids.LOAD_ANALYSIS, "value"),
        State(ids.LOAD_VERSION, "value"),
        prevent_initial_call=True,
    )
    def ask_of_one(_clicks: int, chosen: str | None, version: int | None) -> list[Any]:
        return asked(workspace, stored_choice(chosen), version)

    @app.callback(
        question_outputs(),
        Input(ids.LIBRARY_DELETE, "n_clicks"),
        State(ids.LIBRARY_GRID, "selectedRows"),
        prevent_initial_call=True,
    )
    def ask_of_selected(clicks: int | None, rows: Rows | None) -> list[Any]:
        # Also called when the table is placed.
        if not clicks:
            raise PreventUpdate
        return asked(workspace, chosen_ids(rows), None)

    @app.callback(
        Output(ids.DELETE_DIALOG, "is_open", allow_duplicate=True),
        Input(ids.DELETE_CANCEL, "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(_clicks: int) -> bool:
        return False

    @app.callback(
        Output(ids.DELETE_DIALOG, "is_open", allow_duplicate=True),
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.DELETE_VERSION, "n_clicks"),
        Input(ids.DELETE_ALL, "n_clicks"),
        State(ids.DOOMED, "data"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def delete_clicked(
        _one: int | None, _all: int | None, doomed: Doomed | None, query: str | None
    ) -> tuple[bool, str, Any]:
        if not doomed:
            raise PreventUpdate
        only = doomed["version"] if ctx.triggered_id == ids.DELETE_VERSION else None
        view = needed(query)
        deleted = delete(workspace, view, doomed["analyses"], only)
        say(deleted.sentence)
        moved = deleted.view != view
        return False, uuid4().hex, destination(deleted.view) if moved else no_update


def _register_trash(app: Dash, workspace: Workspace) -> None:
    @app.callback(
        Output(ids.TRASH, "children"),
        order_for(ids.LIBRARY_TABLE),
        Input(ids.LIBRARY, "data"),
        prevent_initial_call=True,
    )
    def list_trash(order: Order | None, _changed: str | None) -> Component:
        if order is None:
            raise PreventUpdate
        return trash_list(trash_rows(workspace), TRASH_LISTED)

    @app.callback(
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Input({"type": ids.RESTORE, "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def restore_clicked(clicks: list[int | None]) -> str:
        say(restore(workspace, clicked(clicks)))
        return uuid4().hex


def asked(workspace: Workspace, analysis_ids: Sequence[str], version: int | None) -> list[Any]:
    """Return the dialog's content: open, question, texts of its buttons, and what it is about."""
    question, one = deletion_question(workspace, analysis_ids, version)
    whole = "analysis" if len(analysis_ids) == 1 else f"{len(analysis_ids):,} analyses"
    doomed: Doomed = {"analyses": list(analysis_ids), "version": one}
    style = {} if one else _HIDDEN
    return [True, question, f"Delete version {one}", style, f"Delete {whole}", doomed]


def delete(
    workspace: Workspace, view: View, analysis_ids: Sequence[str], version: int | None = None
) -> Saved:
    """Move analyses, or one version of one, to the trash; return the view of what is left.

    An analysis that is shown gives way to its newest version that is left, or to an example; one
    that is compared with is compared no longer.
    """
    names = [str(workspace.store.list_versions(one)[0]["name"]) for one in analysis_ids]
    for analysis_id in analysis_ids:
        workspace.store.delete_analysis(analysis_id, version)
    if view.analysis_id in analysis_ids and version in {None, view.version}:
        newest = _newest_version(workspace, str(view.analysis_id)) if version else None
        if newest is None:
            view = View(tab=view.tab, example=FIRST_EXAMPLE, other=view.other)
        else:
            view = replace(view, version=newest)
        view = workspace.settle(view)
    if view.other in analysis_ids and version in {None, view.other_version}:
        view = replace(view, other=None, other_version=None)
    what = f"'{title(names[0])}'" if len(names) == 1 else f"{len(names):,} analyses"
    if version is not None:
        what = f"version {version} of {what}"
    return Saved(view, f"Deleted {what}. The Library keeps it {_KEPT}.")


def restore(workspace: Workspace, trash_id: str) -> str:
    """Restore an entry of the trash; return the sentence that says so."""
    for entry in workspace.store.list_trash():
        if entry["trash_id"] == trash_id:
            workspace.store.restore_analysis(entry["analysis_id"], trash_id=trash_id)
            return f"Restored {name_in_trash(entry)}."
    raise ChoiceMissingError("It is in the trash no longer: somebody restored or removed it.")


def trash_rows(workspace: Workspace) -> list[TrashRow]:
    """Return the entries of the trash as rows, the last deleted first."""
    return [
        TrashRow(
            entry["trash_id"],
            name_in_trash(entry),
            short_date(entry["deleted_at"]),
            short_date(entry["expires_at"]),
        )
        for entry in workspace.store.list_trash()
    ]


def deletion_question(
    workspace: Workspace, analysis_ids: Sequence[str], version: int | None = None
) -> tuple[str, int | None]:
    """Return the question before deleting, and the one version that can be deleted alone."""
    if len(analysis_ids) > 1:
        count = f"{len(analysis_ids):,} analyses"
        return f"Delete {count} with all their versions and saved views? {_kept('They')}", None
    versions = workspace.store.list_versions(analysis_ids[0])
    name = title(str(versions[0]["name"]))
    count = plural(len(versions), "version")
    if version is None or len(versions) == 1:
        return f"Delete '{name}' with its {count} and its saved views? {_kept('It')}", None
    return (
        f"Delete version {version} of '{name}', or the whole analysis with its {count} and its "
        f"saved views? {_kept('It')}",
        version,
    )


def stored_choice(chosen: str | None) -> list[str]:
    """Return the analysis chosen in the panel Load; raise the sentence if it can't be deleted."""
    if chosen is None:
        raise ChoiceMissingError("Choose a saved analysis, then delete it.")
    if chosen in EXAMPLE_VALUES:
        raise ChoiceMissingError("Examples ship with the dashboard and can't be deleted.")
    return [chosen]


def chosen_ids(rows: Any) -> list[str]:
    """Return the ids of the selected rows; without any, raise the sentence that asks for some."""
    found = [str(row["id"]) for row in rows or [] if isinstance(row, Mapping) and "id" in row]
    if not found:
        raise ChoiceMissingError("Select analyses in the table first.")
    return found[:MAX_SELECTED]


def _kept(subject: str) -> str:
    verb = "stays" if subject == "It" else "stay"
    return f"{subject} {verb} {_KEPT}; the Library restores from there."


def _newest_version(workspace: Workspace, analysis_id: str) -> int | None:
    try:
        return int(workspace.store.list_versions(analysis_id)[0]["version"])
    except NotFoundError:
        return None
