"""One place decides what is shown: from the address, the controls and the clicks to the view."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from concept_fragmentation.analysis import Analysis, category_values
from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.attention import matrix_choice
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.concepts import mapped_layer
from concept_fragmentation.callbacks.gestures import (
    Controls,
    Gesture,
    apply_gesture,
    with_layer_of_cluster,
)
from concept_fragmentation.callbacks.library import Destination
from concept_fragmentation.callbacks.messages import say, say_failed
from concept_fragmentation.callbacks.views import Parts
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.controls import (
    ALL_HEADS,
    cluster_options,
    colour_options,
    column_colour_options,
    head_options,
    layer_marks,
    layer_options,
    matches_text,
    matching_tokens,
    only_column_options,
    only_text,
    only_value_options,
    token_options,
    window_text,
)
from concept_fragmentation.components.figures.weights import num_heads, weight_layers
from concept_fragmentation.components.view import (
    FIRST_EXAMPLE,
    MAX_HIGHLIGHTED_TOKENS,
    Part,
    View,
    parse_selection,
)
from concept_fragmentation.components.words import plural
from concept_fragmentation.persistence import NotFoundError

# A page that works has one or two.
_MOST_PENDING: Final = 100


def register(app: Dash, workspace: Workspace) -> None:
    """Keep the address, the view and the controls in step."""

    @app.callback(
        output={
            "search": Output(ids.LOCATION, "search"),
            "view": Output(ids.VIEW, "data"),
            "analysis": Output(ids.ANALYSIS_VIEW, "data"),
            "parts": Output(ids.PARTS, "data"),
            "done": Output(ids.GESTURES_DONE, "data"),
            "window_value": Output(ids.LAYER_WINDOW, "value"),
            "window_max": Output(ids.LAYER_WINDOW, "max"),
            "window_marks": Output(ids.LAYER_WINDOW, "marks"),
            "window_disabled": Output(ids.LAYER_WINDOW, "disabled"),
            "window_text": Output(ids.LAYER_WINDOW_TEXT, "children"),
            "colour_options": Output(ids.COLOUR_BY, "options"),
            "colour_by": Output(ids.COLOUR_BY, "value"),
            "map_colour_options": Output(ids.MAP_COLOUR_BY, "options"),
            "map_colour_by": Output(ids.MAP_COLOUR_BY, "value"),
            "min_count": Output(ids.MIN_COUNT, "value"),
            "token_options": Output(ids.FIND_TOKENS, "options"),
            "token_value": Output(ids.FIND_TOKENS, "value"),
            "heat_options": Output(ids.HEAT_SOURCE, "options"),
            "heat_target_options": Output(ids.HEAT_TARGET, "options"),
            "heat_source": Output(ids.HEAT_SOURCE, "value"),
            "heat_target": Output(ids.HEAT_TARGET, "value"),
            "layer_options": Output(ids.ATTENTION_LAYER, "options"),
            "head_options": Output(ids.ATTENTION_HEAD, "options"),
            "layer": Output(ids.ATTENTION_LAYER, "value"),
            "head": Output(ids.ATTENTION_HEAD, "value"),
            "threshold": Output(ids.ATTENTION_THRESHOLD, "value"),
            "by_columns": Output(ids.BY_COLUMN, "options"),
            "by_column": Output(ids.BY_COLUMN, "value"),
            "only_hidden": Output(ids.ONLY_FIELD, "hidden"),
            "only_columns": Output(ids.ONLY_COLUMN, "options"),
            "only_column": Output(ids.ONLY_COLUMN, "value"),
            "only_options": Output(ids.ONLY_VALUES, "options"),
            "only_values": Output(ids.ONLY_VALUES, "value"),
            "only_disabled": Output(ids.ONLY_VALUES, "disabled"),
            "only_note": Output(ids.ONLY_NOTE, "children"),
            "map_layers": Output(ids.MAP_LAYER, "options"),
            "map_layer": Output(ids.MAP_LAYER, "value"),
            "projection": Output(ids.MAP_PROJECTION, "value"),
            "cluster_options": Output(ids.CLUSTER_CHOICE, "options"),
            "cluster_value": Output(ids.CLUSTER_CHOICE, "value"),
            "concept_options": Output(ids.CONCEPT_CHOICE, "options"),
            "concept_value": Output(ids.CONCEPT_CHOICE, "value"),
        },
        inputs={
            "search": Input(ids.LOCATION, "search"),
            "destination": Input(ids.DESTINATION, "data"),
            "gestures": Input(ids.GESTURES, "data"),
            "cluster": Input(ids.CLUSTER_CHOICE, "value"),
            "concept": Input(ids.CONCEPT_CHOICE, "value"),
            "by_column": Input(ids.BY_COLUMN, "value"),
            "other": Input(ids.OTHER, "value"),
            "other_version": Input(ids.OTHER_VERSION, "value"),
            "controls": {
                "window": Input(ids.LAYER_WINDOW, "value"),
                "colour_by": Input(ids.COLOUR_BY, "value"),
                "min_count": Input(ids.MIN_COUNT, "value"),
                "tokens": Input(ids.FIND_TOKENS, "value"),
                "heat_source": Input(ids.HEAT_SOURCE, "value"),
                "heat_target": Input(ids.HEAT_TARGET, "value"),
                "layer": Input(ids.ATTENTION_LAYER, "value"),
                "head": Input(ids.ATTENTION_HEAD, "value"),
                "threshold": Input(ids.ATTENTION_THRESHOLD, "value"),
                "map_layer": Input(ids.MAP_LAYER, "value"),
                "projection": Input(ids.MAP_PROJECTION, "value"),
                "map_colour_by": Input(ids.MAP_COLOUR_BY, "value"),
                "only_column": Input(ids.ONLY_COLUMN, "value"),
                "only_values": Input(ids.ONLY_VALUES, "value"),
            },
        },
        state={"query": State(ids.VIEW, "data"), "done": State(ids.GESTURES_DONE, "data")},
    )
    def navigate(
        *,
        search: str | None,
        destination: Destination | None,
        gestures: Sequence[Gesture] | None,
        cluster: str | None,
        concept: str | None,
        by_column: str | None,
        other: str | None,
        other_version: int | None,
        controls: Controls,
        query: str | None,
        done: int | None,
    ) -> dict[str, Any]:
        workspace.hold()
        said = controls
        # Whether it triggered this or not: the answer to an earlier question may have been dropped.
        pending = [one for one in gestures or () if one["n"] > (done or 0)][-_MOST_PENDING:]
        last = {"done": pending[-1]["n"] if pending else no_update}
        triggered = set(ctx.triggered_prop_ids.values())
        if ids.LOCATION in triggered or query is None:
            try:
                view = settled_view(workspace, search)
            except ConceptFragmentationError as error:
                say_failed(f"{error} An example is shown instead.")
                view = workspace.settle(View(example=FIRST_EXAMPLE))
            # Never written back: a new entry in the history would cut off "forward".
            old = None if query is None else View.from_query(query)
            state = page_state(workspace, view, old, said, cluster=cluster, concept=concept)
            return state | last | {"search": no_update}
        old = View.from_query(query)
        try:
            workspace.shown(old)
        except NotFoundError as error:
            # Another window or person deleted it.
            say_failed(f"{error} An example is shown instead.")
            settled = example_instead(workspace, old, pending)
            state = page_state(workspace, settled, old, said, cluster=cluster, concept=concept)
            return state | last
        if ids.DESTINATION in triggered and destination:
            settled = settled_view(workspace, destination["query"])
        else:
            analysis = workspace.shown(old).analysis
            applied = said.apply(old, matrix_choice(analysis, old), _mapped(analysis, old))
            view = with_known_category(workspace, applied)
            for gesture in pending:
                view = apply_gesture(view, gesture, analysis)
            if {ids.CLUSTER_CHOICE, ids.CONCEPT_CHOICE} & triggered:
                node = cluster if ids.CLUSTER_CHOICE in triggered else concept
                view = replace(view, selection=parse_selection((node or "").split(".")))
            elif ids.BY_COLUMN in triggered and by_column is not None:
                view, _ = workspace.with_known_category(replace(view, category=by_column))
            else:
                view = with_other(view, triggered, other, other_version)
            settled = with_layer_of_cluster(workspace.settle(view), old, analysis)
            say_limits(triggered, said, settled)
        state = page_state(workspace, settled, old, said, cluster=cluster, concept=concept)
        return state | last

    @app.callback(
        Output(ids.FIND_TOKENS, "options", allow_duplicate=True),
        Output(ids.FIND_NOTE, "children"),
        Input(ids.FIND_TOKENS, "search_value"),
        State(ids.FIND_TOKENS, "value"),
        State(ids.ANALYSIS_VIEW, "data"),
        prevent_initial_call=True,
    )
    def search_tokens(
        typed: str | None, chosen: Sequence[int] | None, query: str | None
    ) -> tuple[list[dict[str, Any]], str]:
        analysis, typed = workspace.shown(View.from_query(query)).analysis, typed or ""
        matches = matching_tokens(analysis, typed)
        options = token_options(analysis, chosen or (), typed, matches)
        return options, matches_text(typed, len(matches))

    for name, source in (
        ("open_tab", Input({"type": ids.TAB, "index": ALL}, "n_clicks")),
        ("open_tab", Input({"type": ids.TAB_LINK, "index": ALL}, "n_clicks")),
        ("quick_window", Input({"type": ids.QUICK_WINDOW, "index": ALL}, "n_clicks")),
        ("toggle_path", Input({"type": ids.PATH_ROW, "index": ALL}, "n_clicks")),
        ("clear", Input(ids.CLEAR_HIGHLIGHTS, "n_clicks")),
    ):
        in_browser(
            app,
            "gestures",
            name,
            Output(ids.GESTURES, "data", allow_duplicate=True),
            source,
            prevent_initial_call=True,
        )

    in_browser(app, "gestures", "done", Input(ids.GESTURES_DONE, "data"), prevent_initial_call=True)
    in_browser(
        app,
        "orders",
        "dispatch",
        Input(ids.PARTS, "data"),
        Input(ids.THEME, "data"),
        State(ids.STRUCTURE, "data"),
    )
    in_browser(
        app,
        "view",
        "show",
        Output({"type": ids.SECTION, "index": ALL}, "hidden"),
        Output({"type": ids.TAB, "index": ALL}, "aria-current"),
        Input(ids.PARTS, "data"),
        State(ids.STRUCTURE, "data"),
        State({"type": ids.SECTION, "index": ALL}, "id"),
        State({"type": ids.TAB, "index": ALL}, "id"),
    )
    in_browser(app, "hints", "follow", Input(ids.VIEW, "data"), prevent_initial_call=True)
    in_browser(
        app,
        "view",
        "copy",
        Output(ids.COPY_LINK, "children"),
        Input(ids.COPY_LINK, "n_clicks"),
        prevent_initial_call=True,
    )


def example_instead(workspace: Workspace, gone: View, gestures: Sequence[Gesture]) -> View:
    """Return the view of an example that takes the place of an analysis that was deleted."""
    view = workspace.settle(View(tab=gone.tab, example=FIRST_EXAMPLE))
    for gesture in gestures:
        # A choice of a tab is the one gesture that does not refer to what was shown.
        if gesture["kind"] == "tab":
            view = apply_gesture(view, gesture, workspace.shown(view).analysis)
    return view


def with_other(
    view: View, triggered: Collection[str], other: str | None, other_version: int | None
) -> View:
    """Return the view compared with what was chosen, if that was just chosen."""
    if ids.OTHER in triggered and other is not None and other != view.other:
        return replace(view, other=other, other_version=None)
    if ids.OTHER_VERSION in triggered:
        return replace(view, other_version=other_version)
    return view


def settled_view(workspace: Workspace, query: str | None) -> View:
    """Return the settled view of an address; a category that is not there is left out, and said."""
    return workspace.settle(with_known_category(workspace, View.from_query(query)))


def with_known_category(workspace: Workspace, view: View) -> View:
    """Return the view without categories that its analysis does not have, and say which those are.

    Raises what `Workspace.shown` does.
    """
    known, sentence = workspace.with_known_category(view)
    if sentence:
        say_failed(sentence)
    return known


def say_limits(triggered: Collection[str], said: Controls, settled: View) -> None:
    """Say what of a choice of several tokens or categories is too much for a view."""
    if ids.ONLY_VALUES in triggered and len(said.only_values or ()) > len(settled.only[1:]):
        say("An address has no room for more categories than these.")
    if ids.FIND_TOKENS in triggered:
        say_left_out(len(said.tokens or ()) - len(settled.tokens))


def say_left_out(left_out: int) -> None:
    """Say how many tokens of a choice are not highlighted because there are too many."""
    if left_out > 0:
        say(
            f"{plural(left_out, 'token is', 'tokens are')} not highlighted: at most "
            f"{MAX_HIGHLIGHTED_TOKENS} are at once."
        )


def page_state(
    workspace: Workspace,
    view: View,
    old: View | None,
    said: Controls,
    *,
    cluster: str | None = None,
    concept: str | None = None,
) -> dict[str, Any]:
    """Return what changes on the page from one view to the next; `no_update` for what does not.

    `cluster` and `concept` are what the two choices of a cluster say.
    """
    shown = workspace.shown(view)
    query = view.to_query()
    state: dict[str, Any] = {
        "search": _changed(query, None if old is None else old.to_query()),
        "view": _changed(query, None if old is None else old.to_query()),
    }
    before = old and old.of_all_tokens.part("analysis")
    state["analysis"] = _changed(view.of_all_tokens.part("analysis"), before)
    parts = _parts(view, shown.analysis.layers, workspace.file_stem(view))
    known = old and _parts(old, shown.analysis.layers, parts["file"])
    state["parts"] = _changed(parts, known)
    same_analysis = old is not None and state["analysis"] is no_update
    same_window = old is not None and view.part("window") == old.part("window")
    whole = workspace.shown(view.of_all_tokens).analysis
    return (
        state
        | _control_values(view, said, shown.analysis)
        | _control_choices(whole, same_analysis)
        | _only_choices(view, old if same_analysis else None, whole)
        | {
            "only_note": no_update
            if same_analysis and old is not None and view.only == old.only
            else only_text(shown.analysis),
            "window_text": no_update
            if same_window
            else window_text(shown.analysis, view.first, view.last or 0),
            "token_options": no_update
            if same_analysis and _same(said.tokens, view.tokens)
            else token_options(shown.analysis, view.tokens, ""),
        }
        | _cluster_choices(workspace, view, old if same_window else None, (cluster, concept))
    )


def _cluster_choices(
    workspace: Workspace, view: View, old: View | None, said: tuple[str | None, str | None]
) -> dict[str, Any]:
    """The clusters of the window, and those of the layer that is mapped; `old` had that window."""
    analysis, window = workspace.shown(view).analysis, workspace.window(view)
    mapped = mapped_layer(analysis, view)
    same_layer = old is not None and mapped == mapped_layer(analysis, old)
    node = _node_text(view)
    of_layer = node if view.selection is not None and view.selection[1] == mapped else None
    return {
        "cluster_options": no_update if old is not None else cluster_options(window),
        "concept_options": no_update if same_layer else cluster_options(window, mapped),
        "cluster_value": no_update if old is not None and node == said[0] else node,
        "concept_value": no_update if same_layer and of_layer == said[1] else of_layer,
    }


def _control_values(view: View, said: Controls, analysis: Analysis) -> dict[str, Any]:
    window = [view.first, view.last or 0]
    source, target = view.heat or (None, None)
    layer, head = matrix_choice(analysis, view) or (None, None)
    return {
        "window_value": no_update if _same(said.window, window) else window,
        "colour_by": _changed(view.colour_by, said.colour_by),
        "map_colour_by": _changed(view.column_colouring, said.map_colour_by),
        "min_count": _changed(view.min_count, said.min_count),
        "token_value": no_update if _same(said.tokens, view.tokens) else list(view.tokens),
        "heat_source": _changed(source, said.heat_source),
        "heat_target": _changed(target, said.heat_target),
        "layer": _changed(layer, said.layer),
        "head": _changed(ALL_HEADS if head is None else head, said.head),
        "threshold": _changed(view.threshold, said.threshold),
        "map_layer": _changed(_mapped(analysis, view), said.map_layer),
        "projection": _changed(view.projection, said.projection),
        "only_column": _changed(view.only[0] if view.only else "", said.only_column),
        "only_values": _changed(list(view.only[1:]), list(said.only_values or ())),
    }


def _only_choices(view: View, old: View | None, whole: Analysis) -> dict[str, Any]:
    """What the choice of a category offers; `old` was a view of the same analysis."""
    column = view.only[0] if view.only else ""
    columns = only_column_options(whole) if old is None else []
    same_column = old is not None and old.only[:1] == view.only[:1]
    return {
        "by_columns": columns[1:] if old is None else no_update,
        "by_column": no_update
        if old is not None and old.category == view.category
        else view.category or next(iter(category_values(whole)), None),
        "only_columns": columns or no_update,
        "only_hidden": no_update if old is not None else len(columns) < 2,
        "only_options": no_update if same_column else only_value_options(whole, column),
        "only_disabled": no_update if same_column else not column,
    }


def _control_choices(analysis: Analysis, same_analysis: bool) -> dict[str, Any]:
    names = (
        "window_max",
        "window_marks",
        "window_disabled",
        "heat_options",
        "heat_target_options",
        "colour_options",
        "map_colour_options",
        "layer_options",
        "map_layers",
        "head_options",
    )
    if same_analysis:
        return dict.fromkeys(names, no_update)
    layers = analysis.labelled_layers
    options = layer_options(layers)

    def declared(names: Collection[str]) -> list[dict[str, Any]]:
        every = zip(analysis.layers, layer_options(analysis.layers), strict=True)
        return [option for name, option in every if name in names]

    return {
        "window_max": max(len(layers) - 1, 1),
        "window_marks": layer_marks(layers),
        "window_disabled": len(layers) < 2,
        "heat_options": options,
        "heat_target_options": options,
        "colour_options": colour_options(analysis),
        "map_colour_options": column_colour_options(analysis),
        "layer_options": declared(weight_layers(analysis)),
        "map_layers": declared(layers),
        "head_options": head_options(num_heads(analysis)),
    }


def _parts(view: View, layers: Sequence[str], file_stem: str) -> Parts:
    return {
        "tab": view.tab,
        "queries": {part: view.part(part) for part in get_args(Part)},
        "layer": None if view.layer is None or view.layer >= len(layers) else layers[view.layer],
        "file": file_stem,
    }


def _mapped(analysis: Analysis, view: View) -> int | None:
    """The layer that is mapped, among all declared ones; None where no layer has labels."""
    names = analysis.labelled_layers
    return analysis.layers.index(names[mapped_layer(analysis, view)]) if names else None


def _node_text(view: View) -> str | None:
    if view.selection is None or view.selection[0] != "node":
        return None
    return ".".join(str(part) for part in view.selection)


def _changed(new: Any, old: Any) -> Any:
    return no_update if new == old else new


def _same(sent: Sequence[float] | None, wanted: Sequence[int]) -> bool:
    return sent is not None and list(sent) == list(wanted)
