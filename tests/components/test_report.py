"""What a report says of a window."""

from __future__ import annotations

from concept_fragmentation.analysis import layer_window
from concept_fragmentation.components.report import window_table
from tests.analysis.labelled import of


def test_stability_stands_beside_that_by_chance() -> None:
    window = layer_window(of([[0, 0]] * 9 + [[1, 0]]), 0, 1)
    (stability,) = [row for row in window_table(window).rows if row[0] == "stability"]
    assert "0.9" in str(stability[1])
    assert stability[2] == "share of steps without a change; 0.90 by chance"
