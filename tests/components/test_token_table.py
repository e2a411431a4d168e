from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from concept_fragmentation.components.token_table import column_definitions, rows


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token": [" the", "<b>x</b>", "The", "\n", "cat"],
            "layer.0": [3, 1, 2, 1, 3],
            "mobility_score": [0.5, np.nan, 0.25, 1.0, 0.5],
        }
    )


def found(frame: pd.DataFrame, **request: Any) -> list[int]:
    """Return the positions of the rows that a request finds, by their token."""
    answer = rows(frame, {"startRow": 0, "endRow": 100} | request)
    shown = [rows(frame, {"startRow": i, "endRow": i + 1})["rowData"][0]["c0"] for i in range(5)]
    return [shown.index(row["c0"]) for row in answer["rowData"]]


def text(kind: str, value: str) -> dict[str, Any]:
    return {"filterType": "text", "type": kind, "filter": value}


def number(kind: str, value: float, to: float | None = None) -> dict[str, Any]:
    return {"filterType": "number", "type": kind, "filter": value, "filterTo": to}


def test_only_the_rows_asked_for_are_sent(frame: pd.DataFrame) -> None:
    answer = rows(frame, {"startRow": 1, "endRow": 3})
    assert len(answer["rowData"]) == 2
    assert answer["rowCount"] == 5


def test_no_request_gets_more_than_a_block() -> None:
    big = pd.DataFrame({"token": ["x"] * 5000})
    answer = rows(big, {"startRow": 0, "endRow": 10**9})
    assert len(answer["rowData"]) == 1000
    assert answer["rowCount"] == 5000


def test_what_is_not_a_number_is_an_empty_cell(frame: pd.DataFrame) -> None:
    assert [row["c2"] for row in rows(frame, {})["rowData"]] == [0.5, None, 0.25, 1.0, 0.5]


def test_markup_in_a_token_is_sent_as_text_and_controls_are_seen(frame: pd.DataFrame) -> None:
    shown = [row["c0"] for row in rows(frame, {})["rowData"]]
    assert "<b>x</b>" in shown
    assert "\n" not in "".join(shown)


def test_rows_are_sorted_by_several_columns_with_empty_cells_last(frame: pd.DataFrame) -> None:
    by_layer = {"colId": "c1", "sort": "desc"}
    by_score = {"colId": "c2", "sort": "asc"}
    assert found(frame, sortModel=[by_layer]) == [0, 4, 2, 1, 3]
    assert found(frame, sortModel=[by_score]) == [2, 0, 4, 3, 1]
    assert found(frame, sortModel=[{"colId": "c2", "sort": "desc"}]) == [3, 0, 4, 2, 1]
    assert found(frame, sortModel=[by_layer, by_score]) == [0, 4, 2, 3, 1]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (text("contains", "the"), [0, 2]),
        (text("notContains", "the"), [1, 3, 4]),
        (text("equals", "the"), [0, 2]),
        (text("startsWith", "THE"), [0, 2]),
        (text("endsWith", "t"), [4]),
        (text("contains", "<b>"), [1]),
        (
            {"operator": "OR", "conditions": [text("equals", "cat"), text("contains", "<")]},
            [1, 4],
        ),
        (
            {"operator": "AND", "conditions": [text("contains", "t"), text("contains", "h")]},
            [0, 2],
        ),
    ],
)
def test_tokens_are_filtered_without_regard_to_case(
    frame: pd.DataFrame, condition: dict[str, Any], expected: list[int]
) -> None:
    assert found(frame, filterModel={"c0": condition}) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (number("equals", 0.5), [0, 4]),
        (number("notEqual", 0.5), [1, 2, 3]),
        (number("greaterThan", 0.5), [3]),
        (number("greaterThanOrEqual", 0.5), [0, 3, 4]),
        (number("lessThan", 0.5), [2]),
        (number("lessThanOrEqual", 0.5), [0, 2, 4]),
        (number("inRange", 0.3, 0.9), [0, 4]),
        ({"type": "blank"}, [1]),
        ({"type": "notBlank"}, [0, 2, 3, 4]),
    ],
)
def test_numbers_are_filtered(
    frame: pd.DataFrame, condition: dict[str, Any], expected: list[int]
) -> None:
    assert found(frame, filterModel={"c2": condition}) == expected


def test_the_count_is_that_of_the_rows_that_match(frame: pd.DataFrame) -> None:
    request = {"startRow": 0, "endRow": 1, "filterModel": {"c0": text("contains", "the")}}
    assert rows(frame, request)["rowCount"] == 2


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"startRow": "x", "endRow": None},
        {"startRow": -5, "endRow": -9},
        {"sortModel": "c0", "filterModel": 3},
        {"sortModel": [{"colId": "__proto__"}], "filterModel": {"c99": {"type": "equals"}}},
        {"filterModel": {"c2": {"type": "equals", "filter": "0.5"}, "c0": "the"}},
        {"filterModel": {"c2": {"conditions": [], "operator": "OR"}}},
    ],
)
def test_what_makes_no_sense_in_a_request_is_ignored(
    frame: pd.DataFrame, request_: dict[str, Any]
) -> None:
    assert rows(frame, request_)["rowCount"] == 5


def test_a_layer_may_have_any_name(frame: pd.DataFrame) -> None:
    columns = column_definitions(frame)
    assert [column["field"] for column in columns] == ["c0", "c1", "c2"]
    assert [column["headerName"] for column in columns] == ["token", "layer.0", "mobility score"]


def test_the_token_stays_in_sight_however_far_the_others_are_scrolled(frame: pd.DataFrame) -> None:
    assert [column.get("pinned") for column in column_definitions(frame)] == ["left", None, None]


def test_an_analysis_without_paths_has_an_empty_table() -> None:
    assert column_definitions(pd.DataFrame()) == []
    assert rows(pd.DataFrame(), {"startRow": 0, "endRow": 100}) == {"rowData": [], "rowCount": 0}
