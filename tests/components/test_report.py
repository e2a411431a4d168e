"""What a report says of a window."""

from __future__ import annotations

from dataclasses import replace

from concept_fragmentation.analysis import layer_window
from concept_fragmentation.analysis.noise_floor import noise_floor
from concept_fragmentation.components.floors import NO_FLOOR
from concept_fragmentation.components.report import window_table
from concept_fragmentation.components.words import decimals
from tests.analysis.labelled import of


def test_stability_stands_beside_that_by_chance() -> None:
    analysis = of([[0, 0]] * 9 + [[1, 0]])
    window = layer_window(analysis, 0, 1)
    rows = window_table(analysis, window).rows
    (stability,) = [row for row in rows if row[0] == "stability"]
    assert "0.9" in str(stability[1])
    assert stability[3] == "share of steps without a change; 0.90 by chance"


def test_metrics_of_a_window_stand_beside_their_noise_floor() -> None:
    analysis = of([[0, 0], [0, 0], [1, 1], [1, 0]])
    window = layer_window(analysis, 0, 1)
    floors = {row[0]: row[2] for row in window_table(analysis, window).rows}
    assert floors["fragmentation"] == floors["convergence"] == NO_FLOOR
    repeated = [analysis.labels, analysis.labels]
    floor = noise_floor(analysis.layers, "warm", repeated, [0.0], [0.0, 0.0])
    known = replace(analysis, noise_floor=floor.record())
    floors = {row[0]: row[2] for row in window_table(known, window).rows}
    # Each layer is clustered as the window is: what it shows is all noise.
    assert floors["fragmentation"] == decimals(window.fragmentation)
    assert floors["convergence"] == decimals(window.convergence)
