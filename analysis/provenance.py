"""What an analysis was made of and with: enough to make it again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.language_models import LanguageModel
from concept_fragmentation.analysis.loaded import analysis_dict

_LIBRARIES: Final = (
    "concept-fragmentation",
    "numpy",
    "scikit-learn",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)

# What differs between two runs of the same on two machines or days, and is no result of them. The
# revision asked for is among them: one run may ask for a branch, its repetition for the commit that
# it was, which `provenance.model.revision` has of both.
SURROUNDINGS: Final = frozenset(
    f"provenance.{key}"
    for key in (
        "libraries",
        "python",
        "platform",
        "num_cpus",
        "num_threads",
        "started",
        "seconds_by_stage",
        "duration_seconds",
        "model.device",
        "options.device",
        "options.revision",
    )
)


def describe_model(language_model: LanguageModel) -> dict[str, Any]:
    """What the model is: its name, revision and kind, and the checksum of its weights."""
    return {
        "name": language_model.name,
        "revision": language_model.revision,
        "was_loaded": language_model.was_loaded,
        "architecture": type(language_model.model).__name__,
        "num_parameters": int(language_model.model.num_parameters()),
        "num_blocks": language_model.num_blocks,
        "context_length": language_model.context_length,
        "weights_blake3": language_model.checksum(),
        "tokenizer": type(language_model.tokenizer).__name__,
        "device": str(language_model.model.device),
    }


def describe_surroundings(started: datetime, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Libraries, machine and time of a run.

    Args:
        started: when, with its time zone.
        seconds: how long each stage took.
    """
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a folder, not installed
            continue
    return {
        "libraries": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "num_cpus": os.cpu_count(),
        "num_threads": int(need("torch").get_num_threads()),
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in seconds.items()},
        "duration_seconds": round(sum(seconds.values()), 3),
    }


def saving_arguments(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """What to save an analysis with that `analyze` made.

    Returns:
        {"model_name", "input_text", "metadata"}: arguments of
        `GPT2AnalysisPersistence.save_analysis_results`. The metadata hold the provenance but for
        the input, which the analysis itself keeps.
    """
    analysis = analysis_dict(analysis)
    provenance = analysis["provenance"]
    given = provenance["input"]["text"]
    if isinstance(given, str):
        text = given
    elif all(isinstance(item, str) for item in given):
        text = "\n".join(given)
    else:
        text = "".join(analysis["token_metadata"]["tokens"])
    return {
        "model_name": analysis["model_type"],
        "input_text": text,
        "metadata": {
            "provenance": {key: value for key, value in provenance.items() if key != "input"}
        },
    }
