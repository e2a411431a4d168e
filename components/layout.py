"""The page: the bar, the controls and the sections, from top to bottom."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.guide import guide
from concept_fragmentation.components.parts import (
    aria,
    card,
    downloads,
    figure,
    figure_card,
    loading,
    section,
)
from concept_fragmentation.components.persistence_panel import persistence_panel

DASHBOARD_TAB = "GPT-2 Metrics Dashboard"
TABLE_BLOCK_ROWS = 100


def page() -> html.Div:
    """Return the whole page; it shows nothing until the callbacks know the address."""
    return html.Div(
        [
            dcc.Location(id=ids.LOCATION, refresh=False),
            *(
                dcc.Store(id=store)
                for store in (
                    ids.VIEW,
                    ids.ANALYSIS_VIEW,
                    ids.WINDOW_VIEW,
                    ids.FLOW_VIEW,
                    ids.HEAT_VIEW,
                    ids.SELECTION_VIEW,
                    ids.THEME,
                    ids.GESTURE,
                    ids.DESTINATION,
                    ids.LIBRARY,
                )
            ),
            _bar(),
            html.Main(
                dbc.Tabs(
                    [
                        dbc.Tab(_dashboard(), label=DASHBOARD_TAB, tab_id="dashboard"),
                        dbc.Tab(guide(), label="Guide", tab_id="guide"),
                    ],
                    id=ids.TABS,
                    active_tab="dashboard",
                    class_name="cf-tabs",
                ),
                className="cf-main",
            ),
            html.Div(id=ids.MESSAGES, className="cf-messages", children=[]),
        ],
        className="cf-page",
    )


def _bar() -> html.Header:
    return html.Header(
        html.Div(
            [
                html.Div("Concept Fragmentation", className="cf-brand"),
                html.Div(
                    id=ids.ANALYSIS_BAR,
                    className="cf-analysis",
                    role="status",
                    **aria(label="Analysis shown"),
                ),
                html.Div(
                    [
                        html.A(
                            "Save and load",
                            href=f"#{ids.PERSISTENCE}",
                            className="cf-bar-link",
                        ),
                        html.Button(
                            id=ids.THEME_TOGGLE,
                            type="button",
                            className="cf-icon-button",
                            title="Switch between light and dark",
                            **aria(label="Switch between light and dark"),
                        ),
                    ],
                    className="cf-bar-actions",
                ),
            ],
            className="cf-bar-inner",
        ),
        className="cf-bar",
    )


def _dashboard() -> html.Div:
    return html.Div(
        [
            _controls(),
            html.Div(
                id=ids.SUMMARY,
                className="cf-summary",
                role="group",
                **aria(label="Summary of the layer window"),
            ),
            section(
                "token-flow",
                "Token flow",
                "Each column is a layer, each bar a cluster, each band the tokens that move "
                "from one cluster to the next. Click a bar or a band to list its tokens.",
                [
                    html.Div([_sankey(), _paths()], className="cf-flow"),
                    html.Div(id=ids.SELECTION, className="cf-selection"),
                ],
            ),
            section(
                "token-table",
                "Token paths",
                "Every token's own path through the window, and how far it travels.",
                [_table()],
            ),
            section(
                "layers",
                "Layers",
                "How evenly each layer spreads its tokens, how far they move, and where they go.",
                [
                    html.Div(
                        [
                            figure_card(ids.CLUSTER_SIZES, "cluster sizes", height=340),
                            figure_card(ids.CLUSTER_ENTROPY, "cluster entropy", height=340),
                        ],
                        className="cf-grid-2",
                    ),
                    html.Div(
                        [
                            figure_card(ids.PATH_METRICS, "path metrics", height=380),
                            _heat_map(),
                        ],
                        className="cf-grid-wide-narrow",
                    ),
                ],
            ),
            section(
                "attention-and-concepts",
                "Attention and concepts",
                "What the analysis knows about its layers beyond the clusters.",
                [
                    html.Div(
                        [
                            _optional_figure(ids.ATTENTION, "attention by layer"),
                            _optional_figure(ids.CONCEPTS, "concept metrics by layer"),
                        ],
                        className="cf-grid-2",
                    )
                ],
            ),
            persistence_panel(),
        ],
        className="cf-dashboard",
    )


def _controls() -> html.Div:
    quick = [
        html.Button(
            name.capitalize(),
            id={"type": ids.QUICK_WINDOW, "index": name},
            type="button",
            className="cf-chip-button",
            **aria(label=f"Show the {name} layers" if name != "all" else "Show all layers"),
        )
        for name in ("early", "middle", "late", "all")
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.Span("Layer window", className="cf-label"),
                            html.Span(id=ids.LAYER_WINDOW_TEXT, className="cf-window-text"),
                            html.Div(quick, className="cf-quick"),
                        ],
                        className="cf-window-head",
                    ),
                    dcc.RangeSlider(
                        id=ids.LAYER_WINDOW,
                        min=0,
                        max=1,
                        step=1,
                        value=[0, 1],
                        marks={},
                        allow_direct_input=False,
                        className="cf-slider",
                    ),
                ],
                className="cf-field cf-grow",
                role="group",
                **aria(label="Layer window"),
            ),
            html.Div(
                [
                    html.Div(
                        [
                            html.Span("Find tokens", className="cf-label"),
                            html.Button(
                                "Clear highlights",
                                id=ids.CLEAR_HIGHLIGHTS,
                                type="button",
                                className="cf-link-button",
                            ),
                        ],
                        className="cf-window-head",
                    ),
                    dcc.Dropdown(
                        id=ids.FIND_TOKENS,
                        options=[],
                        value=[],
                        multi=True,
                        placeholder="Type a token to highlight its path",
                        maxHeight=300,
                        labels={"search": "Search all tokens", "no_options_found": "No such token"},
                    ),
                ],
                className="cf-field cf-find",
                role="group",
                **aria(label="Find tokens"),
            ),
        ],
        className="cf-controls",
    )


def _sankey() -> html.Div:
    controls = html.Div(
        [
            html.Div(
                [
                    html.Span("Colour by", className="cf-label"),
                    dbc.RadioItems(
                        id=ids.COLOUR_BY,
                        options=[
                            {"label": "Cluster", "value": "cluster"},
                            {"label": "Path", "value": "path"},
                        ],
                        value="cluster",
                        inline=True,
                        class_name="cf-segmented",
                        input_class_name="btn-check",
                        label_class_name="cf-segment",
                        label_checked_class_name="active",
                    ),
                ],
                className="cf-inline-field",
                role="group",
                **aria(label="Colour by"),
            ),
            html.Div(
                [
                    html.Label("Hide bands below", htmlFor=ids.MIN_COUNT, className="cf-label"),
                    dbc.Input(
                        id=ids.MIN_COUNT,
                        type="number",
                        min=1,
                        step=1,
                        value=1,
                        debounce=True,
                        size="sm",
                        class_name="cf-number",
                    ),
                    html.Span("tokens", className="cf-hint"),
                ],
                className="cf-inline-field",
            ),
        ],
        className="cf-figure-controls",
    )
    return card(
        [
            html.Div(
                [controls, downloads(ids.SANKEY, "the token flow")],
                className="cf-card-head",
            ),
            figure(ids.SANKEY, height=520),
            html.Div(
                [
                    html.Span(id=ids.SANKEY_NOTE, className="cf-hint cf-grow", role="status"),
                    html.Div(
                        [
                            html.Span("List the tokens of", className="cf-label"),
                            dcc.Dropdown(
                                id=ids.CLUSTER_CHOICE,
                                options=[],
                                placeholder="a cluster",
                                className="cf-small-dropdown",
                            ),
                        ],
                        className="cf-inline-field cf-cluster-choice",
                        role="group",
                        **aria(label="List the tokens of a cluster"),
                    ),
                ],
                className="cf-card-foot",
            ),
        ],
        label="Token flow",
        class_name="cf-figure-card",
    )


def _paths() -> html.Div:
    return card(
        [
            html.Div(
                [
                    html.H3("Archetypal paths", className="cf-card-title"),
                    downloads(ids.PATHS, "the archetypal paths", image=False),
                ],
                className="cf-card-head",
            ),
            loading(html.Div(id=ids.PATHS, className="cf-paths")),
        ],
        label="Archetypal paths",
    )


def _table() -> html.Div:
    options: dict[str, Any] = {
        "theme": {"function": "cfGridTheme(themeQuartz)"},
        "rowHeight": 34,
        "headerHeight": 36,
        "cacheBlockSize": TABLE_BLOCK_ROWS,
        "maxBlocksInCache": 20,
        "infiniteInitialRowCount": 1,
        "suppressCellFocus": False,
        "enableCellTextSelection": True,
        "suppressMovableColumns": True,
    }
    return card(
        [
            html.Div(
                [
                    html.Span(id=ids.PATH_TABLE_NOTE, className="cf-hint cf-grow", role="status"),
                    downloads(ids.PATH_TABLE, "the token paths", image=False),
                ],
                className="cf-card-head",
            ),
            dag.AgGrid(
                id=ids.PATH_TABLE,
                columnDefs=[],
                defaultColDef={"sortable": True, "resizable": True, "minWidth": 76},
                rowModelType="infinite",
                dashGridOptions=options,
                columnSize=None,
                style={"height": "380px", "width": "100%"},
                className="cf-table",
            ),
        ],
        label="Token paths",
    )


def _heat_map() -> html.Div:
    choose = html.Div(
        [
            html.Span("From", className="cf-label"),
            dcc.Dropdown(id=ids.HEAT_SOURCE, options=[], clearable=False, searchable=False),
            html.Span("to", className="cf-label"),
            dcc.Dropdown(id=ids.HEAT_TARGET, options=[], clearable=False, searchable=False),
        ],
        className="cf-inline-field cf-layer-pair",
        role="group",
        **aria(label="Layers of the transition heat map"),
    )
    return figure_card(ids.HEAT_MAP, "transitions between two layers", height=380, above=choose)


def _optional_figure(figure_id: str, name: str) -> html.Div:
    head: Component = html.Div([downloads(figure_id, name)], className="cf-card-head")
    return card(
        [head, loading(html.Div(id=figure_id, className="cf-optional"))],
        label=name,
        class_name="cf-figure-card",
    )
