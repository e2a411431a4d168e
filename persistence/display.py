"""How stored things show themselves in a notebook: HTML in which nothing stored is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_LONGEST: Final = 200


class Metadata(dict[str, Any]):
    """A metadata dict that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return fields(self)


def fields(values: Mapping[str, Any]) -> str:
    """A table of names and values; what is empty is left out."""
    shown = {name: value for name, value in values.items() if value not in ("", [], (), None)}
    rows = "".join(f"<tr><th>{cell(k)}</th><td>{cell(v)}</td></tr>" for k, v in shown.items())
    return _block(f"<table><tbody>{rows}</tbody></table>")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a caption."""
    head = "".join(f"<th>{cell(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return _block(
        f"<table><caption>{cell(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def cell(value: object) -> str:
    """A value as HTML text: escaped, cut, and what can't be printed written as Python does."""
    if type(value) is int:
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    text = str(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    printable = (
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return html.escape("".join(printable))


def _block(content: str) -> str:
    # Jupyter would typeset what stands between two dollars.
    return f'<div class="tex2jax_ignore mathjax_ignore">{content}</div>'
