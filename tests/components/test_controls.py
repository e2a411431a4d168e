from __future__ import annotations

import pytest

from concept_fragmentation.analysis import (
    Analysis,
    analysis_from_labels,
    layer_window,
    only_category,
)
from concept_fragmentation.components.controls import (
    TOKENS_OFFERED,
    cluster_options,
    colour_options,
    layer_marks,
    layer_options,
    matches_text,
    matching_tokens,
    only_column_options,
    only_text,
    only_value_options,
    short_names,
    token_options,
    window_text,
)
from concept_fragmentation.components.text import from_visible, visible
from concept_fragmentation.components.words import option_text


@pytest.mark.parametrize(
    ("layers", "short"),
    [
        (["layer_0", "layer_1", "layer_10"], ["0", "1", "10"]),
        (["embedding", "block_1", "block_2"], ["emb", "1", "2"]),
        (["a_1", "a_2", "b_1", "b_2"], ["a_1", "a_2", "b_1", "b_2"]),
        (["h.0.attn", "h.1.attn"], ["0.attn", "1.attn"]),
        (["only"], ["only"]),
        ([], []),
    ],
)
def test_names_on_the_slider_tell_layers_apart(layers: list[str], short: list[str]) -> None:
    assert short_names(layers) == short


def test_no_more_marks_than_fit() -> None:
    assert list(layer_marks([f"layer_{i}" for i in range(26)])) == list(range(0, 26, 2))


def made_of(tokens: list[str], first_position: int = 0) -> Analysis:
    positions = list(range(first_position, first_position + len(tokens)))
    metadata = {"tokens": tokens, "positions": positions}
    return Analysis.from_dict({"model_type": "m", "layers": ["a"], "token_metadata": metadata})


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("·software", [1]),  # as the page shows it, which tells the word from the part of one
        ("software", [1, 2]),
        ("#2567", [0]),
        (" #2568 ", [1]),
        ("#9", [3]),  # a token, not a position that there is
        ("↵", [4]),
        ("U+200B", [5]),
        ("·", [6, 1]),
        ("#99999999999", []),
    ],
)
def test_tokens_are_found_by_what_the_page_shows(typed: str, found: list[int]) -> None:
    tokens = ["free", " software", "softwares", "#9", "\n", "\u200b", "·"]
    assert matching_tokens(made_of(tokens, 2567), typed) == found


@pytest.mark.parametrize("text", [" a", "\n", "\t\tb", "\u200b", "\x00", "\U0010ffff", "naïve"])
def test_what_is_shown_leads_back_to_the_text(text: str) -> None:
    assert from_visible(visible(text)) == text


def test_all_matches_are_offered_or_the_page_says_how_many_are_not() -> None:
    analysis = made_of([","] * 171 + [" a"] * 300)
    commas = matching_tokens(analysis, ",")
    assert [option["value"] for option in token_options(analysis, (), ",", commas)] == commas
    assert (len(commas), matches_text(",", len(commas))) == (171, "171 matches")
    letters = matching_tokens(analysis, "a")
    assert len(token_options(analysis, (), "a", letters)) == TOKENS_OFFERED == 200
    assert matches_text("a", len(letters)) == "300 matches; the first 200 are listed"
    assert matches_text("x", 0) == "0 matches"
    assert matches_text(" ", 0) == ""
    assert matches_text("x", 1) == "1 match"


def test_tokens_are_suggested_before_anything_is_typed() -> None:
    analysis = made_of(["a"] * 30)
    values = [option["value"] for option in token_options(analysis, (29, 99), "")]
    assert values == [29, *range(20)]


def test_the_window_of_a_third_says_that_it_is_one() -> None:
    names = [f"layer_{i}" for i in range(31)]
    analysis = Analysis.from_dict(analysis_from_labels(["a"], [[0] * 31], layers=names))
    assert window_text(analysis, 0, 9).endswith("10 of 31 layers · the first third")
    assert window_text(analysis, 0, 30).endswith("31 of 31 layers")
    assert window_text(analysis, 1, 9).endswith("9 of 31 layers")


def test_the_clusters_of_one_layer_are_offered_alone() -> None:
    analysis = Analysis.from_dict(analysis_from_labels(["a", "b"], [[0, 5, 2], [1, 5, 3]]))
    window = layer_window(analysis, 0, 2)
    assert [option["value"] for option in cluster_options(window, 2)] == ["node.2.2", "node.2.3"]
    assert len(cluster_options(window)) == 5
    assert cluster_options(window, 7) == []


def test_categories_are_offered_with_their_counts() -> None:
    data = analysis_from_labels(["a", "b", "c"], [[0], [0], [1]])
    assert len(only_column_options(Analysis.from_dict(data))) == 1
    data["token_metadata"]["kind"] = ["<b>", "\n", "<b>"]
    analysis = Analysis.from_dict(data)
    assert [option["value"] for option in only_column_options(analysis)] == ["", "kind"]
    options = only_value_options(analysis, "kind")
    assert [(o["label"], o["value"]) for o in options] == [("<b> (2)", "<b>"), ("↵ (1)", "\n")]
    assert only_value_options(analysis, "") == []
    assert only_text(analysis) == ""
    said = only_text(only_category(analysis, "kind", ["<b>"]))
    assert said.startswith("2 of 3 tokens: kind <b>. ")


def test_no_option_has_what_ends_the_search_of_dropdowns() -> None:
    hostile = "a__PROTO__b"
    layers = ["__proto__", "y"]
    data = analysis_from_labels([hostile, "b"], [[0, 1], [0, 1]], layers=layers)
    data["token_metadata"] |= {"x__proto__": [hostile, "__proto__"], "y": ["__proto__", "b"]}
    analysis = Analysis.from_dict(data)
    offered = [
        *token_options(analysis, [0], hostile, [0]),
        *colour_options(analysis),
        *only_column_options(analysis),
        *only_value_options(analysis, "y"),
        *layer_options(layers),
        *cluster_options(layer_window(analysis, 0, 1)),
    ]
    assert len(offered) > 10
    for option in offered:
        assert "__proto__" not in f"{option['label']} {option.get('search')}".lower()
        assert "__proto__" not in str(option["value"]).lower()
    assert option_text("a proto__ _b") == "a proto__ _b"
    assert option_text(hostile).replace("\u2060", "") == hostile
