"""What the page sends to the browser: compressed, and asked for early enough."""

from __future__ import annotations

import gzip
import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from concept_fragmentation.app import Settings, create_app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(
        Settings(base_dir=Path(tmp_path_factory.mktemp("store")))
    ).server.test_client()


@pytest.mark.parametrize("address", ["/_dash-layout", "/_dash-dependencies"])
def test_answers_are_compressed_for_who_can_read_that(page: FlaskClient, address: str) -> None:
    plain = page.get(address)
    packed = page.get(address, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4


# Flask-Compress leaves closing the file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_are_compressed_too(page: FlaskClient) -> None:
    # What a browser sends beyond this machine and without TLS.
    told = {"Accept-Encoding": "gzip, deflate"}
    with page.get("/assets/dashboard.css", headers=told) as packed:
        assert "Content-Encoding" in packed.headers
        assert len(packed.data) < (ROOT / "assets" / "dashboard.css").stat().st_size / 2


def test_what_draws_figures_is_fetched_before_the_first_figure_comes(page: FlaskClient) -> None:
    preloaded = re.findall(r'<link rel="preload" as="script" href="([^"]+)">', page.get("/").text)
    assert [address.rpartition("/")[2] for address in preloaded] == [
        "async-graph.js",
        "plotly.min.js",
    ]
    # Dash registers what may be asked for when the layout is known.
    page.get("/_dash-layout")
    for address in preloaded:
        with page.get(address) as answer:
            assert answer.status_code == 200


def test_no_callback_takes_the_place_of_another(page: FlaskClient) -> None:
    # Dash names a callback without an output after its inputs, and keeps the first of a name.
    names = [callback["output"] for callback in page.get("/_dash-dependencies").json or ()]
    assert len(names) > 90
    assert len(set(names)) == len(names)


def test_no_callbacks_wait_for_each_other_in_a_circle(page: FlaskClient) -> None:
    # In a circle Dash holds each back until no other runs, such as one in the background.
    callbacks = page.get("/_dash-dependencies").json or ()
    outputs = [
        [output.partition("@")[0] for output in callback["output"].strip(".").split("...")]
        for callback in callbacks
    ]
    inputs = [[f"{one['id']}.{one['property']}" for one in each["inputs"]] for each in callbacks]
    waits_for = {
        number: {
            other
            for other, made in enumerate(outputs)
            if other != number and any(same(one, its) for one in wanted for its in made)
        }
        for number, wanted in enumerate(inputs)
    }
    assert sum(map(len, waits_for.values())) > 100
    TopologicalSorter(waits_for).prepare()


def same(one: str, other: str) -> bool:
    """Whether two properties are one, or one is among those that the other stands for."""
    if not one[0] == other[0] == "{":
        return one == other
    (id_, property_), (other_id, other_property) = one.rsplit(".", 1), other.rsplit(".", 1)
    parts, others = json.loads(id_), json.loads(other_id)
    return (property_, parts.keys()) == (other_property, others.keys()) and all(
        parts[key] == others[key] or isinstance(parts[key], list) or isinstance(others[key], list)
        for key in parts
    )
