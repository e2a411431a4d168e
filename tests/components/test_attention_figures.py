from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    analysis_from_labels,
    attention_path_correlation,
    attention_rollout,
    attention_statistics,
    query_path_correlations,
)
from concept_fragmentation.components.figures.attention import (
    attention_matrix,
    rollout_matrix,
    rollout_of,
    token_rollout,
)
from concept_fragmentation.components.figures.attention_data import (
    attention_flow_frame,
    attention_matrix_frame,
    heads_frame,
    layer_agreement_frame,
    path_attention_frame,
    token_rollout_frame,
)
from concept_fragmentation.components.figures.attention_flow import (
    OTHERS,
    attention_flow,
    attention_flow_sankey,
)
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.data import to_csv
from concept_fragmentation.components.figures.heads import (
    head_agreement,
    head_entropy,
    head_values,
    layer_agreement,
    missing_attention,
    missing_head_agreement,
    missing_heads,
    missing_layer_agreement,
)
from concept_fragmentation.components.figures.path_attention import (
    missing_path_attention,
    path_attention,
    path_attention_by_layer,
    path_attention_by_token,
)
from concept_fragmentation.components.figures.weights import (
    MOST_TOKENS,
    attention_weights,
    missing_weights,
    sequence_of,
    sequence_tokens,
    token_names,
    too_many_tokens,
    weight_layers,
)
from concept_fragmentation.components.palette import ink

LAYERS = ("h.0", "h.1", "h.2")


def causal(num_heads: int, size: int, seed: int) -> npt.NDArray[np.float64]:
    weights = np.tril(np.random.default_rng(seed).random((num_heads, size, size)) ** 4 + 1e-3)
    scaled: npt.NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return scaled


def made(size: int = 12, num_heads: int = 3, **attention: Any) -> Analysis:
    rng = np.random.default_rng(1)
    labels = {name: rng.integers(0, 3, size).tolist() for name in LAYERS}
    data = analysis_from_labels([f" t{i}" for i in range(size)], labels)
    weights = {name: causal(num_heads, size, i) for i, name in enumerate(LAYERS)}
    given = {name: {"attention_probs": array} | attention for name, array in weights.items()}
    return Analysis.from_dict(data | {"attention_data": given})


def without_weights(**attention: Any) -> Analysis:
    data = analysis_from_labels(["a", "b"], {name: [0, 1] for name in LAYERS})
    return Analysis.from_dict(data | {"attention_data": {"h.1": attention} if attention else {}})


# --- Weights -------------------------------------------------------------------------------------


def test_weights_of_a_sequence_are_cut_out_of_those_of_all_tokens() -> None:
    data = analysis_from_labels(["a", "b", "c", "d"], {"h.0": [0, 0, 1, 1]})
    data["token_metadata"]["sequence_ids"] = [7, 7, 9, 9]
    weights = causal(2, 4, 0)
    analysis = Analysis.from_dict(data | {"attention_data": {"h.0": {"attention_probs": weights}}})
    assert sequence_tokens(analysis, 1).tolist() == [2, 3]
    assert sequence_of(analysis, 3) == 1
    assert np.array_equal(attention_weights(analysis, "h.0", 1), weights[:, 2:, 2:])
    assert sequence_tokens(analysis, 2).tolist() == []


def test_weights_of_sequences_of_one_length_may_be_given_apart() -> None:
    weights = np.stack([causal(2, 2, 0), causal(2, 2, 1)])
    analysis = Analysis.from_dict(
        {
            "model_type": "m",
            "layers": ["h.0"],
            "token_metadata": {"tokens": [["a", "b"], ["c", "d"]]},
            "attention_data": {"h.0": {"attention_probs": weights}},
        }
    )
    assert np.array_equal(attention_weights(analysis, "h.0", 1), weights[1])
    assert weight_layers(analysis) == ("h.0",)


def test_the_weights_of_a_sequence_are_those_of_its_tokens_whatever_its_id() -> None:
    weights = np.stack([causal(2, 2, 0), causal(2, 2, 1)])
    analysis = Analysis.from_dict(
        {
            "model_type": "m",
            "layers": ["h.0"],
            "token_metadata": {"tokens": [["a", "b"], ["c", "d"]], "sequence_ids": [9, 9, 2, 2]},
            "attention_data": {"h.0": {"attention_probs": weights}},
        }
    )
    assert sequence_of(analysis, 0) == 0
    assert sequence_tokens(analysis, 0).tolist() == [0, 1]
    assert np.array_equal(attention_weights(analysis, "h.0", sequence_of(analysis, 3)), weights[1])


def test_tokens_that_look_alike_have_different_names() -> None:
    data = analysis_from_labels(["a", "a"], {"h.0": [0, 0]})
    data["token_metadata"]["positions"] = [3, 3]
    names = token_names(Analysis.from_dict(data), [0, 1])
    assert names == ["a 3 (0)", "a 3 (1)"]


def test_what_is_missing_or_too_much_is_said_with_the_way_out() -> None:
    assert "attention_probs" in missing_weights(without_weights())
    assert "keeps no" in missing_weights(without_weights(entropy=1.0))
    assert "attention_statistics" in missing_heads(without_weights(entropy=1.0), "agreement")
    ways = (missing_attention, missing_head_agreement, missing_layer_agreement)
    assert len({said(without_weights()) for said in ways}) == 1
    assert len({said(without_weights(entropy=1.0)) for said in ways}) == 3
    assert too_many_tokens(made()) is None
    data = analysis_from_labels(["a"] * (MOST_TOKENS + 1), {"h.0": [0] * (MOST_TOKENS + 1)})
    assert "1,025 tokens" in (too_many_tokens(Analysis.from_dict(data)) or "")


# --- Heads ---------------------------------------------------------------------------------------


def test_what_heads_do_is_computed_where_only_weights_are_given() -> None:
    analysis = made()
    expected = attention_statistics({name: causal(3, 12, i) for i, name in enumerate(LAYERS)})
    figure = head_entropy(analysis, normalised=True)
    assert figure is not None
    assert np.allclose(figure.data[0].z.T, [expected[n]["entropy_normalised"] for n in LAYERS])
    nats = head_entropy(analysis)
    assert nats is not None
    assert np.allclose(nats.data[0].z.T, [expected[n]["entropy"] for n in LAYERS])
    assert "h.1, head 2" in nats.data[0].customdata[2][1][3]


def test_what_is_given_is_not_computed_anew() -> None:
    values = head_values(made(entropy=[1.0, 2.0, 3.0]), "entropy")
    assert values is not None
    assert values.tolist() == [[1.0, 2.0, 3.0]] * 3


def test_layers_without_a_value_are_gaps_and_one_number_is_that_of_all_heads() -> None:
    data = analysis_from_labels(["a", "b"], {name: [0, 1] for name in LAYERS})
    data["attention_data"] = {"h.0": {"entropy": [1.0, 2.0]}, "h.1": {"num_heads": 2}}
    figure = head_entropy(Analysis.from_dict(data))
    assert figure is not None
    assert np.array_equal(figure.data[0].z, [[1.0, np.nan], [2.0, np.nan]], equal_nan=True)
    assert figure.layout.xaxis.ticktext == ("0", "1")
    data["attention_data"]["h.1"] = {"entropy": 1.5}
    both = head_entropy(Analysis.from_dict(data))
    assert both is not None
    assert np.array_equal(both.data[0].z, [[1.0, 1.5], [2.0, 1.5]])
    for name in ("entropy_normalised", "first_token_weight"):
        assert head_values(without_weights(entropy=1.5), name) is None
    assert head_entropy(without_weights(head_agreement=0.5)) is None


def test_agreement_stands_beside_that_by_chance() -> None:
    analysis = made()
    within, between = head_agreement(analysis), layer_agreement(analysis)
    assert within is not None
    assert between is not None
    found, chance = within.data
    given = analysis.attention_figures
    assert list(found.y) == [given[name]["head_agreement"] for name in LAYERS]
    assert list(chance.y) == [given[name]["head_agreement_chance"] for name in LAYERS]
    matrix = np.asarray(between.data[0].z)
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), found.y)
    assert "by chance" in between.data[0].customdata[0][1][1]


def test_of_agreement_alone_only_that_within_layers_is_drawn() -> None:
    analysis = without_weights(head_agreement=0.5)
    within = head_agreement(analysis)
    assert within is not None
    assert len(within.data) == 1
    assert layer_agreement(analysis) is None
    assert head_agreement(without_weights(entropy=1.0)) is None


# --- Matrices and rollout ------------------------------------------------------------------------


def test_a_cell_holds_the_weight_of_query_and_key_in_thousandths() -> None:
    analysis = made()
    weights = causal(3, 12, 1)
    head = attention_matrix(analysis, "h.1", 2, highlighted_tokens=[4, 99])
    assert np.abs(np.asarray(head.data[0].z) / 1000 - weights[2]).max() <= 0.0005
    assert list(head.data[0].x) == list(head.data[0].y)
    assert head.data[0].y[3] == "·t3 3"
    assert len(head.layout.shapes) == 2
    mean = attention_matrix(analysis, "h.1")
    assert np.abs(np.asarray(mean.data[0].z) / 1000 - weights.mean(axis=0)).max() <= 0.0005
    assert "mean of 3 heads" in mean.layout.title.text


def test_rollout_of_one_token_is_its_row_of_the_whole() -> None:
    analysis = made()
    rolled = attention_rollout([causal(3, 12, i) for i in range(3)])
    assert np.allclose(rollout_of(analysis, 7), rolled[:, 7])
    matrix = rollout_matrix(analysis, "h.1")
    assert np.abs(np.asarray(matrix.data[0].z) / 1000 - rolled[1]).max() <= 0.0005
    row = token_rollout(analysis, 7)
    assert np.asarray(row.data[0].z).shape == (3, 8)
    assert np.allclose(np.asarray(row.data[0].z) / 1000, rolled[:, 7, :8], atol=1e-4)


def test_weights_on_later_tokens_are_refused_in_one_sentence() -> None:
    data = analysis_from_labels(["a", "b"], {"h.0": [0, 1]})
    weights = np.full((1, 2, 2), 0.5)
    analysis = Analysis.from_dict(data | {"attention_data": {"h.0": {"attention_probs": weights}}})
    for draw in (
        lambda: rollout_matrix(analysis, "h.0"),
        lambda: attention_flow(analysis, 0),
        lambda: path_attention(analysis),
    ):
        with pytest.raises(InvalidDataError, match="causal"):
            draw()
    assert attention_matrix(analysis, "h.0").data[0].z[0][1] == 500
    assert head_entropy(analysis) is None


# --- Attention flow ------------------------------------------------------------------------------


def test_without_a_threshold_to_speak_of_the_flow_is_the_rollout() -> None:
    analysis = made(size=5)
    flow = attention_flow(analysis, 4, threshold=0.0)
    reached: dict[int, float] = {}
    for layer, source, _, share in flow.links:
        if layer == 0:
            reached[source] = reached.get(source, 0.0) + share
    shares = rollout_of(analysis, 4)[-1]
    others = reached.pop(OTHERS, 0.0)
    assert sum(reached.values()) + others == pytest.approx(1)
    assert all(share <= shares[token] + 1e-9 for token, share in reached.items())
    assert others < 0.2


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.6])
def test_at_each_layer_all_shares_sum_to_one_and_thin_ones_are_together(threshold: float) -> None:
    flow = attention_flow(made(), 11, threshold=threshold)
    for layer in range(3):
        links = [link for link in flow.links if link[0] == layer]
        assert sum(share for *_, share in links) == pytest.approx(1)
        assert all(share >= threshold for _, source, _, share in links if source != OTHERS)


def test_below_the_flow_it_says_that_chains_share_colours() -> None:
    analysis = made(20)
    labels = np.tile(np.arange(20)[:, np.newaxis], (1, len(analysis.labelled_layers)))
    many = replace(analysis, labels=labels)
    said = "20 chains of clusters share 16 distinct colours;<br>the largest differ from each other."
    for one, notes in ((analysis, 0), (many, 1)):
        figure = attention_flow_sankey(one, attention_flow(one, 11))
        assert sum(note.text == said for note in figure.layout.annotations) == notes


def test_nodes_of_the_flow_have_the_colours_of_their_clusters() -> None:
    analysis = made()
    flow = attention_flow(analysis, 11, threshold=0.05)
    figure = attention_flow_sankey(analysis, flow)
    node = figure.data[0].node
    last = [i for i, x in enumerate(node.x) if x == 0.999]
    (end,) = last
    assert node.customdata[end][:2] == ["token", 11]
    # A token may be "others" too.
    assert {label[:1] for label in node.label if label != "others"} == {"", "“"}
    aligned = int(analysis.aligned.labels[11, 2])
    assert node.color[end] == colour_of(analysis, aligned)
    first = [i for i, x in enumerate(node.x) if x == 0.001]
    assert {node.color[i] for i in first} <= {ink("light").series, ink("light").muted}
    assert sum(figure.data[0].link.value) == pytest.approx(3, abs=1e-4)


# --- Paths ---------------------------------------------------------------------------------------


def test_the_correlation_of_a_layer_is_the_weighted_mean_of_its_queries() -> None:
    analysis = made(size=20)
    found = path_attention(analysis)
    assert found is not None
    for i in range(3):
        one = attention_path_correlation([causal(3, 20, i)], [analysis.labels])
        assert found.correlation[i] == one.correlation
        queries = query_path_correlations(causal(3, 20, i), analysis.labels)
        known = ~np.isnan(queries)
        assert known.sum() == one.num_queries
        # The keys of query i are those before it, but the first.
        keys = np.arange(20) - 1
        mean = np.average(queries[known], weights=keys[known] - 1)
        assert mean == pytest.approx(one.correlation)
        assert np.array_equal(found.by_query[i], queries, equal_nan=True)


def test_correlations_are_drawn_by_layer_and_by_token() -> None:
    analysis = made(size=20)
    found = path_attention(analysis)
    assert found is not None
    figure = path_attention_by_layer(found)
    plain, partial = figure.data
    (legend,) = figure.layout.annotations
    assert f'{partial.line.color}">■</span> given the distance of tokens (dashed)' in legend.text
    assert np.allclose(plain.y, found.correlation)
    assert np.allclose(partial.y, found.partial_correlation)
    figure = path_attention_by_token(analysis, found, highlighted_tokens=[5])
    assert np.asarray(figure.data[0].z).shape == (3, 20)
    assert len(figure.layout.shapes) == 1


def test_what_is_missing_for_the_correlation_is_said() -> None:
    assert path_attention(without_weights()) is None
    assert "attention_probs" in missing_path_attention(without_weights())
    unlabelled = Analysis.from_dict(
        {
            "model_type": "m",
            "layers": ["h.0"],
            "token_metadata": {"tokens": ["a", "b"]},
            "attention_data": {"h.0": {"attention_probs": causal(1, 2, 0)}},
        }
    )
    assert path_attention(unlabelled) is None
    assert "cluster_labels" in missing_path_attention(unlabelled)


# --- Tables and hostile names --------------------------------------------------------------------


def test_the_tables_hold_what_the_figures_show() -> None:
    analysis = made()
    heads = heads_frame(analysis)
    assert heads.shape == (9, 5)
    assert heads_frame(without_weights()).empty
    assert len(layer_agreement_frame(analysis)) == 6
    assert layer_agreement_frame(without_weights()).empty
    matrix = attention_matrix_frame(analysis, "h.0", 1)
    assert matrix.groupby("query_position")["weight"].sum().tolist() == pytest.approx([1] * 12)
    rollout = token_rollout_frame(analysis, 3)
    assert rollout.groupby("layer")["share"].sum().tolist() == pytest.approx([1] * 3)
    flow = attention_flow_frame(analysis, attention_flow(analysis, 11, threshold=0.1))
    assert flow.groupby("layer")["share"].sum().tolist() == pytest.approx([1] * 3)
    assert "others" in set(flow["source"])
    assert ",11," in to_csv(flow)
    found = path_attention(analysis)
    assert found is not None
    assert len(path_attention_frame(analysis, found)) == 36


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_token_or_layer_name_becomes_markup_or_gets_into_a_template(
    theme: str, text_of: Callable[[go.Figure], str]
) -> None:
    layers = ["<i>a</i>.%{x}", "&amp;%{z}"]
    data = analysis_from_labels(
        ["<b>x</b>", "&amp;", "%{y}\u202e", "a", "b", "c"],
        [[0, i % 2] for i in range(6)],
        layers=layers,
    )
    weights = {name: {"attention_probs": causal(2, 6, i)} for i, name in enumerate(layers)}
    analysis = Analysis.from_dict(data | {"attention_data": weights})
    found = path_attention(analysis)
    assert found is not None
    for figure in (
        head_entropy(analysis, theme),
        head_agreement(analysis, theme),
        layer_agreement(analysis, theme),
        attention_matrix(analysis, layers[0], 0, highlighted_tokens=[1], theme=theme),
        rollout_matrix(analysis, layers[1], theme=theme),
        token_rollout(analysis, 5, theme),
        attention_flow_sankey(analysis, attention_flow(analysis, 5), theme),
        path_attention_by_layer(found, theme),
        path_attention_by_token(analysis, found, theme=theme),
    ):
        assert figure is not None
        templates = "".join(getattr(trace, "hovertemplate", None) or "" for trace in figure.data)
        for part in ("</i>", "&lt;", "&amp;", ".%{x}"):
            assert part not in templates
        text = text_of(figure)
        assert "<i>" not in text
        assert "<b>x</b>" not in text
        assert "\u202e" not in text
        assert 0 < len(figure.layout.title.subtitle.text) <= 63
        assert figure.layout.paper_bgcolor == ink(theme).surface
