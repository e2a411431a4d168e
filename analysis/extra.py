"""The libraries of the extra `gpt2`, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from concept_fragmentation.analysis.errors import MissingExtraError

INSTALL_COMMAND: Final = "pip install 'concept-fragmentation[gpt2]'"


def need(module: str) -> Any:
    """Return a module of the extra.

    Raises:
        MissingExtraError: it is not installed; the sentence has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"Running a language model needs {module.partition('.')[0]}, which can't be imported "
            f"({error}); install it with: {INSTALL_COMMAND}"
        ) from error
