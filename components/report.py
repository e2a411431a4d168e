"""A report of an analysis: one page with everything that the dashboard shows of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    ArchetypalPath,
    LayerWindow,
    TokenPathMetrics,
)
from concept_fragmentation.analysis.noise_floor import window_floor
from concept_fragmentation.components.figures.data import (
    attention_frame,
    cluster_entropy_frame,
    concepts_frame,
)
from concept_fragmentation.components.floors import NO_FLOOR, in_layers
from concept_fragmentation.components.offline import THEMES, render
from concept_fragmentation.components.summary import NOT_KNOWN, Stat
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import arrows, decimals, percent, plural, title

EXAMPLES: Final = 8
# Of one value, such as the text that was analysed.
MOST_CHARACTERS: Final = 2000

_NUMBER: Final = re.compile(r"-?[\d,]+(\.\d+)?%?")
_WITH_UNIT: Final = {
    "entropy_nats": "cluster entropy (nats)",
    "attention_entropy": "attention entropy (nats)",
}


@dataclass(frozen=True)
class Table:
    """Rows of text below their columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def is_number(self) -> list[bool]:
        """Whether a column holds nothing but numbers, which are read below each other."""
        return [
            any(map(_NUMBER.fullmatch, cells))
            and all(cell == NOT_KNOWN or _NUMBER.fullmatch(cell) for cell in cells)
            for cells in zip(*self.rows, strict=True)
        ] or [False] * len(self.columns)


@dataclass(frozen=True)
class Plate:
    """A figure in each theme, and what it shows."""

    figure_id: str
    name: str
    height: int
    drawn: Mapping[str, go.Figure]


@dataclass(frozen=True)
class Chapter:
    """The figures of a view, and of those that can't be drawn why."""

    title: str
    plates: tuple[Plate, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a report consists of, from top to bottom; all texts are shown as themselves."""

    name: str
    facts: tuple[str, ...]
    stats: tuple[Stat, ...]
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    chapters: tuple[Chapter, ...]
    settings: Table
    provenance: Table


def report_page(report: Report) -> str:
    """Return a report as a page of one file, in the colours of the reader's system."""
    figures = {plate.figure_id: plate.drawn for part in report.chapters for plate in part.plates}
    return render("report.html", figures, THEMES, title=report.name, report=report)


def layer_table(analysis: Analysis, window: LayerWindow) -> Table:
    """Return what is measured of each layer: clusters, concepts and attention.

    `window` is that of all labelled layers.
    """
    attention = attention_frame(analysis)
    heads = [name for name in attention.columns if name.startswith("entropy_")]
    means = (
        attention.assign(attention_entropy=attention[heads].mean(axis=1)) if heads else attention
    )
    known = means[[name for name in means if name not in heads]] if len(means) else means
    frame = pd.DataFrame({"layer": analysis.layers})
    for other in (cluster_entropy_frame(analysis, window), concepts_frame(analysis), known):
        if len(other):
            frame = frame.merge(other, on="layer", how="left")
    kept = frame.dropna(axis="columns", how="all").rename(columns=_WITH_UNIT)
    return _table("Layers", kept.columns, kept.itertuples(index=False))


def path_table(metrics: TokenPathMetrics) -> Table:
    """Return how the metrics of the tokens' paths are distributed."""
    known = {field.name: getattr(metrics, field.name) for field in fields(metrics)}
    numbers = {name: values for name, values in known.items() if isinstance(values, np.ndarray)}
    described = pd.DataFrame(numbers).describe().T[["mean", "std", "min", "50%", "max"]]
    rows = ([str(name).replace("_", " "), *row] for name, row in described.iterrows())
    columns = ("metric of a token's path", "mean", "standard deviation", "least", "median", "most")
    return _table("Paths", columns, rows)


def window_table(analysis: Analysis, window: LayerWindow) -> Table:
    """Return the metrics of a window as a whole, each beside its noise floor where there is one."""
    floor = window_floor(analysis, window)
    fragmentation = convergence = NO_FLOOR
    if floor is not None:
        fragmentation = in_layers(floor, decimals(floor.fragmentation))
        convergence = in_layers(floor, decimals(floor.convergence))
    rows = [
        (
            "fragmentation",
            window.fragmentation,
            fragmentation,
            "0 one path, 1 spread evenly over all within reach",
        ),
        ("concentration", window.concentration, "", "share of the most frequent path"),
        (
            "stability",
            window.stability,
            "",
            f"share of steps without a change; {decimals(window.stability_chance)} by chance",
        ),
        (
            "convergence",
            window.convergence,
            convergence,
            "of pairs that began apart, those together at the end",
        ),
    ]
    names = ("metric", "value", "noise floor", "meaning")
    return _table("The window as a whole", names, rows)


def archetypes_table(paths: Sequence[ArchetypalPath]) -> Table:
    """Return the most frequent paths with examples."""
    rows = []
    for path in paths:
        different = list(dict.fromkeys(path.example_tokens))[:EXAMPLES]
        examples = "  ".join(visible(token, 16) for token in different)
        rows.append((arrows(path.path), path.count, percent(path.percentage / 100), examples))
    return _table("Archetypal paths", ("path", "tokens", "share", "such as"), rows)


def settings_table(analysis: Analysis, view: View, compared_with: str | None) -> Table:
    """Return what was chosen on the page; `compared_with` names the other analysis, if any."""
    layers = analysis.labelled_layers
    chosen: dict[str, object] = {}
    if layers and view.last is not None:
        names = dict.fromkeys((layers[view.first], layers[view.last]))
        count = plural(view.last - view.first + 1, "layer")
        chosen["layer window"] = f"{' to '.join(title(name, 40) for name in names)}, {count}"
    if analysis.part is not None:
        chosen["only tokens of"] = title(analysis.part.name)
    chosen["colours"] = title(view.colour_by)
    chosen["bands hidden below"] = plural(view.min_count, "token")
    if view.tokens:
        chosen["highlighted tokens"] = "  ".join(
            f"{visible(analysis.tokens[i], 24)} {analysis.positions[i]}" for i in view.tokens
        )
    if view.paths:
        chosen["highlighted paths"] = ";  ".join(arrows(path) for path in view.paths)
    if view.layer is not None:
        head = "mean of all heads" if view.head is None else f"head {view.head}"
        chosen["attention"] = f"{title(analysis.layers[view.layer], 40)}, {head}"
    chosen["attention flow from"] = f"{view.threshold}%"
    if compared_with is not None:
        chosen["compared with"] = title(compared_with)
    return _table("Settings", ("choice", "value"), chosen.items())


def provenance_table(known: Iterable[tuple[str, object]]) -> Table:
    """Return what is known of where an analysis comes from, each thing once."""
    rows: dict[object, tuple[str, object]] = {}
    for name, value in known:
        if value in ("", None):
            continue
        # A text that was analysed is kept in two places.
        once = value if isinstance(value, str) and " " in value else name
        rows.setdefault(once, (name.replace(".", ", ").replace("_", " "), value))
    return _table("Provenance", ("of", "known"), rows.values())


def _table(name: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    return Table(
        name,
        tuple(str(column).replace("_", " ") for column in columns),
        tuple(tuple(_said(cell) for cell in row) for row in rows),
    )


def _said(cell: Any) -> str:
    if isinstance(cell, str):
        return title(cell, MOST_CHARACTERS)
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if cell is None or (isinstance(cell, float | np.floating) and not np.isfinite(cell)):
        return NOT_KNOWN
    return f"{cell:,}" if isinstance(cell, int | np.integer) else f"{cell:,.3f}"
