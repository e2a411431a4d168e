"""The libraries of the extras, imported when they are first needed."""

from __future__ import annotations

import shlex
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from concept_fragmentation.analysis.errors import MissingExtraError

Extra = Literal["gpt2", "umap"]

# What each extra is for, as the beginning of a sentence.
_PURPOSES: Final[dict[Extra, str]] = {"gpt2": "Running a language model", "umap": "UMAP"}
_MODULES: Final[dict[Extra, tuple[str, ...]]] = {
    "gpt2": ("torch", "transformers", "sklearn"),
    "umap": ("umap",),
}
# What installs an extra in a clone, by its Makefile.
_MAKE: Final[dict[Extra, str]] = {"gpt2": "make run", "umap": "make run EXTRAS=gpt2,umap"}


def missing_modules(extra: Extra = "gpt2") -> list[str]:
    """Return the modules of an extra that are not installed, without importing any."""
    return [module for module in _MODULES[extra] if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        # A finder may refuse a module instead of passing it on.
        return False


def install_command(extra: Extra = "gpt2", *, with_interpreter: bool = False) -> str:
    """Return the command that adds an extra to the installation that runs now.

    That is a `make` command where Python runs in the environment that the Makefile of a clone
    makes, else a `pip` command, which names the Python that runs now if wanted.
    """
    made_by_make = Path(__file__).resolve().parents[1] / ".venv"
    if Path(sys.prefix).resolve() == made_by_make.resolve():
        return _MAKE[extra]
    pip = f"{shlex.quote(sys.executable)} -m pip" if with_interpreter else "pip"
    return f"{pip} install 'concept-fragmentation[{extra}]'"


def need(module: str, extra: Extra = "gpt2") -> Any:
    """Return a module of an extra.

    Raises:
        MissingExtraError: it is not installed; the sentence has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{_PURPOSES[extra]} needs {module.partition('.')[0]}, which can't be imported "
            f"({error}); install it with: {install_command(extra)}"
        ) from error
