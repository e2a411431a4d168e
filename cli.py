"""The `concept-fragmentation` command."""

from __future__ import annotations

from pathlib import Path

import click

from concept_fragmentation.address import HOST, PORT, AddressError
from concept_fragmentation.commands import analyze, care, library, report, transfer, users
from concept_fragmentation.persistence import ConceptFragmentationError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="concept-fragmentation")
def main() -> None:
    """Watch GPT-2's tokens travel through the clusters of each layer, and keep what you find."""


@main.command()
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
    help="Proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
)
@click.option("--debug", is_flag=True, help="Reload on changes and show tracebacks.")
def serve(
    host: str,
    port: int,
    directory: Path | None,
    max_upload: int,
    auth: Path | None,
    proxies: int,
    debug: bool,
) -> None:
    """Serve the dashboard."""
    # Dash takes a second to import, which no other command needs.
    from concept_fragmentation import app  # noqa: PLC0415

    try:
        settings = app.Settings(directory, max_upload * app.MIB, auth, proxies)
        app.serve(settings, host, port, debug=debug)
    except (AddressError, ConceptFragmentationError) as error:
        raise click.ClickException(str(error)) from error


for command in (
    analyze.analyze_command,
    library.list_command,
    library.show_command,
    library.rename_command,
    library.tag_command,
    library.delete_command,
    library.restore_command,
    library.diff_command,
    care.verify_command,
    care.repair_command,
    care.reindex_command,
    care.compress_command,
    care.stats_command,
    report.report_command,
    transfer.export_command,
    transfer.import_command,
    transfer.backup_command,
    users.user_command,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
