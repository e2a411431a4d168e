"""Figures as pages of one file that open without a network: plotly.js is in them, once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from concept_fragmentation.components.figures.theme import GRAPH_CONFIG
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.text import visible

THEMES: Final = ("light", "dark")

# In characters of JSON; what is shorter is not worth a number.
_LARGE: Final = 200


def figure_page(figure: go.Figure, title: str, height: int, theme: str) -> str:
    """Return a figure as a page, in the theme that it was drawn in.

    `title` is text of any kind; it is shown as itself.
    """
    return render(
        "figure.html",
        {"figure": {theme: figure}},
        (theme,),
        title=" ".join(map(visible, title.split())),
        height=height,
    )


def render(
    template: str,
    figures: Mapping[str, Mapping[str, go.Figure]],
    schemes: tuple[str, ...],
    **content: Any,
) -> str:
    """Return the page that a template makes of figures and content.

    Args:
        template: one that extends offline.html; whatever it is given is escaped.
        figures: by name, then by theme; an element with `data-figure` names the one it shows.
        schemes: the themes that the page has.
        content: what the template is given.
    """
    page = _environment().get_template(template)
    parts: dict[str, int] = {}
    drawn = {
        name: {theme: _shared(figure.to_dict(), parts) for theme, figure in themes.items()}
        for name, themes in figures.items()
    }
    return page.render(
        # All are fit to stand in a script: in what Plotly writes as JSON, it escapes `<`.
        figures=Markup(to_json_plotly(drawn)),  # noqa: S704
        parts=Markup(f"[{','.join(parts)}]"),  # noqa: S704
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704
        config=GRAPH_CONFIG,
        schemes=schemes,
        light=ink("light"),
        dark=ink("dark"),
        **content,
    )


@cache
def _environment() -> Environment:
    loader = PackageLoader("concept_fragmentation.components", "templates")
    made = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters["policy"] = page_policy
    return made


def page_policy(scripts: Iterable[str]) -> str:
    """Return the policy of a page of one file: no network, and no scripts but these.

    A page that is opened as a file has no headers, so it states the policy itself.
    """
    directives = {
        "default-src": ["'none'"],
        "script-src": [f"'{_sha256(script)}'" for script in scripts],
        # Plotly writes styles into the page.
        "style-src": ["'unsafe-inline'"],
        # Images of figures are made in the browser.
        "img-src": ["data:", "blob:"],
        "font-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


@cache
def _sha256(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _shared(value: Any, parts: dict[str, int]) -> Any:
    """Put a number in the place of each large list or array, which both themes have alike.

    `parts` are those met so far, as JSON, with their numbers.
    """
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_shared(item, parts) for item in value]
    if isinstance(value, dict) and "bdata" not in value:
        return {key: _shared(item, parts) for key, item in value.items()}
    if isinstance(value, list | dict):
        text = to_json_plotly(value)
        if len(text) > _LARGE:
            return {"$part": parts.setdefault(text, len(parts))}
    return value
