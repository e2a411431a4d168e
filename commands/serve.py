"""`concept-fragmentation serve`: the dashboard, until Ctrl+C."""

from __future__ import annotations

from pathlib import Path

import click

from concept_fragmentation.address import HOST, PORT, AddressError
from concept_fragmentation.persistence import ConceptFragmentationError


@click.command("serve")
@click.option("--host", default=HOST, show_default=True, help="Address to listen at.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the store.  [default: data/gpt2_analysis]",
)
@click.option(
    "--max-upload",
    default=256,
    show_default=True,
    type=click.IntRange(1, 99_999),
    metavar="MIB",
    envvar="CONCEPT_FRAGMENTATION_MAX_UPLOAD",
    help="Largest file that the page takes.",
)
@click.option(
    "--auth",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CONCEPT_FRAGMENTATION_AUTH",
    help="File of those who may sign in, made by `user`.  [default: no sign-in]",
)
@click.option(
    "--proxies",
    default=0,
    show_default=True,
    type=click.IntRange(0, 9),
    metavar="N",
    envvar="CONCEPT_FRAGMENTATION_PROXIES",
    help="Proxies in front, whose X-Forwarded-For, -Proto and -Prefix are believed.",
)
@click.option(
    "--prefix",
    metavar="PATH",
    envvar="CONCEPT_FRAGMENTATION_PREFIX",
    help="Path below which browsers find the dashboard, such as /user/ada/proxy/8050/.",
)
@click.option(
    "--server-name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name to answer as, beside localhost, without --auth; may be given several times.",
)
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="CONCEPT_FRAGMENTATION_MODELS",
    help="Folder of models: the page offers each folder in it by name.  [default: none]",
)
@click.option(
    "--memory",
    type=click.IntRange(1, 999_999),
    metavar="MIB",
    envvar="CONCEPT_FRAGMENTATION_MEMORY",
    help="What the server keeps of analyses in memory.  [default: a sixteenth of the machine's]",
)
@click.option("--debug", is_flag=True, help="Reload on changes and show tracebacks.")
def serve_command(
    host: str,
    port: int,
    directory: Path | None,
    max_upload: int,
    auth: Path | None,
    proxies: int,
    prefix: str | None,
    names: tuple[str, ...],
    models: Path | None,
    memory: int | None,
    debug: bool,
) -> None:
    """Serve the dashboard."""
    # Dash takes a second to import; `--help` lists commands without.
    from concept_fragmentation import app  # noqa: PLC0415

    try:
        settings = app.Settings(
            directory,
            max_upload * app.MIB,
            auth,
            proxies,
            prefix or None,
            names,
            models,
            memory=None if memory is None else memory * app.MIB,
        )
        app.serve(settings, host, port, debug=debug)
    except (AddressError, ConceptFragmentationError) as error:
        raise click.ClickException(str(error)) from error
