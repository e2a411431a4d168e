"""Write persistence/figure_methods.pyi: what type checkers know of the figures of an open analysis.

    python docs/make_figure_methods.py

The figures are found by entry points when they are asked for, because the store knows nothing that
draws. A type checker reads no entry points; it reads this file, made from figures.py.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from concept_fragmentation import figures

TARGET: Final = Path(__file__).resolve().parents[1] / "persistence" / "figure_methods.pyi"

_HEAD: Final = '''"""The figures of an open analysis.

Made by docs/make_figure_methods.py from figures.py; do not edit.
"""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from concept_fragmentation.analysis import Layer
from concept_fragmentation.components.figures.concepts import Measure
from concept_fragmentation.components.figures.options import Source, Theme, Window
from concept_fragmentation.components.view import MapProjection

class FigureMethods:
    """The figures of `concept_fragmentation.figures`, as methods."""

    def __dir__(self) -> Iterable[str]: ...
'''


def stub() -> str:
    """Return the file that figures.py asks for now."""
    text = _HEAD + "".join(_methods())
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", TARGET, "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _methods() -> Iterator[str]:
    for name, function in sorted(vars(figures).items()):
        is_figure = inspect.isfunction(function) and function.__module__ == figures.__name__
        if not is_figure or name.startswith("_"):
            continue
        signature = inspect.signature(function)
        handle, *others = signature.parameters.values()
        given = [handle.replace(name="self", annotation=inspect.Parameter.empty), *others]
        text = re.sub(r" *handle: .*\n", "", inspect.getdoc(function) or "")
        said = textwrap.indent(text, "        ").strip()
        # Annotations are texts, which a signature would write in quotes.
        head = str(signature.replace(parameters=given)).replace("'", "")
        for quoted in (p.default for p in others if isinstance(p.default, str)):
            head = head.replace(f"= {quoted}", f"= {quoted!r}")
        end = "\n        " if "\n" in said else ""
        yield f'\n    def {name}{head}:\n        """{said}{end}"""\n'


if __name__ == "__main__":
    TARGET.write_text(stub(), encoding="utf-8")
