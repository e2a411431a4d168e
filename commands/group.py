"""The group of all commands: loads each when it is called, and ends the process as it should."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import click

from concept_fragmentation import terminal


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each loaded when it is asked for.

    Args:
        places: by the name of each command, in which module of `concept_fragmentation.commands` it
            is and as what, such as `library:list_command`.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Know where the commands are."""
        self._places: dict[str, str | click.Command] = dict(places)

    def __getitem__(self, name: str) -> click.Command:
        """Return a command, loaded if it is not yet."""
        found = self._places[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            loaded = import_module(f"concept_fragmentation.commands.{module}")
            self._places[name] = found = getattr(loaded, attribute)
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        """Add a command that is loaded."""
        self._places[name] = command

    def __delitem__(self, name: str) -> None:
        """Remove a command."""
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many commands there are."""
        return len(self._places)


class CommandGroup(click.Group):
    """A group of commands that ends the process as a terminal and a script expect it."""

    def main(self, *arguments: Any, standalone_mode: bool = True, **named: Any) -> Any:
        """Run the command that the arguments name; end the process with its exit code."""
        run: Any = super().main
        if not standalone_mode:
            return run(*arguments, standalone_mode=False, **named)

        def work() -> int:
            try:
                code = run(*arguments, standalone_mode=False, **named)
            except click.ClickException as error:
                error.show(sys.stderr)
                return error.exit_code
            except click.Abort as error:
                # click drops from its errors which of the two it was, but not from their context.
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise KeyboardInterrupt from error
                unanswered = isinstance(error.__context__, EOFError)
                click.echo(_UNANSWERED if unanswered else "Aborted!", file=sys.stderr)
                return terminal.FAILED
            return code if isinstance(code, int) else 0

        sys.exit(terminal.guarded(work))


_UNANSWERED = "Aborted: standard input ended before the question was answered; nothing is changed."
