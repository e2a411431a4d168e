"""Colours: what means the same has the same colour in every figure, in light and in dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Ink:
    """The colours that mean no cluster: text, lines, highlights, and data that has no clusters."""

    surface: str
    text: str
    soft: str
    grid: str
    muted: str
    accent: str
    series: str
    scale: tuple[str, ...]


_INKS: Final = {
    "light": Ink(
        surface="#ffffff",
        text="#1c2430",
        soft="#5a6575",
        grid="#e6e9ee",
        muted="#c3c9d2",
        accent="#c2185b",
        series="#44556b",
        scale=("#f7fafd", "#cfe0f1", "#93bfe0", "#4f94c6", "#1f64a0", "#0b3a6b"),
    ),
    "dark": Ink(
        surface="#1a1e25",
        text="#e4e8ee",
        soft="#9aa5b4",
        grid="#2b313b",
        muted="#4a5260",
        accent="#ff6fa5",
        series="#a5b4c8",
        scale=("#20262f", "#1f3f61", "#23649a", "#3f8fca", "#86bfe8", "#e0f0fc"),
    ),
}

# Found by simulated annealing: no two of the first ten are nearer than 8.6 in 100 x OKLab to an eye
# that lacks red, green or blue cones (Machado et al. 2009), nor than 14.6 to any other. Thirteen,
# as many as GPT-2's top 10,000 tokens need, stay 5.7 apart. A place has one hue in both themes.
_CLUSTERS: Final = {
    "light": (
        "#467cb0",
        "#dcad1b",
        "#34ae8c",
        "#d7724a",
        "#6bc8eb",
        "#b389d2",
        "#57387d",
        "#676e0f",
        "#9d506e",
        "#7e3400",
        "#bcbf9e",
        "#2956af",
        "#175155",
        "#86728e",
        "#ed8297",
        "#758f72",
    ),
    "dark": (
        "#5b92c9",
        "#fcce53",
        "#41caa4",
        "#f99771",
        "#96e1fe",
        "#d097f9",
        "#865bbd",
        "#909a16",
        "#c37290",
        "#b95109",
        "#d4d8b4",
        "#a8bbdd",
        "#78abaf",
        "#9c71ab",
        "#fca7b6",
        "#6f9969",
    ),
}

_DIVERGING: Final = {
    "light": ("#7a3a00", "#c96f12", "#f2b877", "#f7f8fa", "#93bfe0", "#3a83bb", "#0b3a6b"),
    "dark": ("#ffd9a8", "#e08a2e", "#7a4a17", "#20262f", "#1f4f7d", "#3f8fca", "#c8e4fb"),
}


def ink(theme: str) -> Ink:
    """Return the colours of text, lines and scales; anything but "dark" is light."""
    return _INKS["dark" if theme == "dark" else "light"]


def cluster_colour(aligned_id: int, theme: str = "light") -> str:
    """Return a cluster's colour, by its aligned id; ids beyond sixteen begin again."""
    colours = cluster_colours(theme)
    return colours[aligned_id % len(colours)]


def cluster_colours(theme: str = "light") -> tuple[str, ...]:
    """Return the colours of clusters; that of aligned id i is at i modulo their number."""
    return _CLUSTERS["dark" if theme == "dark" else "light"]


def path_colour(rank: int, theme: str = "light") -> str:
    """Return the colour of the path that is the `rank`-th most frequent, from 0."""
    return cluster_colour(rank, theme)


def diverging_scale(theme: str = "light") -> list[list[float | str]]:
    """Return a scale from orange (least) through the surface to blue (most).

    Of the two hues that differ most to eyes that lack red or green cones; both ends are as far from
    the surface in lightness, so that in grey the sign is lost but not the strength.
    """
    colours = _DIVERGING["dark" if theme == "dark" else "light"]
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def change_colours(theme: str = "light") -> tuple[str, str, str]:
    """Return the colours of what was lost, of what was gained, and of what stayed."""
    colours = _DIVERGING["dark" if theme == "dark" else "light"]
    return colours[1], colours[5], ink(theme).muted


def faded(colour: str, opacity: float) -> str:
    """Return `#rrggbb` as `#rrggbbaa`, which Plotly checks twice as fast as `rgba(...)`."""
    return f"{colour}{round(255 * opacity):02x}"


def text_on(colour: str) -> str:
    """Return black or white, whichever is read better on `#rrggbb` (relative luminance, WCAG 2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Where (luminance + 0.05) / 0.05 = 1.05 / (luminance + 0.05).
    return "#000000" if luminance > 0.179 else "#ffffff"
