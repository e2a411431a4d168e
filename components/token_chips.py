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


def token_chips(tokens: Iterable[tuple[str, int, str]], label: str) -> html.Div:
    """Return a list of tokens, each given by its text, its position, and what its tooltip says."""
    chips = [
        (visible(text, limit=MOST_CHARACTERS), position, said) for text, position, said in tokens
    ]
    return html.Div(
        className="cf-tokens",
        tabIndex=0,
        role="list",
        **aria(label=label),
        **data(tokens=json.dumps(chips)),
    )
