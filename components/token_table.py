"""The table of token paths: its columns, and the rows that AG Grid asks the server for.

The browser never gets the whole table. It asks for a block of rows together with how they are
sorted and filtered (AG Grid's infinite row model), and this answers from a pandas DataFrame.
Fields are `c0`, `c1`, ... by column, since layers can have any name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import dash_ag_grid as dag
import numpy as np
import numpy.typing as npt
import pandas as pd

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import GRID_OPTIONS
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import title

MAX_BLOCK: Final = 1000
BLOCK_ROWS: Final = 100

Mask = npt.NDArray[np.bool_]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "equals": operator.eq,
    "notEqual": operator.ne,
    "greaterThan": operator.gt,
    "greaterThanOrEqual": operator.ge,
    "lessThan": operator.lt,
    "lessThanOrEqual": operator.le,
}


def token_grid(columns: list[dict[str, Any]]) -> dag.AgGrid:
    """Return the table with its columns; it asks the server for rows."""
    options: dict[str, Any] = {
        **GRID_OPTIONS,
        "rowHeight": 34,
        "cacheBlockSize": BLOCK_ROWS,
        "maxBlocksInCache": 20,
        "suppressCellFocus": False,
        "alwaysShowHorizontalScroll": True,
    }
    return dag.AgGrid(
        id=ids.PATH_GRID,
        columnDefs=columns,
        defaultColDef={"sortable": True, "resizable": True, "minWidth": 76},
        rowModelType="infinite",
        getRowId="params.data.token",
        rowClassRules={"cf-highlighted": "cfHighlighted(params.data)"},
        dashGridOptions=options,
        columnSize=None,
        style={"height": "400px", "width": "100%"},
        className="cf-table",
    )


def column_definitions(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return AG Grid's column definitions for the columns of a table."""
    return [_column(frame, number, str(name)) for number, name in enumerate(frame.columns)]


def rows(frame: pd.DataFrame, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"rowData", "rowCount"}` for AG Grid's request; unreadable parts of it are ignored.

    A row's `token` is its index in the frame, by which it is highlighted (assets/tokens.js). Text
    is made visible here, so that nothing in a token is ever more than text.
    """
    found = _sorted(_filtered(frame, request.get("filterModel")), request.get("sortModel"))
    start = max(0, _integer(request.get("startRow"), 0))
    end = min(max(start, _integer(request.get("endRow"), start + 100)), start + MAX_BLOCK)
    block = found.iloc[start:end]
    data = {f"c{number}": _cells(block.iloc[:, number]) for number in range(block.shape[1])}
    data["token"] = list(map(str, block.index))
    return {
        "rowData": [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)],
        "rowCount": len(found),
    }


def _column(frame: pd.DataFrame, number: int, name: str) -> dict[str, Any]:
    values = frame.iloc[:, number]
    text = not pd.api.types.is_numeric_dtype(values)
    column: dict[str, Any] = {
        "field": f"c{number}",
        "headerName": title(name.replace("_", " "), 40),
        "filter": "agTextColumnFilter" if text else "agNumberColumnFilter",
        "filterParams": {"buttons": ["reset"], "maxNumConditions": 2},
    }
    # As wide as the heading with its filter and sort marks.
    width = 64 + 8 * len(column["headerName"])
    if text:
        column |= {"cellClass": "cf-cell-token", "minWidth": max(width, 130)}
        # The first names the row, however far the others are scrolled.
        column |= {"pinned": "left", "width": 150} if number == 0 else {"flex": 2}
    else:
        column |= {"type": "rightAligned", "flex": 1, "minWidth": width}
    if pd.api.types.is_float_dtype(values):
        column["valueFormatter"] = {"function": "cfDecimals(params.value)"}
    return column


def _cells(values: pd.Series[Any]) -> list[Any]:
    if not pd.api.types.is_numeric_dtype(values):
        return [visible(str(value), limit=60) for value in values]
    if pd.api.types.is_float_dtype(values):
        return [None if np.isnan(value) else round(value, 4) for value in values.to_list()]
    return values.to_list()


def _sorted(frame: pd.DataFrame, model: Any) -> pd.DataFrame:
    if not isinstance(model, list):
        return frame
    order = [
        (_column_number(frame, item.get("colId")), item.get("sort") != "desc") for item in model
    ]
    known = [(number, ascending) for number, ascending in order if number is not None]
    if not known:
        return frame
    # Sorting by position, from the last key to the first, keeps columns of the same name apart.
    positions = np.arange(len(frame))
    for number, ascending in reversed(known):
        values = frame.iloc[positions, number].reset_index(drop=True)
        by = values.sort_values(ascending=ascending, kind="stable", na_position="last").index
        positions = positions[by.to_numpy()]
    return frame.iloc[positions]


def _filtered(frame: pd.DataFrame, model: Any) -> pd.DataFrame:
    if not isinstance(model, Mapping):
        return frame
    for field, condition in model.items():
        number = _column_number(frame, field)
        if number is not None and isinstance(condition, Mapping):
            frame = frame[_matches(frame.iloc[:, number], condition)]
    return frame


def _matches(values: pd.Series[Any], condition: Mapping[str, Any]) -> Mask:
    parts = condition.get("conditions")
    if not isinstance(parts, list):
        return _matches_one(values, condition)
    masks = [_matches_one(values, part) for part in parts if isinstance(part, Mapping)]
    if not masks:
        return np.ones(len(values), dtype=bool)
    together = np.stack(masks)
    either = condition.get("operator") == "OR"
    return np.asarray(together.any(axis=0) if either else together.all(axis=0))


def _matches_one(values: pd.Series[Any], condition: Mapping[str, Any]) -> Mask:
    if condition.get("type") in {"blank", "notBlank"}:
        blank = np.asarray(values.isna() | (values == ""), dtype=bool)
        return blank if condition["type"] == "blank" else ~blank
    if pd.api.types.is_numeric_dtype(values):
        return _number_matches(values, condition)
    return _text_matches(values, condition)


def _number_matches(values: pd.Series[Any], condition: Mapping[str, Any]) -> Mask:
    wanted, upper = condition.get("filter"), condition.get("filterTo")
    numbers = values.to_numpy(dtype=float)
    if not isinstance(wanted, int | float):
        return np.ones(len(values), dtype=bool)
    if condition.get("type") == "inRange" and isinstance(upper, int | float):
        return (numbers >= wanted) & (numbers <= upper)
    compare = _COMPARISONS.get(str(condition.get("type")))
    if compare is None:
        return np.ones(len(values), dtype=bool)
    return np.asarray(compare(numbers, wanted), dtype=bool)


def _text_matches(values: pd.Series[Any], condition: Mapping[str, Any]) -> Mask:
    """Compare without regard to case; a token's own spaces count only where they were typed."""
    wanted = str(condition.get("filter", "")).casefold()
    kind = condition.get("type")
    tests: Mapping[str, Callable[[str], bool]] = {
        "contains": lambda text: wanted in text,
        "notContains": lambda text: wanted not in text,
        "equals": lambda text: wanted in {text, text.strip()},
        "notEqual": lambda text: wanted not in {text, text.strip()},
        "startsWith": lambda text: text.startswith(wanted) or text.strip().startswith(wanted),
        "endsWith": lambda text: text.endswith(wanted) or text.strip().endswith(wanted),
    }
    test = tests.get(str(kind))
    if test is None:
        return np.ones(len(values), dtype=bool)
    return np.array([test(str(value).casefold()) for value in values], dtype=bool)


def _column_number(frame: pd.DataFrame, field: Any) -> int | None:
    digits = str(field).removeprefix("c")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 6:
        return None
    return int(digits) if int(digits) < frame.shape[1] else None


def _integer(value: Any, default: int) -> int:
    return value if isinstance(value, int) else default
