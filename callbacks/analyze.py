"""Analyze a text: read the form, run in a process of its own, and show what came of it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import pandas as pd
from dash import Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import STAGES, analyze, saving_arguments
from concept_fragmentation.callbacks import runs
from concept_fragmentation.callbacks.checks import read
from concept_fragmentation.callbacks.library import ChoiceMissingError, destination
from concept_fragmentation.callbacks.messages import say, say_failed
from concept_fragmentation.callbacks.runs import Outcome, told_ahead
from concept_fragmentation.callbacks.uploads import received
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import (
    ATTENTIONS,
    MAX_CLUSTERS,
    MAX_SEED,
    MAX_TEXT_CHARACTERS,
    MODELS,
    OTHER_MODEL,
    READINGS,
)
from concept_fragmentation.components.runs import Progress
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import title
from concept_fragmentation.persistence.turns import Turns
from concept_fragmentation.persistence.unsaved import UnsavedAnalyses

PROGRESS_SECONDS: Final = 0.2
NAME_CHARACTERS: Final = 40

_STAGE_NAMES: Final = {
    "load": "Loading the model",
    "extract": "Running the model",
    "cluster": "Clustering the layers",
    "measure": "Measuring paths and layers",
}
# Names on the hub only: a page that others may reach does not open folders of this machine.
_MODEL_NAME: Final = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


@dataclass(frozen=True)
class Form:
    """What the form says, as the browser sent it."""

    text: str | None
    reading: str | None
    model: str | None
    other_model: str | None
    clusters: float | None
    auto: bool | None
    layers: str | None
    attention: str | None
    seed: float | None


@dataclass(frozen=True)
class Request:
    """What is to be analyzed, and how; every part was checked."""

    text: str | list[str]
    model: str
    options: dict[str, Any]

    @classmethod
    def from_form(cls, form: Form) -> Request:
        """Read the form; raise ChoiceMissingError that says what to change."""
        reading = form.reading if form.reading in READINGS else "text"
        given = form.text or ""
        if not given.strip():
            raise ChoiceMissingError("Paste a text or drop a file, then analyze it.")
        if len(given) > MAX_TEXT_CHARACTERS:
            raise ChoiceMissingError(
                f"The page takes texts of up to {MAX_TEXT_CHARACTERS:,} characters; for longer "
                "ones call analyze() from Python."
            )
        lines = [line for line in given.splitlines() if line.strip()]
        words = [line.strip() for line in lines]
        return cls(
            text=given if reading == "text" else lines if reading == "lines" else words,
            model=_model(form),
            options={
                "layers": _layers(form.layers),
                "n_clusters": "auto"
                if form.auto
                else _whole("Clusters a layer", form.clusters, 2, MAX_CLUSTERS),
                "attention": form.attention if form.attention in ATTENTIONS else "metrics",
                "seed": _whole("Seed", form.seed, 0, MAX_SEED),
                "words": "average" if reading == "words" else None,
            },
        )

    @property
    def name(self) -> str:
        """What the analysis is called until a person names it: how its text begins."""
        text = self.text if isinstance(self.text, str) else " ".join(self.text[:20])
        words = " ".join(text.split())
        short = words if len(words) <= NAME_CHARACTERS else f"{words[: NAME_CHARACTERS - 1]}…"
        return f"{short} ({self.model})"


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Analyze."""
    _register_file(app, workspace.max_upload)

    @app.callback(
        Output(ids.ANALYZE_OTHER_MODEL, "style"),
        Input(ids.ANALYZE_MODEL, "value"),
        prevent_initial_call=True,
    )
    def ask_for_name(model: str | None) -> dict[str, str]:
        return {} if model == OTHER_MODEL else {"display": "none"}

    # The process that runs it holds folders only: no connections and locks of this one.
    unsaved = workspace.unsaved
    turns = workspace.turns("analyze")

    @app.callback(
        Output(ids.ANALYZE_DONE, "data"),
        inputs={
            "clicks": Input(ids.ANALYZE, "n_clicks"),
            "form": {
                "text": State(ids.ANALYZE_TEXT, "value"),
                "reading": State(ids.ANALYZE_READING, "value"),
                "model": State(ids.ANALYZE_MODEL, "value"),
                "other_model": State(ids.ANALYZE_OTHER_MODEL, "value"),
                "clusters": State(ids.ANALYZE_CLUSTERS, "value"),
                "auto": State(ids.ANALYZE_AUTO, "value"),
                "layers": State(ids.ANALYZE_LAYERS, "value"),
                "attention": State(ids.ANALYZE_ATTENTION, "value"),
                "seed": State(ids.ANALYZE_SEED, "value"),
            },
        },
        background=True,
        progress=[Output(ids.ANALYZE_PROGRESS, "value"), Output(ids.ANALYZE_STAGE, "children")],
        progress_default=["0", ""],
        running=[
            (Output(ids.ANALYZE, "disabled"), True, False),
            (Output(ids.ANALYZE_CANCEL, "disabled"), False, True),
            (Output(ids.ANALYZE_PROGRESS, "style"), {"visibility": "visible"}, {}),
        ],
        cancel=[Input(ids.ANALYZE_CANCEL, "n_clicks")],
        interval=300,
        prevent_initial_call=True,
    )
    def run(set_progress: Progress, *, clicks: Any, form: Any) -> dict[str, Any]:  # noqa: ARG001
        return outcome(unsaved, turns, form, set_progress)

    runs.deliver(app, ids.ANALYZE_DONE, ids.ANALYZE_OUTCOME)

    @app.callback(
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input(ids.ANALYZE_OUTCOME, "data"),
        prevent_initial_call=True,
    )
    def show(outcome: Outcome | None) -> Any:
        if outcome is None:
            raise PreventUpdate
        if "draft" not in outcome:
            say_failed(outcome.get("failure", ""))
            return no_update
        view = workspace.settle(View(draft=outcome["draft"]))
        say(f"Analyzed '{title(workspace.shown(view).name)}'. Save it to keep it.")
        return destination(view)


def _register_file(app: Dash, max_upload: int) -> None:
    @app.callback(
        Output(ids.ANALYZE_TEXT, "value"),
        Output(ids.ANALYZE_COLUMN, "options"),
        Output(ids.ANALYZE_COLUMN, "value"),
        Output(ids.ANALYZE_COLUMN_FIELD, "hidden"),
        Input(ids.ANALYZE_FILE, "contents"),
        State(ids.ANALYZE_FILE, "filename"),
        prevent_initial_call=True,
    )
    def file_dropped(contents: str | None, filename: str | None) -> tuple[Any, ...]:
        name = filename or ""
        text = read_text(name, received(name, contents or "", max_upload))
        if not name.lower().endswith((".csv", ".tsv")):
            return text, [], None, True
        columns = list(read_table(name, text).columns)
        options = [{"label": title(column, 60), "value": column} for column in columns]
        return no_update, options, columns[0] if len(columns) == 1 else None, False

    @app.callback(
        Output(ids.ANALYZE_TEXT, "value", allow_duplicate=True),
        Output(ids.ANALYZE_READING, "value"),
        Input(ids.ANALYZE_COLUMN, "value"),
        State(ids.ANALYZE_FILE, "contents"),
        State(ids.ANALYZE_FILE, "filename"),
        prevent_initial_call=True,
    )
    def column_chosen(
        column: str | None, contents: str | None, filename: str | None
    ) -> tuple[Any, Any]:
        if column is None:
            return no_update, no_update
        name = filename or ""
        text = read_text(name, received(name, contents or "", max_upload))
        return "\n".join(column_lines(name, text, column)), "lines"


def outcome(
    unsaved: UnsavedAnalyses, turns: Turns, form: Any, set_progress: Progress
) -> dict[str, Any]:
    """Analyze what the form says, in turn; return the hash it is kept under, or why it failed.

    The form is as the browser sent it.
    """

    def work() -> dict[str, str]:
        request = Request.from_form(read(form, Form, "form"))
        with turns.taken(told_ahead(set_progress)):
            made = analyze(
                request.text, request.model, progress=_stages(set_progress), **request.options
            )
        saving = saving_arguments(made)
        kept = unsaved.keep(
            made, saving["model_name"], saving["input_text"], saving["metadata"], request.name
        )
        return {"draft": kept}

    return runs.outcome("The analysis", work)


def read_text(filename: str, content: bytes) -> str:
    """Return the text of a file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ChoiceMissingError(
            f"'{title(filename)}' is no text in UTF-8; save it as plain text or CSV."
        ) from error
    if "\0" in text:
        raise ChoiceMissingError(f"'{title(filename)}' is no text; drop plain text or CSV.")
    if len(text) > MAX_TEXT_CHARACTERS and not filename.lower().endswith((".csv", ".tsv")):
        raise ChoiceMissingError(
            f"'{title(filename)}' has {len(text):,} characters; the page takes up to "
            f"{MAX_TEXT_CHARACTERS:,}. For longer texts call analyze() from Python."
        )
    return text


def read_table(filename: str, text: str) -> pd.DataFrame:
    """Return a CSV or TSV file as a table of texts."""
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep="\t" if filename.lower().endswith(".tsv") else ",",
            dtype=str,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ChoiceMissingError(
            f"'{title(filename)}' can't be read as a table: {error}."
        ) from error


def column_lines(filename: str, text: str, column: str) -> Sequence[str]:
    """Return the rows of a column, each on one line; empty ones are left out."""
    table = read_table(filename, text)
    if column not in table:
        raise ChoiceMissingError(f"'{title(filename)}' has no column '{title(column)}'.")
    return [" ".join(str(cell).split()) for cell in table[column] if str(cell).strip()]


def _stages(set_progress: Progress) -> Callable[[str, float], None]:
    """Return what tells the page how far a run is, not more often than anyone can see."""
    told = 0.0

    def report(stage: str, share: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < PROGRESS_SECONDS:
            return
        told = now
        number = STAGES.index(cast(Literal["load", "extract", "cluster", "measure"], stage))
        said = f"{number + 1} of {len(STAGES)}: {_STAGE_NAMES[stage]}"
        set_progress((str(round(100 * (number + share) / len(STAGES), 1)), said))

    return report


def _model(form: Form) -> str:
    if form.model in MODELS and form.model != OTHER_MODEL:
        return str(form.model)
    name = (form.other_model or "").strip()
    if not _MODEL_NAME.fullmatch(name) or ".." in name:
        raise ChoiceMissingError(
            "Name a model on the hub, such as gpt2-xl or EleutherAI/pythia-70m; folders of this "
            "machine are for Python and the command line."
        )
    return name


def _layers(text: str | None) -> list[str | int] | None:
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    chosen: list[str | int] = [
        int(name) if re.fullmatch(r"-?\d{1,4}", name) else name for name in names
    ]
    return chosen or None


def _whole(label: str, value: float | None, least: int, most: int) -> int:
    if (
        value is None
        or isinstance(value, bool)
        or value != int(value)
        or not (least <= value <= most)
    ):
        raise ChoiceMissingError(
            f"{label}: a whole number from {least:,} to {most:,} is needed, then analyze again."
        )
    return int(value)
