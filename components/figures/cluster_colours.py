"""Which colour each cluster has: the same in every figure, and none that is near it has it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.alignment import AlignedLabels
from concept_fragmentation.components.palette import MOST_COLOURS, cluster_colour

# So many aligned ids have the colour at their own place wherever that is free: the first colours
# are told apart by every eye.
_FIRST: Final = 16

_known: WeakKeyDictionary[AlignedLabels, Mapping[int, int]] = WeakKeyDictionary()


def cluster_places(analysis: Analysis) -> Mapping[int, int]:
    """Return the place of each aligned cluster's colour among `cluster_colours`.

    No two clusters of one layer, or of neighbouring layers, have one place unless they have one
    aligned id, up to `MOST_COLOURS` aligned ids in two neighbouring layers; of more, those that
    hold fewest tokens share a place. This is greedy colouring of an interval graph in the order in
    which clusters first appear, which needs no more colours than that (Golumbic 1980). It depends
    on the analysis alone, so that a cluster has one colour in every window and figure.
    """
    found = _known.get(analysis.aligned)
    if found is None:
        found = _known[analysis.aligned] = _places(analysis.aligned)
    return found


def colour_of(analysis: Analysis, aligned_id: int, theme: str = "light") -> str:
    """Return the colour of a cluster by its aligned id."""
    return cluster_colour(cluster_places(analysis).get(int(aligned_id), int(aligned_id)), theme)


def _places(aligned: AlignedLabels) -> dict[int, int]:
    layers = [set(mapping.values()) for mapping in aligned.raw_to_aligned]
    near: dict[int, set[int]] = {}
    for here, there in zip(layers, [*layers[1:], set()], strict=True):
        for aligned_id in here | there:
            near.setdefault(aligned_id, set()).update(here, there)
    ids, counts = np.unique(aligned.labels, return_counts=True)
    sizes = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    places: dict[int, int] = {}
    for layer in layers:
        for aligned_id in sorted(layer - places.keys()):
            taken = {places[other] for other in near[aligned_id] if other in places}
            free = [place for place in range(MOST_COLOURS) if place not in taken]
            if aligned_id < _FIRST and aligned_id in free:
                places[aligned_id] = aligned_id
            elif free:
                places[aligned_id] = free[0]
            else:
                places[aligned_id] = _least(near[aligned_id], places, sizes)
    return places


def _least(near: set[int], places: Mapping[int, int], sizes: Mapping[int, int]) -> int:
    """The place whose clusters nearby hold fewest tokens, of those where all are taken."""
    held = np.zeros(MOST_COLOURS, dtype=np.int64)
    for other in near:
        if other in places:
            held[places[other]] += sizes.get(other, 0)
    return int(held.argmin())
