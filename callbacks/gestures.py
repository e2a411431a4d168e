"""What a person did, as the browser tells it, and what that makes of a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.controls import ALL_HEADS
from concept_fragmentation.components.view import (
    MAX_HIGHLIGHTED_TOKENS,
    View,
    parse_colouring,
    parse_only,
    parse_path,
    parse_projection,
    parse_selection,
    parse_tab,
    parse_threshold,
    quick_windows,
)


@dataclass(frozen=True)
class Controls:
    """What the controls on the page say, as the browser sent it."""

    window: Sequence[float] | None = None
    colour_by: str | None = None
    min_count: float | None = None
    tokens: Sequence[int] | None = None
    heat_source: int | None = None
    heat_target: int | None = None
    layer: int | None = None
    head: int | None = None
    threshold: int | None = None
    map_layer: int | None = None
    projection: str | None = None
    map_colour_by: str | None = None
    only_column: str | None = None
    only_values: Sequence[str] | None = None

    def apply(self, view: View, weights: tuple[int, int | None] | None, mapped: int | None) -> View:
        """Return the view as the controls have it; what a control can't say stays.

        `weights` are the layer and head whose attention the view shows, `mapped` is the layer whose
        hidden states it maps: the selected layer may be one that has none.
        """
        colours = view.column_colouring
        if self.window is not None and len(self.window) == 2:
            view = view.with_window(int(self.window[0]), int(self.window[1]))
        if self.colour_by is not None:
            view = replace(view, colour_by=parse_colouring(self.colour_by))
        if self.map_colour_by is not None and self.map_colour_by != colours:
            view = replace(view, colour_by=parse_colouring(self.map_colour_by))
        if self.min_count is not None:
            view = replace(view, min_count=max(1, int(self.min_count)))
        if self.tokens is not None:
            tokens = tuple(int(index) for index in self.tokens)[:MAX_HIGHLIGHTED_TOKENS]
            view = replace(view, tokens=tokens)
        if self.heat_source is not None and self.heat_target is not None:
            view = replace(view, heat=(int(self.heat_source), int(self.heat_target)))
        if self.layer is not None and self.head is not None:
            chosen = int(self.layer), None if self.head == ALL_HEADS else int(self.head)
            if chosen != weights:
                view = replace(view, layer=chosen[0], head=chosen[1])
        if self.map_layer is not None and self.map_layer != mapped:
            view = replace(view, layer=int(self.map_layer))
        if self.threshold is not None:
            view = replace(view, threshold=parse_threshold(int(self.threshold)))
        if self.projection is not None:
            view = replace(view, projection=parse_projection(self.projection))
        if self.only_column is not None:
            view = replace(view, only=self._only(view))
        return view

    def _only(self, view: View) -> tuple[str, ...]:
        """A column and values of it; those of another column go with it."""
        if not self.only_column:
            return ()
        same = (self.only_column,) == view.only[:1]
        return parse_only([self.only_column, *(self.only_values or () if same else ())])


class Gesture(TypedDict):
    """A click as assets/gestures.js tells it: on what, and its number since the page loaded."""

    kind: str
    value: Any
    n: int


def apply_gesture(view: View, gesture: Gesture, analysis: Analysis) -> View:
    """Return the view after a click; one that says nothing readable changes nothing.

    "select": on a cluster or band; "path", "token", "layer": on one of these, a layer by its name;
    "span": on a window, given by its ends; "head": on a head, given by the index of its layer among
    all declared ones and its number; "window": on a quick choice; "tab"; "clear".
    """
    kind, value = gesture["kind"], gesture["value"]
    pair = _pair(value)
    path = parse_path(str(value))
    quick = quick_windows(len(analysis.labelled_layers)).get(str(value))
    layer = analysis.layers.index(value) if value in analysis.layers else None
    token = value if type(value) is int and value >= 0 else None
    changes: dict[str, Callable[[], View]] = {
        "select": lambda: replace(view, selection=parse_selection(value)),
        "path": lambda: view.toggle_path(path) if path else view,
        "token": lambda: view if token is None else view.toggle_token(token),
        "layer": lambda: view if layer is None else view.toggle_layer(layer),
        "span": lambda: view.with_window(min(pair), max(pair)) if pair else view,
        "head": lambda: replace(view, layer=pair[0], head=pair[1]) if pair else view,
        "window": lambda: view.with_window(*quick) if quick else view,
        "tab": lambda: replace(view, tab=parse_tab(value)),
        "clear": lambda: replace(view, tokens=(), paths=(), selection=None, layer=None),
    }
    change = changes.get(kind)
    return change() if change else view


def with_layer_of_cluster(view: View, old: View, analysis: Analysis) -> View:
    """Return a settled view with the layer of its cluster or band selected, if that is new."""
    if view.selection is None or view.selection == old.selection:
        return view
    name = analysis.labelled_layers[view.selection[1]]
    return replace(view, layer=analysis.layers.index(name))


def _pair(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    known = all(type(number) is int and number >= 0 for number in value)
    return (value[0], value[1]) if known else None
