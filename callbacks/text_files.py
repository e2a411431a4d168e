"""The file of the panel Analyze: its text, or columns of a table as texts and their categories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final, TypedDict

from dash import Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import (
    read_table_categories,
    read_text_file,
    table_columns,
)
from concept_fragmentation.analysis.errors import ConceptFragmentationError, InvalidDataError
from concept_fragmentation.analysis.inputs import plain_categories
from concept_fragmentation.callbacks.library import ChoiceMissingError
from concept_fragmentation.callbacks.messages import say_failed
from concept_fragmentation.callbacks.uploads import received
from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import (
    MAX_CATEGORY_CHARACTERS,
    MAX_TEXT_CHARACTERS,
)
from concept_fragmentation.components.words import UNLISTED, is_listable, option_text, plural, title

_NAME_CHARACTERS: Final = 60
_NAMED: Final = 8


class CategoryColumn(TypedDict):
    """A column of categories as the browser keeps it: a value for each line of text, or None."""

    name: str
    values: Sequence[str | None]


def register(app: Dash, max_upload: int) -> None:
    """Read what is dropped, and ask for the column of a table."""

    @app.callback(
        Output(ids.ANALYZE_TEXT, "value"),
        Output(ids.ANALYZE_READING, "value"),
        Output(ids.ANALYZE_SOURCE, "children"),
        Output(ids.ANALYZE_COLUMN, "options"),
        Output(ids.ANALYZE_COLUMN, "value"),
        Output(ids.ANALYZE_COLUMN_FIELD, "hidden"),
        Output(ids.ANALYZE_CATEGORY_COLUMNS, "options"),
        Output(ids.ANALYZE_CATEGORY_COLUMNS, "value"),
        Output(ids.ANALYZE_CATEGORIES, "data"),
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
            return text, "text", source_note(name, text), [], None, True, [], [], None
        if not all(map(is_listable, columns)):
            raise ChoiceMissingError(
                f"'{title(name, _NAME_CHARACTERS)}': no column can have '{UNLISTED}' in "
                "its name, which browsers can't search; rename it, and drop the table again."
            )
        only = columns[0] if len(columns) == 1 else None
        asked = f"'{title(name, _NAME_CHARACTERS)}' is a table: choose the column of the texts."
        options = _options(columns)
        return no_update, no_update, asked, options, only, False, options, [], no_update

    @app.callback(
        Output(ids.ANALYZE_TEXT, "value", allow_duplicate=True),
        Output(ids.ANALYZE_READING, "value", allow_duplicate=True),
        Output(ids.ANALYZE_SOURCE, "children", allow_duplicate=True),
        Output(ids.ANALYZE_CATEGORIES, "data", allow_duplicate=True),
        Output(ids.ANALYZE_CATEGORY_COLUMNS, "options", allow_duplicate=True),
        Output(ids.ANALYZE_CATEGORY_COLUMNS, "value", allow_duplicate=True),
        Input(ids.ANALYZE_COLUMN, "value"),
        Input(ids.ANALYZE_CATEGORY_COLUMNS, "value"),
        State(ids.ANALYZE_FILE, "contents"),
        State(ids.ANALYZE_FILE, "filename"),
        State(ids.ANALYZE_CATEGORIES, "data"),
        prevent_initial_call=True,
    )
    def columns_chosen(
        column: str | None,
        chosen: Sequence[str] | None,
        contents: str | None,
        filename: str | None,
        before: Sequence[CategoryColumn] | None,
    ) -> tuple[Any, ...]:
        if column is None or contents is None:
            raise PreventUpdate
        name = filename or ""
        content = received(name, contents, max_upload)
        others = [other for other in table_columns(_short(name), content) or () if other != column]
        # A column of texts that is chosen is read anew; one of categories leaves the text alone.
        text: tuple[Any, ...] = (no_update, no_update, no_update)
        if ids.ANALYZE_COLUMN in ctx.triggered_prop_ids.values():
            lines = column_lines(name, content, column)
            text = "\n".join(lines), "lines", column_note(name, column, len(lines))
        wanted = [other for other in chosen or () if other != column]
        try:
            found = category_columns(name, content, column, wanted)
        except ConceptFragmentationError as error:
            say_failed(str(error))
            kept = [one["name"] for one in before or () if text[0] is no_update]
            return *text, no_update if kept else None, _options(others), kept
        return *text, found or None, _options(others), wanted

    @app.callback(
        Output(ids.ANALYZE_CATEGORIES_NOTE, "children"),
        Output(ids.ANALYZE_CATEGORIES_FIELD, "hidden"),
        Input(ids.ANALYZE_CATEGORIES, "data"),
        prevent_initial_call=True,
    )
    def say_categories(categories: Sequence[CategoryColumn] | None) -> tuple[str, bool]:
        return categories_note(categories or ()), not categories

    @app.callback(
        Output(ids.ANALYZE_CATEGORIES, "data", allow_duplicate=True),
        Output(ids.ANALYZE_CATEGORY_COLUMNS, "value", allow_duplicate=True),
        Input(ids.ANALYZE_CATEGORIES_CLEAR, "n_clicks"),
        prevent_initial_call=True,
    )
    def leave_out(clicks: int | None) -> tuple[None, list[str]]:
        if not clicks:
            raise PreventUpdate
        return None, []


def _options(columns: Sequence[str]) -> list[dict[str, str]]:
    return [{"label": option_text(title(column, 60)), "value": column} for column in columns]


def category_columns(
    filename: str, content: bytes, column: str, chosen: Sequence[str]
) -> list[CategoryColumn]:
    """Return the categories of each text of a column, in the order in which they were chosen.

    Raises:
        InvalidDataError: a table has no such columns, or a name says something else of tokens.
        ChoiceMissingError: they are too long for the page.
    """
    if not chosen:
        return []
    found = read_table_categories(_short(filename), content, chosen, column=column)
    plain_categories(found)
    size = sum(len(value or "") + 3 for values in found.values() for value in values)
    if size > MAX_CATEGORY_CHARACTERS:
        raise ChoiceMissingError(
            f"'{title(filename)}': these categories have {plural(size, 'character')}; the page "
            f"takes up to {MAX_CATEGORY_CHARACTERS:,}. Choose fewer, or run "
            "'concept-fragmentation analyze --category'."
        )
    return [{"name": name, "values": values} for name, values in found.items()]


def categories_note(categories: Sequence[CategoryColumn]) -> str:
    """Return which categories the lines of the text have."""
    if not categories:
        return ""
    names = ", ".join(title(one["name"], _NAME_CHARACTERS) for one in categories[:_NAMED])
    more = len(categories) - _NAMED
    number = len(categories[0]["values"])
    return (
        f"Categories of {plural(number, 'text')}: {names}"
        f"{f' and {more:,} more' if more > 0 else ''}."
    )


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
