"""A store that can't be written to shows everything, and says in a sentence what it can't do."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from concept_fragmentation.cli import main
from concept_fragmentation.persistence import (
    GPT2AnalysisPersistence,
    ReadOnlyStoreError,
    StorageError,
    access,
)

Store = GPT2AnalysisPersistence
Analysis = dict[str, Any]
FORMAT_1 = Path(__file__).parent / "data" / "format_1"


def fill(store: Store, analysis: Analysis) -> None:
    for number in (1, 2):
        store.save_analysis_results(analysis | {"number": number}, "gpt2", "the cat", "mine")
    store.save_analysis_results(analysis, "gpt2", "", "other", tags=["t"], compress=True)
    store.update_analysis("other", name="renamed")
    store.save_visualization_state("mine", {"a": 1}, "sankey", "view")
    store.create_session("s", ["mine"])
    store.save_analysis_results(analysis, "gpt2", "", "gone")
    store.delete_analysis("gone")
    store.close()


WRITES: dict[str, Callable[[Store], Any]] = {
    "save": lambda s: s.save_analysis_results(s.load_analysis_results("mine"), "gpt2", "", "mine"),
    "save anew": lambda s: s.save_analysis_results(s.load_analysis_results("mine"), "gpt2", ""),
    "update": lambda s: s.update_analysis("mine", name="x"),
    "delete": lambda s: s.delete_analysis("mine"),
    "delete permanently": lambda s: s.delete_analysis("mine", permanently=True),
    "restore": lambda s: s.restore_analysis("gone"),
    "purge": lambda s: s.purge(),
    "compress": lambda s: s.compress_analysis("mine"),
    "save a state": lambda s: s.save_visualization_state("mine", {}, "sankey"),
    "delete a state": lambda s: s.delete_visualization_state(
        s.list_visualization_states()[0]["state_id"]
    ),
    "create a session": lambda s: s.create_session("new"),
    "update a session": lambda s: s.update_session(
        s.list_sessions()[0]["session_id"], session_name="x"
    ),
    "delete a session": lambda s: s.delete_session(s.list_sessions()[0]["session_id"]),
    "export": lambda s: s.export_analysis("mine"),
    "import a store": lambda s: s.import_store(FORMAT_1),
    "reindex": lambda s: s.reindex(),
    "repair": lambda s: s.repair(),
}


def look_at(store: Store, elsewhere: Path) -> dict[str, Any]:
    """Do all that a reader does, and return the results."""
    with store.open_analysis("mine") as opened:
        weights = opened.attention("layer_0", 1).tolist()
    exported = store.export_analysis("mine", "json", output_path=elsewhere / "mine.json")
    store.backup(elsewhere / "backup")
    stats = store.stats()
    for name in ("cache", "metadata", "exports"):
        # A read-only store makes neither a catalog nor a cache.
        stats["folders"].pop(name, None)
    return {
        "list": [(entry["analysis_id"], entry["name"]) for entry in store.list_analyses()],
        "found": [entry["analysis_id"] for entry in store.list_analyses(search="cat")],
        "tagged": [entry["analysis_id"] for entry in store.list_analyses(tag="t")],
        "versions": [version["version"] for version in store.list_versions("mine")],
        "loaded": [
            store.load_analysis_results("mine", version)["analysis_data"]["number"]
            for version in (1, 2, 1, 2)
        ],
        "weights": weights,
        "states": [state["state_name"] for state in store.list_visualization_states()],
        "sessions": [session["session_name"] for session in store.list_sessions()],
        "trash": [entry["analysis_id"] for entry in store.list_trash()],
        "verify": store.verify(),
        "diff": repr(store.diff(("mine", 1), "mine")),
        "stats": {key: stats[key] for key in ("analyses", "versions", "trash", "folders")},
        "exported": json.loads(Path(exported).read_text())["analysis_results"]["model_info"],
        "backup": [e["analysis_id"] for e in Store(elsewhere / "backup").list_analyses()],
    }


@pytest.fixture
def archive(tmp_path: Path, analysis: Analysis) -> Path:
    fill(Store(tmp_path / "store"), analysis)
    return tmp_path / "store"


@pytest.fixture
def read_only(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store on a file system that is mounted read-only, or one that answers as such."""
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(private))
    mounted = subprocess.run(
        ["mount", "--bind", str(archive), str(archive)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(archive)], check=True)
        yield archive
        subprocess.run(["umount", str(archive)], check=True)
    else:
        answer_read_only(monkeypatch, archive)
        yield archive


def answer_read_only(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Let every call of `os` that would change something below `root` answer EROFS."""

    def refusing(name: str) -> None:
        real = getattr(os, name)

        def run(path: Any, *arguments: Any, **options: Any) -> Any:
            opens = name == "open"
            reads = opens and not arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not reads and isinstance(path, str | Path) and Path(path).is_relative_to(root):
                if name == "mkdir" and Path(path).is_dir():
                    raise FileExistsError(errno.EEXIST, "File exists", str(path))
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return real(path, *arguments, **options)

        patch.setattr(os, name, run)

    for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "link", "chmod", "utime"):
        refusing(name)
    patch.setattr(access, "may_write", lambda folder: not folder.is_relative_to(root))


def test_a_read_only_store_shows_what_it_showed(
    archive: Path, read_only: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert archive == read_only
    copied = tmp_path / "copy"
    shutil.copytree(archive, copied)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    expected = look_at(Store(copied), tmp_path / "a")
    assert expected["verify"] == []
    before = sorted((p, p.stat().st_mtime_ns, p.stat().st_size) for p in archive.rglob("*"))
    with caplog.at_level(logging.WARNING):
        store = Store(read_only)
        assert store.read_only
        assert look_at(store, tmp_path / "b") == expected
    assert caplog.messages == []
    assert store.cache.get_stats()["hits"] > 0
    assert sorted((p, p.stat().st_mtime_ns, p.stat().st_size) for p in archive.rglob("*")) == before


@pytest.mark.parametrize("action", WRITES)
def test_each_change_of_a_read_only_store_is_refused_in_a_sentence(
    read_only: Path, action: str
) -> None:
    store = Store(read_only)
    with pytest.raises(StorageError) as caught:
        WRITES[action](store)
    text = str(caught.value)
    assert str(read_only) in text
    assert "nothing was changed" in text
    assert "damaged" not in text
    assert store.verify() == []


@pytest.mark.parametrize("state", ["missing", "damaged", "older", "behind", "of a live store"])
def test_a_catalog_that_can_not_be_relied_on_is_made_elsewhere(
    archive: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    catalog = archive / "metadata" / "catalog.sqlite"
    live = Store(archive)
    if state == "missing":
        shutil.rmtree(archive / "metadata")
        live.close()
    elif state == "damaged":
        catalog.write_bytes(b"x" * 5000)
    elif state == "older":
        subprocess.run(
            [sys.executable, "-c", _SET_SCHEMA, str(catalog)], check=True, capture_output=True
        )
    elif state == "behind":
        with monkeypatch.context() as patch:
            kept = catalog.read_bytes()
            live.save_analysis_results(analysis, "gpt2", "dogs", "newest")
            live.delete_analysis("other")
            live.close()
            patch.undo()
        catalog.write_bytes(kept)
    else:
        live.save_analysis_results(analysis, "gpt2", "dogs", "newest")
    answer_read_only(monkeypatch, archive)
    store = Store(archive)
    expected = {
        "behind": ["newest", "mine"],
        "of a live store": ["newest", "other", "mine"],
    }.get(state, ["other", "mine"])
    assert [entry["analysis_id"] for entry in store.list_analyses()] == expected
    assert [e["analysis_id"] for e in store.list_analyses(search="dogs")] == expected[:-1][:1] * (
        "newest" in expected
    )
    if "other" in expected and state != "missing":
        assert store.list_analyses()[expected.index("other")]["name"] == "renamed"
    assert not (archive / "metadata").exists() or catalog.exists()


_SET_SCHEMA = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version = 1')"
)


def test_a_reader_sees_what_others_write(
    archive: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Store(archive)
    with monkeypatch.context() as patch:
        patch.setattr(access, "may_write", lambda _folder: False)
        reader = Store(archive)
        assert reader.read_only
    assert len(reader.list_analyses()) == 2
    writer.save_analysis_results(analysis, "gpt2", "dogs", "newest")
    assert reader.list_analyses(search="dogs")[0]["analysis_id"] == "newest"
    writer.update_analysis("newest", name="better")
    assert reader.list_analyses(search="dogs")[0]["name"] == "better"
    writer.save_analysis_results(analysis, "gpt2", "birds", "newest")
    assert [v["version"] for v in reader.list_versions("newest")] == [2, 1]
    assert reader.list_analyses(search="dogs") == []
    writer.delete_analysis("newest")
    assert len(reader.list_analyses()) == 2


def test_a_store_that_becomes_read_only_while_it_is_open_is_read_on(
    archive: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(archive)
    assert len(store.list_analyses()) == 2
    store.close()
    (archive / "metadata" / "catalog.sqlite").unlink()
    answer_read_only(monkeypatch, archive)
    monkeypatch.setattr(
        "concept_fragmentation.persistence.catalog.may_write", lambda _folder: False
    )
    assert [entry["analysis_id"] for entry in store.list_analyses()] == ["other", "mine"]
    assert len(store.list_versions("mine")) == 2
    with pytest.raises(StorageError, match="Read-only file system"):
        store.update_analysis("mine", name="x")
    assert "damaged" not in caplog.text


def test_a_read_only_store_of_an_earlier_format_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FORMAT_1, tmp_path / "old")
    answer_read_only(monkeypatch, tmp_path / "old")
    store = Store(tmp_path / "old")
    assert store.read_only
    listed = [entry["analysis_id"] for entry in store.list_analyses()]
    assert "small" in listed
    for identifier in listed:
        store.load_analysis_results(identifier)
    assert store.verify() == []


def test_an_empty_folder_that_is_read_only_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    answer_read_only(monkeypatch, folder)
    with pytest.raises(StorageError, match="Could not make"):
        Store(folder)


def test_the_command_line_reads_a_read_only_store(read_only: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, [*arguments, "--dir", str(read_only)])

    for command in (["list"], ["show", "mine"], ["verify"], ["stats"], ["diff", "mine", "other"]):
        done = run(*command)
        assert done.exit_code in (0, 3), done.output
    for command in (["rename", "mine", "x"], ["delete", "mine", "--yes"], ["reindex"], ["repair"]):
        done = run(*command)
        assert done.exit_code == 1
        assert "read-only" in done.output
        assert "Traceback" not in done.output
    assert isinstance(run("reindex").exception, SystemExit)


@pytest.mark.slow
def test_a_user_who_may_only_read_reads(open_folder: Path, analysis: Analysis) -> None:
    if getattr(os, "geteuid", int)() != 0:
        pytest.skip("only root can act as another user; the mounted store above shows the same")
    root, temporary = open_folder / "store", open_folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    before = os.umask(0o022)
    fill(Store(root), analysis)
    os.umask(before)
    script = textwrap.dedent(
        """
        import os, sys, tempfile
        from concept_fragmentation.persistence import GPT2AnalysisPersistence, StorageError
        os.setgroups([]); os.setgid(54323); os.setuid(54323)
        store = GPT2AnalysisPersistence(sys.argv[1])
        assert store.read_only
        print([entry["analysis_id"] for entry in store.list_analyses()])
        print(len(store.list_versions("mine")), store.verify(), store.stats()["analyses"])
        store.load_analysis_results("mine")
        try:
            store.delete_analysis("mine")
        except StorageError as error:
            print(error)
        assert not str(store.cache_dir).startswith(sys.argv[1])
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(root)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(temporary)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["['other', 'mine']", "2 [] 2"]
    assert "read-only" in done.stdout
    assert "damaged" not in done.stderr


def test_the_private_folder_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    root = tmp_path / "archive"
    folder = access.private_folder(root)
    assert folder == access.private_folder(root)
    assert folder != access.private_folder(tmp_path / "another")
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(folder.parent)
    # A link that somebody else laid there is not followed.
    (tmp_path / "trap").mkdir()
    folder.parent.symlink_to(tmp_path / "trap")
    assert not access.private_folder(root).resolve().is_relative_to(tmp_path / "trap")


def test_a_system_without_a_place_for_temporary_files_is_told(
    archive: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    answer_read_only(monkeypatch, archive)
    store = Store(archive)
    store.load_analysis_results("mine")
    store.load_analysis_results("mine")
    assert store.cache.get_stats()["kind"] == "memory"
    assert "TMPDIR" in caplog.text
    assert len(store.list_analyses()) == 2
    with pytest.raises(ReadOnlyStoreError):
        store.update_analysis("mine", name="x")
