"""Which folders of models the page opens: names and paths that lead elsewhere are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from concept_fragmentation.analysis.errors import ModelUnavailableError
from concept_fragmentation.persistence.model_folders import ModelFolders


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def below(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    model(models / "small")
    model(models / "team" / "large")
    (models / "notes").mkdir()
    outside = model(tmp_path / "outside")
    (models / "link").symlink_to(outside)
    # A model whose weights lie elsewhere.
    (model(models / "half") / "model.safetensors").symlink_to(outside / "config.json")
    return models


def test_models_below_a_folder_are_offered_by_name(below: Path) -> None:
    folders = ModelFolders(below=below)
    assert folders.names() == ["small", "team/large"]
    assert folders.offered("small") == (below / "small").resolve()
    assert folders.offered("team/large") == (below / "team" / "large").resolve()
    assert ModelFolders().names() == []


ELSEWHERE = "  . .. ../outside small/../../outside link half notes none /etc small\0 ~ team"


@pytest.mark.parametrize("name", ELSEWHERE.split(" "))
def test_names_that_lead_elsewhere_are_refused(below: Path, name: str) -> None:
    with pytest.raises(ModelUnavailableError, match="choose another") as caught:
        ModelFolders(below=below).offered(name)
    assert str(below) not in str(caught.value)


def test_links_within_the_folder_are_followed(below: Path) -> None:
    (below / "alias").symlink_to(below / "small")
    assert ModelFolders(below=below).offered("alias") == (below / "small").resolve()


def test_a_person_on_this_machine_may_name_any_folder(
    below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ModelFolders(any_folder=True)
    small = str((below / "small").resolve())
    assert folders.named(small) == small
    monkeypatch.chdir(below)
    assert folders.named("small") == folders.named("./small") == small
    assert folders.named("gpt2-xl") == "gpt2-xl"
    assert folders.named("EleutherAI/pythia-70m") == "EleutherAI/pythia-70m"
    with pytest.raises(ModelUnavailableError, match=r"has no config\.json"):
        folders.named("notes")
    with pytest.raises(ModelUnavailableError, match="null character"):
        folders.named("small\0")
    for wrong, named in (("a" * 5000, "File name too long"), ("~no-such-user/x", "home directory")):
        for folder in (folders, ModelFolders()):
            with pytest.raises(ModelUnavailableError, match=named):
                folder.named(wrong)
    for missing in ("./none", "/no/such/folder", "a/b/c"):
        with pytest.raises(ModelUnavailableError, match="There is no folder"):
            folders.named(missing)


def test_anybody_else_names_models_on_the_hub_only(
    below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ModelFolders(below=below)
    monkeypatch.chdir(below)
    # Loaded by name, the folder of that name would be opened.
    for name in ("small", "team/large", "./small", str(below), "~", "..\\x"):
        with pytest.raises(ModelUnavailableError, match="a folder of the server"):
            folders.named(name)
    assert folders.named("EleutherAI/pythia-70m") == "EleutherAI/pythia-70m"
