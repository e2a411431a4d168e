"""What stands out in an analysis, in words computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    WindowSignificance,
    archetypal_paths,
    layer_steps,
)
from concept_fragmentation.components.figures.metrics import window_metrics
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import arrows, percent, plural, title

EXAMPLES: Final = 4

# The level below which a difference is not put down to chance.
_CHANCE: Final = 0.05


def standouts(
    analysis: Analysis, window: LayerWindow, significance: WindowSignificance | None = None
) -> list[str]:
    """Say what stands out within a window, one sentence a finding.

    The most frequent path, the most and the least mobile tokens, between which layers paths part
    and join most, and whether that is more than chance where it was tested.
    """
    if len(window.layers) < 2 or not window.num_counted:
        return ["Too few layers or tokens with clusters for anything to stand out."]
    said = [_path(analysis, window), *_mobility(analysis, window), *_steps(analysis, window)]
    if significance is not None:
        said += [
            _tested(
                name, (test.observed, test.null_mean, test.p_value), significance.num_permutations
            )
            for name, test in (
                ("Fragmentation", significance.fragmentation),
                ("Convergence", significance.convergence),
            )
        ]
    return [sentence for sentence in said if sentence]


def significance_of_all_layers(analysis: Analysis) -> list[str]:
    """Say what an analysis keeps of the tests of its paths through all layers."""
    number = analysis.significance.get("num_permutations")
    if not isinstance(number, int):
        return []
    said = [
        _tested(f"{name.capitalize()} of all layers", [kept.get(key) for key in _KEPT], number)
        for name in ("fragmentation", "convergence")
        if isinstance(kept := analysis.significance.get(name), Mapping)
    ]
    return [sentence for sentence in said if sentence]


_KEPT: Final = ("observed", "null_mean", "p_value")


def _path(analysis: Analysis, window: LayerWindow) -> str:
    (top,) = archetypal_paths(analysis, window, top=1, examples=40)
    different = list(dict.fromkeys(top.example_tokens))[:EXAMPLES]
    examples = _listed([f"“{visible(token, 16)}”" for token in different])
    share = f"{plural(top.count, 'token')} ({percent(top.percentage / 100)})"
    if top.count == 1:
        return "Every token takes a path of its own."
    return (
        f"Most tokens on one path: {share} go {arrows(top.path)}, such as {examples}; "
        f"{plural(len(window.counts), 'path')} in all."
    )


def _mobility(analysis: Analysis, window: LayerWindow) -> list[str]:
    metrics = window_metrics(analysis, window)
    counted = np.flatnonzero(window.path_of_token >= 0)
    scores = metrics.mobility_score[counted]
    changes = metrics.cluster_changes[counted]
    steps = len(window.layers) - 1
    low, high = scores.min(), scores.max()
    if high - low < 1e-12:
        moved = int(changes.max())
        return [f"All tokens are equally mobile: {moved} of {plural(steps, 'step')}."]
    most, least = counted[scores == high], counted[scores == low]
    top, bottom = int(changes[scores == high].max()), int(changes[scores == low].min())
    return [
        f"Most mobile: {_some(analysis, most)}, with {plural(top, 'cluster change')} in "
        f"{plural(steps, 'step')}.",
        f"Least mobile: {_some(analysis, least)}, with {plural(bottom, 'cluster change')}.",
    ]


def _steps(analysis: Analysis, window: LayerWindow) -> list[str]:
    steps = layer_steps(analysis)
    here = slice(window.first, window.last)
    said = []
    for values, what, of in (
        (steps.divergence[here], "part", "were in one cluster no longer are"),
        (steps.convergence[here], "join", "were apart are in one cluster"),
    ):
        if np.isfinite(values).any() and np.nanmax(values) > 0:
            step = int(np.nanargmax(values))
            names = [title(window.layers[step + i], 24) for i in (0, 1)]
            said.append(
                f"Paths {what} most from {names[0]} to {names[1]}: {percent(values[step], 0)} of "
                f"the pairs of tokens that {of}."
            )
    return said


def _tested(name: str, values: Sequence[Any], number: int) -> str:
    """What a test says by its observed value, the mean of its null, and its p-value."""
    known = [float(v) for v in values if isinstance(v, int | float | np.number) and np.isfinite(v)]
    if len(known) < len(values):
        return ""
    observed, mean, p_value = known
    than = "lower than" if observed < mean else "higher than"
    verdict = f"{than} by chance" if p_value < _CHANCE else "no other than by chance"
    return (
        f"{name} is {verdict}: {observed:.3f} where shuffled layers give {mean:.3f} "
        f"(p = {p_value:.2g}, {number:,} permutations)."
    )


def _some(analysis: Analysis, tokens: Sequence[int] | npt.NDArray[np.int64]) -> str:
    different = list(dict.fromkeys(analysis.shown_tokens[i] for i in tokens))
    shown = [f"“{visible(token, 16)}”" for token in different[:EXAMPLES]]
    if more := len(different) - len(shown):
        return f"{', '.join(shown)} and {more:,} more"
    return _listed(shown)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
