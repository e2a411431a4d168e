"""An analysis in any of the shapes in which people have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def analysis_dict(given: Any) -> Any:
    """Return the analysis dict of what a store loads or opens; anything else as it is.

    `load_analysis_results` gives `{"analysis_data": ..., "metadata": ..., "model_info": ...}`.
    Whatever takes an analysis dict takes that too, and an analysis that is open in a store.

    >>> analysis_dict({"analysis_data": {"model_type": "gpt2"}, "metadata": {}})
    {'model_type': 'gpt2'}
    """
    if isinstance(given, Mapping) and "model_type" not in given:
        data = given.get("analysis_data")
        if isinstance(data, Mapping):
            return data
    # Tables of pandas have a `to_dict` as well, which gives no analysis.
    if hasattr(given, "model_info") and callable(getattr(given, "to_dict", None)):
        return analysis_dict(given.to_dict())
    return given
