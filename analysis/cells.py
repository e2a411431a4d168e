"""Text in the cells of a CSV file that no spreadsheet runs.

A text that a spreadsheet could take for a formula gets a leading apostrophe, as does one that
begins with an apostrophe; reading takes one apostrophe off.
"""

from __future__ import annotations

import re
from typing import Final

# What spreadsheets take for the beginning of a formula (the full-width forms too), after whatever
# they skip.
_FORMULA: Final = re.compile(r"[\s\0-\x20]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def escape_cell(text: str) -> str:
    """`text` as a cell that is never run as a formula."""
    return f"'{text}" if text.startswith("'") or _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """The text of a cell written by `escape_cell`."""
    return cell.removeprefix("'")
