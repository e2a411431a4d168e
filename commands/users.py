"""`concept-fragmentation user`: who may sign in to a dashboard that is served with `--auth`."""

from __future__ import annotations

import getpass
import sys
import warnings
from pathlib import Path

import click

from concept_fragmentation.persistence import ConceptFragmentationError
from concept_fragmentation.users import LEAST_CHARACTERS, Users


@click.command("user")
@click.argument("name")
@click.option(
    "--auth",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of those who may sign in; made if it is not there.",
)
@click.option("--remove", is_flag=True, help="Remove the user, who is signed out by that.")
def user_command(name: str, path: Path, remove: bool) -> None:
    """Let NAME sign in, with a password that is asked for, or with another one than before."""
    users = Users(path)
    try:
        if remove:
            users.remove(name)
            click.echo(f"Removed {name} from {path}.")
            return
        with warnings.catch_warnings():
            if not sys.stdin.isatty():
                # A pipe shows nothing of what is typed anyway.
                warnings.simplefilter("ignore", getpass.GetPassWarning)
            password = click.prompt(
                f"Password of {name} (at least {LEAST_CHARACTERS} characters)",
                hide_input=True,
                confirmation_prompt=True,
                err=True,
            )
        new = users.set_password(name, password)
    except ConceptFragmentationError as error:
        raise click.ClickException(str(error)) from error
    done = "Added" if new else "Changed the password of"
    click.echo(f"{done} {name} in {path}; serve with --auth {path}.")
