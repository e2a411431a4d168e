"""Tables in CSV files that spreadsheets open and that other tools may save anew.

Whatever a tool could change without a trace is written so that it can't: every character that ends
a line, is invisible or has no bytes in UTF-8 is escaped (`\\n`, `\\x00`, `\\ud800`; a backslash is
`\\\\`), so that each record is one line; a text that a spreadsheet takes for a formula gets an
apostrophe (see `analysis.cells`); the last column numbers the rows. Each column has a checksum of
its values, so that line ends, separators, quotes and a byte order mark may change and numbers may
be written otherwise, but no value can.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from blake3 import blake3

from concept_fragmentation.analysis.cells import escape_cell, unescape_cell
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.persistence.budget import Budget

# For spreadsheets, which take a file without it for one in the encoding of their country.
_BYTE_ORDER_MARK: Final = "\ufeff"
# More than that, a spreadsheet cuts off.
_LONGEST_CELL: Final = 32_767
_DELIMITERS: Final = (",", ";", "\t")
_NAMED: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CHARACTERS: Final = {escaped: character for character, escaped in _NAMED.items()}
_ESCAPED_CHARACTER: Final = re.compile(
    "[\\\\\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.|$)")
# What Excel writes first to say how it separates.
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
# `csv` refuses a longer field; ours are shorter, those of format 1 could be of any length.
_FIELD_LIMIT: Final = 2**31 - 1
_MOST_NAMES: Final = 500
_LONGEST_NAME: Final = 100
_TRUTHS: Final = {"true": True, "false": False}

Parse = Callable[[str], Any]


def escape_text(text: str) -> str:
    """Return `text` as a cell of one line that is never run as a formula."""
    return escape_cell(_ESCAPED_CHARACTER.sub(_escaped, text))


def unescape_text(cell: str) -> str:
    """Return the text of a cell written by `escape_text`.

    Raises:
        ValueError: a backslash stands before what it never stands before.
    """
    return _ESCAPE.sub(_unescaped, unescape_cell(cell))


def _lenient_text(cell: str) -> str:
    try:
        return unescape_text(cell)
    except ValueError:
        return cell


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _unescaped(match: re.Match[str]) -> str:
    if match[0] in _CHARACTERS:
        return _CHARACTERS[match[0]]
    if len(match[1]) < 2:
        raise ValueError(f"{match[0]!r} is no escape")
    return chr(int(match[1][1:], 16))


class TableWriter:
    """One table that is made column by column."""

    def __init__(self, file: str, num_rows: int) -> None:
        """Of the file `file`; every column has `num_rows` values."""
        self.file = file
        self._num_rows = num_rows
        self._cells: dict[str, list[str]] = {}
        self._checksums: dict[str, str] = {}

    def add(self, title: str, values: Sequence[Any], *, is_read_back: bool = True) -> str | None:
        """Add a column; return its type, or None if it can't be one.

        Values are all text, or whole numbers, numbers or truth values with None among them. There
        is no column of two titles, of another length, or of cells that a spreadsheet cuts off.
        """
        if title in self._cells or len(values) != self._num_rows:
            return None
        found = _cells(list(values))
        if found is None or len(escape_text(title)) > _LONGEST_CELL:
            return None
        kind, cells = found
        if max(map(len, cells), default=0) > _LONGEST_CELL:
            return None
        self._cells[title] = cells
        if is_read_back:
            self._checksums[title] = checksum(values)
        return kind

    def __bool__(self) -> bool:
        """Whether it has a column."""
        return bool(self._cells)

    def render(self) -> bytes:
        """Return the file."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        numbers = map(str, range(1, self._num_rows + 1))
        writer.writerow([*map(escape_text, self._cells), self._order])
        writer.writerows(zip(*self._cells.values(), numbers, strict=True))
        return (_BYTE_ORDER_MARK + text.getvalue()).encode()

    def describe(self) -> dict[str, Any]:
        """Return its description for the manifest."""
        return {"rows": self._num_rows, "order": self._order, "checksums": self._checksums}

    @property
    def _order(self) -> str:
        name = "row"
        while name in self._cells:
            name += "_"
        return name


def render_plain(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Return a file for reading only, of numbers, texts and None."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(escape_text, columns))
    writer.writerows(
        [_plain_cell(value) for value in row] for row in zip(*columns.values(), strict=True)
    )
    return (_BYTE_ORDER_MARK + text.getvalue()).encode()


def _plain_cell(value: Any) -> str:
    if value is None:
        return ""
    return escape_text(value) if isinstance(value, str) else str(value)


def checksum(values: Sequence[Any]) -> str:
    """Return a checksum of a column's values."""
    return blake3(json.dumps(list(values)).encode()).hexdigest(length=16)


def _cells(values: list[Any]) -> tuple[str, list[str]] | None:
    """The type and the cells of a column; None if a CSV file can't hold it exactly."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return "text", list(map(escape_text, values))
    if kinds == {type(None)}:
        return "none", [""] * len(values)
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if kinds <= {kind, type(None)} and kind in kinds:
            if not all(map(_CAN_BE_CELLS[kind], values)):
                return None
            return name, ["" if value is None else repr(value) for value in values]
    return None


def _is_usual_float(value: float | None) -> bool:
    # The bits of another NaN have no text.
    return value is None or not math.isnan(value) or struct.pack(">d", value) == _USUAL_NAN


_USUAL_NAN: Final = struct.pack(">d", math.nan)
_CAN_BE_CELLS: Final[dict[type[Any], Callable[[Any], bool]]] = {
    int: lambda value: value is None or abs(value) < 2**63,
    float: _is_usual_float,
    bool: lambda _value: True,
}


class Table:
    """One table that is read: its columns by title."""

    def __init__(
        self,
        file: str,
        data: bytes,
        described: Mapping[str, Any] | None,
        budget: Budget | None = None,
    ) -> None:
        """Of the content `data` of `file`; `described` is what the manifest says, from format 2 on.

        Reading it takes from `budget`, which by default is what the size of `data` allows.

        Raises:
            InvalidDataError: it is not the table that was written; the file and line are named.
        """
        self._file = file
        self._budget = budget or Budget(len(data))
        self._taken: set[str] = set()
        self._is_old = described is None
        self._described = described or {}
        text = _decoded(file, data)
        before = csv.field_size_limit(_FIELD_LIMIT)
        try:
            titles, self._rows, delimiter = self._parsed(text)
        finally:
            csv.field_size_limit(before)
        # Of two columns of one title, the first.
        self._titles = dict(zip(reversed(titles), range(len(titles) - 1, -1, -1), strict=True))
        self._parsers = _parsers(
            unescape_old if self._is_old else unescape_text, decimal_comma=delimiter == ";"
        )
        if not self._is_old:
            self._put_in_order()

    def column(self, title: str, kind: str) -> list[Any]:
        """Return the values of a column.

        Raises:
            InvalidDataError: there is no such column, a cell is not of its type (its row is named),
                or a value is not what was written.
        """
        if title not in self._titles:
            near = _close(title, self._titles)
            hint = f"; it has one {near[0]!r}" if near else ""
            raise self._problem(f"it has no column {title[:_LONGEST_NAME]!r}{hint}")
        position, parse = self._titles[title], self._parsers[kind]
        if title in self._taken:
            # An export refers to each once; each mention is saved as a list of its own.
            cells = [row[position] for row in self._rows if row[position:]]
            self._budget.spend(items=len(cells), bytes=sum(map(len, cells)))
        self._taken.add(title)
        values = []
        for line, row in enumerate(self._rows, start=2):
            if position >= len(row):
                raise self._problem(
                    f"row {line}, column {title!r}: it ends before, after {len(row)} cells"
                )
            try:
                values.append(parse(row[position]))
            except (ValueError, LookupError) as error:
                cell = row[position][:80]
                raise self._problem(
                    f"row {line}, column {title!r}: {cell!r} is no {kind}"
                ) from error
        expected = self._described.get("checksums", {}).get(title)
        if expected is not None and checksum(values) != expected:
            raise self._problem(
                f"column {title!r}: not the values that were exported; a spreadsheet may have "
                "written them otherwise. Export again or, to take them as they are, remove "
                f'"checksums" of {self._file} from manifest.json'
            )
        return values

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def weights(self, described: Mapping[str, Any]) -> Any:
        """Return an array of format 1: a row for each head and query."""
        import numpy as np  # noqa: PLC0415 - only old exports need it

        try:
            dtype, shape = np.dtype(described["dtype"]), described["shape"]
        except SyntaxError as error:
            raise self._problem(f"there is no dtype {described['dtype']!r}") from error
        self._budget.spend(items=sum(map(len, self._rows)))
        if dtype.kind != "f" or math.prod(shape) != sum(len(row) - 2 for row in self._rows):
            raise self._problem(f"it does not hold {shape} weights")
        try:
            values = np.array([row[2:] for row in self._rows], dtype=np.float64)
        except ValueError as error:
            raise self._problem(str(error)) from error
        return values.astype(dtype).reshape(shape)

    def _parsed(self, text: str) -> tuple[list[str], list[list[str]], str]:
        """The titles, the rows, and what separates them."""
        delimiter = ","
        if not self._is_old:
            if said := _SEPARATOR_LINE.match(text):
                text, delimiter = text[said.end() :], said[1]
            else:
                first = text[: _LONGEST_CELL * 1000].lstrip("\r\n").splitlines()[:1]
                delimiter = max(_DELIMITERS, key=lambda one: self._titles_found(first, one))
        return *self._split(text, delimiter), delimiter

    def _titles_found(self, lines: list[str], delimiter: str) -> int:
        titles = next(csv.reader(lines, delimiter=delimiter), [])
        return len(self._expected.intersection(map(_lenient_text, titles)))

    @property
    def _expected(self) -> set[str]:
        order = self._described.get("order")
        return {*self._described.get("checksums", {}), *([order] if order else [])}

    def _split(self, text: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
        try:
            lines = io.StringIO(text, newline="")
            read = []
            for row in csv.reader(lines, strict=True, delimiter=delimiter):
                self._budget.spend(containers=1, items=len(row))
                read.append(row)
        except csv.Error as error:
            raise self._problem(str(error)) from error
        # Tools that convert line ends leave empty lines; spreadsheets add lines of empty cells.
        rows = [row for row in read if (any(row) if not self._is_old else row)]
        if not rows:
            raise self._problem("it is empty")
        unescape = unescape_cell if self._is_old else unescape_text
        try:
            titles = list(map(unescape, rows[0]))
        except ValueError as error:
            raise self._problem(f"row 1: {error}") from error
        return titles, rows[1:]

    def _put_in_order(self) -> None:
        """Put the rows in the order in which they were written, if they were only moved."""
        length, order = self._described["rows"], self._described["order"]
        if "checksums" in self._described and len(self._rows) != length:
            raise self._problem(f"it has {len(self._rows)} rows where {length} were exported")
        if order not in self._titles:
            return
        position = self._titles[order]
        numbers = [row[position].strip() if position < len(row) else "" for row in self._rows]
        if numbers != (ordered := [str(i) for i in range(1, len(self._rows) + 1)]):
            rows = dict(zip(numbers, self._rows, strict=True))
            if rows.keys() == set(ordered):
                self._rows = [rows[number] for number in ordered]

    def _problem(self, what: str) -> InvalidDataError:
        return InvalidDataError([f"{self._file}: {what}"])


def _decoded(file: str, data: bytes) -> str:
    try:
        # Exports of format 1 hold lone surrogates.
        return data.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidDataError(
            [
                f"{file}: row {line}: it is not UTF-8 (byte 0x{data[error.start]:02x}); it was "
                "saved in another encoding. Save it as 'CSV UTF-8', or export again"
            ]
        ) from error


def unescape_old(cell: str) -> str:
    """Return the text of a cell of format 1, which escaped formulas only.

    Those cells held no carriage return; one that is there came in when line ends were converted.
    """
    return unescape_cell(cell).replace("\r\n", "\n").replace("\r", "\n")


def _parsers(unescape: Parse, *, decimal_comma: bool) -> dict[str, Parse]:
    def optional(parse: Parse) -> Parse:
        return lambda cell: parse(cell) if cell else None

    def number(cell: str) -> float:
        return float(cell.replace(",", ".") if decimal_comma else cell)

    return {
        "text": unescape,
        "json": json.loads,
        "none": lambda _cell: None,
        "int": optional(int),
        "float": optional(number),
        "bool": optional(lambda cell: _TRUTHS[cell.lower()]),
    }


def _close(name: str, there: Iterable[str]) -> list[str]:
    """The name most like `name`; comparing takes time, so only a few short ones are looked at."""
    return difflib.get_close_matches(
        name[:_LONGEST_NAME], [one[:_LONGEST_NAME] for one in islice(there, _MOST_NAMES)], 1
    )


def named(file: str, there: Iterable[str]) -> InvalidDataError:
    """Return the error that says that a file of an export is not there, with what may be it."""
    near = _close(file, there)
    hint = f"; there is {near[0]!r}: give it its name back" if near else ""
    return InvalidDataError([f"{file}: the manifest names it, but it is not there{hint}"])
