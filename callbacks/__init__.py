"""What happens when a person acts: one module a panel."""

from __future__ import annotations

from dash import Dash

from concept_fragmentation.callbacks import (
    analyze,
    appearance,
    catalogue,
    categories,
    compare,
    concepts,
    deletion,
    downloads,
    figures,
    flow,
    library,
    navigation,
    origin,
    overview,
    python,
    report,
    sessions,
    states,
    thumbnails,
    tokens,
    trajectories,
    transfer,
    uploads,
)
from concept_fragmentation.callbacks.workspace import Workspace

_PANELS = (
    appearance,
    navigation,
    overview,
    origin,
    figures,
    flow,
    trajectories,
    tokens,
    concepts,
    compare,
    categories,
    catalogue,
    library,
    deletion,
    analyze,
    uploads,
    transfer,
    states,
    sessions,
    downloads,
    report,
    python,
    thumbnails,
)


def register(app: Dash, workspace: Workspace) -> None:
    """Connect every panel of the page."""
    for panel in _PANELS:
        panel.register(app, workspace)
