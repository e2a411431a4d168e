"""Layers, windows and clusters are named alike everywhere; what is not there is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    ConceptFragmentationError,
    UnknownChoiceError,
    analysis_from_labels,
    archetypal_paths,
    as_analysis,
    check_analysis,
    cluster_company,
    compare_analyses,
    compute_token_paths,
    find_problems,
    layer_steps,
    layer_window,
    tokens_in_cluster,
    tokens_in_transition,
    window_grid,
    window_significance,
    with_token_paths,
)
from concept_fragmentation.analysis.choices import choose, layer_position

LAYERS = ["embedding", "block_1", "block_2", "block_3"]


def made() -> dict[str, Any]:
    """Return an analysis whose second layer has no labels."""
    rows = [[0, 1, 2], [0, 1, 2], [1, 1, 0], [1, 0, 0]]
    analysis = analysis_from_labels(list("abcd"), rows, layers=["embedding", "block_2", "block_3"])
    return analysis | {"layers": LAYERS, "token_paths": {}}


@pytest.fixture
def analysis() -> Analysis:
    return Analysis.from_dict(made())


FIRST = ("block_2", 2, -2, np.int64(2), np.int8(-2), np.str_("block_2"))


@pytest.mark.parametrize("layer", FIRST)
def test_a_layer_is_its_name_or_its_position_among_all_layers(
    analysis: Analysis, layer: Any
) -> None:
    window = layer_window(analysis, layer, -1)
    assert window.layers == ("block_2", "block_3")
    assert tokens_in_cluster(analysis, layer, 1).tolist() == [0, 1, 2]
    assert tokens_in_transition(analysis, layer, 1, 0).tolist() == [2]
    assert cluster_company(analysis, layer, 0)[0].tolist() == [3]
    tested = window_significance(analysis, layer, 3, permutations=3)
    assert tested.fragmentation.observed == window.fragmentation


def test_layers_without_labels_within_a_window_are_passed_over(analysis: Analysis) -> None:
    window = layer_window(analysis, 0, 3)
    assert window.layers == ("embedding", "block_2", "block_3")
    assert (window.first, window.last) == (0, 2)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda a: layer_window(a, "block_30", 3),
            "window: there is no 'block_30', only embedding",
        ),
        (lambda a: layer_window(a, "block_30", 3), "did you mean 'block_3'"),
        (
            lambda a: layer_window(a, "block_1", 3),
            "'block_1' has no cluster labels, only embedding",
        ),
        (
            lambda a: layer_window(a, 3, 2),
            "window: 3 to 2 .* the last layer comes before the first",
        ),
        (lambda a: layer_window(a, 0, 4), "window: 0 to 4 is not within the 4 layers"),
        (lambda a: layer_window(a, True, 3), "position is needed, not True"),
        (lambda a: layer_window(a, np.True_, 3), "position is needed, not"),
        (lambda a: layer_window(a, 0.0, 3), "position is needed, not 0.0"),
        (lambda a: layer_window(a, None, 3), "position is needed, not None"),
        (lambda a: window_significance(a, "x", 3), "window: there is no 'x'"),
        (lambda a: tokens_in_cluster(a, "block_30", 0), "layer: there is no 'block_30'"),
        (lambda a: tokens_in_cluster(a, 0, 7), "cluster: there is no 7 in embedding, only 0, 1"),
        (lambda a: tokens_in_cluster(a, 0, "1"), "the number of a cluster is needed, not '1'"),
        (lambda a: tokens_in_cluster(a, 0, True), "the number of a cluster is needed, not True"),
        (lambda a: tokens_in_transition(a, 3, 0, 0), "layer: 'block_3' is the last"),
        (lambda a: tokens_in_transition(a, 0, 5, 0), "cluster: there is no 5 in embedding"),
        (lambda a: tokens_in_transition(a, 0, 0, 5), "cluster: there is no 5 in block_2"),
        (lambda a: cluster_company(a, "blok_2", 0), "did you mean 'block_2'"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(
    analysis: Analysis, ask: Callable[[Analysis], Any], said: str
) -> None:
    with pytest.raises(UnknownChoiceError, match=said) as refused:
        ask(analysis)
    assert isinstance(refused.value, ValueError | LookupError)
    assert "Invalid data" not in str(refused.value)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # noqa: S301


def test_tokens_without_a_cluster_are_found_too() -> None:
    padded = analysis_from_labels(list("ab"), [[-1, 0], [0, 0]])
    assert tokens_in_cluster(padded, 0, -1).tolist() == [0]
    assert tokens_in_cluster(padded, 1, -1).tolist() == []


def test_options_are_refused_with_those_there_are() -> None:
    assert choose("theme", "dark", ["light", "dark"]) == "dark"
    with pytest.raises(UnknownChoiceError) as refused:
        choose("theme", "drak", ["light", "dark"])
    assert str(refused.value) == (
        "theme: there is no 'drak', only light, dark; did you mean 'dark'?"
    )
    with pytest.raises(UnknownChoiceError, match=r"only layer_0, .*layer_11 and 19 more\."):
        layer_position([f"layer_{i}" for i in range(31)], "no such one at all")


def test_whatever_computes_takes_an_analysis_in_any_shape(analysis: Analysis) -> None:
    class Opened:
        def __init__(self, of: Analysis) -> None:
            self.analysis = of

    loaded = {"analysis_data": made(), "metadata": {}, "model_info": {}}
    for given in (analysis, made(), loaded, Opened(analysis)):
        assert as_analysis(given).layers == tuple(LAYERS)
        window = layer_window(given, 0, 3)
        assert len(archetypal_paths(given, window)) == 3
        assert window_grid(given).num_paths[0, 2] == 3
        assert len(layer_steps(given).moved) == 2
        assert tokens_in_cluster(given, 0, 1).tolist() == [2, 3]
    for unlike in (None, [1], "gpt2", 3, Opened(None)):  # type: ignore[arg-type]
        with pytest.raises(ConceptFragmentationError, match="analysis: an Analysis, an open"):
            layer_window(unlike, 0, 1)  # type: ignore[arg-type]


def test_the_structure_that_a_store_loads_stands_for_its_analysis() -> None:
    data = made()
    loaded = {"analysis_data": data, "metadata": {"name": "x"}, "model_info": {}}
    check_analysis(loaded)
    assert Analysis.from_dict(loaded).tokens == ("a", "b", "c", "d")
    assert compute_token_paths(loaded) == compute_token_paths(data)
    assert with_token_paths(loaded) == with_token_paths(data)
    assert compare_analyses(loaded, data).identical
    # What is wrong with it is named as of the analysis itself.
    assert find_problems(loaded | {"analysis_data": data | {"model_type": 3}}) == [
        "model_type: a string is needed, not 3"
    ]
