"""The Python that draws a figure of the page, as a person would write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LINE_LENGTH: Final = 88


@dataclass(frozen=True)
class Call:
    """A function of `concept_fragmentation.figures` and what it is given.

    `arguments` are given by name, behind the analysis; those that are empty are left out. The theme
    is not among them.
    """

    function: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Stored:
    """A version of an analysis that is in a store."""

    analysis_id: str
    version: int


@dataclass(frozen=True)
class Unsaved:
    """An analysis that is in no store yet."""


@dataclass(frozen=True)
class Example:
    """An example that ships, by its key."""

    key: str


Origin = Stored | Unsaved | Example

# An id that the store has only if somebody chose it.
SAVE_FIRST: Final = "save-it-first"


def snippet(
    call: Call,
    theme: str,
    folder: str,
    analysis: Origin,
    before: Origin | None = None,
    only: Sequence[str] = (),
) -> str:
    """Return a script that draws a figure and shows it.

    Args:
        call: what draws it.
        theme: "light" or "dark".
        folder: where the store is.
        analysis: where the analysis that is drawn comes from.
        before: where the one comes from that it is compared with, if it is.
        only: a column of categories and the values whose tokens are drawn; nothing is all tokens.
    """
    used = {"analysis": analysis} | ({} if before is None else {"before": before})
    examples = {name: origin for name, origin in used.items() if isinstance(origin, Example)}
    stored = {name: origin for name, origin in used.items() if name not in examples}
    arguments = {name: value for name, value in call.arguments.items() if not _is_empty(value)}
    given = [*used, *(f"{name}={value!r}" for name, value in arguments.items()), f"theme={theme!r}"]
    drawing = _laid_out("figure = figures.", call.function, given)
    column, *values = only or ("",)
    if values:
        drawing = [f"analysis = only_category(analysis, {column!r}, {values!r})", *drawing]
    lines = ["from concept_fragmentation import figures"]
    if values:
        lines.append("from concept_fragmentation.analysis import only_category")
    if stored:
        lines.append("from concept_fragmentation.persistence import GPT2AnalysisPersistence")
    if examples:
        lines.append("from concept_fragmentation.persistence.examples import load_example")
    lines.append("")
    lines += [
        f"{name} = load_example({origin.key!r})['analysis_data']"
        for name, origin in examples.items()
    ]
    if stored:
        lines.append(f"store = GPT2AnalysisPersistence({folder!r})")
        if any(isinstance(origin, Unsaved) for origin in stored.values()):
            lines.append("# It is in no store yet: save it on the page, and write its id here.")
        lines += _opened(stored)
        drawing = [f"    {line}" for line in drawing]
    return "\n".join([*lines, *drawing, "figure.show()", ""])


def _opened(stored: Mapping[str, Origin]) -> list[str]:
    opened = [
        f"store.open_analysis({origin.analysis_id!r}, version={origin.version}) as {name}"
        if isinstance(origin, Stored)
        else f"store.open_analysis({SAVE_FIRST!r}) as {name}"
        for name, origin in stored.items()
    ]
    if len(opened) == 1:
        return [f"with {opened[0]}:"]
    return ["with (", *(f"    {one}," for one in opened), "):"]


def _laid_out(left: str, function: str, arguments: Sequence[str]) -> list[str]:
    """A call on one line if it fits, else with an argument a line."""
    line = f"{left}{function}({', '.join(arguments)})"
    if len(line) + 4 <= LINE_LENGTH:
        return [line]
    return [f"{left}{function}(", *(f"    {argument}," for argument in arguments), ")"]


def _is_empty(value: object) -> bool:
    return isinstance(value, list) and not value
