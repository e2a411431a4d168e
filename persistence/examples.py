"""The analyses that ship with the package, read-only.

    >>> from concept_fragmentation.persistence.examples import load_example
    >>> load_example("gpt2-small")["metadata"]["model_name"]
    'gpt2'

They are files of the installed package, not entries of a store: nothing can change or delete them.
`data/README.md` says where each comes from.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from concept_fragmentation.persistence.errors import AnalysisNotFoundError


@dataclass(frozen=True)
class Example:
    """An analysis that ships.

    Attributes:
        key: its identifier in addresses and in `load_example`.
        title: its name on the page.
        file: its file below `data/`: JSON, compressed by gzip where the name ends in ".gz".
    """

    key: str
    title: str
    file: str


GPT2_SMALL: Final = Example("gpt2-small", "GPT-2 small, 10,000 tokens", "gpt2_small_k10.json.gz")
TWO_STORIES: Final = Example("two-stories", "Two stories, tiny model", "demo_analysis.json")
TWO_BANKS: Final = Example(
    "two-banks", "Two banks: one word in two senses, SmolLM2-135M", "two_banks.json.gz"
)
# In the order in which the page lists them.
EXAMPLES: Final[tuple[Example, ...]] = (GPT2_SMALL, TWO_BANKS, TWO_STORIES)


def load_example(key: str) -> dict[str, Any]:
    """Return an example as a loaded structure: `{"metadata": {...}, "analysis_data": {...}}`.

    Each call reads the file again, so the caller may change the result.

    Raises AnalysisNotFoundError for a key that no example has.
    """
    for example in EXAMPLES:
        if example.key == key:
            break
    else:
        known = ", ".join(example.key for example in EXAMPLES)
        raise AnalysisNotFoundError(f"There is no example {key!r}; choose one of {known}.")
    content = resources.files("concept_fragmentation").joinpath("data", example.file).read_bytes()
    if example.file.endswith(".gz"):
        content = gzip.decompress(content)
    loaded: dict[str, Any] = json.loads(content)
    return loaded
