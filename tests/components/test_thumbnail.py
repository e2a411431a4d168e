"""Small pictures of flows: what they show, and that nothing a user wrote is in them."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from concept_fragmentation.analysis import Analysis, analysis_from_labels
from concept_fragmentation.components.palette import cluster_colour, ink
from concept_fragmentation.components.thumbnail import HEIGHT, WIDTH, thumbnail, thumbnail_address
from concept_fragmentation.components.view import View

SVG = "{http://www.w3.org/2000/svg}"


def analysis(labels: Any, tokens: list[str] | None = None) -> Analysis:
    labels = np.asarray(labels)
    return Analysis.from_dict(analysis_from_labels(tokens or ["a"] * len(labels), labels))


def paths(picture: str) -> list[ET.Element]:
    root = ET.fromstring(picture)  # noqa: S314 - what is tested made it
    assert {element.tag for element in root} <= {f"{SVG}style", f"{SVG}path"}
    return root.findall(f"{SVG}path")


def bands(picture: str) -> dict[str, int]:
    """How many bands there are of each colour."""
    return {
        str(path.get("class")): str(path.get("d")).count("M")
        for path in paths(picture)
        if path.get("fill-opacity")
    }


def bars(picture: str) -> dict[str, list[float]]:
    """The heights of the bars of each colour."""
    return {
        str(path.get("class")): [float(h) for h in re.findall(r"v([\d.]+)", str(path.get("d")))]
        for path in paths(picture)
        if str(path.get("class")).startswith("c") and not path.get("fill-opacity")
    }


def test_bars_are_as_high_as_clusters_are_large_and_bands_lead_where_tokens_go() -> None:
    picture = thumbnail(analysis([[0, 0]] * 6 + [[1, 0]] * 2 + [[1, 1]] * 4), View())
    assert bands(picture) == {"c0": 1, "c1": 2}
    heights = bars(picture)
    assert heights["c0"][0] == pytest.approx(heights["c1"][0], abs=1)
    assert heights["c0"][1] == pytest.approx(2 * heights["c1"][1], abs=1)
    # Nothing stands outside the picture.
    numbers = [
        float(n) for n in re.findall(r"[\d.]+", " ".join(p.get("d", "") for p in paths(picture)))
    ]
    assert max(numbers) <= 4 * WIDTH
    assert HEIGHT < WIDTH


def test_colours_are_those_of_the_page_in_light_and_in_dark() -> None:
    picture = thumbnail(analysis([[0, 1], [1, 0]]), View())
    light, dark = picture.split("@media (prefers-color-scheme:dark)")
    assert f".c1{{fill:{cluster_colour(1, 'light')}}}" in light
    assert f".c1{{fill:{cluster_colour(1, 'dark')}}}" in dark
    # Aligned over the layers: the clusters have changed their numbers only.
    assert bands(picture) == {"c0": 1, "c1": 1}


def test_the_window_and_the_highlights_of_a_view_are_drawn() -> None:
    given = analysis([[0, 0, 1], [0, 1, 1], [1, 1, -1]])
    whole, part = thumbnail(given, View()), thumbnail(given, View(first=0, last=1))
    assert sum(bands(whole).values()) > sum(bands(part).values())
    routes = [
        path
        for path in paths(thumbnail(given, View(first=0, last=1, tokens=(0, 2), paths=((0, 1),))))
        if path.get("class") == "route"
    ]
    assert len(routes) == 3
    assert ink("light").accent in whole
    # A token without a cluster in the last layer has no line there.
    gap = thumbnail(given, View(tokens=(2, 999)))
    assert gap.count('class="route"') == 1


@pytest.mark.parametrize(
    "labels",
    [np.empty((3, 0), dtype=int), np.full((3, 2), -1), np.empty((0, 2), dtype=int)],
    ids=["no labels", "only padding", "no tokens"],
)
def test_where_there_is_no_flow_there_is_a_line(labels: Any) -> None:
    layers = [f"l{i}" for i in range(labels.shape[1])]
    data = {
        "model_type": "x",
        "layers": layers or ["l"],
        "token_metadata": {"tokens": ["a"] * len(labels)},
        "cluster_labels": {layer: labels[:, i].tolist() for i, layer in enumerate(layers)},
    }
    (line,) = paths(thumbnail(Analysis.from_dict(data), View()))
    assert line.get("class") == "none"


def test_one_layer_and_a_window_that_is_not_there_are_drawn_too() -> None:
    assert sum(bands(thumbnail(analysis([[0], [1], [1]]), View())).values()) == 2
    given = analysis([[0, 1], [1, 1]])
    assert thumbnail(given, View(first=0, last=9)) == thumbnail(given, View())
    assert sum(bands(thumbnail(given, View(first=1, last=1))).values()) == 1


@pytest.mark.slow
def test_however_large_an_analysis_is_its_picture_is_small() -> None:
    rng = np.random.default_rng(0)
    assert len(thumbnail(analysis(rng.integers(0, 12, (10_000, 48))), View())) < 60_000
    # Too many to be seen.
    assert len(thumbnail(analysis(rng.integers(0, 3000, (9000, 5))), View())) < 60_000


def test_no_text_of_an_analysis_is_in_its_picture() -> None:
    hostile = "</svg><script>alert(1)</script>"
    data = {
        "model_type": hostile,
        "layers": [f"{hostile}1", f"{hostile}2"],
        "token_metadata": {"tokens": [hostile, hostile]},
        "cluster_labels": {f"{hostile}1": [0, 1], f"{hostile}2": [1, 1]},
    }
    picture = thumbnail(Analysis.from_dict(data), View(tokens=(0,)))
    assert "script" not in picture
    assert paths(picture)


def test_the_address_names_what_the_picture_shows_and_nothing_else() -> None:
    view = View(analysis_id="a&b", version=2, first=1, last=3, tokens=(4,), tab="paths", layer=1)
    address = thumbnail_address(view, "2026-01-01T00:00:00+00:00")
    assert address == thumbnail_address(
        View(**vars(view) | {"tab": "concepts", "layer": 2}), "2026-01-01T00:00:00+00:00"
    )
    read = View.from_query(address.partition("?")[2])
    assert read == View(analysis_id="a&b", version=2, first=1, last=3, tokens=(4,))
