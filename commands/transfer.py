"""Into the store and out of it: export and import."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from concept_fragmentation.commands import options
from concept_fragmentation.commands.output import print_json, progress, shown
from concept_fragmentation.persistence import GPT2AnalysisPersistence

_FORMATS: Final = ("json", "csv", "pickle")


@click.command("export")
@options.analysis
@click.argument("output", required=False, type=click.Path(path_type=Path))
@click.option("--format", "export_format", type=click.Choice(_FORMATS), default="json")
@click.option("--version", type=int, metavar="N", help="A version.  [default: the newest]")
@click.option("--no-views", is_flag=True, help="Leave its saved views out.")
@options.as_json
@options.with_store()
def export_command(
    store: GPT2AnalysisPersistence,
    analysis_id: str,
    output: Path | None,
    export_format: str,
    version: int | None,
    no_views: bool,
    as_json: bool,
) -> None:
    """Write an analysis to the file or folder OUTPUT, by default into the store's exports."""
    path = store.export_analysis(analysis_id, export_format, not no_views, output, version=version)
    if as_json:
        print_json({"path": path})
    else:
        click.echo(path)


@click.command("import")
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--name", help="A name for what is imported.  [default: the one it came with]")
@options.as_json
@options.with_store(make=True)
def import_command(
    store: GPT2AnalysisPersistence, paths: tuple[Path, ...], name: str | None, as_json: bool
) -> None:
    """Save exported or bare analyses in the store: JSON, CSV folder or zip, pickle.

    Stops at the first file that can't be imported; those before it are saved.
    """
    imported: list[dict[str, str]] = []
    with progress("Importing") as tell:
        for done, path in enumerate(paths):
            tell(done, len(paths), str(path))
            analysis_id = store.import_analysis(path, name=name)
            imported.append({"path": str(path), "analysis_id": analysis_id})
    if as_json:
        print_json(imported)
        return
    for one in imported:
        click.echo(f"{shown(one['path'], limit=1000)}: {one['analysis_id']}")
