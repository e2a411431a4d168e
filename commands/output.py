"""What a command says: tables for people, JSON for programs, progress for those who wait."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from concept_fragmentation import terminal
from concept_fragmentation.analysis import Analysis, archetypal_paths, layer_window
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import path_runs

# Of a table that goes into a file or another program.
_PIPED_WIDTH: Final = 200
_CELL: Final = 60
# Of the most frequent paths.
_PATHS: Final = 5
_EXAMPLES: Final = 4


def print_json(value: Any) -> None:
    """Print plain values as JSON, lone surrogates and control characters escaped."""
    click.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their headings; numbers stand to the right."""
    listed = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        numbers = bool(listed) and all(isinstance(row[i], int | float) for row in listed)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        # A Text's markup is not interpreted.
        table.add_row(*(Text(terminal.escaped(shown(cell))) for cell in row))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one thing's fields, a line each."""
    longest = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{shown(name):<{longest}}  {shown(value, limit=1000)}")


def shown(value: object, limit: int = _CELL) -> str:
    """A value in a cell: no character of it reaches the terminal as a control."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(item, limit) for item in value)
    # Words a space apart; everything else that is not seen is named.
    return " ".join(visible(word, limit) for word in str(value).split(" ") if word)


def path_lines(analysis: Analysis) -> list[str]:
    """Return the most frequent paths of an analysis, a line each; none where it has no labels."""
    layers = len(analysis.labelled_layers)
    if not layers:
        return []
    window = layer_window(analysis, 0, layers - 1)
    listed = archetypal_paths(analysis, window, top=_PATHS, examples=_EXAMPLES)
    if not listed:
        return []
    paths = [path_runs(found.path) for found in listed]
    width = max(len("path"), *map(len, paths))
    return [
        f"{'path':<{width}}{'tokens':>9}  such as",
        *(
            f"{path:<{width}}{found.count:>9,}  {' '.join(map(shown, found.example_tokens))}"
            for path, found in zip(paths, listed, strict=True)
        ),
    ]


def size(num_bytes: int) -> str:
    """Bytes as a person reads them."""
    amount, units = float(num_bytes), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:,.0f} {units[0]}" if units[0] == "B" else f"{amount:,.1f} {units[0]}"


def moment(timestamp: str) -> str:
    """A stored moment to the second, in UTC."""
    return timestamp[:19].replace("T", " ")


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error if a person sees it; yields what is told how far the work is."""
    with click.progressbar(
        length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def tell(done: int, total: int, _next: str) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield tell


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        # As JavaScript writes what JSON can't hold.
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
