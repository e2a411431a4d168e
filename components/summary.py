"""The bar's facts, the summary cards, the archetypal paths and the list of tokens, as HTML."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis import Analysis, ArchetypalPath, LayerWindow
from concept_fragmentation.analysis.noise_floor import window_floor
from concept_fragmentation.components import ids
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.layer_names import (
    UNSTABLE,
    UNSTABLE_SAID,
    marked_layers,
)
from concept_fragmentation.components.floors import (
    NO_FLOOR,
    WHY_NO_FLOOR,
    mobility_floor,
    paths_floor,
)
from concept_fragmentation.components.origin import settings_facts
from concept_fragmentation.components.palette import text_on
from concept_fragmentation.components.parts import aria, data
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.token_chips import token_chips
from concept_fragmentation.components.view import Selection, path_text
from concept_fragmentation.components.words import (
    arrows,
    decimals,
    percent,
    plural,
    short_date,
    title,
)

MAX_TOKENS_LISTED: Final = 300
EXAMPLES_SHOWN: Final = 6
# Of a path of more layers, so many clusters are written in a card.
MOST_STEPS: Final = 12
NOT_KNOWN: Final = "–"


@dataclass(frozen=True)
class Stat:
    """A number that sums something up, with its name, what to make of it, and its noise floor."""

    label: str
    value: str
    note: str
    floor: str = ""


def analysis_facts(
    analysis: Analysis, metadata: Mapping[str, Any], *, example: bool, saved: bool
) -> list[Component]:
    """Return what the bar says about the analysis shown."""
    name = str(metadata.get("name") or metadata.get("analysis_id") or "Unnamed")
    facts = short_facts(analysis, metadata, example=example, saved=saved)
    return [
        html.Span(title(name), className="cf-analysis-name", title=title(name, 500)),
        *(html.Span(fact, className="cf-fact") for fact in facts),
    ]


def short_facts(
    analysis: Analysis, metadata: Mapping[str, Any], *, example: bool, saved: bool
) -> list[str]:
    """Return what an analysis is of, how large it is, and whether and when it was saved."""
    facts = [
        title(str(metadata.get("model_name") or analysis.model_type), 60),
        plural(analysis.num_tokens, "token"),
        plural(analysis.num_layers, "layer"),
        *settings_facts(metadata),
    ]
    if not saved and not example:
        facts.append("not saved yet")
    if saved:
        facts.append(f"version {metadata['version']}")
        facts.append(f"saved {short_date(str(metadata['timestamp']))}")
    return facts


def summary_cards(stats: Sequence[Stat]) -> list[Component]:
    """Return the cards that sum the window up."""
    return [
        html.Div(
            [
                html.Div(stat.label, className="cf-stat-label"),
                html.Div(stat.value, className="cf-stat-value"),
                html.Div(stat.note, className="cf-stat-note", title=stat.note),
                html.Div(
                    stat.floor,
                    className="cf-stat-note cf-stat-floor",
                    title=WHY_NO_FLOOR if stat.floor == NO_FLOOR else stat.floor,
                ),
            ],
            className="cf-stat",
        )
        for stat in stats
    ]


def summary_stats(
    analysis: Analysis,
    window: LayerWindow,
    top: ArchetypalPath | None,
    mean_changes: float,
    mean_mobility: float,
) -> list[Stat]:
    """Return the numbers that sum the window up."""
    sizes = [len(cluster_ids) for cluster_ids in window.cluster_ids]
    spread = str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"
    steps = len(window.layers) - 1
    floor = window_floor(analysis, window) if steps else None
    of_paths = of_changes = of_mobility = NO_FLOOR if steps else ""
    if floor is not None:
        of_paths = paths_floor(floor)
        of_changes = f"noise floor {decimals(floor.cluster_changes)}"
        of_mobility = f"noise floor {decimals(mobility_floor(analysis, window, floor))}"
    return [
        _tokens(analysis, window),
        Stat("Layers", str(len(window.layers)), f"of {len(analysis.labelled_layers)}"),
        Stat("Clusters", f"{sum(sizes):,}", f"{spread} in a layer"),
        Stat(
            "Unique paths",
            f"{len(window.counts):,}",
            f"fragmentation {decimals(window.fragmentation)}",
            of_paths,
        ),
        Stat(
            "Most frequent path",
            NOT_KNOWN if top is None else percent(top.percentage / 100),
            "" if top is None else f"{top.count:,} × {arrows(top.path, MOST_STEPS)}",
        ),
        Stat(
            "Mean cluster changes",
            decimals(mean_changes),
            f"of {plural(steps, 'step')}",
            of_changes,
        ),
        Stat("Mean mobility", decimals(mean_mobility), "0 stays, 1 always moves", of_mobility),
    ]


def without_path(analysis: Analysis, window: LayerWindow) -> int:
    """Return how many tokens of a window have no path, those that are set aside not counted."""
    missing = (window.path_of_token < 0) & ~analysis.set_aside & analysis.looked_at
    return int(missing.sum())


def _tokens(analysis: Analysis, window: LayerWindow) -> Stat:
    left_out = _left_out(analysis, window)
    if analysis.part is None:
        return Stat("Tokens", f"{analysis.num_tokens:,}", left_out)
    of = f"of {analysis.num_tokens:,}: {title(analysis.part.name, 80)}"
    return Stat("Tokens", f"{int(analysis.looked_at.sum()):,}", f"{of}; {left_out}")


def _left_out(analysis: Analysis, window: LayerWindow) -> str:
    """Say what is set aside, and how many other tokens have no path."""
    others = without_path(analysis, window)
    aside = int(analysis.set_aside.sum())
    said = [
        f"{aside:,} set aside (massive)" if aside else "",
        f"{others:,} left out" if others else "",
    ]
    return "; ".join(filter(None, said)) or "all counted"


def archetypal_table(
    analysis: Analysis,
    window: LayerWindow,
    paths: Sequence[ArchetypalPath],
    highlighted: Collection[tuple[int, ...]],
    theme: str,
) -> list[Component]:
    """Return the most frequent paths as buttons that highlight them in the token flow."""
    rows: list[Component] = []
    for rank, path in enumerate(paths, 1):
        different = list(dict.fromkeys(path.example_tokens))[:EXAMPLES_SHOWN]
        examples = "  ".join(visible(token, limit=16) for token in different)
        rows.append(
            html.Button(
                [
                    path_steps(analysis, window, path.path, theme),
                    path_count(path.count, path.percentage / 100),
                    html.Span(examples, className="cf-path-examples"),
                ],
                id={"type": ids.PATH_ROW, "index": path_text(path.path)},
                type="button",
                className="cf-path",
                **aria(
                    pressed="true" if path.path in highlighted else "false",
                    label=f"Path {rank}: {arrows(path.path)}, "
                    f"{plural(path.count, 'token')}. Highlight it.",
                ),
            )
        )
    return rows


def path_steps(
    analysis: Analysis, window: LayerWindow, path: Sequence[int], theme: str
) -> html.Span:
    """Return the clusters of a path of the window, each in its colour.

    The browser writes them, as it does `token_chips`: a dozen a path are most of what is listed.
    """
    aligned = analysis.aligned.raw_to_aligned[window.first : window.last + 1]
    colours = [
        colour_of(analysis, to_aligned[cluster], theme)
        for cluster, to_aligned in zip(path, aligned, strict=True)
    ]
    steps = [
        (str(cluster), colour, text_on(colour))
        for cluster, colour in zip(path, colours, strict=True)
    ]
    return html.Span(className="cf-path-steps", **data(steps=json.dumps(steps)))


def path_count(count: int, share: float) -> html.Span:
    """Return how many tokens are on a path, and their share."""
    return html.Span([f"{count:,} ", html.Span(percent(share))], className="cf-path-count")


def listed_tokens(analysis: Analysis, indices: np.ndarray[Any, Any], where: str) -> list[Component]:
    """Return a heading that counts tokens and says where they are, and the first ones as a list."""
    listed = indices[:MAX_TOKENS_LISTED].tolist()
    more = len(indices) - len(listed)
    return [
        html.H3(f"{plural(len(indices), 'token')} {where}", className="cf-card-title"),
        token_chips(
            (
                (i, analysis.shown_tokens[i], place, f"position {place}")
                for i, place in zip(listed, analysis.positions[listed].tolist(), strict=True)
            ),
            f"Tokens {where}",
        ),
        html.Span(f"{more:,} more are in the CSV." if more else "", className="cf-hint"),
    ]


def token_list(
    analysis: Analysis, selection: Selection, indices: np.ndarray[Any, Any]
) -> list[Component]:
    """Return the tokens of a cluster or of a band, and say which they are."""
    layers = analysis.labelled_layers
    names = marked_layers(layers, [title(name, 24) for name in layers], analysis.cluster_metrics)
    layer = names[selection[1]]
    if selection[0] == "node":
        what = f"cluster {selection[2]} of {layer}"
    else:
        after = names[selection[1] + 1]
        what = f"{layer} cluster {selection[2]} → {after} cluster {selection[3]}"
    if UNSTABLE in what:
        what = f"{what} ({UNSTABLE_SAID})"
    return listed_tokens(analysis, indices, f"in {what}")
