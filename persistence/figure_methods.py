"""The figures of an open analysis as methods, found when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from types import MethodType
from typing import Any, Final

# Who draws an analysis declares its functions here; this package knows nothing that draws.
FIGURES: Final = "concept_fragmentation.figures"


class FigureMethods:
    """The figures of `concept_fragmentation.figures`, as methods.

    They are the entry points of that group. Type checkers read figure_methods.pyi instead, which
    docs/make_figure_methods.py makes.
    """

    def __getattr__(self, name: str) -> Any:
        """Return a figure, such as `sankey`, as a method with the text and options that it has."""
        if not name.startswith("_"):
            for point in entry_points(group=FIGURES, name=name):
                return MethodType(point.load(), self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> Iterable[str]:
        """Return its attributes, figures among them."""
        return [*super().__dir__(), *entry_points(group=FIGURES).names]
