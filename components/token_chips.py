"""Lists of tokens, written by the browser: hundreds of components would hold the page for seconds.

See `assets/tokens.js`, which makes text of what it is given and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from dash import html

from concept_fragmentation.components.parts import aria, data
from concept_fragmentation.components.text import visible

MOST_CHARACTERS = 40
MOST_IN_TOOLTIP = 500


def token_chips(tokens: Iterable[tuple[int, str, int | str, str]], label: str) -> html.Div:
    """Return a list of tokens: of each its index, text, position or number, and its tooltip.

    The tooltip of a token that is cut says more of it; the CSV has all of it.
    """
    chips = [
        (index, visible(text, MOST_CHARACTERS), at, _tooltip(text, said))
        for index, text, at, said in tokens
    ]
    return html.Div(
        className="cf-tokens",
        role="toolbar",
        **aria(label=label),
        **data(tokens=json.dumps(chips)),
    )


def _tooltip(text: str, said: str) -> str:
    more = visible(text, MOST_IN_TOOLTIP)
    return said if len(more) <= MOST_CHARACTERS else f"{more} ({said})"
