"""Counts, shares and numbers read well at their ends too."""

from __future__ import annotations

import math

import pytest

from concept_fragmentation.components.words import arrows, decimals, percent, plural


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0, 1, "0.0%"),
        (-0.0, 1, "0.0%"),
        (1 / 3000, 1, "<0.1%"),
        (0.0009, 1, "<0.1%"),
        (0.001, 1, "0.1%"),
        (0.125, 1, "12.5%"),
        (0.004, 0, "<1%"),
        (0.996, 0, ">99%"),
        (2999 / 3000, 1, ">99.9%"),
        (1, 1, "100.0%"),
        (math.nan, 1, "–"),
    ],
)
def test_a_share_that_is_not_nothing_and_not_all_does_not_read_so(
    share: float, digits: int, shown: str
) -> None:
    assert percent(share, digits) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(-0.001, "0.00"), (-0.0, "0.00"), (-0.006, "-0.01"), (1234.5, "1,234.50")]
)
def test_what_rounds_to_nothing_has_no_sign(number: float, shown: str) -> None:
    assert decimals(number) == shown


def test_one_is_no_plural() -> None:
    assert [plural(1, "token"), plural(0, "token"), plural(1000, "token")] == [
        "1 token",
        "0 tokens",
        "1,000 tokens",
    ]


def test_a_long_path_is_cut_after_a_cluster() -> None:
    assert arrows([1, 2, 3], 2) == "1 → 2 → …"
    assert arrows([1, 2, 3], 3) == "1 → 2 → 3"
