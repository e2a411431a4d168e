"""list, show, rename, tag, delete and diff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from concept_fragmentation.cli import main
from concept_fragmentation.persistence import GPT2AnalysisPersistence

Run = Callable[..., Result]
Ask = Callable[..., Any]
Store = GPT2AnalysisPersistence


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["analysis_id"] for entry in entries]


def save_again(store: Store) -> None:
    data = store.load_analysis_results("one")["analysis_data"]
    store.save_analysis_results(data, "gpt2", "", "one")


def test_list_shows_a_table(run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split()[:4] == ["Analysis", "Name", "Model", "Tokens"]
    assert lines[1].split()[:6] == ["two", "two", "distilgpt2", "3", "3", "1"]
    assert lines[2].split()[:6] == ["one", "First", "gpt2", "2", "2", "1"]
    assert lines[2].rstrip().endswith(" x")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], ["two", "one"]),
        (["--search", "FIRST a"], ["one"]),
        (["--model", "distilgpt2"], ["two"]),
        (["--tag", "x"], ["one"]),
        (["--name-prefix", "fi"], ["one"]),
        (["--min-tokens", "3"], ["two"]),
        (["--max-tokens", "2"], ["one"]),
        (["--min-layers", "3"], ["two"]),
        (["--max-layers", "2"], ["one"]),
        (["--since", "2100-01-01"], []),
        (["--until", "2100-01-01", "--limit", "1"], ["two"]),
        (["-n", "1", "--offset", "1"], ["one"]),
    ],
)
def test_list_is_narrowed(ask: Ask, filters: list[str], wanted: list[str]) -> None:
    assert ids(ask("list", *filters)) == wanted


def test_list_says_when_it_is_empty_or_cut(run: Run) -> None:
    assert run("list", "--tag", "none").stdout == "Nothing found.\n"
    assert "--offset" in run("list", "-n", "1").stdout


def test_a_wrong_filter_is_one_sentence(run: Run) -> None:
    result = run("list", "--since", "yesterday", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: Invalid data: since:")
    assert result.stderr.count("\n") == 1


def test_names_can_not_command_the_terminal(run: Run, ask: Ask, store: Store) -> None:
    hostile = "\x1b[2J[red]x[/red]\u202e\ud800"
    store.update_analysis("one", name=hostile, tags=[hostile])
    for command in (["list"], ["show", "one"], ["tag", "one"]):
        output = run(*command).stdout
        assert "\x1b" not in output
        assert "U+001B[2J[red]x[/red]U+202EU+D800" in output
    assert ask("show", "one")["metadata"]["name"] == hostile


def test_show_tells_what_is_known(run: Run, ask: Ask, store: Store) -> None:
    store.save_analysis_results(
        store.load_analysis_results("one")["analysis_data"], "gpt2", "", "one"
    )
    store.save_visualization_state("one", {"window": [0, 1]}, "token_sankey", "my view")
    output = run("show", "one").stdout
    assert "model_name" in output
    assert "my view" in output
    found = ask("show", "one")
    assert found["metadata"]["version"] == 2
    assert [v["version"] for v in found["versions"]] == [2, 1]
    assert found["visualization_states"][0]["state_name"] == "my view"
    assert ask("show", "one", "--version", "1")["metadata"]["input_text"] == "a b"
    assert "Stored: 2, 1." in run("show", "one", "--version", "7", code=1).stderr


def test_show_names_what_is_near(run: Run) -> None:
    assert "Did you mean 'one'?" in run("show", "ones", code=1).stderr


def test_rename_changes_the_name_only(run: Run, store: Store) -> None:
    assert run("rename", "one", "New name").stdout == "one is named New name.\n"
    assert store.list_analyses(name_prefix="New")[0]["analysis_id"] == "one"


def test_tags_are_added_and_removed(run: Run, ask: Ask, store: Store) -> None:
    assert ask("tag", "one", "-a", "y", "--add", "z", "-r", "x") == ["y", "z"]
    assert store.list_versions("one")[0]["tags"] == ["y", "z"]
    assert run("tag", "one").stdout == "one: y, z\n"
    assert run("tag", "two").stdout == "two: no tags\n"


def test_delete_asks_first(run: Run, store: Store) -> None:
    run("delete", "one", code=1, input="n\n")
    assert len(store.list_analyses()) == 2
    assert "Deleted one (1 version)." in run("delete", "one", input="y\n").stdout
    assert ids(store.list_analyses()) == ["two"]
    run("delete", "two", "--yes")
    assert store.list_analyses() == []
    assert "not found" in run("delete", "two", "--yes", code=1).stderr


def test_delete_takes_one_version(run: Run, store: Store) -> None:
    store.save_analysis_results(
        store.load_analysis_results("one")["analysis_data"], "gpt2", "", "one"
    )
    assert run("delete", "one", "--version", "1", "-y").stdout == "Deleted version 1 of one.\n"
    assert [v["version"] for v in store.list_versions("one")] == [2]


def test_diff_ends_with_three_when_analyses_differ(run: Run, ask: Ask, store: Store) -> None:
    assert run("diff", "one", "one").stdout == "The analyses are equal.\n"
    assert "1 added" in run("diff", "one", "two", code=3).stdout
    assert ask("diff", "one", "two", code=3)["tokens"]["added"] == 1
    data = store.load_analysis_results("one")["analysis_data"]
    data["cluster_labels"]["layer_1"] = [1, 0]
    store.save_analysis_results(data, "gpt2", "a b", "one")
    found = ask("diff", "one", "--from-version", "1", "--to-version", "2", code=3)
    assert found["keys"]["changed"] == ["cluster_labels.layer_1"]
    assert found["labels"][1]["num_moved"] == 0


def test_a_store_that_is_not_there_is_not_made(tmp_path: Any) -> None:
    result = CliRunner().invoke(main, ["list", "--dir", str(tmp_path / "typo")])
    assert result.exit_code == 1
    assert "There is no store in" in result.output
    assert not (tmp_path / "typo").exists()


def test_the_environment_names_the_store(store: Store) -> None:
    environment = {"CONCEPT_FRAGMENTATION_DIR": str(store.base_dir)}
    result = CliRunner().invoke(main, ["list"], env=environment)
    assert "First" in result.stdout


def complete(store: Store, words: str) -> list[str]:
    environment = {
        "_CONCEPT_FRAGMENTATION_COMPLETE": "bash_complete",
        "COMP_WORDS": f"concept-fragmentation {words}",
        "COMP_CWORD": str(len(words.split(" "))),
        "CONCEPT_FRAGMENTATION_DIR": str(store.base_dir),
    }
    result = CliRunner().invoke(main, [], prog_name="concept-fragmentation", env=environment)
    return [line.split(",")[1] for line in result.stdout.split()]


def test_the_shell_completes_commands_and_ids(store: Store) -> None:
    assert "rename" in complete(store, "re")
    assert complete(store, "show o") == ["one"]
    assert complete(store, "diff one t") == ["two"]
    assert complete(store, "show zz") == []
    assert complete(store, f"show --dir {store.base_dir.parent / 'typo'} o") == []
