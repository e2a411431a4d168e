"""Make `data/demo_analysis.json`, the analysis that ships with the dashboard.

Two short stories of `tiny_english.py` that the tiny GPT-2 was not trained on are run through that
model: hidden states, attentions, clusters and metrics are what `analyze` makes of them. The model
is very small and knows such stories only; it is not GPT-2 small. The grammar tells the part of
speech of every word, so that the purity of clusters can be measured. The seed was chosen for words
that mean two things in the text: bank, plant and rose.

    python examples/make_demo_analysis.py

writes the same file every time on one machine. Hidden states and attention weights are rounded, so
that the file stays small.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tiny_english
from transformers import AutoTokenizer

from concept_fragmentation.analysis import TINY, analyze, saving_arguments

DATA = Path(__file__).resolve().parent.parent / "data"
STORIES_SEED = 4584
NUM_STORIES = 2
NUM_CLUSTERS = 7
STATE_DIGITS = 3
WEIGHT_DIGITS = 4
# When and where it was made says nothing of it, and would make every file another one.
LEFT_OUT_OF_PROVENANCE = {
    "started", "seconds_by_stage", "duration_seconds", "platform", "num_cpus", "num_threads",
    "python", "libraries",
}  # fmt: skip


def demo_words() -> list[tiny_english.Word]:
    """Return the words of the text with the space before each, and their parts of speech."""
    words = []
    for story in islice(tiny_english.stories(STORIES_SEED), NUM_STORIES):
        (first, tag), *rest = tiny_english.spelled(story)
        words += [(f" {first}" if words else first, tag), *rest]
    return words


def make_demo() -> dict[str, Any]:
    """Return the demo as a loaded structure: its metadata and the analysis."""
    words = demo_words()
    tokenizer = AutoTokenizer.from_pretrained(DATA / "tiny_gpt2")
    # The tokenizer cuts at spaces and marks first, so that no token is of two words.
    tags = [tag for word, tag in words for _ in tokenizer(word)["input_ids"]]
    analysis = analyze(
        "".join(word for word, _ in words),
        TINY,
        n_clusters=NUM_CLUSTERS,
        attention="full",
        categories={"part_of_speech": tags},
    )
    arguments = saving_arguments(analysis)
    kept = analysis["provenance"]
    analysis["provenance"] = {k: v for k, v in kept.items() if k not in LEFT_OUT_OF_PROVENANCE}
    analysis["hidden_states"] = {
        layer: _rounded(state, STATE_DIGITS) for layer, state in analysis["hidden_states"].items()
    }
    for of_layer in analysis["attention_data"].values():
        of_layer["attention_probs"] = _rounded(of_layer["attention_probs"], WEIGHT_DIGITS)
    return {
        "metadata": {
            "name": "Demo: two stories read by a very small model, not GPT-2 small",
            "model_name": arguments["model_name"],
            "input_text": arguments["input_text"],
            "tags": ["demo"],
            "notes": "Made by examples/make_demo_analysis.py from the model in data/tiny_gpt2. "
            "It is not GPT-2 small.",
        },
        "analysis_data": analysis,
    }


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    """Return nested lists; zeros, which half of the attention weights are, as short as they go."""
    as_float = np.round(values.astype(np.float64), digits)
    return [_short(row) for row in as_float.tolist()]


def _short(values: Any) -> Any:
    if isinstance(values, list):
        return [_short(value) for value in values]
    return 0 if values == 0 else values


if __name__ == "__main__":
    target = DATA / "demo_analysis.json"
    text = json.dumps(make_demo(), ensure_ascii=False, separators=(",", ":"))
    target.write_text(text + "\n", encoding="utf-8")
    print(f"{target}: {len(text) / 1000:.0f} kB")
