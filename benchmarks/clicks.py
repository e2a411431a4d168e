"""People click through deep analyses for a while, and the server's memory has a ceiling.

`python -m benchmarks.clicks 10 3600` lets ten people click for an hour; a test does less.

There is no browser: each click posts to the callbacks of the figures of a view, as a page does.
Nobody looks at what was drawn, so an hour holds as many clicks as a week of people who do.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.browser import await_server, free_port
from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.callbacks.figures import SOURCES
from concept_fragmentation.components import ids
from concept_fragmentation.components.structure import FIGURES, SECTIONS
from concept_fragmentation.components.view import Tab, View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

LAYERS: Final = 31
CLUSTERS: Final = 10
TABS: Final[tuple[Tab, ...]] = ("overview", "paths", "concepts", "compare")
# How often the server is asked how it is, in seconds.
LOOK_SECONDS: Final = 1.0


@dataclass
class Watched:
    """What came of the clicks.

    Attributes:
        budget: MiB that the server may keep.
        samples: of each look, seconds since the start, MiB kept, and MiB that the process has.
        answers: how many answers there were of each status.
    """

    budget: float
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    @property
    def most_kept(self) -> float:
        """The most MiB that were kept at once."""
        return max(kept for _, kept, _ in self.samples)

    def resident(self, begin: float, end: float) -> float:
        """Return the most MiB of the process between two shares of the time, from 0 to 1."""
        last = self.samples[-1][0]
        return max(mib for at, _, mib in self.samples if begin * last <= at <= end * last)


def deep_analysis(seed: int, tokens: int) -> dict[str, Any]:
    """Return an analysis of 31 layers in which most tokens keep their cluster from layer to layer.

    It has hidden states.
    """
    rng = np.random.default_rng(seed)
    labels = np.empty((tokens, LAYERS), np.int64)
    labels[:, 0] = rng.integers(0, CLUSTERS, tokens)
    for layer in range(1, LAYERS):
        moves = rng.random(tokens) < 0.15
        moved_to = rng.integers(0, CLUSTERS, tokens)
        labels[:, layer] = np.where(moves, moved_to, labels[:, layer - 1])
    layers = ["embedding", *(f"block_{i}" for i in range(1, LAYERS))]
    return analysis_from_labels(
        [f" token{i % 3000}" for i in range(tokens)],
        labels,
        layers=layers,
        hidden_states={layer: rng.normal(size=(tokens, 64)).astype(np.float32) for layer in layers},
    )


def run(people: int, seconds: float, *, analyses: int, tokens: int, budget: int) -> Watched:
    """Let people click; return what the server said of its memory meanwhile.

    Args:
        people: how many click at once.
        seconds: for how long.
        analyses: how many there are to look at.
        tokens: how many each has.
        budget: MiB that the server may keep.
    """
    with tempfile.TemporaryDirectory() as temporary:
        store = GPT2AnalysisPersistence(Path(temporary) / "store")
        for number in range(analyses):
            data = deep_analysis(number, tokens)
            store.save_analysis_results(data, "gpt2", "", f"deep-{number}")
        with served(store.base_dir, budget) as port:
            watched = Watched(budget)
            start = time.monotonic()
            threads = [
                threading.Thread(target=_click, args=(port, number, analyses, seconds, watched))
                for number in range(people)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) or not watched.samples:
                said = _health(port)
                watched.samples.append(
                    (time.monotonic() - start, said["kept_mib"], said["resident_mib"])
                )
                time.sleep(LOOK_SECONDS)
            for thread in threads:
                thread.join()
    return watched


@contextmanager
def served(folder: Path, budget: int) -> Iterator[int]:
    """Serve a store with a budget in MiB; give the port."""
    port = free_port()
    command = Path(sys.executable).with_name("concept-fragmentation")
    options = ["--port", str(port), "--dir", str(folder), "--memory", str(budget)]
    server = subprocess.Popen([command, "serve", *options])
    try:
        await_server(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def _health(port: int) -> dict[str, float]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("GET", "/healthz")
        said: dict[str, float] = json.loads(connection.getresponse().read())["memory"]
        return said


def _click(port: int, number: int, analyses: int, seconds: float, watched: Watched) -> None:
    """Be one of the people until the time is over."""
    rng = random.Random(number)
    end = time.monotonic() + seconds
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        while time.monotonic() < end:
            view = _some_view(rng, analyses)
            shown = {section for section in SECTIONS[view.tab] if section != ids.PERSISTENCE}
            for figure_id, place in FIGURES.items():
                if figure_id in SOURCES and place.section in shown and time.monotonic() < end:
                    order = {"query": view.to_query(), "theme": rng.choice(("light", "dark"))}
                    watched.answers[_asked(connection, figure_id, order)] += 1
            if rng.random() < 0.1:
                connection.request("GET", f"/figure/{ids.PATH_TABLE}.csv{view.to_query()}")
                answer = connection.getresponse()
                answer.read()
                watched.answers[answer.status] += 1


def _some_view(rng: random.Random, analyses: int) -> View:
    first = rng.randrange(LAYERS - 1)
    tab = rng.choice(TABS)
    layer = rng.randrange(LAYERS)
    return View(
        tab=tab,
        analysis_id=f"deep-{rng.randrange(analyses)}",
        first=first,
        last=rng.randrange(first + 1, min(first + 12, LAYERS)),
        colour_by=rng.choice(("cluster", "path")),
        selection=("node", layer, rng.randrange(CLUSTERS)),
        layer=layer,
        tokens=(rng.randrange(100), rng.randrange(100)),
        other=f"deep-{rng.randrange(analyses)}" if tab == "compare" else None,
    )


def _asked(connection: HTTPConnection, figure_id: str, order: dict[str, str]) -> int:
    """Ask for a figure as a page does; return the status of the answer."""
    told = {"type": ids.FIGURE_VIEW, "index": figure_id}
    name = json.dumps(told, sort_keys=True, separators=(",", ":"))
    body = {
        "output": f"{figure_id}.children",
        "outputs": {"id": figure_id, "property": "children"},
        "inputs": [{"id": told, "property": "data", "value": order}],
        "changedPropIds": [f"{name}.data"],
    }
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/_dash-update-component", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def main(people: int, seconds: float) -> None:
    """Click, print the memory over time, and fail where there was no ceiling."""
    watched = run(people, seconds, analyses=6, tokens=10_000, budget=256)
    step = max(len(watched.samples) // 30, 1)
    print("seconds  kept MiB  resident MiB")
    for at, kept, resident in watched.samples[::step]:
        print(f"{at:7,.0f} {kept:9,.0f} {resident:13,.0f}")
    print(f"answers: {dict(watched.answers)}; at most {watched.most_kept:,.0f} MiB kept")
    assert watched.most_kept <= watched.budget
    # What was there after half of the time is there at the end, give or take a tenth.
    assert watched.resident(0.75, 1) <= 1.1 * watched.resident(0.25, 0.75)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
