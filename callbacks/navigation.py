"""One place decides what is shown: from the address, the controls and the clicks to the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from dash import ALL, Dash, Input, Output, State, ctx, no_update, set_props

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.workspace import Shown, Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.controls import (
    cluster_options,
    layer_marks,
    layer_options,
    token_options,
    window_text,
)
from concept_fragmentation.components.messages import failure
from concept_fragmentation.components.view import (
    MAX_HIGHLIGHTED_TOKENS,
    Part,
    View,
    parse_path,
    parse_selection,
    quick_windows,
)

PART_STORES: Final[Mapping[Part, str]] = {
    "analysis": ids.ANALYSIS_VIEW,
    "window": ids.WINDOW_VIEW,
    "flow": ids.FLOW_VIEW,
    "heat": ids.HEAT_VIEW,
    "selection": ids.SELECTION_VIEW,
}


@dataclass(frozen=True)
class Controls:
    """What the controls on the page say, as the browser sent it."""

    window: Sequence[float] | None = None
    colour_by: str | None = None
    min_count: float | None = None
    tokens: Sequence[int] | None = None
    heat_source: int | None = None
    heat_target: int | None = None

    def apply(self, view: View) -> View:
        """Return the view as the controls have it; what a control can't say stays."""
        if self.window is not None and len(self.window) == 2:
            view = view.with_window(int(self.window[0]), int(self.window[1]))
        if self.colour_by is not None:
            view = replace(view, colour_by="path" if self.colour_by == "path" else "cluster")
        if self.min_count is not None:
            view = replace(view, min_count=max(1, int(self.min_count)))
        if self.tokens is not None:
            tokens = tuple(int(index) for index in self.tokens)[:MAX_HIGHLIGHTED_TOKENS]
            view = replace(view, tokens=tokens)
        if self.heat_source is not None and self.heat_target is not None:
            view = replace(view, heat=(int(self.heat_source), int(self.heat_target)))
        return view


def apply_gesture(view: View, gesture: Mapping[str, Any], num_layers: int) -> View:
    """Return the view after a click: on a cluster or band, a path, a quick choice, clear."""
    kind, value = gesture.get("kind"), gesture.get("value")
    if kind == "select":
        return replace(view, selection=parse_selection(value))
    if kind == "path":
        path = parse_path(str(value))
        return view.toggle_path(path) if path else view
    if kind == "window":
        window = quick_windows(num_layers).get(str(value))
        return view.with_window(*window) if window else view
    if kind == "clear":
        return replace(view, tokens=(), paths=(), selection=None)
    return view


def register(app: Dash, workspace: Workspace) -> None:
    """Keep the address, the view and the controls in step."""

    @app.callback(
        output={
            "search": Output(ids.LOCATION, "search"),
            "view": Output(ids.VIEW, "data"),
            **{part: Output(store, "data") for part, store in PART_STORES.items()},
            "window_value": Output(ids.LAYER_WINDOW, "value"),
            "window_max": Output(ids.LAYER_WINDOW, "max"),
            "window_marks": Output(ids.LAYER_WINDOW, "marks"),
            "window_disabled": Output(ids.LAYER_WINDOW, "disabled"),
            "window_text": Output(ids.LAYER_WINDOW_TEXT, "children"),
            "colour_by": Output(ids.COLOUR_BY, "value"),
            "min_count": Output(ids.MIN_COUNT, "value"),
            "token_options": Output(ids.FIND_TOKENS, "options"),
            "token_value": Output(ids.FIND_TOKENS, "value"),
            "heat_options": Output(ids.HEAT_SOURCE, "options"),
            "heat_target_options": Output(ids.HEAT_TARGET, "options"),
            "heat_source": Output(ids.HEAT_SOURCE, "value"),
            "heat_target": Output(ids.HEAT_TARGET, "value"),
            "cluster_options": Output(ids.CLUSTER_CHOICE, "options"),
            "cluster_value": Output(ids.CLUSTER_CHOICE, "value"),
        },
        inputs={
            "search": Input(ids.LOCATION, "search"),
            "destination": Input(ids.DESTINATION, "data"),
            "gesture": Input(ids.GESTURE, "data"),
            "cluster": Input(ids.CLUSTER_CHOICE, "value"),
            "controls": {
                "window": Input(ids.LAYER_WINDOW, "value"),
                "colour_by": Input(ids.COLOUR_BY, "value"),
                "min_count": Input(ids.MIN_COUNT, "value"),
                "tokens": Input(ids.FIND_TOKENS, "value"),
                "heat_source": Input(ids.HEAT_SOURCE, "value"),
                "heat_target": Input(ids.HEAT_TARGET, "value"),
            },
        },
        state={"query": State(ids.VIEW, "data")},
    )
    def navigate(
        *,
        search: str | None,
        destination: Mapping[str, Any] | None,
        gesture: Mapping[str, Any] | None,
        cluster: str | None,
        controls: Mapping[str, Any],
        query: str | None,
    ) -> dict[str, Any]:
        said = Controls(**controls)
        triggered = set(ctx.triggered_prop_ids.values())
        if ids.LOCATION in triggered or query is None:
            try:
                view = workspace.settle(View.from_query(search))
            except ConceptFragmentationError as error:
                set_props(ids.MESSAGES, {"children": [failure(f"{error} The demo is shown.")]})
                view = workspace.settle(View())
            # Never written back: a new entry in the history would cut off "forward".
            old = None if query is None else View.from_query(query)
            return page_state(workspace, view, old, said, cluster=cluster) | {"search": no_update}
        old = View.from_query(query)
        if ids.DESTINATION in triggered and destination:
            view = View.from_query(destination["query"])
        else:
            view = said.apply(old)
            if ids.GESTURE in triggered and gesture:
                layers = len(workspace.shown(view).analysis.labelled_layers)
                view = apply_gesture(view, gesture, layers)
            elif ids.CLUSTER_CHOICE in triggered:
                view = replace(view, selection=parse_selection((cluster or "").split(".")))
        return page_state(workspace, workspace.settle(view), old, said, cluster=cluster)

    @app.callback(
        Output(ids.FIND_TOKENS, "options", allow_duplicate=True),
        Input(ids.FIND_TOKENS, "search_value"),
        State(ids.FIND_TOKENS, "value"),
        State(ids.ANALYSIS_VIEW, "data"),
        prevent_initial_call=True,
    )
    def search_tokens(
        typed: str | None, chosen: Sequence[int] | None, query: str | None
    ) -> list[dict[str, Any]]:
        shown = workspace.shown(View.from_query(query))
        return token_options(shown.analysis, chosen or (), typed or "")

    for name in ("quick_window", "toggle_path", "clear"):
        source = {
            "quick_window": Input({"type": ids.QUICK_WINDOW, "index": ALL}, "n_clicks"),
            "toggle_path": Input({"type": ids.PATH_ROW, "index": ALL}, "n_clicks"),
            "clear": Input(ids.CLEAR_HIGHLIGHTS, "n_clicks"),
        }[name]
        in_browser(
            app,
            "gestures",
            name,
            Output(ids.GESTURE, "data", allow_duplicate=True),
            source,
            prevent_initial_call=True,
        )


def page_state(
    workspace: Workspace,
    view: View,
    old: View | None,
    said: Controls,
    *,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Return what changes on the page from one view to the next; `no_update` for what does not."""
    shown = workspace.shown(view)
    query = view.to_query()
    state: dict[str, Any] = {
        "search": _changed(query, None if old is None else old.to_query()),
        "view": _changed(query, None if old is None else old.to_query()),
    }
    for part in get_args(Part):
        state[part] = _changed(view.part(part), None if old is None else old.part(part))
    same_analysis = old is not None and state["analysis"] is no_update
    same_window = old is not None and state["window"] is no_update
    return (
        state
        | _control_values(view, said)
        | _control_choices(shown, same_analysis)
        | {
            "window_text": no_update
            if same_window
            else window_text(shown.analysis, view.first, view.last or 0),
            "token_options": no_update
            if same_analysis and _same(said.tokens, view.tokens)
            else token_options(shown.analysis, view.tokens, ""),
            "cluster_options": no_update
            if same_window
            else cluster_options(workspace.window(view)),
            "cluster_value": no_update
            if same_window and _node_text(view) == cluster
            else _node_text(view),
        }
    )


def _control_values(view: View, said: Controls) -> dict[str, Any]:
    window = [view.first, view.last or 0]
    source, target = view.heat or (None, None)
    return {
        "window_value": no_update if _same(said.window, window) else window,
        "colour_by": _changed(view.colour_by, said.colour_by),
        "min_count": _changed(view.min_count, said.min_count),
        "token_value": no_update if _same(said.tokens, view.tokens) else list(view.tokens),
        "heat_source": _changed(source, said.heat_source),
        "heat_target": _changed(target, said.heat_target),
    }


def _control_choices(shown: Shown, same_analysis: bool) -> dict[str, Any]:
    if same_analysis:
        names = ("window_max", "window_marks", "window_disabled")
        return dict.fromkeys((*names, "heat_options", "heat_target_options"), no_update)
    layers = shown.analysis.labelled_layers
    options = layer_options(layers)
    return {
        "window_max": max(len(layers) - 1, 1),
        "window_marks": layer_marks(layers),
        "window_disabled": len(layers) < 2,
        "heat_options": options,
        "heat_target_options": options,
    }


def _node_text(view: View) -> str | None:
    if view.selection is None or view.selection[0] != "node":
        return None
    return ".".join(str(part) for part in view.selection)


def _changed(new: Any, old: Any) -> Any:
    return no_update if new == old else new


def _same(sent: Sequence[float] | None, wanted: Sequence[int]) -> bool:
    return sent is not None and list(sent) == list(wanted)
