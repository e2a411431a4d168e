"""The section "Library": every saved analysis, to find, edit, open, compare, export and delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import GRID_OPTIONS, card, section
from concept_fragmentation.components.thumbnail import thumbnail_address
from concept_fragmentation.components.view import Tab, View
from concept_fragmentation.components.words import short_date, title

BLOCK_ROWS: Final = 100
# What the table is high, in pixels: as high as its rows, within these.
_MOST_HIGH: Final = 520
_LEAST_HIGH: Final = 220
_ROW_HIGH: Final = 56
# Rows that fill it; of more it is no higher.
ROWS_IN_SIGHT: Final = _MOST_HIGH // _ROW_HIGH
# What of an analysis can be changed in the table.
EDITABLE: Final = ("name", "tags", "notes")

_COUNT: Final = {
    "type": "rightAligned",
    "valueFormatter": {"function": "cfCount(params.value)"},
}
_COLUMNS: Final[tuple[dict[str, Any], ...]] = (
    {
        "field": "thumbnail",
        "headerName": "token flow",
        "cellRenderer": "CfThumbnail",
        "width": 146,
        "sortable": False,
        "resizable": False,
    },
    {"field": "name", "headerName": "name", "flex": 3, "minWidth": 180, "editable": True},
    {"field": "model", "headerName": "model", "flex": 1, "minWidth": 110},
    {"field": "tokens", "headerName": "tokens", "width": 100, **_COUNT},
    {"field": "layers", "headerName": "layers", "width": 90, **_COUNT},
    {"field": "tags", "headerName": "tags", "flex": 1, "minWidth": 110, "editable": True},
    {"field": "notes", "headerName": "notes", "flex": 2, "minWidth": 130, "editable": True},
    {"field": "versions", "headerName": "versions", "width": 104, **_COUNT},
    {
        "field": "size",
        "headerName": "size",
        "type": "rightAligned",
        "width": 100,
        "valueFormatter": {"function": "cfBytes(params.value)"},
    },
    {"field": "saved", "headerName": "saved (UTC)", "width": 150},
)


def library_section() -> html.Section:
    """Return the section; the table comes when it is first shown."""
    search = html.Div(
        [
            html.Label("Search", htmlFor=ids.LIBRARY_SEARCH, className="cf-label"),
            dbc.Input(
                id=ids.LIBRARY_SEARCH,
                type="search",
                placeholder="Words in name, model, tags, notes or text",
                debounce=0.3,
                maxlength=1000,
                size="sm",
            ),
        ],
        className="cf-field cf-grow",
    )
    session = dbc.InputGroup(
        [
            dbc.Input(
                id=ids.LIBRARY_SESSION_NAME,
                type="text",
                placeholder="Name of a new session",
                maxlength=200,
                size="sm",
                autocomplete="off",
            ),
            _button("Create session of selected", ids.LIBRARY_SESSION),
        ],
        size="sm",
        class_name="cf-library-session",
    )
    return section(
        ids.LIBRARY_SECTION,
        "Library",
        "Every saved analysis. Click one to open it; select some with their boxes; double-click a "
        "name, tags or notes to change them.",
        [
            card(
                [
                    html.Div(
                        [
                            search,
                            html.Span(id=ids.LIBRARY_NOTE, className="cf-hint", role="status"),
                        ],
                        className="cf-card-head",
                    ),
                    html.Div(
                        [
                            html.Div(
                                id=ids.LIBRARY_TABLE,
                                className="cf-table-place",
                                style=table_style(ROWS_IN_SIGHT),
                            ),
                            _nothing(),
                        ],
                        className="cf-library-place",
                    ),
                    html.Div(
                        [
                            _button("Open", ids.LIBRARY_OPEN, "primary"),
                            _button("Compare two", ids.LIBRARY_COMPARE),
                            _button("Export as JSON", ids.LIBRARY_EXPORT),
                            session,
                            _button("Delete selected…", ids.LIBRARY_DELETE, "danger"),
                        ],
                        className="cf-actions cf-card-foot",
                    ),
                    dcc.Store(id=ids.LIBRARY_OPENED),
                ],
                label="Saved analyses",
            ),
            card(
                [
                    html.H3("Trash", className="cf-card-title"),
                    html.Div(id=ids.TRASH),
                ],
                label="Trash",
                class_name="cf-trash",
            ),
        ],
    )


def _nothing() -> html.Div:
    """What covers the table while nothing is saved: the two ways to something."""
    return html.Div(
        [
            html.P("Nothing is saved yet. Here is every analysis that you keep."),
            html.Div(
                [
                    _opens("analyze", "Analyze a text", "primary"),
                    _opens("persistence", "Save what is shown"),
                ],
                className="cf-actions",
            ),
        ],
        id=ids.LIBRARY_EMPTY,
        className="cf-empty cf-library-empty",
        hidden=True,
    )


def _opens(tab: Tab, text: str, colour: str = "secondary") -> dbc.Button:
    return dbc.Button(
        text,
        id={"type": ids.TAB_LINK, "index": tab},
        color=colour,
        outline=colour != "primary",
        size="sm",
    )


def table_style(num_rows: int) -> dict[str, str]:
    """Return the style of the table's place: as high as so many rows, within limits."""
    # Below the rows there may be a bar to scroll by.
    wanted = GRID_OPTIONS["headerHeight"] + num_rows * _ROW_HIGH + 16
    return {"height": f"{min(max(wanted, _LEAST_HIGH), _MOST_HIGH)}px"}


def library_grid() -> dag.AgGrid:
    """Return the table, which asks the server for rows as they are scrolled to."""
    options: dict[str, Any] = {
        **GRID_OPTIONS,
        "rowHeight": _ROW_HIGH,
        "cacheBlockSize": BLOCK_ROWS,
        "maxBlocksInCache": 50,
        "rowSelection": {"mode": "multiRow", "checkboxes": True, "headerCheckbox": False},
        "stopEditingWhenCellsLoseFocus": True,
    }
    return dag.AgGrid(
        id=ids.LIBRARY_GRID,
        columnDefs=[dict(column) for column in _COLUMNS],
        defaultColDef={"sortable": True, "resizable": True, "minWidth": 80},
        rowModelType="infinite",
        getRowId="params.data.id",
        dashGridOptions=options,
        columnSize=None,
        style={"height": "100%", "width": "100%"},
        className="cf-table",
    )


def library_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an analysis as a row of the table."""
    view = View(analysis_id=str(item["analysis_id"]), version=int(item["version"]))
    return {
        "id": view.analysis_id,
        "thumbnail": thumbnail_address(view, str(item["timestamp"])),
        "name": title(str(item["name"]), 200),
        "model": title(str(item["model_name"]), 60),
        "tokens": int(item["num_tokens"]),
        "layers": int(item["num_layers"]),
        "tags": title(", ".join(map(str, item.get("tags") or ())), 200),
        "notes": title(str(item.get("notes") or ""), 300),
        "versions": int(item["num_versions"]),
        "size": int(item["size_bytes"]),
        "saved": short_date(str(item["timestamp"])),
    }


def _button(text: str, component_id: str, colour: str = "secondary") -> dbc.Button:
    return dbc.Button(
        text, id=component_id, color=colour, outline=colour != "primary", size="sm", type="button"
    )
