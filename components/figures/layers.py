"""Figures of what an analysis may have for each layer: attention and concept metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.model import MOST_WEIGHTS, as_weights
from concept_fragmentation.analysis.tables import SHOWN_AS
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.theme import new_figure
from concept_fragmentation.components.palette import faded, ink
from concept_fragmentation.components.text import plotly_name

Floats = npt.NDArray[np.float64]

# As they are stored, each with what it says of clusters where it is high.
CONCEPT_METRICS: Final = {
    "purity": "one category",
    "silhouette": "apart",
    "stability": "again",
}


def attention_by_layer(analysis: Analysis, theme: str = "light") -> go.Figure | None:
    """Draw the entropy of attention and the agreement of heads by layer; None without such data."""
    entropies = attention_entropies(analysis)
    agreements = layer_numbers(analysis.attention, "head_agreement")
    if not entropies and not agreements:
        return None
    means = {layer: float(np.mean(heads)) for layer, heads in entropies.items()}
    panels = [
        (name, unit, values)
        for name, unit, values in (
            ("entropy", "nats", means),
            ("head agreement", "", agreements),
        )
        if values
    ]
    spread = {layer: heads for layer, heads in entropies.items() if len(heads) > 1}
    places = [analysis.layers.index(layer) for layer in spread]
    low = [float(heads.min()) for heads in spread.values()]
    high = [float(heads.max()) for heads in spread.values()]
    band = [
        {
            "type": "scatter",
            "x": places,
            "y": values,
            "mode": "lines",
            "line": {"width": 0},
            "fill": fill,
            "fillcolor": faded(ink(theme).series, 0.18),
            "hoverinfo": "skip",
        }
        for values, fill in ((low, None), (high, "tonexty"))
        if spread
    ]
    return _panels(
        "Attention by layer",
        "line: mean of the heads; band: lowest to highest head" if spread else "mean of the heads",
        analysis,
        panels,
        theme,
        band,
    )


def concept_metrics(analysis: Analysis, theme: str = "light") -> go.Figure | None:
    """Draw purity, silhouette and reproducibility by layer; None without such data."""
    panels = [
        (SHOWN_AS.get(name, name), "", values)
        for name in CONCEPT_METRICS
        if (values := layer_numbers(analysis.cluster_metrics, name))
    ]
    if not panels:
        return None
    said = {SHOWN_AS.get(name, name): high for name, high in CONCEPT_METRICS.items()}
    nulls = {
        SHOWN_AS.get(name, name): values
        for name in CONCEPT_METRICS
        if (values := layer_numbers(analysis.cluster_metrics, f"{name}_gaussian"))
    }
    high = "; ".join(f"{name}: {said[name]}" for name, _, _ in panels)
    return _panels(
        "Concepts by layer",
        "high: clear clusters; dashed: a Gaussian like the layer" if nulls else high,
        analysis,
        panels,
        theme,
        nulls=nulls,
    )


def missing_concepts(analysis: Analysis) -> str:
    """Say what is missing for `concept_metrics`, and how to get it."""
    have = (
        "no purity, silhouette or reproducibility"
        if analysis.cluster_metrics
        else "no cluster metrics"
    )
    return (
        f"This analysis has {have}. Give cluster_metrics with “purity”, “silhouette” or "
        "“stability” (the reproducibility) for its layers, and save it again."
    )


def attention_entropies(analysis: Analysis) -> dict[str, Floats]:
    """The attention entropy of each head (nats), by layer in declared order.

    Where a layer gives `entropy`, one number or one a head, it is that; else it is computed from
    `attention_probs` as the mean over queries, without padding, of -sum over keys of a ln a, if
    they are no more than `MOST_WEIGHTS`.
    """
    found = {}
    weights_of = {
        layer: as_weights(values["attention_probs"])
        for layer, values in analysis.attention.items()
        if values.get("attention_probs") is not None
    }
    few = sum(weights.size for weights in weights_of.values()) <= MOST_WEIGHTS
    for layer in analysis.layers:
        values = analysis.attention.get(layer, {})
        given = _array(values.get("entropy"))
        if given is not None and given.ndim <= 1 and given.size:
            found[layer] = np.atleast_1d(given)
        elif few and layer in weights_of and weights_of[layer].ndim >= 3 and analysis.num_tokens:
            weights = np.asarray(weights_of[layer], dtype=np.float64)
            logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
            by_query = -(weights * logarithms).sum(axis=-1).reshape(-1, *weights.shape[-3:-1])
            real = ~analysis.padding.reshape(len(by_query), 1, -1)
            found[layer] = (by_query * real).sum(axis=(0, 2)) / max(int(real.sum()), 1)
    return found


def layer_numbers(by_layer: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, float]:
    """The number of that name for each layer that has one; of a list the mean."""
    found = {}
    for layer, values in by_layer.items():
        array = _array(values.get(name)) if isinstance(values, Mapping) else None
        if array is not None and array.size and np.isfinite(array).any():
            found[layer] = float(np.nanmean(array))
    return found


def _array(value: object) -> Floats | None:
    if value is None or isinstance(value, str | bool | Mapping):
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _panels(
    title: str,
    subtitle: str,
    analysis: Analysis,
    panels: list[tuple[str, str, dict[str, float]]],
    theme: str,
    behind: Sequence[dict[str, Any]] = (),
    nulls: Mapping[str, Mapping[str, float]] | None = None,
) -> go.Figure:
    """One small plot below the other, sharing the layers; `behind` is drawn in the first.

    `nulls` has by the name of a plot what its values are without any structure.
    """
    gap = 0.14
    height = (1 - gap * (len(panels) - 1)) / len(panels)
    layers = layer_axis(analysis.layers, analysis.cluster_metrics)
    axes: dict[str, Any] = {}
    traces = list(behind)
    for i, (name, unit, values) in enumerate(panels):
        top, n = 1 - i * (height + gap), "" if i == 0 else str(i + 1)
        is_last = i == len(panels) - 1
        axes[f"xaxis{n}"] = layers | {
            "anchor": f"y{n}",
            "showticklabels": is_last,
            "title": layers["title"] if is_last else {"text": ""},
            "matches": None if i == 0 else "x",
        }
        axes[f"yaxis{n}"] = {
            "anchor": f"x{n}",
            "domain": [max(top - height, 0), top],
            "title": {"text": f"{name} ({unit})" if unit else name},
            "nticks": 3,
        }
        if nulls and name in nulls:
            traces.append(
                {
                    "type": "scatter",
                    "x": list(range(len(analysis.layers))),
                    "y": [nulls[name].get(layer) for layer in analysis.layers],
                    "customdata": [[plotly_name(layer)] for layer in analysis.layers],
                    "mode": "lines",
                    "line": {"color": ink(theme).soft, "width": 1.5, "dash": "dash"},
                    "xaxis": f"x{n}",
                    "yaxis": f"y{n}",
                    "hovertemplate": (
                        f"%{{customdata[0]}}: {name} of a Gaussian %{{y:.3f}}<extra></extra>"
                    ),
                }
            )
        traces.append(
            {
                "type": "scatter",
                "x": list(range(len(analysis.layers))),
                # A layer without a value is a gap, not a line drawn across it.
                "y": [values.get(layer) for layer in analysis.layers],
                "customdata": [[plotly_name(layer)] for layer in analysis.layers],
                "mode": "lines+markers",
                "line": {"color": ink(theme).series, "width": 2.5},
                "marker": {"size": 8, "line": {"color": ink(theme).surface, "width": 1}},
                "xaxis": f"x{n}",
                "yaxis": f"y{n}",
                "hovertemplate": f"%{{customdata[0]}}: {name} %{{y:.3f}} {unit}<extra></extra>",
            }
        )
    return new_figure(title, subtitle, theme, traces, layers={"x": analysis.layers}, **axes)
