"""Make sure that there is a Chromium for the browser tests; install one if there is none.

Looks for the one that CHROMIUM names, then for an installed one, then for Playwright's own. If
there is none: apt-get where that needs no password, else Playwright's download. One without windows
is preferred: its pages take a fifth less of a processor.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    wanted = os.environ.get("CHROMIUM")
    if wanted:
        return shutil.which(wanted)
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - slow, and seldom needed

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _as_root() -> list[str] | None:
    """Return what to put before a command to run it as root without a password, or None."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return []
    if shutil.which("sudo") and _runs(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None


def _runs(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def install() -> None:
    """Try each way to install a Chromium until one is there."""
    root = _as_root()
    if root is not None and shutil.which("apt-get"):
        _runs([*root, "apt-get", "update", "-qq"])
        for package in NAMES[:2]:
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
            if _runs([*root, *install]):
                break
    if find_chromium() is None:
        dependencies = ["--with-deps"] if root is not None else []
        _runs([sys.executable, "-m", "playwright", "install", *dependencies, "chromium"])


def main() -> None:
    """Install a Chromium if there is none; leave with one clear sentence if that fails."""
    if find_chromium() is None and "CHROMIUM" not in os.environ:
        install()
    if find_chromium() is None:
        sys.exit(
            "No Chromium was found and none could be installed: install Chromium or Chrome, "
            "or set CHROMIUM to the path of one."
        )


if __name__ == "__main__":
    main()
