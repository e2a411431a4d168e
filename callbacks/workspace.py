"""From a view to the analysis it shows, and to what is computed from it, kept for a while."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import flask
import numpy as np
import numpy.typing as npt
import pandas as pd

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    TokenPathMetrics,
    category_values,
    only_category,
)
from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.analysis.windows import labelled_window
from concept_fragmentation.callbacks.gate import Gate
from concept_fragmentation.callbacks.memory import Memory, usual_budget
from concept_fragmentation.components.figures.data import token_paths_frame
from concept_fragmentation.components.figures.metrics import window_metrics
from concept_fragmentation.components.file_names import file_stem, part_of_name
from concept_fragmentation.components.view import Selection, View
from concept_fragmentation.components.words import title
from concept_fragmentation.persistence import (
    AnalysisHandle,
    AnalysisNotFoundError,
    GPT2AnalysisPersistence,
)
from concept_fragmentation.persistence.examples import load_example
from concept_fragmentation.persistence.model_folders import ModelFolders
from concept_fragmentation.persistence.turns import Turns
from concept_fragmentation.persistence.unsaved import UnsavedAnalyses

# The largest file that the page takes, in bytes.
MAX_UPLOAD: Final = 256 * 2**20
# No saved analysis has these for an id: identifiers hold no slash.
EXAMPLE: Final = "/example"
UNSAVED: Final = "/unsaved"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Shown:
    """An analysis as the page shows it: what it is, and what is known about it.

    `key` changes whenever what is stored under the view's id and version changed, so nothing
    computed from an overwritten or deleted version is ever shown. `data` gives the analysis dict to
    read, in which large arrays may be `LazyArray`s; they come from `source`.
    """

    analysis: Analysis
    data: Callable[[], Mapping[str, Any]]
    metadata: Mapping[str, Any]
    key: tuple[Hashable, ...]
    source: object

    @property
    def is_example(self) -> bool:
        """Whether this ships with the package, and so is not in the store."""
        return self.key[0] == EXAMPLE

    @property
    def is_saved(self) -> bool:
        """Whether this is in the store: neither an example nor computed and not saved yet."""
        return self.key[0] not in {EXAMPLE, UNSAVED}

    @property
    def known(self) -> Mapping[str, Any]:
        """The metadata, with the provenance that the data may hold instead."""
        if "provenance" in self.metadata:
            return self.metadata
        return {**self.metadata, "provenance": self.data().get("provenance")}

    @property
    def name(self) -> str:
        """What a person calls it."""
        return str(self.metadata.get("name") or self.metadata.get("analysis_id") or "Unnamed")


class DeletedError(AnalysisNotFoundError):
    """An analysis, or a version of it, was deleted and can be restored from the trash."""


class NotMadeError(ConceptFragmentationError):
    """What takes long has not been made in the background yet; `.what` names it."""

    def __init__(self, what: str) -> None:
        """Keep the name."""
        self.what = what
        super().__init__("This takes a while. It is shown when it is ready.")


class Workspace:
    """The store, the examples and the analyses in use, for the callbacks.

    Callbacks of one view run at the same time in several threads; each thing is computed once
    and shared. Everything handed out is read-only by convention.
    """

    def __init__(
        self,
        store: GPT2AnalysisPersistence,
        *,
        max_upload: int = MAX_UPLOAD,
        patient: bool = True,
        models: ModelFolders | None = None,
        memory: int | None = None,
    ) -> None:
        """Keep the store, and load no analysis yet.

        `max_upload` is the largest file that the page takes, in bytes. One that is not `patient`
        leaves what takes long to a process in the background. `models` are the folders of models
        that the page may open. Analyses and what is computed of them have at most `memory` bytes,
        by default what `usual_budget` says.
        """
        self.store = store
        self.models = models or ModelFolders()
        self.max_upload = max_upload
        self.patient = patient
        self.unsaved = UnsavedAnalyses(store.cache_dir / "unsaved")
        # Requests for files that are computed, and among them those for reports.
        self.gate = Gate()
        self.report_gate = Gate(most_waiting=0)
        # Those that write an export or read a file, which can take minutes.
        self.transfer_gate = Gate(most_waiting=2)
        self.memory = Memory(usual_budget() if memory is None else memory)

    def turns(self, kind: str) -> Turns:
        """Return the row in which processes wait that do one kind of heavy work."""
        return Turns(self.store.cache_dir / "turns" / kind)

    def hold(self) -> None:
        """Have what remains of this request see the store as it is when it is first asked.

        For callbacks that change nothing in it: they ask for the same analysis again and again.
        """
        if flask.has_request_context():
            flask.g.held = {}

    def patiently(self) -> Workspace:
        """Return this one, with all that it keeps, but patient."""
        patient = copy.copy(self)
        patient.patient = True
        return patient

    def reopened(self) -> Workspace:
        """Return a patient one of the same store, with no connection and no lock of this one.

        For a process of its own, which must not share these.
        """
        return Workspace(
            GPT2AnalysisPersistence(self.store.base_dir),
            max_upload=self.max_upload,
            models=self.models,
            memory=self.memory.budget,
        )

    def shown(self, view: View) -> Shown:
        """Return the analysis of a view, restricted to its category.

        Not found and corrupted ones raise the store's errors; a category that the analysis does not
        have raises UnknownChoiceError.
        """
        whole = self._whole(view)
        column, *values = view.only or ("",)
        if not values:
            return whole
        key = (*whole.key, "only", view.only)

        def restricted() -> Shown:
            analysis = only_category(whole.analysis, column, values)
            return replace(whole, analysis=analysis, key=key)

        part = self.memory.get(key, restricted, is_analysis=True)
        return replace(part, metadata=whole.metadata)

    def with_known_category(self, view: View) -> tuple[View, str]:
        """Return a view without the categories that its analysis does not have, and what to say."""
        columns = [name for name in (view.category, *view.only[:1]) if name is not None]
        if not columns:
            return view, ""
        known = category_values(self._whole(view).analysis)
        missing = [name for name in columns if name not in known]
        if missing:
            said = f"No column of categories is called '{title(missing[0], 60)}' here"
            if view.category in missing:
                view = replace(view, category=None)
            if view.only[:1] != () and view.only[0] in missing:
                return view.of_all_tokens, f"{said}: all tokens are shown."
            return view, f"{said}: the first one is compared."
        if not view.only:
            return view, ""
        column, *values = view.only
        unknown = [value for value in values if value not in known[column]]
        if not unknown:
            return view, ""
        only = (column, *(value for value in values if value in known[column]))
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        named = f"'{title(unknown[0], 60)}'{more}"
        said = f"No token has the {title(column, 60)} {named}, which the choice now lacks."
        return replace(view, only=only), said

    def _whole(self, view: View) -> Shown:
        if view.draft is not None:
            return self._unsaved(view.draft)
        if view.analysis_id is None:
            return self._example(view.example)
        held: dict[Hashable, Shown] | None = (
            flask.g.get("held") if flask.has_request_context() else None
        )
        if held is None:
            return self._saved(view.analysis_id, view.version)
        asked = (view.analysis_id, view.version)
        if asked not in held:
            held[asked] = self._saved(*asked)
        return held[asked]

    def _saved(self, analysis_id: str, version: int | None) -> Shown:
        try:
            return self._stored(analysis_id, version)
        except AnalysisNotFoundError:
            for entry in self.store.list_trash():
                if entry["analysis_id"] == analysis_id and entry["version"] in {None, version}:
                    what = name_in_trash(entry)
                    raise DeletedError(
                        f"{what[0].upper()}{what[1:]} was deleted. Restore it from the trash in "
                        "the Library."
                    ) from None
            raise

    def _stored(self, analysis_id: str, version: int | None) -> Shown:
        versions = self.store.list_versions(analysis_id)
        summary = next((v for v in versions if version is None or v["version"] == version), None)
        if summary is None:
            # Raises the sentence that says so; or another process has saved it just now.
            summary = self.store.open_analysis(analysis_id, version).metadata
        key = (analysis_id, summary["version"], summary["timestamp"])

        def opened() -> Shown:
            return _shown(self.store.open_analysis(analysis_id, summary["version"]), key)

        shown = self.memory.get(key, opened, is_analysis=True)
        return replace(shown, metadata={**shown.metadata, **summary, **_whole(shown.metadata)})

    def _example(self, key: str) -> Shown:
        def read() -> Shown:
            loaded = load_example(key)
            data = loaded["analysis_data"]
            return Shown(
                analysis=Analysis.from_dict(data),
                data=lambda: data,
                metadata=loaded["metadata"],
                key=(EXAMPLE, key),
                source=data,
            )

        return self.memory.get((EXAMPLE, key), read)

    def _unsaved(self, content_hash: str) -> Shown:
        key = (UNSAVED, content_hash)
        return self.memory.get(
            key, lambda: _shown(self.unsaved.open(content_hash), key), is_analysis=True
        )

    def loaded(self, view: View) -> Mapping[str, Any]:
        """Return the analysis of a view as the store loads it, whole, to be saved again."""
        shown = self.shown(view)
        if shown.is_example:
            return load_example(view.example)
        if view.draft is not None:
            return self.unsaved.load(view.draft)
        return self.store.load_analysis_results(
            str(shown.metadata["analysis_id"]), int(shown.metadata["version"])
        )

    def settle(self, view: View) -> View:
        """Return the view with its version pinned and everything within what the analysis has."""
        shown = self.shown(view)
        version = int(shown.metadata["version"]) if shown.is_saved else None
        if view.draft is not None:
            view = replace(view, analysis_id=None)
        if not view.is_example:
            view = replace(view, example=View.example)
        view = replace(view, version=version).clamp(
            len(shown.analysis.labelled_layers),
            shown.analysis.num_tokens,
            shown.analysis.num_layers,
        )
        if view.selection is not None and not len(selected(shown.analysis, view.selection)):
            view = replace(view, selection=None)
        return view

    def settle_part(self, view: View) -> View:
        """Return the view of a part of the page, settled: one without a window gets none."""
        if view.last is not None:
            return self.settle(view)
        layers = len(self.shown(view).analysis.labelled_layers)
        settled = self.settle(replace(view, first=0, last=max(layers - 1, 0)))
        return replace(settled, last=None)

    def window(self, view: View) -> LayerWindow | None:
        """Return the layer window of a settled view; None where no layer has cluster labels."""
        shown = self.shown(view)
        if not shown.analysis.labelled_layers or view.last is None:
            return None
        first, last = view.first, view.last
        return self.memory.get(
            ("window", shown.key, first, last),
            lambda: labelled_window(shown.analysis, first, last),
        )

    def file_stem(self, view: View) -> str:
        """Return the beginning of file names of a settled view: the analysis and the window."""
        shown, last = self.shown(view), 0 if view.last is None else view.last
        part = shown.analysis.part
        stem = file_stem(shown.name, shown.analysis.labelled_layers[view.first : last + 1])
        return stem if part is None else f"{stem}-{part_of_name(part.name)}".rstrip("-")

    def metrics(self, view: View) -> TokenPathMetrics | None:
        """Return the path metrics of a settled view's tokens within its window."""
        shown, window = self.shown(view), self.window(view)
        if window is None:
            return None
        return window_metrics(shown.analysis, window)

    def frame(self, view: View) -> pd.DataFrame:
        """Return the table of token paths of a settled view; empty where no layer has labels."""
        shown, window = self.shown(view), self.window(view)
        if window is None:
            return pd.DataFrame()
        return self.memory.get(
            ("frame", shown.key, window.first, window.last),
            lambda: token_paths_frame(shown.analysis, window),
        )

    def computed(self, view: View, what: tuple[Hashable, ...], compute: Callable[[], T]) -> T:
        """Return what `compute` makes of the analysis of a settled view, made once and kept."""
        return self.memory.get(("computed", self.shown(view).key, what), compute)

    def made(
        self,
        view: View,
        what: str,
        make: Callable[[], bytes],
        turn: AbstractContextManager[object] | None = None,
    ) -> bytes:
        """Return what takes long to make of the analysis of a settled view, from the store's cache.

        What is not there yet is made by a patient workspace, within a turn if one is given, and
        kept for all processes.

        Raises:
            NotMadeError: it is not there, and this workspace is not patient.
        """
        key = f"made {self.shown(view).key} {what}"
        cache = self.store.cache
        kept = cache.get(key)
        if kept is not None:
            return kept
        if not self.patient:
            raise NotMadeError(key)
        with turn or nullcontext():
            # Whoever was before may have made just that.
            kept = cache.get(key)
            if kept is None:
                kept = make()
                cache.set(key, kept)
        return kept


def _whole(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that a summary cuts short."""
    return {key: metadata[key] for key in ("input_text",) if key in metadata}


def name_in_trash(entry: Mapping[str, Any]) -> str:
    """Name an entry of the trash: `'a name'`, or `version 2 of 'a name'`."""
    name = f"'{title(str(entry['name']))}'"
    return name if entry["version"] is None else f"version {entry['version']} of {name}"


def _shown(handle: AnalysisHandle, key: tuple[Hashable, ...]) -> Shown:
    return Shown(
        analysis=handle.analysis,
        data=lambda: handle.data,
        metadata=handle.metadata,
        key=key,
        source=handle,
    )


def selected(analysis: Analysis, selection: Selection) -> npt.NDArray[np.int64]:
    """Return the indices of the tokens in a cluster or band of the labelled layers."""
    # An address may name clusters that the analysis does not have: then no token is in them.
    chosen = analysis.labels[:, selection[1]] == selection[2]
    if selection[0] == "link":
        chosen &= analysis.labels[:, selection[1] + 1] == selection[3]
    return np.flatnonzero(chosen)
