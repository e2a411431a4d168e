"""Analyses of cluster labels alone, for the tests of what is computed of paths."""

from __future__ import annotations

from typing import Any

import numpy as np

from concept_fragmentation.analysis import Analysis, analysis_from_labels


def of(array: Any) -> Analysis:
    """Return the analysis of labels (T, L), whose tokens are t0, t1 and so on."""
    array = np.asarray(array)
    return Analysis.from_dict(analysis_from_labels([f"t{i}" for i in range(len(array))], array))
