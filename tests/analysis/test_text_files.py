from __future__ import annotations

import pytest

from concept_fragmentation.analysis import InvalidDataError, read_text_file, table_columns

TABLE = b'text,kind\n"one, two",a\n,b\nNA,c\n'


def test_a_text_is_one_text_or_one_item_a_line() -> None:
    content = "\ufeffein Wort\n\nzwei\n".encode()
    assert read_text_file("a.txt", content) == "ein Wort\n\nzwei\n"
    assert read_text_file("a.txt", content, by_line=True) == ["ein Wort", "zwei"]


def test_a_column_of_a_table_is_a_list_of_texts() -> None:
    assert table_columns("a.CSV", TABLE) == ["text", "kind"]
    assert table_columns("a.txt", TABLE) is None
    assert read_text_file("a.csv", TABLE, column="text") == ["one, two", "NA"]
    assert read_text_file("a.tsv", b"text\tkind\nx\ty\n", column="kind") == ["y"]


@pytest.mark.parametrize(
    ("name", "content", "column", "sentence"),
    [
        ("a.csv", TABLE, None, "choose a column; there are text, kind"),
        ("a.csv", TABLE, "tex", "no column 'tex'; there are text, kind"),
        ("a.csv", b"text\na,b\n", "text", "no table that can be read"),
        ("a.csv", b"", None, "no table that can be read"),
        ("a.csv", b"text\n", "text", "there is no text in it"),
        ("a.txt", b"\xff\xfe", None, "byte 0 is no UTF-8"),
        ("a.txt", b"", None, "there is no text in it"),
        ("a.txt", b"text", "text", "leave the column out"),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: bytes, column: str | None, sentence: str
) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        read_text_file(name, content, column=column)
