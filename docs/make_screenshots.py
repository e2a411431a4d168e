"""Make the pictures of the documentation in `docs/images/` from the examples.

    make screenshots

The dashboard runs on a free port with a store that is thrown away, so that every run shows the
same. The store holds the two stories, to be compared with the same text in fewer clusters.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from benchmarks.browser import DRAWN, chromium
from concept_fragmentation.analysis import TINY, analyze
from concept_fragmentation.app import Settings, create_app, demo_analysis
from concept_fragmentation.components import ids
from concept_fragmentation.components.hints import ALL_DISMISSED, STORAGE
from concept_fragmentation.components.view import FIRST_EXAMPLE, View
from concept_fragmentation.persistence import GPT2AnalysisPersistence

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "docs" / "images"


@dataclass(frozen=True)
class Picture:
    """A screenshot of the top of the page, or of what `selector` finds; sizes are in CSS pixels."""

    file: str
    width: int
    height: int
    dark: bool = False
    view: View = field(default_factory=lambda: View(example=FIRST_EXAMPLE))
    selector: str | None = None


# Indices of the same word twice in the two stories, in two senses.
TWICE: Final = (33, 110)

PICTURES: Final = (
    Picture("dashboard.png", 1440, 1084),
    Picture("dashboard-dark.png", 1440, 1084, dark=True),
    Picture("dashboard-narrow.png", 390, 1690),
    *(
        # So high that nothing has to be scrolled below the bar.
        Picture(f"{name}.png", 1200, 4000, dark, replace(view, analysis_id="demo"), selector)
        for name, dark, view, selector in (
            ("paths", False, View(tab="paths", tokens=TWICE), f"#{ids.TRAJECTORIES}"),
            ("tokens", True, View(tab="paths", tokens=TWICE), f"#{ids.COMPARED_TOKENS}"),
            (
                "attention",
                False,
                View(tab="attention", tokens=TWICE[:1], layer=3, head=1),
                f"section#{ids.WEIGHTS_SECTION}",
            ),
            (
                "concepts",
                True,
                View(tab="concepts", selection=("node", 4, 2)),
                f"section#{ids.MAP_SECTION}",
            ),
            (
                "compare",
                False,
                View(tab="compare", other="fewer-clusters"),
                f"#{ids.DIFFERENCE_FLOW}",
            ),
            ("library", True, View(tab="library"), f"section#{ids.LIBRARY_SECTION}"),
        )
    ),
    *(
        Picture(f"two-banks-{name}.png", 1200, 4000, view=view, selector=selector)
        for name, view, selector in (
            (
                "flow",
                View(example="two-banks", first=8, last=14, colour_by="token.sense"),
                f"#{ids.SANKEY}",
            ),
            ("paths", View(example="two-banks"), f"#{ids.PATH_MAP}"),
            ("concepts", View(example="two-banks", tab="concepts"), f"#{ids.CONCEPTS}"),
        )
    ),
)


def fill(store: GPT2AnalysisPersistence) -> None:
    """Save the two stories, and their text in fewer clusters."""
    demo = demo_analysis()["analysis_data"]
    text = demo["provenance"]["input"]["text"]
    fewer = analyze(text, TINY, n_clusters=5)
    for identifier, name, tags, analysis in (
        ("fewer-clusters", "Two stories, 5 clusters", ["k=5"], fewer),
        ("demo", "Two stories, 7 clusters", ["k=7"], demo),
    ):
        store.save_analysis_results(
            analysis, "tiny_gpt2", text, identifier, name=name, tags=tags, notes="bank, plant, rose"
        )


@contextmanager
def dashboard() -> Iterator[str]:
    """Serve the dashboard and give its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        with GPT2AnalysisPersistence(folder) as store:
            fill(store)
        app = create_app(Settings(base_dir=Path(folder)))
        server = make_server("127.0.0.1", 0, app.server, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def open_page(browser: Browser, url: str, picture: Picture) -> Page:
    """Open the dashboard and wait until everything is drawn."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
    )
    page.add_init_script(f"localStorage.setItem({STORAGE!r}, {ALL_DISMISSED!r})")
    page.goto(url + picture.view.to_query())
    page.wait_for_function(DRAWN)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    return page


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(exist_ok=True)
    with dashboard() as url, chromium() as browser:
        for picture in PICTURES:
            page = open_page(browser, url, picture)
            target = IMAGES / picture.file
            if picture.selector is None:
                page.screenshot(path=target, animations="disabled")
            else:
                page.locator(picture.selector).screenshot(path=target, animations="disabled")
            page.close()
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
