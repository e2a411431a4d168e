"""Colours: what means the same has the same colour in every figure, in light and in dark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

# Of clusters: enough for two neighbouring layers of 64 clusters each, whatever flows between them.
MOST_COLOURS: Final = 128
# Of these, so many first ones are told apart by every eye.
DISTINCT_COLOURS: Final = 16


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

# Those after the distinct ones, as "#rrggbb" run together: each is as far as can be from all
# before it (greedily, to the same eyes), and not near the colours of routes. A place has one hue in
# both themes.
_MORE: Final = {
    "light": (
        "512a372e326079c773a28218555548d3afcf40380e67b7af61095191645d63a35eb878a6"
        "8c47966169b6735a003e521fcb9e43b54c3dbc907d6f83c3b45b797d588395c9b85d4149"
        "96b2e50f4d30862b658bb474878c40a89ae02e40959e84b7d488251333758d795298679f"
        "473b526d1e47057d38d1bd5ba6b99092292ed09cd7c6767d6f373c814672ac728bda9cb6"
        "4f47931c98a032384340be9e6785647378070a529f905459756dcb5957894932245e6228"
        "54634ccaae63d08acab88ab357c5c5284c0b71a89d683070856eae7355a2c46664384723"
        "836686aec68f306964c8878b7d3a59cabd812a5800671a63c2b4de54a1923c7a99477629"
        "752a59823a3ab7a75a857f30985593cc895f828bcdd493885e6e485740618c966dbb852e"
        "8d7bb06f4f7d9e8ddf7a4f5ce4a339ad49794165ac8a74d27466a77b72495d4583c4ae86"
        "29406b5f2f8400afc480a96a"
    ),
    "dark": (
        "8a606d636a9a93de8dc5a64c858478e6c3e2776f4885d0c99d4c89bb8d8585c380d899c6"
        "b875c28992e0a18842708553e4b965e07767d8ae9b91a6e5db829ea983aeaaddcc90737b"
        "aec9fa4d8364ba6096a6ce90aaaf67c1b5f95e76cbbea4d7f0a751496cb0b39f79be8dc4"
        "7b7087a7577c4da965e4d176becfa8c75f5ee6b4ede6989da56a6eb0749fcf95adf0b4cd"
        "7d79c554bbc3686e7a67d8b88dab8a9ba1474885d1bc7f839994f18685b880685a8b9059"
        "819079e0c67feaa5e3d5a7d076dcdb5c824790c5ba9c64a4aa94d49d82cee88b886c7c57"
        "ab8eafc2daa4629691e5a5a9b06b89ddd1975e8b43a0559ad5c8f078c1b268a2c173a259"
        "ab5f8cb66c69d1c178aaa55cc17fbbe9a77fa2abededaea3899974897294acb68edba658"
        "b09ed29d7dabbaabfba97d89fabb5cd775a26c91d8ac98f59b8fd0a39b728c76b4dac59e"
        "5d75a29264b94bcce09ec688"
    ),
}

# Of routes: paths, single tokens and kinds of them. No cluster has one of these, so that a route in
# colour is never taken for a cluster; found by annealing too, no two nearer than 8 to any eye.
_ROUTES: Final = {
    "light": (
        "#0091c8",
        "#a5148f",
        "#9ea81c",
        "#ac6735",
        "#000094",
        "#651911",
        "#584fbf",
        "#430e5b",
    ),
    "dark": (
        "#4bb5eb",
        "#d655bc",
        "#bac44d",
        "#d38e60",
        "#2759d6",
        "#a25549",
        "#827fee",
        "#7e4f99",
    ),
}

_DIVERGING: Final = {
    "light": ("#7a3a00", "#c96f12", "#f2b877", "#f7f8fa", "#93bfe0", "#3a83bb", "#0b3a6b"),
    "dark": ("#ffd9a8", "#e08a2e", "#7a4a17", "#20262f", "#1f4f7d", "#3f8fca", "#c8e4fb"),
}


def ink(theme: str) -> Ink:
    """Return the colours of text, lines and scales; anything but "dark" is light."""
    return _INKS["dark" if theme == "dark" else "light"]


def cluster_colour(place: int, theme: str = "light") -> str:
    """Return the colour at a place among those of clusters; places beyond the last begin again.

    The place of a cluster is in `cluster_places` (components/figures/cluster_colours.py).
    """
    colours = cluster_colours(theme)
    return colours[place % len(colours)]


@cache
def cluster_colours(theme: str = "light") -> tuple[str, ...]:
    """Return the colours of clusters, `MOST_COLOURS` of them, the most different ones first."""
    name = "dark" if theme == "dark" else "light"
    more = _MORE[name]
    return (*_CLUSTERS[name], *(f"#{more[i : i + 6]}" for i in range(0, len(more), 6)))


def path_colour(rank: int, theme: str = "light") -> str:
    """Return the colour of a route, such as the `rank`-th most frequent path, from 0.

    No cluster has it. There are eight; ranks beyond begin again.
    """
    colours = _ROUTES["dark" if theme == "dark" else "light"]
    return colours[rank % len(colours)]


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
