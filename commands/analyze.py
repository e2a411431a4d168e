"""`concept-fragmentation analyze`: from a text to a saved analysis, with a progress bar."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from concept_fragmentation.analysis import (
    STAGES,
    TINY,
    Analysis,
    ReadAloneWarning,
    analyze,
    analyze_again,
    check_options,
    layer_window,
    read_table_categories,
    read_text_file,
    saving_arguments,
    skipped_words,
)
from concept_fragmentation.analysis.clustering import CHOICES_OF_K
from concept_fragmentation.analysis.inputs import DEFAULT_PREFIX
from concept_fragmentation.analysis.significance import FIGURES
from concept_fragmentation.analysis.tables import layer_table
from concept_fragmentation.commands.options import (
    check_can_save,
    complete_analysis,
    failure,
    identify,
    in_directory,
    open_store,
)
from concept_fragmentation.commands.output import path_lines, shown
from concept_fragmentation.components.floors import floor_sentence
from concept_fragmentation.components.massive import (
    READ_ALONE,
    set_aside_kinds,
    set_aside_text,
)
from concept_fragmentation.components.words import plural, signed_zero
from concept_fragmentation.persistence import ConceptFragmentationError
from concept_fragmentation.persistence.identifiers import check_identifier

# How much of the bar each stage fills; about how long they take of a page of text.
_PARTS: Final = dict(zip(STAGES, (200, 500, 200, 100), strict=True))
# What may be said together with --like: what is made again has its own options.
_BESIDE_LIKE: Final = frozenset(("like", "name", "saved_id", "directory"))
# Of the words that will be skipped.
_NAMED: Final = 10
# How FILE names standard input.
_STANDARD_INPUT: Final = Path("-")


_POSITIVE: Final = click.IntRange(min=1)


class _NumClusters(click.ParamType[int | str]):
    name = "|".join(("K", *CHOICES_OF_K))

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value in CHOICES_OF_K:
            return str(value)
        try:
            return _POSITIVE.convert(int(value), param, ctx)
        except ValueError:
            choices = ", ".join(map(repr, CHOICES_OF_K))
            self.fail(f"{value!r} is neither a whole number nor one of {choices}.", param, ctx)


class _Layers(click.ParamType[list[str | int]]):
    name = "LAYER,..."

    def convert(
        self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> list[str | int]:
        names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        return [int(name) if _is_number(name) else name for name in names]


@click.command("analyze")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--text", help="The text itself, instead of a FILE.")
@click.option("--column", help="Of a CSV or TSV file: the column that holds the texts.")
@click.option(
    "--category",
    "category",
    multiple=True,
    metavar="COLUMN",
    help="Of a CSV or TSV file: a column that says something of each text or word, such as its "
    "part of speech; can be given several times.",
)
@click.option(
    "--words",
    type=click.Choice(["skip", "average"]),
    help="FILE has one word a line (or cell); words of several tokens are skipped or averaged.",
)
@click.option(
    "--prefix",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="Of --words: what each is read behind.",
)
@click.option(
    "--model",
    default="gpt2",
    show_default=True,
    help=f"A checkpoint on the Hugging Face hub, a local folder, or {TINY!r}, the very small model "
    "that ships.",
)
@click.option("--revision", help="A commit, branch or tag of the model on the hub.")
@click.option(
    "--k",
    type=_NumClusters(),
    default=10,
    show_default=True,
    help="Clusters of each layer; auto: as the silhouette, gap: as the gap statistic chooses.",
)
@click.option(
    "--warm-start/--no-warm-start",
    default=True,
    show_default=True,
    help="Start each layer from the clusters of the layer before, or each at random.",
)
@click.option(
    "--layers", type=_Layers(), help="Names or indices, such as embedding,block_6,-1.  [all]"
)
@click.option(
    "--attention",
    type=click.Choice(["metrics", "full", "none"]),
    default="metrics",
    show_default=True,
    help="What to keep of it: figures of each head, the weights too, or nothing.",
)
@click.option("--standardise", is_flag=True, help="Scale each dimension before clustering.")
@click.option(
    "--keep-massive",
    is_flag=True,
    help="Cluster positions with massive activations too, such as the first of a text.",
)
@click.option("--pca", type=_POSITIVE, help="Reduce to as many components before clustering.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of all that is drawn.",
)
@click.option("--device", default="auto", show_default=True, help="As torch names it.")
@click.option("--save", "name", help="Save the analysis under this name.")
@click.option(
    "--id",
    "saved_id",
    metavar="ID",
    shell_complete=complete_analysis,
    help="Save it under this id, as a new version if there is one.  [default: a new id]",
)
@click.option(
    "--like",
    metavar="ANALYSIS",
    shell_complete=complete_analysis,
    help="Run again what that analysis was made by.",
)
@in_directory
@click.pass_context
def analyze_command(
    context: click.Context,
    /,
    file: Path | None,
    text: str | None,
    column: str | None,
    category: tuple[str, ...],
    name: str | None,
    saved_id: str | None,
    like: str | None,
    directory: Path | None,
    **options: Any,
) -> None:
    """Run a language model over a text, cluster its hidden states and measure the paths.

    FILE is a text, a table (.csv, .tsv) with a --column of texts, or with --words a list of words;
    - is standard input.
    """
    if like is not None:
        given = [
            parameter.opts[0]
            for parameter in context.command.params
            if parameter.name not in _BESIDE_LIKE
            and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(f"--like runs with what it was made by; leave out {given[0]}.")
    elif (file is None) == (text is None):
        raise click.UsageError("Give a FILE or --text, one of them.")
    try:
        if saved_id is not None:
            check_identifier(saved_id, "--id")
        if name is not None or saved_id is not None:
            check_can_save(directory)
        if like is not None:
            with open_store(directory, make=False) as store:
                loaded = store.load_analysis_results(identify(store, like))
            with _Bar() as bar:
                made = analyze_again(loaded["analysis_data"], progress=bar.report)
        else:
            made = _analyze(file, text, column, category, options)
        saved = None
        if name is not None or saved_id is not None:
            with open_store(directory, make=True) as store:
                saved = store.save_analysis_results(
                    made, analysis_id=saved_id, **saving_arguments(made), name=name
                )
    except ConceptFragmentationError as error:
        raise failure(error) from error
    click.echo(summary(made))
    if saved is None:
        click.echo("Not saved; --save NAME keeps it.")
    else:
        click.echo(f"Saved as {saved}")


def _analyze(
    file: Path | None,
    text: str | None,
    column: str | None,
    category: tuple[str, ...],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the analysis of a file or of a text, made with a progress bar."""
    if file is None and category:
        raise click.UsageError("--category needs a FILE that is a table.")
    model = options.pop("model")
    options["n_clusters"] = options.pop("k")
    read, options["categories"] = _read(file, text, column, category, options["words"])
    check_options(read, **options)
    if options["words"] == "skip" and not isinstance(read, str):
        _say_skipped(read, model, options["revision"])
    with _Bar() as bar, warnings.catch_warnings():
        # The summary says so.
        warnings.simplefilter("ignore", ReadAloneWarning)
        return analyze(read, model, progress=bar.report, **options)


def summary(made: Mapping[str, Any]) -> str:
    """Return a summary of an analysis in lines of text."""
    analysis = Analysis.from_dict(made)
    aside = f"{set_aside_text(analysis)} ({set_aside_kinds(analysis)})"
    lines = [
        f"{made['model_type']}: {len(made['token_metadata']['tokens'])} tokens, "
        f"{len(made['layers'])} layers, {made['provenance']['duration_seconds']:.1f} s",
        *_tested(made["significance"]),
        *([aside] if analysis.set_aside.any() else []),
        "",
        *_layers(analysis),
    ]
    lines += _categories(made.get("category_association", {}))
    lines += ["", *path_lines(analysis)]
    if made.get("words", {}).get("prefix") == "":
        lines += ["", READ_ALONE]
    if skipped := made.get("words", {}).get("skipped"):
        lines += ["", f"Skipped, of several tokens: {', '.join(skipped)}"]
    return "\n".join(lines)


def _layers(analysis: Analysis) -> list[str]:
    """Return the figures of each layer, each beside what it is without clusters or movement."""
    columns = (
        ("clusters", "num_clusters", 10, ".0f"),
        ("silhouette", "silhouette", 11, ".3f"),
        ("Gaussian", "silhouette_gaussian", 9, ".3f"),
        ("reproducibility", "reproducibility", 16, ".3f"),
        ("Gaussian", "stability_gaussian", 9, ".3f"),
        ("moved", "moved", 7, ".3f"),
        ("floor", "moved_floor", 7, ".3f"),
    )
    table = layer_table(analysis)
    lines = [f"{'layer':<11}" + "".join(f"{name:>{width}}" for name, _, width, _ in columns)]
    for layer, row in table.iterrows():
        cells = (
            "" if isnan(row[key]) else format(row[key], digits) for _, key, _, digits in columns
        )
        widths = (width for _, _, width, _ in columns)
        lines.append(
            f"{layer:<11}"
            + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        )
    window = layer_window(analysis, 0, -1)
    return [*lines, *(["", floor_sentence(analysis, window)] if len(window.layers) > 1 else [])]


def _tested(significance: Mapping[str, Any]) -> list[str]:
    """Return what the tests of the paths found, or why there is nothing to test."""
    if significance["note"]:
        return [significance["note"]]
    lines = [f"{'':<14}{'observed':>9}{'one-step memory':>17}   difference [95 % of draws]"]
    for name in FIGURES:
        test = significance[name]
        observed, mean = test["observed"], test["null_mean"]
        apart, low, high = (
            f"{signed_zero(round(observed - value, 3)):+.3f}"
            for value in (mean, test["null_high"], test["null_low"])
        )
        lines.append(
            f"{name:<14}{observed:>9.3f}{mean:>17.3f}   {apart} [{low}, {high}], "
            f"p = {test['p_adjusted']:.3g}"
        )
    once = f"each of {plural(significance['num_words'], 'word')} counted once"
    return [*lines, f"p corrected for {significance['num_tests']} tests; {once}"]


def _categories(associations: Mapping[str, Any]) -> list[str]:
    """Return how far categories and paths belong together, beside categories that are dealt."""
    lines = []
    for name, found in associations.items():
        known = not isnan(found["p_adjusted"])
        lines += [
            "",
            f"{shown(name)}: Cramér's V {found['cramers_v']:.3f}, of dealt categories "
            f"{found['cramers_v_null']:.3f}, p = {found['p_adjusted']:.3g}"
            if known
            else f"{shown(name)}: too few tokens share a path to test whether it goes with them",
            *(
                f"  {shown(of['category']):<12}{of['num_tokens']:>8} tokens   off the modal path "
                f"{of['fragmentation']:.3f}, dealt {of['null_mean']:.3f} "
                f"[{of['null_low']:.3f}, {of['null_high']:.3f}]"
                for of in found["by_category"]
            ),
        ]
    return lines


def _say_skipped(words: list[str], model: str, revision: str | None) -> None:
    """Say before the run which words it will leave out."""
    if skipped := skipped_words(words, model, revision=revision):
        named = ", ".join(map(shown, dict.fromkeys(skipped[:_NAMED])))
        more = ", ..." if len(skipped) > _NAMED else ""
        click.echo(
            f"{len(skipped):,} of {plural(len(words), 'word')} will be skipped, as not of one "
            f"token: {named}{more}",
            err=True,
        )


def _read(
    file: Path | None,
    text: str | None,
    column: str | None,
    category: tuple[str, ...],
    words: str | None,
) -> tuple[str | list[str], dict[str, list[str | None]]]:
    """Return the text, or the texts or words, and what columns of their table say of them."""
    if file is None:
        return text or "", {}
    named = _content(file, is_table=column is not None or bool(category))
    read = read_text_file(*named, column=column, by_line=words is not None)
    return read, read_table_categories(*named, category, column=column) if category else {}


def _content(file: Path, *, is_table: bool) -> tuple[str, bytes]:
    """Return the name that tells what kind of file it is, and what is in it."""
    if file == _STANDARD_INPUT:
        content = _standard_input()
        # A table of one column has no separator to tell by.
        table = ".tsv" if b"\t" in content.partition(b"\n")[0] else ".csv"
        return f"standard input{table if is_table else ''}", content
    try:
        return file.name, file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"Cannot read {file}: {error.strerror}.") from error


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        click.echo("Type the text; Ctrl+D at the beginning of a line ends it.", err=True)
    try:
        # Where standard input is closed, an empty stream of text is in its place.
        content = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else b""
    except OSError as error:
        raise click.ClickException(f"Cannot read standard input: {error.strerror}.") from error
    if b"\0" in content:
        raise click.ClickException("Cannot read standard input: it is no text in UTF-8.")
    return content


def _is_number(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


class _Bar:
    """A progress bar on the standard error stream, in which each stage has its part."""

    def __init__(self) -> None:
        self._bar = click.progressbar(length=sum(_PARTS.values()), label="load", file=sys.stderr)

    def __enter__(self) -> _Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._bar.__exit__(*raised)

    def report(self, stage: str, share: float) -> None:
        """Move to a share of a stage."""
        before = sum(_PARTS[earlier] for earlier in STAGES[: STAGES.index(stage)])
        self._bar.label = stage
        self._bar.update(int(before + share * _PARTS[stage]) - self._bar.pos)
