"""What is measured of each layer is the same for few tokens and for many."""

from __future__ import annotations

import numpy as np
import pytest

from concept_fragmentation.analysis.clustering import Clusterer
from concept_fragmentation.analysis.layer_measures import STABILITY_TOKENS, cluster_measures


@pytest.mark.parametrize("num_tokens", [600, STABILITY_TOKENS, 4 * STABILITY_TOKENS])
@pytest.mark.slow
def test_clusters_that_lie_apart_come_again_whatever_the_number_of_tokens(num_tokens: int) -> None:
    rng = np.random.default_rng(0)
    member = rng.integers(0, 6, num_tokens)
    states = (30 * np.eye(6, 8))[member] + rng.normal(size=(num_tokens, 8))
    clusterer = Clusterer(6)
    clustering = clusterer.cluster("layer", states, lambda _: None)
    measured = cluster_measures(states, np.arange(num_tokens), clustering, clusterer)
    assert measured.metrics["stability"] == pytest.approx(1.0)
    assert measured.moved_again == 0
