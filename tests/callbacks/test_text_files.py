"""A file that is dropped on Analyze: its text as it is, or one sentence, and nothing lost."""

from __future__ import annotations

import pytest

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.callbacks import text_files
from concept_fragmentation.callbacks.library import ChoiceMissingError
from concept_fragmentation.components.analyze_panel import (
    MAX_CATEGORY_CHARACTERS,
    MAX_TEXT_CHARACTERS,
)


@pytest.mark.parametrize(
    "content", ["a  b\n".encode("utf-8-sig"), "a  b\n".encode("utf-16"), b"a  b\n"]
)
def test_a_text_is_read_as_it_is(content: bytes) -> None:
    assert text_files.read_text("a.txt", content) == "a  b\n"


@pytest.mark.parametrize("content", [b"", b" \n\t", "\ufeff".encode()])
def test_an_empty_text_is_refused(content: bytes) -> None:
    with pytest.raises((ChoiceMissingError, InvalidDataError), match="there is no text in it"):
        text_files.read_text("a.txt", content)


def test_what_is_no_text_or_too_long_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="NUL, which is no text"):
        text_files.read_text("a.txt", b"a\0b")
    with pytest.raises(InvalidDataError, match="neither plain text nor a table"):
        text_files.read_text("a.pdf", b"%PDF")
    with pytest.raises(ChoiceMissingError, match="2,000,001 characters"):
        text_files.read_text("a.txt", b"x" * (MAX_TEXT_CHARACTERS + 1))


def test_a_column_is_one_line_a_row_with_its_spaces() -> None:
    table = b'id;word\n1;"two\nlines"\n2;a  b\n3; \n'
    assert text_files.column_lines("w.csv", table, "word") == ["two lines", "a  b"]
    quotes = b'word\tpos\n"\tPUNCT\ncat\tNOUN\n"\tPUNCT\ndog\tNOUN\n'
    assert text_files.column_lines("w.tsv", quotes, "word") == ['"', "cat", '"', "dog"]
    with pytest.raises(InvalidDataError, match="there is no text in it"):
        text_files.column_lines("w.csv", b"word\n \n", "word")


def test_notes_name_file_and_column_as_text() -> None:
    assert text_files.source_note("<b>.txt", "abc") == "From '<b>.txt': 3 characters."
    note = text_files.column_note("w.csv", "<i>", 1)
    assert note == "From 'w.csv', column '<i>': 1 text."
    assert len(text_files.source_note("x" * 5000, "")) < 200


def test_categories_are_of_the_same_rows_as_the_texts() -> None:
    table = b'word,kind,__proto__\ncat,noun,1\n , verb,2\n"two\nlines", ,3\n'
    found = text_files.category_columns("w.csv", table, "word", ["__proto__", "kind"])
    assert found == [
        {"name": "__proto__", "values": ["1", "3"]},
        {"name": "kind", "values": ["noun", None]},
    ]
    assert len(text_files.column_lines("w.csv", table, "word")) == 2
    assert text_files.category_columns("w.csv", table, "word", []) == []


def test_categories_that_can_not_be_are_refused_when_they_are_chosen() -> None:
    with pytest.raises(InvalidDataError, match="'positions' says something else of tokens"):
        text_files.category_columns("w.csv", b"word,positions\na,1\n", "word", ["positions"])
    with pytest.raises(InvalidDataError, match="2 columns are called 'kind'"):
        text_files.category_columns("w.csv", b"word,kind,kind\na,b,c\n", "word", ["kind"])
    long = b"word,kind\na," + b"x" * MAX_CATEGORY_CHARACTERS + b"\n"
    with pytest.raises(ChoiceMissingError, match="1,000,003 characters; the page takes up to"):
        text_files.category_columns("w.csv", long, "word", ["kind"])


def test_a_note_says_which_categories_there_are() -> None:
    columns: list[text_files.CategoryColumn] = [
        {"name": f"<{i}>", "values": ["a", None]} for i in range(10)
    ]
    assert text_files.categories_note(columns[:2]) == "Categories of 2 texts: <0>, <1>."
    assert text_files.categories_note(columns).endswith("<7> and 2 more.")
    assert text_files.categories_note([]) == ""
