"""`serve --models`: who may open which folders of models, and that nobody learns their path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import flask
import pytest
from click.testing import CliRunner

from concept_fragmentation import app as application
from concept_fragmentation.app import Settings, SettingsError, create_app
from concept_fragmentation.callbacks import analyze, report
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.cli import main
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.model_folders import ModelFolders

TINY = Path(application.__file__).with_name("data") / "tiny_gpt2"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(TINY, tmp_path / "secret" / "models" / "mine")
    return tmp_path / "secret" / "models"


def offered(settings: Settings) -> list[str]:
    """Return the values of the models that a page offers."""
    server: flask.Flask = create_app(settings).server
    layout = json.loads(server.test_client().get("/_dash-layout").data)

    def find(part: Any) -> Any:
        if isinstance(part, dict):
            if part.get("props", {}).get("id") == ids.ANALYZE_MODEL:
                return part["props"]["options"]
            part = list(part.values())
        if isinstance(part, list):
            return next(filter(None, map(find, part)), None)
        return None

    return [option["value"] for option in find(layout)]


@pytest.mark.slow
def test_models_that_are_there_when_the_page_is_opened_are_offered(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "folder:mine" in offered(Settings(tmp_path / "store", models=models))
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_MODELS", str(models))
    assert Settings.from_environment().models == models
    assert not any(value.startswith("folder:") for value in offered(Settings(tmp_path / "store")))


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no folder"):
        create_app(Settings(tmp_path / "store", models=tmp_path / "none"))
    result = CliRunner().invoke(main, ["serve", "--models", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "does not exist" in result.output


@pytest.mark.parametrize(
    ("settings", "host", "alone"),
    [
        (Settings(), "127.0.0.1", True),
        (Settings(), "localhost", True),
        (Settings(), "::1", True),
        (Settings(), "0.0.0.0", False),  # noqa: S104
        (Settings(proxies=1), "127.0.0.1", False),
        (Settings(prefix="/user/ada"), "127.0.0.1", False),
        (Settings(prefix="/"), "127.0.0.1", True),
        (Settings(names=("host.example",)), "127.0.0.1", False),
        (Settings(users=Path("users.json")), "127.0.0.1", False),
    ],
)
def test_only_who_is_on_this_machine_alone_may_name_folders(
    settings: Settings, host: str, alone: bool
) -> None:
    assert application._is_alone(settings, host) is alone


def test_a_prefix_of_the_environment_means_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASH_REQUESTS_PATHNAME_PREFIX", "/user/ada/proxy/8050/")
    assert not application._is_alone(Settings(), "127.0.0.1")


@pytest.mark.slow
def test_an_analysis_by_an_offered_model_says_nothing_of_its_path(
    models: Path, tmp_path: Path
) -> None:
    folders = ModelFolders(below=models)
    workspace = Workspace(GPT2AnalysisPersistence(tmp_path / "store"), models=folders)
    form = {
        **{"text": "The dog saw the cat.", "reading": "text", "model": "folder:mine"},
        **{"other_model": None, "clusters": 2, "choose_k": "number", "layers": "", "seed": 0},
        "attention": "none",
    }
    turns = workspace.turns("analyze")
    made = analyze.outcome(workspace.unsaved, turns, form, lambda _: None, folders)
    view = workspace.settle(View(draft=made["draft"]))
    shown = workspace.shown(view)
    assert "mine" in shown.name
    known = dict(report._provenance(workspace, view))
    assert str(models) not in str(known) + shown.name
    assert any("models/mine" in str(value) for value in known.values())
