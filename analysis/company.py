"""Which tokens of a cluster stay with the others in the other layers."""

from __future__ import annotations

import numpy as np

from concept_fragmentation.analysis.choices import Layer, labelled_position
from concept_fragmentation.analysis.counting import NO_CLUSTER, Floats, IntArray
from concept_fragmentation.analysis.model import AnalysisLike, as_analysis
from concept_fragmentation.analysis.windows import tokens_in_cluster


def cluster_company(analysis: AnalysisLike, layer: Layer, cluster: int) -> tuple[IntArray, Floats]:
    """The tokens of a cluster, those first that are with most of the others elsewhere too.

    What is typical of a cluster where there are no hidden states to tell by. The company of a
    token is the mean over the other layers in which it has a cluster of the share of the cluster's
    other tokens that are in one with it there too: 1 for one that never parts from any, 0 where
    there is no other layer. Ours; there is no standard definition.

    Args:
        analysis: with labels.
        layer: by its name or by its position in `layers`: from 0, or negative from the end.
        cluster: raw id.

    Returns:
        Indices int64 (N,) and their company float64 (N,), descending; equals in the order of the
        text.

    Raises:
        UnknownChoiceError: there is no such layer with labels, or no such cluster in it.
    """
    analysis = as_analysis(analysis)
    tokens = tokens_in_cluster(analysis, layer, cluster)
    column = labelled_position(analysis.layers, analysis.labelled_layers, layer)
    labels = np.delete(analysis.labels[tokens], column, axis=1)
    shares = np.zeros(labels.shape)
    for i, column in enumerate(labels.T):
        present = column != NO_CLUSTER
        _, codes, counts = np.unique(column[present], return_inverse=True, return_counts=True)
        shares[present, i] = (counts[codes] - 1) / max(len(tokens) - 1, 1)
    layers = (labels != NO_CLUSTER).sum(axis=1)
    company = shares.sum(axis=1) / np.maximum(layers, 1)
    order = np.argsort(-company, kind="stable")
    return tokens[order], company[order]
