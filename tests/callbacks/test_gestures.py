"""What a click and the controls make of a view."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from concept_fragmentation.analysis import Analysis, analysis_from_labels
from concept_fragmentation.callbacks.gestures import (
    Controls,
    Gesture,
    apply_gesture,
    with_layer_of_cluster,
)
from concept_fragmentation.components.controls import ALL_HEADS
from concept_fragmentation.components.view import View


@pytest.fixture(scope="module")
def made() -> Analysis:
    """Return an analysis whose first layer has no labels."""
    return Analysis.from_dict(
        analysis_from_labels(
            ["a", "b", "c"],
            {"one": [0, 1, 1], "two": [0, 0, 1]},
            layers=["nothing", "one", "two"],
        )
    )


def clicked(view: View, kind: str, value: Any, analysis: Analysis) -> View:
    return apply_gesture(view, Gesture(kind=kind, value=value, n=1), analysis)


def test_a_layer_is_selected_by_its_name_and_no_more_by_a_second_click(made: Analysis) -> None:
    view = clicked(View(head=3), "layer", "two", made)
    assert view == View(layer=2, head=3)
    assert clicked(view, "layer", "two", made).layer is None
    assert clicked(view, "layer", "nothing", made).layer == 0


@pytest.mark.parametrize("value", ["three", "", None, 2, ["two"], {"name": "two"}])
def test_what_names_no_layer_selects_none(made: Analysis, value: Any) -> None:
    assert clicked(View(layer=1), "layer", value, made) == View(layer=1)


def test_a_cluster_selects_its_layer_once(made: Analysis) -> None:
    view = clicked(View(), "select", ["node", 1, 0], made)
    assert with_layer_of_cluster(view, View(), made).layer == 2
    band = View(selection=("link", 0, 1, 0))
    assert with_layer_of_cluster(band, View(), made).layer == 1
    # Another layer may be selected later, with the cluster as it was.
    other = replace(view, layer=0)
    assert with_layer_of_cluster(other, view, made) == other
    assert with_layer_of_cluster(View(layer=1), view, made) == View(layer=1)


def test_clearing_leaves_nothing_selected(made: Analysis) -> None:
    view = View(tokens=(1,), paths=((0, 1),), selection=("node", 0, 0), layer=1, min_count=4)
    assert clicked(view, "clear", None, made) == View(min_count=4)


def test_a_control_of_one_layer_changes_it_only_when_it_is_used() -> None:
    # The selected layer has no attention and no labels; the controls say what is shown instead.
    view, shown = View(layer=0), ((1, None), 2)
    assert Controls(layer=1, head=ALL_HEADS, map_layer=2).apply(view, *shown) == view
    assert Controls(layer=1, head=5).apply(view, *shown) == View(layer=1, head=5)
    assert Controls(layer=2, head=ALL_HEADS).apply(view, *shown) == View(layer=2)
    assert Controls(map_layer=1).apply(view, *shown) == View(layer=1)
