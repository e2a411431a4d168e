"""Into the store and out of it: export, import and backup."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

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
@options.force
@options.as_json
@options.with_store()
def export_command(
    store: GPT2AnalysisPersistence,
    analysis_id: str,
    output: Path | None,
    export_format: str,
    version: int | None,
    no_views: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write an analysis to the file or folder OUTPUT, by default into the store's exports."""
    if output is not None and not output.is_dir():
        options.check_free(output, force=force)
    path = store.export_analysis(
        analysis_id, export_format, not no_views, output, version=version, overwrite=force
    )
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

    A PATH that is a store itself, such as a backup, is merged into this one. Stops at the first
    PATH that can't be imported; those before it are saved.
    """
    imported: list[dict[str, Any]] = []
    with progress("Importing") as tell:
        for done, path in enumerate(paths):
            if (path / "analysis_results").is_dir():
                report = store.import_store(path, tell)
                imported.append({"path": str(path)} | dataclasses.asdict(report))
                continue
            tell(done, len(paths), str(path))
            analysis_id = store.import_analysis(path, name=name)
            imported.append({"path": str(path), "analysis_id": analysis_id})
    if as_json:
        print_json(imported)
        return
    for one in imported:
        said = one["analysis_id"] if "analysis_id" in one else _merged(one)
        click.echo(f"{shown(one['path'], limit=1000)}: {shown(said, limit=1000)}")


@click.command("backup")
@click.argument("path", type=click.Path(path_type=Path))
@options.as_json
@options.with_store()
def backup_command(store: GPT2AnalysisPersistence, path: Path, as_json: bool) -> None:
    """Copy the store as it is at one instant to the folder PATH, while others work on it."""
    with progress("Copying") as tell:
        store.backup(path, tell)
    if as_json:
        print_json({"path": str(path)})
    else:
        click.echo(f"Copied to {shown(path, limit=1000)}; `import` merges it into a store.")


def _merged(report: dict[str, Any]) -> str:
    parts = [
        f"{len(report['imported'])} new",
        f"{len(report['extended'])} with versions that were missing",
        f"{len(report['already_here'])} already here",
    ]
    parts += [f"{old} is {new} here" for old, new in report["renamed"].items()]
    return "; ".join([*parts, *report["problems"]])
