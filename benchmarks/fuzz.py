"""Mutated files are imported: only our errors, nothing outside the store, no code run.

`python -m benchmarks.fuzz 20000 SEED` imports that many; a test imports fewer.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import resource
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from concept_fragmentation.persistence import (
    ConceptFragmentationError,
    GPT2AnalysisPersistence,
)

MOST_BYTES = 2**30
_PIECES = (
    *(b"\0", b"\xff\xff\xff\xff", b"../../", b"/etc/passwd", b'"$array"', b'"$table"', b'"$dict"'),
    *(b"[" * 500, b'{"a":' * 200, b"9" * 5000, b"NaN", b"-1", b"1e999", b"]}", b"null", b'"'),
    *(b"\x80\x04\x95", b"cos\nsystem\n", b"r\xff\xff\xff\x7f", b"p99999999999\n", b"\r\n"),
    *(b'"layers": [],', b"=1+1", b"2147483648"),
)


def analysis() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    layers = ["layer_0", "layer_1"]
    return {
        "model_type": "gpt2",
        "layers": layers,
        "token_metadata": {"tokens": [" a", "=1+1", "\ud800", "b"], "positions": [0, 1, 2, 3]},
        "cluster_labels": {layer: [0, 1, 2, 1] for layer in layers},
        "attention_data": {
            layer: {"attention_probs": rng.random((2, 4, 4), dtype=np.float32)} for layer in layers
        },
        "more": {"tuple": (1, None), 7: float("nan"), "states": np.arange(20_000.0)},
    }


def seeds(folder: Path) -> tuple[dict[str, bytes], Path]:
    """Whole exports by file name, and a whole store."""
    store = GPT2AnalysisPersistence(folder / "seed")
    store.save_analysis_results(analysis(), "gpt2", "text", "mine", tags=["t"])
    store.save_analysis_results(analysis(), "gpt2", "text", "packed", compress=True)
    store.save_visualization_state("mine", {"window": (0, 1)}, "sankey")
    store.create_session("s", ["mine"])
    files = {}
    for kind in ("json", "csv", "pickle"):
        name, data = store.read_export(store.export_analysis("mine", kind))
        files[name] = data
    plain = {
        key: value for key, value in analysis().items() if key not in ("more", "attention_data")
    }
    files["bare.json"] = json.dumps(plain).encode()
    files["old.pkl"] = pickle.dumps(analysis(), protocol=2)
    shutil.rmtree(store.base_dir / "exports")
    return files, store.base_dir


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, doubled, moved, or something hostile put in."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(6):
            case 0 if content:
                content[at % len(content)] ^= 1 << rng.randrange(8)
            case 1:
                del content[at : at + rng.choice((1, 8, 100, 10_000))]
            case 2:
                content[at:at] = rng.choice(_PIECES)
            case 3:
                content[at:at] = content[at : at + rng.choice((1, 30, 300))]
            case 4:
                piece = rng.choice(_PIECES)
                content[at : at + len(piece)] = piece
            case _:
                digits = [i for i, byte in enumerate(content) if 48 <= byte < 58]
                if digits:
                    content[rng.choice(digits)] = rng.choice(b"0123456789-.e")
    return bytes(content)


def rezipped(data: bytes, rng: random.Random) -> bytes:
    """An archive in which one file's content, or name, is changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        chosen = rng.choice(names)
        for name in names:
            content, to = old.read(name), name
            if name == chosen:
                if rng.random() < 0.2:
                    to = rng.choice(("/etc/evil.csv", "../../evil.csv", "evil\\..\\x.csv", ""))
                else:
                    content = mutated(content, rng)
            new.writestr(to or "x", content)
    return packed.getvalue()


def resealed(path: Path, data: bytes) -> bytes:
    """A document with a right checksum: whoever changes one can compute it too."""
    if path.suffix != ".json" or b"\n" not in data:
        return data
    rest = data.split(b"\n", 1)[1]
    return b'{"checksum": "blake3:%s",\n' % blake3(rest).hexdigest().encode() + rest


def run(count: int, seed: int = 1) -> Counter[str]:
    """Import `count` mutated inputs and count what they came to; AssertionError if one got through.

    Memory is bounded by the system: more than 1 GiB on top ends in a MemoryError.
    """
    rng = random.Random(seed)
    came_to: Counter[str] = Counter()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files, source = seeds(folder)
        target = folder / "target"
        store = GPT2AnalysisPersistence(target, enable_cache=False)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, limits[1]))
        try:
            for number in range(count):
                kind = rng.choice([*files, "store"])
                try:
                    if kind == "store":
                        _import_store(store, source, folder / "changed", rng)
                    else:
                        archive = kind.endswith(".zip") and rng.random() < 0.8
                        change = rezipped if archive else mutated
                        store.import_bytes(kind, change(files[kind], rng))
                    came_to[f"{kind}: taken"] += 1
                except ConceptFragmentationError:
                    came_to[f"{kind}: refused"] += 1
                if number % 200 == 199:
                    _check(store, folder)
            _check(store, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    return came_to


def _import_store(store: Any, source: Path, changed: Path, rng: random.Random) -> None:
    shutil.rmtree(changed, ignore_errors=True)
    shutil.copytree(source, changed, ignore=shutil.ignore_patterns("locks", "cache", "catalog*"))
    paths = sorted(path for path in changed.rglob("*") if path.is_file())
    path = rng.choice(paths)
    path.write_bytes(resealed(path, mutated(path.read_bytes(), rng)))
    store.import_store(changed)


def _check(store: GPT2AnalysisPersistence, folder: Path) -> None:
    """What came in can be read, whole, and nothing is where it should not be."""
    assert {path.name for path in folder.iterdir()} <= {"seed", "target", "changed"}
    for entry in store.list_analyses():
        store.load_analysis_results(entry["analysis_id"])
        store.delete_analysis(entry["analysis_id"], permanently=True)
    for session in store.list_sessions():
        store.delete_session(session["session_id"])
    assert [problem.sentence for problem in store.verify()] == []


if __name__ == "__main__":
    for what, number in sorted(run(*map(int, sys.argv[1:])).items()):
        print(f"{number:6} {what}")
