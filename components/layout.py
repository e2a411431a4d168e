"""The page: the bar, the tabs and the sections, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import (
    Offer,
    analyze_panel,
    analyze_status,
)
from concept_fragmentation.components.attention_panel import heads_section, weights_section
from concept_fragmentation.components.compare_panel import compare_section
from concept_fragmentation.components.concepts_panel import map_section, similarity_section
from concept_fragmentation.components.connection import notices
from concept_fragmentation.components.guide import guide
from concept_fragmentation.components.hints import hints
from concept_fragmentation.components.library_panel import library_section
from concept_fragmentation.components.parts import (
    aria,
    card,
    downloads,
    figure,
    figure_card,
    grid,
    section,
)
from concept_fragmentation.components.persistence_panel import persistence_panel
from concept_fragmentation.components.python_dialog import python_dialog
from concept_fragmentation.components.runs import MAP, REPORT, run_panel
from concept_fragmentation.components.structure import FIGURES, TAB_NAMES, structure
from concept_fragmentation.components.trash_panel import delete_dialog
from concept_fragmentation.components.view import View

DASHBOARD_TAB = "GPT-2 Metrics Dashboard"


def page(
    max_upload: int,
    examples: Mapping[str, str],
    *,
    signed_in: bool = False,
    offer: Offer | None = None,
) -> html.Div:
    """Return the whole page; it shows nothing until the callbacks know the address.

    Args:
        max_upload: the largest file that it takes, in bytes.
        examples: the titles of the examples by their keys.
        signed_in: whether who sees it has signed in, and may sign out.
        offer: which models can be run here.
    """
    return html.Div(
        [
            dcc.Location(id=ids.LOCATION, refresh=False),
            dcc.Store(id=ids.STRUCTURE, data=structure()),
            dcc.Store(id=ids.FINISHED, storage_type="session"),
            *(
                dcc.Store(id=store)
                for store in (
                    ids.VIEW,
                    ids.ANALYSIS_VIEW,
                    ids.PARTS,
                    ids.THEME,
                    ids.GESTURES,
                    ids.GESTURES_DONE,
                    ids.DESTINATION,
                    ids.UPLOAD_REFUSED,
                    ids.PYTHON_ASKED,
                    ids.LIBRARY,
                    ids.REPORT_READY,
                    ids.MAP_WANTED,
                    ids.MAP_ASKED,
                    ids.MAP_DONE,
                    ids.MAP_READY,
                )
            ),
            *(dcc.Store(id={"type": ids.FIGURE_VIEW, "index": figure_id}) for figure_id in FIGURES),
            _bar(examples, signed_in=signed_in),
            html.Main(
                [
                    html.Div(
                        [
                            _page_tab(ids.DASHBOARD_PAGE, DASHBOARD_TAB, chosen=True),
                            _page_tab(ids.GUIDE_PAGE, "Guide", chosen=False),
                        ],
                        role="tablist",
                        className="cf-tabs",
                        **aria(label="Pages"),
                    ),
                    _page(
                        ids.DASHBOARD_PAGE, _dashboard(max_upload, offer or Offer()), hidden=False
                    ),
                    _page(ids.GUIDE_PAGE, guide(), hidden=True),
                ],
                className="cf-main",
            ),
            python_dialog(),
            delete_dialog(),
            dcc.Store(id=ids.DOOMED),
            html.Div(
                [
                    run_panel(REPORT),
                    run_panel(MAP),
                    *notices(),
                    html.Div(id=ids.FINISHED_LIST, className="cf-messages"),
                    html.Div(id=ids.MESSAGES, className="cf-messages", children=[]),
                ],
                className="cf-corner",
            ),
            hints(),
        ],
        className="cf-page",
    )


# Plain elements and assets/pages.js: dbc.Tabs draws all that is in it anew at every change.
def _page_tab(page_id: str, name: str, *, chosen: bool) -> html.Button:
    return html.Button(
        name,
        id=f"{page_id}-tab",
        type="button",
        role="tab",
        className="cf-tab",
        tabIndex=0 if chosen else -1,
        **aria(controls=page_id, selected="true" if chosen else "false"),
    )


def _page(page_id: str, content: Component, *, hidden: bool) -> html.Div:
    return html.Div(
        content, id=page_id, role="tabpanel", hidden=hidden, **aria(labelledby=f"{page_id}-tab")
    )


def _bar(examples: Mapping[str, str], *, signed_in: bool) -> html.Header:
    sign_out = html.Form(
        html.Button("Sign out", type="submit", className="cf-link-button"),
        action="sign-out",
        method="POST",
    )
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
                analyze_status(),
                html.Div(
                    [
                        _examples(examples),
                        html.Button(
                            "Report",
                            id=ids.REPORT,
                            type="button",
                            className="cf-link-button",
                            title="Download all figures and tables of this analysis in one file",
                        ),
                        html.Button(
                            "Copy link",
                            id=ids.COPY_LINK,
                            type="button",
                            className="cf-link-button",
                            title="Copy the address of what is shown",
                        ),
                        html.Button(
                            id=ids.THEME_TOGGLE,
                            type="button",
                            className="cf-icon-button",
                            title="Switch between light and dark",
                            **aria(label="Switch between light and dark"),
                        ),
                        *([sign_out] if signed_in else []),
                    ],
                    className="cf-bar-actions",
                ),
            ],
            className="cf-bar-inner",
        ),
        className="cf-bar",
    )


def _examples(titles: Mapping[str, str]) -> html.Details:
    """Return the menu of the examples: links, so that each also opens in a window of its own."""
    links = [
        dcc.Link(title, href=View(example=key).to_query(), className="cf-download")
        for key, title in titles.items()
    ]
    return html.Details(
        [
            html.Summary("Examples", className="cf-link-button cf-menu-open"),
            html.Div(links, className="cf-menu"),
        ],
        id=ids.EXAMPLES,
        className="cf-examples",
    )


def _dashboard(max_upload: int, offer: Offer) -> html.Div:
    return html.Div(
        [
            _tabs(),
            _shown_in_tabs(ids.WINDOW_SECTION, _controls()),
            _shown_in_tabs(
                ids.SUMMARY_SECTION,
                html.Div(
                    id=ids.SUMMARY,
                    className="cf-summary",
                    role="group",
                    **aria(label="Summary of the layer window"),
                ),
            ),
            _shown_in_tabs(
                ids.PATH_ATTENTION_SECTION,
                section(
                    ids.PATH_ATTENTION_SECTION,
                    "Path and attention",
                    "Do tokens that attend to each other travel together? Below are their paths "
                    "and their attention; what you select is highlighted in both.",
                    [
                        html.Div(
                            [
                                figure_card(ids.PATH_ATTENTION_LAYERS),
                                figure_card(ids.PATH_ATTENTION_TOKENS),
                            ],
                            className="cf-grid-narrow-wide",
                        )
                    ],
                    awaited=True,
                ),
            ),
            _shown_in_tabs(ids.FLOW_SECTION, _token_flow()),
            _shown_in_tabs(ids.GLANCE_SECTION, _at_a_glance()),
            _shown_in_tabs(
                ids.ORIGIN_SECTION,
                section(
                    ids.ORIGIN_SECTION,
                    "Settings and text",
                    "What this analysis was made of, and by what.",
                    [html.Div(id=ids.ORIGIN, className="cf-card cf-origin cf-computed")],
                ),
            ),
            _shown_in_tabs(
                ids.TRAJECTORIES_SECTION,
                section(
                    ids.TRAJECTORIES_SECTION,
                    "Trajectories",
                    "The same paths as lines, and the tokens you chose beside each other.",
                    [
                        figure_card(ids.TRAJECTORIES),
                        figure_card(
                            ids.COMPARED_TOKENS,
                            below=html.Span(
                                id=ids.COMPARED_NOTE, className="cf-figure-note", role="status"
                            ),
                        ),
                    ],
                ),
            ),
            _shown_in_tabs(ids.CATEGORIES_SECTION, _categories()),
            _shown_in_tabs(
                ids.TABLE_SECTION,
                section(
                    ids.TABLE_SECTION,
                    "Every token",
                    "Each token's own path, and how far it travels. Click one to highlight it.",
                    [_table()],
                ),
            ),
            _shown_in_tabs(
                ids.WINDOWS_SECTION,
                section(
                    ids.WINDOWS_SECTION,
                    "Windows",
                    "Where paths split up and where they run together.",
                    [grid(figure_card(ids.WINDOW_GRID), figure_card(ids.CONVERGENCE))],
                ),
            ),
            _shown_in_tabs(
                ids.MOVES_SECTION,
                section(
                    ids.MOVES_SECTION,
                    "Moves",
                    "How much the tokens move within the window, and from where to where.",
                    [
                        html.Div(
                            [figure_card(ids.PATH_METRICS), _heat_map()],
                            className="cf-grid-wide-narrow",
                        ),
                        figure_card(ids.PATH_LENGTHS),
                    ],
                ),
            ),
            _shown_in_tabs(ids.HEADS_SECTION, heads_section()),
            _shown_in_tabs(ids.WEIGHTS_SECTION, weights_section()),
            _shown_in_tabs(
                ids.CLUSTERS_SECTION,
                section(
                    ids.CLUSTERS_SECTION,
                    "Clusters",
                    "How good the clusters of each layer are, and how evenly they share its "
                    "tokens.",
                    [
                        figure_card(ids.CONCEPTS),
                        grid(figure_card(ids.CLUSTER_SIZES), figure_card(ids.CLUSTER_ENTROPY)),
                    ],
                ),
            ),
            _shown_in_tabs(ids.MAP_SECTION, map_section()),
            _shown_in_tabs(ids.SIMILARITY_SECTION, similarity_section()),
            _shown_in_tabs(ids.COMPARE_SECTION, compare_section()),
            _shown_in_tabs(ids.LIBRARY_SECTION, library_section()),
            _shown_in_tabs(ids.ANALYZE_SECTION, analyze_panel(max_upload, offer)),
            _shown_in_tabs(ids.PERSISTENCE, persistence_panel(max_upload)),
        ],
        className="cf-dashboard",
    )


def _shown_in_tabs(name: str, content: Component) -> html.Div:
    """Return the frame of a section, which the browser shows in the tabs that have it."""
    return html.Div(
        content, id={"type": ids.SECTION, "index": name}, className="cf-shown", hidden=True
    )


def _tabs() -> html.Nav:
    return html.Nav(
        [
            html.Button(
                name,
                id={"type": ids.TAB, "index": tab},
                type="button",
                className="cf-view-tab",
            )
            for tab, name in TAB_NAMES.items()
        ],
        className="cf-view-tabs",
        **aria(label="Views"),
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
                            html.Span(id=ids.FIND_NOTE, className="cf-hint", role="status"),
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
            _only(),
        ],
        className="cf-controls",
    )


def _only() -> html.Div:
    """Return the choice of a category whose tokens alone are shown."""
    return html.Div(
        [
            html.Span("Only tokens of", className="cf-label"),
            dcc.Dropdown(
                id=ids.ONLY_COLUMN,
                options=[{"label": "every category", "value": ""}],
                value="",
                clearable=False,
                searchable=False,
                className="cf-small-dropdown",
            ),
            dcc.Dropdown(
                id=ids.ONLY_VALUES,
                options=[],
                value=[],
                multi=True,
                placeholder="Choose one or more",
                disabled=True,
                className="cf-only-values",
                labels={"no_options_found": "No such category"},
            ),
            html.Span(id=ids.ONLY_NOTE, className="cf-hint cf-grow", role="status"),
        ],
        id=ids.ONLY_FIELD,
        className="cf-inline-field cf-only",
        hidden=True,
        role="group",
        **aria(label="Only tokens of a category"),
    )


def _at_a_glance() -> html.Section:
    words = card(
        [
            _titled("In words"),
            html.Div(id=ids.STANDS_OUT, className="cf-stands-out cf-computed"),
        ],
        label="What stands out, in words",
    )
    return section(
        ids.GLANCE_SECTION,
        "What stands out",
        "In the window, in words; and the paths of all tokens through all layers.",
        [html.Div([words, figure_card(ids.PATH_MAP)], className="cf-grid-narrow-wide")],
    )


def _token_flow() -> html.Section:
    return section(
        ids.FLOW_SECTION,
        "Token flow",
        "Each column is a layer, each bar a cluster, each band the tokens that move "
        "from one cluster to the next. Click a bar or a band to list its tokens.",
        [
            html.Div([_sankey(), _paths()], className="cf-flow"),
            html.Div(id=ids.SELECTION, className="cf-selection"),
        ],
    )


def _sankey() -> html.Div:
    controls = html.Div(
        [
            html.Div(
                [
                    html.Span("Colour by", className="cf-label"),
                    dcc.Dropdown(
                        id=ids.COLOUR_BY,
                        # A value that is no option is taken back when the control appears; that
                        # would be a choice, and the view that is on its way would be dropped.
                        options=[{"label": "cluster", "value": "cluster"}],
                        value="cluster",
                        clearable=False,
                        searchable=False,
                    ),
                ],
                className="cf-inline-field cf-colour-by",
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
            figure(ids.SANKEY),
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
            _titled("Archetypal paths", downloads(ids.PATHS, "the archetypal paths")),
            html.Div(id=ids.PATHS, className="cf-paths cf-computed"),
        ],
        label="Archetypal paths",
    )


def _table() -> html.Div:
    return card(
        [
            html.Div(
                [
                    html.Span(id=ids.PATH_TABLE_NOTE, className="cf-hint cf-grow", role="status"),
                    downloads(ids.PATH_TABLE, "the token paths"),
                ],
                className="cf-card-head",
            ),
            html.Div(id=ids.PATH_TABLE, className="cf-table-place"),
        ],
        label="Token paths",
    )


def _categories() -> html.Section:
    choose = html.Div(
        [
            html.Span("Categories of", className="cf-label"),
            dcc.Dropdown(
                id=ids.BY_COLUMN,
                options=[],
                clearable=False,
                searchable=False,
                placeholder="no column",
                className="cf-small-dropdown",
            ),
        ],
        className="cf-inline-field",
        role="group",
        **aria(label="Categories of a column"),
    )
    return section(
        ids.CATEGORIES_SECTION,
        "By category",
        "How far the tokens of a category scatter over paths, and over the clusters of the last "
        "layer of the window, beside categories that are dealt anew to the words.",
        [
            card(
                [
                    html.Div(
                        [choose, downloads(ids.BY_CATEGORY, "the table by category")],
                        className="cf-card-head",
                    ),
                    html.Div(id=ids.BY_CATEGORY, className="cf-by-category cf-computed"),
                    html.Span(id=ids.BY_CATEGORY_NOTE, className="cf-hint", role="status"),
                ],
                label="By category",
            )
        ],
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
    return figure_card(ids.HEAT_MAP, above=choose)


def _titled(title: str, *rest: Component) -> html.Div:
    children: Sequence[Component] = [html.H3(title, className="cf-card-title"), *rest]
    return html.Div(children, className="cf-card-head")
