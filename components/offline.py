"""Figures as pages of one file that open without a network: plotly.js is in them, once."""

from __future__ import annotations

from collections.abc import Mapping
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
    return page.render(
        # Both are fit to stand in a script: the one is Plotly's own, of the other it escapes `<`.
        figures=Markup(to_json_plotly(_plain(figures))),  # noqa: S704
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
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _plain(figures: Mapping[str, Mapping[str, go.Figure]]) -> dict[str, Any]:
    return {
        name: {theme: figure.to_dict() for theme, figure in themes.items()}
        for name, themes in figures.items()
    }
