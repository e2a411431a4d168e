"""The tokens of a category alone: what is computed of them, and what stays that of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    UnknownChoiceError,
    analysis_from_labels,
    category_values,
    layer_window,
    only_category,
    token_path_metrics,
)
from concept_fragmentation.analysis.categories import MOST_VALUES, part_name
from concept_fragmentation.analysis.noise_floor import window_floor

T, L = 60, 4


def made(**columns: Any) -> dict[str, Any]:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, (T, L))
    states = {f"layer_{i}": generator.standard_normal((T, 5)) for i in range(L)}
    data = analysis_from_labels([f"w{i}" for i in range(T)], labels.tolist())
    data["hidden_states"] = dict(zip(data["layers"], states.values(), strict=True))
    data["token_metadata"] |= columns
    data["set_aside"] = {"starts": [0, 3], "special_tokens": [], "large_norms": [7]}
    return data


KINDS = [["noun", "verb", None, "noun"][i % 4] for i in range(T)]


def test_a_column_of_few_values_has_categories() -> None:
    many = [f"v{i}" for i in range(T)]
    numbers = [float(i % 2) if i % 3 else float("nan") for i in range(T)]
    found = category_values(made(kind=KINDS, number=numbers, many=many, empty=[None] * T))
    assert found["kind"] == {"noun": 30, "verb": 15}
    assert found["number"] == {"1.0": 20, "0.0": 20}
    assert list(found) == ["kind", "number", "many"]
    assert MOST_VALUES >= T
    large = analysis_from_labels(["a"] * (MOST_VALUES + 1), [[0]] * (MOST_VALUES + 1))
    large["token_metadata"]["x"] = [str(i) for i in range(MOST_VALUES + 1)]
    assert category_values(large) == {}


def test_paths_are_those_of_the_chosen_tokens_alone() -> None:
    data = made(kind=KINDS)
    whole, part = Analysis.from_dict(data), only_category(data, "kind", ["verb"])
    chosen = np.array([kind == "verb" for kind in KINDS])
    assert (part.labels[~chosen] == -1).all()
    assert np.array_equal(part.labels[chosen], whole.labels[chosen])
    window = layer_window(part, 0, L - 1)
    alone, counts = np.unique(whole.labels[chosen], axis=0, return_counts=True)
    assert window.num_counted == chosen.sum() == 15
    assert sorted(map(tuple, window.paths.tolist())) == sorted(map(tuple, alone.tolist()))
    assert sorted(window.counts.tolist()) == sorted(counts.tolist())
    both = only_category(data, "kind", ["verb", "noun"])
    assert layer_window(both, 0, 1).num_counted == 45


def test_clusters_keep_their_aligned_ids_and_tokens_their_numbers() -> None:
    data = made(kind=KINDS)
    whole, part = Analysis.from_dict(data), only_category(data, "kind", ["verb"])
    chosen = part.looked_at
    assert np.array_equal(part.aligned.labels[chosen], whole.aligned.labels[chosen])
    assert (part.aligned.labels[~chosen] == -1).all()
    assert part.aligned.raw_to_aligned == whole.aligned.raw_to_aligned
    assert part.tokens == whole.tokens
    ours, theirs = part.token_metrics, whole.token_metrics
    assert np.array_equal(ours.cluster_changes[chosen], theirs.cluster_changes[chosen])
    assert ours.path_length is not None
    assert theirs.path_length is not None
    assert np.array_equal(ours.path_length[chosen], theirs.path_length[chosen], equal_nan=True)
    assert np.isnan(ours.path_length[~chosen]).all()
    expected = token_path_metrics(whole.aligned.labels[chosen])
    assert np.array_equal(ours.cluster_changes[chosen], expected.cluster_changes)


def test_what_is_of_all_tokens_is_left_out_or_stays_that() -> None:
    data = made(kind=KINDS)
    data["layer_similarity"] = {"layers": data["layers"], "cka": np.eye(L).tolist()}
    data["noise_floor"] = {"start": "warm", "layers": data["layers"]}
    data["significance"] = {"num_permutations": 5}
    part = only_category(data, "kind", ["noun"])
    assert part.layer_similarity == part.noise_floor == {}
    assert window_floor(part, layer_window(part, 0, 1)) is None
    assert part.significance == {"num_permutations": 5}
    # Of the three that are set aside, those at 0, 3 and 7 are nouns; of verbs none is.
    assert part.set_aside.nonzero()[0].tolist() == [0, 3, 7]
    assert not only_category(data, "kind", ["verb"]).set_aside.any()
    assert (part.ordinary == (part.looked_at & ~part.set_aside)).all()


def test_a_part_of_a_part_knows_the_whole() -> None:
    part = only_category(made(kind=KINDS, other=["x"] * 30 + ["y"] * 30), "kind", ["noun"])
    assert part.part is not None
    again = only_category(part, "other", ["x"])
    assert again.part is not None
    assert again.part.whole is part.part.whole
    assert layer_window(again, 0, 1).num_counted == 15


def test_every_category_at_once_changes_no_path() -> None:
    """The null of a restriction: to all tokens that have a cluster, it is the analysis itself."""
    data = made(kind=["x"] * T)
    whole, part = Analysis.from_dict(data), only_category(data, "kind", ["x"])
    before, after = layer_window(whole, 0, L - 1), layer_window(part, 0, L - 1)
    assert np.array_equal(before.paths, after.paths)
    assert before.fragmentation == after.fragmentation
    assert np.array_equal(whole.ordinary, part.ordinary)


def test_what_is_not_there_is_refused_with_what_is() -> None:
    data = made(kind=KINDS)
    with pytest.raises(UnknownChoiceError, match="column: there is no 'kinds', only kind"):
        only_category(data, "kinds", ["noun"])
    with pytest.raises(UnknownChoiceError, match="value of kind: there is no 'nuon'"):
        only_category(data, "kind", ["nuon"])
    with pytest.raises(InvalidDataError, match="kind: give one or more of its values"):
        only_category(data, "kind", [])


def test_a_part_is_named_in_few_words() -> None:
    assert part_name("kind", ["a"]) == "kind a"
    assert part_name("kind", list("abcde")) == "kind a, b, c or 2 more"
