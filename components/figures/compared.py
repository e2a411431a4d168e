"""Two analyses side by side: what every figure that compares them draws from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from concept_fragmentation.analysis import Analysis, AnalysisComparison, compare_analyses
from concept_fragmentation.components.figures.matched_paths import MatchedPaths, matched_paths

NOTHING_SHARED: Final = (
    "The two analyses share no layer with cluster labels, or no tokens, so there is nothing to "
    "compare. Layers are matched by name, tokens by their text, in order."
)
ONE_LAYER_SHARED: Final = "The two analyses share one layer only; a flow needs two."


@dataclass(frozen=True, eq=False)
class Compared:
    """Two analyses, from `before` to `after`, which is shown, and what changed."""

    before: Analysis
    after: Analysis
    found: AnalysisComparison
    paths: MatchedPaths

    def shared_window(self, first: int, last: int) -> tuple[int, int]:
        """Return a window of `after` among the layers that both have; all if fewer than two do."""
        wanted = self.after.labelled_layers[first : last + 1]
        inside = [i for i, layer in enumerate(self.paths.layers) if layer in wanted]
        if len(inside) < 2:
            return 0, len(self.paths.layers) - 1
        return inside[0], inside[-1]


def compared(
    old: Mapping[str, Any], new: Mapping[str, Any], before: Analysis, after: Analysis
) -> Compared | None:
    """Compare two analyses; None where they share nothing, see `NOTHING_SHARED`.

    Args:
        old: the first, as a dict.
        new: the second.
        before: the columns of the first.
        after: the columns of the second.
    """
    found = compare_analyses(old, new)
    if not found.labels or not len(found.tokens.kept_after):
        return None
    return Compared(before, after, found, matched_paths(before, after, found))
