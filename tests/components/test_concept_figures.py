from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    Embedding,
    Projection,
    ami_matrix,
    analysis_from_labels,
    cka_matrix,
    layer_window,
    principal_plane,
)
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.concept_data import (
    cluster_tokens_frame,
    similarity_frame,
    state_map_frame,
)
from concept_fragmentation.components.figures.concepts import (
    MOST_POINTS,
    known_debiased,
    layer_similarity,
    missing_similarity,
    missing_states,
    similarity_of,
    state_map,
)
from concept_fragmentation.components.figures.layers import concept_metrics
from concept_fragmentation.components.figures.metrics import cluster_entropy
from concept_fragmentation.components.figures.theme import config_of
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.typical import cluster_token_list, cluster_tokens

LAYERS = ["<i>a</i>.%{x}", "&amp;%{z}", "c"]
TOKENS = ["<b>x</b>", "&amp;", "%{y}\u202e", *(f" t{i}" for i in range(27))]


def made(*, states: bool = True, **more: Any) -> Analysis:
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 4, len(TOKENS)).tolist() for name in LAYERS}
    hidden = {
        name: rng.normal(size=(len(TOKENS), 6)) + 5 * np.eye(6)[labels[name]] for name in LAYERS
    }
    known = hidden if states else None
    data = analysis_from_labels(TOKENS, labels, hidden_states=known, keep_massive=True)
    return Analysis.from_dict(data | more)


def words(component: Any) -> str:
    """All text of a component and below it."""
    if isinstance(component, list | tuple):
        return " ".join(map(words, component))
    if component is None or isinstance(component, str | int | float):
        return str(component or "")
    chips = getattr(component, "data-tokens", None)
    if chips is not None:
        return " ".join(text for _, text, *_ in json.loads(chips))
    return words(getattr(component, "children", None))


# --- Similarity of layers ------------------------------------------------------------------------


def test_similarity_is_computed_where_it_is_not_given() -> None:
    analysis = made()
    clusters = similarity_of(analysis, "adjusted_mutual_information")
    states = similarity_of(analysis, "cka")
    assert clusters is not None
    assert states is not None
    assert np.allclose(clusters[1], ami_matrix(analysis.labels))
    expected = cka_matrix([analysis.hidden_states[name] for name in LAYERS], debiased=True)
    assert np.allclose(states[1], expected)
    assert states[0] == tuple(LAYERS)


def test_what_is_given_is_shown_and_what_does_not_fit_is_not() -> None:
    given = [[1.0, 0.5], [0.5, 1.0]]
    analysis = made(states=False, layer_similarity={"layers": LAYERS[:2], "cka": given})
    found = similarity_of(analysis, "cka")
    assert found is not None
    assert found[0] == tuple(LAYERS[:2])
    figure = layer_similarity(*found, "cka", debiased=known_debiased(analysis))
    assert "maybe biased" in figure.layout.title.subtitle.text
    analysis = made(
        states=False,
        layer_similarity={"layers": LAYERS[:2], "cka": given, "cka_debiased": True},
    )
    figure = layer_similarity(*found, "cka", debiased=known_debiased(analysis))
    assert "debiased; 1: same" in figure.layout.title.subtitle.text
    assert np.allclose(figure.data[0].z, given)
    assert list(figure.data[1].text)[:2] == ["1.00", "0.50"]
    for wrong in ([[1.0]], "x", [["a", "b"], ["c", "d"]]):
        odd = made(states=False, layer_similarity={"layers": LAYERS[:2], "cka": wrong})
        assert similarity_of(odd, "cka") is None
    assert similarity_of(made(states=False, layer_similarity=[1]), "cka") is None


def test_what_is_missing_for_similarity_or_a_map_is_said_with_the_way_to_get_it() -> None:
    bare = Analysis.from_dict(
        {"model_type": "m", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}
    )
    assert similarity_of(bare, "adjusted_mutual_information") is None
    assert "cluster_labels" in missing_similarity(bare, "adjusted_mutual_information")
    assert "hidden_states" in missing_similarity(bare, "cka")
    assert "cka_matrix" in missing_similarity(made(), "cka")
    assert "hidden_states" in missing_states(bare, "a")


# --- The map of a layer --------------------------------------------------------------------------


def test_a_point_lies_where_its_token_does_in_the_colour_of_its_cluster() -> None:
    analysis = made()
    plane = principal_plane(analysis.hidden_states["c"])
    figure = state_map(analysis, 2, plane, highlighted_tokens=[5, 99])
    points, ringed = figure.data
    assert np.allclose(points.x, plane.coordinates[:, 0], atol=1e-5)
    assert list(points.customdata) == list(range(30))
    scale = dict(points.marker.colorscale[::2])
    steps = sorted(scale)
    for token, number in enumerate(points.marker.color):
        aligned = int(analysis.aligned.labels[token, 2])
        assert scale[steps[number]] == colour_of(analysis, aligned)
    assert points.hovertext[3] == f"<b>“·t0”</b> at 3, C{analysis.labels[3, 2]}"
    assert list(ringed.customdata) == [5]
    assert ringed.marker.line.color == ink("light").accent
    assert f"{plane.explained[0]:.0%}" in figure.layout.xaxis.title.text
    (legend,) = figure.layout.annotations
    for raw, aligned in analysis.aligned.raw_to_aligned[2].items():
        assert f'{colour_of(analysis, aligned)}">■</span> C{raw}' in legend.text


def test_of_very_many_tokens_every_so_many_th_is_a_point() -> None:
    size = 2 * MOST_POINTS + 1
    states = np.random.default_rng(0).normal(size=(size, 2))
    data = analysis_from_labels(
        ["a"] * size, {"h": [0] * size}, hidden_states={"h": states}, keep_massive=True
    )
    figure = state_map(Analysis.from_dict(data), 0, principal_plane(states))
    assert len(figure.data[0].x) <= MOST_POINTS
    assert "every 3rd of 10,001 tokens" in figure.layout.title.subtitle.text


def with_far_tokens(number: int) -> tuple[Analysis, Projection]:
    """Return 40 tokens near each other, and others whose norm is huge."""
    states = np.random.default_rng(0).normal(size=(40 + number, 6))
    states[:number] *= 10_000
    tokens = [f"t{i}" for i in range(len(states))]
    labels = {"h": [i % 3 for i in range(len(states))]}
    data = analysis_from_labels(tokens, labels, hidden_states={"h": states}, keep_massive=True)
    return Analysis.from_dict(data), principal_plane(states)


def test_few_tokens_far_from_all_others_are_named_and_do_not_decide_the_axes() -> None:
    analysis, plane = with_far_tokens(1)
    figure = state_map(analysis, 0, plane)
    near, far = plane.coordinates[1:], plane.coordinates[0]
    for axis, column in ((figure.layout.xaxis, 0), (figure.layout.yaxis, 1)):
        low, high = axis.range
        assert low < near[:, column].min()
        assert near[:, column].max() < high
    assert not figure.layout.xaxis.range[0] < far[0] < figure.layout.xaxis.range[1]
    across = figure.layout.xaxis.range[1] - figure.layout.xaxis.range[0]
    assert across < 2 * np.ptp(near, axis=0).max()
    (note,) = figure.layout.annotations
    assert note.text.startswith("1 token lies outside: “t0” at 0<br>")
    # It is drawn where it lies, for who zooms out.
    assert next(iter(figure.data[0].x)) == pytest.approx(far[0], rel=1e-4)


def test_where_no_token_is_far_the_axes_are_those_of_all() -> None:
    analysis, plane = with_far_tokens(0)
    figure = state_map(analysis, 0, plane)
    assert figure.layout.xaxis.range is None
    assert "outside" not in figure.layout.annotations[0].text
    # A group of tokens is not far from the others, however far it lies.
    states = np.concatenate([np.zeros((30, 2)), np.full((10, 2), 1e4)])
    states += np.random.default_rng(1).normal(size=states.shape)
    data = analysis_from_labels(["a"] * 40, {"h": [0] * 40}, hidden_states={"h": states})
    grouped = state_map(Analysis.from_dict(data), 0, principal_plane(states))
    assert grouped.layout.xaxis.range is None
    same = np.zeros((20, 2))
    data = analysis_from_labels(["a"] * 20, {"h": [0] * 20}, hidden_states={"h": same})
    assert state_map(Analysis.from_dict(data), 0, Embedding(same)).layout.xaxis.range is None


def test_the_map_is_zoomed_and_stays_where_it_was_zoomed_to() -> None:
    analysis, plane = with_far_tokens(0)
    figure = state_map(analysis, 0, plane)
    assert figure.layout.dragmode == "zoom"
    other = state_map(analysis, 0, plane, highlighted_tokens=[3])
    assert figure.layout.meta["zooms"] == other.layout.meta["zooms"]
    assert state_map(*with_far_tokens_first(1)).layout.meta["zooms"] != figure.layout.meta["zooms"]
    assert config_of(figure)["scrollZoom"] is True
    assert config_of(cluster_entropy_of(analysis))["scrollZoom"] is False


def with_far_tokens_first(number: int) -> tuple[Analysis, int, Projection]:
    analysis, plane = with_far_tokens(number)
    return analysis, 0, plane


def cluster_entropy_of(analysis: Analysis) -> go.Figure:
    return cluster_entropy(analysis, layer_window(analysis, 0, 0))


def test_tokens_of_the_selected_cluster_are_outlined_on_the_map_of_any_layer() -> None:
    analysis = made()
    plane = principal_plane(analysis.hidden_states["c"])
    figure = state_map(analysis, 2, plane, selected=[(1, 0)])
    members = set(np.flatnonzero(analysis.labels[:, 1] == 0).tolist())
    assert members
    widths = list(figure.data[0].marker.line.width)
    assert {i for i, width in enumerate(widths) if width > 0} == members
    assert "outlined: C0 of &amp;amp;&#37;{z}" in figure.layout.title.subtitle.text
    band = state_map(analysis, 2, plane, selected=[(1, 0), (2, 1)])
    both = members & set(np.flatnonzero(analysis.labels[:, 2] == 1).tolist())
    widths = np.broadcast_to(band.data[0].marker.line.width, 30)
    assert set(np.flatnonzero(widths).tolist()) == both


def test_reproducibility_is_a_panel_beside_purity_and_silhouette() -> None:
    figure = concept_metrics(made(cluster_metrics={"c": {"purity": 0.5, "stability": 0.7}}))
    assert figure is not None
    assert [list(line.y)[2] for line in figure.data] == [0.5, 0.7]
    assert figure.layout.title.subtitle.text == "purity: one category; reproducibility: again"


# --- Typical tokens ------------------------------------------------------------------------------


def test_the_tokens_nearest_to_the_middle_of_a_cluster_come_first() -> None:
    analysis = made()
    found = cluster_tokens(analysis, 2, 1)
    mine = np.flatnonzero(analysis.labels[:, 2] == 1)
    states = analysis.hidden_states["c"][mine]
    distances = np.linalg.norm(states - states.mean(axis=0), axis=1)
    assert found.measure == "distance"
    assert found.indices.tolist() == mine[np.argsort(distances)].tolist()
    assert np.allclose(found.scores, np.sort(distances))


def test_without_hidden_states_company_tells_and_it_is_said() -> None:
    analysis = made(states=False)
    found = cluster_tokens(analysis, 0, 0)
    assert found.measure == "company"
    assert set(found.indices) == set(np.flatnonzero(analysis.labels[:, 0] == 0))
    assert (np.diff(found.scores) <= 0).all()
    said = words(cluster_token_list(analysis, 0, 0, found))
    assert "with most of the others" in said
    assert "cluster 0 of" in said
    assert not len(cluster_tokens(made(), 0, 99).indices)


def test_a_text_that_is_typical_many_times_is_listed_once_with_its_count() -> None:
    data = analysis_from_labels([" the", " cat", " the", " the"], [[0, 0]] * 4)
    analysis = Analysis.from_dict(data)
    listed = cluster_token_list(analysis, 0, 0, cluster_tokens(analysis, 0, 0))
    said = words(listed)
    assert said.count("·the") == 1
    assert "\\u00d73" in str(listed)
    assert "3 times, at positions 0, 2, 3" in str(listed)


def test_of_many_typical_tokens_the_first_are_listed() -> None:
    data = analysis_from_labels([f"w{i}" for i in range(100)], [[0, 0]] * 100)
    analysis = Analysis.from_dict(data)
    said = words(cluster_token_list(analysis, 0, 0, cluster_tokens(analysis, 0, 0)))
    assert "w59" in said
    assert "w60" not in said
    assert "40 more tokens" in said


# --- Tables and hostile names --------------------------------------------------------------------


def test_the_tables_hold_what_the_figures_show() -> None:
    analysis = made()
    frame = similarity_frame(analysis)
    assert list(frame.columns) == ["layer", "other_layer", "adjusted_mutual_information", "cka"]
    assert len(frame) == 6
    found = cluster_tokens(analysis, 2, 1)
    assert cluster_tokens_frame(analysis, found)["distance"].tolist() == found.scores.tolist()
    plane = principal_plane(analysis.hidden_states["c"])
    assert len(state_map_frame(analysis, 2, plane)) == 30


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_token_or_layer_name_becomes_markup_or_gets_into_a_template(
    theme: str, text_of: Callable[[go.Figure], str]
) -> None:
    analysis = made()
    found = similarity_of(analysis, "cka")
    assert found is not None
    plane = principal_plane(analysis.hidden_states[LAYERS[0]])
    for figure in (
        layer_similarity(*found, "cka", theme, debiased=True),
        state_map(analysis, 0, plane, highlighted_tokens=[0, 1], theme=theme),
    ):
        templates = "".join(trace.hovertemplate or "" for trace in figure.data)
        for part in ("</i>", "&lt;", "&amp;", ".%{x}"):
            assert part not in templates
        text = text_of(figure)
        assert "<i>" not in text
        assert "<b>x</b>" not in text
        assert "\u202e" not in text
        assert 0 < len(figure.layout.title.subtitle.text) <= 63
        assert figure.layout.paper_bgcolor == ink(theme).surface
