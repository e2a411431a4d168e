"""A report of an analysis, as a file."""

from __future__ import annotations

from pathlib import Path

import click

from concept_fragmentation.commands import options
from concept_fragmentation.commands.output import shown
from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.blobs import replacing, storage_errors


@click.command("report")
@options.analysis
@click.option("--version", type=int, metavar="N", help="A version.  [default: the newest]")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.  [default: report-ANALYSIS.html]",
)
@options.force
@options.with_store()
def report_command(
    store: GPT2AnalysisPersistence,
    analysis_id: str,
    version: int | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write all figures, tables, settings and provenance of an analysis into one web page.

    It opens without a network, in light and in dark, and prints.
    """
    # What draws takes a second to import, which no other command needs.
    from concept_fragmentation.callbacks.report import report_of  # noqa: PLC0415
    from concept_fragmentation.callbacks.workspace import Workspace  # noqa: PLC0415
    from concept_fragmentation.components.view import View  # noqa: PLC0415

    path = output or Path(f"report-{analysis_id}.html")
    options.check_free(path, force=force)
    workspace = Workspace(store)
    view = View(analysis_id=analysis_id, version=version)
    layers = workspace.shown(view).analysis.labelled_layers
    whole = workspace.settle(view.with_window(0, max(len(layers) - 1, 0)))
    content = report_of(workspace, whole).encode()
    with storage_errors("write", path), replacing(path) as temporary:
        temporary.write_bytes(content)
    click.echo(shown(path, limit=1000))
