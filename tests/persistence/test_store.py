"""What a notebook does with the store."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.analysis.errors import DifferentSizesError
from concept_fragmentation.persistence import (
    AnalysisNotFoundError,
    ConceptFragmentationError,
    CorruptedFileError,
    GPT2AnalysisPersistence,
    InvalidAnalysisError,
    InvalidDataError,
    NotFoundError,
    SessionNotFoundError,
    StorageError,
    UnsafeIdentifierError,
    UnsupportedFormatError,
    VisualizationStateNotFoundError,
    load_gpt2_analysis,
    save_gpt2_analysis,
)
from concept_fragmentation.persistence.identifiers import check_identifier, folder_name

Store = GPT2AnalysisPersistence
Same = Callable[[Any, Any], bool]
Analysis = dict[str, Any]


def test_what_was_saved_is_what_is_loaded(store: Store, analysis: Analysis, same: Same) -> None:
    before = copy.deepcopy(analysis)
    own = {"run": 7, "seeds": (1, 2)}
    identifier = store.save_analysis_results(
        analysis, "openai-community/gpt2", "the text", metadata=own, name="First", tags=["a"]
    )
    loaded = store.load_analysis_results(identifier)
    assert same(loaded["analysis_data"], before)
    assert same(analysis, before)
    assert own == {"run": 7, "seeds": (1, 2)}
    assert loaded["model_info"] == {
        "model_name": "openai-community/gpt2",
        "num_tokens": 8,
        "num_layers": 3,
        "input_length": 8,
    }
    metadata = loaded["metadata"]
    moment = datetime.fromisoformat(metadata.pop("timestamp"))
    assert moment.utcoffset() == datetime.now(UTC).utcoffset()
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert metadata == {
        "analysis_id": identifier,
        "name": "First",
        "model_name": "openai-community/gpt2",
        "input_text": "the text",
        "version": 1,
        "data_format": "gpt2_analysis_v1",
        "tags": ["a"],
        "notes": "",
        "run": 7,
        "seeds": (1, 2),
    }


def test_what_is_loaded_belongs_to_the_caller(store: Store, analysis: Analysis, same: Same) -> None:
    identifier = store.save_analysis_results(analysis, "gpt2", "")
    first = store.load_analysis_results(identifier)["analysis_data"]
    first["attention_data"]["layer_0"]["attention_probs"][:] = 0
    first["token_metadata"]["tokens"].clear()
    assert same(store.load_analysis_results(identifier)["analysis_data"], analysis)


def test_the_real_analysis_comes_back(store: Store, real_analysis: Analysis) -> None:
    identifier = store.save_analysis_results(real_analysis, "gpt2-small", "")
    assert store.load_analysis_results(identifier)["analysis_data"] == real_analysis


def test_the_shortcuts_use_the_given_or_the_default_store(
    store: Store, analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = save_gpt2_analysis(analysis, "gpt2", "text", store)
    assert load_gpt2_analysis(identifier, store)["metadata"]["input_text"] == "text"
    monkeypatch.delenv("CONCEPT_FRAGMENTATION_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    identifier = save_gpt2_analysis(analysis, "gpt2", "text")
    assert load_gpt2_analysis(identifier)["metadata"]["version"] == 1
    folders = {
        path.name for path in (tmp_path / "data" / "gpt2_analysis").iterdir() if path.is_dir()
    }
    assert folders == {
        "analysis_results",
        "visualizations",
        "sessions",
        "cache",
        "exports",
        "metadata",
    }


def test_an_environment_variable_moves_the_default_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_DIR", str(tmp_path / "elsewhere"))
    assert GPT2AnalysisPersistence().base_dir == tmp_path / "elsewhere"


# Versions


def test_saving_again_makes_the_next_version(store: Store, analysis: Analysis) -> None:
    for number in (1, 2, 3):
        analysis["run"] = number
        store.save_analysis_results(analysis, "gpt2", f"text {number}", "mine")
    assert [entry["version"] for entry in store.list_versions("mine")] == [3, 2, 1]
    assert store.load_analysis_results("mine")["analysis_data"]["run"] == 3
    assert store.load_analysis_results("mine", version=1)["analysis_data"]["run"] == 1
    assert store.load_analysis_results("mine", 2)["metadata"]["input_text"] == "text 2"


def test_the_newest_versions_are_kept(open_store: Callable[..., Store], analysis: Analysis) -> None:
    store = open_store(max_versions=2)
    for _ in range(5):
        store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert [entry["version"] for entry in store.list_versions("mine")] == [5, 4]
    assert store.list_analyses()[0]["num_versions"] == 2
    with pytest.raises(AnalysisNotFoundError, match=r"Version 1 of analysis 'mine'.*4, 5"):
        store.load_analysis_results("mine", version=1)
    files = sorted(path.name for path in (store.base_dir / "analysis_results" / "mine").iterdir())
    assert [name for name in files if name.endswith(".json")] == ["v000004.json", "v000005.json"]


def test_whole_numbers_of_numpy_are_whole_numbers(store: Store, analysis: Analysis) -> None:
    for _ in range(2):
        store.save_analysis_results(analysis, "gpt2", "", "mine")
    one: Any = np.int64(1)
    assert store.load_analysis_results("mine", version=one)["metadata"]["version"] == 1
    assert len(store.list_analyses(limit=one, min_tokens=one)) == 1
    with pytest.raises(InvalidDataError, match="version: a whole number from 1 is needed"):
        store.load_analysis_results("mine", version=np.True_)  # type: ignore[arg-type]
    store.delete_analysis("mine", version=one)
    assert [found["version"] for found in store.list_versions("mine")] == [2]


@pytest.mark.parametrize("folder", [5, b"store", "a\0b"])
def test_what_is_no_path_is_no_folder_of_a_store(folder: Any) -> None:
    with pytest.raises(InvalidDataError, match="base_dir: the path of a folder is needed"):
        GPT2AnalysisPersistence(folder)


def test_none_keeps_all_versions(open_store: Callable[..., Store], analysis: Analysis) -> None:
    store = open_store(max_versions=None)
    for _ in range(12):
        store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert len(store.list_versions("mine")) == 12


def test_the_number_of_a_deleted_version_is_not_given_again(
    store: Store, analysis: Analysis
) -> None:
    for _ in range(3):
        store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.delete_analysis("mine", version=3)
    assert store.load_analysis_results("mine")["metadata"]["version"] == 2
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert [entry["version"] for entry in store.list_versions("mine")] == [4, 2, 1]


def test_deleting_the_last_version_deletes_the_analysis(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.delete_analysis("mine", version=1)
    assert store.list_analyses() == []
    with pytest.raises(AnalysisNotFoundError):
        store.list_versions("mine")


# Labels


def test_labels_stay_unless_they_are_given(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine", name="N", tags=["t"], notes="n")
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.save_analysis_results(analysis, "gpt2", "", "mine", name="M")
    names = [(v["name"], v["tags"], v["notes"]) for v in store.list_versions("mine")]
    assert names == [("M", ["t"], "n"), ("N", ["t"], "n"), ("N", ["t"], "n")]


def test_labels_change_without_a_new_version(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine", name="N", tags=["t"], notes="n")
    store.update_analysis("mine", name="New", tags=["x", "y"], notes="")
    (listed,) = store.list_analyses(tag="y", search="new")
    assert (listed["name"], listed["tags"], listed["notes"]) == ("New", ["x", "y"], "")
    assert store.load_analysis_results("mine")["metadata"]["name"] == "New"
    assert store.list_versions("mine")[0]["tags"] == ["x", "y"]
    assert store.list_analyses(tag="t") == []
    store.update_analysis("mine", notes="later")
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    metadata = store.load_analysis_results("mine")["metadata"]
    assert (metadata["version"], metadata["name"], metadata["notes"]) == (2, "New", "later")


# Finding


def test_lists_are_newest_first_and_can_be_filtered(store: Store, analysis: Analysis) -> None:
    for i in range(6):
        store.save_analysis_results(
            analysis,
            "gpt2" if i % 2 else "distilgpt2",
            f"Über text {i}",
            f"id-{i}",
            name=f"Name {i}",
            tags=["even"] if i % 2 == 0 else [],
            notes="100% sure_thing" if i == 3 else "",
        )

    def ids(**filters: Any) -> list[str]:
        return [entry["analysis_id"] for entry in store.list_analyses(**filters)]

    assert ids() == ["id-5", "id-4", "id-3", "id-2", "id-1", "id-0"]
    assert ids(limit=2) == ["id-5", "id-4"]
    assert ids(limit=2, offset=4) == ["id-1", "id-0"]
    assert ids(offset=5) == ["id-0"]
    assert ids(model_name="gpt2") == ["id-5", "id-3", "id-1"]
    assert ids(tag="even") == ["id-4", "id-2", "id-0"]
    assert ids(search="ÜBER 4") == ["id-4"]
    assert ids(search="id-2 name") == ["id-2"]
    assert ids(search="0%") == ["id-3"]
    assert ids(search="e_t") == ["id-3"]
    assert ids(search="nothing like it") == []
    assert [e["analysis_id"] for e in store.list_analyses("gpt2", limit=1)] == ["id-5"]


def test_a_list_says_what_a_person_asks(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "x" * 5000, "mine", {"lab": ("a", float("nan"))})
    store.save_analysis_results(analysis, "gpt2", "x" * 5000, "mine")
    (entry,) = store.list_analyses(search="x" * 3000)
    assert entry["num_tokens"] == 8
    assert entry["num_layers"] == 3
    assert entry["num_versions"] == 2
    assert entry["input_text"] == "x" * 1000
    assert entry["input_length"] == 5000
    on_disk = (store.base_dir / "analysis_results" / "mine").iterdir()
    assert entry["size_bytes"] == sum(path.stat().st_size for path in on_disk)
    first = store.list_versions("mine")[1]
    assert repr(first["lab"]) == "('a', nan)"


@pytest.mark.parametrize("filters", [{"limit": -1}, {"offset": "1"}, {"search": 3}, {"tag": b"x"}])
def test_a_wrong_filter_is_refused(store: Store, filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataError, match=next(iter(filters))):
        store.list_analyses(**filters)


def test_a_deleted_catalog_is_made_anew_from_the_files(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "text", "one", {"own": (1,)}, tags=["t"])
    store.save_analysis_results(analysis, "gpt2", "text", "one")
    store.save_analysis_results(analysis, "gpt2", "text", "two")
    store.update_analysis("two", name="Second")
    before = store.list_analyses(), store.list_versions("one")
    for path in (store.base_dir / "metadata").glob("catalog.sqlite*"):
        path.unlink()
    assert (store.list_analyses(), store.list_versions("one")) == before


def test_a_damaged_catalog_is_made_anew(
    store: Store, analysis: Analysis, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_analysis_results(analysis, "gpt2", "text", "one")
    before = store.list_analyses()
    store.close()
    (store.base_dir / "metadata" / "catalog.sqlite").write_bytes(b"no database" * 1000)
    assert store.list_analyses() == before
    assert "damaged" in caplog.text


@pytest.mark.slow
def test_a_catalog_that_is_deleted_while_in_use_is_made_anew(
    store: Store, analysis: Analysis
) -> None:
    store.save_analysis_results(analysis, "gpt2", "text", "one")
    with Store(store.base_dir) as other:
        before = other.list_analyses()
        for path in (store.base_dir / "metadata").glob("catalog.sqlite*"):
            path.unlink()
        assert other.list_analyses() == store.list_analyses() == before
        other.save_analysis_results(analysis, "gpt2", "text", "two")
    assert {entry["analysis_id"] for entry in store.list_analyses()} == {"one", "two"}


def test_a_forked_process_uses_the_store_on_its_own(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "text", "one")
    child = multiprocessing.get_context("fork").Process(
        target=store.save_analysis_results, args=(analysis, "gpt2", "text", "two")
    )
    child.start()
    child.join()
    assert child.exitcode == 0
    store.save_analysis_results(analysis, "gpt2", "text", "three")
    assert {entry["analysis_id"] for entry in store.list_analyses()} == {"one", "two", "three"}


# Refusals


def test_nothing_is_written_when_an_analysis_contradicts_itself(
    store: Store, analysis: Analysis
) -> None:
    analysis["cluster_labels"]["layer_1"].pop()
    analysis["cluster_labels"]["nobody"] = [0] * 8
    with pytest.raises(InvalidAnalysisError) as caught:
        store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert any("cluster_labels.layer_1" in problem for problem in caught.value.problems)
    assert any("nobody" in problem for problem in caught.value.problems)
    assert store.list_analyses() == []
    assert list((store.base_dir / "analysis_results").iterdir()) == []


def test_every_wrong_argument_is_named(store: Store, analysis: Analysis) -> None:
    with pytest.raises(InvalidDataError) as caught:
        store.save_analysis_results(
            analysis,
            "",
            None,  # type: ignore[arg-type]
            metadata={"version": 7, "own": 1, "tags": []},
            name=3,  # type: ignore[arg-type]
            tags="one",
            notes=b"",  # type: ignore[arg-type]
        )
    text = str(caught.value)
    for what in ("model_name", "input_text", "metadata.version", "metadata.tags", "name", "tags"):
        assert re.search(rf"\b{re.escape(what)}: ", text), what
    assert "metadata.own" not in text


@pytest.mark.parametrize(
    "identifier",
    ["", "  ", "a/b", "a\\b", "..", "a..b", ".", "a\0b", "a\nb", "x" * 129, "\ud800", 7, None],
)
def test_unsafe_identifiers_are_refused(store: Store, analysis: Analysis, identifier: Any) -> None:
    if identifier is not None:
        with pytest.raises(UnsafeIdentifierError):
            store.save_analysis_results(analysis, "gpt2", "", identifier)
    for method in (
        store.load_analysis_results,
        store.list_versions,
        store.delete_analysis,
        store.update_analysis,
        store.export_analysis,
        store.load_visualization_state,
        store.delete_visualization_state,
        store.load_session,
        store.delete_session,
    ):
        with pytest.raises(UnsafeIdentifierError):
            method(identifier)


@given(st.text(st.characters(exclude_categories=()), max_size=140))
def test_an_identifier_never_leaves_its_folder(identifier: str) -> None:
    try:
        name = folder_name(check_identifier(identifier))
    except UnsafeIdentifierError:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,127}", name)
    assert ".." not in name


def test_similar_identifiers_have_different_folders() -> None:
    similar = [
        "con",
        "CON",
        "a b",
        "a-b",
        "A-b",
        "é",
        "e\u0301",
        "a.b",
        "a_b",
        "x" * 128,
        "X" * 128,
    ]
    assert len({folder_name(identifier).casefold() for identifier in similar}) == len(similar)


def test_what_is_not_there_is_named_with_what_is_near(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "early-layers")
    with pytest.raises(
        AnalysisNotFoundError,
        match=r"Analysis not found: 'early-layer'\. Did you mean 'early-layers'",
    ):
        store.load_analysis_results("early-layer")
    store.update_analysis("early-layers", name="Cat")
    for ask in (store.load_analysis_results, store.open_analysis, store.list_versions):
        with pytest.raises(AnalysisNotFoundError, match=r"'Cat', which is a name.*'early-layers'"):
            ask("Cat")
    with pytest.raises(VisualizationStateNotFoundError, match="Visualization state not found: 'x'"):
        store.load_visualization_state("x")
    with pytest.raises(SessionNotFoundError, match="Session not found: 'x'"):
        store.load_session("x")
    for error in (AnalysisNotFoundError, VisualizationStateNotFoundError, SessionNotFoundError):
        assert issubclass(error, NotFoundError)
        assert issubclass(error, ConceptFragmentationError)


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True])
def test_a_wrong_version_is_refused(store: Store, analysis: Analysis, version: Any) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    with pytest.raises(InvalidDataError, match="version"):
        store.load_analysis_results("mine", version=version)


@pytest.mark.parametrize("options", [{"max_versions": 0}, {"max_versions": "3"}, {"cache_ttl": -1}])
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataError, match=next(iter(options))):
        GPT2AnalysisPersistence(tmp_path, **options)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        GPT2AnalysisPersistence(tmp_path / "file" / "store")


def test_a_version_newer_than_the_code_is_named(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    path = store.base_dir / "analysis_results" / "mine" / "v000001.json"
    rest = (
        path.read_bytes().split(b"\n", 1)[1].replace(b'"format_version": 2', b'"format_version": 3')
    )
    path.write_bytes(b'{"checksum": "blake3:%s",\n' % blake3(rest).hexdigest().encode() + rest)
    with pytest.raises(UnsupportedFormatError, match="upgrade"):
        store.load_analysis_results("mine")


# Corruption


def test_a_flipped_bit_is_named_and_never_shown(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = store.base_dir / "analysis_results" / "mine"
    rng = np.random.default_rng(1)
    for path in sorted(folder.iterdir()):
        original = path.read_bytes()
        for position in {0, 1, 30, 100, len(original) - 1, *rng.integers(0, len(original), 60)}:
            damaged = bytearray(original)
            damaged[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            with pytest.raises(CorruptedFileError, match=path.name) as caught:
                store.load_analysis_results("mine")
            assert caught.value.path == str(path)
        path.write_bytes(original)
    store.load_analysis_results("mine")


@pytest.mark.parametrize("keep", [0, 8, 100, -1])
def test_a_torn_file_is_named(store: Store, analysis: Analysis, keep: int) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    for path in (store.base_dir / "analysis_results" / "mine").iterdir():
        original = path.read_bytes()
        path.write_bytes(original[:keep])
        with pytest.raises(CorruptedFileError, match=path.name):
            store.load_analysis_results("mine")
        path.write_bytes(original)


def test_a_missing_tensor_file_is_named(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    (path,) = (store.base_dir / "analysis_results" / "mine").glob("*.safetensors")
    path.unlink()
    with pytest.raises(CorruptedFileError, match=path.name):
        store.load_analysis_results("mine")


def test_an_older_version_loads_when_the_newest_is_damaged(
    store: Store, analysis: Analysis
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    (store.base_dir / "analysis_results" / "mine" / "v000002.json").write_bytes(b"")
    with pytest.raises(CorruptedFileError):
        store.load_analysis_results("mine")
    assert store.load_analysis_results("mine", 1)["metadata"]["version"] == 1


def test_a_document_is_json_that_a_person_can_read(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "the text", "mine", name="A name")
    text = (store.base_dir / "analysis_results" / "mine" / "v000001.json").read_text()
    document = json.loads(text)
    assert document["metadata"]["name"] == "A name"
    assert document["analysis_data"]["layers"] == ["embedding", "layer_0", "layer_1"]
    assert document["analysis_data"]["token_metadata"]["positions"] == list(range(8))
    assert '\n  "metadata": {\n' in text


# Visualization states and sessions


def test_visualization_states_are_saved_replaced_and_deleted(
    store: Store, analysis: Analysis, same: Same
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.save_analysis_results(analysis, "gpt2", "", "other")
    config = {"window": (0, 2), "threshold": float("inf"), 3: [1]}
    state = store.save_visualization_state("mine", config, "sankey")
    loaded = store.load_visualization_state(state)
    assert same(loaded["config"], config)
    assert (loaded["analysis_id"], loaded["visualization_type"]) == ("mine", "sankey")
    assert (loaded["state_id"], loaded["state_name"]) == (state, "default")
    assert store.save_visualization_state("mine", {"window": 1}, "sankey") == state
    assert store.load_visualization_state(state)["config"] == {"window": 1}
    named = store.save_visualization_state("mine", {}, "sankey", "a <b>name</b> / \ud800")
    other = store.save_visualization_state("other", {}, "sankey")
    assert {s["state_id"] for s in store.list_visualization_states()} == {state, named, other}
    listed = store.list_visualization_states("mine")
    assert [s["state_id"] for s in listed] == [named, state]
    assert "config" not in listed[0]
    store.delete_visualization_state(state)
    with pytest.raises(VisualizationStateNotFoundError):
        store.delete_visualization_state(state)
    store.delete_analysis("mine")
    assert [s["state_id"] for s in store.list_visualization_states()] == [other]


def test_a_state_needs_its_analysis(store: Store) -> None:
    with pytest.raises(AnalysisNotFoundError, match="Analysis not found: 'nobody'"):
        store.save_visualization_state("nobody", {}, "sankey")


def test_a_state_that_can_not_be_kept_is_refused(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    with pytest.raises(InvalidDataError, match=r"visualization_config\.f"):
        store.save_visualization_state("mine", {"f": print}, "sankey")
    assert store.list_visualization_states() == []


def test_a_session_keeps_analyses_together(store: Store, analysis: Analysis) -> None:
    for identifier in ("one", "two", "three"):
        store.save_analysis_results(analysis, "gpt2", "", identifier)
    session = store.create_session("My session", ["one"], notes="n", tags=["t"])
    store.update_session(session, add_analysis_ids=["two", "one"])
    loaded = store.load_session(session)
    assert loaded["session_name"] == "My session"
    assert loaded["analysis_ids"] == ["one", "two"]
    assert (loaded["notes"], loaded["tags"]) == ("n", ["t"])
    assert loaded["updated_at"] >= loaded["created_at"]
    store.update_session(session, analysis_ids=["three", "one"], session_name="New", notes="")
    assert store.load_session(session)["analysis_ids"] == ["three", "one"]
    store.delete_analysis("three")
    assert store.load_session(session)["missing_analysis_ids"] == ["three"]
    second = store.create_session("Second")
    assert [s["session_id"] for s in store.list_sessions()] == [second, session]
    store.delete_session(second)
    assert [s["session_name"] for s in store.list_sessions()] == ["New"]
    with pytest.raises(SessionNotFoundError):
        store.update_session(second, notes="x")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", []), InvalidDataError),
        (("name", "one"), InvalidDataError),
        (("name", [3]), InvalidDataError),
        (("name", ["nobody"]), AnalysisNotFoundError),
        (("name", ["a/b"]), UnsafeIdentifierError),
    ],
)
def test_a_wrong_session_is_refused(
    store: Store, arguments: tuple[Any, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        store.create_session(*arguments)
    assert store.list_sessions() == []


def test_a_damaged_session_is_left_out_of_the_list_and_named_on_load(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    session = store.create_session("one")
    store.create_session("two")
    path = store.base_dir / "sessions" / f"{session}.json"
    path.write_bytes(path.read_bytes()[:-10])
    assert [s["session_name"] for s in store.list_sessions()] == ["two"]
    assert path.name in caplog.text
    with pytest.raises(CorruptedFileError, match=path.name):
        store.load_session(session)
    store.delete_session(session)
    assert not path.exists()


def test_two_versions_are_compared(store: Store, analysis: Analysis) -> None:
    store.save_analysis_results(analysis, "gpt2", "text", "one", notes="first")
    changed = copy.deepcopy(analysis)
    changed["cluster_metrics"]["layer_0"]["purity"] = 1.0
    store.save_analysis_results(changed, "gpt2", "text", "one", notes="second")
    found = store.diff(("one", 1), "one")
    assert found.keys.changed == ("cluster_metrics.layer_0",)
    assert [(m.path, m.change) for m in found.metrics] == [("cluster_metrics.layer_0.purity", 0.25)]
    assert set(found.metadata.changed) == {"notes", "timestamp", "version"}
    assert store.diff("one", ("one", 2)).identical
    with pytest.raises(AnalysisNotFoundError, match="Version 3"):
        store.diff("one", ("one", 3))


def test_a_model_name_with_a_lone_surrogate_is_refused(store: Store, analysis: Analysis) -> None:
    with pytest.raises(InvalidDataError, match="model_name: a lone surrogate"):
        store.save_analysis_results(analysis, "gpt2\ud800", "")
    assert store.list_analyses() == []


def every_error(kind: type[ConceptFragmentationError]) -> Iterator[type[ConceptFragmentationError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from every_error(narrower)


def test_every_error_comes_whole_out_of_a_pool_of_processes() -> None:
    made: dict[type[Exception], Callable[[Any], Exception]] = {
        DifferentSizesError: lambda kind: kind(1500, 900),
        InvalidDataError: lambda kind: kind(["tokens: none", "layers: none"]),
        CorruptedFileError: lambda kind: kind("Corrupted file 'v.json'.", path="v.json"),
    }
    for kind in every_error(ConceptFragmentationError):
        make = next((made[known] for known in made if issubclass(kind, known)), None)
        error = kind("A sentence.") if make is None else make(kind)
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)
