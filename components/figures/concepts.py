"""Figures of concepts: how alike layers are, and where the tokens of a layer lie."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    Embedding,
    Projection,
    ami_matrix,
    cka_matrix,
)
from concept_fragmentation.components.figures.cells import cell_numbers, numbered_cells
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.colouring import (
    colouring_name,
    column_groups,
    group_of_token,
)
from concept_fragmentation.components.figures.layer_names import (
    UNSTABLE,
    UNSTABLE_SAID,
    layer_axis,
    marked_layers,
)
from concept_fragmentation.components.figures.legends import legend_lines, lines_below_axis
from concept_fragmentation.components.figures.theme import halo, new_figure, steps_scale
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.text import plotly_name, plotly_text
from concept_fragmentation.components.words import ordinal, percent, plural

Floats = npt.NDArray[np.float64]
Measure = Literal["cka", "adjusted_mutual_information"]

MEASURES: Final[dict[Measure, str]] = {
    "adjusted_mutual_information": "adjusted mutual information of clusters",
    "cka": "CKA of hidden states",
}
_TITLES: Final[dict[Measure, str]] = {
    "adjusted_mutual_information": "Layers that group alike",
    "cka": "Layers that hold the same",
}
# Points beyond this make a browser slow; every so many-th is drawn.
MOST_POINTS: Final = 5_000

# Products of numbers that take about half a second.
_MOST_WORK: Final = 10**10
_HEIGHT: Final = 480
_SIDES: Final = ("top center", "bottom center", "middle right", "middle left")
# Of fewer, which are far from the others can't be said.
_LEAST_POINTS: Final = 8
# A point lies outside that is further than this from the middle 95 % of all, in widths of these.
_OUTSIDE: Final = 1.0
_INNER: Final = 0.95
_NAMED_OUTSIDE: Final = 3
# More colours than this can't be told apart, and their names would fill the map.
_MOST_NAMED: Final = 20


def similarity_of(analysis: Analysis, measure: Measure) -> tuple[tuple[str, ...], Floats] | None:
    """Return the layers and how alike each two are, float64 (L, L); None where it is not known.

    As it was given in `layer_similarity`; else computed: `ami_matrix` of the labels, debiased
    `cka_matrix` of the hidden states where that takes no longer than a person waits.
    """
    given = analysis.layer_similarity.get(measure)
    layers = tuple(map(str, analysis.layer_similarity.get("layers") or analysis.labelled_layers))
    if given is not None:
        try:
            matrix = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            return None
        return (layers, matrix) if matrix.shape == (len(layers), len(layers)) else None
    if measure == "adjusted_mutual_information":
        names = analysis.labelled_layers
        matrix = ami_matrix(analysis.labels)
        return None if np.isnan(matrix).all() else (names, matrix)
    names = tuple(layer for layer in analysis.layers if layer in analysis.hidden_states)
    states = [analysis.hidden_states[layer] for layer in names]
    work = sum(len(a) * a.shape[1] * b.shape[1] for a in states for b in states) / 2
    few = int(analysis.ordinary.sum()) < 4
    if len(names) < 2 or few or work > _MOST_WORK:
        return None
    return names, cka_matrix(states, mask=analysis.ordinary, debiased=True)


def known_debiased(analysis: Analysis) -> bool:
    """Return whether the CKA that `similarity_of` returns is known to be debiased.

    That is what is computed here, and what `analyze` says that it computed.
    """
    given = analysis.layer_similarity
    return given.get("cka") is None or given.get("cka_debiased") is True


def layer_similarity(
    layers: Sequence[str],
    similarity: Floats,
    measure: Measure,
    theme: str = "light",
    *,
    debiased: bool,
) -> go.Figure:
    """Draw how alike each two layers are.

    Args:
        layers: (L,) their names.
        similarity: float64 (L, L), as `similarity_of` returns it.
        measure: what it is.
        theme: "light" or "dark".
        debiased: whether a CKA is known to be; one that is not is near 1 for few tokens.
    """
    if measure == "adjusted_mutual_information":
        scale = "1: same, 0: unrelated"
    elif debiased:
        scale = "debiased; 1: same, 0: unrelated"
    else:
        scale = "1: same; maybe biased, near 1 for few tokens"
    names = [plotly_name(layer) for layer in layers]
    cells = numbered_cells(similarity, theme) | {
        "customdata": [[[f"{here} and {there}"] for there in names] for here in names],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{z:.3f}<extra></extra>",
    }
    axis = layer_axis(layers)
    return new_figure(
        _TITLES[measure],
        f"{MEASURES[measure]}; {scale}",
        theme,
        [cells, *cell_numbers(similarity, theme)],
        layers={"x": layers, "y": layers},
        xaxis=axis,
        yaxis=axis | {"range": axis["range"][::-1]},
    )


def missing_similarity(analysis: Analysis, measure: Measure) -> str:
    """Say what is missing for `layer_similarity`, and how to get it."""
    if measure == "adjusted_mutual_information":
        if analysis.labelled_layers:
            return "No two tokens have a cluster, so there is nothing to compare layers by."
        return (
            "This analysis has no cluster labels to compare layers by. Add cluster_labels, one "
            "list a layer, and save it again."
        )
    if not analysis.hidden_states:
        return (
            "This analysis keeps no hidden states, and no CKA. Analyze the text again, or give "
            "hidden_states or layer_similarity, and save it again."
        )
    return (
        "The hidden states are too many to compare while you wait, or too few. Compute "
        "cka_matrix in Python, give it as layer_similarity, and save it again."
    )


def state_map(
    analysis: Analysis,
    layer_index: int,
    projection: Projection | Embedding,
    *,
    colour_by: str = "cluster",
    highlighted_tokens: Sequence[int] = (),
    selected: Collection[tuple[int, int]] = (),
    theme: str = "light",
) -> go.Figure:
    """Draw where the tokens of a labelled layer lie, coloured by cluster or by a column.

    `customdata` is the index of each token. Of more than `MOST_POINTS` tokens
    every so many-th is drawn; highlighted ones are ringed and named. Those that are set aside are
    not drawn, but counted. The axes reach as far as the
    tokens do, but for few that lie far from all others, as the first of a text often does: those
    are named below, and zooming out shows them.

    Args:
        analysis: with labels of the layer.
        layer_index: among the labelled layers.
        projection: `principal_plane` or `umap_plane` of the layer's hidden states.
        colour_by: "cluster", or a column as `column_groups` takes it.
        highlighted_tokens: indices of tokens.
        selected: clusters as (index among the labelled layers, raw id), of this layer or another;
            the tokens that are in all of them are outlined.
        theme: "light" or "dark".
    """
    points = projection.coordinates
    drawn = ~analysis.set_aside & analysis.looked_at
    tokens = np.flatnonzero(np.isfinite(points).all(axis=1) & drawn)
    step = -(-len(tokens) // MOST_POINTS) or 1
    outside, reach = _far(points[tokens])
    # Those that are named are drawn too.
    far = tokens[outside]
    shown = np.union1d(tokens[::step], far)
    marked = np.zeros(len(shown), dtype=bool)
    if selected:
        marked = np.all([analysis.labels[shown, at] == cluster for at, cluster in selected], axis=0)
    groups = column_groups(analysis, colour_by, theme)
    if groups:
        number = group_of_token(groups, analysis.num_tokens)[shown]
        legend = [(group.label, group.colour) for group in groups]
    else:
        number, legend = _clusters(analysis, layer_index, shown, theme)
    # A number a point and a scale of steps: Plotly takes long to check ten thousand colours.
    colours = [colour for _, colour in legend]
    usual = 0.7 if len(shown) > 2000 else 0.85
    everywhere = _points(analysis, layer_index, projection, shown) | {
        "mode": "markers",
        "marker": {
            "size": 5 if len(shown) > 2000 else 8,
            "opacity": np.where(marked, 1.0, 0.4) if marked.any() else usual,
            "color": number.astype(np.uint16),
            "cmin": -0.5,
            "cmax": len(colours) - 0.5,
            "colorscale": steps_scale(colours),
            "line": {
                "width": np.where(marked, 1.5, 0) if marked.any() else 0,
                "color": ink(theme).text,
            },
        },
    }
    chosen = tokens[np.isin(tokens, highlighted_tokens)]
    ringed = _points(analysis, layer_index, projection, chosen) | {
        "mode": "markers+text",
        "text": [f"“{plotly_text(analysis.shown_tokens[i], 20)}”" for i in chosen],
        # Neighbours have their names on different sides.
        "textposition": [_SIDES[i % len(_SIDES)] for i in range(len(chosen))],
        "textfont": {"size": 12, "color": ink(theme).text, "shadow": halo(theme)},
        "marker": {
            "size": 13,
            "color": "rgba(0,0,0,0)",
            "line": {"width": 2.5, "color": ink(theme).accent},
        },
    }
    which = f"every {ordinal(step)} of " if step > 1 else ""
    across, up, caution = _said_of(projection)
    axis = {"zeroline": False, "nticks": 5, "ticks": "", "showticklabels": False}
    ranges = [{}, {}] if reach is None else [{"range": ends} for ends in reach.tolist()]
    lines = legend_lines(legend) if len(legend) <= _MOST_NAMED else []
    if said := _said_outside(analysis, far):
        lines = [said, *lines]
    outlined = f"; outlined: {_said_of_clusters(analysis, selected)}" if marked.any() else ""
    by = colouring_name(colour_by) if groups else "cluster"
    left_out = int(analysis.set_aside.sum())
    aside = f", {left_out:,} set aside" if left_out else ""
    layer = analysis.labelled_layers[layer_index]
    (heading,) = marked_layers([layer], [plotly_name(layer, 24)], analysis.cluster_metrics)
    if heading.endswith(UNSTABLE):
        lines = [UNSTABLE_SAID, *lines]
    return new_figure(
        f"Tokens in {heading}",
        f"{which}{plural(len(tokens), 'token')}{aside}; colour: {by}{outlined}{caution}",
        theme,
        [everywhere, *([ringed] if len(chosen) else [])],
        keyed="token",
        height=_HEIGHT,
        hovermode="closest",
        zooms=f"{layer_index} {type(projection).__name__} {float(np.nansum(np.abs(points))):.9g}",
        **(lines_below_axis(lines, theme) if lines else {}),
        xaxis=axis | ranges[0] | {"title": {"text": across}},
        yaxis=axis
        | ranges[1]
        | {
            "title": {"text": up},
            "scaleanchor": "x",
            "scaleratio": 1,
        },
    )


def _clusters(
    analysis: Analysis, layer_index: int, tokens: npt.NDArray[np.int64], theme: str
) -> tuple[npt.NDArray[np.int64], list[tuple[str, str]]]:
    """The place of each token's cluster among those of some tokens, and their names and colours."""
    found, number = np.unique(analysis.aligned.labels[tokens, layer_index], return_inverse=True)
    names = {of: f"C{raw}" for raw, of in analysis.aligned.raw_to_aligned[layer_index].items()}
    legend = [
        (
            names.get(cluster, "no cluster"),
            ink(theme).muted if cluster < 0 else colour_of(analysis, cluster, theme),
        )
        for cluster in found.tolist()
    ]
    return number, legend


def _far(points: Floats) -> tuple[npt.NDArray[np.bool_], Floats | None]:
    """Which points lie far from all others, bool (N,), and (2, 2) how far the others reach.

    None instead where no point does.
    """
    none = np.zeros(len(points), dtype=bool)
    if len(points) < _LEAST_POINTS:
        return none, None
    tail = (1 - _INNER) / 2
    low = np.quantile(points, tail, axis=0, method="higher")
    high = np.quantile(points, 1 - tail, axis=0, method="lower")
    # Of both axes, which have one scale: a narrow cloud has no outliers across.
    room = _OUTSIDE * float((high - low).max())
    outside: npt.NDArray[np.bool_] = np.any((points < low - room) | (points > high + room), axis=1)
    if room == 0 or not outside.any():
        return none, None
    near = points[~outside]
    least, most = near.min(axis=0), near.max(axis=0)
    free = 0.06 * float((most - least).max())
    return outside, np.stack([least - free, most + free], axis=1)


def _said_outside(analysis: Analysis, tokens: npt.NDArray[np.int64]) -> str:
    if not len(tokens):
        return ""
    named = ", ".join(token_at(analysis, i, 12) for i in tokens[:_NAMED_OUTSIDE].tolist())
    more = f", {len(tokens) - _NAMED_OUTSIDE:,} more" if len(tokens) > _NAMED_OUTSIDE else ""
    lies = "lies" if len(tokens) == 1 else "lie"
    return f"{plural(len(tokens), 'token')} {lies} outside: {named}{more}"


def _said_of_clusters(analysis: Analysis, clusters: Collection[tuple[int, int]]) -> str:
    return " → ".join(
        f"C{cluster} of {plotly_name(analysis.labelled_layers[layer], 12)}"
        for layer, cluster in clusters
    )


def _said_of(projection: Projection | Embedding) -> tuple[str, str, str]:
    """What the axes of a map are, and what must not be read from it."""
    if isinstance(projection, Embedding):
        return "UMAP, first axis", "UMAP, second axis", "; far apart says little"
    first, second = projection.explained.tolist()
    return (
        f"first component ({percent(first, 0)} of the variance)",
        f"second component ({percent(second, 0)})",
        "",
    )


def missing_states(analysis: Analysis, layer: str) -> str:
    """Say what is missing for `state_map`, and how to get it."""
    if not analysis.num_tokens:
        return "This analysis has no tokens, so there is none to show."
    have = f"of {layer}" if analysis.hidden_states else "at all"
    return (
        f"This analysis keeps no hidden states {have}. Analyze the text again and keep them, or "
        "give hidden_states, an array (tokens, dimensions) for each layer."
    )


def _points(
    analysis: Analysis,
    layer_index: int,
    projection: Projection | Embedding,
    tokens: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Tokens as points, each with what it says."""
    clusters = analysis.labels[tokens, layer_index].tolist()
    places = analysis.positions[tokens].tolist()
    return {
        # Not by WebGL: Plotly compiles code for that, which the page's policy forbids.
        "type": "scatter",
        "x": projection.coordinates[tokens, 0].astype(np.float32),
        "y": projection.coordinates[tokens, 1].astype(np.float32),
        "customdata": tokens,
        "meta": [plotly_name(analysis.labelled_layers[layer_index])],
        "hovertext": [
            f"<b>“{plotly_text(analysis.shown_tokens[i], 40)}”</b> at {place}, "
            f"{'no cluster' if cluster < 0 else f'C{cluster}'}"
            for i, place, cluster in zip(tokens.tolist(), places, clusters, strict=True)
        ],
        "hovertemplate": "%{hovertext}<br>%{meta[0]}<extra></extra>",
    }
