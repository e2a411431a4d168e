"""The `concept-fragmentation` command.

What a command needs is loaded when the command is called, so that one answers soon, and so that
Ctrl+C finds the process prepared from its first moment.
"""

from __future__ import annotations

import sys

from concept_fragmentation import terminal

# Only where this is the process: whoever imports this module keeps their own signals.
if sys.argv[0].removesuffix(".exe").endswith("concept-fragmentation") or __name__ == "__main__":
    terminal.end_at_once_when_interrupted()

import click

from concept_fragmentation.commands.group import CommandGroup, LazyCommands

COMMANDS = {
    "analyze": "analyze:analyze_command",
    "serve": "serve:serve_command",
    "list": "library:list_command",
    "show": "library:show_command",
    "rename": "library:rename_command",
    "tag": "library:tag_command",
    "delete": "library:delete_command",
    "restore": "library:restore_command",
    "diff": "library:diff_command",
    "verify": "care:verify_command",
    "repair": "care:repair_command",
    "reindex": "care:reindex_command",
    "compress": "care:compress_command",
    "stats": "care:stats_command",
    "report": "report:report_command",
    "export": "transfer:export_command",
    "import": "transfer:import_command",
    "backup": "transfer:backup_command",
    "user": "users:user_command",
}


@click.group(
    cls=CommandGroup,
    commands=LazyCommands(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="concept-fragmentation")
def main() -> None:
    """Watch GPT-2's tokens travel through the clusters of each layer, and keep what you find."""


if __name__ == "__main__":
    main()
