"""Clusters that stand near each other have different colours, whatever the analysis."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import Analysis, analysis_from_labels, layer_window
from concept_fragmentation.components.figures.cluster_colours import (
    cluster_places,
    colour_of,
    shared_colours,
)
from concept_fragmentation.components.figures.metrics import cluster_sizes
from concept_fragmentation.components.figures.sankey import token_sankey
from concept_fragmentation.components.figures.trajectories import trajectory_lines
from concept_fragmentation.components.figures.windows import path_map
from concept_fragmentation.components.palette import (
    DISTINCT_COLOURS,
    MOST_COLOURS,
    cluster_colours,
    ink,
    path_colour,
)
from concept_fragmentation.persistence.examples import load_example


@pytest.fixture(scope="module")
def real() -> Analysis:
    """Return 10,000 GPT-2 tokens in 12 layers."""
    return Analysis.from_dict(load_example("gpt2-small")["analysis_data"])


def wandering(num_clusters: int, num_layers: int, *, tokens: int = 400, seed: int = 0) -> Analysis:
    """Return an analysis in which many clusters end in each layer and others begin."""
    random = np.random.default_rng(seed)
    labels = np.empty((tokens, num_layers), dtype=np.int64)
    here = random.integers(0, num_clusters, tokens)
    for layer in range(num_layers):
        moved = random.random(tokens) < 0.3
        here = np.where(moved, random.integers(0, num_clusters, tokens), here)
        # A cluster that is split in two begins one that continues none, and another ends.
        split = random.integers(0, num_clusters, 2)
        here = np.where((here == split[0]) & (random.random(tokens) < 0.5), split[1], here)
        labels[:, layer] = random.permutation(num_clusters)[here]
    return Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(tokens)], labels))


def changing(num_clusters: int, num_layers: int) -> Analysis:
    """Return an analysis in which a third of the clusters of each layer are its own."""
    own = num_clusters // 3
    labels = np.full((num_layers * num_clusters, num_layers), -1, dtype=np.int64)
    for layer in range(num_layers):
        labels[: num_clusters - own, layer] = np.arange(num_clusters - own)
        first = num_clusters + layer * own
        labels[first : first + own, layer] = np.arange(num_clusters - own, num_clusters)
    return Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(len(labels))], labels))


def clashes(analysis: Analysis) -> int:
    """Count pairs of different clusters of a layer, or of neighbours, with one colour."""
    layers = [set(mapping.values()) for mapping in analysis.aligned.raw_to_aligned]
    pairs = {
        pair
        for here, there in zip(layers, [*layers[1:], set()], strict=True)
        for pair in itertools.combinations(sorted(here | there), 2)
    }
    return sum(colour_of(analysis, a) == colour_of(analysis, b) for a, b in pairs)


@pytest.mark.parametrize(
    "analysis",
    [
        wandering(10, 31),
        wandering(50, 13),
        wandering(2, 31),
        changing(15, 31),
        changing(60, 13),
    ],
    ids=["10 in 31 layers", "50 in 13", "2 in 31", "15 changing", "60 changing"],
)
def test_no_two_clusters_near_each_other_have_one_colour(analysis: Analysis) -> None:
    assert clashes(analysis) == 0


def test_of_46_chains_none_near_another_shares_its_colour() -> None:
    # One chain through all layers, and three that live in one layer each, fifteen times.
    labels = np.full((16 * 3, 15), -1, dtype=np.int64)
    labels[:3] = 0
    for layer in range(15):
        rows = 3 + 3 * layer
        labels[rows : rows + 3, layer] = [1, 2, 3]
    analysis = Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(48)], labels))
    assert analysis.aligned.num_clusters == 46
    assert clashes(analysis) == 0


def test_more_clusters_than_there_are_colours_share_those_of_the_smallest() -> None:
    number = MOST_COLOURS + 2
    # The later a cluster, the more tokens it has.
    row = np.repeat(np.arange(number), np.arange(1, number + 1))
    analysis = Analysis.from_dict(
        analysis_from_labels([f"t{i}" for i in range(len(row))], np.stack([row, row], axis=1))
    )
    places = cluster_places(analysis)
    # The two smallest have the colours of the next two.
    assert [places[1], places[0]] == [places[2], places[3]]
    assert clashes(analysis) == 2


def chains_by_size(analysis: Analysis) -> list[int]:
    """Return the aligned ids, those that hold most tokens over all layers first."""
    ids, counts = np.unique(analysis.aligned.labels, return_counts=True)
    return [int(i) for i in ids[np.argsort(-counts, kind="stable")] if i != -1]


def test_the_largest_chains_have_the_colours_that_every_eye_tells_apart(real: Analysis) -> None:
    # In the first, large chains that end are near others that begin.
    for analysis in (wandering(10, 6), wandering(10, 31), real):
        places = cluster_places(analysis)
        largest = chains_by_size(analysis)[:DISTINCT_COLOURS]
        assert [places[chain] for chain in largest] == list(range(len(largest)))
        assert clashes(analysis) == 0


def test_a_figure_says_where_chains_share_colours(real: Analysis) -> None:
    said = "23 chains of clusters share 16 distinct colours;<br>the largest differ from each other."
    whole = layer_window(real, 0, 11)
    assert "<br>".join(shared_colours(real, 0, 11)) == said
    figures = [
        token_sankey(real, whole).figure,
        trajectory_lines(real, whole),
        cluster_sizes(real, whole),
        path_map(real),
    ]
    for figure in figures:
        notes = [note.text for note in figure.layout.annotations]
        assert said in notes
        assert figure.layout.margin.b >= 14 + 2 * 16
    # Of the chains of a part each has a colour of its own.
    part = layer_window(real, 2, 9)
    assert shared_colours(real, 2, 9) == []
    places = {cluster_places(real)[int(i)] for i in np.unique(real.aligned.labels[:, 2:10])}
    assert len(places) == len(np.unique(real.aligned.labels[:, 2:10]))
    for figure in (token_sankey(real, part).figure, cluster_sizes(real, part)):
        assert not any("chains" in note.text for note in figure.layout.annotations)
    # Bands that are coloured by something else say what that is.
    by_path = token_sankey(real, whole, colour_by="path").figure
    assert not any("chains" in note.text for note in by_path.layout.annotations)


def test_chains_that_live_in_one_layer_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    labels = np.stack([rng.permutation(3_000) for _ in range(6)], axis=1) // 5
    analysis = Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(3_000)], labels))
    assert analysis.aligned.num_clusters > 3_000
    tracemalloc.start()
    places = cluster_places(analysis)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(places) == analysis.aligned.num_clusters
    # All pairs of chains that are near each other are hundreds of megabytes.
    assert peak < 20e6


def test_ids_of_any_size_have_colours() -> None:
    labels = [[2**62, 5], [7, 2**61], [7, 2**61]]
    analysis = Analysis.from_dict(analysis_from_labels(["a", "b", "c"], labels))
    assert len(set(cluster_places(analysis).values())) == 2
    assert clashes(analysis) == 0


def colours_by_key(figure: go.Figure) -> dict[tuple[int, int], str]:
    trace = next(trace for trace in figure.data if trace.type in {"sankey", "bar"})
    data, colours = (
        (trace.node.customdata, trace.node.color)
        if trace.type == "sankey"
        else (trace.customdata, trace.marker.color)
    )
    return {
        (int(key[1]), int(key[2])): str(colour)[:7]
        for key, colour in zip(data, colours, strict=True)
        if key[0] == "node"
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_cluster_has_one_colour_in_every_figure_and_window(theme: str) -> None:
    analysis = changing(15, 13)
    draw: list[Callable[..., go.Figure]] = [
        lambda window: token_sankey(analysis, window, theme=theme).figure,
        lambda window: cluster_sizes(analysis, window, theme),
        lambda window: trajectory_lines(analysis, window, theme=theme),
    ]
    known: dict[tuple[int, int], str] = {}
    for first, last in ((0, 12), (5, 8)):
        for one in draw:
            for key, colour in colours_by_key(one(layer_window(analysis, first, last))).items():
                assert known.setdefault(key, colour) == colour
    assert len(known) == 15 * 13


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_highlight_has_a_colour_that_no_cluster_has(theme: str) -> None:
    clusters = set(cluster_colours(theme))
    assert len(clusters) == MOST_COLOURS
    routes = {path_colour(rank, theme) for rank in range(8)} | {ink(theme).accent}
    assert len(routes) == 9
    assert not clusters & routes
