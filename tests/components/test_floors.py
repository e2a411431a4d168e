"""Noise floors stand beside numbers of movement, and layers that are not stable are marked."""

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
    principal_plane,
)
from concept_fragmentation.analysis.noise_floor import noise_floor
from concept_fragmentation.components.figures.concepts import state_map
from concept_fragmentation.components.figures.layers import concept_metrics
from concept_fragmentation.components.figures.metrics import (
    cluster_entropy,
    cluster_sizes,
    path_metric_distributions,
    transition_heatmap,
)
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import (
    convergence_by_step,
    path_map,
    window_fragmentation,
)
from concept_fragmentation.components.floors import NO_FLOOR, WHY_NO_FLOOR
from concept_fragmentation.components.standouts import standouts
from concept_fragmentation.components.summary import Stat, summary_stats, token_list

LABELS = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1]])
# Each layer clustered three times.
REPEATED = (
    [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]],
    [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]],
    [[0, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 1]],
)


def made(*, floor: bool = True, states: bool = False, runs: int = 3) -> Analysis:
    data = analysis_from_labels(
        list("wxyz"),
        LABELS,
        cluster_metrics={
            "layer_0": {"stability": 0.9, "silhouette": 0.5, "silhouette_gaussian": 0.1},
            "layer_1": {"stability": 0.4, "silhouette": 0.2, "silhouette_gaussian": 0.3},
            "layer_2": {"silhouette": 0.4, "silhouette_gaussian": 0.2},
        },
        hidden_states={f"layer_{i}": np.eye(4)[:, :3] + i for i in range(3)} if states else None,
        keep_massive=True,
    )
    if floor:
        repeated = [np.array(labels)[:, :runs] for labels in REPEATED]
        found = noise_floor(data["layers"], "warm", repeated, [0.5, 0.25], [0.2, 0.3, 0.4])
        data["noise_floor"] = found.record()
    return Analysis.from_dict(data)


def cards(analysis: Analysis) -> dict[str, Stat]:
    window = layer_window(analysis, 0, 2)
    return {stat.label: stat for stat in summary_stats(analysis, window, None, 1.0, 0.5)}


def test_every_card_of_movement_has_its_floor_beside_it() -> None:
    found = cards(made())
    # Paths 3, 2 and 3; entropies of 2 + 1 + 1, 2 + 2 and 1 + 1 + 2 tokens over ln 4.
    assert found["Unique paths"].floor == "noise floor 3; 0.67"
    # At either repetition of layer_2 a quarter moves, of layer_1 nothing.
    assert found["Mean cluster changes"].floor == "noise floor 0.25"
    assert found["Mean mobility"].floor == "noise floor 0.12"
    assert found["Tokens"].floor == found["Clusters"].floor == ""
    # What repeats does not turn: of the half of the score that is the angle, there is none.
    assert cards(made(states=True))["Mean mobility"].floor == "noise floor 0.06"


def test_a_floor_of_fewer_clusterings_than_layers_is_a_least_one() -> None:
    found = cards(made(runs=2))
    # Paths 3, 2 and 3 of two clusterings, as many as of three; the fragmentation is that of two.
    assert found["Unique paths"].floor == "noise floor ≥ 3; 0.67 in 2 layers"


def test_where_labels_were_supplied_it_is_said_that_there_is_no_floor() -> None:
    analysis = made(floor=False)
    found = cards(analysis)
    for label in ("Unique paths", "Mean cluster changes", "Mean mobility"):
        assert found[label].floor == NO_FLOOR
    window = layer_window(analysis, 0, 2)
    assert WHY_NO_FLOOR in standouts(analysis, window)
    assert NO_FLOOR in str(path_map(analysis).layout.annotations)
    for figure in (convergence_by_step(analysis), path_metric_distributions(analysis, window)):
        assert NO_FLOOR in figure.layout.title.subtitle.text
    assert NO_FLOOR in str(window_fragmentation(analysis).data[0].customdata)


def test_a_window_of_one_layer_speaks_of_no_movement() -> None:
    analysis = made()
    window = layer_window(analysis, 0, 0)
    assert {stat.floor for stat in summary_stats(analysis, window, None, 0.0, 0.0)} == {""}


def test_what_moves_is_drawn_with_its_floor_and_the_other_starts_on_demand() -> None:
    figure = path_map(made())
    lines = {trace.name: trace for trace in figure.data if trace.type == "scatter"}
    assert list(lines) == ["noise floor", "moved, cold starts", "noise floor, cold"]
    np.testing.assert_allclose(lines["noise floor"].y, [0, 0.25])
    np.testing.assert_allclose(lines["moved, cold starts"].y, [0.5, 0.25])
    np.testing.assert_allclose(lines["noise floor, cold"].y, [0.3, 0.4])
    assert [line.visible for line in lines.values()] == [True, "legendonly", "legendonly"]
    assert figure.layout.showlegend
    assert lines["noise floor"].customdata[1][1:] == ["25.0%", ", 25.0% to 25.0%"]


def test_paths_that_part_and_join_are_drawn_with_their_floors() -> None:
    figure = convergence_by_step(made())
    dotted = [trace for trace in figure.data if trace.line.dash == "dot"]
    # Of layer_2: two of three pairs come apart, then one of two; one of three comes together.
    np.testing.assert_allclose(dotted[0].y, [0, (2 / 3 + 1 / 2) / 2])
    np.testing.assert_allclose(dotted[1].y, [0, 1 / 3])
    assert "dotted: noise floor" in figure.layout.title.subtitle.text


def test_fragmentation_of_windows_and_distributions_say_their_floor() -> None:
    analysis = made()
    customdata = window_fragmentation(analysis).data[0].customdata
    assert customdata[0][2][-1] == "noise floor 0.667"
    assert customdata[1][1][-1] == ""
    figure = path_metric_distributions(analysis, layer_window(analysis, 0, 2))
    assert figure.layout.xaxis.title.text == "cluster changes<br>(floor 0.25)"
    assert figure.layout.xaxis2.title.text == "mobility score<br>(floor 0.125)"
    flow = token_sankey(analysis, layer_window(analysis, 0, 2)).figure
    assert "4 paths; noise floor 3" in flow.layout.title.subtitle.text


def test_what_stands_out_between_two_layers_is_said_beside_its_floor() -> None:
    analysis = made()
    said = " ".join(standouts(analysis, layer_window(analysis, 0, 2)))
    # From layer_1 to layer_2 the pairs wx and wz come apart, xz stays; floors as above.
    assert (
        "Paths part most from layer_1 to layer_2: 67% of the pairs of tokens that were in one "
        "cluster no longer are (noise floor 58%)." in said
    )
    assert "that were apart are in one cluster (noise floor " in said


def test_silhouette_stands_beside_that_of_a_gaussian() -> None:
    figure = concept_metrics(made())
    assert figure is not None
    dashed = [trace for trace in figure.data if trace.line.dash == "dash"]
    assert [list(trace.y) for trace in dashed] == [[0.1, 0.3, 0.2]]
    assert "dashed: a Gaussian" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    "draw",
    [
        cluster_sizes,
        cluster_entropy,
        trajectory_lines,
        lambda analysis, _: path_map(analysis),
        lambda analysis, _: window_fragmentation(analysis),
        lambda analysis, _: convergence_by_step(analysis),
        lambda analysis, _: concept_metrics(analysis),
    ],
)
def test_a_layer_that_is_not_stable_is_marked_on_every_axis(
    draw: Callable[[Analysis, LayerWindow], go.Figure],
) -> None:
    analysis = made()
    axis = draw(analysis, layer_window(analysis, 0, 2)).layout.xaxis
    assert list(axis.ticktext) == ["0", "1*", "2"]
    figure: Any = draw(analysis, layer_window(analysis, 0, 2))
    assert "* not stable" in str(figure.layout)


def test_a_layer_that_is_not_stable_is_marked_in_flow_heat_map_map_and_words() -> None:
    analysis = made(states=True)
    window = layer_window(analysis, 0, 2)
    flow = token_sankey(analysis, window).figure
    assert "layer_1*" in [note.text for note in flow.layout.annotations]
    assert flow.layout.title.subtitle.text.endswith("; * not stable")
    heat = transition_heatmap(analysis, 0, 1)
    assert heat.layout.title.text == "From layer_0 to layer_1*"
    assert "* not stable" in heat.layout.title.subtitle.text
    assert "not stable" not in transition_heatmap(analysis, 0, 2).layout.title.subtitle.text
    plane = principal_plane(analysis.hidden_states["layer_1"])
    drawn = state_map(analysis, 1, plane)
    assert drawn.layout.title.text == "Tokens in layer_1*"
    assert "* not stable" in drawn.layout.annotations[0].text
    heading, *_ = token_list(analysis, ("link", 0, 0, 0), np.array([0, 1]))
    assert "layer_0 cluster 0 → layer_1* cluster 0 (* not stable)" in str(heading)
    said = standouts(analysis, window)[-1]
    assert said.startswith("In 1 of 3 layers, marked with *, clusters do not come again")
