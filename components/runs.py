"""What the page says of work in the background: what it is, how far it is, and a way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import dash_bootstrap_components as dbc
from dash import Input, Output, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria, progress_bar


class Run(NamedTuple):
    """A kind of work in the background: the ids of its place, and what is said while it is done."""

    place: str
    stage: str
    progress: str
    cancel: str
    said: str

    @property
    def waiting(self) -> str:
        """What is said while others do theirs."""
        return f"{self.said}, waiting"

    def options(self) -> dict[str, Any]:
        """Return the options of the callback that does it."""
        return {
            "background": True,
            "progress": [Output(self.progress, "value"), Output(self.stage, "children")],
            "progress_default": ["0", self.said],
            "running": [(Output(self.place, "hidden"), False, True)],
            "cancel": [Input(self.cancel, "n_clicks")],
            "interval": 300,
            "prevent_initial_call": True,
        }


REPORT: Final = Run(
    ids.REPORT_RUN, ids.REPORT_STAGE, ids.REPORT_PROGRESS, ids.REPORT_CANCEL, "Making the report"
)
MAP: Final = Run(
    ids.MAP_RUN, ids.MAP_STAGE, ids.MAP_PROGRESS, ids.MAP_CANCEL, "Mapping the layer by UMAP"
)

# How far it is in hundredths, None where nobody knows, and what is being done.
Progress = Callable[[tuple[str | None, str]], None]


def run_panel(run: Run) -> html.Div:
    """Return the place of a kind of work, which is shown while it is done."""
    cancel = dbc.Button("Cancel", id=run.cancel, color="secondary", outline=True, size="sm")
    return html.Div(
        [
            html.Div(
                [html.Span(run.said, id=run.stage, role="status"), cancel],
                className="cf-running-head",
            ),
            progress_bar(run.progress, run.said, "cf-running-bar"),
        ],
        id=run.place,
        className="cf-card cf-running",
        hidden=True,
        role="group",
        **aria(label=run.said),
    )
