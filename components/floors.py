"""What the page says of noise floors: what clusterings of one layer make of the same number."""

from __future__ import annotations

from typing import Final

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.analysis.noise_floor import WindowFloor, window_floor
from concept_fragmentation.components.words import decimals, plural

NO_FLOOR: Final = "no noise floor known"
WHY_NO_FLOOR: Final = (
    "A noise floor is what clusterings of one and the same layer make of a number. It is known of "
    "texts that were analyzed here by k-means, not where labels or an estimator were supplied, or "
    "an earlier version made them."
)


def paths_floor(floor: WindowFloor) -> str:
    """Return how many paths clusterings of one layer make, and their fragmentation, in short."""
    least = "≥ " if floor.is_least else ""
    fragmentation = in_layers(floor, decimals(floor.fragmentation))
    return f"noise floor {least}{floor.num_paths:,.0f}; {fragmentation}"


def in_layers(floor: WindowFloor, number: str) -> str:
    """Return a number of a floor, and of how many layers it is where the window has more."""
    return f"{number} in {plural(floor.num_clusterings, 'layer')}" if floor.is_least else number


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
    layers = plural(len(window.layers), "layer")
    if floor.is_least:
        layers = f"{floor.num_clusterings} of the {len(window.layers)} layers"
    return (
        f"Noise floor: were {layers} one and the same, its clusterings would make "
        f"{floor.num_paths:,.0f} paths, a fragmentation of {decimals(floor.fragmentation)} and a "
        f"convergence of {decimals(floor.convergence)}. In the window a token would change its "
        f"cluster {decimals(floor.cluster_changes)} times on average."
    )
