"""The panel Analyze says what can be run here before anything is."""

from __future__ import annotations

import json
from typing import Any

from plotly.utils import PlotlyJSONEncoder

from concept_fragmentation.components import ids
from concept_fragmentation.components.analyze_panel import Offer, analyze_panel


def part(offer: Offer, component_id: str) -> Any:
    (found,) = [
        one
        for one in analyze_panel(1, offer)._traverse()
        if getattr(one, "id", None) == component_id
    ]
    return found


def text(offer: Offer) -> str:
    return json.dumps(analyze_panel(1, offer).to_plotly_json(), cls=PlotlyJSONEncoder)


def test_where_no_model_can_be_run_the_command_is_said_and_nothing_can_be_pressed() -> None:
    light = Offer(install="make run")
    assert part(light, ids.ANALYZE).disabled
    assert "torch, transformers or scikit-learn is missing" in text(light)
    assert "make run" in text(light)
    assert not part(Offer(), ids.ANALYZE).disabled
    assert "is missing" not in text(Offer())


def test_folders_of_models_are_offered_before_any_other() -> None:
    options = part(Offer(("small", "team/large")), ids.ANALYZE_MODEL).options
    assert [option["value"] for option in options[-3:]] == [
        "folder:small",
        "folder:team/large",
        "other",
    ]
    assert options[-3]["label"] == "small"


def test_a_folder_is_asked_for_where_one_may_be_named() -> None:
    assert "folder" in part(Offer(any_folder=True), ids.ANALYZE_OTHER_MODEL).placeholder
    assert "folder" not in part(Offer(), ids.ANALYZE_OTHER_MODEL).placeholder
