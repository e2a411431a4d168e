from __future__ import annotations

import pytest

from concept_fragmentation.analysis import (
    InvalidDataError,
    read_table_categories,
    read_text_file,
    table_columns,
)

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


@pytest.mark.parametrize(
    ("name", "content", "column", "expected"),
    [
        # A quote that is a word, with and without other columns.
        ("a.tsv", b'w\tp\n"\tPUNCT\ncat\tNN\n"\tPUNCT\ndog\tNN\n', "w", ['"', "cat", '"', "dog"]),
        ("a.tsv", b'w\tp\n"\tPUNCT\ncat\tNN\n', "w", ['"', "cat"]),
        ("a.tsv", b'w\tp\n"Hello\tUH\nyou"\tPRP\n', "w", ['"Hello', 'you"']),
        ("a.csv", b'w,p\n",PUNCT\ncat,NN\n",PUNCT\n', "w", ['"', "cat", '"']),
        ("a.csv", b'w\n"\ncat\n"\n', None, ['"', "cat", '"']),
        # Quotes as spreadsheets write them.
        ("a.tsv", b'w\tp\n"Hello ""you"""\tUH\n""""\tPUNCT\n', "w", ['Hello "you"', '"']),
        ("a.tsv", b'w\tp\n"a\nb\tc"\tNN\n', "w", ["a\nb\tc"]),
        ("a.tsv", b'text\n"one\ntwo"\n', None, ["one\ntwo"]),
        ("a.csv", b'text\n"one\r\ntwo"\n', None, ["one\r\ntwo"]),
        ("a.csv", b'n,text\n1,"one\nx,y"\n', "text", ["one\nx,y"]),
        ("a.csv", b'w,p\n"a,b",NN\n', "w", ["a,b"]),
        ("a.csv", b'w,p\n5" disk,NN\n', "w", ['5" disk']),
        # Separators.
        ("a.csv", b"word;pos\ncat;NN\ndog;NN\n", "word", ["cat", "dog"]),
        ("a.csv", b'word;pos\n"a;b";NN\n1,5;CD\n', "word", ["a;b", "1,5"]),
        ("a.csv", b"word\tpos\ncat\tNN\n", "pos", ["NN"]),
        ("a.csv", b"word|pos\ncat|NN\n", "pos", ["NN"]),
        ("a.csv", b"a;b,c\n1;2,3\n", "c", ["3"]),
        ("a.csv", b"a;b\ncat\ndog\n", None, ["cat", "dog"]),
        ("a.csv", b"sep=|\r\na;b,c|d\r\n1;2|x\r\n", "d", ["x"]),
        ("a.csv", b",word,pos\n0,cat,NN\n", "word", ["cat"]),
        (
            "a.csv",
            b"text\nno separator: one; two | three\n",
            None,
            ["no separator: one; two | three"],
        ),
        # Line ends, encodings, and a file without a line end.
        ("a.csv", b"word,n\rcat,1\rdog,2", "word", ["cat", "dog"]),
        ("a.csv", b"word,n\r\ncat,1\r\n\r\n\r\n", "word", ["cat"]),
        ("a.csv", "word;p\r\ncaf\xe9;N\r\n".encode("utf-16"), "word", ["caf\xe9"]),
        ("a.csv", "\ufeffword,p\ncaf\xe9,N".encode("utf-16-be"), "word", ["caf\xe9"]),
        ("a.csv", "word,p\ncaf\xe9,N".encode("utf-32"), "word", ["caf\xe9"]),
        # Everything is text, spaces too.
        ("a.csv", b"w,n\nNA,1\nnull,2\nnan,3\nTrue,4\n", "w", ["NA", "null", "nan", "True"]),
        ("a.csv", b"w,n\na,007\nb,1.0\nc,1e5\n", "n", ["007", "1.0", "1e5"]),
        ("a.csv", b"w,n\n cat ,1\n  ,2\n", "w", [" cat "]),
        ("a.csv", b"w,n\n= 1+1,1\n#x,2\n'x,3\n", "w", ["= 1+1", "#x", "'x"]),
        ("a.csv", b'text\n"' + b"x " * 200_000 + b'"\n', None, ["x " * 200_000]),
    ],
)
def test_a_table_is_read_as_its_writer_meant_it(
    name: str, content: bytes, column: str | None, expected: list[str]
) -> None:
    assert read_text_file(name, content, column=column) == expected


def test_lines_end_at_line_ends_only_and_keep_their_spaces() -> None:
    content = " one \rtwo\x0c\u2028half\r\n\n three\x85\n".encode()
    assert read_text_file("a.txt", content, by_line=True) == [
        " one ",
        "two\x0c\u2028half",
        " three\x85",
    ]
    assert read_text_file("a", "caf\xe9\r\n".encode("utf-16")) == "caf\xe9\r\n"


def test_columns_of_one_name_are_listed_and_not_mixed_up() -> None:
    content = b"word,word,n\na,b,1\n"
    assert table_columns("a.csv", content) == ["word", "word", "n"]
    assert read_text_file("a.csv", content, column="n") == ["1"]
    with pytest.raises(InvalidDataError, match="2 columns are called 'word'"):
        read_text_file("a.csv", content, column="word")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"w,p\ncat\n", r"row 2 has 1 cells where the first has 2; put .* ',' in quotes"),
        ("a.csv", b"w,p\ncat,NN\na,b,NN\n", "row 3 has 3 cells where the first has 2"),
        ("a.csv", b"word;pos\ncat;NN\ndog\n", "row 3 has 1 cells where the first has 2"),
        ("a.tsv", b"w\tp\ncat\n", "row 2 has 1 cells"),
        ("a.csv", b"text\nHello, world\n", "row 2 has 2 cells where the first has 1"),
        ("a.csv", b'w,p\n"a"b,NN\n', "no table that can be read"),
        ("a.csv", b'w,p\n"open,NN\n', "no table that can be read"),
        ("a.csv", b"\n\r\n", "it is empty"),
        ("a.csv", b"word\n\n", "there is no text in it"),
        ("a.csv", "word;p\ncaf\xe9;N\n".encode("cp1252"), "byte 10 is no UTF-8; save the file as"),
        ("a.txt", "cafe".encode("utf-16-le"), "character 1 is NUL"),
        ("a.txt", b"\xff\xfea", "byte 2 is no UTF-16"),
        ("a.txt", b"one\0two", "character 3 is NUL"),
        ("a.jsonl", b'{"text": "a"}\n', r"\.jsonl is neither plain text nor a table"),
        ("a.PARQUET", b"PAR1", r"\.parquet is neither plain text nor a table"),
        ("a.xlsx", b"PK", r"\.xlsx is neither"),
        ("a.csv", "text", "bytes are needed, not str"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named(
    name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidDataError, match=rf"{name}: .*{sentence}"):
        read_text_file(name, content)


def test_categories_are_those_of_the_rows_that_have_a_text() -> None:
    content = b"kind,word,tag\nnoun,cat,\nverb, ,x\n  ,runs,y\n"
    found = read_table_categories("w.csv", content, ["kind", "tag"], column="word")
    assert found == {"kind": ["noun", None], "tag": [None, "y"]}
    assert len(read_text_file("w.csv", content, column="word")) == 2
    with pytest.raises(InvalidDataError, match="no column 'mood'; there are kind, word, tag"):
        read_table_categories("w.csv", content, ["mood"], column="word")
    with pytest.raises(InvalidDataError, match="without columns of categories"):
        read_table_categories("w.txt", b"cat", ["kind"])
