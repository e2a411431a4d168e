from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    AnalysisComparison,
    analysis_from_labels,
    compare_analyses,
)
from concept_fragmentation.analysis.noise_floor import noise_floor
from concept_fragmentation.components.comparison_table import (
    MAX_PAIRS_LISTED,
    matched_clusters_grid,
    matched_clusters_rows,
)
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.comparison import (
    MOST_MOVED,
    layer_metrics_frame,
    metrics_side_by_side,
    missing_layer_metrics,
    moved_by_layer,
    moved_tokens,
)
from concept_fragmentation.components.figures.difference_flow import (
    difference_sankey,
    flow_difference,
    flow_difference_frame,
)
from concept_fragmentation.components.figures.matched_paths import (
    MatchedPaths,
    layers_moved,
    matched_clusters_frame,
    matched_paths,
    moved_by_layer_frame,
    moved_tokens_frame,
)
from concept_fragmentation.components.figures.sankey_layout import column_heads, stacked
from concept_fragmentation.components.palette import change_colours, cluster_colour, ink

# The same clusters under other ids, but for the last token, which is in another one in layer 1.
BEFORE = [[0, 0]] * 5 + [[1, 1]] * 4 + [[0, 0]]
AFTER = [[7, 3]] * 5 + [[2, 9]] * 4 + [[7, 9]]

Pair = tuple[Analysis, Analysis, AnalysisComparison, MatchedPaths]


def pair(
    before: list[list[int]], after: list[list[int]], layers: list[str] | None = None, **more: Any
) -> Pair:
    tokens = [f" t{i}" for i in range(len(before))]
    old = analysis_from_labels(tokens, before, layers=layers)
    new = analysis_from_labels(tokens, after, layers=layers) | more
    found = compare_analyses(old, new)
    first, second = Analysis.from_dict(old), Analysis.from_dict(new)
    return first, second, found, matched_paths(first, second, found)


def test_both_analyses_are_on_the_ids_of_the_second() -> None:
    _, _, _, paths = pair(BEFORE, AFTER)
    assert paths.before.tolist() == [[7, 3]] * 5 + [[2, 9]] * 4 + [[7, 3]]
    assert paths.after.tolist() == AFTER
    assert layers_moved(paths).tolist() == [0] * 9 + [1]


def test_a_cluster_without_a_match_keeps_its_name_and_is_called_gone() -> None:
    _, _, _, paths = pair([[0], [0], [1], [-1]], [[5], [5], [5], [-1]])
    assert paths.first_gone == 6
    assert paths.before.ravel().tolist() == [5, 5, 7, -1]
    assert [paths.name(cluster) for cluster in (5, 7)] == ["C5", "C1 (gone)"]


def test_the_table_says_how_far_matched_clusters_agree() -> None:
    before, after, found, _ = pair(BEFORE, AFTER)
    frame = matched_clusters_frame(before, after, found)
    assert frame.to_dict("list") == {
        "layer": ["layer_0", "layer_0", "layer_1", "layer_1"],
        "cluster_before": [0, 1, 0, 1],
        "cluster_after": [7, 2, 3, 9],
        "tokens_before": [6, 4, 6, 4],
        "tokens_after": [6, 4, 5, 5],
        "tokens_in_both": [6, 4, 5, 4],
        "jaccard": [1, 1, pytest.approx(5 / 6), pytest.approx(4 / 5)],
    }


def test_clusters_that_came_or_went_have_a_row_each() -> None:
    before, after, found, _ = pair([[0], [0], [1]], [[5], [5], [5]])
    frame = matched_clusters_frame(before, after, found)
    assert frame["cluster_before"].tolist() == [0, 1]
    assert frame["cluster_after"].isna().tolist() == [False, True]
    stayed, gone = matched_clusters_rows(before, after, frame)
    assert (stayed["before"], stayed["after"], stayed["jaccard"]) == (
        0,
        5,
        pytest.approx(2 / 3, abs=1e-4),
    )
    assert stayed["before_colour"] == cluster_colour(0)
    assert (gone["before"], gone["after"], gone["tokens_after"]) == (1, None, 0)
    assert "after_colour" not in gone


def test_thousands_of_tokens_are_separated_in_the_table_of_matched_clusters() -> None:
    counts = {
        column["field"]
        for column in matched_clusters_grid([]).columnDefs
        if column.get("valueFormatter") == {"function": "cfCount(params.value)"}
    }
    assert counts == {"tokens_before", "tokens_after", "in_both"}


@pytest.mark.slow
def test_of_very_many_pairs_the_first_are_listed() -> None:
    labels = [[i] for i in range(MAX_PAIRS_LISTED + 30)]
    before, after, found, _ = pair(labels, labels)
    rows = matched_clusters_rows(before, after, matched_clusters_frame(before, after, found))
    assert len(rows) == MAX_PAIRS_LISTED


# --- Flows ---------------------------------------------------------------------------------------


def test_bands_count_the_tokens_of_both_flows() -> None:
    _, _, _, paths = pair(BEFORE, AFTER)
    frame = flow_difference_frame(paths, flow_difference(paths, 0, 1))
    assert frame[["source_cluster", "target_cluster"]].to_numpy().tolist() == [
        ["C2", "C9"],
        ["C7", "C3"],
        ["C7", "C9"],
    ]
    assert frame["tokens_before"].tolist() == [4, 6, 0]
    assert frame["tokens_after"].tolist() == [4, 5, 1]
    assert frame["change"].tolist() == [0, -1, 1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_gained_lost_and_kept_has_a_colour_each_and_its_width(theme: str) -> None:
    _, after, _, paths = pair(BEFORE, AFTER)
    figure = difference_sankey(after, paths, flow_difference(paths, 0, 1), theme)
    link = figure.data[0].link
    lost, gained, kept = change_colours(theme)
    assert len({lost, gained, kept}) == 3
    widths = sorted(link.value)
    assert widths == [1, 1, 4, 5]
    assert len(set(link.color)) == 3
    note = figure.layout.annotations[-1].text
    for said in ("gained (1)", "lost (1)", "in both (9)"):
        assert said in note
    assert list(link.customdata[0][:4]) == ["link", 0, 2, 9]
    mapping = after.aligned.raw_to_aligned[0]
    names = [data[2] for data in figure.data[0].node.customdata[:2]]
    colours = [colour_of(after, mapping[cluster], theme) for cluster in names]
    assert list(figure.data[0].node.color[:2]) == colours


def test_below_what_changed_it_says_that_chains_share_colours() -> None:
    rows = [[i, i] for i in range(20)]
    _, after, _, paths = pair(rows, [*rows[:-1], [19, 0]])
    note = difference_sankey(after, paths, flow_difference(paths, 0, 1)).layout.annotations[-1]
    assert "20 chains of clusters share 16 distinct colours;<br>" in note.text
    assert "gained (1)" in note.text


def test_a_band_over_a_layer_that_only_the_second_has_chooses_the_cluster_it_leads_to() -> None:
    rows = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0]] * 3)
    tokens = [f"t{i}" for i in range(len(rows))]
    old = analysis_from_labels(tokens, rows[:, [0, 2]], layers=["layer_0", "layer_2"])
    new = analysis_from_labels(tokens, rows)
    before, after = (Analysis.from_dict(made) for made in (old, new))
    paths = matched_paths(before, after, compare_analyses(old, new))
    link = difference_sankey(after, paths, flow_difference(paths, 0, 1)).data[0].link
    assert {tuple(data[:3]) for data in link.customdata} == {("node", 2, 0), ("node", 2, 1)}


def test_short_names_of_layers_stand_above_the_middle_of_their_bars() -> None:
    short, long = (
        [head["xanchor"] for head in column_heads(names, "light", 12)]
        for names in (["0", "1", "emb"], ["layer_0", "layer_1", "layer_2"])
    )
    assert short == ["center"] * 3
    # In the middle, they would be cut.
    assert long == ["left", "center", "right"]


def test_what_a_few_of_very_many_tokens_changed_hides_nothing_else() -> None:
    before = [[0, 0]] * 2000 + [[1, 1]] * 2000
    # One token, some and three hundred go another way than before.
    after = [[0, 1], *[[0, 3]] * 24, *before[25:1700], *[[0, 2]] * 300, *before[2000:]]
    _, second, _, paths = pair(before, after)
    link = difference_sankey(second, paths, flow_difference(paths, 0, 1)).data[0].link
    lost, gained, _ = change_colours()
    opacity = {
        value: int(colour[7:], 16)
        for value, colour in zip(link.value, link.color, strict=True)
        if colour[:7] in {lost, gained}
    }
    assert opacity[300] > 1.5 * opacity[24] > 1.5**2 * opacity[1]


def test_equal_flows_have_no_difference_and_one_layer_has_no_flow() -> None:
    _, after, _, paths = pair(BEFORE, BEFORE)
    figure = difference_sankey(after, paths, flow_difference(paths, 0, 1))
    assert len(set(figure.data[0].link.color)) == 1
    (note,) = difference_sankey(after, paths, flow_difference(paths, 0, 0)).layout.annotations
    assert "two neighbouring layers" in note.text


def test_clusters_that_are_gone_are_grey_and_below_the_others() -> None:
    _, after, _, paths = pair(
        [[0, 0]] * 3 + [[1, 1]] * 2 + [[2, 0]], [[0, 0]] * 3 + [[1, 1]] * 2 + [[0, 0]]
    )
    node = difference_sankey(after, paths, flow_difference(paths, 0, 1)).data[0].node
    first = [i for i, x in enumerate(node.x) if x == 0.001]
    lowest = max(first, key=lambda i: node.y[i])
    assert "C2 (gone)" in node.customdata[lowest][3]
    assert node.color[lowest] == ink("light").muted


def test_nodes_are_stacked_around_the_middle_and_the_fullest_column_fits() -> None:
    where = stacked([[1.0, 1.0], [4.0, 2.0, 2.0]], 0.1)
    assert sum(where.heights[2:]) + 2 * where.gap == pytest.approx(1)
    assert where.y[0] + where.y[1] == pytest.approx(1)
    assert where.x == (0.001, 0.001, 0.999, 0.999, 0.999)
    assert where.heights[2] == pytest.approx(4 * where.heights[0])


# --- Tokens and metrics --------------------------------------------------------------------------


def test_the_tokens_that_moved_in_most_layers_come_first() -> None:
    before = [[0, 0, 0]] * 8 + [[1, 1, 1]] * 8
    after = [*([[0, 0, 0]] * 6), [0, 1, 1], [0, 0, 1], *([[1, 1, 1]] * 8)]
    _, second, found, paths = pair(before, after)
    figure = moved_tokens(second, paths)
    # Slanted, the numbers of many layers can't be read on a narrow page, which leaves some out.
    assert figure.layout.xaxis.tickangle == 0
    assert list(figure.layout.yaxis.ticktext) == ["“·t6” at 6  (2)", "“·t7” at 7  (1)"]
    assert np.asarray(figure.data[0].z).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert figure.data[0].text[0][1] == "<b>“·t6” at 6</b><br>layer_1: C0 → C1"
    frame = moved_tokens_frame(second, paths)
    assert frame["layers_moved"].tolist() == [2, 1]
    assert frame["layer_2 before"].tolist() == ["C0", "C0"]
    shares = moved_by_layer(found).data[0]
    assert list(shares.y) == [0, 1 / 16, 2 / 16]


def test_the_fragmentation_of_both_is_said_at_the_size_of_the_smaller() -> None:
    tokens = [f"t{i}" for i in range(9)]
    large = analysis_from_labels(tokens, [[i % 3, i % 2] for i in range(9)])
    small = analysis_from_labels(tokens[:4], [[0, 0], [0, 0], [1, 0], [1, 1]])
    found = compare_analyses(large, small)
    assert found.fragmentation is not None
    before = found.fragmentation.before.fragmentation
    said = moved_by_layer(found).layout.title.subtitle.text
    assert said == f"fragmentation {before:.2f} → 0.75 at 4 tokens; no noise floor known"


def test_what_moved_stands_beside_what_another_seed_moves() -> None:
    before = analysis_from_labels(list("wxyz"), [[0, 0], [0, 0], [1, 1], [1, 1]])
    after = analysis_from_labels(list("wxyz"), [[0, 0], [0, 0], [1, 1], [1, 0]])
    labels = [np.array([[0, 0], [0, 0], [1, 1], [1, 1]])] * 2
    floor = noise_floor(before["layers"], "warm", labels, [0.5], [0.1, 0.4])
    before["noise_floor"] = floor.record()
    # Whichever of the two keeps a floor says it.
    for found in (compare_analyses(before, after), compare_analyses(after, before)):
        figure = moved_by_layer(found)
        assert list(figure.data[0].y) == [0, 0.25]
        assert list(figure.data[1].y) == [0.1, 0.4]
        assert "line: noise floor" in figure.layout.title.subtitle.text
        assert moved_by_layer_frame(found)["noise_floor"].tolist() == [0.1, 0.4]
    cold = noise_floor(before["layers"], "cold", labels, [0.5], [0.1, 0.4])
    before["noise_floor"] = cold.record()
    assert [layer.floor for layer in compare_analyses(before, after).labels] == [0, 0]


def test_where_nothing_moved_that_is_said() -> None:
    _, after, _, paths = pair(BEFORE, BEFORE)
    (note,) = moved_tokens(after, paths).layout.annotations
    assert "No token" in note.text
    bare = {"model_type": "m", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}
    (note,) = moved_by_layer(compare_analyses(bare, bare)).layout.annotations
    assert "no layer" in note.text


def test_no_more_tokens_are_rows_than_can_be_read() -> None:
    before = [[i % 2, 0] for i in range(100)]
    after = [[i % 2, i % 2] for i in range(100)]
    _, second, _, paths = pair(before, after)
    assert len(moved_tokens(second, paths).data[0].z) == MOST_MOVED


def test_metrics_of_layers_stand_side_by_side() -> None:
    before, after, _, _ = pair(
        BEFORE, AFTER, cluster_metrics={"layer_1": {"purity": 0.5, "stability": 0.25}}
    )
    figure = metrics_side_by_side(before, after)
    assert figure is not None
    old, new, *_ = figure.data
    assert np.isnan(old.y).all()
    assert np.array_equal(new.y, [np.nan, 0.5], equal_nan=True)
    assert len(figure.data) == 4
    frame = layer_metrics_frame(before, before)
    assert frame.empty
    assert metrics_side_by_side(before, before) is None
    assert "cluster_metrics" in missing_layer_metrics()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_token_or_layer_name_becomes_markup_or_gets_into_a_template(
    theme: str, text_of: Callable[[go.Figure], str]
) -> None:
    layers = ["<i>a</i>.%{x}", "&amp;%{z}"]
    tokens = ["<b>x</b>", "&amp;", "%{y}\u202e", "a"]
    metrics = {name: {"purity": 0.5} for name in layers}
    old = analysis_from_labels(tokens, [[0, 0], [0, 0], [1, 1], [1, 1]], layers=layers)
    new = analysis_from_labels(tokens, [[0, 1], [0, 0], [1, 1], [1, 0]], layers=layers)
    new["cluster_metrics"] = metrics
    found = compare_analyses(old, new)
    before, after = Analysis.from_dict(old), Analysis.from_dict(new)
    paths = matched_paths(before, after, found)
    for figure in (
        moved_by_layer(found, theme),
        moved_tokens(after, paths, theme),
        metrics_side_by_side(before, after, theme),
        difference_sankey(after, paths, flow_difference(paths, 0, 1), theme),
    ):
        assert figure is not None
        templates = "".join(getattr(trace, "hovertemplate", None) or "" for trace in figure.data)
        for part in ("</i>", "&lt;", "&amp;", ".%{x}"):
            assert part not in templates
        text = text_of(figure)
        assert "<i>" not in text
        assert "<b>x</b>" not in text
        assert "\u202e" not in text
        shown = re.sub("<[^>]*>", "", figure.layout.title.subtitle.text)
        assert 0 < len(shown) <= 63
        assert figure.layout.paper_bgcolor == ink(theme).surface
    assert isinstance(matched_clusters_frame(before, after, found), pd.DataFrame)
