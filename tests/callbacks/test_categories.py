"""The tokens of a category alone, as the page shows them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import pytest
from dash import Dash

from concept_fragmentation.analysis import UnknownChoiceError, analysis_from_labels
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.categories import NO_CATEGORIES, compared, table
from concept_fragmentation.callbacks.downloads import FRAMES, file_name
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.gestures import Controls
from concept_fragmentation.callbacks.overview import facts_of_window, stats_of_window
from concept_fragmentation.callbacks.python import python_of
from concept_fragmentation.callbacks.report import report_of
from concept_fragmentation.callbacks.states import restore_state, save_state
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import is_of_all_tokens
from concept_fragmentation.components.view import FIRST_EXAMPLE, View

NOUNS = View(only=("part_of_speech", "noun"))


@pytest.mark.slow
def test_every_part_of_the_page_is_of_these_tokens(workspace: Workspace) -> None:
    view = workspace.settle(NOUNS)
    frame = workspace.frame(view)
    kinds = workspace.shown(view).analysis.token_columns["part_of_speech"]
    assert len(frame) == kinds.count("noun") == 29
    assert {kinds[i] for i in frame.index} == {"noun"}
    (tokens,) = [stat for stat in stats_of_window(workspace, view) if stat.label == "Tokens"]
    assert (tokens.value, tokens.note[:32]) == ("29", "of 117: part_of_speech noun; all")
    assert sum(FRAMES[ids.PATHS](workspace, view)["tokens"]) == 29
    assert "29 tokens" in str(SOURCES[ids.SANKEY].draw(workspace, view, "light"))
    of_all = [fact for fact in facts_of_window(workspace, view) if "p = " in fact]
    assert of_all
    assert all(fact.startswith("Of all tokens: ") for fact in of_all)
    assert "part_of_speech-noun" in file_name(workspace, view, ids.SANKEY)


@pytest.mark.slow
def test_what_was_computed_of_all_tokens_is_never_shown_as_of_some(workspace: Workspace) -> None:
    every = workspace.settle(View())
    some = workspace.settle(NOUNS)
    assert workspace.window(every) is not workspace.window(some)
    assert workspace.shown(every).key != workspace.shown(some).key
    assert workspace.shown(some).analysis is workspace.shown(some).analysis
    assert workspace.shown(every).analysis.part is None


@pytest.mark.slow
def test_every_figure_is_drawn_of_a_category(workspace: Workspace) -> None:
    view = workspace.settle(replace(NOUNS, tokens=(3, 40)))
    every = view.of_all_tokens
    for figure_id, source in SOURCES.items():
        drawn = source.draw(workspace, view, "light")
        before = source.draw(workspace, every, "light")
        assert isinstance(drawn, go.Figure) == isinstance(before, go.Figure), figure_id
        if is_of_all_tokens(figure_id):
            assert str(drawn) == str(before), figure_id


@pytest.mark.slow
def test_the_python_of_a_figure_draws_the_same_tokens(workspace: Workspace) -> None:
    code = python_of(workspace, ids.TRAJECTORIES, workspace.settle(NOUNS), "light")
    assert "only_category(analysis, 'part_of_speech', ['noun'])" in code
    drawn: dict[str, Any] = {}
    exec(code.replace("figure.show()", ""), drawn)  # noqa: S102
    wanted = SOURCES[ids.TRAJECTORIES].draw(workspace, workspace.settle(NOUNS), "light")
    assert drawn["figure"] == wanted
    of_all = python_of(workspace, ids.ATTENTION_MATRIX, workspace.settle(NOUNS), "light")
    assert "only_category" not in of_all


@pytest.mark.slow
def test_a_report_says_of_which_tokens_it_is(workspace: Workspace) -> None:
    page = report_of(workspace, workspace.settle(NOUNS))
    assert "only tokens of" in page
    assert "part_of_speech noun" in page


def test_a_category_that_is_not_there_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(UnknownChoiceError, match="column: there is no 'x'"):
        workspace.settle(View(only=("x", "y")))
    known, said = workspace.with_known_category(View(only=("x", "y")))
    assert (known.only, said) == (
        (),
        "No column of categories is called 'x' here: all tokens are shown.",
    )
    known, said = workspace.with_known_category(View(only=("part_of_speech", "noun", "a", "b")))
    assert known == NOUNS
    assert said == "No token has the part_of_speech 'a' and 1 more, which the choice now lacks."
    assert workspace.with_known_category(NOUNS) == (NOUNS, "")


def test_a_saved_view_keeps_its_category(workspace: Workspace) -> None:
    data = analysis_from_labels(["a", "b"], [[0, 1], [1, 1]])
    data["token_metadata"]["kind"] = ["x", "y"]
    saved = workspace.store.save_analysis_results(data, "gpt2", "text", name="x")
    view = workspace.settle(View(analysis_id=saved, only=("kind", "x")))
    save_state(workspace, view, "these")
    (state,) = workspace.store.list_visualization_states(saved)
    assert restore_state(workspace, state["state_id"]).view == view
    # A later version has other categories.
    data["token_metadata"]["kind"] = ["z", "z"]
    workspace.store.save_analysis_results(data, "gpt2", "text", saved)
    newest = replace(view, version=2)
    workspace.store.save_visualization_state(saved, newest.to_dict(), "view", "later")
    later = workspace.store.list_visualization_states(saved)[0]
    restored = restore_state(workspace, later["state_id"])
    assert restored.view.only == ("kind",)
    assert "No token has the kind 'x'" in restored.sentence


def test_a_choice_of_another_column_takes_no_values_along() -> None:
    chosen = Controls(only_column="kind", only_values=["x"])
    assert chosen.apply(View(only=("kind",)), None, None).only == ("kind", "x")
    assert chosen.apply(View(only=("other", "x")), None, None).only == ("kind",)
    assert chosen.apply(View(), None, None).only == ("kind",)
    everything = Controls(only_column="", only_values=["x"])
    assert everything.apply(View(only=("kind", "x")), None, None).only == ()
    assert Controls().apply(View(only=("kind", "x")), None, None).only == ("kind", "x")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Dash:
    made = create_app(Settings(base_dir=tmp_path_factory.mktemp("store")))
    made.server.test_client().get("/_dash-dependencies")
    return made


def navigated(app: Dash, search: str) -> dict[str, Any]:
    """What the page does when it is opened at an address."""
    (output,) = [name for name in app.callback_map if f"{ids.ONLY_NOTE}.children" in name]
    made = app.callback_map[output]

    def sent(declared: dict[str, Any]) -> dict[str, Any]:
        value = search if declared["id"] == ids.LOCATION else None
        return {"id": declared["id"], "property": declared["property"], "value": value}

    body = {
        "output": output,
        "outputs": [one.to_dict() for one in made["output"]],
        "inputs": [sent(declared) for declared in made["inputs"]],
        "state": [sent(declared) for declared in made["state"]],
        "changedPropIds": [f"{ids.LOCATION}.search"],
    }
    answer = app.server.test_client().post(
        "/_dash-update-component", data=json.dumps(body), content_type="application/json"
    )
    found: dict[str, Any] = json.loads(answer.text)
    return found


@pytest.mark.slow
def test_an_address_shows_its_category_in_the_controls(app: Dash) -> None:
    answer = navigated(app, "?v=1&o=part_of_speech:noun:verb")["response"]
    assert answer[ids.ONLY_COLUMN]["value"] == "part_of_speech"
    assert answer[ids.ONLY_VALUES]["value"] == ["noun", "verb"]
    assert answer[ids.ONLY_NOTE]["children"].startswith("44 of 117 tokens: part_of_speech noun or")
    assert answer[ids.ONLY_FIELD]["hidden"] is False
    without = navigated(app, "")["response"]
    assert without[ids.ONLY_FIELD]["hidden"] is True
    assert without[ids.ONLY_COLUMN]["options"] == [{"label": "every category", "value": ""}]


def test_an_address_with_an_unknown_category_says_so_and_shows_the_rest(app: Dash) -> None:
    for only, said in (("x:y", "is called 'x' here"), ("part_of_speech:y", "part_of_speech 'y'")):
        answer = navigated(app, f"?v=1&w=0-2&o={only}")
        assert said in json.dumps(answer["sideUpdate"])
        assert "w=0-2" in answer["response"][ids.VIEW]["data"]
        assert answer["response"][ids.ONLY_NOTE]["children"] == ""


@pytest.mark.slow
def test_the_table_by_category_is_of_the_window_and_the_column(workspace: Workspace) -> None:
    view = workspace.settle(View(first=1, last=3))
    frame = FRAMES[ids.BY_CATEGORY](workspace, view)
    assert frame["tokens"].sum() == 116
    assert frame["tokens"].is_monotonic_decreasing
    shown, said = table(workspace, view)
    assert len(shown.rowData) == len(frame) == 10
    assert said.startswith("Entropy of clusters in block_3: ")
    nouns = FRAMES[ids.BY_CATEGORY](workspace, replace(view, only=("part_of_speech", "noun")))
    assert nouns["category"].tolist() == ["noun"]
    assert nouns["fragmentation"].tolist() == frame["fragmentation"][:1].tolist()
    assert compared(workspace, view) is compared(workspace, view)


def test_without_categories_or_labels_the_table_says_what_is_missing(workspace: Workspace) -> None:
    shown, said = table(workspace, workspace.settle(View(example=FIRST_EXAMPLE)))
    assert said == ""
    assert NO_CATEGORIES in str(shown)
    assert FRAMES[ids.BY_CATEGORY](workspace, View(example=FIRST_EXAMPLE)).empty


def test_an_unknown_column_to_compare_is_said_and_the_first_is_taken(workspace: Workspace) -> None:
    view, said = workspace.with_known_category(View(category="x", only=("part_of_speech", "noun")))
    assert (view.category, view.only) == (None, ("part_of_speech", "noun"))
    assert said == "No column of categories is called 'x' here: the first one is compared."
    assert workspace.with_known_category(View(category="part_of_speech"))[1] == ""
    assert workspace.with_known_category(View(category="x", only=("x", "y")))[0] == View()


def test_the_page_offers_the_columns_to_compare(app: Dash) -> None:
    answer = navigated(app, "?v=1")["response"]
    assert [one["value"] for one in answer[ids.BY_COLUMN]["options"]] == ["part_of_speech"]
    assert answer[ids.BY_COLUMN]["value"] == "part_of_speech"
    assert navigated(app, "")["response"][ids.BY_COLUMN] == {"options": [], "value": None}
