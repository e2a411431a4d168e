"""Fixtures for the store's tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.persistence import GPT2AnalysisPersistence
from concept_fragmentation.persistence.examples import load_example


@pytest.fixture
def store(tmp_path: Path) -> GPT2AnalysisPersistence:
    return GPT2AnalysisPersistence(tmp_path / "store")


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[..., GPT2AnalysisPersistence]:
    """Open the test's store again, as another process would."""

    def reopen(**options: Any) -> GPT2AnalysisPersistence:
        return GPT2AnalysisPersistence(tmp_path / "store", **options)

    return reopen


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may go to, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def analysis() -> dict[str, Any]:
    """A small analysis with everything in it that an analysis can have."""
    rng = np.random.default_rng(0)
    layers = ["embedding", "layer_0", "layer_1"]
    tokens = [" the", "=1+1", "<b>x</b>", "&amp;", "\n", "\ud800", "'quoted", "naïve 🦜"]
    labels = {layer: rng.integers(0, 3, len(tokens)).tolist() for layer in layers}
    paths = [list(path) for path in zip(*labels.values(), strict=True)]
    return {
        "model_type": "gpt2",
        "layers": layers,
        "token_metadata": {
            "tokens": tokens,
            "positions": list(range(len(tokens))),
            "token_ids": [262, 1, 2, 3, 4, 5, 6, 7],
        },
        "token_paths": {
            str(i): {
                "token_text": token,
                "position": i,
                "cluster_path": paths[i],
                "path_length": None if i % 2 else i / 3,
                "cluster_changes": 1,
                "mobility_score": 0.5,
            }
            for i, token in enumerate(tokens)
        },
        "cluster_labels": labels,
        "attention_data": {
            layer: {
                "entropy": [0.5, float("nan")],
                "head_agreement": 0.25,
                "num_heads": 2,
                "attention_probs": rng.random((2, len(tokens), len(tokens)), dtype=np.float32),
            }
            for layer in layers
        },
        "cluster_metrics": {layer: {"purity": 0.75, "num_clusters": 3} for layer in layers},
        "their own": {"tuple": (1, 2.5, None), 7: "an int key", "scalar": np.float32(0.1)},
    }


@pytest.fixture(scope="session")
def real_analysis() -> dict[str, Any]:
    """10,000 GPT-2 tokens in 12 layers, without token paths."""
    data: dict[str, Any] = load_example("gpt2-small")["analysis_data"]
    return data


def same(left: Any, right: Any) -> bool:
    """Equality to the bit: types, order of keys, dtypes, shapes, NaN and the sign of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(map(repr, left)) == list(map(repr, right)) and all(
            same(a, b) for a, b in zip(left.values(), right.values(), strict=True)
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return (left.dtype, left.shape) == (right.dtype, right.shape) and (
            left.tobytes() == right.tobytes()
        )
    if isinstance(left, np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    return left == right or repr(left) == repr(right)


@pytest.fixture(name="same", scope="session")
def same_fixture() -> Callable[[Any, Any], bool]:
    return same
