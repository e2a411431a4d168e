"""The section "Analysis Persistence": save, load, export and import, views, sessions."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import (
    aria,
    card,
    field,
    labelled,
    section,
    segmented,
    upload,
)

FORMATS = {"json": "JSON", "csv": "CSV", "pickle": "Pickle"}


def persistence_panel(max_upload: int) -> html.Section:
    """Return the section with its five panels; `max_upload` is the largest import, in bytes."""
    return section(
        ids.PERSISTENCE,
        "Analysis Persistence",
        "Keep what you found. Everything is written to this machine and to nowhere else.",
        [
            html.Div(
                [_save(), _load(), _transfer(max_upload), _states(), _sessions()],
                className="cf-persistence",
            ),
        ],
    )


def _panel(title: str, lead: str, children: list[Component]) -> html.Div:
    return card(
        [
            html.H3(title, className="cf-card-title"),
            html.P(lead, className="cf-hint cf-panel-lead"),
            *children,
        ],
        label=title,
        class_name="cf-panel",
    )


def _button(text: str, component_id: str, colour: str = "secondary") -> dbc.Button:
    return dbc.Button(
        text,
        id=component_id,
        color=colour,
        outline=colour != "primary",
        size="sm",
        type="button",
    )


def _name(component_id: str, label: str, placeholder: str) -> html.Div:
    return field(
        label,
        component_id,
        dbc.Input(
            id=component_id,
            type="text",
            placeholder=placeholder,
            maxlength=200,
            size="sm",
            autocomplete="off",
        ),
    )


def _choice(component_id: str, label: str, placeholder: str) -> html.Div:
    return labelled(
        label,
        dcc.Dropdown(id=component_id, options=[], placeholder=placeholder, maxHeight=260),
        grow=True,
    )


def _save() -> html.Div:
    return _panel(
        "Save",
        "Under a new name it becomes a new analysis; under its own name, its next version.",
        [
            _name(ids.SAVE_NAME, "Name", "A name for this analysis"),
            html.Div([_button("Save Analysis", ids.SAVE, "primary")], className="cf-actions"),
        ],
    )


def _load() -> html.Div:
    return _panel(
        "Load",
        "Any saved analysis, in any version that is kept.",
        [
            html.Div(
                [
                    _choice(ids.LOAD_ANALYSIS, "Saved analysis", "Choose a saved analysis"),
                    _choice(ids.LOAD_VERSION, "Version", "Newest"),
                ],
                className="cf-load-row",
            ),
            html.Div(
                [
                    _button("Load Analysis", ids.LOAD, "primary"),
                    _button("Delete…", ids.DELETE, "danger"),
                    html.Span(id=ids.DELETE_HINT, className="cf-hint", role="status"),
                ],
                className="cf-actions",
            ),
        ],
    )


def _transfer(max_upload: int) -> html.Div:
    return _panel(
        "Export and import",
        "The analysis shown, as files that other tools read and that come back unchanged.",
        [
            html.Div(
                [
                    labelled(
                        "Format",
                        segmented(ids.EXPORT_FORMAT, FORMATS, "json"),
                    ),
                    html.Div([_button("Export", ids.EXPORT, "primary")], className="cf-actions"),
                ],
                className="cf-export-row",
            ),
            html.Div(id=ids.EXPORT_RESULT, className="cf-export-result", role="status"),
            html.Div(id=ids.EXPORT_FILES),
            dcc.Store(id=ids.EXPORTED),
            upload(
                ids.IMPORT,
                [
                    html.Strong("Import"),
                    html.Span(
                        " — drop a file here or choose one: exported JSON, Pickle, a zip of "
                        "CSV, or a bare JSON analysis."
                    ),
                ],
                max_upload,
            ),
        ],
    )


def _states() -> html.Div:
    return _panel(
        "Views",
        "Window, colours, highlights, thresholds and selection of the analysis shown, by name.",
        [
            _name(ids.STATE_NAME, "Name of the view", "For example: late layers, nouns"),
            html.Div([_button("Save view", ids.STATE_SAVE, "primary")], className="cf-actions"),
            html.Div(
                [
                    html.Span("Saved views", className="cf-label"),
                    dbc.RadioItems(
                        id=ids.STATE_CHOICE,
                        options=[],
                        class_name="cf-states",
                        input_class_name="btn-check",
                        label_class_name="cf-state",
                        label_checked_class_name="active",
                    ),
                    html.Span(id=ids.STATE_NOTE, className="cf-hint"),
                ],
                className="cf-field",
                role="group",
                **aria(label="Saved views"),
            ),
            html.Div(
                [
                    _button("Restore view", ids.STATE_RESTORE),
                    _button("Delete view", ids.STATE_DELETE, "danger"),
                ],
                className="cf-actions",
            ),
        ],
    )


def _sessions() -> html.Div:
    return _panel(
        "Sessions",
        "Analyses that belong together, such as one experiment's runs.",
        [
            _name(ids.SESSION_NAME, "Name of the session", "For example: layer-wise k"),
            html.Div(
                [_button("Create session", ids.SESSION_CREATE, "primary")],
                className="cf-actions",
            ),
            _choice(ids.SESSION_CHOICE, "Session", "Choose a session"),
            html.Div(
                [
                    _button("Open session", ids.SESSION_OPEN),
                    _button("Add current analysis", ids.SESSION_ADD),
                    _button("Delete session", ids.SESSION_DELETE, "danger"),
                ],
                className="cf-actions",
            ),
            html.Div(id=ids.SESSION_ANALYSES, className="cf-session-analyses"),
        ],
    )
