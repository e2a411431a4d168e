"""Looking after a store: verify, repair, reindex, compress, stats."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import click

from concept_fragmentation.commands import options
from concept_fragmentation.commands.output import (
    print_fields,
    print_json,
    print_table,
    progress,
    shown,
    size,
)
from concept_fragmentation.persistence import GPT2AnalysisPersistence, Problem


@click.command("verify")
@click.argument(
    "analysis_id",
    metavar="[ANALYSIS]",
    required=False,
    shell_complete=options.complete_analysis,
)
@options.as_json
@options.with_store()
@click.pass_context
def verify_command(
    context: click.Context, store: GPT2AnalysisPersistence, analysis_id: str | None, as_json: bool
) -> None:
    """Check every checksum, the catalog, and what views and sessions point at.

    Changes nothing. Ends with 3 if something is wrong.
    """
    with progress("Verifying") as tell:
        problems = store.verify(analysis_id, tell)
    if as_json:
        print_json([dataclasses.asdict(problem) for problem in problems])
    elif problems:
        _print_problems(problems)
    else:
        click.echo("Nothing is wrong.")
    context.exit(options.FOUND_SOMETHING if problems else 0)


@click.command("repair")
@options.as_json
@options.with_store()
@click.pass_context
def repair_command(context: click.Context, store: GPT2AnalysisPersistence, as_json: bool) -> None:
    """Put what is torn aside, remove what killed processes left, make the catalog anew.

    Nothing that was saved is deleted: what is torn goes into the folder quarantine. Ends with 3 if
    something is still wrong.
    """
    with progress("Repairing") as tell:
        report = store.repair(tell)
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        for what, paths in (("Put aside", report.quarantined), ("Removed", report.removed)):
            for path in paths:
                click.echo(f"{what}: {shown(path, limit=1000)}")
        if report.problems:
            _print_problems(report.problems)
        elif not (report.quarantined or report.removed):
            click.echo("Nothing was wrong.")
    context.exit(options.FOUND_SOMETHING if report.problems else 0)


@click.command("reindex")
@options.as_json
@options.with_store()
def reindex_command(store: GPT2AnalysisPersistence, as_json: bool) -> None:
    """Make the catalog anew from the files alone."""
    count = store.reindex()
    if as_json:
        print_json({"analyses": count})
    else:
        click.echo(f"The catalog holds {count:,} analyses.")


@click.command("compress")
@click.argument(
    "analysis_ids",
    metavar="ANALYSIS...",
    nargs=-1,
    required=True,
    shell_complete=options.complete_analysis,
)
@options.as_json
@options.with_store()
def compress_command(
    store: GPT2AnalysisPersistence, analysis_ids: Sequence[str], as_json: bool
) -> None:
    """Compress all versions of analyses for long-term storage, without loss."""
    sizes = {}
    with progress("Compressing") as tell:
        for done, analysis_id in enumerate(analysis_ids):
            tell(done, len(analysis_ids), analysis_id)
            before = _size(store, analysis_id)
            store.compress_analysis(analysis_id)
            sizes[analysis_id] = (before, _size(store, analysis_id))
    if as_json:
        print_json(
            [
                {"analysis_id": analysis_id, "bytes_before": before, "bytes_after": after}
                for analysis_id, (before, after) in sizes.items()
            ]
        )
        return
    for analysis_id, (before, after) in sizes.items():
        click.echo(f"{shown(analysis_id)}: {size(before)} -> {size(after)}")


@click.command("stats")
@options.as_json
@options.with_store()
def stats_command(store: GPT2AnalysisPersistence, as_json: bool) -> None:
    """Say how much there is in the store."""
    found = store.stats()
    if as_json:
        print_json(found)
        return
    folders = found.pop("folders")
    print_fields(found | {"bytes": size(found["bytes"])})
    click.echo()
    print_table(
        ("Folder", "Files", "Size"),
        ((name, folder["files"], size(folder["bytes"])) for name, folder in folders.items()),
    )


def _size(store: GPT2AnalysisPersistence, analysis_id: str) -> int:
    return sum(version["size_bytes"] for version in store.list_versions(analysis_id))


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        click.echo(f"{problem.kind}: {shown(problem.sentence, limit=1000)}")
        click.echo(f"  {shown(problem.remedy, limit=1000)}")
