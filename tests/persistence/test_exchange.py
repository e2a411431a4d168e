"""Exports come back equal; files from elsewhere come in, or are refused in a sentence."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concept_fragmentation.analysis.cells import escape_cell, unescape_cell
from concept_fragmentation.persistence import (
    ConceptFragmentationError,
    GPT2AnalysisPersistence,
    InvalidDataError,
    NotFoundError,
    StorageError,
    UnsupportedFormatError,
)

Store = GPT2AnalysisPersistence
Same = Callable[[Any, Any], bool]
Analysis = dict[str, Any]

FORMATS = ("json", "csv", "pickle")


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return GPT2AnalysisPersistence(tmp_path / "another store")


@pytest.mark.parametrize("export_format", FORMATS)
def test_an_export_comes_back_equal(
    store: Store, empty: Store, analysis: Analysis, export_format: str, same: Same
) -> None:
    store.save_analysis_results(
        analysis, "gpt2", "text", "mine", {"own": (1, 2)}, name="N", tags=["t"], notes="n"
    )
    state = store.save_visualization_state("mine", {"window": (0, 2)}, "sankey", "view")
    path = store.export_analysis("mine", export_format)
    assert Path(path).exists()
    assert Path(path).parent == store.exports_dir
    assert empty.import_analysis(path) == "mine"
    loaded, original = (s.load_analysis_results("mine") for s in (empty, store))
    assert same(loaded["analysis_data"], analysis)
    assert loaded["model_info"] == original["model_info"]
    for key in ("name", "tags", "notes", "model_name", "input_text", "own"):
        assert loaded["metadata"][key] == original["metadata"][key]
    assert loaded["metadata"]["imported_from"] == {
        "file": Path(path).name,
        "analysis_id": "mine",
        "version": 1,
        "timestamp": original["metadata"]["timestamp"],
    }
    (listed,) = empty.list_visualization_states("mine")
    assert listed["state_name"] == "view"
    assert same(
        empty.load_visualization_state(listed["state_id"])["config"],
        store.load_visualization_state(state)["config"],
    )


@pytest.mark.parametrize("export_format", FORMATS)
@pytest.mark.slow
def test_the_real_analysis_comes_back_equal(
    store: Store, empty: Store, real_analysis: Analysis, export_format: str
) -> None:
    identifier = store.save_analysis_results(real_analysis, "gpt2-small", "")
    imported = empty.import_analysis(store.export_analysis(identifier, export_format))
    assert empty.load_analysis_results(imported)["analysis_data"] == real_analysis


texts = st.text(st.characters(exclude_categories=()), max_size=8)


@pytest.mark.parametrize("export_format", FORMATS)
@given(
    tokens=st.lists(texts, min_size=1, max_size=6),
    numbers=st.lists(st.none() | st.integers() | st.floats() | texts | st.booleans(), max_size=6),
    layers=st.lists(
        st.text("aA_/ü.= ", min_size=1, max_size=4), min_size=1, max_size=3, unique=True
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_any_tokens_and_layers_come_back_equal(
    store: Store,
    empty: Store,
    same: Same,
    export_format: str,
    tokens: list[str],
    numbers: list[Any],
    layers: list[str],
) -> None:
    analysis = {
        "model_type": "gpt2",
        "layers": layers,
        "token_metadata": {"tokens": tokens, "more": (numbers * len(tokens))[: len(tokens)]},
        "token_paths": {
            str(i): {"token_text": token, "position": i, "cluster_path": [i] * len(layers)}
            for i, token in enumerate(tokens)
        },
        "cluster_labels": {layer: list(range(len(tokens))) for layer in layers},
        "attention_data": {
            layer: {"attention_probs": np.eye(len(tokens), dtype=np.float32)[None] / 3}
            for layer in layers
        },
    }
    identifier = store.save_analysis_results(analysis, "gpt2", "")
    imported = empty.import_analysis(store.export_analysis(identifier, export_format))
    assert same(empty.load_analysis_results(imported)["analysis_data"], analysis)


def test_a_csv_export_is_a_folder_that_people_can_read(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = Path(store.export_analysis("mine", "csv"))
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "tokens.csv",
        "token_paths.csv",
        "cluster_labels.csv",
        "cluster_metrics.csv",
        "attention.csv",
        "arrays.safetensors",
    }
    with (folder / "token_paths.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["position"] for row in rows] == [str(i) for i in range(8)]
    for layer in analysis["layers"]:
        assert [int(row[layer]) for row in rows] == analysis["cluster_labels"][layer]
    with (folder / "cluster_metrics.csv").open(newline="", encoding="utf-8-sig") as file:
        metrics = list(csv.DictReader(file))
    assert metrics[1] == {"layer": "layer_0", "purity": "0.75", "num_clusters": "3"}
    arrays = safetensors.numpy.load_file(folder / "arrays.safetensors")
    name = "analysis_data.attention_data.layer_0.attention_probs"
    assert np.array_equal(arrays[name], analysis["attention_data"]["layer_0"]["attention_probs"])


@pytest.mark.slow
def test_token_paths_are_computed_for_a_csv_reader(store: Store, real_analysis: Analysis) -> None:
    identifier = store.save_analysis_results(real_analysis, "gpt2-small", "")
    folder = Path(store.export_analysis(identifier, "csv"))
    with (folder / "token_paths.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10_000
    assert [int(rows[0][layer]) for layer in real_analysis["layers"]] == [
        real_analysis["cluster_labels"][layer][0] for layer in real_analysis["layers"]
    ]


@pytest.mark.parametrize(
    "token",
    ["=1+1", "+1", "-1", "@x", "\t=1", " =1+1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"],
)
def test_a_token_can_not_run_in_a_spreadsheet(
    store: Store, empty: Store, analysis: Analysis, token: str
) -> None:
    analysis["token_metadata"]["tokens"] = [token] * 8
    analysis["token_paths"]["0"]["token_text"] = token
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = Path(store.export_analysis("mine", "csv"))
    for name in ("tokens.csv", "token_paths.csv"):
        with (folder / name).open(newline="", encoding="utf-8-sig", errors="surrogatepass") as file:
            for row in csv.reader(file):
                for cell in row:
                    try:
                        float(cell)
                    except ValueError:
                        assert cell.lstrip()[:1] not in tuple("=+-@＝＋－＠"), cell
    empty.import_analysis(folder)
    tokens = empty.load_analysis_results("mine")["analysis_data"]["token_metadata"]["tokens"]
    assert tokens == [token] * 8


@given(st.text(st.characters(exclude_categories=()), max_size=10))
def test_escaping_a_cell_can_be_undone(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


def test_a_zipped_csv_export_comes_back(
    store: Store, empty: Store, analysis: Analysis, same: Same
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    name, data = store.read_export(store.export_analysis("mine", "csv"))
    assert name == "mine_v1_csv.zip"
    assert empty.import_bytes(name, data) == "mine"
    assert same(empty.load_analysis_results("mine")["analysis_data"], analysis)


def test_exports_go_where_they_are_told(store: Store, analysis: Analysis, tmp_path: Path) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    chosen = tmp_path / "new" / "file.json"
    assert store.export_analysis("mine", output_path=chosen, version=1) == str(chosen)
    assert json.loads(chosen.read_text())["analysis_results"]["metadata"]["version"] == 1
    (tmp_path / "folder").mkdir()
    inside = store.export_analysis("mine", "pickle", output_path=tmp_path / "folder")
    assert inside == str(tmp_path / "folder" / "mine_v2.pkl")
    first = store.export_analysis("mine", "csv", output_path=tmp_path / "csv")
    assert store.export_analysis("mine", "csv", output_path=tmp_path / "csv") == first
    with pytest.raises(StorageError, match="something else has that name"):
        store.export_analysis("mine", "csv", output_path=tmp_path / "folder")
    assert (tmp_path / "folder" / "mine_v2.pkl").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp")]


def test_an_export_without_visualizations_has_none(
    store: Store, empty: Store, analysis: Analysis
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.save_visualization_state("mine", {}, "sankey")
    empty.import_analysis(store.export_analysis("mine", include_visualizations=False))
    assert empty.list_visualization_states() == []


def test_an_unknown_format_is_named_with_those_that_there_are(
    store: Store, analysis: Analysis
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    with pytest.raises(UnsupportedFormatError, match=r"'parquet'.*json, csv, pickle"):
        store.export_analysis("mine", "parquet")
    assert list(store.exports_dir.iterdir()) == []


def test_only_exports_are_handed_out(store: Store, analysis: Analysis, tmp_path: Path) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    secret = tmp_path / "secret"
    secret.write_text("")
    for path in (secret, store.exports_dir / ".." / "metadata", store.exports_dir / "none.json"):
        with pytest.raises(NotFoundError, match="Export not found"):
            store.read_export(path)


# Files from elsewhere

PLAIN = {
    "model_type": "gpt2",
    "layers": ["layer_0"],
    "token_metadata": {"tokens": ["a", "$tuple", "$x"]},
    "cluster_labels": {"layer_0": [0, 1, 0]},
    "$note": {"$tuple": [float("nan")]},
}
LOADED = {
    "metadata": {
        "analysis_id": "theirs",
        "model_name": "gpt2-xl",
        "input_text": "hi",
        "version": 3,
    },
    "analysis_data": PLAIN,
    "model_info": {"num_tokens": 3},
}
OLD = {
    "analysis_results": LOADED,
    "export_metadata": {"exported_by": "an older tool"},
    "visualization_states": [
        {"visualization_type": "sankey", "state_name": "x", "config": {"a": 1}},
        {"config": {}},
    ],
}


@pytest.mark.parametrize(
    ("content", "identifier", "model", "states"),
    [(PLAIN, None, "gpt2", 0), (LOADED, "theirs", "gpt2-xl", 0), (OLD, "theirs", "gpt2-xl", 2)],
)
@pytest.mark.parametrize("suffix", [".json", ".pkl"])
def test_files_of_older_tools_come_in(
    empty: Store,
    tmp_path: Path,
    content: Any,
    identifier: str | None,
    model: str,
    states: int,
    suffix: str,
    same: Same,
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(pickle.dumps(content) if suffix == ".pkl" else json.dumps(content).encode())
    imported = empty.import_analysis(path, name="Mine")
    if identifier:
        assert imported == identifier
    loaded = empty.load_analysis_results(imported)
    assert same(loaded["analysis_data"], PLAIN)
    assert loaded["metadata"]["model_name"] == model
    assert loaded["metadata"]["name"] == "Mine"
    assert loaded["metadata"]["version"] == 1
    assert len(empty.list_visualization_states(imported)) == states
    again = empty.import_analysis(path)
    assert again != imported
    assert len(empty.list_analyses()) == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_survives_every_pickle_protocol(
    empty: Store, tmp_path: Path, protocol: int, same: Same
) -> None:
    analysis = PLAIN | {
        "arrays": [
            np.arange(6).astype(dtype).reshape(2, 3)
            for dtype in ("<f4", ">f8", "<i2", "|u1", "<c16", "<M8[us]")
        ],
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "words": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 3)),
        "scalars": [np.float32(0.1), np.int64(7), np.bool_(True), np.datetime64("2020-01-01")],
        "containers": [{1, 2}, frozenset("ab"), b"x", bytearray(b"y"), 1 + 2j, 2**100],
    }
    # What it is shows in its bytes; any name will do.
    path = tmp_path / "file.json"
    path.write_bytes(pickle.dumps(analysis, protocol=protocol))
    loaded = empty.load_analysis_results(empty.import_analysis(path))
    assert same(loaded["analysis_data"], analysis | {"fortran": np.arange(6.0).reshape(2, 3)})


def test_json_is_read_under_any_name(empty: Store, tmp_path: Path, same: Same) -> None:
    path = tmp_path / "file.pkl"
    path.write_bytes(json.dumps(PLAIN).encode())
    loaded = empty.load_analysis_results(empty.import_analysis(path))
    assert same(loaded["analysis_data"], PLAIN)


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("open('{}', 'w')",), "eval"),
        (Path, ("{}",), "Path"),
        (np.load, ("{}",), "load"),
        (np.ndarray, ((2**40,),), "neither a JSON"),
        (bytearray, (2**40,), "bytearray"),
        (getattr, ({}, "pop"), "getattr"),
        (np.dtype, ("O",), "dtype"),
    ],
)
def test_a_pickle_that_asks_for_more_is_refused_by_name(
    empty: Store, tmp_path: Path, function: Any, arguments: tuple[Any, ...], name: str
) -> None:
    target = tmp_path / "exploded"
    filled = tuple(a.format(target) if isinstance(a, str) else a for a in arguments)
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(PLAIN | {"bomb": Call(function, *filled)}))
    with pytest.raises(InvalidDataError, match=name):
        empty.import_analysis(path)
    assert not target.exists()
    assert empty.list_analyses() == []


def test_an_object_array_in_a_pickle_is_refused(empty: Store, tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(PLAIN | {"array": np.array([{}], dtype=object)}))
    with pytest.raises(InvalidDataError, match="dtype"):
        empty.import_analysis(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.json", b""),
        ("text.json", b"not json"),
        ("list.json", b"[1, 2]"),
        ("number.json", b"7"),
        ("other.json", b'{"a": 1}'),
        ("deep.json", b"[" * 100_000),
        ("digits.json", b'{"layers": ' + b"9" * 10_000 + b"}"),
        ("binary.json", bytes(range(256))),
        ("empty.pkl", b""),
        ("cut.pkl", pickle.dumps(PLAIN)[:-9]),
        ("zip.zip", b"PK\x03\x04 not really"),
        ("metadata.json", json.dumps(LOADED | {"metadata": [1]}).encode()),
        ("states.json", json.dumps(OLD | {"visualization_states": [7]}).encode()),
        ("id.json", json.dumps(LOADED | {"metadata": {"analysis_id": "../../x"}}).encode()),
        ("model.json", json.dumps(LOADED | {"metadata": {"model_name": 7}}).encode()),
        ("tags.json", json.dumps(LOADED | {"metadata": {"tags": "one"}}).encode()),
        ("labels.json", json.dumps(PLAIN | {"cluster_labels": {"layer_0": [0]}}).encode()),
    ],
)
def test_what_is_no_analysis_is_refused_in_a_sentence(
    empty: Store, tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConceptFragmentationError) as caught:
        empty.import_analysis(path)
    assert len(str(caught.value)) < 600
    assert empty.list_analyses() == []
    assert list((empty.base_dir / "analysis_results").iterdir()) == []


def test_a_file_that_is_not_there_is_named(empty: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere\.json"):
        empty.import_analysis(tmp_path / "nowhere.json")


def test_a_wrong_cell_is_named_with_its_file_row_and_column(
    store: Store, empty: Store, analysis: Analysis
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = Path(store.export_analysis("mine", "csv"))
    labels = folder / "cluster_labels.csv"
    rows = labels.read_text().splitlines()
    rows[3] = "zero,0,0"
    labels.write_text("\n".join(rows))
    with pytest.raises(InvalidDataError, match=r"cluster_labels\.csv: row 4, column 'embedding'"):
        empty.import_analysis(folder)
    labels.unlink()
    with pytest.raises(InvalidDataError, match=r"cluster_labels\.csv"):
        empty.import_analysis(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(InvalidDataError, match=r"manifest\.json"):
        empty.import_analysis(folder)


def test_names_in_an_archive_are_never_paths(
    store: Store, empty: Store, analysis: Analysis, tmp_path: Path
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = Path(store.export_analysis("mine", "csv"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"../../../{file.name}")
        archive.writestr("/etc/evil.csv", "x")
        archive.writestr("../evil.csv", "x")
    before = {path for path in tmp_path.rglob("*") if "evil" in path.name}
    empty.import_bytes("upload.zip", packed.getvalue())
    assert {path for path in tmp_path.rglob("*") if "evil" in path.name} == before == set()


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x80\x04", b"{", b"PK\x03\x04"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_any_bytes_end_in_our_error(empty: Store, data: bytes, start: bytes) -> None:
    for name in ("x.json", "x.pkl", "x.zip"):
        with pytest.raises(ConceptFragmentationError):
            empty.import_bytes(name, start + data)
