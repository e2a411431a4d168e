"""What the page says of noise floors: what clusterings of one layer make of the same number."""

from __future__ import annotations

from typing import Final

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.analysis.noise_floor import WindowFloor, window_floor
from concept_fragmentation.components.words import decimals, plural

NO_FLOOR: Final = "no noise floor known"
WHY_NO_FLOOR: Final = (
    "A noise floor is what clusterings of one and the same layer make of a number. It is known of "
    "all tokens of texts that were analyzed here, not of a part of them, and not where labels were "
    "supplied or an earlier version made them."
)


def floor_said(floor: WindowFloor, *numbers: str) -> str:
    """Return the floor of some numbers that grow with the layers of a window, in a few words."""
    least = "≥ " if floor.is_least else ""
    return f"noise floor {'; '.join(least + number for number in numbers)}"


def mobility_floor(analysis: Analysis, window: LayerWindow, floor: WindowFloor) -> float:
    """Return the mean mobility score of a window whose layers are one layer.

    With hidden states half of the score is how far they turn, and those of one layer do not turn.
    """
    steps = len(window.layers) - 1
    turns = all(layer in analysis.hidden_states for layer in window.layers)
    rate = floor.cluster_changes / steps if steps else 0.0
    return rate / 2 if turns else rate


def floor_sentence(analysis: Analysis, window: LayerWindow) -> str:
    """Say what of a window's paths its noise floor makes, or why that is not known."""
    floor = window_floor(analysis, window)
    if floor is None:
        return WHY_NO_FLOOR
    least = " at least" if floor.is_least else ""
    return (
        f"Noise floor: were all {plural(len(window.layers), 'layer')} one and the same, "
        f"{plural(floor.num_clusterings, 'clustering')} of it would make {floor.num_paths:,.0f} "
        f"paths{least}, a fragmentation of {decimals(floor.fragmentation)}{least}, and a "
        f"convergence of {decimals(floor.convergence)}{least}; a token would change its cluster "
        f"{decimals(floor.cluster_changes)} times on average."
    )
