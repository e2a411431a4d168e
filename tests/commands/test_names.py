"""Analyses by name instead of id, in every command, and sentences in words of the shell."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from concept_fragmentation import persistence
from concept_fragmentation.cli import COMMANDS, main
from concept_fragmentation.commands.options import in_shell_words
from concept_fragmentation.persistence import GPT2AnalysisPersistence

Run = Callable[..., Result]
Store = GPT2AnalysisPersistence


@pytest.fixture
def twins(store: Store) -> Store:
    """Return the store with two analyses named "Twin" beside."""
    data = store.load_analysis_results("one")["analysis_data"]
    for identifier in ("left", "right"):
        store.save_analysis_results(data, "gpt2", "", identifier, name="Twin")
    return store


@pytest.mark.parametrize(
    "command",
    [
        ["show", "First"],
        ["verify", "First"],
        ["compress", "First", "two"],
        ["tag", "First", "--add", "new"],
        ["rename", "First", "Second"],
        ["diff", "First", "one"],
        ["export", "First"],
        ["delete", "First", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_a_unique_name_is_taken_for_the_id(run: Run, command: list[str]) -> None:
    assert "one" in run(*command).stdout or command[0] in {"verify", "diff"}


@pytest.mark.parametrize(
    "command",
    [
        ["show", "Twin"],
        ["verify", "Twin"],
        ["compress", "one", "Twin"],
        ["tag", "Twin", "--add", "new"],
        ["rename", "Twin", "Second"],
        ["diff", "one", "Twin"],
        ["export", "Twin"],
        ["report", "Twin"],
        ["delete", "Twin", "--yes"],
        ["analyze", "--like", "Twin"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("twins")
def test_a_name_that_several_have_lists_their_ids(run: Run, store: Store, command: Any) -> None:
    before = store.list_analyses()
    said = run(*command, code=1).output
    assert said == "Error: 2 analyses are named 'Twin'; give the id of one: right, left.\n"
    assert store.list_analyses() == before


def test_an_id_goes_before_a_name(run: Run, ask: Callable[..., Any], store: Store) -> None:
    store.update_analysis("two", name="one")
    assert ask("show", "one")["metadata"]["analysis_id"] == "one"


def test_a_name_that_no_id_could_be_is_found(run: Run, store: Store) -> None:
    store.update_analysis("one", name="layers 1/2: ../x")
    assert "one" in run("show", "layers 1/2: ../x").stdout


def test_the_deleted_are_restored_by_name(run: Run, store: Store) -> None:
    run("delete", "First", "--yes")
    assert run("restore", "First").stdout == "Restored one.\n"
    assert store.list_versions("one")


def complete(store: Store, *words: str) -> list[str]:

    environment = {
        "_CONCEPT_FRAGMENTATION_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["concept-fragmentation", *words]),
        "COMP_CWORD": str(len(words)),
        "CONCEPT_FRAGMENTATION_DIR": str(store.base_dir),
    }
    result = CliRunner().invoke(main, [], prog_name="concept-fragmentation", env=environment)
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


@pytest.mark.slow
def test_the_shell_completes_ids_and_names(twins: Store) -> None:
    assert set(complete(twins, "show", "")) == {"one", "two", "left", "right", "First", "Twin"}
    assert complete(twins, "show", "Fi") == ["First"]
    assert complete(twins, "diff", "one", "Tw") == ["Twin"]
    assert complete(twins, "compress", "one", "le") == ["left"]
    assert complete(twins, "analyze", "--like", "ri") == ["right"]
    twins.delete_analysis("one")
    assert set(complete(twins, "restore", "")) == {"one", "First"}


def sentences(folder: Path) -> Iterator[str]:
    """Find every text in modules that is no docstring."""
    for file in folder.glob("*.py"):
        tree = ast.parse(file.read_text())
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in docstrings:
                yield str(node.value)


@pytest.mark.slow
def test_no_sentence_of_the_store_speaks_python_in_the_shell() -> None:
    folder = Path(persistence.__file__).parent
    # Of sentences, not of code that is handed to another Python; no command pickles.
    speaking = [
        text
        for text in sentences(folder)
        if re.search(r"(?<![\w.])[a-z_]+\(\)", text)
        and " " in text
        and not re.search(r"import |pickle", text)
    ]
    assert speaking
    for sentence in speaking:
        assert "()" not in in_shell_words(sentence), sentence


def test_what_is_not_found_names_the_command(run: Run) -> None:
    said = run("show", "nobody", code=1).output
    assert "concept-fragmentation list shows what is stored" in said
    said = run("restore", "nobody", code=1).output
    assert "concept-fragmentation restore shows what is" in said


def test_every_command_is_there_and_says_what_it_does() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_long_stays_in_a_cluster_are_counted(run: Run, store: Store) -> None:
    layers = [f"layer_{i}" for i in range(31)]
    store.save_analysis_results(
        {
            "model_type": "gpt2",
            "layers": layers,
            "token_metadata": {"tokens": [" a", " b", " c"]},
            "cluster_labels": {name: [1, 1, 0 if i < 2 else 5] for i, name in enumerate(layers)},
        },
        "gpt2",
        "",
        "long",
    )
    shown = run("show", "long").stdout.splitlines()
    start = next(i for i, line in enumerate(shown) if line.startswith("path "))
    assert shown[start + 1].split() == ["1×31", "2", "a", "b"]
    assert shown[start + 2].split() == ["0×2", "→", "5×29", "1", "c"]


def test_json_of_a_command_stays_json_with_a_name(run: Run) -> None:
    assert json.loads(run("tag", "First", "--json").stdout) == ["x"]
