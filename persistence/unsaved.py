"""Analyses that are not saved yet, kept for a while under the hash of their content."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from blake3 import blake3

from concept_fragmentation.persistence import codec
from concept_fragmentation.persistence.errors import AnalysisNotFoundError, NotFoundError
from concept_fragmentation.persistence.handle import AnalysisHandle
from concept_fragmentation.persistence.store import GPT2AnalysisPersistence

HASH_BYTES: Final = 16
KEPT_HOURS: Final = 48
# Of all that is kept together; the oldest leave first.
MOST_BYTES: Final = 4 * 2**30


class UnsavedAnalyses:
    """What was computed on the page and is in no store yet.

    Any process may keep and load; who does not know the hash can't see what it stands for. They
    are written as a store writes, so a process that is killed leaves nothing half-written. What
    was kept `KEPT_HOURS` ago is forgotten for good when the next one is kept, and so are the oldest
    while all together have more than `most_bytes`; the one just kept stays.
    """

    def __init__(self, folder: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> None:
        """Keep them in `folder`, which is made when the first one is kept."""
        self._folder = folder
        self._most_bytes = most_bytes

    def keep(
        self,
        analysis_data: Mapping[str, Any],
        model_name: str,
        input_text: str,
        metadata: Mapping[str, Any],
        name: str,
    ) -> str:
        """Keep an analysis; return its hash, 32 hexadecimal digits.

        Raises:
            InvalidDataError: it is none.
            StorageError: the disk refused.
        """
        store = self._store()
        content_hash = _hash(analysis_data)
        store.save_analysis_results(
            analysis_data, model_name, input_text, content_hash, metadata, name=name
        )
        self._forget_old(store, content_hash)
        return content_hash

    def load(self, content_hash: str) -> dict[str, Any]:
        """Return a kept analysis as a loaded structure.

        Raises:
            AnalysisNotFoundError: it is not kept, or no longer.
            CorruptedFileError: it is not what was kept.
        """
        with _named():
            return self._store().load_analysis_results(content_hash)

    def open(self, content_hash: str) -> AnalysisHandle:
        """Return a handle on a kept analysis.

        Raises:
            AnalysisNotFoundError, CorruptedFileError: as `load`.
        """
        with _named():
            return self._store().open_analysis(content_hash)

    def forget(self, content_hash: str) -> None:
        """Forget an analysis for good, if it is kept."""
        with contextlib.suppress(NotFoundError):
            self._store().delete_analysis(content_hash, permanently=True)

    def _store(self) -> GPT2AnalysisPersistence:
        return GPT2AnalysisPersistence(self._folder, enable_cache=False, max_versions=1)

    def _forget_old(self, store: GPT2AnalysisPersistence, just_kept: str) -> None:
        too_old = datetime.now(UTC) - timedelta(hours=KEPT_HOURS)
        kept = 0
        newest_first = sorted(
            store.list_analyses(),
            key=lambda summary: (summary["analysis_id"] == just_kept, summary["timestamp"]),
            reverse=True,
        )
        for summary in newest_first:
            content_hash, kept = summary["analysis_id"], kept + summary["size_bytes"]
            is_old = datetime.fromisoformat(summary["timestamp"]) < too_old
            if is_old or (kept > self._most_bytes and content_hash != just_kept):
                self.forget(content_hash)
        # Earlier versions put there what they forgot; nobody can restore it.
        store.purge(timedelta(0))


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Say of what is not kept what it is: its hash means nothing to a person."""
    try:
        yield
    except NotFoundError as error:
        raise AnalysisNotFoundError(
            f"That analysis was never saved and is not kept any more (after {KEPT_HOURS} "
            "hours, or when newer ones need the room); analyze its text again."
        ) from error


def _hash(analysis_data: Mapping[str, Any]) -> str:
    tensors: dict[str, Any] = {}
    encoded = codec.encode(analysis_data, tensors=tensors)
    content = blake3(json.dumps(encoded, sort_keys=True, default=str).encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        content.update(np.ascontiguousarray(tensor).tobytes())
    return content.hexdigest(HASH_BYTES)
