"""Walk through everything that the store can do, on the demo analysis that ships.

    python examples/gpt2_persistence_demo.py             in a folder that is thrown away
    python examples/gpt2_persistence_demo.py --dir kept  in a folder that stays

Each step prints what it did. Nothing is assumed but an installed `concept_fragmentation`.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.cluster.vq import kmeans2

from concept_fragmentation.analysis import Analysis, analysis_from_labels, layer_window
from concept_fragmentation.persistence import (
    ConceptFragmentationError,
    GPT2AnalysisPersistence,
    load_gpt2_analysis,
    save_gpt2_analysis,
)


def demo() -> tuple[dict[str, Any], str, str]:
    """Return the analysis that ships, its model's name and its text.

    Hidden states and attention weights become arrays, as a model gives them.
    """
    file = resources.files("concept_fragmentation").joinpath("data", "demo_analysis.json")
    loaded = json.loads(file.read_text(encoding="utf-8"))
    analysis = loaded["analysis_data"]
    analysis["hidden_states"] = {
        layer: np.array(state, dtype=np.float32)
        for layer, state in analysis["hidden_states"].items()
    }
    for of_layer in analysis["attention_data"].values():
        of_layer["attention_probs"] = np.array(of_layer["attention_probs"], dtype=np.float32)
    metadata = loaded["metadata"]
    return analysis, metadata["model_name"], metadata["input_text"]


def clustered_again(analysis: Mapping[str, Any], clusters: int) -> dict[str, Any]:
    """Return the analysis with k-means run again on its hidden states."""
    states = analysis["hidden_states"]
    labels = {
        layer: kmeans2(state, clusters, minit="++", seed=0)[1] for layer, state in states.items()
    }
    return analysis_from_labels(
        analysis["token_metadata"]["tokens"],
        labels,
        model_type=analysis["model_type"],
        layers=analysis["layers"],
        hidden_states=states,
        attention_data=analysis["attention_data"],
    )


def same(left: object, right: object) -> bool:
    """Whether two analyses are equal, arrays and all."""
    try:
        np.testing.assert_equal(left, right)
    except AssertionError:
        return False
    return True


def paths_of(loaded: Mapping[str, Any]) -> int:
    """Return how many different paths the tokens of a loaded analysis take."""
    analysis = Analysis.from_dict(loaded["analysis_data"])
    return len(layer_window(analysis, 0, len(analysis.labelled_layers) - 1).paths)


def refused(what: str, action: Callable[[], object]) -> None:
    """Do what must fail, and print the error."""
    try:
        action()
    except ConceptFragmentationError as error:
        print(f"  {what}\n    {type(error).__name__}: {error}")
    else:
        raise AssertionError(f"not refused: {what}")


def save_and_load(store: GPT2AnalysisPersistence) -> str:
    """Save an analysis with a name, tags, notes and metadata, and load it."""
    print("\nSave and load")
    analysis, model_name, text = demo()
    analysis_id = store.save_analysis_results(
        analysis,
        model_name,
        text,
        metadata={"seed": 7, "quantiles": (0.25, 0.75), "loss": float("nan")},
        name="River and bank",
        tags=["demo", "small"],
        notes="Seven clusters in every layer.",
    )
    loaded = store.load_analysis_results(analysis_id)
    info = loaded["model_info"]
    print(f"  saved as {analysis_id}")
    print(f"  loaded {info['num_tokens']} tokens, {info['num_layers']} layers")
    print(f"  equal to what was saved: {same(loaded['analysis_data'], analysis)}")
    own = {key: loaded["metadata"][key] for key in ("seed", "quantiles", "loss")}
    print(f"  metadata of our own, as it was: {own}")
    return analysis_id


def versions(store: GPT2AnalysisPersistence, analysis_id: str) -> None:
    """Save two more versions; the store keeps the newest two of each analysis."""
    print("\nVersions")
    first = store.load_analysis_results(analysis_id)
    metadata = first["metadata"]
    print(f"  version 1: {paths_of(first)} paths; {metadata['notes']}")
    for clusters, notes in ((5, "Five clusters."), (4, "Four clusters.")):
        again = clustered_again(first["analysis_data"], clusters)
        model_name, text = metadata["model_name"], metadata["input_text"]
        store.save_analysis_results(again, model_name, text, analysis_id, notes=notes)
    for version in reversed(store.list_versions(analysis_id)):
        loaded = store.load_analysis_results(analysis_id, version["version"])
        print(f"  version {version['version']}: {paths_of(loaded)} paths; {version['notes']}")
    print(f"  kept of three: {[v['version'] for v in store.list_versions(analysis_id)]}")


def find(store: GPT2AnalysisPersistence, analysis_id: str) -> str:
    """Change name and tags, save a second analysis, and find both."""
    print("\nUpdate, list, search, tags")
    store.update_analysis(analysis_id, name="River and bank, k-means", tags=["demo", "checked"])
    analysis, model_name, text = demo()
    other_id = save_gpt2_analysis(
        clustered_again(analysis, clusters=3), model_name, text, persistence_manager=store
    )
    store.update_analysis(other_id, name="Three clusters", tags=["demo"])
    found = load_gpt2_analysis(other_id, persistence_manager=store)["metadata"]
    print(f"  saved and loaded in one call each: {found['name']}")
    for title, entries in (
        ("all, newest first", store.list_analyses()),
        ("the newest", store.list_analyses(limit=1)),
        (f"model {model_name!r}", store.list_analyses(model_name)),
        ("search 'river K-MEANS'", store.list_analyses(search="river K-MEANS")),
        ("tag 'checked'", store.list_analyses(tag="checked")),
    ):
        print(f"  {title}: {'; '.join(entry['name'] for entry in entries)}")
    return other_id


def states(store: GPT2AnalysisPersistence, analysis_id: str) -> list[str]:
    """Save two views of the analysis; the dashboard offers them by name."""
    print("\nVisualization states")
    early = {"first_layer": 0, "last_layer": 2, "colour_by": "cluster", "min_count": 2}
    late = {"first_layer": 3, "last_layer": 5, "colour_by": "path", "highlighted_tokens": [1, 14]}
    state_ids = [
        store.save_visualization_state(analysis_id, config, "token_sankey", name)
        for name, config in (("early layers", early), ("river, late layers", late))
    ]
    for state in store.list_visualization_states(analysis_id):
        print(f"  {state['state_name']}: {state['state_id']}")
    restored = store.load_visualization_state(state_ids[1])["config"]
    print(f"  restored as it was: {restored == late}")
    return state_ids


def sessions(store: GPT2AnalysisPersistence, analysis_id: str, other_id: str) -> str:
    """Keep analyses together."""
    print("\nSessions")
    session_id = store.create_session("How many clusters?", [analysis_id], tags=["k-means"])
    store.update_session(session_id, add_analysis_ids=[other_id], notes="k = 3, 4, 5")
    session = store.load_session(session_id)
    print(
        f"  {session['session_name']} {session['notes']}: {len(session['analysis_ids'])} analyses"
    )
    print(f"  sessions: {', '.join(entry['session_name'] for entry in store.list_sessions())}")
    return session_id


def export_and_import(
    store: GPT2AnalysisPersistence, elsewhere: GPT2AnalysisPersistence, analysis_id: str
) -> None:
    """Export in every format and import into another store; import a bare analysis too."""
    print("\nExport and import")
    saved = store.load_analysis_results(analysis_id)["analysis_data"]
    for export_format in ("json", "csv", "pickle"):
        path = Path(store.export_analysis(analysis_id, export_format))
        copy_id = elsewhere.import_analysis(path, name=f"from {export_format}")
        equal = same(elsewhere.load_analysis_results(copy_id)["analysis_data"], saved)
        views = len(elsewhere.list_visualization_states(copy_id))
        print(f"  {export_format}: exports/{path.name}; comes back equal: {equal}, {views} views")
        if path.is_dir():
            print(f"    {', '.join(sorted(file.name for file in path.iterdir()))}")
    older = store.export_analysis(
        analysis_id,
        include_visualizations=False,
        output_path=store.exports_dir / "older.json",
        version=2,
    )
    print(f"  version 2 without its views: exports/{Path(older).name}")
    by_hand = {
        "model_type": "gpt2",
        "layers": ["layer_0", "layer_1"],
        "token_metadata": {"tokens": [" the", "=1+1", "<b>x</b>"]},
        "cluster_labels": {"layer_0": [0, 1, 1], "layer_1": [2, 2, 0]},
    }
    file = elsewhere.exports_dir / "by_hand.json"
    file.write_text(json.dumps(by_hand), encoding="utf-8")
    bare_id = elsewhere.import_analysis(file, name="Written by hand")
    print(f"  a bare JSON analysis: {elsewhere.load_analysis_results(bare_id)['metadata']['name']}")


def cache(store: GPT2AnalysisPersistence, analysis_id: str) -> None:
    """Look into the cache of loaded versions, and empty it."""
    print("\nCache")
    store.cache.clear()
    before = store.cache.get_stats()
    store.load_analysis_results(analysis_id)
    store.load_analysis_results(analysis_id)
    after = store.cache.get_stats()
    misses, hits = after["misses"] - before["misses"], after["hits"] - before["hits"]
    print(f"  loaded twice: {misses} miss, {hits} hit, {after['size']} entry")
    print(f"  older than a day: {store.cleanup_cache(max_age_hours=24)} removed")
    print(f"  older than now: {store.cleanup_cache(max_age_hours=0)} removed")
    store.load_analysis_results(analysis_id)
    store.cache.clear()
    print(f"  cleared: {store.cache.get_stats()['size']} entries")


def errors(
    store: GPT2AnalysisPersistence, elsewhere: GPT2AnalysisPersistence, analysis_id: str
) -> None:
    """Do what is refused; each error says what is wrong and what to do."""
    print("\nErrors")
    analysis, model_name, text = demo()
    layers = analysis["layers"]
    broken = {**analysis, "layers": [*layers, layers[0]], "cluster_labels": {"x": [0]}}
    refused("a mistyped id", lambda: store.load_analysis_results(f"{analysis_id}0"))
    refused(
        "an analysis that contradicts itself",
        lambda: store.save_analysis_results(broken, model_name, text),
    )
    refused(
        "metadata under a name of the store's own",
        lambda: store.save_analysis_results(analysis, model_name, text, metadata={"version": 1}),
    )
    refused(
        "an id that leaves the folder",
        lambda: store.save_analysis_results(analysis, model_name, text, "../elsewhere"),
    )
    refused(
        "a store in a place that is a file",
        lambda: GPT2AnalysisPersistence(store.exports_dir / "older.json"),
    )
    refused("a format there is not", lambda: store.export_analysis(analysis_id, "xlsx"))
    refused(
        "a pickle that names a function",
        lambda: elsewhere.import_bytes("bad.pkl", pickle.dumps({"analysis_data": print})),
    )
    copy_id = elsewhere.list_analyses(search="from json")[0]["analysis_id"]
    arrays = next((elsewhere.base_dir / "analysis_results" / copy_id).glob("*.safetensors"))
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    elsewhere.cache.clear()
    refused("one flipped bit on disk", lambda: elsewhere.load_analysis_results(copy_id))


def delete(
    store: GPT2AnalysisPersistence,
    analysis_id: str,
    other_id: str,
    state_ids: list[str],
    session_id: str,
) -> None:
    """Delete a version, an analysis, a view and a session."""
    print("\nDelete")
    store.delete_analysis(analysis_id, version=2)
    print(f"  version 2; left: {[v['version'] for v in store.list_versions(analysis_id)]}")
    store.delete_visualization_state(state_ids[0])
    left = [state["state_name"] for state in store.list_visualization_states(analysis_id)]
    print(f"  a view; left: {left}")
    store.delete_analysis(other_id)
    missing = store.load_session(session_id)["missing_analysis_ids"]
    print(f"  an analysis; the session reports it missing: {missing == [other_id]}")
    store.delete_session(store.create_session("by mistake"))
    print(f"  a session; left: {[entry['session_name'] for entry in store.list_sessions()]}")
    refused("the deleted analysis", lambda: store.load_analysis_results(other_id))


def walk(folder: Path, other_folder: Path) -> None:
    """Walk through everything with a store in `folder` and one to import into."""
    store = GPT2AnalysisPersistence(folder, max_versions=2)
    elsewhere = GPT2AnalysisPersistence(other_folder, memory_only=True)
    print(f"The store is {store.base_dir}")
    analysis_id = save_and_load(store)
    versions(store, analysis_id)
    other_id = find(store, analysis_id)
    state_ids = states(store, analysis_id)
    session_id = sessions(store, analysis_id, other_id)
    export_and_import(store, elsewhere, analysis_id)
    cache(store, analysis_id)
    errors(store, elsewhere, analysis_id)
    delete(store, analysis_id, other_id, state_ids, session_id)


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that stays.  [default: one that is thrown away]",
)
def main(directory: Path | None) -> None:
    """Walk through everything that the store can do."""
    with tempfile.TemporaryDirectory() as folder:
        walk(directory or Path(folder, "store"), Path(folder, "elsewhere"))
    if directory is not None:
        print(f"\nLook at it: concept-fragmentation serve --dir {directory}")


if __name__ == "__main__":
    main()
