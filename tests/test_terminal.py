"""Whatever stands behind the standard streams, a command does its work and says how it went."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from concept_fragmentation import terminal
from concept_fragmentation.persistence import GPT2AnalysisPersistence

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("concept-fragmentation")
SMALL = {
    "model_type": "gpt2",
    "layers": ["layer_0"],
    "token_metadata": {"tokens": [" a", " b"]},
    "cluster_labels": {"layer_0": [0, 1]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with an analysis whose name few code pages have."""
    folder = tmp_path_factory.mktemp("store")
    store = GPT2AnalysisPersistence(folder)
    store.save_analysis_results(SMALL, "gpt2", "a b", "cat", name="猫 🐈", tags=["é"])
    return folder


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `cf` is the command and `$store` the store."""
    defined = f'cf() {{ "{COMMAND}" "$@" --dir "$store"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", defined],
        env=os.environ | {"store": str(folder), "PYTHONUTF8": "0"} | environment,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def tags(folder: Path) -> list[str]:
    found: list[str] = GPT2AnalysisPersistence(folder).list_versions("cat")[0]["tags"]
    return found


@pytest.mark.parametrize(
    ("encoding", "name", "tag"),
    [
        ("cp1252", rb"\u732b \U0001f408", b"\xe9"),
        ("ascii", rb"\u732b \U0001f408", rb"\xe9"),
        ("utf-8", "猫 🐈".encode(), "é".encode()),
    ],
)
def test_what_an_encoding_lacks_is_escaped(
    folder: Path, encoding: str, name: bytes, tag: bytes
) -> None:
    listed = shell("cf list", folder, PYTHONIOENCODING=encoding)
    assert (listed.returncode, listed.stderr) == (0, b"")
    heading, row = listed.stdout.splitlines()
    assert name in row
    assert tag in row
    # What is escaped is escaped before columns are laid out.
    if encoding != "utf-8":
        assert heading.index(b"Model") == row.index(b"gpt2")
    done = shell(f"cf tag cat --add 犬-{encoding}", folder, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"犬-{encoding}" in tags(folder)


@pytest.mark.soak
def test_a_full_or_closed_output_is_one_sentence_after_the_work(
    folder: Path, soaking: bool
) -> None:
    full, closed = (">/dev/full", "no space left on device"), (">&-", "it is closed")
    tried = [("list", *full), ("tag cat -a new", *closed), ("--help", *full)]
    if soaking:
        tried += [("list", *closed), ("tag cat -a new", *full), ("--help", *closed)]
    for command, where, reason in tried:
        GPT2AnalysisPersistence(folder).update_analysis("cat", tags=["old"])
        # The option of `cf` would not be the last word of --help.
        line = f'"{COMMAND}" --help' if command == "--help" else f"cf {command}"
        done = shell(f"{line} {where}", folder)
        assert done.returncode == 1
        assert done.stderr.decode() == (
            "Error: The command is done, but what it says could not be written to standard "
            f"output: {reason}.\n"
        )
        if command.startswith("tag"):
            assert tags(folder) == ["old", "new"]


def test_a_reader_that_has_enough_is_no_failure(folder: Path) -> None:
    done = shell("for i in 1 2; do cf list --json; done | head -1; exit ${PIPESTATUS[0]}", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[\n", b"")


@pytest.mark.parametrize("command", ["verify --json", "list"])
def test_without_standard_error_or_input_a_command_answers(folder: Path, command: str) -> None:
    done = shell(f"cf {command} 2>&- <&-", folder)
    assert done.returncode == 0
    assert done.stdout.strip()


def test_a_question_that_nobody_answers_changes_nothing(folder: Path) -> None:
    for closed in ("<&-", "</dev/null", "<<< $'\\xff'"):
        done = shell(f"cf delete cat {closed}", folder, PYTHONIOENCODING="utf-8:strict")
        assert done.returncode == 1
        assert b"standard input ended before the question was answered" in done.stderr
        assert b"Traceback" not in done.stderr
    assert tags(folder)


def test_closed_streams_are_not_reopened_as_files_of_the_store(folder: Path) -> None:
    done = shell("cf tag cat -a unseen >&- 2>&- <&-", folder)
    assert done.returncode == 1
    assert "unseen" in tags(folder)
    assert GPT2AnalysisPersistence(folder).verify() == []


class Broken(io.TextIOBase):
    """A stream that refuses what it is given."""

    encoding = "utf-8"

    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_failure_is_kept_and_what_follows_is_dropped() -> None:
    output = terminal.Output(Broken())  # type: ignore[arg-type]
    assert output.write("one") == 3
    assert output.write("two") == 3
    output.flush()
    assert isinstance(output.failure, OSError)
    assert output.failure.errno == 5
    assert not output.isatty()


def test_the_exit_code_of_the_work_stays_where_output_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())

    def work() -> int:
        print("x")  # noqa: T201 - what this tests
        return 3

    assert terminal.guarded(work) == 3
    assert "input/output error" in capsys.readouterr().err
    assert terminal.guarded(lambda: 3) == 3
    assert capsys.readouterr().err == ""


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start Python with Ctrl+C as a terminal leaves it, whatever started these tests."""
    # A shell in the background would have it ignored; Python's subprocess leaves that as it is.
    running = subprocess.Popen(
        [sys.executable, "-X", "importtime", COMMAND, *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


ANALYZE = ["analyze", "--text", "The cat sat on the mat. " * 200, "--model", "tiny", "--k", "4"]
# When which module is imported, while which command runs: those of a library that is imported in
# part, and those of our own imports, are the ones that went wrong before.
MOMENTS = [(["list"], "numpy"), (ANALYZE, "torch.autograd")]
MORE_MOMENTS = [
    (["list"], "click.core"),
    (["serve", "--port", "8931"], "dash.dash"),
    (ANALYZE, "transformers.utils"),
    (ANALYZE, "sklearn.base"),
]


@pytest.mark.soak
def test_an_interrupt_at_any_moment_ends_with_130_and_no_traceback(
    tmp_path: Path, soaking: bool
) -> None:
    for arguments, moment in MOMENTS + MORE_MOMENTS if soaking else MOMENTS:
        store = tmp_path / moment
        options = ["--save", "x"] if arguments is ANALYZE else []
        with started(*arguments, *options, "--dir", str(store)) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if line.rpartition("|")[2].strip() == moment:
                    break
            else:
                pytest.fail(f"{moment} was never imported")
            running.send_signal(signal.SIGINT)
            said = "".join(line for line in running.stderr if not line.startswith("import time:"))
            assert running.wait() == 130, moment
        assert said.strip() in {"", "load", "extract", "cluster"}, moment
        assert not (store / "analysis_results").exists() or arguments[0] == "serve", moment


def test_a_server_is_interrupted_with_130(tmp_path: Path) -> None:
    port = "8932"
    with started("serve", "--port", port, "--dir", str(tmp_path)) as running:
        assert running.stderr is not None
        assert any("(Ctrl+C stops it)" in line for line in running.stderr)
        running.send_signal(signal.SIGINT)
        said = "".join(line for line in running.stderr if not line.startswith("import time:"))
        assert (running.wait(), said.strip()) == (130, "")


def interrupted(raised: Callable[[], object]) -> int:
    """Return the code of work during which Ctrl+C is pressed."""

    def work() -> int:
        signal.raise_signal(signal.SIGINT)
        raised()
        return 0

    return terminal.guarded(work)


def test_an_interrupt_that_a_library_turns_into_its_own_error_is_one() -> None:
    before = signal.getsignal(signal.SIGINT)

    def work() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("torn out of a library") from None
        return 0

    assert terminal.guarded(work) == 130
    assert interrupted(lambda: None) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert interrupted(lambda: None) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_in_a_thread_leaves_signals_alone() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(terminal.guarded(lambda: 0)))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.slow
def test_a_text_from_closed_standard_input_is_one_sentence(folder: Path) -> None:
    done = shell("cf analyze - --model tiny --k 2 <&-", folder)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "Error: Invalid data: standard input: there is no text in it.\n"
    )
