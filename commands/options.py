"""What the commands have in common: the store, its failures, and ids that complete."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from concept_fragmentation.persistence import ConceptFragmentationError, GPT2AnalysisPersistence
from concept_fragmentation.persistence.store import DEFAULT_DIR, DIR_VARIABLE

# What `diff` and `verify` end with when they found something; 1 is a failure, 2 a wrong usage.
FOUND_SOMETHING: Final = 3

_COMPLETED: Final = 50

Command = Callable[..., Any]

in_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder of the store.  [default: {DEFAULT_DIR}]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs, not a table.")


def with_store(*, make: bool = False) -> Callable[[Command], Command]:
    """Give a command `--dir` and, as its first argument, the store there.

    Whatever the store refuses ends the command with the store's sentence and the exit code 1.

    Args:
        make: whether a store that is not there is made, as an import does.
    """

    def decorate(command: Command) -> Command:
        @in_directory
        @functools.wraps(command)
        def run(directory: Path | None, **arguments: Any) -> None:
            try:
                with open_store(directory, make=make) as store:
                    command(store, **arguments)
            except ConceptFragmentationError as error:
                raise click.ClickException(str(error)) from error

        return run

    return decorate


def complete_analysis(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The newest analyses whose id begins with what was typed, for the shell."""
    try:
        with open_store(context.params.get("directory"), make=False) as store:
            found = store.list_analyses(search=incomplete, limit=_COMPLETED)
    except (ConceptFragmentationError, click.ClickException):
        # A shell that completes has nowhere to say so; the command will.
        return []
    return [
        CompletionItem(entry["analysis_id"], help=entry["name"])
        for entry in found
        if entry["analysis_id"].startswith(incomplete)
    ]


analysis = click.argument("analysis_id", metavar="ANALYSIS", shell_complete=complete_analysis)


def open_store(directory: Path | None, *, make: bool) -> GPT2AnalysisPersistence:
    """The store in a folder; without `make` a ClickException says so if there is none."""
    folder = directory or Path(os.environ.get(DIR_VARIABLE) or DEFAULT_DIR)
    if not make and not (folder.expanduser() / "analysis_results").is_dir():
        raise click.ClickException(
            f"There is no store in {str(folder)!r}; name its folder with --dir or ${DIR_VARIABLE}."
        )
    return GPT2AnalysisPersistence(folder, enable_cache=False)
