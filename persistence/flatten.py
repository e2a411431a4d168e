"""Nested metrics as the columns of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

_NUMBER: Final = bool | int | float | np.generic
# Longer lists are no table to read.
_LISTED_NUMBERS: Final = 64


def scalars(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The single numbers and words in a nested dict, and short lists of them by position."""
    if not isinstance(values, dict):
        yield prefix or "value", values
        return
    for name, value in values.items():
        title = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, dict):
            yield from scalars(value, title)
        elif isinstance(value, _NUMBER | str):
            yield title, value
        elif isinstance(value, list | tuple | np.ndarray) and len(value) <= _LISTED_NUMBERS:
            numbers = (item for item in enumerate(value) if isinstance(item[1], _NUMBER))
            yield from ((f"{title}.{i}", number) for i, number in numbers)
