"""The analyses that ship with the package."""

from __future__ import annotations

import hashlib
import json

import pytest

from concept_fragmentation.persistence import AnalysisNotFoundError
from concept_fragmentation.persistence.examples import EXAMPLES, load_example


def test_gpt2_example_holds_the_published_data() -> None:
    data = load_example("gpt2-small")["analysis_data"]
    assert data["model_type"] == "gpt2-small"
    assert data["layers"] == [f"layer_{i}" for i in range(12)]
    assert len(data["token_metadata"]["tokens"]) == 10_000
    labels = data["cluster_labels"]
    assert {layer: sorted(set(of_layer)) for layer, of_layer in labels.items()} == {
        layer: list(range(10)) for layer in data["layers"]
    }
    # The digest of the published labels and tokens, so that no change of the file goes unseen.
    content = json.dumps([data["token_metadata"], labels], sort_keys=True).encode()
    assert (
        hashlib.sha256(content).hexdigest()
        == "d2b04693b52e8f14b8aaaa194dc7ac05ff5e36fa5dc82887c07110fb538a5327"
    )


@pytest.mark.parametrize("key", [example.key for example in EXAMPLES])
def test_each_example_is_read_anew(key: str) -> None:
    first, second = load_example(key), load_example(key)
    assert first == second
    first["analysis_data"]["layers"].clear()
    assert second["analysis_data"]["layers"]


def test_unknown_example_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        AnalysisNotFoundError, match="no example 'x'; choose one of gpt2-small, two"
    ):
        load_example("x")
