"""File systems that lack something: hard links, flushes of folders, permissions, POSIX's calls."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.persistence import (
    GPT2AnalysisPersistence,
    StorageError,
    UnsafeIdentifierError,
    blobs,
    identifiers,
)
from concept_fragmentation.persistence.jobs import job_cache

Store = GPT2AnalysisPersistence
Same = Callable[[Any, Any], bool]
Analysis = dict[str, Any]


def use_all_of(store: Store, elsewhere: Path, analysis: Analysis, same: Same) -> None:
    """Do everything twice that a store does, and compare what comes back."""
    big = analysis | {"big": np.arange(40_000.0).reshape(200, 200)}
    for number in (1, 2):
        store.save_analysis_results(
            big | {"number": number}, "gpt2", "text", "mine", compress=number == 2
        )
        store.update_analysis("mine", name=f"name {number}")
        store.save_visualization_state("mine", {"number": number}, "sankey", "view")
        for export_format in ("json", "csv", "pickle"):
            store.export_analysis("mine", export_format)
    assert store.list_analyses()[0]["name"] == "name 2"
    assert [version["version"] for version in store.list_versions("mine")] == [2, 1]
    for version in (1, 2):
        loaded = store.load_analysis_results("mine", version)
        assert same(loaded["analysis_data"], big | {"number": version})
    (state,) = store.list_visualization_states("mine")
    assert store.load_visualization_state(state["state_id"])["config"] == {"number": 2}
    session = store.create_session("s", ["mine"])
    for name in ("first", "second"):
        store.update_session(session, session_name=name)
    assert store.load_session(session)["session_name"] == "second"
    with store.open_analysis("mine") as opened:
        states = opened.data["big"]
        assert (states[3] == big["big"][3]).all()
        store.compress_analysis("mine")
    with store.open_analysis("mine") as opened:
        weights = opened.attention("layer_0", 1)
        assert (weights == analysis["attention_data"]["layer_0"]["attention_probs"][1]).all()
    store.delete_analysis("mine", 1)
    store.restore_analysis("mine")
    store.delete_analysis("mine")
    assert store.list_analyses() == []
    store.restore_analysis("mine")
    assert len(store.list_versions("mine")) == 2
    store.backup(elsewhere / "backup")
    other = Store(elsewhere / "other")
    assert other.import_store(elsewhere / "backup").imported == ["mine"]
    assert same(other.load_analysis_results("mine")["analysis_data"], big | {"number": 2})
    for name in ("mine_v2.json", "mine_v2_csv", "mine_v2.pkl"):
        copied = other.import_analysis(store.exports_dir / name)
        assert same(other.load_analysis_results(copied)["analysis_data"], big | {"number": 2})
    assert store.verify() == []
    assert store.repair().quarantined == []
    store.delete_session(session)
    store.delete_analysis("mine", permanently=True)
    assert not list(store.base_dir.rglob(".tmp*"))


def refuse(patch: pytest.MonkeyPatch, name: str, number: int) -> list[Path]:
    """Let a call of `os` fail always; return what it was asked for."""
    asked = []

    def refusing(path: Any, *_: Any, **__: Any) -> Any:
        asked.append(path)
        raise OSError(number, os.strerror(number), path)

    patch.setattr(os, name, refusing)
    return asked


def test_a_store_without_hard_links_does_everything(
    tmp_path: Path, analysis: Analysis, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = refuse(monkeypatch, "link", errno.EPERM)
    use_all_of(Store(tmp_path / "store"), tmp_path, analysis, same)
    assert asked


@pytest.mark.parametrize(
    "number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL]
)
def test_however_a_file_system_says_that_it_has_no_links_a_file_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    asked = refuse(monkeypatch, "link", number)
    (tmp_path / "file").write_text("x")
    blobs.link_or_copy(tmp_path / "file", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "x"
    assert asked


def test_a_copy_for_lack_of_links_is_as_private_as_what_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "link", errno.EPERM)
    secret, copy = tmp_path / "secret", tmp_path / "copy"
    secret.write_text("s")
    secret.chmod(0o600)
    seen = []
    copyfile = shutil.copyfile

    def looking(source: Path, target: Path) -> None:
        seen.append(stat.S_IMODE(target.stat().st_mode))
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", looking)
    blobs.link_or_copy(secret, copy)
    assert seen == [0o600]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("fsync", errno.EINVAL),
        ("fsync", errno.ENOTSUP),
        ("fsync", errno.EBADF),
        ("open", errno.EACCES),
    ],
)
@pytest.mark.slow
def test_a_store_whose_folders_can_not_be_flushed_does_everything(
    tmp_path: Path,
    analysis: Analysis,
    same: Same,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    refused = 0
    fsync, opened = os.fsync, os.open

    def fsync_files(descriptor: int) -> None:
        nonlocal refused
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            refused += 1
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    def open_files(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        nonlocal refused
        if flags & os.O_DIRECTORY and not options.get("dir_fd"):
            refused += 1
            raise OSError(number, os.strerror(number), path)
        return opened(path, flags, *arguments, **options)

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fsync_files)
    else:
        monkeypatch.setattr(os, "open", open_files)
    use_all_of(Store(tmp_path / "store"), tmp_path, analysis, same)
    assert refused > 20


def test_any_other_failure_to_flush_a_folder_is_an_error(
    tmp_path: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match="Input/output"):
            store.save_analysis_results(analysis, "gpt2", "", "mine")
    assert len(store.list_versions("mine")) == 1


@pytest.mark.slow
def test_a_file_system_without_permissions_keeps_a_store(
    tmp_path: Path, analysis: Analysis, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: Any, *_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", path)

    monkeypatch.setattr(os, "chmod", refusing)
    use_all_of(Store(tmp_path / "store"), tmp_path, analysis, same)


@pytest.fixture
def group_umask() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


@pytest.mark.usefixtures("group_umask")
def test_a_group_may_write_to_all_that_its_store_holds(
    tmp_path: Path, analysis: Analysis, same: Same
) -> None:
    root = tmp_path / "store"
    root.mkdir(mode=0o775)
    root.chmod(0o2775)
    store = Store(root)
    store.save_analysis_results(
        analysis | {"big": np.arange(20_000.0)}, "gpt2", "", "mine", compress=False
    )
    store.load_analysis_results("mine")
    store.update_analysis("mine", name="n")
    store.save_visualization_state("mine", {}, "sankey")
    store.create_session("s", ["mine"])
    for export_format in ("json", "csv", "pickle"):
        store.export_analysis("mine", export_format)
    store.save_analysis_results(analysis, "gpt2", "", "gone", compress=True)
    store.delete_analysis("gone")
    paths = [path for path in root.rglob("*") if path.suffix != ".db-journal"]
    assert {"catalog.sqlite", "catalog.sqlite-wal", "cache.db", "cache.db-wal"} <= {
        path.name for path in paths
    }
    for path in paths:
        found = path.stat()
        expected = 0o2775 if path.is_dir() else 0o664
        assert stat.S_IMODE(found.st_mode) == expected, path


@pytest.mark.usefixtures("group_umask")
def test_the_catalog_and_cache_of_an_earlier_version_are_opened_to_the_group(
    tmp_path: Path, analysis: Analysis
) -> None:
    root = tmp_path / "store"
    store = Store(root)
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    store.load_analysis_results("mine")
    store.close()
    databases = [root / "metadata" / "catalog.sqlite", root / "cache" / "cache.db"]
    for path in databases:
        path.chmod(0o644)
    again = Store(root)
    again.list_analyses()
    again.load_analysis_results("mine")
    for path in databases:
        assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.usefixtures("group_umask")
def test_what_pages_sign_with_stays_private(tmp_path: Path) -> None:
    with job_cache(tmp_path / "jobs") as jobs:
        jobs["key"] = "s"
        assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o700


@pytest.mark.skipif(
    getattr(os, "geteuid", int)() != 0 or os.name == "nt", reason="only root can act as two users"
)
@pytest.mark.slow
def test_two_users_of_a_group_work_on_one_store(open_folder: Path) -> None:
    """The second user meets a catalog that only the first may write to, as earlier ones were."""
    root = open_folder / "store"
    script = textwrap.dedent(
        """
        import os, sys
        from concept_fragmentation.persistence import GPT2AnalysisPersistence
        os.setgroups([]); os.setgid(54321); os.setuid(int(sys.argv[2])); os.umask(0o002)
        store = GPT2AnalysisPersistence(sys.argv[1])
        analysis = {"model_type": "m", "layers": ["l"], "token_metadata": {"tokens": ["a"]}}
        store.save_analysis_results(analysis, "m", "", "ours")
        store.load_analysis_results("ours")
        store.close()
        print(store.list_analyses()[0]["num_versions"])
        """
    )
    root.mkdir()
    os.chown(root, 54322, 54321)
    root.chmod(0o2775)

    def save_as(user: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, str(root), str(user)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "damaged" not in done.stderr
        return done.stdout.strip()

    assert save_as(54322) == "1"
    assert save_as(54323) == "2"
    for name in ("metadata/catalog.sqlite", "cache/cache.db"):
        os.chown(root / name, 54322, 54321)
        (root / name).chmod(0o644)
    assert save_as(54323) == "3"
    assert save_as(54322) == "4"


# What is not there on Windows. Nothing but the store's own code may need it.
WINDOWS = """
import errno, os, signal, sys
for name in ("O_DIRECTORY", "O_NOFOLLOW", "pread", "geteuid", "getuid", "fchmod", "chown"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP"):
    delattr(signal, name)
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules[name] = None
"""


@pytest.mark.slow
def test_a_store_works_without_what_only_posix_has(tmp_path: Path) -> None:
    script = WINDOWS + textwrap.dedent(
        """
        import pathlib
        from pathlib import Path
        import numpy as np
        sys.path.insert(0, sys.argv[2])

        # What is open or mapped can't be replaced, deleted or moved, nor its folder.
        def is_held(path):
            path = os.path.realpath(path)
            held = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
            held += [line.split()[-1] for line in open("/proc/self/maps") if len(line.split()) > 5]
            mine = [p for p in held if p == path or p.startswith(path + os.sep)]
            return [p for p in mine if ".sqlite" not in p and ".lock" not in p and "cache" not in p]

        def refusing(real):
            def run(path, *arguments, **options):
                if is_held(path) or (arguments and isinstance(arguments[0], (str, Path))
                                     and is_held(arguments[0])):
                    raise PermissionError(errno.EACCES, "The process cannot access the file", path)
                return real(path, *arguments, **options)
            return run

        for name in ("rename", "replace", "unlink", "rmdir"):
            setattr(os, name, refusing(getattr(os, name)))

        from tests.persistence.test_file_systems import use_all_of
        from tests.persistence.conftest import same
        from concept_fragmentation.persistence import GPT2AnalysisPersistence
        analysis = {
            "model_type": "gpt2",
            "layers": ["layer_0"],
            "token_metadata": {"tokens": ["a", "b"]},
            "cluster_labels": {"layer_0": [0, 1]},
            "attention_data": {"layer_0": {"attention_probs": np.eye(2)[None].repeat(2, 0)}},
        }
        root = Path(sys.argv[1])
        use_all_of(GPT2AnalysisPersistence(root / "store"), root, analysis, same)
        print("done")
        """
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path), str(root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert done.stdout.strip() == "done", done.stderr[-3000:]


def test_a_file_that_is_read_for_an_instant_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, refusals = Path.replace, [1, 1, 1]

    def refusing(self: Path, target: Path) -> Path:
        if refusals:
            refusals.pop()
            raise PermissionError(errno.EACCES, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    monkeypatch.setattr(blobs, "_REFUSES_WHILE_READ", True)
    local = blobs.LocalBlobs(tmp_path)
    local.write("x", b"new")
    assert local.read("x") == b"new"
    refusals[:] = [1]
    monkeypatch.setattr(blobs, "_REFUSES_WHILE_READ", False)
    with pytest.raises(StorageError, match="in use"):
        local.write("x", b"newer")
    assert local.read("x") == b"new"


@pytest.mark.parametrize("identifier", ["CON", "nul ", "Com1!", "LPT9", "aux."])
def test_a_name_of_a_device_is_refused_where_there_are_devices(
    tmp_path: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch, identifier: str
) -> None:
    store = Store(tmp_path / "store")
    store.save_analysis_results(analysis, "gpt2", "", identifier)
    assert store.list_versions(identifier)[0]["version"] == 1
    monkeypatch.setattr(identifiers, "_HAS_DEVICES", True)
    with pytest.raises(UnsafeIdentifierError, match="device"):
        store.save_analysis_results(analysis, "gpt2", "", identifier)
    # A name of its own does for those that are plain.
    store.save_analysis_results(analysis, "gpt2", "", "console")


class _NoSharedMemory(sqlite3.Connection):
    """A connection on a file system that maps no file for several processes."""

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement.startswith(("SELECT", "BEGIN")):
            ((journal,),) = super().execute("PRAGMA journal_mode")
            if journal == "wal":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMMAP
                raise error
        return super().execute(statement, *arguments)


def test_a_catalog_without_shared_memory_keeps_no_log_beside_it(
    tmp_path: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def connecting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, **options, factory=_NoSharedMemory)

    monkeypatch.setattr(sqlite3, "connect", connecting)
    monkeypatch.setattr("sqlite3.dbapi2.connect", connecting)
    for _ in range(2):
        store = Store(tmp_path / "store")
        store.save_analysis_results(analysis, "gpt2", "", "mine")
        store.load_analysis_results("mine")
        assert store.list_analyses()[0]["analysis_id"] == "mine"
        assert not (tmp_path / "store" / "metadata" / "catalog.sqlite-wal").exists()
        store.close()
    assert len(store.list_versions("mine")) == 2


def test_a_private_folder_of_another_user_is_left_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "jobs"
    theirs.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1, raising=False)
    with job_cache(theirs) as jobs:
        jobs["x"] = 1
    assert list(theirs.iterdir()) == []
    (mine,) = tmp_path.glob("jobs-*")
    assert stat.S_IMODE(mine.stat().st_mode) == 0o700
