"""The libraries of the extras, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Literal

from concept_fragmentation.analysis.errors import MissingExtraError

# What each extra is for, as the beginning of a sentence.
_PURPOSES: Final = {"gpt2": "Running a language model", "umap": "UMAP"}


def need(module: str, extra: Literal["gpt2", "umap"] = "gpt2") -> Any:
    """Return a module of an extra.

    Raises:
        MissingExtraError: it is not installed; the sentence has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{_PURPOSES[extra]} needs {module.partition('.')[0]}, which can't be imported "
            f"({error}); install it with: pip install 'concept-fragmentation[{extra}]'"
        ) from error
