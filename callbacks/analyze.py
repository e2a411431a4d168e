"""Analyze a text: read the form, run in a process of its own, and show what came of it."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from dash import ALL, Dash, Input, Output, State, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from concept_fragmentation.analysis import (
    STAGES,
    ReadAloneWarning,
    analyze,
    saving_arguments,
    skipped_words,
)
from concept_fragmentation.analysis.checkpoints import A_FOLDER
from concept_fragmentation.analysis.clustering import CHOICES_OF_K
from concept_fragmentation.analysis.errors import ModelUnavailableError
from concept_fragmentation.analysis.inputs import DEFAULT_PREFIX
from concept_fragmentation.callbacks import runs, text_files
from concept_fragmentation.callbacks.browser import in_browser
from concept_fragmentation.callbacks.checks import read
from concept_fragmentation.callbacks.library import ChoiceMissingError, Destination, destination
from concept_fragmentation.callbacks.messages import say_failed
from concept_fragmentation.callbacks.runs import Outcome, told_ahead
from concept_fragmentation.callbacks.text_files import CategoryColumn
from concept_fragmentation.callbacks.views import clicked
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import (
    ATTENTIONS,
    FOLDER,
    MAX_CLUSTERS,
    MAX_PREFIX_CHARACTERS,
    MAX_SEED,
    MAX_TEXT_CHARACTERS,
    MODELS,
    OTHER_MODEL,
    READINGS,
    SEVERAL,
)
from concept_fragmentation.components.finished import (
    Finished,
    finished_list,
    with_finished,
    without_finished,
)
from concept_fragmentation.components.massive import READ_ALONE
from concept_fragmentation.components.origin import settings_in_short
from concept_fragmentation.components.runs import Progress
from concept_fragmentation.components.view import View
from concept_fragmentation.components.words import plural, title
from concept_fragmentation.persistence.model_folders import ModelFolders
from concept_fragmentation.persistence.turns import Turns
from concept_fragmentation.persistence.unsaved import UnsavedAnalyses

PROGRESS_SECONDS: Final = 0.2
NAME_CHARACTERS: Final = 40
WORDS_NAMED: Final = 8

_STAGE_NAMES: Final = {
    "load": "Loading the model",
    "extract": "Running the model",
    "cluster": "Clustering the layers",
    "measure": "Measuring paths and layers",
}
_MODEL_NAME: Final = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
# What a reload leaves in the form; see assets/analyze.js.
_KEPT: Final = (
    (ids.ANALYZE_TEXT, "value"),
    (ids.ANALYZE_SOURCE, "children"),
    (ids.ANALYZE_CATEGORIES, "data"),
    (ids.ANALYZE_READING, "value"),
    (ids.ANALYZE_SEVERAL, "value"),
    (ids.ANALYZE_PREFIX, "value"),
    (ids.ANALYZE_MODEL, "value"),
    (ids.ANALYZE_OTHER_MODEL, "value"),
    (ids.ANALYZE_CLUSTERS, "value"),
    (ids.ANALYZE_CHOOSE_K, "value"),
    (ids.ANALYZE_LAYERS, "value"),
    (ids.ANALYZE_ATTENTION, "value"),
    (ids.ANALYZE_SEED, "value"),
    (ids.ANALYZE_KEEP_MASSIVE, "value"),
    (ids.ANALYZE_WARM_START, "value"),
)


@dataclass(frozen=True)
class Form:
    """What the form says, as the browser sent it."""

    text: str | None
    reading: str | None
    model: str | None
    other_model: str | None
    clusters: float | None
    choose_k: str | None
    layers: str | None
    attention: str | None
    seed: float | None
    several: str | None = None
    prefix: str | None = None
    keep_massive: bool | None = None
    warm_start: bool | None = None
    categories: Sequence[CategoryColumn] | None = None


@dataclass(frozen=True)
class Request:
    """What is to be analyzed, and how; every part was checked."""

    text: str | list[str]
    model: str
    options: dict[str, Any]

    @classmethod
    def from_form(cls, form: Form, models: ModelFolders | None = None) -> Request:
        """Read the form; raise ChoiceMissingError that says what to change.

        Raises ModelUnavailableError where a folder is named that may not be opened.
        """
        reading = form.reading if form.reading in READINGS else "text"
        given = form.text or ""
        if not given.strip():
            raise ChoiceMissingError("Paste a text or drop a file, then analyze it.")
        if len(given) > MAX_TEXT_CHARACTERS:
            raise ChoiceMissingError(
                f"The page takes texts of up to {MAX_TEXT_CHARACTERS:,} characters; for longer "
                "ones call analyze() from Python."
            )
        # `str.splitlines` would cut at form feeds and other characters within a text, too.
        lines = [line for line in re.split("\r\n|\r|\n", given) if line.strip()]
        words = [line.strip() for line in lines]
        return cls(
            text=given if reading == "text" else lines if reading == "lines" else words,
            model=_model(form, models or ModelFolders()),
            options={
                "layers": _layers(form.layers),
                "n_clusters": form.choose_k
                if form.choose_k in CHOICES_OF_K
                else _whole("Clusters a layer", form.clusters, 2, MAX_CLUSTERS),
                "attention": form.attention if form.attention in ATTENTIONS else "metrics",
                "seed": _whole("Seed", form.seed, 0, MAX_SEED),
                "words": _several(form.several) if reading == "words" else None,
                "prefix": _prefix(form.prefix),
                "keep_massive": bool(form.keep_massive),
                "warm_start": form.warm_start is not False,
                "categories": _categories(form.categories or (), reading, len(lines)),
            },
        )

    @property
    def name(self) -> str:
        """What the analysis is called until a person names it: how its text begins."""
        text = self.text if isinstance(self.text, str) else " ".join(self.text[:20])
        words = " ".join(text.split())
        return words if len(words) <= NAME_CHARACTERS else f"{words[: NAME_CHARACTERS - 1]}…"


def register(app: Dash, workspace: Workspace) -> None:
    """Connect the panel Analyze."""
    text_files.register(app, workspace.max_upload)

    @app.callback(
        Output(ids.ANALYZE_OTHER_MODEL, "style"),
        Input(ids.ANALYZE_MODEL, "value"),
        prevent_initial_call=True,
    )
    def ask_for_name(model: str | None) -> dict[str, str]:
        return {} if model == OTHER_MODEL else {"display": "none"}

    kept = [Input(component_id, name) for component_id, name in _KEPT]
    in_browser(app, "analyze", "keep", *kept)
    in_browser(
        app,
        "analyze",
        "hide_unless_words",
        Output(ids.ANALYZE_SEVERAL_FIELD, "hidden"),
        Input(ids.ANALYZE_READING, "value"),
    )
    _register_run(app, workspace)
    _register_finished(app, workspace)


def _register_run(app: Dash, workspace: Workspace) -> None:
    # The process that runs it holds folders only: no connections and locks of this one.
    unsaved = workspace.unsaved
    turns = workspace.turns("analyze")
    models = workspace.models

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
                "choose_k": State(ids.ANALYZE_CHOOSE_K, "value"),
                "layers": State(ids.ANALYZE_LAYERS, "value"),
                "attention": State(ids.ANALYZE_ATTENTION, "value"),
                "seed": State(ids.ANALYZE_SEED, "value"),
                "several": State(ids.ANALYZE_SEVERAL, "value"),
                "prefix": State(ids.ANALYZE_PREFIX, "value"),
                "keep_massive": State(ids.ANALYZE_KEEP_MASSIVE, "value"),
                "warm_start": State(ids.ANALYZE_WARM_START, "value"),
                "categories": State(ids.ANALYZE_CATEGORIES, "data"),
            },
        },
        background=True,
        progress=[
            Output(ids.ANALYZE_PROGRESS, "value"),
            Output(ids.ANALYZE_STAGE, "children"),
            Output(ids.ANALYZE_STATUS_PROGRESS, "value"),
            Output(ids.ANALYZE_STATUS_STAGE, "children"),
        ],
        progress_default=["0", "", "0", ""],
        running=[
            (Output(ids.ANALYZE, "disabled"), True, False),
            (Output(ids.ANALYZE_CANCEL, "disabled"), False, True),
            (Output(ids.ANALYZE_PROGRESS, "style"), {"visibility": "visible"}, {}),
            (Output(ids.ANALYZE_STATUS, "hidden"), False, True),
        ],
        cancel=[
            Input(ids.ANALYZE_CANCEL, "n_clicks"),
            Input(ids.ANALYZE_STATUS_CANCEL, "n_clicks"),
        ],
        interval=300,
        prevent_initial_call=True,
    )
    def run(set_progress: Callable[..., None], *, clicks: Any, form: Any) -> dict[str, Any]:  # noqa: ARG001
        def tell(said: tuple[str | None, str]) -> None:
            share, stage = said
            percent = f"{float(share or 0):.0f}%"
            set_progress((share, stage, share, f"{percent} · {stage}"))

        tell(("0", "Starting"))
        return outcome(unsaved, turns, form, tell, models)

    runs.deliver(app, ids.ANALYZE_DONE, ids.ANALYZE_OUTCOME)


def _register_finished(app: Dash, workspace: Workspace) -> None:
    """Offer to open what is done: it does not take away what a person looks at meanwhile."""

    @app.callback(
        Output(ids.FINISHED, "data"),
        Input(ids.ANALYZE_OUTCOME, "data"),
        State(ids.FINISHED, "data"),
        prevent_initial_call=True,
    )
    def offer(outcome: Outcome | None, offered: Sequence[Finished] | None) -> Any:
        if outcome is None:
            raise PreventUpdate
        if "draft" not in outcome:
            say_failed(outcome.get("failure", ""))
            return no_update
        shown = workspace.shown(View(draft=outcome["draft"]))
        new = Finished(draft=outcome["draft"], name=shown.name, note=outcome.get("note", ""))
        return with_finished(offered, new)

    # On a page that is loaded anew, the browser has kept what was offered.
    @app.callback(Output(ids.FINISHED_LIST, "children"), Input(ids.FINISHED, "data"))
    def list_finished(offered: Sequence[Finished] | None) -> list[Component]:
        return finished_list(offered)

    @app.callback(
        Output(ids.FINISHED, "data", allow_duplicate=True),
        Output(ids.DESTINATION, "data", allow_duplicate=True),
        Input({"type": ids.FINISHED_OPEN, "index": ALL}, "n_clicks"),
        State(ids.FINISHED, "data"),
        prevent_initial_call=True,
    )
    def open_clicked(
        clicks: Sequence[int | None], offered: Sequence[Finished] | None
    ) -> tuple[list[Finished], Destination]:
        draft = clicked(clicks)
        return without_finished(offered, draft), destination(workspace.settle(View(draft=draft)))

    @app.callback(
        Output(ids.FINISHED, "data", allow_duplicate=True),
        Input({"type": ids.FINISHED_DISMISS, "index": ALL}, "n_clicks"),
        State(ids.FINISHED, "data"),
        prevent_initial_call=True,
    )
    def dismiss_clicked(
        clicks: Sequence[int | None], offered: Sequence[Finished] | None
    ) -> list[Finished]:
        return without_finished(offered, clicked(clicks))


def outcome(
    unsaved: UnsavedAnalyses,
    turns: Turns,
    form: Any,
    set_progress: Progress,
    models: ModelFolders | None = None,
) -> dict[str, Any]:
    """Analyze what the form says, in turn; return the hash it is kept under, or why it failed.

    The form is as the browser sent it.
    """

    opened = models or ModelFolders()

    def work() -> dict[str, str]:
        try:
            return analyzed()
        except ModelUnavailableError as error:
            if opened.any_folder:
                raise
            raise ModelUnavailableError(str(error).replace(A_FOLDER, "")) from error

    def analyzed() -> dict[str, str]:
        request = Request.from_form(read(form, Form, "form"), opened)
        # What is to be said of words that are read alone stands in the note.
        with turns.taken(told_ahead(set_progress)), warnings.catch_warnings():
            warnings.simplefilter("ignore", ReadAloneWarning)
            made = analyze(
                request.text,
                request.model,
                progress=_stages(set_progress, _ahead(request)),
                **request.options,
            )
        saving = saving_arguments(made)
        known = {"model_name": saving["model_name"], **saving["metadata"]}
        name = f"{request.name} ({settings_in_short(known)})"
        kept = unsaved.keep(
            made, saving["model_name"], saving["input_text"], saving["metadata"], name
        )
        return {"draft": kept, "note": words_note(made.get("words"))}

    return runs.outcome("The analysis", work)


def words_note(words: Mapping[str, Any] | None) -> str:
    """Return which of the words that were given are not tokens as they stand; none is ''."""
    skipped = list((words or {}).get("skipped") or ())
    averaged = list((words or {}).get("averaged") or ())
    parts = []
    if (words or {}).get("prefix") == "":
        parts.append(READ_ALONE)
    if skipped:
        parts.append(f"Skipped, of several tokens: {_some(skipped)}.")
    if averaged:
        parts.append(f"The mean of several tokens each: {_some(averaged)}.")
    return " ".join(parts)


def _some(words: Sequence[Any]) -> str:
    named = ", ".join(map(str, words[:WORDS_NAMED]))
    more = len(words) - WORDS_NAMED
    return f"{plural(len(words), 'word')} ({named}{f' and {more:,} more' if more > 0 else ''})"


def _ahead(request: Request) -> str:
    """Say, before the model is run, how many words of several tokens will be skipped."""
    if request.options["words"] != "skip":
        return ""
    skipped = len(skipped_words(request.text, request.model))
    return f" · skips {skipped:,} of {plural(len(request.text), 'word')}" if skipped else ""


def _stages(set_progress: Progress, note: str = "") -> Callable[[str, float], None]:
    """Return what tells the page how far a run is, not more often than anyone can see.

    The `note` stands behind every stage.
    """
    told = 0.0

    def report(stage: str, share: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < PROGRESS_SECONDS:
            return
        told = now
        number = STAGES.index(cast(Literal["load", "extract", "cluster", "measure"], stage))
        said = f"{number + 1} of {len(STAGES)}: {_STAGE_NAMES[stage]}{note}"
        set_progress((str(round(100 * (number + share) / len(STAGES), 1)), said))

    return report


def _model(form: Form, models: ModelFolders) -> str:
    chosen = form.model or ""
    if chosen.startswith(FOLDER):
        return str(models.offered(chosen.removeprefix(FOLDER)))
    if chosen != OTHER_MODEL:
        if chosen not in MODELS:
            raise ChoiceMissingError("Choose a model, then analyze again.")
        return chosen
    name = (form.other_model or "").strip()
    on_hub = _MODEL_NAME.fullmatch(name) and ".." not in name
    if not name or not (on_hub or models.any_folder):
        otherwise = (
            "or give a folder of this machine."
            if models.any_folder
            else "folders are opened for who works on the machine of the server; those below "
            "'serve --models DIR' are offered to all."
        )
        raise ChoiceMissingError(
            f"Name a model on the hub, such as gpt2-xl or EleutherAI/pythia-70m; {otherwise}"
        )
    return models.named(name)


def _several(chosen: str | None) -> str:
    return chosen if chosen in SEVERAL else "average"


def _categories(
    given: Sequence[CategoryColumn], reading: str, number: int
) -> dict[str, Sequence[str | None]] | None:
    if given and reading == "text":
        raise ChoiceMissingError(
            f"The categories are of texts or words: choose '{READINGS['lines']}' or "
            f"'{READINGS['words']}', or leave the categories out."
        )
    for column in given:
        if len(column["values"]) != number:
            raise ChoiceMissingError(
                f"The text has {plural(number, 'line')}, but '{title(column['name'], 60)}' has a "
                f"category for {len(column['values']):,}: drop the table again, or leave the "
                "categories out."
            )
    return {column["name"]: column["values"] for column in given} or None


def _prefix(given: str | None) -> str:
    text = DEFAULT_PREFIX if given is None else given.strip()
    if len(text) > MAX_PREFIX_CHARACTERS:
        raise ChoiceMissingError(
            f"Before each word: up to {MAX_PREFIX_CHARACTERS:,} characters, then analyze again."
        )
    return text


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
