"""Options that commands share: the store, its failures, and analyses by id or by name."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from concept_fragmentation.persistence import (
    ConceptFragmentationError,
    GPT2AnalysisPersistence,
    NotFoundError,
    UnsafeIdentifierError,
)
from concept_fragmentation.persistence.store import DEFAULT_DIR, DIR_VARIABLE

# What `diff` and `verify` end with when they found something; 1 is a failure, 2 a wrong usage.
FOUND_SOMETHING: Final = 3

_COMPLETED: Final = 50
_LISTED: Final = 10

# Parameters of commands that name analyses.
_NAMING: Final = frozenset(("analysis_id", "analysis_ids", "before", "after"))

# What sentences of the store tell a program to call, as a person in a shell does it.
_COMMANDS: Final = {
    "The Library and list_analyses() show": "concept-fragmentation list shows",
    "list_trash()": "concept-fragmentation restore",
    "restore_analysis()": "concept-fragmentation restore",
    "backup()": "concept-fragmentation backup",
    "repair()": "concept-fragmentation repair",
    "reindex()": "concept-fragmentation reindex",
    "update_session()": "choose the session's analyses on the page",
    "restore trash_id=": "restore it with --trash-id ",
    "overwrite=True": "--force",
    "n_clusters:": "--k:",
    "keep_massive=True": "--keep-massive",
}
_CALLS: Final = re.compile("|".join(map(re.escape, _COMMANDS)))

Command = Callable[..., Any]

in_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder of the store.  [default: {DEFAULT_DIR}]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs, not a table.")
force = click.option("-f", "--force", is_flag=True, help="Replace what is there already.")


def with_store(*, make: bool = False) -> Callable[[Command], Command]:
    """Give a command `--dir` and, as its first argument, the store there.

    Names of analyses among its arguments become ids. What the store refuses ends the command with
    the store's sentence and the exit code 1.

    Args:
        make: whether a store that is not there is made, as an import does.
    """

    def decorate(command: Command) -> Command:
        @in_directory
        @functools.wraps(command)
        def run(directory: Path | None, **arguments: Any) -> None:
            try:
                with open_store(directory, make=make) as store:
                    for parameter in _NAMING & arguments.keys():
                        arguments[parameter] = _identified(store, arguments[parameter])
                    command(store, **arguments)
            except ConceptFragmentationError as error:
                raise failure(error) from error

        return run

    return decorate


def failure(error: ConceptFragmentationError) -> click.ClickException:
    """Return the error of a command that was refused: its sentence, in words of the shell."""
    return click.ClickException(in_shell_words(str(error)))


def in_shell_words(sentence: str) -> str:
    """Return a sentence of the store that names commands where it named methods."""
    return _CALLS.sub(lambda found: _COMMANDS[found.group()], sentence)


def identify(store: GPT2AnalysisPersistence, given: str) -> str:
    """Return the id of the analysis that has an id or a name; what is neither stays as it is.

    Raises a ClickException that lists the ids where several analyses have that name.
    """
    try:
        store.list_versions(given)
    except (NotFoundError, UnsafeIdentifierError):
        return _only_one(given, [*_named(store.list_analyses(name_prefix=given), given)])
    except ConceptFragmentationError:
        # It is there, and damaged: the command says what it makes of that.
        pass
    return given


def identify_deleted(store: GPT2AnalysisPersistence, given: str) -> str:
    """Return the id of the deleted analysis that has an id or a name, as `identify` does."""
    trash = store.list_trash()
    if any(entry["analysis_id"] == given for entry in trash):
        return given
    return _only_one(given, [*dict.fromkeys(_named(trash, given))])


def _identified(store: GPT2AnalysisPersistence, given: Any) -> Any:
    if isinstance(given, str):
        return identify(store, given)
    return given and tuple(dict.fromkeys(identify(store, one) for one in given))


def _named(entries: list[dict[str, Any]], name: str) -> list[str]:
    return [entry["analysis_id"] for entry in entries if entry["name"] == name]


def _only_one(given: str, ids: list[str]) -> str:
    if len(ids) > 1:
        listed = ", ".join(ids[:_LISTED]) + (", ..." if len(ids) > _LISTED else "")
        raise click.ClickException(
            f"{len(ids)} analyses are named {given!r}; give the id of one: {listed}."
        )
    return ids[0] if ids else given


def complete_analysis(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return ids, then names, that begin with what was typed, of the newest analyses."""
    try:
        with open_store(context.params.get("directory"), make=False) as store:
            found = store.list_analyses(search=incomplete, limit=_COMPLETED)
            named = store.list_analyses(name_prefix=incomplete, limit=_COMPLETED)
    except (ConceptFragmentationError, click.ClickException):
        # A shell that completes has nowhere to say so; the command will.
        return []
    return _completions(found, named, incomplete)


def complete_deleted(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return ids, then names, that begin with what was typed, of what is in the trash."""
    try:
        with open_store(context.params.get("directory"), make=False) as store:
            trash = store.list_trash()[:_COMPLETED]
    except (ConceptFragmentationError, click.ClickException):
        return []
    return _completions(trash, trash, incomplete)


def _completions(
    by_id: list[dict[str, Any]], by_name: list[dict[str, Any]], incomplete: str
) -> list[CompletionItem]:
    offered = {entry["analysis_id"]: entry["name"] for entry in by_id}
    for entry in by_name:
        # A line break would be the end of the item for the shell.
        if entry["name"] and entry["name"].isprintable():
            offered.setdefault(entry["name"], entry["analysis_id"])
    return [
        CompletionItem(value, help=shown)
        for value, shown in offered.items()
        if value.startswith(incomplete)
    ]


analysis = click.argument("analysis_id", metavar="ANALYSIS", shell_complete=complete_analysis)


def check_can_save(directory: Path | None) -> None:
    """Raise a ClickException before long work whose result could not be saved after it."""
    folder = _folder(directory).expanduser().absolute()
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise click.ClickException(
            f"Nothing can be saved in {str(folder)!r}, as {str(there)!r} is no folder to write in; "
            "name another with --dir."
        )


def _folder(directory: Path | None) -> Path:
    return directory or Path(os.environ.get(DIR_VARIABLE) or DEFAULT_DIR)


def open_store(directory: Path | None, *, make: bool) -> GPT2AnalysisPersistence:
    """Return the store in a folder; without `make` a ClickException says so if there is none."""
    folder = _folder(directory)
    if not make and not (folder.expanduser() / "analysis_results").is_dir():
        raise click.ClickException(
            f"There is no store in {str(folder)!r}; name its folder with --dir or ${DIR_VARIABLE}."
        )
    return GPT2AnalysisPersistence(folder, enable_cache=False)


def check_free(path: Path, *, force: bool) -> None:
    """Raise a ClickException where a command would write over a file or folder unasked.

    A device, pipe or socket is never written over: what is written appears whole, in its place.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise click.ClickException(f"{str(path)!r} is no file; give the path of one.")
    if not force and os.path.lexists(path):
        raise click.ClickException(f"{str(path)!r} is there already; --force replaces it.")
