"""Save and load analyses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NotRequired, TypedDict
from uuid import uuid4

import flask
from cachetools import TTLCache
from dash import Dash, Input, Output, State, ctx, html, no_update

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.kept import Kept
from concept_fragmentation.callbacks.messages import say
from concept_fragmentation.callbacks.views import needed
from concept_fragmentation.callbacks.workspace import EXAMPLE, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import option_text, plural, short_date, title
from concept_fragmentation.persistence import NotFoundError
from concept_fragmentation.persistence.analyses import RESERVED_METADATA
from concept_fragmentation.persistence.examples import EXAMPLES

ANALYSES_OFFERED: Final = 50
# Identifiers hold no slash, so no saved analysis has such a value in the list.
EXAMPLE_VALUES: Final = {f"{EXAMPLE}/{example.key}": example for example in EXAMPLES}

_MOST_PRESSES: Final = 1000
_PRESSED_SECONDS: Final = 5

# Tabs without figures: what is loaded in them is shown in the overview.
_ELSEWHERE: Final = frozenset(("analyze", "persistence"))


class ChoiceMissingError(ConceptFragmentationError):
    """A button was pressed before what it acts on was chosen."""


@dataclass(frozen=True)
class Saved:
    """What a save made: where it is now, and the sentence that says so."""

    view: View
    sentence: str


class Presses:
    """Saves of a moment ago, so that a button that is pressed twice saves once.

    A page says the same until it has switched to what was saved.
    """

    def __init__(self) -> None:
        """Nothing was saved."""
        self._saved = Kept(TTLCache(_MOST_PRESSES, _PRESSED_SECONDS))

    def once(self, press: Hashable, save: Callable[[], Saved]) -> Saved:
        """Call `save`, or return its result for the same press a moment ago."""
        return self._saved.get(press, save)


class Destination(TypedDict):
    """Where a callback wants the page to go; the key makes each order a new one.

    One that follows from saving says what was saved: the query of the view, and the name.
    """

    query: str
    key: str
    saved: NotRequired[list[str]]


def destination(view: View) -> Destination:
    """Return the order to show a view."""
    return {"query": view.to_query(), "key": uuid4().hex}


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panels Save and Load."""
    _register_save(app, workspace)
    _register_load(app, workspace)


def _register_save(app: Dash, workspace: Workspace) -> None:
    presses = Presses()

    @app.callback(
        Output(ids.SAVE_NAME, "value"),
        Input(ids.ANALYSIS_VIEW, "data"),
        prevent_initial_call=True,
    )
    def suggest_name(query: str | None) -> str:
        shown = workspace.shown(needed(query))
        return "" if shown.is_example else shown.name

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Output(ids.LIBRARY, "data", allow_duplicate=True),
        Input(ids.SAVE, "n_clicks"),
        State(ids.SAVE_NAME, "value"),
        State(ids.VIEW, "data"),
        State(ids.DESTINATION, "data"),
        running=[(Output(ids.SAVE, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def save_clicked(
        _clicks: int, name: str | None, query: str | None, last: Destination | None
    ) -> tuple[Destination, str]:
        view, name = needed(query), (name or "").strip()
        # Dash gives each page that is loaded a token of its own.
        page = flask.request.args.get("endId", "")
        saved = saved_before(workspace, view, name, last) or presses.once(
            (page, view.to_query(), name), lambda: save(workspace, view, name)
        )
        say(saved.sentence)
        order = destination(saved.view)
        order["saved"] = [view.to_query(), name]
        return order, uuid4().hex


def _register_load(app: Dash, workspace: Workspace) -> None:
    @app.callback(
        Output(ids.LOAD_ANALYSIS, "options"),
        Output(ids.LOAD_ANALYSIS, "value"),
        Input(ids.LOAD_ANALYSIS, "search_value"),
        Input(ids.LIBRARY, "data"),
        Input(ids.ANALYSIS_VIEW, "data"),
        State(ids.LOAD_ANALYSIS, "value"),
        prevent_initial_call=True,
    )
    def offer_analyses(
        typed: str | None, _library: str | None, query: str | None, chosen: str | None
    ) -> tuple[list[dict[str, str]], Any]:
        view = needed(query)
        moved = ids.ANALYSIS_VIEW in ctx.triggered_prop_ids.values()
        wanted = _value_of(view) if chosen is None or moved else chosen
        options = analysis_options(workspace, typed or "", wanted)
        if all(option["value"] != wanted for option in options):
            return options, None
        # Said again, the same choice would take back the version chosen with it.
        return options, no_update if wanted == chosen else wanted

    @app.callback(
        Output(ids.LOAD_VERSION, "options"),
        Output(ids.LOAD_VERSION, "value"),
        Output(ids.DELETE, "disabled"),
        Output(ids.DELETE_HINT, "children"),
        Input(ids.LOAD_ANALYSIS, "value"),
        Input(ids.LIBRARY, "data"),
        State(ids.LOAD_VERSION, "value"),
        prevent_initial_call=True,
    )
    def offer_versions(
        chosen: str | None, _library: str | None, version: int | None
    ) -> tuple[list[Any], Any, bool, str]:
        options = version_options(workspace, chosen)
        stays = chosen in EXAMPLE_VALUES
        another = ids.LOAD_ANALYSIS in ctx.triggered_prop_ids.values()
        # A version that is chosen while this is on its way stays chosen.
        known = version is None or any(option["value"] == version for option in options)
        kept = known and not another
        hint = "Examples are read-only." if stays else ""
        return options, no_update if kept else None, stays, hint

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.LOAD, "n_clicks"),
        State(ids.LOAD_ANALYSIS, "value"),
        State(ids.LOAD_VERSION, "value"),
        State(ids.VIEW, "data"),
        running=[(Output(ids.LOAD, "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def load_clicked(
        _clicks: int, chosen: str | None, version: int | None, query: str | None
    ) -> Destination:
        loaded = load(workspace, needed(query), chosen, version)
        say(loaded.sentence)
        return destination(loaded.view)


def save(workspace: Workspace, view: View, name: str) -> Saved:
    """Save the analysis of a view: under its own name as its next version, else as a new one."""
    name = name.strip()
    if not name:
        raise ChoiceMissingError("Give the analysis a name, then save it.")
    shown = workspace.shown(view)
    loaded = workspace.loaded(view)
    metadata = loaded["metadata"]
    next_version = shown.is_saved and name == shown.name
    analysis_id = workspace.store.save_analysis_results(
        loaded["analysis_data"],
        metadata["model_name"],
        metadata["input_text"],
        str(shown.metadata["analysis_id"]) if next_version else None,
        {key: value for key, value in metadata.items() if key not in RESERVED_METADATA},
        name=name,
        tags=metadata.get("tags") or (),
        notes=metadata.get("notes") or "",
    )
    version = int(workspace.store.list_versions(analysis_id)[0]["version"])
    what = f"version {version}" if next_version else f"a new analysis, version {version}"
    return Saved(
        view=replace(view, analysis_id=analysis_id, version=version, draft=None),
        sentence=f"Saved '{title(name)}' as {what}.",
    )


def saved_before(
    workspace: Workspace, view: View, name: str, last: Destination | None
) -> Saved | None:
    """Return what the page was last told to show if that is this view, saved under this name.

    The button can be pressed again before the page has switched to what was saved.
    """
    if last is None or last.get("saved") != [view.to_query(), name]:
        return None
    saved = View.from_query(last["query"])
    try:
        workspace.shown(saved)
    except NotFoundError:
        return None  # It was deleted since then.
    return Saved(saved, f"'{title(name)}' is saved already.")


def load(workspace: Workspace, view: View, chosen: str | None, version: int | None) -> Saved:
    """Return the view of a saved analysis, its colours kept, its window and highlights anew."""
    if chosen is None:
        raise ChoiceMissingError("Choose a saved analysis, then load it.")
    example = EXAMPLE_VALUES.get(chosen)
    target = View(
        tab=view.tab if view.tab not in _ELSEWHERE else "overview", colour_by=view.colour_by
    )
    if example is None:
        target = replace(target, analysis_id=chosen, version=version)
    else:
        target = replace(target, example=example.key)
    target = workspace.settle(target)
    shown = workspace.shown(target)
    which = f", version {target.version}" if shown.is_saved else ""
    return Saved(view=target, sentence=f"Loaded '{title(shown.name)}'{which}.")


def analysis_options(
    workspace: Workspace, typed: str, chosen: str | None, *, with_examples: bool = True
) -> list[dict[str, Any]]:
    """Return the options of a list of analyses: examples, the chosen one, the newest that match."""
    found = workspace.store.list_analyses(search=typed.strip() or None, limit=ANALYSES_OFFERED)
    is_saved = chosen is not None and chosen not in EXAMPLE_VALUES
    if is_saved and all(item["analysis_id"] != chosen for item in found):
        try:
            newest = workspace.store.list_versions(str(chosen))[0]
        except ConceptFragmentationError:
            pass  # It was deleted; then it is not offered.
        else:
            found = [newest, *found]
    saved = [
        {
            "label": _label(item),
            "value": str(item["analysis_id"]),
            # The server has searched already; the browser must not filter once more.
            "search": option_text(f"{_label(item)} {typed}"),
        }
        for item in found
    ]
    if not with_examples:
        return saved
    examples = [
        {"label": example.title, "value": value, "search": f"{example.title} {typed}"}
        for value, example in EXAMPLE_VALUES.items()
    ]
    return [
        _heading("Examples", typed),
        *examples,
        *([_heading("Saved analyses", typed)] if saved else []),
        *saved,
    ]


def _heading(name: str, typed: str) -> dict[str, Any]:
    """Return an option that names the group of those below it and can't be chosen."""
    label = html.Span(name, className="cf-option-group")
    return {"label": label, "value": f"/{name}", "search": f"{name} {typed}", "disabled": True}


def _value_of(view: View) -> str:
    return view.analysis_id or f"{EXAMPLE}/{view.example}"


def version_options(workspace: Workspace, chosen: str | None) -> list[dict[str, Any]]:
    """Return the versions of an analysis, newest first, as options."""
    if chosen is None or chosen in EXAMPLE_VALUES:
        return []
    try:
        versions = workspace.store.list_versions(chosen)
    except ConceptFragmentationError:
        return []
    return [
        {"label": f"{v['version']} · {short_date(v['timestamp'])}", "value": v["version"]}
        for v in versions
    ]


def _label(item: Mapping[str, Any]) -> str:
    parts = (
        title(str(item["name"]), 60),
        title(str(item["model_name"]), 40),
        plural(int(item["num_tokens"]), "token"),
        short_date(str(item["timestamp"])),
    )
    return option_text(" · ".join(parts))
