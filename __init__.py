"""Watch GPT-2's tokens travel through the clusters of each layer, and keep what you find.

The modules `analysis`, `persistence` and `figures` are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concept_fragmentation import analysis, figures, persistence

    __version__: str

__all__ = ["__version__", "analysis", "figures", "persistence"]


def __getattr__(name: str) -> Any:
    """Return a public module or the version of the installed package, found when asked for."""
    if name == "__version__":
        # Reading what is installed takes a few milliseconds, which a command needs not wait for.
        metadata = importlib.import_module("importlib.metadata")
        return metadata.version("concept-fragmentation")
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return [*(name for name in globals() if name.startswith("__")), *__all__]
