"""The page on a store that can't be written to: it opens and shows, and Save says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.library import save
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence, StorageError, access


@pytest.fixture
def read_only(
    saved: str, store: GPT2AnalysisPersistence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a store with the analysis `saved`, which answers as a read-only one."""
    assert saved
    store.close()
    before, root = access.may_write, store.base_dir
    monkeypatch.setattr(
        access, "may_write", lambda folder: not folder.is_relative_to(root) and before(folder)
    )
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(private))
    return root


def files(folder: Path) -> list[tuple[Path, int, int]]:
    stats = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return sorted((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


@pytest.mark.slow
def test_the_page_of_a_read_only_store_shows_it_and_save_says_why_not(
    read_only: Path, saved: str
) -> None:
    before = files(read_only)
    app: Any = create_app(Settings(base_dir=read_only))
    client = app.server.test_client()
    assert client.get("/").status_code == 200
    assert client.get("/_dash-layout").status_code == 200
    workspace = Workspace(GPT2AnalysisPersistence(read_only))
    view = workspace.settle(View(analysis_id=saved))
    assert workspace.shown(view).name == "first run"
    for shown in (view, workspace.settle(View())):
        with pytest.raises(StorageError, match="read-only") as caught:
            save(workspace, shown, "first run")
        assert str(read_only) in str(caught.value)
    assert files(read_only) == before


def test_what_is_computed_on_a_read_only_store_is_kept_beside_it(
    read_only: Path, analysis: dict[str, Any], tmp_path: Path
) -> None:
    before = files(read_only)
    workspace = Workspace(GPT2AnalysisPersistence(read_only))
    draft = workspace.unsaved.keep(analysis, "gpt2", "text", {}, "draft")
    # Another process of the server finds it.
    again = workspace.reopened()
    assert again.shown(View(draft=draft)).name == "draft"
    with workspace.turns("analyze").taken(lambda _ahead: None):
        pass
    assert workspace.store.cache_dir.is_relative_to(tmp_path / "private")
    assert files(read_only) == before
