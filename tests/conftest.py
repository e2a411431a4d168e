"""What tests of several folders need."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ROOT = Path(__file__).parent

# Two processes of tests fill two cores. Threads of PyTorch and scikit-learn, which read this when
# they are imported, here and in what tests start, would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

# What tests save need not outlast the machine: in memory, a flush takes no time.
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes folders of its own there
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        action="store_true",
        help="let the tests marked `soak` or `hypothesis` take all the kills and inputs there are",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Try as many examples as there is time for, and take interrupts as a terminal sends them: a
    shell starts what runs in the background without, and every process of the tests would inherit
    that.
    """
    settings.load_profile("soak" if config.getoption("--soak") else "quick")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with a browser or slow tests first: two processes then end at the same time."""
    browser = ROOT / "browser"
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (browser not in item.path.parents, item.path not in long))


@pytest.fixture(scope="session")
def soaking(pytestconfig: pytest.Config) -> bool:
    """Whether `make soak` runs: then a test marked `soak` does all, else a part that is quick."""
    return bool(pytestconfig.getoption("--soak"))


# A busy machine is slow, not broken.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("soak", deadline=None, max_examples=1000)


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Start one Chromium for all tests; Playwright can't be started twice in one process.

    Its profile lies on disk, where Chromium keeps the compiled scripts. With a profile in memory
    they are compiled for each page, which is a third of what a page takes to load.
    """
    path = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=path,
            # Two processes of tests fill two cores; threads of V8 would only get in their way.
            args=["--no-sandbox", "--disable-gpu", "--js-flags=--single-threaded"],
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def browser(profile: BrowserContext) -> Browser:
    """Return the Chromium that runs, for profiles that share nothing with others."""
    assert profile.browser is not None
    return profile.browser


def _chromium() -> str:
    """Return the Chromium that tests/get_chromium.py finds."""
    path = Path(__file__).with_name("get_chromium.py")
    spec = importlib.util.spec_from_file_location("get_chromium", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.find_chromium()
    if found is None:
        pytest.fail("No Chromium was found; run tests/get_chromium.py.")
    return found
