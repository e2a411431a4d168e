"""An open analysis gives each part, verified, without reading the others."""

from __future__ import annotations

import resource
import shutil
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import Analysis, LazyArray, UnknownChoiceError, with_token_paths
from concept_fragmentation.persistence import (
    AnalysisNotFoundError,
    CorruptedFileError,
    GPT2AnalysisPersistence,
    InvalidAnalysisError,
    NotFoundError,
)

Store = GPT2AnalysisPersistence
Data = dict[str, Any]
FORMAT_1 = Path(__file__).parent / "data" / "format_1"


def wide_analysis(layers: int = 3, tokens: int = 160, heads: int = 4, **more: Any) -> Data:
    """With attention that is larger than a chunk, and causal."""
    rng = np.random.default_rng(3)
    names = [f"layer_{i}" for i in range(layers)]
    weights = np.tril(rng.random((layers, heads, tokens, tokens), dtype=np.float32))
    return {
        "model_type": "gpt2",
        "layers": names,
        "token_metadata": {"tokens": [f"token {i}" for i in range(tokens)]},
        "cluster_labels": {name: rng.integers(0, 5, tokens).tolist() for name in names},
        "attention_data": {
            name: {"head_agreement": i / 7, "entropy": [0.5, 1.5], "attention_probs": weights[i]}
            for i, name in enumerate(names)
        },
        "cluster_metrics": {name: {"purity": i / 3} for i, name in enumerate(names)},
        **more,
    }


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("layers", [3, 20])
def test_each_part_is_what_a_full_load_gives(
    store: Store, compress: bool, layers: int, same: Callable[[Any, Any], bool]
) -> None:
    """Twenty layers with the same keys are stored as a table, three are not."""
    data = wide_analysis(layers)
    store.save_analysis_results(data, "gpt2", "text", "mine", compress=compress)
    store.update_analysis("mine", name="renamed")
    with store.open_analysis("mine") as opened:
        assert opened.metadata == store.load_analysis_results("mine")["metadata"]
        assert opened.metadata["name"] == "renamed"
        assert opened.tokens == tuple(data["token_metadata"]["tokens"])
        assert (opened.labels == Analysis.from_dict(data).labels).all()
        for layer in data["layers"]:
            whole = data["attention_data"][layer]["attention_probs"]
            assert same(np.array(opened.attention(layer)), whole)
            assert same(np.array(opened.attention(layer, 2)), whole[2])
        assert list(opened.layer_metrics.index) == data["layers"]
        assert opened.layer_metrics.loc["layer_1"].to_dict() == {
            "purity": 1 / 3,
            "head_agreement": 1 / 7,
            "entropy.0": 0.5,
            "entropy.1": 1.5,
        }
        assert same(opened.to_dict()["analysis_data"], data)
    assert "'mine' version 1: 160 tokens" in repr(opened)


def test_paths_are_those_given_or_computed(store: Store, analysis: Data) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "given")
    given = store.open_analysis("given").paths
    for name in analysis["token_paths"]["0"]:
        expected = [record[name] for record in analysis["token_paths"].values()]
        assert all(
            ours == theirs or (theirs is None and np.isnan(ours))
            for ours, theirs in zip(given[name], expected, strict=True)
        )
    assert list(given.columns) == list(analysis["token_paths"]["0"])
    bare = wide_analysis()
    store.save_analysis_results(bare, "gpt2", "", "computed")
    computed = store.open_analysis("computed").paths
    made = with_token_paths(bare)["token_paths"]
    assert list(computed.index) == list(made)
    assert list(computed["cluster_path"]) == [r["cluster_path"] for r in made.values()]
    assert list(computed["mobility_score"]) == [r["mobility_score"] for r in made.values()]


def test_missing_values_are_nan_in_columns_of_floats(store: Store) -> None:
    data = with_token_paths(wide_analysis())
    assert {record["path_length"] for record in data["token_paths"].values()} == {None}
    data["cluster_metrics"]["layer_0"]["silhouette"] = None
    data["cluster_metrics"]["layer_1"] |= {"silhouette": None, "stability": None}
    data["cluster_metrics"]["layer_2"] = {"stability": 0.25}
    store.save_analysis_results(data, "gpt2", "", "mine")
    with store.open_analysis("mine") as opened:
        assert opened.paths["path_length"].dtype == np.float64
        assert opened.paths["path_length"].isna().all()
        assert opened.layer_metrics["purity"].isna().tolist() == [False, False, True]
        table = opened.metrics()
        assert set(map(str, table.dtypes)) == {"int64", "float64"}
        assert table["purity"].tolist()[:2] == [0, 1 / 3]
        assert table["silhouette"].isna().all()
        assert np.array_equal(table["reproducibility"], [np.nan, np.nan, 0.25], equal_nan=True)
        assert "stability" not in table
        assert table["head_agreement"].tolist() == [0, 1 / 7, 2 / 7]
        assert table["attention_entropy"].tolist() == [1, 1, 1]
        tokens = opened.metrics("token", ("layer_0", 1))
        assert tokens["path_length"].dtype == np.float64
        assert tokens["token"].tolist() == data["token_metadata"]["tokens"]
        whole = Analysis.from_dict(data).aligned.labels
        changes = (whole[:, 0] != whole[:, 1]).astype(int)
        assert tokens["cluster_changes"].tolist() == changes.tolist()
        members = opened.members("layer_1", 3)
        expected = np.flatnonzero(opened.labels[:, 1] == 3)
        assert members.index.tolist() == expected.tolist()
        assert members["token"].tolist() == [opened.tokens[i] for i in expected]
        for ask, said in (
            (lambda: opened.metrics("tokens"), "of: there is no 'tokens', only layer, token"),  # type: ignore[arg-type]
            (lambda: opened.metrics("layer", (0, 1)), "a window is for metrics"),
            (lambda: opened.metrics("token", (0, 9)), "window: 0 to 9 is not within the 3"),
            (lambda: opened.members("layer_7", 0), "layer: there is no 'layer_7', only layer_0"),
            (lambda: opened.members(-1, 99), "cluster: there is no 99 in layer_2"),
        ):
            with pytest.raises(UnknownChoiceError, match=said):
                ask()


def test_weights_are_of_a_layer_by_name_or_position(store: Store) -> None:
    store.save_analysis_results(wide_analysis(), "gpt2", "", "mine")
    with store.open_analysis("mine") as opened:
        named = opened.attention("layer_2", 1)
        for layer in (2, -1, np.int64(2)):
            assert (opened.attention(layer, np.int16(1)) == named).all()
        for layer in (3, -4, True, 1.0):
            with pytest.raises(UnknownChoiceError, match="layer: "):
                opened.attention(layer)  # type: ignore[arg-type]
        for head in (True, 1.0, -1):
            with pytest.raises(NotFoundError, match="heads 0 to 3"):
                opened.attention(0, head)  # type: ignore[arg-type]


def test_weights_in_lists_and_in_other_dtypes_are_given_too(store: Store) -> None:
    data = wide_analysis(2, 20, 3)
    weights = data["attention_data"]["layer_0"]["attention_probs"].astype(np.float64)
    data["attention_data"]["layer_0"]["attention_probs"] = weights.tolist()
    swapped = data["attention_data"]["layer_1"]["attention_probs"].astype(">f4")
    data["attention_data"]["layer_1"]["attention_probs"] = swapped
    store.save_analysis_results(data, "gpt2", "", "mine")
    opened = store.open_analysis("mine")
    assert (opened.attention("layer_0", 1) == weights[1]).all()
    assert (opened.attention("layer_1", 1) == swapped[1]).all()
    assert opened.attention("layer_1").dtype == np.dtype(">f4")


def test_what_is_not_there_is_named(store: Store) -> None:
    data = wide_analysis(2)
    del data["attention_data"]["layer_1"]
    store.save_analysis_results(data, "gpt2", "", "mine")
    opened = store.open_analysis("mine")
    with pytest.raises(NotFoundError, match=r"layer 'layer_1'.*\['layer_0'\]"):
        opened.attention("layer_1")
    with pytest.raises(NotFoundError, match="heads 0 to 3"):
        opened.attention("layer_0", 4)
    with pytest.raises(AnalysisNotFoundError):
        store.open_analysis("mine", 7)
    with pytest.raises(AnalysisNotFoundError):
        store.open_analysis("yours")


def test_arrays_can_not_be_written_to_and_outlive_the_handle(store: Store) -> None:
    data = wide_analysis()
    store.save_analysis_results(data, "gpt2", "", "mine")
    with store.open_analysis("mine") as opened:
        head = opened.attention("layer_0", 0)
    store.delete_analysis("mine")
    assert (head == data["attention_data"]["layer_0"]["attention_probs"][0]).all()
    with pytest.raises(ValueError, match="read-only"):
        head[0, 0] = 1


@pytest.mark.parametrize("compress", [False, True])
def test_a_damaged_head_is_refused_and_the_others_are_shown(store: Store, compress: bool) -> None:
    """Each head is 1 MiB here, so a chunk is a head."""
    data = wide_analysis(1, 512, 4)
    store.save_analysis_results(data, "gpt2", "", "mine", compress=compress)
    weights = data["attention_data"]["layer_0"]["attention_probs"]
    folder = store.base_dir / "analysis_results" / "mine"
    path = max(folder.iterdir(), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 8] ^= 16
    path.write_bytes(content)
    opened = store.open_analysis("mine")
    refused = []
    for head in range(4):
        try:
            assert (opened.attention("layer_0", head) == weights[head]).all()
        except CorruptedFileError as error:
            assert error.path == str(path)
            refused.append(head)
    assert refused == [1]
    with pytest.raises(CorruptedFileError):
        opened.attention("layer_0")


def test_a_store_of_format_1_opens(tmp_path: Path, same: Callable[[Any, Any], bool]) -> None:
    shutil.copytree(FORMAT_1, tmp_path / "old")
    store = GPT2AnalysisPersistence(tmp_path / "old")
    (listed,) = store.list_analyses()
    assert (listed["name"], listed["num_versions"]) == ("Renamed", 2)
    for version in (1, 2):
        loaded = store.load_analysis_results("small", version)
        with store.open_analysis("small", version) as opened:
            for layer in loaded["analysis_data"]["layers"]:
                weights = loaded["analysis_data"]["attention_data"][layer]["attention_probs"]
                assert same(np.array(opened.attention(layer, 1)), weights[1])
    (state,) = store.list_visualization_states("small")
    assert store.load_visualization_state(state["state_id"])["config"] == {"window": (0, 1)}
    assert store.list_sessions()[0]["analysis_ids"] == ["small"]
    before = store.load_analysis_results("small")["analysis_data"]
    store.compress_analysis("small")
    assert same(store.load_analysis_results("small")["analysis_data"], before)
    store.save_analysis_results(before, "gpt2", "", "small")
    store.delete_analysis("small", 2)
    assert same(store.load_analysis_results("small")["analysis_data"], before)


# Sharing and compression


def stored_bytes(store: Store) -> int:
    return sum(p.stat().st_size for p in (store.base_dir / "analysis_results").rglob("*.*"))


def test_a_version_with_a_changed_note_costs_kilobytes(
    store: Store, real_analysis: Data, same: Callable[[Any, Any], bool]
) -> None:
    data = with_token_paths(real_analysis) | {
        "hidden": np.random.default_rng(0).normal(size=(10_000, 64)),
    }
    store.save_analysis_results(data, "gpt2", "", "mine")
    one = stored_bytes(store)
    assert one > 5_000_000
    store.save_analysis_results(data, "gpt2", "", "mine", notes="changed")
    assert stored_bytes(store) - one < 16_000
    store.delete_analysis("mine", 1)
    assert same(store.load_analysis_results("mine")["analysis_data"], data)
    assert store.list_analyses()[0]["size_bytes"] == stored_bytes(store)


def test_a_changed_array_is_stored_and_the_others_are_shared(store: Store) -> None:
    data = wide_analysis(3, 160, 4)
    store.save_analysis_results(data, "gpt2", "", "mine")
    one = stored_bytes(store)
    changed = wide_analysis(3, 160, 4)
    changed["attention_data"]["layer_1"]["attention_probs"] = np.zeros((4, 160, 160), np.float32)
    store.save_analysis_results(changed, "gpt2", "", "mine")
    assert 4 * 160 * 160 * 4 < stored_bytes(store) - one < 1.1 * 4 * 160 * 160 * 4
    store.delete_analysis("mine", 2)
    # Only what no other version needs goes with it.
    assert stored_bytes(store) == one


def test_what_is_shared_is_verified_first_and_mended(store: Store) -> None:
    data = wide_analysis()
    store.save_analysis_results(data, "gpt2", "", "mine")
    folder = store.base_dir / "analysis_results" / "mine"
    path = max(folder.iterdir(), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptedFileError):
        store.load_analysis_results("mine")
    store.save_analysis_results(data, "gpt2", "", "mine")
    for version in (1, 2):
        store.load_analysis_results("mine", version)


def test_compressed_causal_attention_takes_less_than_half(
    store: Store, same: Callable[[Any, Any], bool]
) -> None:
    data = wide_analysis(2, 256, 4)
    store.save_analysis_results(data, "gpt2", "", "mine")
    plain = stored_bytes(store)
    store.compress_analysis("mine")
    assert stored_bytes(store) < plain / 2
    assert store.list_analyses()[0]["size_bytes"] == stored_bytes(store)
    assert same(store.load_analysis_results("mine")["analysis_data"], data)
    store.compress_analysis("mine")
    # The next version shares what is compressed.
    store.save_analysis_results(data, "gpt2", "", "mine")
    assert stored_bytes(store) < plain / 2
    store.save_analysis_results(data, "gpt2", "", "other", compress=True)
    assert same(store.load_analysis_results("other")["analysis_data"], data)
    with pytest.raises(AnalysisNotFoundError):
        store.compress_analysis("nobody")


def test_a_damaged_version_is_not_compressed(store: Store) -> None:
    store.save_analysis_results(wide_analysis(), "gpt2", "", "mine")
    folder = store.base_dir / "analysis_results" / "mine"
    path = max(folder.iterdir(), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptedFileError, match=path.name):
        store.compress_analysis("mine")
    assert path.exists()
    assert not list(folder.glob("*.zst"))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("layers", [3, 20])
def test_the_lazy_data_are_what_a_full_load_gives(
    store: Store, compress: bool, layers: int, same: Callable[[Any, Any], bool]
) -> None:
    data = with_token_paths(wide_analysis(layers))
    rng = np.random.default_rng(1)
    data["hidden_states"] = {
        name: rng.normal(size=(160, 90)).astype(np.float16) for name in data["layers"]
    }
    data["drawn"] = np.array([[1 + 2j, 3], [4, 5j]] * 200)
    data["nested"] = rng.normal(size=(200, 3)).tolist()
    store.save_analysis_results(data, "gpt2", "text", "mine", compress=compress)
    with store.open_analysis("mine") as opened:
        weights = opened.data["attention_data"]["layer_1"]["attention_probs"]
        assert isinstance(weights, LazyArray)
        assert isinstance(opened.data["drawn"], LazyArray)
        assert isinstance(opened.data["nested"], LazyArray)
        assert same(np.asarray(opened.data["nested"]).tolist(), data["nested"])
        assert same(read(opened.data) | {"nested": data["nested"]}, data)
        found = opened.analysis
        assert (weights[2] == data["attention_data"]["layer_1"]["attention_probs"][2]).all()
    whole = Analysis.from_dict(data)
    assert found.tokens == whole.tokens
    assert (found.labels == whole.labels).all()
    assert found.cluster_metrics == whole.cluster_metrics
    with store.open_analysis("mine") as opened:
        assert same(dict(opened.analysis.hidden_states), data["hidden_states"])
        metrics = opened.analysis.token_metrics
        assert np.array_equal(metrics.path_length, whole.token_metrics.path_length)


def read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: read(item) for key, item in value.items()}
    return np.asarray(value) if isinstance(value, LazyArray) else value


def test_many_threads_read_one_handle(store: Store) -> None:
    data = wide_analysis(2, 512, 4)
    store.save_analysis_results(data, "gpt2", "", "mine", compress=True)
    with store.open_analysis("mine") as opened, ThreadPoolExecutor(8) as pool:
        asked = [(f"layer_{i % 2}", i % 4) for i in range(64)]
        for (layer, head), found in zip(
            asked, pool.map(lambda one: opened.attention(*one), asked), strict=True
        ):
            assert (found == data["attention_data"][layer]["attention_probs"][head]).all()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_a_head_does_not_hold_the_others(store: Store) -> None:
    """32 heads of 4 MiB each; looking at all of them one after the other keeps one."""
    weights = np.zeros((32, 1024, 1024), np.float32)
    weights[:, 0, 0] = np.arange(32)
    data = {
        "model_type": "gpt2",
        "layers": ["layer_0"],
        "token_metadata": {"tokens": ["a"] * 1024},
        "attention_data": {"layer_0": {"attention_probs": weights}},
    }
    store.save_analysis_results(data, "gpt2", "", "mine")
    del weights, data
    with store.open_analysis("mine") as opened:
        opened.attention("layer_0", 0)
        before = resident()
        for head in range(32):
            assert opened.attention("layer_0", head)[0, 0] == head
        assert resident() - before < 16 * 2**20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.parametrize("compress", [False, True])
def test_what_lazy_arrays_give_is_written_to_without_touching_the_file(
    store: Store, same: Callable[[Any, Any], bool], compress: bool
) -> None:
    rng = np.random.default_rng(1)
    data = wide_analysis() | {
        "hidden_states": {"layer_0": rng.random((160, 40), dtype=np.float32)},
        "half": rng.random((200, 300)).astype(np.float16),
        "complex": np.full((10, 20), 1 + 2j),
        "flat": np.arange(20_000.0),
        "empty": np.zeros((0, 4)),
    }
    store.save_analysis_results(data, "gpt2", "", "mine", compress=compress)
    root = store.base_dir / "analysis_results" / "mine"
    before = {path: path.read_bytes() for path in root.iterdir()}
    with store.open_analysis("mine") as opened:
        lazy = opened.data
        for array in (
            np.asarray(lazy["hidden_states"]["layer_0"]),
            lazy["hidden_states"]["layer_0"][3],
            np.asarray(lazy["half"]),
            np.asarray(lazy["complex"]),
            lazy["flat"],
            np.asarray(lazy["attention_data"]["layer_0"]["attention_probs"]),
        ):
            assert array.flags.writeable
            array[...] = 0
        assert np.asarray(lazy["empty"]).shape == (0, 4)
        # What is read next is what is stored.
        assert same(np.asarray(lazy["hidden_states"]["layer_0"]), data["hidden_states"]["layer_0"])
        assert opened.attention("layer_0", 0).any()
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    assert store.verify() == []


def test_scikit_learn_and_torch_take_what_a_handle_gives(store: Store) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    torch = pytest.importorskip("torch")
    states = np.random.default_rng(1).random((160, 40), dtype=np.float32)
    data = wide_analysis() | {"hidden_states": {"layer_0": states}}
    store.save_analysis_results(data, "gpt2", "", "mine")
    with store.open_analysis("mine") as opened, warnings.catch_warnings():
        warnings.simplefilter("error")
        lazy = opened.data["hidden_states"]["layer_0"]
        found = cluster.KMeans(2, n_init=1, random_state=0).fit_predict(lazy)
        expected = cluster.KMeans(2, n_init=1, random_state=0).fit_predict(states.copy())
        assert (found == expected).all()
        assert (torch.from_numpy(np.asarray(lazy)).numpy() == states).all()
        assert (torch.from_numpy(lazy[0]).numpy() == states[0]).all()


def test_lazy_data_and_loaded_structures_are_saved_again(
    store: Store, tmp_path: Path, same: Callable[[Any, Any], bool]
) -> None:
    data = wide_analysis() | {
        "hidden_states": {"layer_0": np.ones((160, 40), dtype=np.float32)},
        "nested": [[i + j for i in range(40)] for j in range(3)],
    }
    store.save_analysis_results(data, "gpt2", "text", "mine", {"own": (1, 2)}, tags=["t"])
    elsewhere = GPT2AnalysisPersistence(tmp_path / "elsewhere")
    with store.open_analysis("mine") as opened:
        for given, own in (
            (opened.data, {}),
            (opened, {"own": (1, 2)}),
            (opened.to_dict(), {"own": (1, 2)}),
            (store.load_analysis_results("mine"), {"own": (1, 2)}),
            ({"analysis_data": opened.data, "metadata": opened.metadata}, {"own": (1, 2)}),
        ):
            for target in (store, elsewhere):
                saved = target.save_analysis_results(given, "gpt2-xl", "other text")
                loaded = target.load_analysis_results(saved)
                assert same(loaded["analysis_data"], data)
                assert loaded["metadata"]["model_name"] == "gpt2-xl"
                assert loaded["metadata"]["tags"] == []
                assert loaded["metadata"].get("own", ()) == own.get("own", ())
        assert Analysis.from_dict(opened).tokens == opened.tokens
        replaced = store.save_analysis_results(opened, "m", "", metadata={"other": 1})
    metadata = store.load_analysis_results(replaced)["metadata"]
    assert metadata["other"] == 1
    assert "own" not in metadata
    with pytest.raises(InvalidAnalysisError, match="model_type"):
        store.save_analysis_results({"analysis_data": {}}, "gpt2", "")
