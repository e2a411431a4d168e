"""Looking at what is stored, and naming it: list, show, rename, tag, delete, diff."""

from __future__ import annotations

from typing import Any, Final

import click

from concept_fragmentation.commands import options
from concept_fragmentation.commands.output import (
    moment,
    path_lines,
    print_fields,
    print_json,
    print_table,
    shown,
    size,
)
from concept_fragmentation.components.massive import set_aside_text
from concept_fragmentation.persistence import CorruptedFileError, GPT2AnalysisPersistence

_LISTED: Final = 50


@click.command("list")
@click.option("--search", metavar="WORDS", help="Every word, or part of one, in names or texts.")
@click.option("--model", "model_name", metavar="MODEL", help="Only those of this model.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--name-prefix", metavar="TEXT", help="Only those whose name begins so.")
@click.option("--min-tokens", type=int, metavar="N")
@click.option("--max-tokens", type=int, metavar="N")
@click.option("--min-layers", type=int, metavar="N")
@click.option("--max-layers", type=int, metavar="N")
@click.option("--since", metavar="DATE", help="Saved then or later: 2026-01-31, or a time in UTC.")
@click.option("--until", metavar="DATE", help="Saved then or earlier.")
@click.option("-n", "--limit", type=int, default=_LISTED, show_default=True, metavar="N")
@click.option("--offset", type=int, default=0, metavar="N", help="Skip the N newest.")
@options.as_json
@options.with_store()
def list_command(store: GPT2AnalysisPersistence, as_json: bool, **filters: Any) -> None:
    """List analyses, the newest first."""
    found = store.list_analyses(**filters)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("Nothing found.")
        return
    print_table(
        (
            "Analysis",
            "Name",
            "Model",
            "Tokens",
            "Layers",
            "Versions",
            "Size",
            "Saved (UTC)",
            "Tags",
        ),
        (
            (
                entry["analysis_id"],
                entry["name"],
                entry["model_name"],
                entry["num_tokens"],
                entry["num_layers"],
                entry["num_versions"],
                size(entry["size_bytes"]),
                moment(entry["timestamp"]),
                entry["tags"],
            )
            for entry in found
        ),
    )
    if len(found) == filters["limit"]:
        click.echo(f"Up to {filters['limit']:,} are listed; --limit and --offset list others.")


@click.command("show")
@options.analysis
@click.option("--version", type=int, metavar="N", help="A version.  [default: the newest]")
@options.as_json
@options.with_store()
def show_command(
    store: GPT2AnalysisPersistence, analysis_id: str, version: int | None, as_json: bool
) -> None:
    """Show what is known of an analysis, its versions and its saved views."""
    versions = store.list_versions(analysis_id)
    views = store.list_visualization_states(analysis_id)
    one = next((v for v in versions if version in {None, v["version"]}), None)
    if one is None:
        known = ", ".join(str(v["version"]) for v in versions)
        raise click.ClickException(
            f"Version {version} of analysis {analysis_id!r} not found. Stored: {known}."
        )
    if as_json:
        print_json({"metadata": one, "versions": versions, "visualization_states": views})
        return
    print_fields({key: value for key, value in one.items() if value not in ("", [], None)})
    click.echo()
    print_table(
        ("Version", "Tokens", "Layers", "Size", "Saved (UTC)"),
        (
            (
                v["version"],
                v["num_tokens"],
                v["num_layers"],
                size(v["size_bytes"]),
                moment(v["timestamp"]),
            )
            for v in versions
        ),
    )
    try:
        with store.open_analysis(analysis_id, version) as opened:
            aside = set_aside_text(opened.analysis)
            paths = [*path_lines(opened.analysis), *([aside] if aside else [])]
    except CorruptedFileError as error:
        # What the catalog knows is shown of a damaged analysis too.
        paths = [options.in_shell_words(str(error))]
    if paths:
        click.echo()
        click.echo("\n".join(paths))
    if views:
        click.echo()
        print_table(
            ("View", "Type", "Saved (UTC)"),
            ((v["state_name"], v["visualization_type"], moment(v["timestamp"])) for v in views),
        )


@click.command("rename")
@options.analysis
@click.argument("name")
@options.with_store()
def rename_command(store: GPT2AnalysisPersistence, analysis_id: str, name: str) -> None:
    """Give an analysis another NAME; its id stays."""
    store.update_analysis(analysis_id, name=name)
    click.echo(f"{shown(analysis_id)} is named {shown(name)}.")


@click.command("tag")
@options.analysis
@click.option("-a", "--add", multiple=True, metavar="TAG", help="May be given several times.")
@click.option("-r", "--remove", multiple=True, metavar="TAG", help="May be given several times.")
@options.as_json
@options.with_store()
def tag_command(
    store: GPT2AnalysisPersistence,
    analysis_id: str,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add tags to an analysis or remove some, and say which it has."""
    # Of the newest version: the labels of an analysis are those.
    tags: list[str] = store.list_versions(analysis_id)[0]["tags"]
    if add or remove:
        tags = [tag for tag in dict.fromkeys([*tags, *add]) if tag not in remove]
        store.update_analysis(analysis_id, tags=tags)
    if as_json:
        print_json(tags)
    else:
        click.echo(f"{shown(analysis_id)}: {shown(tags) or 'no tags'}")


@click.command("delete")
@options.analysis
@click.option("--version", type=int, metavar="N", help="Only this version.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.with_store()
def delete_command(
    store: GPT2AnalysisPersistence, analysis_id: str, version: int | None, yes: bool
) -> None:
    """Delete an analysis with its saved views, or one of its versions; `restore` undoes it."""
    stored = len(store.list_versions(analysis_id))
    what = f"{shown(analysis_id)} ({stored} version{'s' * (stored != 1)})"
    if version is not None:
        what = f"version {version} of {shown(analysis_id)}"
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    store.delete_analysis(analysis_id, version)
    click.echo(f"Deleted {what}.")


@click.command("restore")
@click.argument(
    "deleted", metavar="[ANALYSIS]", required=False, shell_complete=options.complete_deleted
)
@click.option("--trash-id", metavar="ID", help="Which of its deletes.  [default: the last]")
@options.as_json
@options.with_store()
def restore_command(
    store: GPT2AnalysisPersistence, deleted: str | None, trash_id: str | None, as_json: bool
) -> None:
    """Undo the last delete of ANALYSIS; without one, list what can be restored."""
    if deleted is not None:
        analysis_id = options.identify_deleted(store, deleted)
        store.restore_analysis(analysis_id, trash_id=trash_id)
        if as_json:
            print_json({"analysis_id": analysis_id})
        else:
            click.echo(f"Restored {shown(analysis_id)}.")
        return
    found = store.list_trash()
    if as_json:
        print_json(found)
    elif not found:
        click.echo("The trash is empty.")
    else:
        print_table(
            ("Analysis", "Name", "Version", "Deleted (UTC)", "Kept until (UTC)", "Trash id"),
            (
                (
                    entry["analysis_id"],
                    entry["name"],
                    entry["version"] or "all",
                    moment(entry["deleted_at"]),
                    moment(entry["expires_at"]),
                    entry["trash_id"],
                )
                for entry in found
            ),
        )


@click.command("diff")
@click.argument("before", metavar="ANALYSIS", shell_complete=options.complete_analysis)
@click.argument(
    "after", metavar="[OTHER]", required=False, shell_complete=options.complete_analysis
)
@click.option("--from-version", type=int, metavar="N", help="Of ANALYSIS.  [default: the newest]")
@click.option("--to-version", type=int, metavar="N", help="Of OTHER.  [default: the newest]")
@options.as_json
@options.with_store()
@click.pass_context
def diff_command(
    context: click.Context,
    store: GPT2AnalysisPersistence,
    before: str,
    after: str | None,
    from_version: int | None,
    to_version: int | None,
    as_json: bool,
) -> None:
    """Say what changed from ANALYSIS to OTHER, or between two versions of one.

    Clusters are matched by best overlap first. Ends with 3 if the analyses differ.
    """
    found = store.diff((before, from_version), (after or before, to_version))
    if as_json:
        print_json(found.to_dict())
    else:
        for line in str(found).splitlines():
            click.echo(shown(line, limit=1000))
    context.exit(0 if found.identical else options.FOUND_SOMETHING)
