"""Short reprs of results: a line in Python, a table in a notebook, whatever their size."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Final

import numpy as np

from concept_fragmentation.analysis.lazy import LazyArray

# A repr is no longer than this.
LONGEST: Final = 300

_LONGEST_VALUE: Final = 60
_LONGEST_CELL: Final = 200
_FEW: Final = 4


class Shown:
    """Base of dataclasses whose arrays and long lists are shown by their size.

    A subclass is declared with `repr=False`, and may name the attributes that its line shows.
    """

    shown_first: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """The name of the class, and its attributes as far as a line holds them."""
        names = self.shown_first or _attributes(self)
        said, room = [], LONGEST - len(type(self).__name__) - len("(, ...)")
        for name in names:
            text = f"{name}={brief(getattr(self, name))}"
            room -= len(text) + 2
            if room < 0:
                break
            said.append(text)
        left_out = len(said) < len(names) or bool(self.shown_first)
        return f"{type(self).__name__}({', '.join([*said, *(['...'] if left_out else [])])})"

    def _repr_html_(self) -> str:
        names = dict.fromkeys([*self.shown_first, *_attributes(self)])
        return table_of_fields(
            {name: brief(getattr(self, name)) for name in names}, type(self).__name__
        )


def brief(value: Any) -> str:
    """Return a value as Python writes it if that is short, else its type and size."""
    if isinstance(value, np.ndarray | LazyArray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}"
    if isinstance(value, Mapping):
        return f"{len(value):,} keys"
    if isinstance(value, Sequence | Set) and not isinstance(value, str | bytes):
        return _brief_entries(value)
    # What NumPy calls np.int64(3) is a 3.
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _brief_entries(values: Sequence[Any] | Set[Any]) -> str:
    """Few plain entries as they are, names by the first and the last, others by their number."""
    if len(values) <= _FEW and not any(map(_is_large, values)):
        text = repr(values)
        if len(text) <= _LONGEST_VALUE:
            return text
    if values and isinstance(values, Sequence) and all(isinstance(item, str) for item in values):
        return f"{brief(values[0])} to {brief(values[-1])} ({len(values):,})"
    return f"{len(values):,} entries"


def _is_large(value: Any) -> bool:
    """Whether a value is of a kind that can be of any size."""
    return is_dataclass(value) or isinstance(value, np.ndarray | LazyArray | Mapping | list | tuple)


def table_of_fields(values: Mapping[str, Any], caption: str | None = None) -> str:
    """Return names and values as an HTML table in which nothing is markup."""
    head = "" if caption is None else f"<caption>{cell(caption)}</caption>"
    rows = "".join(f"<tr><th>{cell(k)}</th><td>{cell(v)}</td></tr>" for k, v in values.items())
    return block(f"<table>{head}<tbody>{rows}</tbody></table>")


def cell(value: object) -> str:
    """Return a value as HTML text: escaped, cut, and what can't be printed as Python writes it."""
    if type(value) is int:
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    text = str(value)
    text = text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}..."
    printable = (
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return html.escape("".join(printable))


def block(content: str) -> str:
    """Return HTML in which a notebook leaves dollars alone, which it would take for formulas."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{content}</div>'


def _attributes(shown: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(shown) if field.repr)
