from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from concept_fragmentation.cli import main
from concept_fragmentation.persistence import GPT2AnalysisPersistence

TEXT = "Emma was a kind sister who lived near the lake. She sat on the bank of the river."


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["analyze", *map(str, arguments)])


@pytest.mark.slow
def test_a_file_is_analysed_saved_and_made_again(tmp_path: Path) -> None:
    file, store = tmp_path / "story.txt", tmp_path / "store"
    file.write_text(TEXT)
    ran = run(file, "--model", "tiny", "--k", 4, "--save", "Emma", "--dir", store)
    assert ran.exit_code == 0, ran.output
    assert "tiny_gpt2: 20 tokens, 5 layers" in ran.stdout
    assert "block_4" in ran.stdout
    saved = ran.stdout.splitlines()[-1].removeprefix("Saved as ")
    loaded = GPT2AnalysisPersistence(store).load_analysis_results(saved)
    assert (loaded["metadata"]["name"], loaded["metadata"]["input_text"]) == ("Emma", TEXT)

    again = run("--like", saved, "--save", "Emma again", "--dir", store)
    assert again.exit_code == 0, again.output
    other = again.stdout.splitlines()[-1].removeprefix("Saved as ")
    repeated = GPT2AnalysisPersistence(store).load_analysis_results(other)
    assert repeated["analysis_data"]["cluster_labels"] == loaded["analysis_data"]["cluster_labels"]


def test_nothing_is_saved_unless_asked(tmp_path: Path) -> None:
    ran = run("--text", TEXT, "--model", "tiny", "--k", 3, "--dir", tmp_path / "store")
    assert ran.exit_code == 0, ran.output
    assert "Not saved; --save NAME keeps it." in ran.stdout
    assert not (tmp_path / "store").exists()


def test_words_come_from_a_column_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("word,kind\ndog,animal\nhouse,place\nsaxophone,thing\nriver,place\n")
    ran = run(file, "--column", "word", "--words", "skip", "--model", "tiny", "--k", 2)
    assert ran.exit_code == 0, ran.output
    before = "1 of 4 words will be skipped, as not of one token: saxophone\n"
    assert ran.stderr.startswith(before)
    assert "3 tokens" in ran.stdout
    assert "Skipped, of several tokens: saxophone" in ran.stdout


@pytest.mark.slow
def test_categories_come_from_columns_of_the_table(tmp_path: Path) -> None:
    table = tmp_path / "words.csv"
    rows = ["dog,animal", "cat,animal", "river,place", ",place", "lake,place", "man,"]
    table.write_text("\n".join(["word,kind", *rows]))
    options = ("--column", "word", "--words", "average", "--model", "tiny", "--k", 2)
    ran = run(table, "--category", "kind", *options, "--id", "kinds", "--dir", tmp_path / "store")
    assert ran.exit_code == 0, ran.output
    assert "kind: too few tokens share a path to test" in ran.stdout
    assert re.search(r"  animal +2 tokens   off the modal path 0\.\d+, dealt 0\.\d+ \[", ran.stdout)
    store = GPT2AnalysisPersistence(tmp_path / "store")
    kept = store.load_analysis_results("kinds")["analysis_data"]
    assert kept["token_metadata"]["kind"] == ["animal", "animal", "place", "place", None]
    by_category = kept["category_association"]["kind"]["by_category"]
    assert [(of["category"], of["num_tokens"]) for of in by_category] == [
        ("animal", 2),
        ("place", 2),
    ]


@pytest.mark.slow
def test_layers_are_chosen_by_name_and_index() -> None:
    ran = run("--text", TEXT, "--model", "tiny", "--k", "auto", "--layers", "embedding, 2,-1")
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("layer "))
    listed = [line.split()[0] for line in lines[head + 1 : head + 4]]
    assert lines[1].split() == [
        "observed",
        "one-step",
        "memory",
        "difference",
        "[95",
        "%",
        "of",
        "draws]",
    ]
    for line, name in zip(lines[2:5], ("fragmentation", "concentration", "agreement"), strict=True):
        assert re.fullmatch(name + r" +\S+ +\S+ +[+-]\d\.\d{3} \[[+-]\S+, [+-]\S+\], p = \S+", line)
    assert "-0.000" not in ran.stdout
    assert re.fullmatch(r"p corrected for 3 tests; each of \d+ words counted once", lines[5])
    assert listed == ["embedding", "block_2", "block_4"]
    assert "1 token set aside: massive activations (1 start of a sequence)" in ran.stdout


@pytest.mark.slow
def test_massive_activations_are_kept_and_words_read_alone_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    ran = run("--text", TEXT, "--model", "tiny", "--k", "20", "--keep-massive")
    assert ran.exit_code == 0, ran.output
    assert "set aside" not in ran.stdout
    file = tmp_path / "words.txt"
    file.write_text("dog\nhouse\nriver\n")
    words = (str(file), "--model", "tiny", "--k", "2", "--words", "skip")
    assert "first position" not in run(*words).output
    ran = run(*words, "--prefix", "")
    assert ran.exit_code == 0, ran.output
    assert "Each word was read at the first position" in ran.stdout
    assert "Warning" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give a FILE or --text, one of them."),
        (["--text", "a", "--category", "kind"], "--category needs a FILE that is a table."),
        (["--like", "x", "--k", "3"], "leave out --k."),
        (
            ["--text", TEXT, "--k", "few"],
            "'few' is neither a whole number nor one of 'auto', 'gap'.",
        ),
        (
            ["--text", TEXT, "--model", "tiny", "--k", "99"],
            "99 clusters of 19 tokens; choose at most 19; 1 token is set",
        ),
        (["--text", " ", "--model", "./nowhere"], "The model './nowhere' can't be had"),
        (["--text", TEXT, "--model", "tiny", "--layers", "top"], "no layer 'top'"),
        (["no-such-file.txt"], "Cannot read no-such-file.txt: No such file or directory."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], sentence: str) -> None:
    ran = run(*arguments)
    assert ran.exit_code != 0
    assert sentence in " ".join(ran.output.split())
    assert "Traceback" not in ran.output


def test_an_analysis_that_is_not_there_is_named(tmp_path: Path) -> None:
    GPT2AnalysisPersistence(tmp_path)
    ran = run("--like", "nobody", "--dir", tmp_path)
    assert ran.exit_code == 1
    assert "Analysis not found: 'nobody'" in ran.output


@pytest.mark.slow
def test_standard_input_is_a_file_too(tmp_path: Path) -> None:
    store = tmp_path / "store"
    given = ["analyze", "-", "--model", "tiny", "--k", "3", "--id", "mine", "--dir", str(store)]
    ran = CliRunner().invoke(main, given, input=f"\ufeff{TEXT}".encode())
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.endswith("Saved as mine\n")
    loaded = GPT2AnalysisPersistence(store).load_analysis_results("mine")
    assert loaded["metadata"]["input_text"] == TEXT

    ran = CliRunner().invoke(
        main, ["analyze", "--like", "mine", "--id", "mine", "--dir", str(store)]
    )
    assert ran.exit_code == 0, ran.output
    versions = GPT2AnalysisPersistence(store).list_versions("mine")
    assert [version["version"] for version in versions] == [2, 1]

    compared = CliRunner().invoke(
        main, ["diff", "mine", "--from-version", "1", "--dir", str(store)]
    )
    assert compared.exit_code == 0, compared.output
    assert compared.stdout.startswith("The analyses are equal.\n")
    assert "Expected to differ between runs, changed: provenance." in compared.stdout


@pytest.mark.slow
def test_a_column_comes_from_standard_input_too() -> None:
    given = ["analyze", "-", "--column", "word", "--words", "skip", "--model", "tiny", "--k", "2"]
    for separator in (",", "\t"):
        rows = [["word", "kind"], ["dog", "a"], ["house", "p"], ["river", "p"]]
        table = "\n".join(separator.join(row) for row in rows)
        ran = CliRunner().invoke(main, given, input=table)
        assert ran.exit_code == 0, ran.output
        assert "3 tokens" in ran.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "standard input: there is no text in it"),
        (b"\x89PNG\r\n", "standard input: byte 0 is no UTF-8"),
        (b"a\0b", "standard input: it is no text in UTF-8"),
        ("text".encode("utf-16"), "it is no text in UTF-8"),
    ],
)
def test_standard_input_that_is_no_text_is_one_sentence(content: bytes, sentence: str) -> None:
    ran = CliRunner().invoke(main, ["analyze", "-", "--model", "tiny"], input=content)
    assert ran.exit_code == 1
    assert sentence in ran.output
    assert ran.output.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--k", "0"],
        ["--k", "-3"],
        ["--pca", "0"],
        ["--seed", "-1"],
        ["--seed", "4294967296"],
        ["--layers", "top"],
        ["--id", "../x"],
        ["--id", ""],
    ],
)
def test_options_are_checked_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr("concept_fragmentation.commands.analyze.analyze", pytest.fail)
    ran = run("--text", TEXT, *options)
    assert ran.exit_code in {1, 2}
    assert options[0].removeprefix("--") in ran.output


def test_what_could_not_be_saved_is_not_computed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("concept_fragmentation.commands.analyze.analyze", pytest.fail)
    (tmp_path / "file").write_text("in the way")
    ran = run("--text", TEXT, "--save", "x", "--dir", tmp_path / "file" / "store")
    assert ran.exit_code == 1
    assert ran.output.startswith(f"Error: Nothing can be saved in '{tmp_path}/file/store', as ")
