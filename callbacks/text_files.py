"""The file of the panel Analyze: its text, or the column of a table, into the field of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from dash import Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import read_text_file, table_columns
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.callbacks.library import ChoiceMissingError
from concept_fragmentation.callbacks.uploads import received
from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import MAX_TEXT_CHARACTERS
from concept_fragmentation.components.words import plural, title

_NAME_CHARACTERS: Final = 60


def register(app: Dash, max_upload: int) -> None:
    """Read what is dropped, and ask for the column of a table."""

    @app.callback(
        Output(ids.ANALYZE_TEXT, "value"),
        Output(ids.ANALYZE_READING, "value"),
        Output(ids.ANALYZE_SOURCE, "children"),
        Output(ids.ANALYZE_COLUMN, "options"),
        Output(ids.ANALYZE_COLUMN, "value"),
        Output(ids.ANALYZE_COLUMN_FIELD, "hidden"),
        Input(ids.ANALYZE_FILE, "contents"),
        State(ids.ANALYZE_FILE, "filename"),
        prevent_initial_call=True,
    )
    def file_dropped(contents: str | None, filename: str | None) -> tuple[Any, ...]:
        if contents is None:
            raise PreventUpdate
        name = filename or ""
        content = received(name, contents, max_upload)
        columns = table_columns(_short(name), content)
        if columns is None:
            text = read_text(name, content)
            return text, "text", source_note(name, text), [], None, True
        options = [{"label": title(column, 60), "value": column} for column in columns]
        only = columns[0] if len(columns) == 1 else None
        asked = f"'{title(name, _NAME_CHARACTERS)}' is a table: choose the column of the texts."
        return no_update, no_update, asked, options, only, False

    @app.callback(
        Output(ids.ANALYZE_TEXT, "value", allow_duplicate=True),
        Output(ids.ANALYZE_READING, "value", allow_duplicate=True),
        Output(ids.ANALYZE_SOURCE, "children", allow_duplicate=True),
        Input(ids.ANALYZE_COLUMN, "value"),
        State(ids.ANALYZE_FILE, "contents"),
        State(ids.ANALYZE_FILE, "filename"),
        prevent_initial_call=True,
    )
    def column_chosen(
        column: str | None, contents: str | None, filename: str | None
    ) -> tuple[Any, ...]:
        if column is None or contents is None:
            raise PreventUpdate
        name = filename or ""
        lines = column_lines(name, received(name, contents, max_upload), column)
        return "\n".join(lines), "lines", column_note(name, column, len(lines))


def source_note(filename: str, text: str) -> str:
    """Return where the text in the field comes from."""
    return f"From '{title(filename, _NAME_CHARACTERS)}': {plural(len(text), 'character')}."


def column_note(filename: str, column: str, number: int) -> str:
    """Return where the lines in the field come from."""
    which = f"column '{title(column, _NAME_CHARACTERS)}'"
    return f"From '{title(filename, _NAME_CHARACTERS)}', {which}: {plural(number, 'text')}."


def read_text(filename: str, content: bytes) -> str:
    """Return the text of a file that is no table.

    Raises:
        ChoiceMissingError: there is none, or it is too long for the page.
        InvalidDataError: it is a file of another kind.
    """
    try:
        text = str(read_text_file(_short(filename), content))
    except InvalidDataError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
        raise ChoiceMissingError(
            f"'{title(filename)}' is no text in UTF-8; save it as plain text or CSV."
        ) from error
    if not text.strip():
        raise ChoiceMissingError(
            f"'{title(filename)}': there is no text in it; the text stays as it was."
        )
    return _short_enough(filename, text)


def column_lines(filename: str, content: bytes, column: str) -> Sequence[str]:
    """Return the rows of a column, each on one line; empty ones are left out.

    Raises:
        InvalidDataError: there is no such column, or nothing in it.
        ChoiceMissingError: it is too long for the page.
    """
    cells = read_text_file(_short(filename), content, column=column)
    # Other spaces are part of the text.
    lines = [re.sub(r"[\r\n]+", " ", cell) for cell in cells]
    _short_enough(filename, "\n".join(lines))
    return lines


def _short_enough(filename: str, text: str) -> str:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ChoiceMissingError(
            f"'{title(filename)}' has {plural(len(text), 'character')}; the page takes up to "
            f"{MAX_TEXT_CHARACTERS:,}. For longer texts call analyze() from Python."
        )
    return text


def _short(filename: str) -> str:
    """Return the name as it is shown, with its ending, which says what the file is."""
    ending = PurePath(filename).suffix
    return title(filename.removesuffix(ending), _NAME_CHARACTERS) + title(ending, 10)
