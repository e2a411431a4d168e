from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from flask import Flask

from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.origin import settings_facts
from concept_fragmentation.components.view import FIRST_EXAMPLE, View
from concept_fragmentation.persistence import (
    AnalysisNotFoundError,
    CorruptedFileError,
    GPT2AnalysisPersistence,
    UnsafeIdentifierError,
)


def test_the_two_stories_say_that_they_are_not_of_gpt2(workspace: Workspace) -> None:
    shown = workspace.shown(View())
    assert shown.is_example
    assert not shown.is_saved
    assert "not GPT-2" in shown.name


def test_the_first_view_is_the_overview_of_gpt2_small(workspace: Workspace) -> None:
    view = workspace.settle(View.from_query(""))
    shown = workspace.shown(view)
    assert shown.is_example
    assert (view.tab, shown.analysis.num_tokens, shown.analysis.num_layers) == (
        "overview",
        10_000,
        12,
    )
    assert workspace.shown(view) is shown


def test_an_unknown_example_is_refused_with_the_known_ones(workspace: Workspace) -> None:
    with pytest.raises(AnalysisNotFoundError, match="no example 'x'; choose one of gpt2-small"):
        workspace.settle(View.from_query("?v=1&e=x"))


def test_the_view_of_a_saved_analysis_names_no_example(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved, example=FIRST_EXAMPLE))
    assert view == workspace.settle(View(analysis_id=saved))
    assert "e=" not in View(analysis_id=saved, example=FIRST_EXAMPLE).to_query()


def test_a_view_without_a_version_is_pinned_to_the_newest(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    workspace.store.save_analysis_results(analysis, "gpt2", "text", saved)
    assert workspace.settle(View(analysis_id=saved)).version == 2
    assert workspace.settle(View(analysis_id=saved, version=1)).version == 1


def test_a_head_is_drawn_without_reading_the_others(
    workspace: Workspace, store: GPT2AnalysisPersistence
) -> None:
    """Of four heads of a mebibyte each, three are damaged, as is every other layer."""
    weights = np.tril(np.random.default_rng(0).random((3, 4, 512, 512), dtype=np.float32))
    data = {
        "model_type": "gpt2",
        "layers": ["a", "b", "c"],
        "token_metadata": {"tokens": ["x"] * 512},
        "attention_data": {layer: {"attention_probs": weights[i]} for i, layer in enumerate("abc")},
    }
    saved = store.save_analysis_results(data, "gpt2", "")
    files = {}
    for path in (store.base_dir / "analysis_results" / saved).glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        layer = next(i for i in range(3) if bytes(content[-4:]) == weights[i].tobytes()[-4:])
        files[layer] = path
        for head in range(4):
            if (layer, head) != (1, 2):
                content[len(content) - (4 - head) * 2**20 + 5] ^= 1
        path.write_bytes(content)
    assert len(files) == 3
    draw = SOURCES[ids.ATTENTION_MATRIX].draw
    shown = draw(workspace, workspace.settle(View(analysis_id=saved, layer=1, head=2)), "light")
    assert not isinstance(shown, str)
    for layer, head in ((1, 3), (0, 2), (1, None)):
        view = workspace.settle(View(analysis_id=saved, layer=layer, head=head))
        with pytest.raises(CorruptedFileError, match=files[layer].name):
            draw(workspace, view, "light")


def test_a_deleted_analysis_is_not_shown_from_memory(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved))
    assert workspace.window(view) is not None
    # Another process deletes it.
    GPT2AnalysisPersistence(workspace.store.base_dir).delete_analysis(saved)
    with pytest.raises(AnalysisNotFoundError):
        workspace.shown(view)


def test_an_id_that_was_given_again_shows_the_new_analysis(
    workspace: Workspace, saved: str, analysis: dict[str, Any]
) -> None:
    view = workspace.settle(View(analysis_id=saved))
    assert workspace.shown(view).analysis.tokens[1] == " the"
    workspace.store.delete_analysis(saved)
    metadata = analysis["token_metadata"] | {"tokens": ["new"] * 8}
    again = analysis | {"token_metadata": metadata}
    workspace.store.save_analysis_results(again, "gpt2", "text", saved)
    assert workspace.shown(view).analysis.tokens[1] == "new"


def test_a_new_name_is_shown_at_once(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved))
    assert workspace.shown(view).name == "first run"
    workspace.store.update_analysis(saved, name="renamed")
    assert workspace.shown(view).name == "renamed"


def test_many_threads_share_one_window(workspace: Workspace, saved: str) -> None:
    view = workspace.settle(View(analysis_id=saved))
    with ThreadPoolExecutor(8) as pool:
        windows = list(pool.map(lambda _: workspace.window(view), range(32)))
    assert len({id(window) for window in windows}) == 1


@pytest.mark.parametrize("analysis_id", ["../etc/passwd", "a/b", "", "x" * 500])
def test_a_hostile_address_is_refused_in_words(workspace: Workspace, analysis_id: str) -> None:
    view = View.from_query(View(analysis_id=analysis_id).to_query())
    if view.analysis_id is None:
        return
    with pytest.raises((UnsafeIdentifierError, AnalysisNotFoundError)):
        workspace.settle(view)


def test_an_analysis_without_labels_has_no_window(
    workspace: Workspace, store: GPT2AnalysisPersistence
) -> None:
    bare = {"model_type": "gpt2", "layers": ["a"], "token_metadata": {"tokens": ["x"]}}
    view = workspace.settle(View(analysis_id=store.save_analysis_results(bare, "gpt2", "")))
    assert workspace.window(view) is None
    assert workspace.frame(view).empty


def test_a_request_that_changes_nothing_asks_the_store_once(
    workspace: Workspace, saved: str, analysis: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def list_versions(analysis_id: str) -> list[dict[str, Any]]:
        asked.append(analysis_id)
        return GPT2AnalysisPersistence.list_versions(workspace.store, analysis_id)

    monkeypatch.setattr(workspace.store, "list_versions", list_versions)
    view, server = View(analysis_id=saved), Flask("a server")
    with server.test_request_context():
        workspace.hold()
        assert workspace.settle(view).version == 1
        workspace.store.save_analysis_results(analysis, "gpt2", "text", analysis_id=saved)
        assert workspace.settle(view).version == 1
        assert asked == [saved]
    with server.test_request_context():
        assert workspace.settle(view).version == 2
        assert workspace.settle(view).version == 2
        assert asked == [saved] * 3


def test_what_made_an_analysis_is_known_wherever_it_stands(workspace: Workspace) -> None:
    view = workspace.settle(View())
    shown = workspace.shown(view)
    assert "provenance" not in shown.metadata
    assert settings_facts(shown.known) == ["k = 7", "seed 0"]


def test_the_text_of_a_saved_analysis_is_whole(
    workspace: Workspace, analysis: dict[str, Any]
) -> None:
    text = "word " * 1000
    saved = workspace.store.save_analysis_results(analysis, "gpt2", text)
    assert workspace.shown(View(analysis_id=saved)).metadata["input_text"] == text
