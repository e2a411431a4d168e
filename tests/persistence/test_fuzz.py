"""Hostile imports end in our errors."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz
from concept_fragmentation.persistence import GPT2AnalysisPersistence, InvalidDataError

pytestmark = pytest.mark.slow

Store = GPT2AnalysisPersistence


def test_mutated_imports_end_in_our_errors() -> None:
    came_to = fuzz.run(120)  # `make soak` has twenty thousand
    assert sum(came_to.values()) == 120
    assert {what.split(": ")[1] for what in came_to} == {"taken", "refused"}


def bomb(depth: int) -> Any:
    value: Any = ["x" * 1000]
    for _ in range(depth):
        value = [value] * 10
    return value


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (300 * 2**20))
    return packed.getvalue()


HOSTILE: dict[str, Callable[[], tuple[str, bytes]]] = {
    "a zip bomb": lambda: ("x.zip", zip_bomb()),
    "deep nesting": lambda: ("x.json", b'{"layers":' + b"[" * 100_000),
    "a huge integer": lambda: ("x.json", b'{"layers": ' + b"9" * 100_000 + b"}"),
    "a key twice": lambda: ("x.json", b'{"model_type": "a", "layers": [], "layers": ["b"]}'),
    "a list of lists of the same list": lambda: ("x.pkl", pickle.dumps({"layers": bomb(12)})),
    "a memo that asks for memory": lambda: ("x.pkl", b"\x80\x02]r\xff\xff\xff\x7f."),
    "a memo in text that asks for memory": lambda: ("x.pkl", b"(lp9999999999\n."),
    "a table without columns": lambda: (
        "x.json",
        json.dumps(
            {
                "export_metadata": {
                    "format": "concept_fragmentation json export",
                    "format_version": 1,
                },
                "analysis_results": {"$table": {"columns": {}, "length": 10**12}},
            }
        ).encode(),
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_asks_for_too_much_is_refused(store: Store, what: str) -> None:
    name, data = HOSTILE[what]()
    with pytest.raises(InvalidDataError) as caught:
        store.import_bytes(name, data)
    assert len(str(caught.value)) < 600
    assert store.list_analyses() == []


def test_links_and_pipes_are_not_followed(
    store: Store, analysis: dict[str, Any], tmp_path: Path
) -> None:
    store.save_analysis_results(analysis, "gpt2", "", "mine")
    folder = Path(store.export_analysis("mine", "csv"))
    secret = tmp_path / "tokens.csv"
    (folder / "tokens.csv").rename(secret)
    (folder / "tokens.csv").symlink_to(secret)
    with pytest.raises(InvalidDataError, match=r"tokens\.csv"):
        store.import_analysis(folder)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InvalidDataError, match="neither a file nor a folder"):
        store.import_analysis(tmp_path / "pipe.json")
