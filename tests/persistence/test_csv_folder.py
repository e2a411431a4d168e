"""Changes by other tools to a CSV export are undone or refused; none alters a value silently."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.persistence import GPT2AnalysisPersistence, InvalidDataError
from concept_fragmentation.persistence.csv_tables import escape_text, unescape_text

Store = GPT2AnalysisPersistence
Same = Callable[[Any, Any], bool]
Analysis = dict[str, Any]
Change = Callable[[bytes], bytes]

FORMAT_1 = Path(__file__).parent / "data" / "csv_1"
TABLES = ("tokens.csv", "token_paths.csv", "cluster_labels.csv")
TOKENS = [
    *("a", "\n", "b", "\r", "\r\n", "\n\r", "x\ny", "\t", "", " ", " the ", "\0", "\x1b", "\x85"),
    *("\u2028", "\u2029", "\ufeff", "\ufffe", "\ud800", "\ud83d\ude00", "🦜", "é", "e\u0301"),
    *("\\", "\\n", "\\\\n", "\\x00", "\\", "'", "''", "'=1", "=1+1", "+1", "-1", "@a", "\t=1"),
    *('"', '""', ",", ";", 'a";"b', "007", "1e5", "3-4", "TRUE", "null", "nan", "#N/A", "\n=1"),
]


@pytest.fixture
def analysis() -> Analysis:
    """An analysis whose tokens are all that tools change."""
    count = len(TOKENS)
    rng = np.random.default_rng(0)
    layers = ["embedding", "$tuple", "row"]
    labels = {layer: rng.integers(0, 9, count).tolist() for layer in layers}
    return {
        "model_type": "gpt2",
        "layers": layers,
        "token_metadata": {
            "tokens": list(TOKENS),
            "positions": list(range(count)),
            "frequency": [i / 7 if i % 3 else None for i in range(count)],
            "stop": [i % 2 == 0 for i in range(count)],
            "nothing": [None] * count,
            "large": [2**62 + i for i in range(count)],
            "line\nends": list(reversed(TOKENS)),
        },
        "token_paths": {
            f"{i}\r\n": {
                "token_text": token,
                "cluster_path": [labels[layer][i] for layer in layers],
                "path_length": 1e-5 * i,
            }
            for i, token in enumerate(TOKENS)
        },
        "cluster_labels": labels,
        "attention_data": {
            layer: {"attention_probs": rng.random((2, count, count), dtype=np.float32)}
            for layer in layers
        },
        "hidden_states": {"row": rng.random((count, 5)).astype(np.float16)},
        "own": np.array(["a", "bcd"]),
    }


@pytest.fixture
def exported(store: Store, analysis: Analysis) -> Path:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    return Path(store.export_analysis("mine", "csv"))


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return GPT2AnalysisPersistence(tmp_path / "another store")


def change(folder: Path, how: Change, files: tuple[str, ...] = TABLES) -> None:
    for name in files:
        content = (folder / name).read_bytes()
        changed = how(content)
        (folder / name).write_bytes(changed)


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def rewritten(content: bytes, change: Callable[[list[list[str]]], Any], **options: Any) -> bytes:
    """Rewrite a table as a tool does that reads it and writes it in its own way."""
    rows = rows_of(content)
    rows = change(rows) or rows
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows(rows)
    return text.getvalue().encode()


def same_rows(_rows: list[list[str]]) -> None:
    """Change nothing."""


def shuffled(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *sorted(rows[1:], reverse=True)]


def as_excel(rows: list[list[str]]) -> list[list[str]]:
    """Truth values in capitals, as Excel writes them, and empty rows at the end."""
    shown = {"True": "TRUE", "False": "FALSE"}
    width = len(rows[0])
    return [[shown.get(cell, cell) for cell in row] for row in rows] + [[""] * width] * 3


HARMLESS: dict[str, Change] = {
    "nothing": lambda c: c,
    "no byte order mark": lambda c: c.removeprefix("\ufeff".encode()),
    "line ends of Unix": lambda c: c.replace(b"\r\n", b"\n"),
    "line ends of old Macs": lambda c: c.replace(b"\r\n", b"\r"),
    "line ends converted as if they were Unix's": lambda c: c.replace(b"\n", b"\r\n"),
    "no line end at the end": lambda c: c.rstrip(b"\r\n"),
    "empty lines at the end": lambda c: c + b"\r\n\r\n",
    "saved with semicolons": lambda c: rewritten(c, same_rows, delimiter=";"),
    "saved with tabs": lambda c: rewritten(c, same_rows, delimiter="\t"),
    "all quoted": lambda c: rewritten(c, same_rows, quoting=csv.QUOTE_ALL),
    "with a separator line": lambda c: b"sep=;\r\n" + rewritten(c, same_rows, delimiter=";"),
    "sorted": lambda c: rewritten(c, shuffled),
    "columns moved": lambda c: rewritten(c, lambda rows: [row[::-1] for row in rows]),
    "a column more": lambda c: rewritten(c, lambda rows: [[*row, "note"] for row in rows]),
    "saved by Excel": lambda c: "\ufeff".encode() + rewritten(c, as_excel, delimiter=";"),
}


@pytest.mark.parametrize("how", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_changes_no_value_comes_back_equal(
    exported: Path,
    store: Store,
    empty: Store,
    analysis: Analysis,
    same: Same,
    how: Change,
    zipped: bool,
) -> None:
    change(exported, how)
    if zipped:
        empty.import_bytes(*store.read_export(exported))
    else:
        empty.import_analysis(exported)
    assert same(empty.load_analysis_results("mine")["analysis_data"], analysis)


def test_a_decimal_comma_is_read_where_semicolons_separate(
    exported: Path, empty: Store, analysis: Analysis, same: Same
) -> None:
    def with_commas(rows: list[list[str]]) -> None:
        column = rows[0].index("frequency")
        for row in rows[1:]:
            row[column] = row[column].replace(".", ",")

    change(exported, lambda c: rewritten(c, with_commas, delimiter=";"), ("tokens.csv",))
    empty.import_analysis(exported)
    assert same(empty.load_analysis_results("mine")["analysis_data"], analysis)


def test_every_record_is_one_line_with_a_byte_order_mark(exported: Path) -> None:
    for name in TABLES:
        content = (exported / name).read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        assert len(content.decode("utf-8-sig").splitlines()) == len(TOKENS) + 1
        assert {len(row) for row in rows_of(content)} == {len(rows_of(content)[0])}
    for name in ("attention.csv",):
        assert (exported / name).read_bytes().startswith(b"\xef\xbb\xbf")


def cell_changed(column: str, row: int, value: str) -> Change:
    def run(rows: list[list[str]]) -> None:
        rows[row][rows[0].index(column)] = value

    return lambda content: rewritten(content, run)


def each_cell(run: Callable[[str], str]) -> Change:
    return lambda c: rewritten(c, lambda rows: [rows[0], *[list(map(run, r)) for r in rows[1:]]])


HARMFUL: dict[str, tuple[str, Change, str]] = {
    "leading zeros lost": (
        "tokens.csv",
        cell_changed("tokens", TOKENS.index("007") + 1, "7"),
        r"tokens\.csv: column 'tokens'",
    ),
    "a number made a date": (
        "tokens.csv",
        cell_changed("tokens", TOKENS.index("3-4") + 1, "04-Mar"),
        r"tokens\.csv: column 'tokens'",
    ),
    "digits rounded": (
        "tokens.csv",
        cell_changed("large", 3, "4611686018427380000"),
        r"tokens\.csv: column 'large'",
    ),
    "a number rounded": (
        "tokens.csv",
        cell_changed("frequency", 2, "0.142857142857143"),
        r"tokens\.csv: column 'frequency'",
    ),
    "spaces trimmed": ("tokens.csv", each_cell(str.strip), r"tokens\.csv: column 'tokens'"),
    "apostrophes taken off": (
        "tokens.csv",
        each_cell(lambda cell: cell.removeprefix("'")),
        r"tokens\.csv: column 'tokens'",
    ),
    "a row lost": (
        "cluster_labels.csv",
        lambda c: rewritten(c, lambda rows: rows[:5] + rows[6:]),
        rf"cluster_labels\.csv: it has {len(TOKENS) - 1} rows where {len(TOKENS)}",
    ),
    "a row twice": (
        "cluster_labels.csv",
        lambda c: rewritten(c, lambda rows: [*rows, rows[3]]),
        rf"cluster_labels\.csv: it has {len(TOKENS) + 1} rows",
    ),
    "sorted without its numbers": (
        "token_paths.csv",
        lambda c: rewritten(c, lambda rows: [row[:-1] for row in shuffled(rows)]),
        r"token_paths\.csv: column '\w+'",
    ),
    "a column lost": (
        "tokens.csv",
        lambda c: rewritten(c, lambda rows: [row[:1] + row[2:] for row in rows]),
        r"tokens\.csv: it has no column 'positions'",
    ),
    "a column renamed": (
        "tokens.csv",
        lambda c: rewritten(c, lambda rows: [["Tokens", *rows[0][1:]], *rows[1:]]),
        r"tokens\.csv: it has no column 'tokens'; it has one 'Tokens'",
    ),
    "too few cells": (
        "token_paths.csv",
        lambda c: rewritten(c, lambda rows: [*rows[:4], rows[4][:2], *rows[5:]]),
        r"token_paths\.csv: row 5, column '.*': it ends before, after 2 cells",
    ),
    "a word for a number": (
        "cluster_labels.csv",
        cell_changed("embedding", 7, "many"),
        r"cluster_labels\.csv: row 8, column 'embedding': 'many' is no int",
    ),
    "a backslash alone": (
        "tokens.csv",
        cell_changed("tokens", 2, "\\q"),
        r"tokens\.csv: row 3, column 'tokens'",
    ),
    "another encoding": (
        "tokens.csv",
        lambda c: c.decode("utf-8-sig").encode("cp1252", "replace"),
        rf"tokens\.csv: row {TOKENS.index('é') + 2}: it is not UTF-8 \(byte 0xe9\)",
    ),
    "UTF-16": (
        "token_paths.csv",
        lambda c: c.decode("utf-8-sig").encode("utf-16"),
        r"token_paths\.csv: row 1: it is not UTF-8",
    ),
    "nothing in it": ("tokens.csv", lambda _c: b"", r"tokens\.csv: it is empty"),
    "cut in half": (
        "token_paths.csv",
        lambda c: c[: len(c) // 2],
        r"token_paths\.csv: it has \d+ rows",
    ),
    "a bit of an array": (
        "arrays.safetensors",
        lambda c: c[:-9] + bytes([c[-9] ^ 1]) + c[-8:],
        r"arrays\.safetensors: it is not what was exported",
    ),
    "half of the arrays": (
        "arrays.safetensors",
        lambda c: c[: len(c) // 2],
        r"arrays\.safetensors: it has [\d,]+ bytes where [\d,]+ were exported",
    ),
    "half of the manifest": ("manifest.json", lambda c: c[: len(c) // 2], r"manifest\.json"),
    "another manifest": ("manifest.json", lambda _c: b'{"format": 1}', r"manifest\.json"),
}


@pytest.mark.parametrize(("file", "how", "blamed"), HARMFUL.values(), ids=HARMFUL)
def test_what_changes_a_value_is_refused_and_its_file_is_named(
    exported: Path, empty: Store, file: str, how: Change, blamed: str
) -> None:
    change(exported, how, (file,))
    with pytest.raises(InvalidDataError, match=blamed) as caught:
        empty.import_analysis(exported)
    if file != "manifest.json":
        assert not str(caught.value).startswith("manifest.json")
    assert len(str(caught.value)) < 400
    assert empty.list_analyses() == []


@pytest.mark.parametrize("file", [*TABLES, "arrays.safetensors", "manifest.json"])
def test_a_file_that_is_missing_or_renamed_is_named(
    exported: Path, empty: Store, file: str
) -> None:
    path = exported / file
    renamed = path.with_name(f"{path.stem} (1){path.suffix}")
    path.rename(renamed)
    hint = "" if file == "manifest.json" else rf".*there is '{path.stem} \(1\)"
    with pytest.raises(InvalidDataError, match=f"{path.stem}{hint}"):
        empty.import_analysis(exported)
    renamed.unlink()
    with pytest.raises(InvalidDataError, match=file.replace(".", r"\.")):
        empty.import_analysis(exported)


def test_a_table_that_was_changed_on_purpose_is_taken_once_its_checksums_are_gone(
    exported: Path, empty: Store, analysis: Analysis
) -> None:
    change(exported, cell_changed("embedding", 1, "8"), ("cluster_labels.csv",))
    with pytest.raises(InvalidDataError, match=r'remove "checksums" of cluster_labels\.csv from'):
        empty.import_analysis(exported)
    manifest = json.loads((exported / "manifest.json").read_text())
    del manifest["tables"]["cluster_labels.csv"]["checksums"]
    (exported / "manifest.json").write_text(json.dumps(manifest))
    empty.import_analysis(exported)
    labels = empty.load_analysis_results("mine")["analysis_data"]["cluster_labels"]
    assert labels["embedding"] == [8, *analysis["cluster_labels"]["embedding"][1:]]


@pytest.mark.parametrize(
    "how",
    [
        HARMLESS["nothing"],
        HARMLESS["line ends converted as if they were Unix's"],
        lambda c: c.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    ],
)
def test_an_export_of_format_1_comes_in(
    empty: Store, tmp_path: Path, same: Same, how: Change
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(FORMAT_1, folder)
    change(folder, how)
    assert empty.import_analysis(folder) == "old"
    data = empty.load_analysis_results("old")["analysis_data"]
    tokens = [" the", "=1+1", "a\nb", "\n", "\ud800", "'q", "naïve", "007"]
    assert data["token_metadata"]["tokens"] == tokens
    assert data["token_metadata"]["word"] == ["x\ny"] * 8
    assert [path["token_text"] for path in data["token_paths"].values()] == ["\n"] * 8
    assert data["token_paths"]["2"]["path_length"] == 2 / 3
    expected = (np.arange(128, dtype=np.float32) / 7).reshape(2, 8, 8)
    assert same(data["attention_data"]["layer_0"]["attention_probs"], expected)
    assert repr(data["own"]) == "(1, nan)"


@pytest.mark.parametrize(
    "paths",
    [
        {"0": {"key": "another", "cluster_path": [1, 2]}},
        {"0": {5: 1}},
        {"0": {"$tuple": 1}},
        {"0": {"embedding": 3, "cluster_path": [1, 2]}},
        {"0": {"row": 3, "row_": 4}},
        {0: {"position": 0}},
        {"0": {}},
        {"0": {"nan": float("nan")}},
        {"0": {"huge": 2**70}},
        {"0": {"long": "x" * 40_000}},
    ],
)
def test_records_of_any_keys_come_back_equal(
    store: Store, empty: Store, same: Same, paths: dict[Any, Any]
) -> None:
    data = {
        "model_type": "gpt2",
        "layers": ["embedding", "$x"],
        "token_metadata": {"tokens": ["a"], "$y": ["b"], 3: ["c"], "long": ["y" * 200_000]},
        "token_paths": paths,
        "cluster_labels": {"embedding": [1], "$x": [2]},
        "cluster_metrics": {"embedding": {"layer": "x", "purity": 1}},
    }
    store.save_analysis_results(data, "gpt2", "", "mine")
    empty.import_analysis(store.export_analysis("mine", "csv"))
    assert same(empty.load_analysis_results("mine")["analysis_data"], data)


def test_one_table_alone_is_no_export(empty: Store, exported: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"tokens\.csv: it is one table.*whole folder"):
        empty.import_analysis(exported / "tokens.csv")


def test_a_zip_with_backslashes_comes_in(
    exported: Path, empty: Store, analysis: Analysis, same: Same
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in exported.iterdir():
            entry = zipfile.ZipInfo("x")
            entry.filename = f"mine_v1_csv\\{file.name}"
            archive.writestr(entry, file.read_bytes())
    empty.import_bytes("mine.zip", packed.getvalue())
    assert same(empty.load_analysis_results("mine")["analysis_data"], analysis)


def test_an_export_that_can_not_take_its_name_leaves_the_earlier_one(
    exported: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    rename = os.rename

    def refusing(source: Any, target: Any) -> None:
        if Path(target) == exported and "-old" not in str(source):
            raise OSError(5, "Input/output error")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refusing)
        with pytest.raises(OSError, match="Input/output error"):
            store.export_analysis("mine", "csv")
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


@given(st.text(st.characters(exclude_categories=()), max_size=12))
def test_escaping_a_text_can_be_undone_and_leaves_one_line(text: str) -> None:
    cell = escape_text(text)
    assert unescape_text(cell) == text
    assert len(f"{cell}.".splitlines()) == 1
    assert cell.encode().decode() == cell
