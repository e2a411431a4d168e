"""What a file of text says to analyse."""

from __future__ import annotations

import io
import warnings
from pathlib import PurePath
from typing import Final

import pandas as pd

from concept_fragmentation.analysis.errors import InvalidDataError

_TABLES: Final = {".csv": ",", ".tsv": "\t"}


def table_columns(name: str, content: bytes) -> list[str] | None:
    """The columns of a table to choose from; None if the file is no table (.csv or .tsv).

    Raises:
        InvalidDataError: it can't be read.
    """
    separator = _TABLES.get(PurePath(name).suffix.lower())
    if separator is None:
        return None
    return [str(column) for column in _table(name, content, separator).columns]


def read_text_file(
    name: str, content: bytes, *, column: str | None = None, by_line: bool = False
) -> str | list[str]:
    """A text, or a list of texts or words.

    Args:
        name: the file's name, whose ending tells its kind: .csv or .tsv is a table, anything else
            plain text.
        content: UTF-8, with a byte order mark or without.
        column: of a table, the one whose cells are the texts; cells of nothing but spaces are left
            out. Needed unless the table has one column.
        by_line: plain text has one item a line (words do); empty lines are left out.

    Raises:
        InvalidDataError: the file can't be read so, or there is nothing in it.
    """
    separator = _TABLES.get(PurePath(name).suffix.lower())
    if separator is None:
        if column is not None:
            raise InvalidDataError([f"{name}: no table (.csv, .tsv); leave the column out"])
        text = _decoded(name, content)
        found: str | list[str] = text
        if by_line:
            found = [line for line in text.splitlines() if line.strip()]
    else:
        table = _table(name, content, separator)
        columns = [str(own) for own in table.columns]
        if column is None and len(columns) == 1:
            column = columns[0]
        if column not in columns:
            wrong = "choose a column" if column is None else f"no column {column!r}"
            raise InvalidDataError([f"{name}: {wrong}; there are {', '.join(columns)}"])
        found = [cell for cell in table.iloc[:, columns.index(column)] if cell.strip()]
    if not found:
        raise InvalidDataError([f"{name}: there is no text in it"])
    return found


def _table(name: str, content: bytes, separator: str) -> pd.DataFrame:
    text = _decoded(name, content)
    try:
        with warnings.catch_warnings():
            # Rows with more cells than the table has columns.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise InvalidDataError([f"{name}: no table that can be read ({error})"]) from error


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDataError(
            [f"{name}: byte {error.start} is no UTF-8; save the file as UTF-8"]
        ) from error
