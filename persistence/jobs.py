"""What processes that work in the background tell the page: progress and outcomes, for a while."""

from __future__ import annotations

import os
from typing import Final

import diskcache

MAX_BYTES: Final = 64 * 2**20


def job_cache(folder: str | os.PathLike[str]) -> diskcache.Cache:
    """Return a cache in `folder` that holds JSON only: nothing that is read from it runs code."""
    return diskcache.Cache(os.fspath(folder), disk=diskcache.JSONDisk, size_limit=MAX_BYTES)
