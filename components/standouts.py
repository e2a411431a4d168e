"""What stands out in an analysis, in words computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    archetypal_paths,
    layer_steps,
)
from concept_fragmentation.analysis.cluster_quality import LEAST_STABILITY, unstable_layers
from concept_fragmentation.analysis.noise_floor import analysis_floor
from concept_fragmentation.components.figures.layer_names import UNSTABLE
from concept_fragmentation.components.figures.metrics import window_metrics
from concept_fragmentation.components.floors import floor_sentence
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import arrows, decimals, percent, plural, title

EXAMPLES: Final = 4

# The level below which a difference is taken for one that chance does not make.
_CHANCE: Final = 0.05


def standouts(analysis: Analysis, window: LayerWindow) -> list[str]:
    """Say what stands out within a window, one sentence a finding.

    The most frequent path, the most and the least mobile tokens, and between which layers paths
    part and join most.
    """
    if len(window.layers) < 2 or not window.num_counted:
        return ["Too few layers or tokens with clusters for anything to stand out."]
    said = [
        _path(analysis, window),
        *_mobility(analysis, window),
        *_steps(analysis, window),
        floor_sentence(analysis, window),
        _unstable(analysis, window),
    ]
    return [sentence for sentence in said if sentence]


def significance_of_all_layers(analysis: Analysis) -> list[str]:
    """Say what an analysis keeps of the tests of its paths through all layers.

    Analyses of earlier versions name no null: theirs was that of shuffled layers, for which they
    kept neither interval nor correction.
    """
    kept = analysis.significance
    number = kept.get("num_permutations")
    if not isinstance(number, int):
        return []
    if note := kept.get("note"):
        return [str(note)]
    null = _NULLS.get(str(kept.get("null", "shuffled")))
    if null is None:
        return []
    words = kept.get("num_words")
    once = f", each of {words:,} words counted once," if isinstance(words, int) else ""
    said = [
        _tested(said_of + once, null, test, number, kept.get("num_tests"))
        for name, said_of in _TESTED.items()
        if isinstance(test := kept.get(name), Mapping)
    ]
    return [sentence for sentence in said if sentence]


def categories_of_all_layers(analysis: Analysis) -> list[str]:
    """Say what an analysis keeps of how far categories and paths through all layers go together.

    Earlier versions took tokens for independent; of theirs that is said, for it makes any category
    of words look significant.
    """
    said = []
    for name, kept in analysis.category_association.items():
        if not isinstance(kept, Mapping):
            continue
        v, null = _number(kept, "cramers_v"), _number(kept, "cramers_v_null")
        p_value = _number(kept, "p_adjusted")
        what = f"Categories “{title(str(name), 40)}” and paths: Cramér's V {decimals(v)}"
        if np.isfinite([v, null, p_value]).all():
            said.append(
                f"{what} where categories that are dealt anew to the words have {decimals(null)} "
                f"(p = {p_value:.2g}, corrected for all tests)."
            )
        elif np.isfinite(v):
            said.append(f"{what}; it was tested as if no word came twice, so look at no p-value.")
        said += _scattered(kept.get("by_category"))
    return said


def _scattered(kept: object) -> list[str]:
    """Say which category keeps most to one path, and which least, beside dealt categories."""
    if not isinstance(kept, list) or not all(isinstance(of, Mapping) for of in kept):
        return []
    known = [of for of in kept if np.isfinite([_number(of, k) for k in _SCATTER]).all()]
    if len(known) < 2:
        return []
    ordered = sorted(known, key=lambda of: _number(of, "fragmentation"))
    said = []
    for of in (ordered[0], ordered[-1]):
        f, mean, low, high = (_number(of, key) for key in _SCATTER)
        said.append(
            f"{percent(f, 0)} of “{title(str(of.get('category')), 40)}” (dealt anew "
            f"{percent(mean, 0)}, in 95 % of cases {percent(low, 0)} to {percent(high, 0)})"
        )
    return [f"Off the path that most of its category take: least {said[0]}, most {said[1]}."]


_SCATTER: Final = ("fragmentation", "null_mean", "null_low", "null_high")
_NULLS: Final = {
    "markov": "paths of the same steps that remember one layer only",
    "shuffled": "layers that are shuffled, each by itself,",
}
_TESTED: Final = {
    "fragmentation": "Fragmentation of all layers",
    "concentration": "The share of the most frequent path through all layers",
    "agreement": "The agreement of the first and the last layer (adjusted Rand index)",
    # Of earlier versions.
    "convergence": "Convergence of all layers, the lower the more the first and the last agree,",
}


def _path(analysis: Analysis, window: LayerWindow) -> str:
    (top,) = archetypal_paths(analysis, window, top=1, examples=40)
    different = list(dict.fromkeys(top.example_tokens))[:EXAMPLES]
    examples = _listed([f"“{visible(token, 16)}”" for token in different])
    share = (
        f"{top.count:,} of {plural(window.num_counted, 'token')} ({percent(top.percentage / 100)})"
    )
    if top.count == 1:
        return "Every token takes a path of its own."
    return (
        f"The most frequent path is that of {share}: {arrows(top.path)}, such as {examples}; "
        f"{plural(len(window.counts), 'path')} in all."
    )


def _mobility(analysis: Analysis, window: LayerWindow) -> list[str]:
    metrics = window_metrics(analysis, window)
    counted = np.flatnonzero((window.path_of_token >= 0) & np.isfinite(metrics.mobility_score))
    if not len(counted):
        return []
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
    floor = analysis_floor(analysis)
    floors = {} if floor is None else floor.by_step()
    said = []
    for name, what, of in (
        ("divergence", "part", "were in one cluster no longer are"),
        ("convergence", "join", "were apart are in one cluster"),
    ):
        values = getattr(steps, name)[here]
        if np.isfinite(values).any() and np.nanmax(values) > 0:
            step = int(np.nanargmax(values))
            names = [title(window.layers[step + i], 24) for i in (0, 1)]
            noise = f" (noise floor {percent(floors[name][here][step], 0)})" if floors else ""
            said.append(
                f"Paths {what} most from {names[0]} to {names[1]}: {percent(values[step], 0)} of "
                f"the pairs of tokens that {of}{noise}."
            )
    return said


def _unstable(analysis: Analysis, window: LayerWindow) -> str:
    """Say in how many layers another seed gives other clusters."""
    unstable = unstable_layers(analysis.cluster_metrics).intersection(window.layers)
    if not unstable:
        return ""
    return (
        f"In {len(unstable)} of {plural(len(window.layers), 'layer')}, marked with {UNSTABLE}, "
        "clusters do not come again with another seed and a part of the tokens (adjusted Rand "
        f"index below {LEAST_STABILITY}): their borders mean little."
    )


def _tested(
    name: str, null: str, test: Mapping[str, Any], permutations: int, num_tests: object
) -> str:
    """What a test found: both values, their difference with its interval, and the p-value."""
    observed, mean = _number(test, "observed"), _number(test, "null_mean")
    adjusted = _number(test, "p_adjusted")
    p_value = _number(test, "p_value") if np.isnan(adjusted) else adjusted
    if not np.isfinite([observed, mean, p_value]).all():
        return ""
    low, high = _number(test, "null_low"), _number(test, "null_high")
    interval = ""
    if np.isfinite([low, high]).all():
        interval = f" [{decimals(observed - high, 3)}, {decimals(observed - low, 3)}]"
    corrected = f", corrected for {num_tests} tests" if not np.isnan(adjusted) else ""
    unclear = "" if p_value < _CHANCE else "; the test can't tell them apart, nor does it say alike"
    return (
        f"{name} is {decimals(observed, 3)} where {null} have {decimals(mean, 3)}: a difference of "
        f"{decimals(observed - mean, 3)}{interval} (p = {p_value:.2g}{corrected}, "
        f"{permutations:,} permutations){unclear}."
    )


def _number(test: Mapping[str, Any], key: str) -> float:
    value = test.get(key)
    return float(value) if isinstance(value, int | float | np.number) else np.nan


def _some(analysis: Analysis, tokens: Sequence[int] | npt.NDArray[np.int64]) -> str:
    different = list(dict.fromkeys(analysis.shown_tokens[i] for i in tokens))
    shown = [f"“{visible(token, 16)}”" for token in different[:EXAMPLES]]
    if more := len(different) - len(shown):
        return f"{', '.join(shown)} and {more:,} more"
    return _listed(shown)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
