from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    analysis_from_labels,
    layer_window,
    window_grid,
)
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.colouring import (
    colouring_name,
    colourings,
    token_groups,
)
from concept_fragmentation.components.figures.path_data import (
    compared_tokens_frame,
    layer_steps_frame,
    trajectories_frame,
    window_grid_frame,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.token_comparison import (
    MOST_COMPARED,
    compared_tokens,
    shared_clusters,
)
from concept_fragmentation.components.figures.trajectories import (
    MOST_LINES,
    MOST_TRACED,
    trajectory_lines,
)
from concept_fragmentation.components.figures.windows import (
    MOST_ROWS,
    convergence_by_step,
    path_map,
    tokens_by_path,
    window_fragmentation,
)
from concept_fragmentation.components.palette import ink, path_colour
from concept_fragmentation.components.words import plural

Build = Callable[..., tuple[Analysis, LayerWindow]]
LABELS = [[0, 1, 0]] * 6 + [[0, 0, 2]] * 3 + [[1, 1, 0]] * 2 + [[2, 0, 2]]
HOSTILE_LAYERS = ["<i>a</i>.%{x}", "&amp;%{z}", "%{customdata[99]}"]
HOSTILE_TOKENS = ["<b>x</b>", "&amp;", "%{y}\u202e"]


def with_columns(labels: list[list[int]], **columns: list[Any]) -> tuple[Analysis, LayerWindow]:
    made = analysis_from_labels([f"t{i}" for i in range(len(labels))], labels)
    made["token_metadata"] |= columns
    analysis = Analysis.from_dict(made)
    return analysis, layer_window(analysis, 0, len(labels[0]) - 1)


def bars_of(figure: go.Figure) -> Any:
    (bars,) = [trace for trace in figure.data if trace.type == "bar"]
    return bars


def solid(figure: go.Figure) -> list[Any]:
    return [t for t in figure.data if t.type == "scatter" and t.hovertemplate]


# --- Trajectories --------------------------------------------------------------------------------


def test_bars_are_as_high_as_their_clusters_have_counted_tokens(build: Build) -> None:
    analysis, window = build([*LABELS, [0, -1, 0]])
    bars = bars_of(trajectory_lines(analysis, window))
    # A stacked bar's y would be where it ends.
    assert "%{y" not in bars.hovertemplate
    counted = analysis.labels[window.path_of_token >= 0]
    for layer, cluster, size, colour, says in zip(
        bars.x, bars.text, bars.y, bars.marker.color, bars.customdata, strict=True
    ):
        assert says[:3] == ["node", layer, int(cluster)]
        assert says[4] == f"{plural(size, 'token')} ({size / len(counted):.1%})"
        assert size == (counted[:, layer] == int(cluster)).sum()
        mapping = analysis.aligned.raw_to_aligned[layer]
        assert colour == colour_of(analysis, mapping[int(cluster)])


def test_every_line_runs_through_the_bars_of_its_clusters(build: Build) -> None:
    analysis, window = build(LABELS)
    figure = trajectory_lines(analysis, window)
    bars = bars_of(figure)
    spans = {
        (layer, int(cluster)): (base, base + size)
        for layer, cluster, base, size in zip(bars.x, bars.text, bars.base, bars.y, strict=True)
    }
    seen = []
    for trace in solid(figure):
        for x, y, says in zip(trace.x, trace.y, trace.customdata, strict=True):
            if says[0] is None:
                assert np.isnan(y)
                continue
            path = [int(c) for c in says[3].split("</b>")[0].removeprefix("<b>").split("→")]
            low, high = spans[round(float(x)), path[round(float(x))]]
            assert low <= y <= high
            assert list(says[:3]) == ["node", round(float(x)), path[round(float(x))]]
            seen.append(tuple(path))
    assert set(seen) == {tuple(path) for path in window.paths.tolist()}
    assert set(np.bincount(window.path_of_token)) == set(window.counts)


def test_of_many_paths_the_most_frequent_are_lines_and_it_is_said(build: Build) -> None:
    analysis, window = build([[i, i] for i in range(300)] + [[0, 0]] * 5)
    figure = trajectory_lines(analysis, window)
    drawn = sum(sum(says[0] is None for says in t.customdata) for t in solid(figure))
    assert drawn == MOST_LINES
    assert f"{MOST_LINES} of 300 paths" in figure.layout.title.subtitle.text


def test_highlighted_tokens_and_paths_are_on_top_in_their_colours(build: Build) -> None:
    analysis, window = build(LABELS)
    figure = trajectory_lines(
        analysis, window, highlighted_tokens=[11, 99], highlighted_paths=[(0, 1, 0), (9, 9, 9)]
    )
    token, path = figure.data[-2:]
    assert [token.line.color, path.line.color] == [path_colour(0), path_colour(1)]
    assert token.customdata[0] == ["node", 0, 2, "“t11” at 11", "layer_0"]
    assert [says[2] for says in path.customdata[::2]] == [0, 1, 0]
    assert "t11" in figure.layout.annotations[0].text
    alone = trajectory_lines(analysis, window, highlighted_tokens=[11])
    assert alone.data[-1].line.color == ink("light").accent
    many = trajectory_lines(analysis, window, highlighted_tokens=range(12))
    assert len([t for t in many.data if t.type == "scatter" and t.zorder == 1]) == MOST_TRACED
    assert "4 more, not drawn" in str(many.layout.annotations)
    assert "not drawn" not in str(figure.layout.annotations)
    # Not over the numbers of clusters.
    assert next(t for t in many.data if t.type == "bar").zorder == 2


@pytest.mark.parametrize("labels", [[[0]], [[0, -1], [-1, 1]]])
def test_where_there_is_no_trajectory_the_figure_says_why(
    build: Build, labels: list[list[int]]
) -> None:
    (note,) = trajectory_lines(*build(labels)).layout.annotations
    assert "layer" in note.text


# --- All layers ----------------------------------------------------------------------------------


def test_the_map_of_paths_has_alike_paths_beside_each_other(build: Build) -> None:
    analysis, _ = build([[0, 1, 0], [1, 0, 1], [0, 1, 0], [-1, -1, -1], [1, 0, 0]])
    order = tokens_by_path(analysis).tolist()
    assert sorted(order) == [0, 1, 2, 4]
    assert abs(order.index(0) - order.index(2)) == 1
    cells, moved = path_map(analysis).data
    aligned = analysis.aligned.labels[order]
    assert np.array_equal(cells.z, aligned)
    assert cells.text[order.index(4)][1].startswith("<b>“t4” at 4</b><br>layer_1, C0")
    expected = (aligned[:, 1:] != aligned[:, :-1]).mean(axis=0)
    assert np.allclose(moved.y, expected)


def test_of_many_tokens_every_so_many_th_is_a_row(build: Build) -> None:
    analysis, _ = build([[i % 3, i % 5] for i in range(1201)])
    figure = path_map(analysis)
    assert len(figure.data[0].z) <= MOST_ROWS
    assert figure.layout.title.subtitle.text.startswith("every 3rd of 1,201 tokens")
    shares = np.bincount(np.asarray(figure.data[0].z)[:, 0].astype(int)) / len(figure.data[0].z)
    assert np.allclose(shares, 1 / 3, atol=0.01)


def test_a_token_without_a_cluster_in_a_layer_has_a_gap_there(build: Build) -> None:
    analysis, _ = build([[0, -1], [0, 1]])
    cells = path_map(analysis).data[0]
    assert np.isnan(np.asarray(cells.z)).sum() == 1


def test_the_fragmentation_of_every_window_is_a_cell_and_the_shown_one_is_framed(
    build: Build,
) -> None:
    analysis, _ = build(LABELS)
    figure = window_fragmentation(analysis, window=(0, 2))
    cells, numbers = figure.data
    assert np.allclose(cells.z, window_grid(analysis).fragmentation, equal_nan=True)
    written = dict(zip(zip(numbers.y, numbers.x, strict=True), numbers.text, strict=True))
    assert written[0, 2] == f"{cells.z[0][2]:.2f}"
    assert (2, 0) not in written
    assert cells.customdata[0][2] == [
        "span",
        0,
        2,
        "layer_0 to layer_2",
        "4 paths",
        "12 tokens",
        "no noise floor known",
    ]
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1.5, 2.5, -0.5, 0.5)


def test_parting_and_joining_stand_between_their_layers(build: Build) -> None:
    analysis, _ = build(LABELS)
    figure = convergence_by_step(analysis)
    apart, together = figure.data
    frame = layer_steps_frame(analysis)
    assert list(apart.x) == [0.5, 1.5]
    assert np.allclose(apart.y, frame["divergence"])
    assert np.allclose(together.y, frame["convergence"])
    (legend,) = figure.layout.annotations
    assert f'{apart.line.color}">■</span> come apart' in legend.text
    assert f'{together.line.color}">■</span> come together (dashed)' in legend.text


# --- Tokens compared -----------------------------------------------------------------------------


def test_tokens_that_share_a_cluster_are_in_a_box(build: Build) -> None:
    analysis, window = build([[0, 1, 0], [0, 0, 0], [1, 0, 1]])
    figure = compared_tokens(analysis, window, [0, 1])
    assert len(figure.layout.shapes) == 2
    first, second = figure.data
    assert first.customdata[0][3] == "with 1 of the others"
    assert second.customdata[1][3] == "with none of the others"
    assert "all of them in 2 of 3 layers" in figure.layout.title.subtitle.text
    # Both are within the box, and wider apart than they are drawn.
    assert 0.2 < abs(first.y[0] - second.y[0]) < 0.7
    assert abs(first.y[1] - second.y[1]) > 0.7


def test_where_tokens_are_together_is_said_in_words(build: Build) -> None:
    analysis, window = build([[0, 1, 0, 2], [0, 1, 1, 2], [1, 0, 0, 0]])
    assert shared_clusters(analysis, window, [0, 1]) == (
        "“t0” and “t1” are in one cluster in layer_0 to layer_1 and layer_3."
    )
    assert shared_clusters(analysis, window, [0, 0]).startswith("Choose two")
    assert "never all" in shared_clusters(analysis, window, [0, 1, 2])
    alike, whole = build([[0, 1], [0, 1]])
    assert "every layer" in shared_clusters(alike, whole, [0, 1])


def test_no_more_tokens_are_compared_than_can_be_told_apart(build: Build) -> None:
    analysis, window = build(LABELS)
    assert len(compared_tokens(analysis, window, range(12)).data) == MOST_COMPARED
    (note,) = compared_tokens(analysis, window, [3, 99]).layout.annotations
    assert "two to five" in note.text


# --- Colours by category and metric --------------------------------------------------------------


def test_what_bands_can_be_coloured_by_is_what_the_analysis_has() -> None:
    analysis, _ = with_columns(LABELS, pos=["N"] * 12, rank=list(range(12)), odd=[[1]] * 12)
    found = colourings(analysis)
    assert {"cluster", "path", "metric.cluster_changes", "token.pos", "token.rank"} <= set(found)
    assert "metric.path_length" not in found


def test_kinds_have_a_colour_each_most_frequent_first() -> None:
    kinds = ["N"] * 5 + ["V"] * 4 + ["<b>"] * 2 + [None]
    analysis, window = with_columns(LABELS, pos=kinds)
    groups = token_groups(analysis, window, "token.pos")
    assert [group.label for group in groups] == ["N (5)", "V (4)", "&lt;b&gt; (2)"]
    assert [len(group.tokens) for group in groups] == [5, 4, 2]
    assert len({group.colour for group in groups}) == 3


def test_numbers_are_in_ordered_groups_of_about_as_many_tokens() -> None:
    values = [*np.random.default_rng(0).permutation(100).astype(float), np.nan]
    analysis, window = with_columns([[0, 1]] * 101, score=values)
    groups = token_groups(analysis, window, "token.score")
    assert [len(group.tokens) for group in groups] == [20] * 5
    means = [np.mean([values[i] for i in group.tokens]) for group in groups]
    assert means == sorted(means)
    scale = ink("light").scale
    assert [scale.index(group.colour) for group in groups] == [1, 2, 3, 4, 5]


def test_a_metric_with_few_values_has_a_group_for_each() -> None:
    analysis, window = with_columns(LABELS)
    groups = token_groups(analysis, window, "metric.cluster_changes")
    assert [group.label.split(" ")[0] for group in groups] == ["0", "1", "2"][: len(groups)]
    assert sum(len(group.tokens) for group in groups) == 12
    assert colouring_name("metric.path_entropy") == "path entropy (nats)"


@pytest.mark.parametrize("colour_by", ["token.nothing", "metric.nothing", "metric.path_length"])
def test_a_colouring_that_there_is_not_has_no_groups(colour_by: str) -> None:
    analysis, window = with_columns(LABELS)
    assert token_groups(analysis, window, colour_by) == []
    assert token_sankey(analysis, window, colour_by=colour_by).figure.data


def test_bands_of_the_sankey_are_divided_by_the_groups_and_keep_their_width() -> None:
    kinds = ["N", "V"] * 6
    analysis, window = with_columns(LABELS, pos=kinds)
    figure = token_sankey(analysis, window, colour_by="token.pos").figure
    link = figure.data[0].link
    assert sum(link.value) == 12 * 2
    assert "by pos" in figure.layout.title.subtitle.text
    assert "N (6)" in figure.layout.annotations[-1].text
    by_colour: dict[str, int] = {}
    for colour, value in zip(link.color, link.value, strict=True):
        by_colour[colour] = by_colour.get(colour, 0) + value
    assert sorted(by_colour.values()) == [12, 12]


# --- Tables --------------------------------------------------------------------------------------


def test_the_tables_hold_what_the_figures_show(build: Build) -> None:
    analysis, window = build(LABELS)
    lines = trajectories_frame(analysis, window)
    assert lines.groupby("layer")["tokens"].sum().tolist() == [12, 12, 12]
    grid = window_grid_frame(analysis)
    assert len(grid) == 6
    assert grid.iloc[2]["fragmentation"] == pytest.approx(window.fragmentation)
    tokens = compared_tokens_frame(analysis, window, [0, 11, 50])
    assert len(tokens) == 6
    assert not tokens["all_together"].any()
    assert compared_tokens_frame(analysis, window, []).empty


# --- All figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_token_or_layer_name_becomes_markup_or_gets_into_a_template(
    theme: str, text_of: Callable[[go.Figure], str]
) -> None:
    made = analysis_from_labels(
        HOSTILE_TOKENS, [[0, 1, 0], [1, 1, 0], [0, 0, 1]], layers=HOSTILE_LAYERS
    )
    made["token_metadata"]["<i>kind</i>"] = HOSTILE_TOKENS
    analysis = Analysis.from_dict(made)
    window = layer_window(analysis, 0, 2)
    for figure in (
        trajectory_lines(analysis, window, highlighted_tokens=[0, 1], theme=theme),
        path_map(analysis, theme),
        window_fragmentation(analysis, theme),
        convergence_by_step(analysis, theme),
        compared_tokens(analysis, window, [0, 1, 2], theme),
        token_sankey(analysis, window, colour_by="token.<i>kind</i>", theme=theme).figure,
    ):
        templates = "".join(getattr(trace, "hovertemplate", None) or "" for trace in figure.data)
        for part in ("</i>", "&lt;", "&amp;", ".%{x}", "customdata[99]"):
            assert part not in templates
        text = text_of(figure)
        assert "<i>" not in text
        assert "<b>x</b>" not in text
        assert "\u202e" not in text
        assert 0 < len(figure.layout.title.subtitle.text) <= 63
        assert figure.layout.paper_bgcolor == ink(theme).surface
