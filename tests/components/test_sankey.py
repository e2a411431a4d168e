from __future__ import annotations

from collections import Counter
from itertools import pairwise
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
from concept_fragmentation.components.figures.sankey import (
    MOST_BANDS,
    MOST_CLUSTERS,
    token_sankey,
)
from concept_fragmentation.components.figures.theme import least_width_of
from concept_fragmentation.components.palette import faded, ink, path_colour

LABELS = [[0, 1, 0]] * 6 + [[0, 0, 2]] * 3 + [[1, 1, 0]] * 2 + [[2, 0, 2]]


@st.composite
def labels(draw: st.DrawFn) -> list[list[int]]:
    width = draw(st.integers(2, 4))
    row = st.lists(st.integers(-1, 3), min_size=width, max_size=width)
    return draw(st.lists(row, min_size=1, max_size=30))


def whole(rows: list[list[int]]) -> tuple[Analysis, LayerWindow]:
    tokens = [f"t{i}" for i in range(len(rows))]
    analysis = Analysis.from_dict(analysis_from_labels(tokens, rows))
    return analysis, layer_window(analysis, 0, len(rows[0]) - 1)


def links(figure: go.Figure) -> list[dict[str, Any]]:
    """Every link of a Sankey as a dict of its own; none if there is no flow."""
    if not figure.data:
        return []
    link = figure.data[0].link
    columns = ("source", "target", "value", "color", "customdata")
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*(link[column] for column in columns), strict=True)
    ]


def drawn(figure: go.Figure) -> list[dict[str, Any]]:
    return [link for link in links(figure) if link["customdata"][0] == "link"]


def bands(figure: go.Figure) -> Counter[tuple[int, int, int]]:
    """The width of each band, all its pieces together: {(layer, source, target): tokens}."""
    widths: Counter[tuple[int, int, int]] = Counter()
    for link in drawn(figure):
        widths[tuple(link["customdata"][1:4])] += link["value"]
    return widths


def counted(rows: list[list[int]]) -> Counter[tuple[int, int, int]]:
    return Counter(
        (layer, row[layer], row[layer + 1])
        for row in rows
        for layer in range(len(row) - 1)
        if row[layer] >= 0 and row[layer + 1] >= 0
    )


@given(labels(), st.sampled_from(["cluster", "path"]), st.data())
@pytest.mark.slow
def test_every_band_is_as_wide_as_it_has_tokens(
    rows: list[list[int]], colour_by: str, data: st.DataObject
) -> None:
    analysis, window = whole(rows)
    tokens = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    paths = [tuple(path) for path in window.paths.tolist()]
    chosen = data.draw(st.lists(st.sampled_from(paths), max_size=3)) if paths else []
    view = token_sankey(
        analysis, window, colour_by=colour_by, highlighted_tokens=tokens, highlighted_paths=chosen
    )
    assert bands(view.figure) == counted(rows)
    assert (view.num_hidden_links, view.num_hidden_tokens) == (0, 0)


@given(labels(), st.integers(1, 12), st.data())
@pytest.mark.slow
def test_what_is_hidden_is_counted_and_keeps_its_room(
    rows: list[list[int]], least: int, data: st.DataObject
) -> None:
    analysis, window = whole(rows)
    tokens = data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=3))
    view = token_sankey(analysis, window, min_count=least, highlighted_tokens=sorted(tokens))
    expected = counted(rows)
    wanted = counted([rows[token] for token in tokens])
    thin = {band: count for band, count in expected.items() if count < least}
    assert view.num_hidden_links == len(set(thin) - set(wanted))
    assert view.num_hidden_tokens == sum(count - wanted[band] for band, count in thin.items())
    assert set(bands(view.figure)) == {band for band in expected if band not in thin} | set(wanted)
    everything = [link["value"] for link in links(view.figure)]
    assert sum(everything) == sum(expected.values())
    assert min(everything, default=1) > 0


@given(labels(), st.integers(1, 8))
@pytest.mark.slow
def test_every_bar_stands_in_its_layer_and_no_two_overlap(
    rows: list[list[int]], least: int
) -> None:
    analysis, window = whole(rows)
    figure = token_sankey(analysis, window, min_count=least).figure
    if not figure.data:
        return
    node, height = figure.data[0].node, figure.layout.height
    height -= figure.layout.margin.t + figure.layout.margin.b
    flows: Counter[int] = Counter()
    for end in ("source", "target"):
        side: Counter[int] = Counter()
        for link in links(figure):
            side[link[end]] += link["value"]
        flows |= side
    assert set(flows) == set(range(len(node.x))), "Plotly misplaces all if one has no link"
    columns: dict[int, list[int]] = {}
    for i, (kind, layer, *_) in enumerate(node.customdata):
        assert kind == "node"
        columns.setdefault(layer, []).append(i)
    scale = min(
        (height - (len(column) - 1) * node.pad) / sum(flows[i] for i in column)
        for column in columns.values()
    )
    for layer, column in columns.items():
        assert {node.x[i] for i in column} == {
            min(max(layer / (len(window.layers) - 1), 0.001), 0.999)
        }
        edges = sorted(
            (node.y[i] * height - flows[i] * scale / 2, node.y[i] * height + flows[i] * scale / 2)
            for i in column
        )
        assert edges[0][0] >= -1
        assert edges[-1][1] <= height + 1
        for (_, bottom), (top, _) in pairwise(edges):
            assert top - bottom >= node.pad - 1


def test_a_click_says_what_was_hit_by_layer_and_raw_id() -> None:
    analysis, _ = whole(LABELS)
    window = layer_window(analysis, 1, 2)
    figure = token_sankey(analysis, window).figure
    assert {tuple(data[:3]) for data in figure.data[0].node.customdata} == {
        ("node", 1, 0),
        ("node", 1, 1),
        ("node", 2, 0),
        ("node", 2, 2),
    }
    assert {tuple(link["customdata"][:4]) for link in links(figure)} == {
        ("link", 1, 0, 2),
        ("link", 1, 1, 0),
    }
    assert figure.data[0].arrangement == "fixed"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_cluster_has_the_colour_of_its_aligned_id_and_so_have_the_bands_it_sends(
    theme: str,
) -> None:
    analysis, window = whole(LABELS)
    figure = token_sankey(analysis, window, theme=theme).figure
    mapping = analysis.aligned.raw_to_aligned
    assert mapping[1][1] == mapping[0][0], "raw ids differ, or this test shows nothing"
    for colour, (_, layer, cluster, _) in zip(
        figure.data[0].node.color, figure.data[0].node.customdata, strict=True
    ):
        assert colour == faded(colour_of(analysis, mapping[layer][cluster], theme), 1)
    for link in links(figure):
        _, layer, source, *_ = link["customdata"]
        assert link["color"] == faded(colour_of(analysis, mapping[layer][source], theme), 0.4)


def test_hovers_name_layer_cluster_and_the_first_tokens_with_their_positions() -> None:
    analysis, window = whole(LABELS)
    figure = token_sankey(analysis, window).figure
    said = {tuple(data[1:3]): data[3] for data in figure.data[0].node.customdata}
    assert said[0, 1] == (
        "<b>C1</b>, layer_0<br>2 tokens (16.7%)<br>aligned cluster 1<br>“t9” at 9, “t10” at 10"
    )
    assert said[1, 1].endswith("“t0” at 0, “t1” at 1, “t2” at 2, “t3” at 3, …")
    said = {tuple(link["customdata"][1:4]): link["customdata"][4] for link in links(figure)}
    assert said[0, 1, 1] == (
        "<b>C1 → C1</b>, layer_0 → layer_1<br>2 tokens (16.7%)<br>“t9” at 9, “t10” at 10"
    )


def test_clusters_are_labelled_by_their_raw_ids() -> None:
    analysis, window = whole([[5, 7], [5, 3], [2, 3]])
    figure = token_sankey(analysis, window).figure
    shown = {label for label in figure.data[0].node.label if label}
    shown |= {note.text for note in figure.layout.annotations if note.text.startswith("C")}
    assert shown == {"C5", "C2", "C7", "C3"}


def test_by_path_the_most_frequent_paths_are_coloured_and_named() -> None:
    rows = [[i, i] for i in range(10) for _ in range(20 - i)]
    analysis, window = whole(rows)
    figure = token_sankey(analysis, window, colour_by="path").figure
    coloured = {
        tuple(link["customdata"][2:4]): link["color"]
        for link in drawn(figure)
        if link["color"] != faded(ink("light").muted, 0.35)
    }
    assert coloured == {(i, i): faded(path_colour(i), 0.85) for i in range(8)}
    assert "C0→C0 (20)" in figure.layout.annotations[-1].text
    assert "C8→C8" not in figure.layout.annotations[-1].text


def test_highlighted_routes_stand_out_above_a_dimmed_rest_and_are_named() -> None:
    analysis, window = whole(LABELS)
    figure = token_sankey(
        analysis, window, highlighted_tokens=[11], highlighted_paths=[(0, 0, 2)]
    ).figure
    dimmed = faded(ink("light").muted, 0.35)
    colours = [link["color"] for link in links(figure)]
    routes = [link for link in links(figure) if link["color"] != dimmed]
    assert colours.index(routes[0]["color"]) > max(
        i for i, colour in enumerate(colours) if colour == dimmed
    )
    token, path = faded(path_colour(0), 0.95), faded(path_colour(1), 0.95)
    assert {(*link["customdata"][1:4], link["color"], link["value"]) for link in routes} == {
        (0, 2, 0, token, 1),
        (1, 0, 2, token, 1),
        (0, 0, 0, path, 3),
        (1, 0, 2, path, 3),
    }
    assert "“t11” at 11" in figure.layout.annotations[-1].text
    assert "C0→C0→C2 (3)" in figure.layout.annotations[-1].text


def test_one_token_among_thousands_is_seen_and_its_hover_says_the_true_count() -> None:
    analysis, window = whole([[0, 0]] * 9999 + [[0, 1]])
    figure = token_sankey(analysis, window, highlighted_tokens=[3]).figure
    accent = faded(ink("light").accent, 0.95)
    (route,) = [link for link in links(figure) if link["color"] == accent]
    height = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    assert route["value"] / 10_000 * height >= 2.4
    assert "1 of them: “t3” at 3" in route["customdata"][4]
    assert bands(figure) == {(0, 0, 0): 9999, (0, 0, 1): 1}


def test_highlights_that_are_not_in_the_analysis_change_nothing() -> None:
    analysis, window = whole(LABELS)
    plain = token_sankey(analysis, window).figure
    odd = token_sankey(
        analysis, window, highlighted_tokens=[-1, 99], highlighted_paths=[(9, 9, 9), (0,)]
    ).figure
    assert odd == plain


def test_more_than_eight_highlights_share_one_more_colour() -> None:
    analysis, window = whole([[i, i] for i in range(12)])
    figure = token_sankey(analysis, window, highlighted_tokens=range(12)).figure
    assert "4 more" in figure.layout.annotations[-1].text
    assert len({link["color"] for link in links(figure)}) == 9


def test_a_cluster_without_a_neighbour_shifts_no_other() -> None:
    analysis, window = whole([[0, 0, 0], [1, 1, 1], [-1, 2, -1]])
    figure = token_sankey(analysis, window).figure
    assert ("node", 1, 2) not in {tuple(data[:3]) for data in figure.data[0].node.customdata}
    assert len(figure.data[0].node.x) == 6


@pytest.mark.parametrize(
    ("rows", "said"), [([[0], [1]], "two layers"), ([[0, -1], [-1, 1]], "No token has a cluster")]
)
def test_without_a_flow_the_figure_says_why(rows: list[list[int]], said: str) -> None:
    view = token_sankey(*whole(rows))
    assert not view.figure.data
    assert said in view.figure.layout.annotations[0].text


@pytest.mark.slow
def test_thousands_of_clusters_are_drawn_as_far_as_a_browser_can() -> None:
    rng = np.random.default_rng(0)
    analysis, window = whole(rng.integers(0, 300, (5000, 3)).tolist())
    view = token_sankey(analysis, window)
    found = bands(view.figure)
    assert len(found) <= MOST_BANDS
    layers = Counter(data[1] for data in view.figure.data[0].node.customdata)
    assert max(layers.values()) <= MOST_CLUSTERS
    assert sum(found.values()) + view.num_hidden_tokens == 2 * 5000
    assert len(found) + view.num_hidden_links == len(counted(analysis.labels.tolist()))


@pytest.mark.slow
def test_every_token_in_a_cluster_of_its_own_is_not_too_much() -> None:
    order = np.random.default_rng(0).permutation(3000)
    view = token_sankey(*whole(np.stack([np.arange(3000), order], axis=1).tolist()))
    assert view.num_hidden_tokens + sum(bands(view.figure).values()) == 3000


def test_markup_in_tokens_and_layers_is_escaped_everywhere() -> None:
    names = ["<i>a</i>", "%{x}", "&amp;"]
    made = analysis_from_labels(["<b>x</b>", "&lt;", "%{x}"], [[0, 0, 0]] * 3, layers=names)
    analysis = Analysis.from_dict(made)
    figure = token_sankey(analysis, layer_window(analysis, 0, 2), highlighted_tokens=[0, 1]).figure
    texts = [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
    texts += [link["customdata"][4] for link in links(figure)]
    texts += [data[3] for data in figure.data[0].node.customdata]
    joined = "".join(texts)
    assert "<b>x" not in joined
    assert "<i>" not in joined
    assert "&lt;b&gt;x&lt;/b&gt;" in joined
    assert "&amp;lt;" in joined
    assert "&amp;amp;" in joined
    for part in (figure.data[0].link, figure.data[0].node):
        assert part.hovertemplate.startswith("%{customdata[")


@pytest.mark.parametrize(("layers", "least"), [(13, 0), (31, 31 * 42)])
def test_many_layers_need_room_of_their_own(layers: int, least: int) -> None:
    made = analysis_from_labels(["a", "b"], [[0] * layers, [1] * layers])
    analysis = Analysis.from_dict(made)
    window = layer_window(analysis, 0, layers - 1)
    assert least_width_of(token_sankey(analysis, window).figure) == least
