"""Whatever a notebook shows by itself is short, and nothing in it is markup."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from concept_fragmentation import analysis as public
from concept_fragmentation.analysis import (
    Analysis,
    LazyArray,
    align_labels,
    analysis_from_labels,
    archetypal_paths,
    category_angles,
    category_association,
    category_entropy,
    category_fragmentation,
    cluster_centroids,
    compare_analyses,
    compare_fragmentation,
    find_massive,
    gap_statistic,
    layer_steps,
    layer_window,
    principal_plane,
    purity,
    rarefy,
    silhouette,
    typical_tokens,
    window_grid,
    window_significance,
)
from concept_fragmentation.analysis.noise_floor import noise_floor
from concept_fragmentation.analysis.projection import Embedding
from concept_fragmentation.analysis.shared_paths import attention_path_correlation
from concept_fragmentation.analysis.shown import LONGEST, brief

TAG = "<script>alert(1)</script>"


def results(data: dict[str, Any]) -> dict[str, object]:
    """Return one of everything that is computed, of an analysis with many tokens and layers."""
    analysis = Analysis.from_dict(data)
    window = layer_window(analysis, 0, -1)
    states = np.random.default_rng(0).normal(size=(analysis.num_tokens, 8))
    labels = analysis.labels[:, 0]
    words = {"model_type": TAG * 40, "token_metadata": {"tokens": [TAG] * analysis.num_tokens}}
    changed = {layer: labels[::-1] for layer, labels in data["cluster_labels"].items()}
    extra = {f"key {i}": i for i in range(500)}
    compared = compare_analyses(data, {**data, **extra, "cluster_labels": changed})
    layer = compared.labels[0]
    tested = window_significance(analysis, 0, -1, permutations=50)
    repeated = [analysis.labels[:, [i, i]] for i in (0, 1)]
    floor = noise_floor(["layer_0", "layer_1"], "cold", repeated, [0.0], [0.0, 0.0])
    found = [
        analysis,
        Analysis.from_dict(data | words),
        analysis.aligned,
        analysis.token_metrics,
        window,
        window.transitions[0],
        archetypal_paths(analysis, window, examples=40)[0],
        window_grid(analysis),
        layer_steps(analysis),
        tested,
        tested.fragmentation,
        category_association(window, ["a", "b"] * (analysis.num_tokens // 2), None, permutations=2),
        rarefy(window, 10),
        category_fragmentation(window, ["a", "b"] * (analysis.num_tokens // 2), None)[0],
        category_entropy(labels, ["a", "b"] * (analysis.num_tokens // 2), None),
        cluster_centroids(states, labels),
        find_massive([states], starts=np.arange(len(states)) < 100),
        category_angles(states, ["a", "b"] * (analysis.num_tokens // 2))[0],
        compare_fragmentation(window, window),
        gap_statistic(states[:40, :3], most=2, references=2),
        floor,
        floor.between("layer_0", "layer_1"),
        compared,
        compared.keys,
        compared.tokens,
        layer,
        compare_analyses(data, data | {"cluster_metrics": {data["layers"][0]: {"x": 1}}}).metrics[
            0
        ],
        principal_plane(states),
        Embedding(states),
        purity(labels, ["a", "b"] * (analysis.num_tokens // 2)),
        silhouette(states[:50], labels[:50]),
        typical_tokens(states, labels)[int(labels[0])],
        attention_path_correlation([np.tri(6) / 6], [np.zeros((6, 2), dtype=int)]),
        LazyArray((3, 4), np.float32, lambda _: np.zeros(())),
    ]
    return {f"{type(one).__name__} {i}": one for i, one in enumerate(found)}


@pytest.fixture(scope="module")
def shown(real_data: dict[str, Any]) -> dict[str, object]:
    return results(real_data)


def test_what_is_computed_shows_itself_in_a_line(shown: dict[str, object]) -> None:
    for name, one in shown.items():
        text = repr(one)
        assert 10 < len(text) <= LONGEST, (name, len(text))
        assert type(one).__name__ in text or "analyses differ" in text
        assert "array(" not in text


def test_every_public_dataclass_is_looked_at(shown: dict[str, object]) -> None:
    public_ones = {
        name
        for name in public.__all__
        if isinstance(getattr(public, name), type)
        and dataclasses.is_dataclass(getattr(public, name))
    }
    assert public_ones <= {type(one).__name__ for one in shown.values()}


def test_a_notebook_shows_a_table_without_markup_of_tokens(shown: dict[str, object]) -> None:
    for name, one in shown.items():
        html: Callable[[], str] | None = getattr(one, "_repr_html_", None)
        if html is None:
            assert isinstance(one, LazyArray), name
            continue
        text = html()
        assert "<table>" in text
        assert "<script>" not in text
        assert len(re.sub("<[^>]*>", "", text)) < 60_000


def test_what_matters_is_in_the_line() -> None:
    made = analysis_from_labels(list("abcd"), [[0, 0], [0, 0], [1, 1], [1, 0]])
    analysis = Analysis.from_dict(made)
    assert repr(analysis) == (
        "<Analysis of 'gpt2', tokens 4, layers ['layer_0', 'layer_1'], cluster labels in 2>"
    )
    assert repr(layer_window(analysis, 0, 1)) == (
        "LayerWindow(layers=('layer_0', 'layer_1'), num_counted=4, num_paths=3, "
        "fragmentation=0.75, concentration=0.5, stability=0.75, stability_chance=0.5, "
        "convergence=0.5, ...)"
    )
    tested = repr(window_significance(analysis, 0, 1, null="shuffled", permutations=20))
    assert tested.startswith("<WindowSignificance fragmentation 0.75, shuffled 0.")
    assert repr(align_labels(analysis.labels)) == (
        "AlignedLabels(labels=int64 (4, 2), raw_to_aligned=2 entries, num_clusters=2, "
        "overlaps=2 entries)"
    )


def test_a_comparison_is_printed_in_full_and_shown_in_part(real_data: dict[str, Any]) -> None:
    extra = {f"key {i}": i for i in range(500)}
    changed = {layer: labels[::-1] for layer, labels in real_data["cluster_labels"].items()}
    found = compare_analyses(real_data, {**real_data, **extra, "cluster_labels": changed})
    page = str(found).splitlines()
    line = repr(found).splitlines()
    assert line[:-1] == page[: len(line) - 1]
    assert line[-1] == f"... and {len(page) - len(line) + 1} more lines; print it"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((3, 4)), "float64 (3, 4)"),
        (np.float64(1 / 3), "0.3333"),
        (np.int64(3), "3"),
        (True, "True"),
        (None, "None"),
        ({1: [0] * 1000}, "1 keys"),
        ((1, 2), "(1, 2)"),
        (([0] * 1000,), "1 entries"),
        (["layer_0", "b", "c", "d", "layer_4"], "'layer_0' to 'layer_4' (5)"),
        ("x" * 1000, "'" + "x" * 59 + "..."),
    ],
)
def test_values_are_cut_or_said_by_their_size(value: object, said: str) -> None:
    assert brief(value) == said
