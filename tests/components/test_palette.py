from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest
from plotly.colors import sample_colorscale

from concept_fragmentation.components.figures.cells import cell_numbers
from concept_fragmentation.components.figures.theme import colour_scale
from concept_fragmentation.components.palette import (
    MOST_COLOURS,
    cluster_colour,
    cluster_colours,
    faded,
    ink,
    path_colour,
    text_on,
)

Floats = npt.NDArray[np.float64]
THEMES = ("light", "dark")

# What an eye without one kind of cones sees, in linear RGB (Machado, Oliveira & Fernandes 2009).
EYES = {
    "any": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour: str) -> Floats:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Floats) -> Floats:
    """Ottosson (2020): Euclidean distances here are about those that are seen."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(cones @ np.clip(rgb, 0, 1))


def nearest(colours: list[str], eye: str) -> float:
    seen = [oklab(EYES[eye] @ linear(colour)) for colour in colours]
    return min(100 * float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def contrast(a: str, b: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted((float(linear(a) @ weights), float(linear(b) @ weights)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("eye", "least"), [(eye, 14.5 if eye == "any" else 8.5) for eye in EYES])
def test_ten_clusters_are_told_apart_by_every_eye(theme: str, eye: str, least: float) -> None:
    assert nearest([cluster_colour(i, theme) for i in range(10)], eye) >= least


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", EYES)
def test_thirteen_clusters_are_told_apart_too(theme: str, eye: str) -> None:
    assert nearest([cluster_colour(i, theme) for i in range(13)], eye) >= 5.7


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", EYES)
def test_routes_are_told_apart_by_every_eye_and_from_the_accent(theme: str, eye: str) -> None:
    routes = [path_colour(i, theme) for i in range(8)]
    assert nearest(routes, eye) >= (13 if eye == "any" else 8)
    assert min(nearest([ink(theme).accent, route], "any") for route in routes) >= 8


@pytest.mark.parametrize("theme", THEMES)
def test_no_two_colours_of_clusters_or_routes_are_the_same(theme: str) -> None:
    colours = [*cluster_colours(theme), *(path_colour(i, theme) for i in range(8))]
    assert nearest(colours, "any") >= 2
    assert nearest(list(cluster_colours(theme)[:32]), "any") >= 4


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_can_tell_colours_from_paper_and_text_from_both(theme: str) -> None:
    paper = ink(theme)
    for i in range(MOST_COLOURS):
        assert contrast(cluster_colour(i, theme), paper.surface) >= 1.85
        assert contrast(text_on(cluster_colour(i, theme)), cluster_colour(i, theme)) >= 4.5
    assert contrast(paper.text, paper.surface) >= 7
    assert contrast(paper.soft, paper.surface) >= 4.5
    assert contrast(paper.accent, paper.surface) >= 4.5
    assert contrast(paper.series, paper.surface) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_a_scale_of_shares_goes_one_way_in_greys(theme: str) -> None:
    lightness = [float(oklab(linear(colour))[0]) for colour in ink(theme).scale]
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()


def test_every_id_has_a_colour_and_keeps_it() -> None:
    for theme in THEMES:
        assert re.fullmatch("#[0-9a-f]{6}", cluster_colour(10**9, theme))
        assert cluster_colour(3, theme) == cluster_colour(3, theme) != path_colour(4, theme)


def test_a_faded_colour_is_the_same_colour() -> None:
    assert faded("#0a1b2c", 0.5) == "#0a1b2c80"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_are_read_on_every_cell(theme: str) -> None:
    values = np.linspace(0, 1, 100).reshape(10, 10)
    (numbers,) = cell_numbers(values, theme)
    colours = sample_colorscale(colour_scale(theme), values.ravel().tolist(), colortype="tuple")
    for text, behind in zip(numbers["textfont"]["color"], colours, strict=True):
        assert contrast(text, "#" + "".join(f"{round(255 * part):02x}" for part in behind)) >= 4.5


def test_more_numbers_than_can_be_read_are_not_written() -> None:
    assert cell_numbers(np.zeros((20, 20)), "light") == []
    assert cell_numbers(np.full((1, 2), np.nan), "light")[0]["text"] == []
