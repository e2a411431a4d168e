"""Requests that no page makes: every callback refuses them in words and changes nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dash import Dash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.analyze import outcome
from concept_fragmentation.callbacks.downloads import FRAMES
from concept_fragmentation.components import ids, thumbnail
from concept_fragmentation.components.parts import REPORT_ADDRESS
from concept_fragmentation.components.structure import TAB_NAMES
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.turns import Turns
from concept_fragmentation.persistence.unsaved import UnsavedAnalyses

ENDPOINT = "/_dash-update-component"
ANALYSIS = analysis_from_labels(
    ["<b>x</b>", " the", "the", "=1+1"],
    {"layer_0": [0, 0, 1, 1], "layer_1": [1, 1, 0, 0], "layer_2": [0, 1, 1, 1]},
    layers=["layer_0", "layer_1", "layer_2"],
)
ANALYSIS["token_metadata"]["kind"] = ["x", "%:", None, "x"]
# Requests name the one, and may well delete it; none of them names the other.
MINE, THEIRS = "mine", "theirs"


@dataclass(frozen=True)
class Site:
    """An application, its store, the callbacks that run on the server, and files to leave alone."""

    app: Dash
    store: GPT2AnalysisPersistence
    callbacks: dict[str, Any]
    theirs: dict[Path, bytes]

    def post(self, body: Any, query: str = "") -> TestResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.app.server.test_client().post(
            ENDPOINT + query, data=text, content_type="application/json"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("store")
    store = GPT2AnalysisPersistence(folder)
    store.save_analysis_results(ANALYSIS, "gpt2", "text", THEIRS, name="Theirs")
    store.save_visualization_state(THEIRS, {"first_layer": 0}, "token_sankey", "view")
    store.create_session("session", [THEIRS])
    theirs = {path: path.read_bytes() for path in folder.rglob("*.json") if THEIRS in str(path)}
    assert theirs
    app = create_app(Settings(base_dir=folder))
    app.server.test_client().get("/_dash-dependencies")
    callbacks = {name: made for name, made in app.callback_map.items() if "callback" in made}
    assert len(callbacks) > 70
    # What goes wrong is seen in the answer. The level is that of all our modules: it goes back.
    level = app.server.logger.level
    app.server.logger.setLevel(logging.CRITICAL)
    yield Site(app, store, callbacks, theirs)
    app.server.logger.setLevel(level)


def sent(declared: dict[str, Any], value: Any) -> Any:
    """A property as the page sends it."""
    name = json.loads(declared["id"]) if declared["id"].startswith("{") else declared["id"]
    if isinstance(name, dict) and ["ALL"] in name.values():
        one = {key: MINE if part == ["ALL"] else part for key, part in name.items()}
        return [{"id": one, "property": declared["property"], "value": value}]
    return {"id": name, "property": declared["property"], "value": value}


def request(site: Site, output: str, values: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A request to a callback in which only the values are not those of a page."""
    made = site.callbacks[output]
    inputs = [sent(declared, values(declared)) for declared in made["inputs"]]
    first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
    name = first["id"]
    if isinstance(name, dict):
        name = json.dumps(name, sort_keys=True, separators=(",", ":"))
    outputs = made["output"] if isinstance(made["output"], list) else [made["output"]]
    specs = [sent(declared.to_dict(), None) for declared in outputs]
    return {
        "output": output,
        "outputs": specs if isinstance(made["output"], list) else specs[0],
        "inputs": inputs,
        "state": [sent(declared, values(declared)) for declared in made["state"]],
        "changedPropIds": [f"{name}.{first['property']}"],
    }


HOSTILE = ["../../../etc/passwd", "..", "/demo", "/unsaved", "a/b", "\0", "\ud800", "x" * 9000]
WORDS = [MINE, "mine2", "node.0.9", "path", "cluster", "json", "", "0" * 32]
numbers = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([2**31, 2**53 + 1, -(2**63), 10**30, 0.5, -1.5, 1e308]),
    st.floats(),
)
integers = st.one_of(st.integers(-3, 12), st.sampled_from([2**31, 2**53, -(2**53)]))
texts = st.one_of(st.sampled_from([*WORDS, *HOSTILE]), st.text(max_size=9))
queries = st.builds(
    lambda parts: "?v=1" + "".join(f"&{key}={value}" for key, value in parts),
    st.lists(
        st.tuples(
            st.sampled_from([*"arwcmtpshlfbdog", "rb", "tab"]),
            st.one_of(
                st.sampled_from(["0-99", "2-0", "9.9.9", "node.0.9", "link.1.0.7", "0.1_1.0"]),
                st.sampled_from(["kind", "kind:x", "kind:x:%25%3A", "none:x", ":"]),
                st.sampled_from([MINE, "../x", "%00", "%ed%a0%80", "metric.x", *TAB_NAMES]),
                st.integers(-2, 10**9).map(str),
            ),
        ),
        max_size=5,
    ),
)
keys = st.sampled_from(["query", "key", "kind", "value", "type", "filter", "c0", "id", "data", "?"])
garbage = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, queries),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
conditions = st.fixed_dictionaries(
    {"type": st.sampled_from(["contains", "equals", "inRange", "?"]), "filter": garbage},
    optional={"filterTo": garbage, "operator": texts, "conditions": garbage},
)
# What a page might send as a property of a component, nearly: `id.property`, or any `.property`.
NEARLY: dict[str, st.SearchStrategy[Any]] = {
    ".n_clicks": st.just(1),
    ".search": queries,
    f"{ids.VIEW}.data": queries,
    f"{ids.ANALYSIS_VIEW}.data": queries,
    f"{ids.DESTINATION}.data": st.fixed_dictionaries({"query": queries, "key": texts}),
    f"{ids.PARTS}.data": st.fixed_dictionaries(
        {"tab": st.just("compare"), "queries": st.just({}), "layer": st.none() | texts}
    ),
    f"{ids.DOOMED}.data": st.fixed_dictionaries(
        {"analyses": st.lists(texts, max_size=3), "version": st.none() | numbers}
    ),
    f"{ids.LIBRARY_OPENED}.data": st.fixed_dictionaries({"id": texts, "key": numbers}),
    f"{ids.ANALYZE_OUTCOME}.data": st.fixed_dictionaries({"draft": texts}),
    f"{ids.GESTURES}.data": st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(
                    ["select", "path", "token", "layer", "span", "head", "window", "tab", "clear"]
                ),
                "value": st.lists(st.one_of(numbers, texts), max_size=4) | garbage,
                "n": st.integers(-1, 9),
            }
        ),
        max_size=3,
    ),
    f"{ids.LAYER_WINDOW}.value": st.lists(integers, min_size=2, max_size=2),
    f"{ids.FIND_TOKENS}.value": st.lists(st.integers(-3, 9), max_size=3),
    ".data": st.fixed_dictionaries({"query": queries, "theme": texts, "first": st.booleans()}),
    **{
        f"{control}.value": integers
        for control in (
            ids.MIN_COUNT,
            ids.HEAT_SOURCE,
            ids.HEAT_TARGET,
            ids.ATTENTION_LAYER,
            ids.ATTENTION_HEAD,
            ids.ATTENTION_THRESHOLD,
            ids.OTHER_VERSION,
            ids.LOAD_VERSION,
        )
    },
    ".value": texts,
    ".search_value": texts,
    ".filename": texts,
    ".contents": st.sampled_from(
        ["data:;base64,eyJhIjoxfQ==", "data:;base64,gASVAAAu", "data:;base64,/w==", "AAAA", ","]
    ),
    ".selectedRows": st.lists(st.fixed_dictionaries({"id": texts}), min_size=1, max_size=3),
    ".cellValueChanged": st.fixed_dictionaries(
        {
            "colId": st.sampled_from(["name", "tags", "notes", "id"]),
            "value": garbage,
            "data": st.fixed_dictionaries({"id": st.sampled_from([*HOSTILE, "mine2"]) | garbage}),
        }
    ),
    ".getRowsRequest": st.fixed_dictionaries(
        {"startRow": integers, "endRow": integers},
        optional={
            "sortModel": st.lists(
                st.fixed_dictionaries({"colId": texts | st.just("c1"), "sort": texts}), max_size=2
            ),
            "filterModel": st.dictionaries(
                st.sampled_from(["c0", "c1", "c99"]), conditions | garbage, max_size=2
            ),
        },
    ),
}


def nearly(data: st.DataObject, declared: dict[str, Any]) -> Any:
    """A value that is what the page might send, or anything."""
    wanted = f"{declared['id']}.{declared['property']}"
    plausible = NEARLY.get(wanted, NEARLY.get(f".{declared['property']}", garbage))
    return data.draw(garbage if data.draw(st.integers(0, 15)) == 0 else plausible)


@pytest.mark.slow
@pytest.mark.soak
def test_values_that_no_page_sends_end_in_words_and_harm_nothing(site: Site, soaking: bool) -> None:
    # Started in a process of its own; what it does with a form is tested below.
    outputs = sorted(set(site.callbacks) - {f"{ids.ANALYZE_OUTCOME}.data"})

    @settings(
        max_examples=2000 if soaking else 160,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(data=st.data())
    def try_values(data: st.DataObject) -> None:
        if not site.store.list_analyses(name_prefix=MINE):
            site.store.save_analysis_results(ANALYSIS, "gpt2", "text", MINE, name=MINE)
        output = data.draw(st.sampled_from(outputs))
        answer = site.post(request(site, output, lambda declared: nearly(data, declared)))
        assert answer.status_code in {200, 204}, answer.text
        assert {path: path.read_bytes() for path in site.theirs} == site.theirs
        assert [version["version"] for version in site.store.list_versions(THEIRS)] == [1]

    try_values()


def right(site: Site, output: str) -> dict[str, Any]:
    """A request as a page makes it, with nothing chosen."""
    return request(site, output, lambda _: None)


def test_the_requests_of_these_tests_are_those_of_a_page(site: Site) -> None:
    """Guard the tests below: they would pass if nothing was ever let through."""
    for output in site.callbacks:
        if output != f"{ids.ANALYZE_OUTCOME}.data":
            assert site.post(right(site, output)).status_code in {200, 204}, output


def _without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


def _first(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return body | {"inputs": [body["inputs"][0] | changes, *body["inputs"][1:]]}


MALFORMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nothing": lambda _: "",
    "no JSON": lambda _: "{",
    "a list": lambda _: [],
    "nested too deep": lambda _: "[" * 100_000 + "]" * 100_000,
    "a number of a million digits": lambda _: "1" * 1_000_000,
    "no output": lambda body: _without(body, "output"),
    "no inputs": lambda body: _without(body, "inputs"),
    "another callback": lambda body: body | {"output": "window.location"},
    "a callback of the browser": lambda body: body | {"output": f"{ids.THEME}.data"},
    "another output": lambda body: body | {"outputs": {"id": ids.SAVE, "property": "children"}},
    "outputs that are none": lambda body: body | {"outputs": 7},
    "one input too many": lambda body: body | {"inputs": [*body["inputs"], body["inputs"][0]]},
    "another input": lambda body: _first(body, id=ids.SAVE_NAME),
    "another property": lambda body: _first(body, property="style"),
    "a pattern for a name": lambda body: _first(body, id={"type": ids.TAB, "index": 1}),
    "a list for a name": lambda body: _first(body, id=[ids.VIEW]),
    "a change of something else": lambda body: body | {"changedPropIds": ["{}.n_clicks"]},
    "a change of nothing": lambda body: body | {"changedPropIds": [None]},
}


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("output", ["analysis-bar.children", "summary.children"])
def test_a_request_that_is_none_is_refused(site: Site, output: str, kind: str) -> None:
    answer = site.post(MALFORMED[kind](right(site, output)))
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_a_pattern_takes_components_of_its_kind_only(site: Site) -> None:
    output = next(
        name
        for name, made in site.callbacks.items()
        if made["inputs"][0]["id"].startswith("{") and "ALL" in made["inputs"][0]["id"]
    )
    body = right(site, output)
    ((one,),) = body["inputs"]
    assert site.post(body).status_code == 204
    for wrong in (
        [[one | {"id": {"type": "other", "index": "x"}}]],
        [[one | {"id": {"type": ids.SESSION_LOAD}}]],
        [[one | {"id": {"type": ids.SESSION_LOAD, "index": ["x"]}}]],
        [one],
    ):
        assert site.post(body | {"inputs": wrong, "changedPropIds": []}).status_code == 400


@pytest.mark.parametrize("query", ["?cacheKey=x~%C3%A9", "?job=1", "?oldJob=1~x", "?cancelJob=é~é"])
def test_a_job_that_was_not_handed_out_can_not_be_named(site: Site, query: str) -> None:
    body = right(site, f"{ids.ANALYZE_CANCEL}.id")
    assert site.post(body, query).status_code in {200, 204, 400}


@settings(derandomize=True)
@given(query=queries, figure_id=st.sampled_from(sorted(FRAMES)))
@pytest.mark.slow
def test_any_address_of_data_is_answered(site: Site, query: str, figure_id: str) -> None:
    client = site.app.server.test_client()
    figure = f"figure/{figure_id}"
    for path in (f"{figure}.csv", f"{figure}.html", thumbnail.ADDRESS):
        answer = client.get(f"/{path}{query}")
        assert answer.status_code in {200, 400, 404}, answer.text


@pytest.mark.parametrize("query", [f"a={MINE}&w=0-99&t=9.9&s=node.0.9&h=5-7", "a=../x", "a=%00"])
def test_any_address_of_a_report_is_answered(site: Site, query: str) -> None:
    answer = site.app.server.test_client().get(f"/{REPORT_ADDRESS}?v=1&{query}")
    assert answer.status_code in {200, 400, 404}, answer.text


def test_an_address_that_is_no_text_is_answered(site: Site) -> None:
    environment = {"QUERY_STRING": b"a=\xff".decode("latin-1")}
    client = site.app.server.test_client()
    for path in (f"figure/{ids.SANKEY}.csv", thumbnail.ADDRESS, REPORT_ADDRESS):
        answer = client.get(f"/{path}", environ_overrides=environment)
        assert answer.status_code in {200, 404}


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2fmetadata", "x", "%00", ".", "%ed%a0%80"])
def test_only_exports_are_handed_out(site: Site, name: str) -> None:
    answer = site.app.server.test_client().get(f"/exports/{name}")
    assert answer.status_code in {308, 400, 404} or "<title>" in answer.text


@settings(derandomize=True)
@given(
    form=st.one_of(
        garbage,
        st.fixed_dictionaries(
            {
                "text": texts,
                "reading": texts,
                "model": st.sampled_from(["other", "", *HOSTILE]),
                "other_model": st.sampled_from(["", "a b", "a/b/c", *HOSTILE]) | garbage,
                "clusters": numbers,
                "choose_k": st.sampled_from(["number", "auto", "gap"]),
                "layers": texts,
                "attention": texts,
                "seed": numbers,
            }
        ),
    )
)
def test_a_form_that_no_page_sends_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, form: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "unsaved"
    turns = Turns(folder.with_name("turns"))
    made = outcome(UnsavedAnalyses(folder), turns, form, lambda _: None)
    assert made.get("failure", "").endswith(".")
    assert not folder.exists()
