"""What processes that work in the background tell the page: progress and outcomes, for a while."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import diskcache

from concept_fragmentation.persistence.access import own_folder

MAX_BYTES: Final = 64 * 2**20


def job_cache(folder: str | os.PathLike[str]) -> diskcache.Cache:
    """Return a cache in `folder` that holds JSON only: nothing that is read from it runs code.

    Nobody else may read it: what pages sign their runs with is in it. Where the folder is another
    user's, one beside it is taken.
    """
    mine = own_folder(Path(folder))
    return diskcache.Cache(os.fspath(mine), disk=diskcache.JSONDisk, size_limit=MAX_BYTES)
