"""Whatever goes wrong on a server, who is elsewhere reads no path of its machine."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from dash import Dash

from concept_fragmentation.analysis import ModelUnavailableError, analysis_from_labels
from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.analyze import outcome
from concept_fragmentation.callbacks.messages import public
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import REPORT_ADDRESS
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.model_folders import ModelFolders
from concept_fragmentation.users import Users

pytestmark = pytest.mark.slow

# An absolute path of a folder that machines have, and what lies in it.
PATH = re.compile(r"(?<![\w.~/-])/(?:tmp|home|root|usr|work|var|etc|opt|private)/[\w.-]+")
QUERY = View(analysis_id="mine").to_query()
FILE = f"data:x;base64,{base64.b64encode(b'not an analysis').decode()}"


@pytest.fixture
def store(tmp_path: Path) -> GPT2AnalysisPersistence:
    store = GPT2AnalysisPersistence(tmp_path / "secret" / "store")
    labels = {"a": [0, 0, 1], "b": [1, 0, 1]}
    store.save_analysis_results(
        analysis_from_labels(["x", "y", "z"], labels, hidden_states={}), "gpt2", "", "mine"
    )
    return store


def damage(folder: Path) -> None:
    for file in (folder / "analysis_results").rglob("*.json"):
        file.write_bytes(b"damaged")


def hide(folder: Path) -> None:
    """Put folders in the place of files, which even root can't read as such."""
    for file in (folder / "analysis_results").rglob("*.json"):
        file.unlink()
        file.mkdir()


def block(folder: Path) -> None:
    """Put files in the place of folders."""
    for name in ("exports", "visualizations", "sessions", "analysis_results/mine"):
        shutil.rmtree(folder / name)
        (folder / name).write_bytes(b"")


def value(declared: dict[str, Any]) -> Any:
    """Return what a page might send as a property of a component."""
    name = declared["id"]
    if declared["property"] == "n_clicks":
        return 1
    if ids.FIGURE_VIEW in name:
        return {"query": QUERY, "theme": "light"}
    return {
        f"{ids.IMPORT}.contents": FILE,
        f"{ids.IMPORT}.filename": "mine.json",
        f"{ids.EXPORT_FORMAT}.value": "json",
        f"{ids.VIEW}.data": QUERY,
        f"{ids.ANALYSIS_VIEW}.data": QUERY,
        f"{ids.LOCATION}.search": QUERY,
    }.get(f"{name}.{declared['property']}")


def sent(declared: dict[str, Any]) -> Any:
    name = json.loads(declared["id"]) if declared["id"].startswith("{") else declared["id"]
    if isinstance(name, dict) and ["ALL"] in name.values():
        one = {key: "mine" if part == ["ALL"] else part for key, part in name.items()}
        return [{"id": one, "property": declared["property"], "value": value(declared)}]
    return {"id": name, "property": declared["property"], "value": value(declared)}


def bodies(app: Dash) -> Iterator[dict[str, Any]]:
    """Return a request to each callback of the server, but to those in the background."""
    for output, made in app.callback_map.items():
        if "callback" not in made or made.get("background"):
            continue
        outputs = made["output"] if isinstance(made["output"], list) else [made["output"]]
        specs = [sent(one.to_dict()) for one in outputs]
        inputs = [sent(one) for one in made["inputs"]]
        first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
        name = first["id"]
        if isinstance(name, dict):
            name = json.dumps(name, sort_keys=True, separators=(",", ":"))
        yield {
            "output": output,
            "outputs": specs if isinstance(made["output"], list) else specs[0],
            "inputs": inputs,
            "state": [sent(one) for one in made["state"]],
            "changedPropIds": [f"{name}.{first['property']}"],
        }


@pytest.mark.parametrize(
    ("harm", "failures"), [(damage, 30), (hide, 30), (block, 5)], ids=["damage", "hide", "block"]
)
def test_no_callback_and_no_route_names_a_path(
    store: GPT2AnalysisPersistence, tmp_path: Path, harm: Callable[[Path], None], failures: int
) -> None:
    app = create_app(Settings(store.base_dir))
    client = app.server.test_client()
    client.get("/_dash-dependencies")
    store.export_analysis("mine", "csv")
    harm(store.base_dir)
    answers = {
        body["output"]: client.post("/_dash-update-component", json=body).text
        for body in bodies(app)
    }
    for path in ("exports/mine.csv", REPORT_ADDRESS, f"figure/{ids.SANKEY}.csv", "thumbnail.svg"):
        answers[path] = client.get(f"/{path}{QUERY}").text
    said = [text for text in answers.values() if "danger" in text]
    assert len(said) >= failures
    for output, text in answers.items():
        assert str(tmp_path) not in text, output
        assert sys.prefix not in text, output
        assert not PATH.search(text), output


def test_a_model_that_may_not_be_opened_is_named_without_its_folder(
    store: GPT2AnalysisPersistence, tmp_path: Path
) -> None:
    server: flask.Flask = create_app(Settings(store.base_dir, models=tmp_path)).server
    folders = ModelFolders(below=tmp_path)
    with server.app_context():
        for name in (str(tmp_path / "secret"), "../secret", "/etc/ssl", str(Path.cwd())):
            with pytest.raises(ModelUnavailableError) as refused:
                folders.named(name)
            assert not PATH.search(public(str(refused.value)))
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "config.json").write_text("{")
        workspace = Workspace(store, models=folders)
        form = {"text": "a b", "model": "folder:broken"}
        failed = outcome(
            workspace.unsaved, workspace.turns("x"), form, lambda *_: None, workspace.models
        )
        assert not PATH.search(public(failed["failure"]))


def test_the_page_of_the_sign_in_names_no_path(
    store: GPT2AnalysisPersistence, tmp_path: Path
) -> None:
    file = tmp_path / "secret" / "users.json"
    Users(file).set_password("ada", "a password of length")
    client = create_app(Settings(store.base_dir, users=file)).server.test_client()
    file.write_bytes(b"{")
    answer = client.post("/sign-in", data={"name": "ada", "password": "a password of length"})
    assert answer.status_code == 503
    assert "users.json" in answer.text
    assert not PATH.search(answer.text)
