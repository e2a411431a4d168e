"""Make the pictures of the documentation in `docs/images/` from the demo analysis.

    make screenshots

The dashboard runs on a free port with an empty store that is thrown away, so that every run
shows the same.
"""

from __future__ import annotations

import logging
import runpy
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.components import ids

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "docs" / "images"


@dataclass(frozen=True)
class Picture:
    """A screenshot of the top of the page, in CSS pixels."""

    file: str
    width: int
    height: int
    dark: bool = False


PICTURES: Final = (
    Picture("dashboard.png", 1440, 1084),
    Picture("dashboard-dark.png", 1440, 1084, dark=True),
    Picture("dashboard-narrow.png", 390, 1690),
)


@contextmanager
def dashboard() -> Iterator[str]:
    """Serve the dashboard with an empty store and give its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
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


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium that the tests use."""
    found = runpy.run_path(str(ROOT / "tests" / "get_chromium.py"))["find_chromium"]()
    if found is None:
        sys.exit("No Chromium was found; install one with: python tests/get_chromium.py")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def open_page(browser: Browser, url: str, picture: Picture) -> Page:
    """Open the dashboard and wait until everything is drawn."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
    )
    page.goto(url)
    page.wait_for_selector(f"#{ids.SUMMARY} .cf-stat-value")
    page.wait_for_selector(f"#{ids.SANKEY} .sankey-node")
    page.wait_for_function("!document.querySelector('[data-dash-is-loading=true]')")
    return page


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(exist_ok=True)
    with dashboard() as url, chromium() as browser:
        for picture in PICTURES:
            page = open_page(browser, url, picture)
            target = IMAGES / picture.file
            page.screenshot(path=target, animations="disabled")
            page.close()
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
