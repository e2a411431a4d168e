"""What clusterings of one layer make of movement, and that real movement stands out from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from concept_fragmentation.analysis import Analysis, analysis_from_labels, analyze, layer_window
from concept_fragmentation.analysis.clustering import Clusterer, Clustering
from concept_fragmentation.analysis.noise_floor import (
    COLD_REPEATS,
    WARM_REPEATS,
    NoiseFloor,
    layer_floor,
    moved_shares,
    noise_floor,
    recorded_floor,
)

Array = npt.NDArray[Any]


def silent(_: float) -> None:
    pass


def in_sequence(clusterer: Clusterer, states: Sequence[Array]) -> tuple[Array, NoiseFloor]:
    """Return labels (T, L) and the noise floor, as `analyze` makes them."""
    found: list[Clustering] = []
    repeated = []
    before = None
    for i, layer in enumerate(states):
        found.append(clusterer.cluster(str(i), layer, silent, before))
        before = found[-1].labels
        repeated.append(layer_floor(clusterer, layer, found[-1], first=i == 0))
    names = [str(i) for i in range(len(states))]
    unknown = [np.nan] * len(states)
    start = "warm" if clusterer.warm_start else "cold"
    floor = noise_floor(names, start, repeated, unknown[1:], unknown)
    return np.stack([clustering.labels for clustering in found], axis=1), floor


def rotation(rng: np.random.Generator, dimensions: int) -> Array:
    return np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]


def test_one_cloud_that_is_only_turned_moves_no_token_above_the_floor() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(600, 12))
    labels, floor = in_sequence(Clusterer(6), [cloud @ rotation(rng, 12) for _ in range(4)])
    moved = moved_shares(labels)
    assert (moved <= floor.by_step()["moved"]).all()
    assert 0 < floor.moved.mean() < 0.2
    # Where each clustering begins at random, much moves though nothing changes.
    _, cold = in_sequence(Clusterer(6, warm_start=False), [cloud] * 4)
    assert cold.moved.mean() > 0.3


def test_tokens_that_swap_two_planted_clusters_stand_out_at_that_step_only() -> None:
    rng = np.random.default_rng(1)
    centres = np.zeros((2, 16))
    centres[1, 0] = 8
    member = np.repeat([0, 1], 300)
    states = []
    for layer in range(6):
        if layer == 3:
            swapped = rng.choice(600, 120, replace=False)
            member[swapped] = 1 - member[swapped]
        states.append(centres[member] + rng.normal(size=(600, 16)))
    labels, floor = in_sequence(Clusterer(2), states)
    above = moved_shares(labels) - floor.by_step()["moved"]
    assert above[2] == pytest.approx(0.2, abs=0.01)
    assert np.abs(np.delete(above, 2)).max() < 0.01


def test_a_merger_and_a_split_are_found_once_they_lower_the_inertia_by_the_margin() -> None:
    # What a warm start can't leave: two centres share what has merged, and one holds what split.
    rng = np.random.default_rng(3)
    corners = 30 * np.eye(5, 20)
    member = np.repeat(np.arange(5), 80)
    first = corners[member] + rng.normal(size=(400, 20))
    split = {}
    for gap in (2.0, 20.0):
        after = corners.copy()
        after[2] = after[1]
        second = after[member] + rng.normal(size=(400, 20))
        second[member == 0, 19] += np.where(np.arange(80) % 2, gap, 0)
        clusterer = Clusterer(5)
        before = clusterer.cluster("a", first, silent).labels
        split[gap] = clusterer.cluster("b", second, silent, before)
    assert split[2.0].start == "warm"
    assert split[20.0].start == "cold"
    assert split[20.0].inertia == split[20.0].inertia_cold < 0.98 * split[20.0].inertia_warm
    assert len(set(split[20.0].labels[:80:2]) & set(split[20.0].labels[1:80:2])) == 0


def test_the_number_of_clusterings_and_of_tokens() -> None:
    states = np.random.default_rng(4).normal(size=(10, 3))
    for clusterer, most in ((Clusterer(3), WARM_REPEATS), (Clusterer(3, warm_start=False), 3)):
        clustering = clusterer.cluster("a", states, silent)
        found = layer_floor(clusterer, states, clustering)
        assert found.shape == (10, most + 1)
        np.testing.assert_array_equal(found[:, 0], clustering.labels)
    assert COLD_REPEATS == 3
    one = Clusterer(1)
    assert (layer_floor(one, states, one.cluster("a", states, silent)) == 0).all()


def test_a_layer_that_kept_a_start_at_random_is_clustered_so_again() -> None:
    rng = np.random.default_rng(6)
    states = rng.normal(size=(300, 8))
    sequence = Clusterer(6)
    cold = sequence.cluster("a", states, silent)
    at_random = moved_shares(layer_floor(sequence, states, cold)).mean()
    in_turn = moved_shares(layer_floor(sequence, states, cold, first=True)).mean()
    assert at_random > 2 * in_turn > 0


def hand_made() -> NoiseFloor:
    repeated = [
        np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]]),
        np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]),
        np.array([[0, 0, 0], [1, 0, 0], [2, 1, 1], [2, 1, 0]]),
    ]
    return noise_floor("abc", "warm", repeated, [0.5, 0.25], [0.1, 0.2, 0.3])


def test_the_floor_of_a_window_is_the_mean_over_its_layers() -> None:
    floor = hand_made()
    np.testing.assert_allclose(floor.moved[0], [0.25, 0.25])
    assert floor.num_paths.tolist() == [[2, 3, 3], [2, 2, 2], [3, 3, 4]]
    whole = floor.between("a", "c")
    assert whole is not None
    # Changes of a step are those of the layer that it leads to.
    assert whole.cluster_changes == pytest.approx(0.25)
    assert whole.num_paths == pytest.approx((3 + 2 + 4) / 3)
    assert (whole.num_clusterings, whole.is_least) == (3, False)
    pair = floor.between("b", "c")
    assert pair is not None
    assert pair.num_paths == pytest.approx((2 + 3) / 2)
    assert pair.cluster_changes == pytest.approx(0.25)
    early = floor.between("a", "b")
    assert early is not None
    assert early.cluster_changes == 0
    assert floor.between("a", "d") is None
    # The paths of a repeated layer are those that a window of the same labels has.
    made = analysis_from_labels(list("wxyz"), [[0, 0, 0], [1, 0, 0], [2, 1, 1], [2, 1, 0]])
    window = layer_window(made, 0, 2)
    assert floor.fragmentation[2, 2] == pytest.approx(window.fragmentation)
    assert floor.convergence[2, 2] == pytest.approx(window.convergence)


def test_a_window_of_more_layers_than_clusterings_has_at_least_this_floor() -> None:
    repeated = [np.array([[0, 0], [1, 1]])] * 4
    found = noise_floor("abcd", "cold", repeated, [0.0] * 3, [0.0] * 4).between("a", "d")
    assert found is not None
    assert (found.num_clusterings, found.is_least, found.num_paths) == (2, True, 2)


def test_a_record_is_plain_and_read_again_and_others_are_not() -> None:
    floor = hand_made()
    read = recorded_floor(json.loads(json.dumps(floor.record())))
    assert read is not None
    for name, value in vars(floor).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    for broken in (
        None,
        [],
        {},
        floor.record() | {"start": "hot"},
        floor.record() | {"layers": []},
        floor.record() | {"layers": "abc"},
        floor.record() | {"moved": [[0.1]]},
        floor.record() | {"num_paths": []},
        floor.record() | {"moved": "a"},
    ):
        assert recorded_floor(broken) is None


@pytest.mark.slow
@pytest.mark.parametrize("warm_start", [True, False])
def test_an_analysis_of_a_text_keeps_its_floor(warm_start: bool) -> None:
    text = "The dog saw the cat near the river, and a girl gave the boy a red ball. " * 3
    made = analyze(text, "tiny", n_clusters=3, attention="none", warm_start=warm_start)
    floor = recorded_floor(made["noise_floor"])
    assert floor is not None
    assert floor.start == ("warm" if warm_start else "cold")
    assert floor.layers == tuple(made["layers"])
    assert Analysis.from_dict(made).noise_floor == made["noise_floor"]
    # What moves where each layer begins the other way is kept beside it.
    assert np.isfinite(floor.other_moved).all()
    assert np.isfinite(floor.other_floor).all() == warm_start
    for metrics in made["cluster_metrics"].values():
        kept = metrics["inertia_warm" if metrics["start"] == "warm" else "inertia_cold"]
        assert metrics["inertia"] == kept
    assert "noise_floor" not in analyze(text, "tiny", layers=[1], n_clusters=3, attention="none")
