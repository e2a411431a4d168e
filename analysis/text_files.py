"""A file of text or a table, as a text, texts or words to analyse."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from concept_fragmentation.analysis.errors import InvalidDataError

# The separators that are tried, the likeliest first.
_TABLES: Final = {".csv": (",", ";", "\t", "|"), ".tsv": ("\t",), ".tab": ("\t",)}
_OTHER_KINDS: Final = frozenset(
    (
        *(".arrow", ".avro", ".feather", ".h5", ".hdf5", ".json", ".jsonl", ".ndjson", ".orc"),
        *(".parquet", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".safetensors", ".db", ".sqlite"),
        *(".doc", ".docx", ".odt", ".ods", ".pdf", ".rtf", ".xls", ".xlsx"),
        *(".bz2", ".gz", ".tar", ".xz", ".zip", ".zst"),
    )
)
# The longer mark first: that of UTF-32 begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# `str.splitlines` would cut at form feeds and other characters within a text, too.
_LINE_END: Final = re.compile("\r\n|\r|\n")
# A cell with nothing left open: without a quote before it, or in quotes, those within it doubled.
_CLOSED_CELL: Final = re.compile('(?!").*|"(?:[^"]|"")*"', re.DOTALL)

Rows = list[list[str]]


def table_columns(name: str, content: bytes) -> list[str] | None:
    """Return the columns of a table to choose from; None if the file is no table (.csv or .tsv).

    Raises:
        InvalidDataError: it can't be read.
    """
    separators = _TABLES.get(PurePath(name).suffix.lower())
    return None if separators is None else _table(name, _decoded(name, content), separators)[0]


def read_text_file(
    name: str, content: bytes, *, column: str | None = None, by_line: bool = False
) -> str | list[str]:
    """Return a text, or a list of texts or words.

    In a table every cell is text: "NA", "007" and "1.0" stay as they are, and so do spaces. Cells
    are separated by tabs (.tsv), or by commas, semicolons, tabs or bars (.csv), as the first line
    tells. A cell may be in quotes, within which quotes are doubled, and line ends and separators
    are text. Corpora know no such rule. Where every line has as many cells as the first, and a
    quote stands alone in its cell, or is not closed in a cell between tabs, each line is a row and
    quotes are text.

    Args:
        name: the file's name, whose ending tells its kind: .csv, .tsv or .tab is a table, anything
            else plain text.
        content: UTF-8, or UTF-16 or UTF-32 with a byte order mark.
        column: of a table, the one whose cells are the texts; cells of nothing but spaces are left
            out. Needed unless the table has one column.
        by_line: plain text has one item a line (words do); empty lines are left out.

    Raises:
        InvalidDataError: the file can't be read so, or there is nothing in it.
    """
    ending = PurePath(name).suffix.lower()
    if ending in _OTHER_KINDS:
        raise InvalidDataError(
            [f"{name}: {ending} is neither plain text nor a table; save it as .txt, .csv or .tsv"]
        )
    text = _decoded(name, content)
    separators = _TABLES.get(ending)
    if separators is not None:
        header, *rows = _table(name, text, separators)
        chosen = _index(name, header, column)
        found: str | list[str] = [row[chosen] for row in rows if row[chosen].strip()]
    elif column is not None:
        raise InvalidDataError([f"{name}: no table (.csv, .tsv); leave the column out"])
    elif by_line:
        found = [line for line in _LINE_END.split(text) if line.strip()]
    else:
        found = text
    if not found:
        raise InvalidDataError([f"{name}: there is no text in it"])
    return found


def read_table_categories(
    name: str, content: bytes, columns: Sequence[str], *, column: str | None = None
) -> dict[str, list[str | None]]:
    """Return what columns of a table say of each text or word that `read_text_file` returns.

    >>> content = b"word,kind\\ncat,noun\\n,verb\\nruns,\\n"
    >>> read_table_categories("words.csv", content, ["kind"], column="word")
    {'kind': ['noun', None]}

    Args:
        name: the file's name, as in `read_text_file`.
        content: as in `read_text_file`.
        columns: those of the categories. Cells of nothing but spaces are no category.
        column: the one of the texts, whose empty cells are left out.

    Raises:
        InvalidDataError: it is no table, or has no such columns.
    """
    separators = _TABLES.get(PurePath(name).suffix.lower())
    if separators is None:
        raise InvalidDataError([f"{name}: no table (.csv, .tsv), without columns of categories"])
    header, *rows = _table(name, _decoded(name, content), separators)
    chosen = _index(name, header, column)
    kept = [row for row in rows if row[chosen].strip()]
    places = {category: _index(name, header, category) for category in columns}
    return {category: [row[i].strip() or None for row in kept] for category, i in places.items()}


def _index(name: str, header: list[str], column: str | None) -> int:
    if column is None and len(header) == 1:
        return 0
    if column is None or column not in header:
        wrong = "choose a column" if column is None else f"no column {column!r}"
        raise InvalidDataError([f"{name}: {wrong}; there are {', '.join(header)}"])
    if header.count(column) > 1:
        raise InvalidDataError(
            [f"{name}: {header.count(column)} columns are called {column!r}; rename all but one"]
        )
    return header.index(column)


def _table(name: str, text: str, separators: tuple[str, ...]) -> Rows:
    """Return the header and the rows, each with as many cells as the header."""
    lines = [line for line in _LINE_END.split(text) if line]
    # A line of Excel's own, in front of the header.
    if lines and (told := re.fullmatch("sep=(.)", lines[0])):
        separators = (told[1],)
        text = text[len(lines.pop(0)) :]
    if not lines:
        raise InvalidDataError([f"{name}: no table that can be read (it is empty)"])
    tried = [separator for separator in separators if separator in lines[0]] or [separators[0]]
    failures = []
    for separator in tried:
        try:
            return _even(_rows(text, lines, separator), separator)
        except (csv.Error, ValueError) as error:
            failures.append(str(error))
    if not any(sign in ",\t" or any(sign in line for line in lines[1:]) for sign in tried):
        # One column, whose name has a separator in it.
        return [[_unquoted(line)] for line in lines]
    raise InvalidDataError([f"{name}: no table that can be read ({failures[0]})"])


def _rows(text: str, lines: list[str], separator: str) -> Rows:
    raw = [line.split(separator) for line in lines]
    if len({len(row) for row in raw}) == 1:
        open_cells = [cell for row in raw for cell in row if not _CLOSED_CELL.fullmatch(cell)]
        if not open_cells:
            return [list(map(_unquoted, row)) for row in raw]
        if (separator == "\t" and len(raw[0]) > 1) or set(open_cells) == {'"'}:
            return raw
    # The library refuses longer cells than this, 131,072 characters unless it is told.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    return [row for row in reader if row]


def _even(rows: Rows, separator: str) -> Rows:
    width = len(rows[0])
    for i, row in enumerate(rows[1:], 2):
        if len(row) != width:
            raise ValueError(
                f"row {i} has {len(row)} cells where the first has {width}; put cells that hold a "
                f"{separator!r} in quotes"
            )
    return rows


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _decoded(name: str, content: bytes) -> str:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise InvalidDataError([f"{name}: bytes are needed, not {type(content).__name__}"])
    content = bytes(content)
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in _MARKS if content.startswith(mark)), (b"", "utf-8")
    )
    if content == mark and encoding != "utf-8":
        mark, encoding = b"", "utf-8"
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        shown = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise InvalidDataError(
            [f"{name}: byte {error.start + len(mark)} is no {shown}; save the file as UTF-8"]
        ) from error
    if "\0" in text:
        raise InvalidDataError(
            [f"{name}: character {text.index(chr(0))} is NUL, which is no text; save it as UTF-8"]
        )
    return text
