from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import pytest

from concept_fragmentation.analysis import Analysis, LayerWindow, analysis_from_labels, layer_window

Build = Callable[..., tuple[Analysis, LayerWindow]]


@pytest.fixture
def build() -> Build:
    """Build an analysis from rows of labels, one row a token, and the window of all its layers."""

    def from_labels(
        labels: Sequence[Sequence[int]],
        *,
        tokens: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
    ) -> tuple[Analysis, LayerWindow]:
        tokens = tokens or [f"t{i}" for i in range(len(labels))]
        made = analysis_from_labels(list(tokens), [list(row) for row in labels], layers=layers)
        analysis = Analysis.from_dict(made)
        return analysis, layer_window(analysis, 0, len(analysis.labelled_layers) - 1)

    return from_labels


@pytest.fixture
def text_of() -> Callable[[go.Figure], str]:
    """Return all that a figure may show as JSON: without `meta`, which is for programs."""

    def without_meta(figure: go.Figure) -> str:
        shown = go.Figure(figure)
        shown.layout.meta = None
        return str(shown.to_json()).replace("\\u003c", "<").replace("\\u003e", ">")

    return without_meta
