"""What else than clusters the bands of the token Sankey can be coloured by: a number or a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.analysis.arrays import is_missing
from concept_fragmentation.components.figures.metrics import window_metrics
from concept_fragmentation.components.palette import ink, path_colour
from concept_fragmentation.components.text import plotly_name, plotly_text

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_GROUPS: Final = 8

_METRICS: Final = {
    "cluster_changes": "cluster changes",
    "mobility_score": "mobility score",
    "path_entropy": "path entropy (nats)",
    "path_length": "path length (L2)",
    "path_length_scaled": "path length (layer norms)",
    "path_length_angular": "path length (radians)",
}
# The lightest of a scale's colours is that of the page.
_STEPS: Final = 5
# A column of texts with more values than this, such as an address, groups nothing.
_MOST_VALUES: Final = 200


@dataclass(frozen=True, eq=False)
class TokenGroup:
    """Tokens of one colour: `label` (Plotly text) says what they have in common."""

    label: str
    colour: str
    tokens: IntArray


def colourings(analysis: Analysis) -> dict[str, str]:
    """Return what bands can be coloured by, each with its name for a menu.

    "cluster" and "path", then `metric.` with a path metric, then `token.` with each column of
    `token_metadata` that holds numbers, or texts of few enough kinds.
    """
    found = {"cluster": "cluster", "path": "path"}
    for name, label in _METRICS.items():
        if getattr(analysis.token_metrics, name) is not None:
            found[f"metric.{name}"] = label
    for name, values in analysis.token_columns.items():
        if _numbers(values) is not None or len(_kinds(values)) <= _MOST_VALUES:
            found[f"token.{name}"] = name
    return found


def token_groups(
    analysis: Analysis, window: LayerWindow, colour_by: str, theme: str = "light"
) -> list[TokenGroup]:
    """Return the groups of tokens that have a colour each; none if there is no such colouring.

    Numbers are in up to five groups of about as many tokens each, from light to dark; of texts the
    eight most frequent have a colour each. Tokens in no group have no colour.
    """
    source, _, name = colour_by.partition(".")
    if source == "metric" and name in _METRICS:
        values = getattr(window_metrics(analysis, window), name)
        return [] if values is None else _of_numbers(values, theme)
    if source != "token" or name not in analysis.token_columns:
        return []
    return _of_column(analysis, name, theme)


def _of_column(analysis: Analysis, name: str, theme: str) -> list[TokenGroup]:
    """The groups of a column, of the tokens that are shown."""
    shown = analysis.looked_at.tolist()
    column = tuple(
        value if here and not is_missing(value) else None
        for value, here in zip(analysis.token_columns[name], shown, strict=True)
    )
    numbers = _numbers(column)
    return _of_texts(column, theme) if numbers is None else _of_numbers(numbers, theme)


def is_column(colour_by: str) -> bool:
    """Return whether a colouring is by a column of `token_metadata`."""
    return colour_by.startswith("token.")


def column_groups(analysis: Analysis, colour_by: str, theme: str = "light") -> list[TokenGroup]:
    """Return groups of all tokens that are shown, where they are coloured by a column; else none.

    Those of `token_groups`; then the tokens of rarer values, "other", and those that have none.
    """
    name = colour_by.partition(".")[2]
    if not is_column(colour_by) or name not in analysis.token_columns:
        return []
    groups = _of_column(analysis, name, theme)
    left = analysis.looked_at.copy()
    for group in groups:
        left[group.tokens] = False
    missing = np.array([is_missing(value) for value in analysis.token_columns[name]], dtype=bool)
    rest = (("other", ink(theme).soft, left & ~missing), ("none", ink(theme).muted, left & missing))
    return groups + [
        TokenGroup(f"{label} ({int(tokens.sum()):,})", colour, np.flatnonzero(tokens))
        for label, colour, tokens in rest
        if tokens.any()
    ]


def group_of_token(groups: Sequence[TokenGroup], num_tokens: int) -> IntArray:
    """Return the index of each token's group, int64 (T,), -1 for those in none."""
    found = np.full(num_tokens, -1)
    for i, group in enumerate(groups):
        found[group.tokens] = i
    return found


def colouring_name(colour_by: str) -> str:
    """Return what a colouring of `token_groups` is of, as Plotly text."""
    name = colour_by.partition(".")[2]
    return _METRICS.get(name, plotly_name(name, 24))


def _of_numbers(values: npt.NDArray[Any], theme: str) -> list[TokenGroup]:
    finite = np.isfinite(values)
    known = values[finite]
    if not len(known):
        return []
    distinct = np.unique(known)
    if len(distinct) <= _STEPS:
        lows = distinct
    else:
        # Where one value is most of them there are fewer groups.
        shares = np.linspace(0, 1, _STEPS + 1)[:-1]
        wanted = np.quantile(known, shares, method="higher")
        lows = np.unique(wanted)
    group = np.searchsorted(lows, values, side="right") - 1
    scale = ink(theme).scale[1:]
    places = np.linspace(0, len(scale) - 1, len(lows)).round().astype(int).tolist()
    groups = []
    for i, place in enumerate(places):
        tokens = np.flatnonzero(finite & (group == i))
        low, high = values[tokens].min(), values[tokens].max()
        span = _number(low) if low == high else f"{_number(low)} to {_number(high)}"
        groups.append(TokenGroup(f"{span} ({len(tokens):,})", scale[place], tokens))
    return groups


def _of_texts(values: tuple[Any, ...], theme: str) -> list[TokenGroup]:
    kinds = _kinds(values)
    known = np.array([kinds[str(value)] if value is not None else -1 for value in values])
    return [
        TokenGroup(
            f"{plotly_text(text, 16)} ({int((known == i).sum()):,})",
            path_colour(i, theme),
            np.flatnonzero(known == i),
        )
        for text, i in list(kinds.items())[:MOST_GROUPS]
    ]


def _kinds(values: tuple[Any, ...]) -> dict[str, int]:
    """The rank of each text, most frequent first."""
    counted = Counter(str(value) for value in values if value is not None)
    return {text: rank for rank, (text, _) in enumerate(counted.most_common())}


def _numbers(values: tuple[Any, ...]) -> Floats | None:
    """The column as numbers, NaN for None; or None if it holds anything else."""
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds or not all(issubclass(kind, int | float | np.number) for kind in kinds):
        return None
    if bool in kinds:
        return None
    return np.array([np.nan if value is None else float(value) for value in values])


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
