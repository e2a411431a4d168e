"""export and import."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from concept_fragmentation.cli import main
from concept_fragmentation.persistence import GPT2AnalysisPersistence

Run = Callable[..., Result]
Ask = Callable[..., Any]
Store = GPT2AnalysisPersistence


@pytest.mark.parametrize("export_format", ["json", "csv", "pickle"])
def test_what_is_exported_can_be_imported(
    run: Run, store: Store, tmp_path: Path, export_format: str
) -> None:
    path = run("export", "one", str(tmp_path / "out"), "--format", export_format).stdout.strip()
    assert Path(path).exists()
    fresh = tmp_path / "fresh"
    result = CliRunner().invoke(main, ["import", path, "--dir", str(fresh)])
    assert result.exit_code == 0
    assert result.stdout == f"{path}: one\n"
    loaded = GPT2AnalysisPersistence(fresh).load_analysis_results("one")
    assert loaded["analysis_data"] == store.load_analysis_results("one")["analysis_data"]


def test_an_export_goes_into_the_store_by_default(ask: Ask, store: Store) -> None:
    path = Path(ask("export", "two", "--no-views", "--version", "1")["path"])
    assert path.parent == store.exports_dir
    assert json.loads(path.read_text())["visualization_states"] == []


def test_several_files_are_imported_at_once(run: Run, ask: Ask, tmp_path: Path) -> None:
    paths = [run("export", name, str(tmp_path / name)).stdout.strip() for name in ("one", "two")]
    imported = ask("import", *paths, "--name", "again")
    assert [entry["path"] for entry in imported] == paths
    # Their ids are taken.
    assert not {entry["analysis_id"] for entry in imported} & {"one", "two"}
    assert len(ask("list", "--name-prefix", "again")) == 2


def test_what_is_no_analysis_is_refused(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("[]")
    assert "bad.json" in run("import", str(bad), code=1).stderr
    assert "No such file" in run("import", str(tmp_path / "none.json"), code=1).stderr
    assert "Usage" in run("import", code=2).stderr
    run("export", "one", "--format", "xml", code=2)


def test_a_backup_can_be_imported(run: Run, ask: Ask, store: Store, tmp_path: Path) -> None:
    copy, fresh = tmp_path / "copy", tmp_path / "fresh"
    assert "Copied to" in run("backup", str(copy)).stdout
    result = CliRunner().invoke(main, ["import", str(copy), "--dir", str(fresh)])
    assert result.exit_code == 0
    assert "2 new" in result.stdout
    assert len(GPT2AnalysisPersistence(fresh).list_analyses()) == 2
    (report,) = ask("import", str(copy))
    assert report["already_here"] == ["one", "two"]
    assert run("backup", str(copy), code=1).stderr.startswith("Error: ")
    assert ask("backup", str(tmp_path / "other")) == {"path": str(tmp_path / "other")}


@pytest.mark.parametrize("form", ["json", "csv", "pickle"])
def test_an_export_is_written_over_another_only_by_force(
    run: Run, tmp_path: Path, form: str
) -> None:
    target = tmp_path / "there"
    run("export", "one", str(target), "--format", form)
    before = _state(target)
    said = run("export", "two", str(target), "--format", form, code=1).output
    assert said == f"Error: '{target}' is there already; --force replaces it.\n"
    assert _state(target) == before
    run("export", "two", str(target), "--format", form, "--force")
    assert _state(target) != before


def test_an_export_into_the_store_or_a_folder_is_not_written_over_either(
    run: Run, tmp_path: Path
) -> None:
    for output in ([], [str(tmp_path)]):
        run("export", "one", *output)
        said = run("export", "one", *output, code=1).output
        assert said.endswith("one_v1.json' is there already; --force replaces it.\n")
        run("export", "one", *output, "-f")


def test_a_device_is_never_written_over(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for command in (["export", "one", str(pipe)], ["report", "one", "-o", str(pipe)]):
        said = run(*command, "--force", code=1).output
        assert said == f"Error: '{pipe}' is no file; give the path of one.\n"
    assert pipe.is_fifo()


def test_a_backup_goes_over_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    assert "something is there" in run("backup", str(tmp_path / "mine"), code=1).output
    assert (tmp_path / "mine").read_text() == "x"


def _state(path: Path) -> list[bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file.read_bytes() for file in files]
