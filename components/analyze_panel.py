"""The section "Analyze": from a text, typed or dropped, to an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import dash_bootstrap_components as dbc
from dash import dcc, html

from concept_fragmentation.analysis import TINY
from concept_fragmentation.analysis.inputs import DEFAULT_PREFIX
from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import (
    aria,
    card,
    field,
    labelled,
    progress_bar,
    section,
    segmented,
    upload,
)

# Longer texts are for Python and the command line, which don't send them through a browser.
MAX_TEXT_CHARACTERS: Final = 2_000_000
# The form is kept over a reload, for which browsers have five million characters in all.
MAX_CATEGORY_CHARACTERS: Final = 1_000_000
MAX_CLUSTERS: Final = 1000
MAX_PREFIX_CHARACTERS: Final = 200
MAX_SEED: Final = 2**31 - 1
OTHER_MODEL: Final = "other"
# How the value of a model that lies in a folder of the server begins; its name follows.
FOLDER: Final = "folder:"

MODELS: Final = {
    TINY: "Tiny: ships with the dashboard, trained on made-up stories; not GPT-2",
    "gpt2": "gpt2 (124 million parameters)",
    "distilgpt2": "distilgpt2 (82 million)",
    "gpt2-medium": "gpt2-medium (355 million)",
    "gpt2-large": "gpt2-large (774 million)",
    OTHER_MODEL: "Another checkpoint …",
}
CHOOSE_K: Final = {
    "number": "Number",
    "auto": "Silhouette",
    "gap": "Gap statistic",
}
READINGS: Final = {
    "text": "One text",
    "lines": "A text a line",
    "words": "A word a line",
}
SEVERAL: Final = {
    "average": "Mean of their tokens",
    "skip": "Leave out",
}
ATTENTIONS: Final = {
    "metrics": "What each head does",
    "full": "Full: the weights too, of short texts",
    "none": "Leave it out",
}


@dataclass(frozen=True)
class Offer:
    """Models that this server can run.

    Attributes:
        folders: names of the models that lie in the folder of the server.
        any_folder: whether every other folder of the machine may be named.
        install: the command that installs what running a model needs, where that is missing.
    """

    folders: tuple[str, ...] = ()
    any_folder: bool = False
    install: str | None = None

    @property
    def models(self) -> Mapping[str, str]:
        """The values of the models and what they are called, the last being any other."""
        known = dict(MODELS)
        other = known.pop(OTHER_MODEL)
        return known | {f"{FOLDER}{name}": name for name in self.folders} | {OTHER_MODEL: other}


def analyze_panel(max_upload: int, offer: Offer) -> html.Section:
    """Return the section: the text, the settings, and what a run tells of itself.

    `max_upload` is the largest file that it takes, in bytes.
    """
    return section(
        ids.ANALYZE_SECTION,
        "Analyze",
        "Run a language model over a text, cluster what it holds of each token in each layer, and "
        "see the result in every view. It is yours to save.",
        [
            *([_missing(offer.install)] if offer.install else []),
            html.Div([_text(max_upload), _settings(offer)], className="cf-grid-2"),
        ],
    )


def _missing(install: str) -> html.Div:
    return html.Div(
        [
            html.Span(
                "This installation can't run a model: torch, transformers or scikit-learn is "
                "missing. Stop the server, install them, and start it again:"
            ),
            html.Code(install, className="cf-command"),
        ],
        className="cf-card cf-missing",
        role="note",
    )


def analyze_status() -> html.Div:
    """Return the status of a run in the bar, shown in every view, with a button to cancel it."""
    return html.Div(
        [
            html.Span(id=ids.ANALYZE_STATUS_STAGE, className="cf-status-stage", role="status"),
            progress_bar(ids.ANALYZE_STATUS_PROGRESS, "Analyzing", "cf-status-progress"),
            html.Button(
                "Cancel",
                id=ids.ANALYZE_STATUS_CANCEL,
                type="button",
                className="cf-link-button",
                **aria(label="Cancel the analysis"),
            ),
        ],
        id=ids.ANALYZE_STATUS,
        className="cf-status",
        hidden=True,
        role="group",
        **aria(label="Analysis in progress"),
    )


def _text(max_upload: int) -> html.Div:
    return card(
        [
            field(
                "Text",
                ids.ANALYZE_TEXT,
                dcc.Textarea(
                    id=ids.ANALYZE_TEXT,
                    value="",
                    placeholder="Paste a text here",
                    maxLength=MAX_TEXT_CHARACTERS,
                    className="form-control cf-text",
                ),
            ),
            upload(
                ids.ANALYZE_FILE,
                [
                    html.Strong("Or a file"),
                    html.Span(
                        " — drop it here or choose one: plain text, or CSV with a column of texts "
                        "and any of categories."
                    ),
                ],
                max_upload,
            ),
            html.Span(id=ids.ANALYZE_SOURCE, className="cf-hint", role="status"),
            html.Div(
                [
                    labelled(
                        "Column of the texts",
                        dcc.Dropdown(
                            id=ids.ANALYZE_COLUMN, options=[], placeholder="Choose a column"
                        ),
                    ),
                    labelled(
                        "Columns of categories",
                        dcc.Dropdown(
                            id=ids.ANALYZE_CATEGORY_COLUMNS,
                            options=[],
                            value=[],
                            multi=True,
                            placeholder="None; such as the part of speech of each word",
                        ),
                    ),
                ],
                id=ids.ANALYZE_COLUMN_FIELD,
                className="cf-form-row",
                hidden=True,
            ),
            _categories(),
            labelled(
                "Read it as",
                segmented(ids.ANALYZE_READING, READINGS, "text"),
            ),
            html.Div(
                html.Div(
                    [
                        labelled(
                            "Words of several tokens",
                            segmented(ids.ANALYZE_SEVERAL, SEVERAL, "average"),
                        ),
                        _prefix(),
                    ],
                    className="cf-form-row",
                ),
                id=ids.ANALYZE_SEVERAL_FIELD,
                hidden=True,
            ),
        ],
        label="Text to analyze",
        class_name="cf-panel cf-form",
    )


def _settings(offer: Offer) -> html.Div:
    return card(
        [
            labelled(
                "Model",
                dcc.Dropdown(
                    id=ids.ANALYZE_MODEL,
                    options=[{"label": v, "value": k} for k, v in offer.models.items()],
                    value=TINY,
                    clearable=False,
                    searchable=False,
                ),
            ),
            dbc.Input(
                id=ids.ANALYZE_OTHER_MODEL,
                type="text",
                placeholder="Name on the hub, such as EleutherAI/pythia-70m"
                + (", or a folder" if offer.any_folder else ""),
                maxlength=1000,
                size="sm",
                autocomplete="off",
                style={"display": "none"},
            ),
            html.Div([_clusters(), _seed()], className="cf-form-row"),
            _layers(),
            _keep_massive(),
            _warm_start(),
            labelled(
                "Attention",
                dcc.Dropdown(
                    id=ids.ANALYZE_ATTENTION,
                    options=[{"label": v, "value": k} for k, v in ATTENTIONS.items()],
                    value="metrics",
                    clearable=False,
                    searchable=False,
                ),
            ),
            html.Div(
                [
                    dbc.Button(
                        "Analyze",
                        id=ids.ANALYZE,
                        color="primary",
                        size="sm",
                        disabled=offer.install is not None,
                    ),
                    dbc.Button(
                        "Cancel",
                        id=ids.ANALYZE_CANCEL,
                        color="secondary",
                        outline=True,
                        size="sm",
                        disabled=True,
                    ),
                ],
                className="cf-actions",
            ),
            html.Div(
                [
                    html.Span(id=ids.ANALYZE_STAGE, className="cf-hint", role="status"),
                    progress_bar(ids.ANALYZE_PROGRESS, "Analyzing", "cf-progress"),
                ],
                className="cf-run",
            ),
            dcc.Store(id=ids.ANALYZE_DONE),
            dcc.Store(id=ids.ANALYZE_OUTCOME),
        ],
        label="Settings of the analysis",
        class_name="cf-panel cf-form",
    )


def _categories() -> html.Div:
    """What is known of the categories of each line, which a reload keeps and the file does not."""
    return html.Div(
        [
            html.Span(id=ids.ANALYZE_CATEGORIES_NOTE, className="cf-hint cf-grow", role="status"),
            html.Button(
                "Leave them out",
                id=ids.ANALYZE_CATEGORIES_CLEAR,
                type="button",
                className="cf-link-button",
                **aria(label="Leave the categories out"),
            ),
            dcc.Store(id=ids.ANALYZE_CATEGORIES),
        ],
        id=ids.ANALYZE_CATEGORIES_FIELD,
        className="cf-inline-field",
        hidden=True,
    )


def _clusters() -> html.Div:
    return field(
        "Clusters a layer",
        ids.ANALYZE_CLUSTERS,
        html.Div(
            [
                dbc.Input(
                    id=ids.ANALYZE_CLUSTERS,
                    type="number",
                    min=2,
                    max=MAX_CLUSTERS,
                    step=1,
                    value=10,
                    size="sm",
                    class_name="cf-number",
                ),
                segmented(ids.ANALYZE_CHOOSE_K, CHOOSE_K, "number"),
            ],
            className="cf-inline-field",
        ),
    )


def _prefix() -> html.Div:
    return field(
        "Before each word",
        ids.ANALYZE_PREFIX,
        dbc.Input(
            id=ids.ANALYZE_PREFIX,
            type="text",
            value=DEFAULT_PREFIX,
            placeholder="Nothing: every word at the first position",
            maxlength=MAX_PREFIX_CHARACTERS,
            size="sm",
            autocomplete="off",
        ),
    )


def _warm_start() -> dbc.Checkbox:
    return dbc.Checkbox(
        id=ids.ANALYZE_WARM_START,
        label="Start each layer from the clusters of the layer before",
        value=True,
    )


def _keep_massive() -> dbc.Checkbox:
    return dbc.Checkbox(
        id=ids.ANALYZE_KEEP_MASSIVE,
        label="Keep massive activations, such as those of the first token",
        value=False,
    )


def _seed() -> html.Div:
    return field(
        "Seed",
        ids.ANALYZE_SEED,
        dbc.Input(
            id=ids.ANALYZE_SEED,
            type="number",
            min=0,
            max=MAX_SEED,
            step=1,
            value=0,
            size="sm",
            class_name="cf-number",
        ),
    )


def _layers() -> html.Div:
    return field(
        "Layers",
        ids.ANALYZE_LAYERS,
        dbc.Input(
            id=ids.ANALYZE_LAYERS,
            type="text",
            placeholder="All; or some, such as: embedding, block_1, -1",
            maxlength=2000,
            size="sm",
            autocomplete="off",
        ),
    )
