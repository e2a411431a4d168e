"""How stored things show themselves in a notebook: HTML in which nothing stored is markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from concept_fragmentation.analysis.shown import block, brief, cell, table_of_fields


class Metadata(dict[str, Any]):
    """A metadata dict that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return fields(self)


class LoadedAnalysis(dict[str, Any]):
    """The structure that a store loads: a dict in everything, but for how it shows itself.

    Pickled or copied by `copy` it is a plain dict, which needs none of this project.
    """

    def __repr__(self) -> str:
        """Which analysis it is, its size, and its keys."""
        return f"<loaded analysis {sentence(self)}; keys: {', '.join(map(repr, self))}>"

    def _repr_html_(self) -> str:
        return fields(self.get("metadata", {}) | self.get("model_info", {}))

    def __reduce__(self) -> tuple[Any, ...]:
        """As a plain dict."""
        return dict, (), None, None, iter(self.items())


def sentence(loaded: Mapping[str, Any]) -> str:
    """The analysis, its version and its size."""
    info, of = loaded.get("model_info", {}), loaded.get("metadata", {})
    return (
        f"{brief(of.get('analysis_id'))} version {of.get('version')}: "
        f"{info.get('num_tokens', 0):,} tokens, {info.get('num_layers', 0)} layers, "
        f"{brief(info.get('model_name'))}"
    )


def fields(values: Mapping[str, Any]) -> str:
    """A table of names and values; what is empty is left out."""
    shown = {name: value for name, value in values.items() if value not in ("", [], (), None)}
    return table_of_fields(shown)


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a caption."""
    head = "".join(f"<th>{cell(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return block(
        f"<table><caption>{cell(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
