"""What an analysis was made of and with: enough to make it again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.extraction import layer_names
from concept_fragmentation.analysis.language_models import LanguageModel, tokenizer_checksum
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
    """Say what the model is: its name, revision and kind, and the checksums of what it reads by."""
    module, layers = language_model.decoder.module, language_model.layers
    described: dict[str, Any] = {
        "name": language_model.name,
        "revision": language_model.revision,
        "was_loaded": language_model.was_loaded,
        "architecture": type(module).__name__,
        "num_parameters": int(module.num_parameters()),
        "num_blocks": language_model.num_blocks,
        "context_length": language_model.context_length,
        "weights_blake3": language_model.weights_blake3,
        "configuration_blake3": language_model.configuration_blake3,
        "dtype": str(module.dtype).removeprefix("torch."),
        "attention_implementation": str(module.config._attn_implementation),
        "tokenizer": type(language_model.tokenizer).__name__,
        "tokenizer_blake3": tokenizer_checksum(language_model.tokenizer),
        "device": str(module.device),
        # Nothing of a model that has none, or where the last block can't be told from what is
        # behind it.
        "read_before": _name_of(module, language_model.decoder.final),
    }
    if layers.heads and len(layers.heads) < layers.num_blocks:
        names = layer_names(layers.num_blocks)
        described["blocks_without_attention"] = [
            names[i] for i in range(1, len(names)) if i not in layers.heads
        ]
    return described


def _name_of(module: Any, part: Any) -> str | None:
    return next((name for name, found in module.named_modules() if found is part), None)


# What an analysis that is made again must have in common with the first, in words.
_DECISIVE: Final = {
    "weights_blake3": "its weights",
    "configuration_blake3": "its configuration",
    "tokenizer_blake3": "its tokenizer",
    "dtype": "the type of its numbers",
    "attention_implementation": "its implementation of attention",
}


def model_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what a model differs from the one that an analysis was made with.

    Args:
        then: `provenance.model` of the analysis; what earlier versions did not keep is not
            compared.
        now: what `describe_model` says.

    Returns:
        One phrase for each difference; none if there is none that decides over the results.
    """
    found = []
    for key, words in _DECISIVE.items():
        if then.get(key) not in (None, now[key]):
            checksum = key.endswith("_blake3")
            told = "their checksums differ" if checksum else f"{then[key]} then, {now[key]} now"
            found.append(f"{words} ({told})")
    return found


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

    Raises:
        InvalidDataError: it has no provenance, so `analyze` did not make it.
    """
    analysis = analysis_dict(analysis)
    provenance = analysis.get("provenance") if isinstance(analysis, Mapping) else None
    if not isinstance(provenance, Mapping) or "input" not in provenance:
        raise InvalidDataError(
            [
                "provenance: not there; analyze makes it. Save another analysis with the name of "
                "its model and its text"
            ]
        )
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
