"""The first minute: what is worth clicking, said beside it, on the demo alone (assets/hints.js)."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from dash import html

from concept_fragmentation.components import ids
from concept_fragmentation.components.parts import aria, data


class Hint(NamedTuple):
    """What to try, and the element beside which it is said; it is done once the view has `sign`.

    `sign` is the key of an address that trying it sets (see `View`).
    """

    target: str
    sentence: str
    sign: str


HINTS: Final = (
    Hint(ids.SANKEY, "Click a bar or a band: the tokens in it are listed below.", "s"),
    Hint(ids.FIND_TOKENS, "Find a token, and its path stands out in every figure.", "t"),
    Hint(ids.LAYER_WINDOW, "Drag an end to look at fewer layers: every figure follows.", "w"),
    Hint(
        ids.SAVE_NAME,
        "Give it a name and save it: it keeps its versions and views, and has a link to share.",
        "a",
    ),
)


# What the browser remembers once every hint is dismissed: the name and the value of its storage.
STORAGE: Final = "concept-fragmentation-hints"
ALL_DISMISSED: Final = json.dumps([hint.target for hint in HINTS])


def hints() -> html.Div:
    """Return every hint, hidden until its turn comes."""
    return html.Div(
        [_bubble(number, hint) for number, hint in enumerate(HINTS)],
        id=ids.HINTS,
        role="region",
        **aria(label="Hints"),
    )


def _bubble(number: int, hint: Hint) -> html.Div:
    return html.Div(
        [
            html.P(hint.sentence),
            html.Div(
                [
                    html.Span(f"{number + 1} of {len(HINTS)}", className="cf-hint-number"),
                    _button("No more hints", "all"),
                    _button("Got it", "this"),
                ],
                className="cf-hint-actions",
            ),
        ],
        className="cf-hint-bubble",
        role="note",
        hidden=True,
        **data(target=hint.target, sign=hint.sign),
    )


def _button(text: str, dismissed: str) -> html.Button:
    return html.Button(text, type="button", className="cf-hint-button", **data(dismissed=dismissed))
