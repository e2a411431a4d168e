"""From token ids to clusters and metrics: beside TransformerLens, and what a corpus takes.

A GPT-2 of the size of GPT-2 small with random weights is written to a folder that is thrown away.
Each side reads it in a fresh process of one environment, which `make bench` makes from the extra
`bench`. Sides take turns; the quickest run of each counts, and its ratio to ours is given. Corpora
take a quarter of an hour and more, so that they are a suite of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, Row

TOKENS = 1_024
CORPUS_TOKENS = 100_000
ROUNDS = 3
LENS_PYTHON = ROOT / ".bench" / "bin" / "python"
OTHERS = {
    "transformer_lens": "run_with_cache of everything",
    "transformer_lens_filtered": "run_with_cache of what is needed",
}
GIB = 1024**3


def run() -> list[Row]:
    """1,024 tokens, by each side in turn."""
    if not LENS_PYTHON.exists():
        return [("TransformerLens", "not installed; `make bench` installs it")]
    with model() as folder:
        runs = [
            {side: measure(LENS_PYTHON, side, TOKENS, folder) for side in ("ours", *OTHERS)}
            for _ in range(ROUNDS)
        ]
    best = {
        side: {key: min(of[side][key] for of in runs) for key in ("seconds", "peak_bytes")}
        for side in ("ours", *OTHERS)
    }
    check_same(runs[0])
    rows = [(f"{TOKENS:,} tokens, analyze", shown(best["ours"]))]
    for side, what in OTHERS.items():
        rows.append((f"{TOKENS:,} tokens, {what}", shown(best[side])))
        ratios = {key: best[side][key] / best["ours"][key] for key in best[side]}
        rows.append(
            (
                "  as a multiple of analyze",
                f"{ratios['seconds']:.2f} x the time, {ratios['peak_bytes']:.2f} x the memory",
            )
        )
    return rows


def run_corpus() -> list[Row]:
    """100,000 tokens in texts of 1,000."""
    with model() as folder:
        found = measure(Path(sys.executable), "corpus", CORPUS_TOKENS, folder)
    return [(f"{CORPUS_TOKENS:,} tokens, analyze", shown(found))]


@contextmanager
def model() -> Iterator[Path]:
    """A folder with a random GPT-2 small and token ids."""
    import torch  # noqa: PLC0415 - the other suites need none of this
    from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path.cwd()))
    try:
        torch.manual_seed(0)
        GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
        for file in (ROOT / "data" / "tiny_gpt2").glob("tokenizer*"):
            shutil.copy(file, folder)
        # As skewed as words are.
        ids = np.random.default_rng(0).zipf(1.3, CORPUS_TOKENS).clip(max=50_000)
        np.save(folder / "ids.npy", ids)
        yield folder
    finally:
        shutil.rmtree(folder)


def measure(python: Path, side: str, tokens: int, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", "benchmarks.language_model_side", side, str(tokens), folder],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_same(sides: dict[str, dict[str, Any]]) -> None:
    """Ratios of two computations say nothing if they do not compute the same."""
    for side in OTHERS:
        for key in ("fragmentation", "entropy"):
            assert np.allclose(sides[side][key], sides["ours"][key], rtol=1e-3), (side, key)


def shown(found: dict[str, Any]) -> str:
    return f"{found['seconds']:,.1f} s, peak {found['peak_bytes'] / GIB:.2f} GiB"
