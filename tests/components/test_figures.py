from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    analysis_from_labels,
    layer_window,
)
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.heads import missing_attention
from concept_fragmentation.components.figures.layer_names import layer_axis, layer_names
from concept_fragmentation.components.figures.layers import (
    attention_by_layer,
    attention_entropies,
    concept_metrics,
    missing_concepts,
)
from concept_fragmentation.components.figures.legends import legend_lines
from concept_fragmentation.components.figures.metrics import (
    MOST_CLUSTERS,
    cluster_entropy,
    cluster_sizes,
    missing_lengths,
    path_length_distributions,
    path_metric_distributions,
    transition_heatmap,
    window_metrics,
)
from concept_fragmentation.components.figures.theme import sentence_of
from concept_fragmentation.components.palette import cluster_colour, ink
from concept_fragmentation.components.words import plural

Build = Callable[..., tuple[Analysis, LayerWindow]]
LABELS = [[0, 1, 0]] * 6 + [[0, 0, 2]] * 3 + [[1, 1, 0]] * 2 + [[2, 0, 2]]
HOSTILE = ["<i>a</i>.%{x}", "&amp;%{z}", "%{customdata[99]}"]


def with_layers(attention: dict[str, Any], clusters: dict[str, Any]) -> Analysis:
    made = analysis_from_labels(["a", "b"], {"h.0": [0, 1], "h.1": [0, 0]})
    return Analysis.from_dict(made | {"attention_data": attention, "cluster_metrics": clusters})


# --- Layer names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "title", "ticks", "numbered"),
    [
        (["layer_0", "layer_1", "layer_10"], "layer", ("0", "1", "10"), True),
        (["layer_10", "layer_11"], "layer", ("10", "11"), True),
        (["h.0.mlp", "h.1.mlp"], "h.n.mlp", ("0", "1"), True),
        (["0", "1"], "layer", ("0", "1"), True),
        (["embed", "layer_0"], "layer", ("embed", "layer_0"), False),
        (["embedding", "block_1", "block_2"], "block", ("emb", "1", "2"), True),
        (["embed", "attn_1", "mlp_1"], "layer", ("embed", "attn_1", "mlp_1"), False),
        (["attn_1", "mlp_1"], "layer", ("attn_1", "mlp_1"), False),
        (["<b>_0", "<b>_1"], "&lt;b&gt;", ("0", "1"), True),
        ([], "layer", (), False),
    ],
)
def test_numbered_layers_are_told_apart_by_their_numbers(
    names: list[str], title: str, ticks: tuple[str, ...], numbered: bool
) -> None:
    shown = layer_names(names)
    assert (shown.title, shown.ticks, shown.numbered) == (title, ticks, numbered)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=100))
def test_an_axis_names_every_layer_or_every_so_many(names: list[str]) -> None:
    axis = layer_axis(names)
    assert len(axis["tickvals"]) == len(axis["ticktext"]) <= 16
    assert axis["tickvals"][0] == 0
    assert axis["range"] == [-0.5, len(names) - 0.5]


# --- Path metrics --------------------------------------------------------------------------------


def test_every_counted_token_is_in_one_bar_of_each_panel(build: Build) -> None:
    analysis, window = build([*LABELS, [0, -1, 0]])
    figure = path_metric_distributions(analysis, window)
    assert [sum(bars.y) for bars in figure.data] == [len(LABELS)] * 3
    changes = window_metrics(analysis, window).cluster_changes[window.path_of_token >= 0]
    assert list(figure.data[0].y) == np.bincount(changes).tolist()
    assert f"mean<br>{changes.mean():.3g}" == figure.layout.annotations[0].text
    # As wide as the bars: what is written at the mean must not widen the axis.
    low, high = figure.layout.xaxis.range
    assert low < 0 < changes.max() < high < changes.max() + 1


def test_a_legend_has_as_many_names_in_a_line_as_a_narrow_page_holds() -> None:
    lines = legend_lines([(f"“·token{i}” at {i}", "#123456") for i in range(8)])
    plain = [re.sub("<.*?>", "", line) for line in lines]
    assert "   ".join(plain).split("   ") == [f"■ “·token{i}” at {i}" for i in range(8)]
    assert max(map(len, plain)) <= 48
    assert len(plain[0]) + 3 + len(plain[1].split("   ")[0]) > 48
    assert legend_lines([]) == []


def test_each_path_length_is_a_panel_where_hidden_states_are_known() -> None:
    rng = np.random.default_rng(0)
    states = {name: rng.normal(size=(200, 4)) for name in ("a", "b")}
    labels = {"a": [0] * 200, "b": [1] * 200}
    made = analysis_from_labels(["x"] * 200, labels, hidden_states=states, keep_massive=True)
    analysis = Analysis.from_dict(made)
    window = layer_window(analysis, 0, 1)
    figure = path_length_distributions(analysis, window)
    assert figure is not None
    found = window_metrics(analysis, window)
    for panel, values in enumerate(
        (found.path_length, found.path_length_scaled, found.path_length_angular)
    ):
        assert values is not None
        assert sum(figure.data[panel].y) == 200
        assert len(figure.data[panel].y) == 24
        assert figure.layout.annotations[panel].text == f"mean<br>{values.mean():.3g}"
    assert figure.layout.xaxis3.title.text.startswith("angular")


def test_without_hidden_states_of_a_layer_paths_have_no_length_and_it_is_said() -> None:
    made = analysis_from_labels(["x"] * 2, {"a": [0, 1], "b": [1, 1]})
    made["hidden_states"] = {"a": np.ones((2, 3))}
    analysis = Analysis.from_dict(made)
    window = layer_window(analysis, 0, 1)
    assert path_length_distributions(analysis, window) is None
    assert "no hidden states of b, so" in missing_lengths(analysis, window)


def test_the_metrics_of_a_window_are_computed_once(
    build: Build,
) -> None:
    analysis, window = build(LABELS)
    first = window_metrics(analysis, window)
    assert window_metrics(analysis, window) is first
    other = layer_window(analysis, 0, 1)
    assert len(window_metrics(analysis, other).cluster_changes) == len(LABELS)
    assert window_metrics(analysis, other) is not first


# --- Cluster sizes and entropy -------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_layers_bars_stand_on_each_other_and_hold_all_its_tokens(
    build: Build, theme: str
) -> None:
    analysis, window = build([*LABELS, [-1, 0, 1]])
    (bars,) = cluster_sizes(analysis, window, theme).data
    mapping = analysis.aligned.raw_to_aligned
    tops = dict.fromkeys(range(3), 0)
    for layer, size, base, label, colour in zip(
        bars.x, bars.y, bars.base, bars.text, bars.marker.color, strict=True
    ):
        assert base == tops[layer]
        tops[layer] += size
        assert colour == colour_of(analysis, mapping[layer][int(label[1:])], theme)
        assert size == (analysis.labels[:, layer] == int(label[1:])).sum()
    assert tops == {0: 12, 1: 13, 2: 13}


def test_each_bar_says_its_cluster_and_the_selected_ones_are_framed(build: Build) -> None:
    analysis, _ = build(LABELS)
    window = layer_window(analysis, 1, 2)
    figure = cluster_sizes(analysis, window, selected=[(1, 0), (2, 99)])
    (bars,) = figure.data
    # A stacked bar's y would be where it ends.
    assert "%{y" not in bars.hovertemplate
    for says, place, label, size in zip(bars.customdata, bars.x, bars.text, bars.y, strict=True):
        assert says[:3] == ["node", 1 + place, int(label[1:])]
        assert says[3] == f"{plural(size, 'token')} ({size / 12:.1%})"
    (frame,) = figure.layout.shapes
    (framed,) = [i for i, says in enumerate(bars.customdata) if says[1:3] == [1, 0]]
    assert frame.x0 < bars.x[framed] < frame.x1
    assert [frame.y0, frame.y1] == [bars.base[framed], bars.base[framed] + bars.y[framed]]


def test_what_is_beyond_the_largest_clusters_is_one_grey_bar(build: Build) -> None:
    analysis, window = build([[i // 2 if i > 50 else i, 0] for i in range(200)])
    (bars,) = cluster_sizes(analysis, window).data
    first = [i for i, layer in enumerate(bars.x) if layer == 0]
    assert len(first) == MOST_CLUSTERS + 1
    assert sum(bars.y[i] for i in first) == 200
    assert bars.marker.color[first[-1]] == ink("light").muted
    assert "smaller clusters" in bars.text[first[-1]]
    assert bars.customdata[first[-1]][0] is None


def test_entropy_stays_below_that_of_equal_clusters(build: Build) -> None:
    analysis, window = build(LABELS)
    evenly, entropy = cluster_entropy(analysis, window).data
    assert np.allclose(entropy.y, window.cluster_entropy)
    in_bits = [float(row[2]) for row in entropy.customdata]
    assert np.allclose(in_bits, np.array(entropy.y) / np.log(2), atol=5e-4)
    assert np.allclose(evenly.y, np.log([3, 2, 2]))
    assert (np.asarray(entropy.y) <= np.asarray(evenly.y) + 1e-12).all()


# --- Transitions ---------------------------------------------------------------------------------


def test_rows_are_shares_and_what_stays_is_on_the_diagonal(build: Build) -> None:
    analysis, _ = build([[0, 9]] * 8 + [[1, 5]] * 6 + [[2, 7]] * 4 + [[0, 5]] * 2)
    figure = transition_heatmap(analysis, 0, 1)
    cells, numbers = figure.data
    # Every number is at the middle of its cell; zeros are not written.
    written = zip(numbers.y, numbers.x, numbers.text, strict=True)
    assert all(f"{100 * cells.z[y][x]:.0f}" == text != "0" for y, x, text in written)
    assert np.allclose(cells.z, [[0.8, 0.2, 0], [0, 1, 0], [0, 0, 1]])
    assert [label.split("C")[-1] for label in figure.layout.xaxis.ticktext] == ["9", "5", "7"]
    assert cells.customdata[0][1] == ["C0 in layer_0", "C5 in layer_1", 2, "20.0%"]
    colours = [label.split("color:")[1][:7] for label in figure.layout.xaxis.ticktext]
    assert colours == [cluster_colour(i) for i in range(3)]


def test_what_stays_over_a_layer_that_scatters_all_is_on_the_diagonal(build: Build) -> None:
    # In between every token is alone, so that no chain goes through.
    rows = [[i // 6, i, 2 - i // 6] for i in range(18)]
    analysis, _ = build(rows)
    assert not set(analysis.aligned.labels[:, 0]) & set(analysis.aligned.labels[:, 2])
    figure = transition_heatmap(analysis, 0, 2)
    assert np.allclose(figure.data[0].z, np.eye(3))
    assert [label.split("C")[-1] for label in figure.layout.xaxis.ticktext] == ["2", "1", "0"]


def test_layers_need_not_be_neighbours_and_tokens_without_a_cluster_do_not_count(
    build: Build,
) -> None:
    analysis, _ = build([[0, -1, 1], [0, 0, 1], [0, 0, -1]])
    cells, _ = transition_heatmap(analysis, 0, 2).data
    assert np.allclose(cells.z, [[1.0]])
    assert cells.customdata[0][0][2] == 2


def test_of_many_clusters_the_largest_are_shown_with_shares_of_all_their_tokens(
    build: Build,
) -> None:
    analysis, _ = build([[i % 100, i] for i in range(300)])
    figure = transition_heatmap(analysis, 0, 1)
    assert np.asarray(figure.data[0].z).shape == (MOST_CLUSTERS, MOST_CLUSTERS)
    assert np.asarray(figure.data[0].z).max() == pytest.approx(1 / 3)
    assert "largest" in figure.layout.title.subtitle.text


# --- Attention and concepts ----------------------------------------------------------------------


def test_attention_entropy_is_computed_where_only_weights_are_given() -> None:
    weights = np.array([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]]])
    analysis = with_layers(
        {"h.0": {"attention_probs": weights, "num_heads": 2}, "h.1": {"entropy": 1.5}}, {}
    )
    found = attention_entropies(analysis)
    assert np.allclose(found["h.0"], [np.log(2) / 2, 0])
    assert np.allclose(found["h.1"], [1.5])
    figure = attention_by_layer(analysis)
    assert figure is not None
    assert np.allclose(figure.data[-1].y, [np.log(2) / 4, 1.5])


def test_padded_queries_do_not_count_for_the_entropy() -> None:
    weights = np.tri(3)[np.newaxis] / np.arange(1, 4)[:, np.newaxis]
    data = {
        "model_type": "gpt2",
        "layers": ["a"],
        "token_metadata": {"tokens": ["x", "y", "<pad>"], "attention_mask": [1, 1, 0]},
        "attention_data": {"a": {"attention_probs": weights}},
    }
    assert np.allclose(attention_entropies(Analysis.from_dict(data))["a"], np.log(2) / 2)
    data["token_metadata"] = {
        "tokens": [["x", "y", "z"], ["x", "y", "<pad>"]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
    }
    data["attention_data"] = {"a": {"attention_probs": np.stack([weights, weights])}}
    expected = (2 * np.log(2) + np.log(3)) / 5
    assert np.allclose(attention_entropies(Analysis.from_dict(data))["a"], expected)


def test_a_layer_without_a_value_is_a_gap() -> None:
    analysis = with_layers({"h.1": {"head_agreement": 0.5}}, {"h.0": {"purity": 0.9}})
    attention, concepts = attention_by_layer(analysis), concept_metrics(analysis)
    assert attention is not None
    assert concepts is not None
    assert list(attention.data[0].y) == [None, 0.5]
    assert list(concepts.data[0].y) == [0.9, None]


def test_what_an_analysis_lacks_is_said_with_the_way_to_get_it() -> None:
    analysis = with_layers({}, {})
    assert attention_by_layer(analysis) is None
    assert concept_metrics(analysis) is None
    assert "attention_data" in missing_attention(analysis)
    assert "cluster_metrics" in missing_concepts(analysis)


# --- All figures ---------------------------------------------------------------------------------


def figures(analysis: Analysis, theme: str) -> list[go.Figure]:
    window = layer_window(analysis, 0, 2)
    made = [draw(analysis, window, theme) for draw in (cluster_sizes, cluster_entropy)]
    made += [path_metric_distributions(analysis, window, theme)]
    made += [transition_heatmap(analysis, 0, 2, theme)]
    made += [attention_by_layer(analysis, theme), concept_metrics(analysis, theme)]
    assert None not in made
    return made


def hostile() -> Analysis:
    made = analysis_from_labels(["a", "b", "c"], [[0, 1, 0], [1, 1, 0], [0, 0, 1]], layers=HOSTILE)
    made["attention_data"] = {name: {"entropy": [1.0, 2.0]} for name in HOSTILE}
    made["cluster_metrics"] = {name: {"purity": 0.5, "silhouette": 0.1} for name in HOSTILE}
    return Analysis.from_dict(made)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_has_a_title_a_subtitle_that_fits_and_named_axes(theme: str) -> None:
    for figure in figures(hostile(), theme):
        assert figure.layout.title.text
        assert 0 < len(figure.layout.title.subtitle.text) <= 70
        assert figure.layout.paper_bgcolor == ink(theme).surface
        titles = [figure.layout[name].title.text for name in figure.layout if name[1:5] == "axis"]
        assert any(titles)


def test_no_name_of_a_layer_gets_into_a_template_or_becomes_markup(
    text_of: Callable[[go.Figure], str],
) -> None:
    for figure in figures(hostile(), "light"):
        templates = "".join(trace.hovertemplate or "" for trace in figure.data)
        for part in ("</i>", "&lt;", "&amp;", ".%{x}", "customdata[99]"):
            assert part not in templates
        text = text_of(figure)
        assert "<i>" not in text
        assert '"&amp;%{z}' not in text


def test_a_window_without_any_counted_token_is_drawn_too(build: Build) -> None:
    analysis, window = build([[0, -1], [-1, 1]])
    for draw in (cluster_sizes, cluster_entropy):
        assert draw(analysis, window).layout.title.text
    said = sentence_of(path_metric_distributions(analysis, window))
    assert said == "No token has a cluster in every layer of the window."
    assert transition_heatmap(analysis, 0, 1).layout.title.text
