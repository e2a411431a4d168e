"""What comes of work in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict
from uuid import uuid4

from dash import Dash, Input, State

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.components.runs import Progress
from concept_fragmentation.components.words import plural


class Outcome(TypedDict, total=False):
    """What came of a run: what there is now, or why there is nothing.

    An analysis is kept under `draft`, with a `note`, a report in the `file`, what a figure needs as
    `what`.
    """

    draft: str
    note: str
    file: str
    what: str
    failure: str
    key: str


def deliver(app: Dash, done: str, outcome_id: str) -> None:
    """Pass on what came of a run from one store to another.

    Dash holds back whatever depends on an output of a callback that still runs, however far off;
    what the browser passes on is no output that Dash knows of.
    """
    in_browser(
        app,
        "runs",
        "deliver",
        Input(done, "data"),
        State(outcome_id, "id"),
        prevent_initial_call=True,
    )


def outcome(subject: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what work returns, or as `failure` the sentence that says why it did not end well.

    `subject` names it. Under `key` is what makes the same outcome twice two outcomes.
    """
    made: Mapping[str, Any]
    try:
        made = work()
    except ConceptFragmentationError as error:
        made = {"failure": str(error)}
    except (MemoryError, RuntimeError, OSError) as error:
        # What a library or the machine says: the work ends, the page goes on.
        made = {"failure": f"{subject} stopped: {str(error) or type(error).__name__}."}
    return {**made, "key": uuid4().hex}


def told_ahead(set_progress: Progress, said: str = "Waiting") -> Callable[[int], None]:
    """Return what tells the page how many others came before, until it is this run's turn."""
    return lambda ahead: set_progress(("0", f"{said}: {plural(ahead, 'other')} came before"))
