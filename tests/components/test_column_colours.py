"""Figures of single tokens in the colours of a column: which token has which, and the legend."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation import figures
from concept_fragmentation.analysis import (
    Analysis,
    UnknownChoiceError,
    analysis_from_labels,
    layer_window,
    only_category,
    principal_plane,
)
from concept_fragmentation.components.figures.colouring import (
    MOST_GROUPS,
    column_groups,
    group_of_token,
)
from concept_fragmentation.components.figures.concepts import state_map
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import path_map
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.view import View

T = 120


def made(kinds: list[Any], num_layers: int = 4) -> Analysis:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, (len(kinds), num_layers))
    data = analysis_from_labels([f"<w{i}>" for i in range(len(kinds))], labels.tolist())
    states = generator.standard_normal((num_layers, len(kinds), 4))
    data["hidden_states"] = dict(zip(data["layers"], states, strict=True))
    data["token_metadata"]["kind"] = kinds
    return Analysis.from_dict(data)


KINDS = [["noun", "verb", None][i % 3] for i in range(T)]
BY = "token.kind"


def test_rare_values_are_one_group_and_tokens_without_one_another() -> None:
    kinds = [f"k{min(i % 12, 9)}" if i % 5 else None for i in range(T)]
    analysis = made(kinds)
    groups = column_groups(analysis, BY)
    assert len(groups) == MOST_GROUPS + 2
    assert sorted(np.concatenate([of.tokens for of in groups]).tolist()) == list(range(T))
    assert (groups[-2].colour, groups[-1].colour) == (ink("light").soft, ink("light").muted)
    assert groups[-1].label == "none (24)"
    assert groups[-1].tokens.tolist() == [i for i in range(T) if i % 5 == 0]
    assert groups[-2].label == f"other ({len(groups[-2].tokens)})"
    assert len({of.colour for of in groups}) == MOST_GROUPS + 2
    for other in ("cluster", "path", "metric.cluster_changes", "token.none"):
        assert column_groups(analysis, other) == []


def test_groups_are_of_the_shown_tokens() -> None:
    part = only_category(made(KINDS), "kind", ["verb"])
    (group,) = column_groups(part, BY)
    assert group.label == "verb (40)"
    assert group.tokens.tolist() == list(range(1, T, 3))


def test_each_point_of_a_map_has_the_colour_of_its_category() -> None:
    analysis = made(KINDS)
    plane = principal_plane(analysis.hidden_states["layer_1"])
    figure = state_map(analysis, 1, plane, colour_by=BY)
    groups = column_groups(analysis, BY)
    assert len(figure.data[0].customdata) == T
    numbers = dict(
        zip(figure.data[0].customdata.tolist(), figure.data[0].marker.color.tolist(), strict=True)
    )
    assert [numbers[i] for i in range(T)] == group_of_token(groups, T).tolist()
    scale = [colour for _, colour in figure.data[0].marker.colorscale]
    assert list(dict.fromkeys(scale)) == [of.colour for of in groups]
    said = figure.to_json()
    assert "colour: kind" in said
    assert "noun (40)" in said
    assert "none (40)" in said
    assert "colour: cluster" in state_map(analysis, 1, plane).to_json()


def test_rows_of_a_path_map_are_by_category_and_say_which() -> None:
    analysis = made(KINDS)
    figure = path_map(analysis, colour_by=BY)
    (strip,) = [of for of in figure.data if of.type == "heatmap" and of.z.shape[1] == 1]
    rows = strip.z[:, 0].tolist()
    assert rows == sorted(rows)
    assert [rows.count(i) for i in range(3)] == [40, 40, 40]
    for i, (text,) in enumerate(strip.text):
        token = int(text.split("&lt;w")[1].split("&gt;")[0])
        assert (["noun", "verb", None].index(KINDS[token])) == rows[i]
    cells = figure.data[0]
    for i in range(0, T, 17):
        assert strip.text[i][0].split("<br>")[0] == cells.text[i][0].split("<br>")[0]
    assert strip.x[1] <= -0.5
    plain = path_map(analysis)
    assert sum(of.type == "heatmap" for of in plain.data) == 1
    assert "at the left" not in plain.to_json()


def lines_by_colour(figure: go.Figure) -> dict[str, int]:
    """How many lines there are of each colour."""
    found: dict[str, int] = {}
    for trace in figure.data:
        if trace.type == "scatter" and trace.hovertemplate and trace.customdata is not None:
            number = sum(1 for said in trace.customdata if said[0] is None)
            found[trace.line.color] = found.get(trace.line.color, 0) + number
    return found


def test_a_path_is_as_many_lines_as_its_tokens_have_categories() -> None:
    analysis = made(KINDS, num_layers=3)
    window = layer_window(analysis, 0, 2)
    figure = trajectory_lines(analysis, window, colour_by=BY)
    group = group_of_token(column_groups(analysis, BY), T)
    pairs = {(int(window.path_of_token[i]), int(group[i])) for i in range(T)}
    assert sum(lines_by_colour(figure).values()) == len(pairs)
    assert len(lines_by_colour(figure)) == 3
    assert "colour: kind" in figure.to_json()
    # Each strand says how many of the path it holds; together they are all tokens.
    said = {
        row[3]
        for trace in figure.data
        if trace.type == "scatter" and trace.customdata is not None
        for row in trace.customdata
        if row[0] is not None
    }
    assert sum(int(text.split("<br>")[2].split(" of them")[0]) for text in said) == T


def test_one_category_draws_the_lines_where_they_were() -> None:
    analysis = made(["x"] * T, num_layers=3)
    window = layer_window(analysis, 0, 2)

    def points(figure: go.Figure) -> list[tuple[float, ...]]:
        found = []
        for trace in figure.data:
            if trace.type == "scatter" and trace.customdata is not None:
                found += list(zip(trace.x.tolist(), trace.y.tolist(), strict=True))
        return sorted(point for point in found if not np.isnan(point[0]))

    plain = points(trajectory_lines(analysis, window))
    assert points(trajectory_lines(analysis, window, colour_by=BY)) == plain


def test_what_is_highlighted_goes_before_a_column() -> None:
    analysis = made(KINDS)
    window = layer_window(analysis, 0, 3)
    plain = trajectory_lines(analysis, window, highlighted_tokens=[3])
    assert trajectory_lines(analysis, window, highlighted_tokens=[3], colour_by=BY) == plain


def test_the_public_figures_take_a_column_by_its_name() -> None:
    analysis = made(KINDS)
    window = layer_window(analysis, 0, 3)
    assert figures.trajectories(analysis, colour_by="kind") == trajectory_lines(
        analysis, window, colour_by=BY
    )
    assert figures.path_map(analysis, colour_by="kind") == path_map(analysis, colour_by=BY)
    assert "colour: kind" in figures.state_map(analysis, 0, colour_by="kind").to_json()
    for draw in (figures.trajectories, figures.path_map):
        with pytest.raises(UnknownChoiceError, match="colour_by: there is no 'path'"):
            draw(analysis, colour_by="path")


def test_only_a_change_of_column_draws_these_figures_anew() -> None:
    for part in ("glance", "traces", "map"):
        assert View(colour_by="path").part(part) == View().part(part)
        assert View(colour_by=BY).part(part) != View().part(part)
    assert View(colour_by="path").part("flow") != View().part("flow")
