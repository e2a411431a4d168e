"""What the documents say is true: their Python runs, their commands, files and links exist.

In a document's Python, `print(...)  # this` promises that line of output, and a block of text right
after a block of Python promises all that the block prints.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from inspect import isfunction
from pathlib import Path

import click
import pytest

from concept_fragmentation import analysis
from concept_fragmentation.cli import main
from concept_fragmentation.persistence import GPT2AnalysisPersistence

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
]

PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def promised_output(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    pairs = re.findall(
        r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", text, re.DOTALL | re.MULTILINE
    )
    lines = []
    for code, output in pairs:
        comments = PRINTED.findall(code)
        assert output or len(comments) == code.count("print("), code
        lines += output.splitlines() or comments
    return lines


def commands(document: str) -> list[list[str]]:
    """Return the shell commands of a document, from its blocks and from code in its text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    without_blocks = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", without_blocks)
    known = re.compile(r"(make|concept-fragmentation|python|gunicorn|pip) ")
    return [shlex.split(line, comments=True) for line in lines if known.match(line)]


def named(program: str) -> list[tuple[str, list[str]]]:
    return [
        (document, command[1:])
        for document in DOCUMENTS
        for command in commands(document)
        if command[0] == program
    ]


def test_the_readme_shows_python_commands_and_json() -> None:
    """Guard the other tests: they would pass on documents in which they find nothing."""
    assert len(blocks("README.md", "python")) >= 5
    assert len(blocks("README.md", "json")) == 1
    programs = {command[0] for command in commands("README.md")}
    assert programs == {"make", "concept-fragmentation", "python", "gunicorn", "pip"}
    assert {"run", "test", "check", "bench"} <= {
        command[1] for command in commands("README.md") if command[0] == "make"
    }


WITH_PYTHON = [document for document in DOCUMENTS if blocks(document, "python")]

# Each in a folder and with names of its own: only what is imported is shared.
RUN = """
import contextlib, io, json, os, runpy, sys, traceback
from pathlib import Path

printed = {}
for script in sys.argv[1:]:
    output, errors = io.StringIO(), io.StringIO()
    os.chdir(Path(script).parent)
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            runpy.run_path(script, run_name="__main__")
        except Exception:
            traceback.print_exc()
    printed[script] = [output.getvalue(), errors.getvalue()]
print(json.dumps(printed))
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return what each document's Python prints, to standard output and to standard error."""
    environment = {k: v for k, v in os.environ.items() if k != "CONCEPT_FRAGMENTATION_DIR"}
    scripts = {}
    for document in WITH_PYTHON:
        scripts[document] = str(tmp_path_factory.mktemp("document") / "document.py")
        Path(scripts[document]).write_text("\n".join(blocks(document, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, *scripts.values()],
        env=environment | {"PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    return {document: found[script] for document, script in scripts.items()}


@pytest.mark.parametrize("document", WITH_PYTHON)
@pytest.mark.slow
def test_the_python_of_a_document_runs_and_prints_what_it_says(
    document: str, printed: dict[str, list[str]]
) -> None:
    output, errors = printed[document]
    assert errors == ""
    assert output.splitlines() == promised_output(document)


def test_the_json_of_the_readme_is_an_analysis_that_can_be_imported(tmp_path: Path) -> None:
    (text,) = blocks("README.md", "json")
    store = GPT2AnalysisPersistence(tmp_path / "store")
    analysis_id = store.import_bytes("mine.json", text.encode())
    assert store.load_analysis_results(analysis_id)["analysis_data"] == json.loads(text)


def test_every_make_target_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^(\w+) *\?=", makefile, re.MULTILINE))
    assert {"run", "test", "test-quick", "check", "soak"} <= targets
    for document, arguments in named("make"):
        assert arguments[0] in targets, f"{document}: make {arguments[0]}"
        given = {name for name, is_set, _ in (a.partition("=") for a in arguments[1:]) if is_set}
        assert given <= variables, f"{document}: {given - variables} is no variable"


def test_what_ci_runs_is_what_contributing_says() -> None:
    """Guard the documents: whoever ran these two has run what every change must pass."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    ran = re.findall(r"^make ([a-z-]+)$", script, re.MULTILINE)
    assert ran == ["check", "test"]
    said = {arguments[0] for document, arguments in named("make") if document == "CONTRIBUTING.md"}
    assert set(ran) | {"test-quick", "soak"} <= said
    assert "`.ci/run`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_subcommand_and_option_is_in_the_command_line() -> None:
    for document, (name, *arguments) in named("concept-fragmentation"):
        where = f"{document}: concept-fragmentation {name}"
        assert name in main.commands, where
        parameters = main.commands[name].params
        options = {option for p in parameters for option in (*p.opts, *p.secondary_opts)}
        given = {argument.partition("=")[0] for argument in arguments if argument[0] == "-"}
        assert given <= options | {"--help"}, where
        if "--help" not in arguments:
            main.commands[name].make_context(name, list(arguments))


def test_every_subcommand_is_in_the_readme() -> None:
    assert isinstance(main, click.Group)
    said = {arguments[0] for _, arguments in named("concept-fragmentation")}
    assert said == set(main.commands)


def test_every_script_exists() -> None:
    for document, (script, *arguments) in named("python"):
        path = ROOT / arguments[0] / "__main__.py" if script == "-m" else ROOT / script
        assert path.is_file(), f"{document}: python {script}"


def test_every_wsgi_application_exists() -> None:
    for document, arguments in named("gunicorn"):
        module, _, call = arguments[-1].partition(":")
        assert callable(getattr(import_module(module), call.removesuffix("()"))), document


def test_every_extra_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for document, arguments in named("pip"):
        for extra in re.findall(r"\[(\w+)\]", " ".join(arguments)):
            assert extra in project["optional-dependencies"], document


def test_every_public_function_of_analysis_and_metric_of_a_path_is_explained() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/*.md"))
    functions = {name for name in analysis.__all__ if isfunction(getattr(analysis, name))}
    metrics = {field.name for field in dataclasses.fields(analysis.TokenPathMetrics)}
    missing = (functions | metrics) - set(re.findall(r"\w+", text))
    assert missing == set(), "write about these in docs/"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (ROOT / document).parent.joinpath(target).exists(), target
