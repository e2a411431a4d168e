"""The group of all commands: loads each when it is called, and ends the process as it should."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from concept_fragmentation import terminal


class CommandGroup(click.Group):
    """A group of commands that are known by name, and are loaded one by one.

    Args:
        lazy: by the name of each command, in which module of `concept_fragmentation.commands` it is
            and as what, such as `library:list_command`.
        arguments: those of `click.Group`.
    """

    def __init__(self, *arguments: Any, lazy: Mapping[str, str], **named: Any) -> None:
        """Know the commands of `lazy`."""
        super().__init__(*arguments, **named)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loaded if it is not yet."""
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, name = self._lazy[cmd_name].partition(":")
            command = getattr(import_module(f"concept_fragmentation.commands.{module}"), name)
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

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
