"""What stands out in a layer window, in sentences computed from the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    TokenPathMetrics,
    archetypal_paths,
    layer_steps,
)
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import arrows, plural, title

TOKENS_NAMED: Final = 4


def facts_of_window(
    analysis: Analysis, window: LayerWindow, metrics: TokenPathMetrics
) -> list[str]:
    """Return a sentence for each thing that stands out; none for what can't be said."""
    facts = [_largest_path(analysis, window), *_mobility(analysis, window, metrics)]
    return [fact for fact in [*facts, *_steps(analysis, window)] if fact]


def fact_of_significance(tested: Mapping[str, Any]) -> str | None:
    """Say whether paths through all layers are less split up than chance makes them.

    Args:
        tested: the `significance` of an analysis dict; what it lacks makes this None.
    """
    found = tested.get("fragmentation")
    keys = ("observed", "null_mean", "p_value")
    if not isinstance(found, Mapping) or not all(isinstance(found.get(k), float) for k in keys):
        return None
    observed, by_chance, p_value = (found[key] for key in keys)
    word = "less" if observed < by_chance else "more"
    times = tested.get("num_permutations")
    return (
        f"Over all layers, paths are {word} fragmented than tokens permuted within each layer: "
        f"{observed:.2f} beside {by_chance:.2f} (p = {p_value:.3g}"
        + (f", {times:,} permutations)." if isinstance(times, int) else ").")
    )


def _largest_path(analysis: Analysis, window: LayerWindow) -> str | None:
    top = archetypal_paths(analysis, window, top=1, examples=40)
    if not top:
        return None
    path = top[0]
    names = ", ".join(
        visible(token, limit=16)
        for token in list(dict.fromkeys(path.example_tokens))[:TOKENS_NAMED]
    )
    return (
        f"The largest path, {arrows(path.path)}, is that of {plural(path.count, 'token')} "
        f"({path.percentage:.1f} %), such as {names}."
    )


def _mobility(
    analysis: Analysis, window: LayerWindow, metrics: TokenPathMetrics
) -> list[str | None]:
    counted = np.flatnonzero(window.path_of_token >= 0)
    scores = metrics.mobility_score[counted]
    if not len(counted) or len(window.layers) < 2 or np.ptp(scores) == 0:
        return []
    order = np.argsort(scores, kind="stable")
    still = int((metrics.cluster_changes[counted] == 0).sum())
    most, least = counted[order[::-1]], counted[order]
    return [
        f"Most mobile: {_names(analysis, most)} (mobility {scores.max():.2f}). "
        f"Least mobile: {_names(analysis, least)} ({scores.min():.2f}).",
        f"{plural(still, 'token')} ({still / len(counted):.0%}) stay in one aligned cluster "
        "throughout."
        if still
        else "No token stays in one aligned cluster throughout.",
    ]


def _names(analysis: Analysis, tokens: npt.NDArray[np.int64]) -> str:
    different = dict.fromkeys(analysis.tokens[i] for i in tokens[:200].tolist())
    return ", ".join(visible(token, limit=16) for token in list(different)[:TOKENS_NAMED])


def _steps(analysis: Analysis, window: LayerWindow) -> list[str | None]:
    steps = layer_steps(analysis)
    inside = slice(window.first, window.last)
    said: list[str | None] = []
    for name, values, verb in (
        ("come together", steps.convergence[inside], "run together"),
        ("come apart", steps.divergence[inside], "split up"),
    ):
        if not len(values) or np.isnan(values).all():
            continue
        step = int(np.nanargmax(values))
        here, there = (title(layer, 24) for layer in window.layers[step : step + 2])
        said.append(
            f"Paths {verb} most from {here} to {there}: {values[step]:.1%} of the pairs of tokens "
            f"that were {'apart' if name == 'come together' else 'together'} {name} there."
        )
    return said
