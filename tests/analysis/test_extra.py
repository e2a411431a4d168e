"""The command that adds an extra fits the installation that runs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from concept_fragmentation.analysis import extra

ROOT = Path(extra.__file__).resolve().parents[1]


def test_in_an_environment_that_make_made_make_installs_an_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    assert extra.install_command() == "make run"
    assert extra.install_command("umap") == "make run EXTRAS=gpt2,umap"


def test_anywhere_else_pip_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert extra.install_command() == "pip install 'concept-fragmentation[gpt2]'"
    assert extra.install_command("umap") == "pip install 'concept-fragmentation[umap]'"


def test_the_extras_exist_and_make_run_installs_what_runs_a_model() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"gpt2", "umap"} <= set(project["optional-dependencies"])
    assert "EXTRAS ?= gpt2\n" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_what_is_missing_is_known_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extra.missing_modules() == []
    monkeypatch.setitem(extra._MODULES, "gpt2", ("torch", "no_such_module_at_all"))
    assert extra.missing_modules() == ["no_such_module_at_all"]
    asked = "import sys; from concept_fragmentation.analysis.extra import missing_modules; "
    asked += "missing_modules(); print('torch' in sys.modules, 'sklearn' in sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", asked], text=True)
    assert said.split() == ["False", "False"]


def test_the_python_that_runs_is_named_if_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert extra.install_command(with_interpreter=True) == (
        "'/opt/my python/bin/python' -m pip install 'concept-fragmentation[gpt2]'"
    )
