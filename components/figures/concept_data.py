"""The data behind the figures of concepts, as tables."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from concept_fragmentation.analysis import Analysis, Embedding, Projection
from concept_fragmentation.components.figures.concepts import MEASURES, similarity_of
from concept_fragmentation.components.typical import ClusterTokens

_AXES: Final = {
    Projection: ("first_component", "second_component"),
    Embedding: ("umap_first", "umap_second"),
}


def similarity_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a pair of layers: how alike they are, by each measure that is known."""
    frames = []
    for measure in MEASURES:
        found = similarity_of(analysis, measure)
        if found is not None:
            layers, matrix = found
            first, second = np.triu_indices(len(layers))
            pairs = pd.MultiIndex.from_arrays(
                [[layers[i] for i in first], [layers[i] for i in second]],
                names=["layer", "other_layer"],
            )
            frames.append(pd.Series(matrix[first, second], index=pairs, name=measure))
    if not frames:
        return pd.DataFrame(columns=["layer", "other_layer", *MEASURES])
    return pd.concat(frames, axis=1).reset_index()


def cluster_tokens_frame(analysis: Analysis, found: ClusterTokens) -> pd.DataFrame:
    """Return one row a token of a cluster, most typical first."""
    return pd.DataFrame(
        {
            "token": [analysis.shown_tokens[i] for i in found.indices],
            "position": analysis.positions[found.indices],
            found.measure: found.scores,
        }
    )


def state_map_frame(
    analysis: Analysis, layer_index: int, projection: Projection | Embedding
) -> pd.DataFrame:
    """Return one row a token: where it lies in the map of a labelled layer, and its cluster.

    A token that is set aside lies nowhere.
    """
    axes = _AXES[type(projection)]
    points = np.where(analysis.set_aside[:, np.newaxis], np.nan, projection.coordinates)
    every = pd.DataFrame(
        {
            "token": list(analysis.shown_tokens),
            "position": analysis.positions,
            axes[0]: points[:, 0],
            axes[1]: points[:, 1],
            "cluster": analysis.labels[:, layer_index],
            "aligned": analysis.aligned.labels[:, layer_index],
        }
    )
    return every[analysis.looked_at]
