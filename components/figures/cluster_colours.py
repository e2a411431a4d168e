"""Which colour each cluster has: the same in every figure, and none that is near it has it too.

A chain of matched clusters (`align_labels`) has one colour. There may be more chains than colours
that are easy to tell apart: those that are far from each other then share one, and figures say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.alignment import AlignedLabels
from concept_fragmentation.components.palette import (
    DISTINCT_COLOURS,
    MOST_COLOURS,
    cluster_colour,
)

_known: WeakKeyDictionary[AlignedLabels, Mapping[int, int]] = WeakKeyDictionary()


def cluster_places(analysis: Analysis) -> Mapping[int, int]:
    """Return the place of each aligned cluster's colour among `cluster_colours`.

    The `DISTINCT_COLOURS` chains that hold most tokens have the colours that every eye tells apart,
    each its own. Others share one of these with a small chain that is not near, or have a further
    one.
    No two clusters of one layer, or of neighbouring layers, have one place unless they have one
    aligned id, up to `MOST_COLOURS` aligned ids in two neighbouring layers; of more, those that
    hold fewest tokens share a place. This is greedy colouring of an interval graph in the order in
    which clusters first appear, which needs no more colours than that (Golumbic 1980). It depends
    on the analysis alone, so that a cluster has one colour in every window and figure.
    """
    aligned = analysis.whole.aligned
    found = _known.get(aligned)
    if found is None:
        found = _known[aligned] = _places(aligned)
    return found


def colour_of(analysis: Analysis, aligned_id: int, theme: str = "light") -> str:
    """Return the colour of a cluster by its aligned id."""
    return cluster_colour(cluster_places(analysis).get(int(aligned_id), int(aligned_id)), theme)


def shared_colours(analysis: Analysis, first: int, last: int) -> list[str]:
    """Say in a sentence, in lines for `legend_below`, that chains of clusters share colours.

    Of the chains in some labelled layers, both ends included; no line where each of them has a
    colour of its own that is easy to tell apart.
    """
    layers = analysis.aligned.raw_to_aligned[first : last + 1]
    chains = {aligned_id for mapping in layers for aligned_id in mapping.values()}
    place_of = cluster_places(analysis)
    places = {place_of[aligned_id] for aligned_id in chains}
    distinct = sum(place < DISTINCT_COLOURS for place in places)
    if distinct == len(chains):
        return []
    return [
        f"{len(chains):,} chains of clusters share {distinct} distinct colours;",
        "the largest differ from each other.",
    ]


def _places(aligned: AlignedLabels) -> dict[int, int]:
    layers = [set(mapping.values()) for mapping in aligned.raw_to_aligned]
    ids, counts = np.unique(aligned.labels[aligned.labels >= 0], return_counts=True)
    sizes = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    largest = sorted(sizes, key=lambda aligned_id: (-sizes[aligned_id], aligned_id))
    ranks = {aligned_id: rank for rank, aligned_id in enumerate(largest)}
    spans: dict[int, tuple[int, int]] = {}
    for i, layer in enumerate(layers):
        for aligned_id in layer:
            spans[aligned_id] = spans.get(aligned_id, (i, i))[0], i
    own = [spans[aligned_id] for aligned_id in largest[:DISTINCT_COLOURS]]
    # How many tokens have each of the distinct colours: who shares one shares that of the fewest.
    held = [sizes[aligned_id] for aligned_id in largest[:DISTINCT_COLOURS]]
    places: dict[int, int] = {}
    for i, layer in enumerate(layers):
        # Tokens by place, of the chains that have one and are here or in the layer before.
        near = np.zeros(MOST_COLOURS, dtype=np.int64)
        for other in (layer | layers[max(i - 1, 0)]) & places.keys():
            near[places[other]] += sizes[other]
        for aligned_id in sorted(layer - places.keys(), key=ranks.__getitem__):
            rank, last = ranks[aligned_id], spans[aligned_id][1]
            free = np.flatnonzero(near == 0).tolist()
            # Places that large chains nearby have, or will have, are left to them if others are.
            left = [
                k for k, (begins, ends) in enumerate(own) if begins <= last + 1 and ends >= i - 1
            ]
            shareable = [place for place in free if place not in left] or free
            if rank < len(own) and near[rank] == 0:
                place = rank
            elif not free:
                place = int(near.argmin())
            elif shareable[0] < len(own):
                place = min((k for k in shareable if k < len(own)), key=held.__getitem__)
                held[place] += sizes[aligned_id]
            else:
                place = shareable[0]
            places[aligned_id] = place
            near[place] += sizes[aligned_id]
    return places
