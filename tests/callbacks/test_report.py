"""The report holds whatever the page shows of an analysis, and nothing in it is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from concept_fragmentation.app import Settings, create_app, demo_analysis
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.callbacks.report import report_of
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


class Read(HTMLParser):
    """What a browser would make of a page: its elements, and its text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.cdata_elem is None:
            self.text += f"{data} "

    @property
    def figures(self) -> dict[str, Any]:
        parts = json.loads(self.scripts[-3])

        def whole(value: dict[str, Any]) -> Any:
            return parts[value["$part"]] if "$part" in value else value

        found: dict[str, Any] = json.loads(self.scripts[-2], object_hook=whole)
        return found

    @property
    def placed(self) -> list[str | None]:
        return [at["data-figure"] for _, at in self.elements if "data-figure" in at]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    store = GPT2AnalysisPersistence(tmp_path_factory.mktemp("library"))
    data = demo_analysis()["analysis_data"]
    store.save_analysis_results(data, "gpt2", "text", "before")
    labels = data["cluster_labels"]["block_2"]
    moved = data["cluster_labels"] | {"block_2": [*labels[1:], labels[0]]}
    bare = {key: value for key, value in data.items() if key != "token_paths"}
    store.save_analysis_results(bare | {"cluster_labels": moved}, "gpt2", "text", "moved")
    return Workspace(store)


def test_every_figure_is_in_the_report_in_both_themes(library: Workspace) -> None:
    view = library.settle(View(tokens=(1, 8), selection=("node", 0, 0), other="moved"))
    page = Read(report_of(library, view))
    assert sorted(map(str, page.placed)) == sorted(SOURCES)
    for figure_id, source in SOURCES.items():
        for theme in ("light", "dark"):
            drawn = json.loads(source.draw(library, view, theme).to_json())  # type: ignore[union-attr]
            assert page.figures[figure_id][theme] == drawn, figure_id


def test_what_figures_have_alike_in_both_themes_is_in_the_report_once(library: Workspace) -> None:
    view = library.settle(View())
    drawn = SOURCES[ids.ATTENTION_MATRIX].draw(library, view, "light")
    weights = json.loads(drawn.to_json())["data"][0]["z"]["bdata"]  # type: ignore[union-attr]
    assert report_of(library, view).count(json.dumps(weights).replace("/", "\\u002f")) == 1


def test_the_report_says_what_is_known_and_what_was_chosen(library: Workspace) -> None:
    view = library.settle(
        View(analysis_id="before", first=1, last=3, tokens=(8,), layer=2, head=1, threshold=5)
    )
    text = re.sub(r"\s+", " ", Read(report_of(library, view)).text)
    assert "version 1" in text
    assert "layer window block_1 to block_3, 3 layers" in text
    assert "highlighted tokens ·the 8" in text
    assert "attention block_2, head 1" in text
    assert "attention flow from 5%" in text
    assert "analysis id before" in text
    assert "options, seed 0" in text
    assert "The most frequent path is that of" in text
    purity = demo_analysis()["analysis_data"]["cluster_metrics"]["block_1"]["purity"]
    assert f"{purity:.3f}" in text
    # Nobody chose what to compare with.
    assert "side by side" not in text


def test_numbers_are_read_below_each_other_and_words_from_the_left(library: Workspace) -> None:
    page = report_of(library, library.settle(View(analysis_id="before")))
    heads = re.findall(r'<th scope="col"( class="number")?>([^<]*)</th>', page)
    right = {name for number, name in heads if number}
    assert right >= {"tokens", "share", "value", "mean", "purity", "cluster entropy (nats)"}
    assert right.isdisjoint({"path", "such as", "metric", "meaning", "layer"})
    assert '<td class="number">7</td>' in page


def test_what_an_analysis_lacks_is_named_once(library: Workspace) -> None:
    bare = {"model_type": "gpt2", "layers": ["a", "b"], "token_metadata": {"tokens": ["x"]}}
    library.store.save_analysis_results(bare, "gpt2", "", "bare")
    page = Read(report_of(library, library.settle(View(analysis_id="bare"))))
    assert page.placed == []
    text = re.sub(r"\s+", " ", page.text)
    why = "This analysis has no attention data. Analyze the text again with"
    names = "attention matrix, attention rollout, attention flow, rollout of a token"
    assert f"No {names}. {why}" in text
    # Once in each of the two views that need it.
    assert text.count(why) == 2


def test_no_text_of_a_user_is_markup(library: Workspace) -> None:
    layers = [f"{HOSTILE}{i}" for i in range(3)]
    hostile = {
        "model_type": HOSTILE,
        "layers": layers,
        "token_metadata": {"tokens": [HOSTILE] * 4, HOSTILE: [HOSTILE] * 4},
        "cluster_labels": {layer: [0, 1, i % 2, 1] for i, layer in enumerate(layers)},
        "provenance": {HOSTILE: HOSTILE},
    }
    library.store.save_analysis_results(
        hostile, HOSTILE, HOSTILE, "hostile", name=HOSTILE, tags=[HOSTILE], notes=HOSTILE
    )
    view = View(analysis_id="hostile", tokens=(0, 1), other="hostile", colour_by=f"token.{HOSTILE}")
    html = report_of(library, library.settle(view))
    page = Read(html)
    assert "img" not in {tag for tag, _ in page.elements}
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert "\u202e" not in html
    assert page.text.count("<img") > 5
    assert page.figures[ids.SANKEY]


def test_the_server_hands_the_report_out(store: GPT2AnalysisPersistence, saved: str) -> None:
    client = create_app(Settings(base_dir=store.base_dir)).server.test_client()
    answer = client.get("/report.html" + View(analysis_id=saved).to_query())
    assert answer.status_code == 200
    assert f"report-{saved}.html" in answer.headers["Content-Disposition"]
    assert "<h1>first run</h1>" in answer.text
    gone = client.get("/report.html" + View(analysis_id="gone").to_query())
    assert gone.status_code == 404
    assert "gone" in gone.text
