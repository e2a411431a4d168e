"""A clone needs nothing beside it: the checker finds each way out, and lets data be data."""

from __future__ import annotations

import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECKER = runpy.run_path(str(ROOT / "tests" / "check_self_contained.py"))

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the checker on a repository with one file of a given text."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("tests/helpers.py", "docs/page.md", "analysis/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "tests/helpers.py").write_text(
        "from pathlib import Path\nROOT = Path(__file__).resolve().parents[1]\n"
    )

    def run(file: str, text: str) -> list[str]:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return [f"{found.file}:{found.line}" for found in CHECKER["in_repository"](tmp_path)]

    return run


@pytest.mark.slow
def test_this_repository_refers_to_nothing_outside_it() -> None:
    assert [str(finding) for finding in CHECKER["in_repository"](ROOT)] == []


def test_every_file_that_git_has_is_looked_at() -> None:
    """Guard the test before: it would pass on a repository in which it finds nothing."""
    files = CHECKER["listed"](ROOT)
    assert {"Makefile", ".ci/run", "README.md", "tests/conftest.py"} <= set(files)
    assert not any(name.startswith(".venv/") for name in files)


HERE = "from pathlib import Path\nHERE = Path(__file__)\n"


@pytest.mark.parametrize(
    "line",
    [
        'X = HERE.resolve().parents[2] / "neighbour" / "x.json"',
        "X = HERE.parent.parent.parent",
        'X = HERE.parent / "../../x.json"',
        'X = HERE.parent.joinpath("..", "..", "x.json")',
        'X = f"{HERE.parent}/../../x.json"',
        'X = str(HERE.parent) + "/../../x.json"',
        'X = os.path.join(os.path.dirname(__file__), "..", "..", "x.json")',
        'X = Path("../x.json")',
        'X = open("../x.json")',
        'X = Path("/srv/x.json").read_text()',
        'X = os.listdir("/srv")',
        "X = Path.cwd().parent",
        "for X in HERE.parents: pass",
        'from tests.helpers import ROOT; X = ROOT.parent / "x.json"',
        'from helpers import ROOT\nY = lambda ROOT: ROOT.parent; X = Path("..")',
        'from concept_fragmentation import analysis; X = Path(analysis.__file__).parents[2] / "x"',
        'def f(): folder = HERE.parents[1]; return folder.parent / "x"',
        'X = "/home/ada/x.json"',
        'X = "/root/x.json"',
        'X = r"C:\\Users\\ada\\x.json"',
        'X = "shared/data/x.json"',
        'X = "../shared/x.json"',
        'X = "https://pypi.org/simple"',
    ],
)
def test_python_that_leads_out_is_found(check: Check, line: str) -> None:
    found = check("tests/test_it.py", HERE + line)
    assert found
    assert {entry.rpartition(":")[0] for entry in found} == {"tests/test_it.py"}


@pytest.mark.parametrize(
    "line",
    [
        'X = HERE.resolve().parents[1] / "data"',
        'X = HERE.parent / ".." / "data"',
        'X = Path("tests/../data")',
        'X = Path("/proc/self/statm").read_text()',
        'X = message.replace(str(Path("/srv/store")), "the store")',
        'HOSTILE = ["../../etc/passwd", "..", "a/../../b"]',
        'def f(tmp_path): return tmp_path.parent / "../x"',
        "def f(HERE): return HERE.parent.parent.parent.parent",
        'X = "/user/ada/proxy/8974/"',
        'X = tmp_path / "shared" / "x"',
        'X = "/srv/shared/analyses"',
        'X = "mypypi.organic"',
        'X = Path("../x")  # outside-ok: a hostile name',
    ],
)
def test_python_that_stays_inside_or_is_data_is_not(check: Check, line: str) -> None:
    assert check("tests/test_it.py", HERE + line) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docs/a.md", "see [it](../../x.md)"),
        ("docs/a.md", "see [it](missing.md#part)"),
        ("docs/a.md", "see [it](/x.md)"),
        ("docs/a.md", "[it]: ../../x.md"),
        ("docs/a.md", '<img src="../../x.png">'),
        ("docs/a.md", "```sh\ncp ../../x .\n```"),
        ("docs/a.md", "in `/work/x`"),
        ("run.sh", "cat ../x"),
        ("run.sh", 'cd "$(dirname "$0")/.."'),
        ("run.sh", "cd .."),
        ("Makefile", "a:\n\tpip install --index-url https://example.org x"),
        ("pyproject.toml", 'x = ["y @ file:../y"]'),
        ("assets/a.js", 'import "../../a.js";'),
        (
            "examples/a.ipynb",
            '{"cells": [{"cell_type": "code", "source": ["%cd x\\n", "open(\'../x\')"]}]}',
        ),
        (
            "examples/a.ipynb",
            '{"cells": [{"cell_type": "markdown", "source": ["[x](../../x.md)"]}]}',
        ),
    ],
)
def test_a_text_that_leads_out_is_found(check: Check, file: str, text: str) -> None:
    assert {entry.rpartition(":")[0] for entry in check(file, text)} == {file}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docs/a.md", "see [it](page.md#part), [folder](../tests), [web](https://example.org/..)"),
        ("docs/a.md", "1..2, and so on ... [x]: y"),
        (".ci/run", 'cd "$(dirname "$0")/.."'),
        ("assets/a.js", "const all = [...first, ...second];"),
        ("data/a.json", '{"tokens": ["..", "../../x"]}'),
    ],
)
def test_a_text_that_stays_inside_is_not(check: Check, file: str, text: str) -> None:
    assert check(file, text) == []


def test_a_link_out_of_the_repository_is_found(check: Check, tmp_path: Path) -> None:
    (tmp_path / "docs" / "link").symlink_to("../../x")
    (tmp_path / "docs" / "inside").symlink_to("../tests")
    assert check("docs/a.md", "") == ["docs/link:1"]


def test_an_allowance_needs_a_reason(check: Check) -> None:
    assert check("run.sh", "cat ../x  # outside-ok:") == ["run.sh:1"]
