"""Lists of a selected path: its tokens, and the paths nearest to it."""

from __future__ import annotations

import json
from typing import Any

from concept_fragmentation.analysis import Analysis, analysis_from_labels, layer_window
from concept_fragmentation.components.path_members import nearest_paths, path_members

ROWS = [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 2, 1], [1, 1, 1], [0, 1, 0], [0, 1, 0], [-1, 0, 0]]
TOKENS = ["<b>", " b", "c", "d", "e", "f", "g", "h"]
ANALYSIS = Analysis.from_dict(analysis_from_labels(TOKENS, ROWS, positions=list(range(10, 18))))
WINDOW = layer_window(ANALYSIS, 0, 2)


def test_the_nearest_paths_differ_in_fewest_layers_and_are_the_most_frequent() -> None:
    near = [
        (tuple(WINDOW.paths[rank].tolist()), far) for rank, far in nearest_paths(WINDOW, (0, 0, 0))
    ]
    assert near == [((0, 1, 0), 1), ((0, 0, 1), 1), ((0, 2, 1), 2), ((1, 1, 1), 3)]
    assert len(nearest_paths(WINDOW, (0, 0, 0), 2)) == 2


def chips_and_paths(parts: list[Any]) -> tuple[list[list[Any]], list[str]]:
    chips = json.loads(getattr(parts[1], "data-tokens"))
    return chips, [getattr(row, "data-path") for row in parts[-1].children]


def test_the_tokens_on_a_path_and_its_neighbours_are_listed() -> None:
    parts = path_members(ANALYSIS, WINDOW, (0, 0, 0), {(0, 1, 0)})
    assert parts[0].children == "2 tokens on path 0×3"
    chips, paths = chips_and_paths(parts)
    assert [chip[:3] for chip in chips] == [[0, "<b>", 10], [1, "·b", 11]]
    assert paths == ["0.1.0", "0.0.1", "0.2.1", "1.1.1"]
    pressed = [getattr(row, "aria-pressed") for row in parts[-1].children]
    assert pressed == ["true", "false", "false", "false"]
    said = parts[-1].children[0].children[2].children
    assert said == "differs in 1 layer"


def test_where_there_is_no_other_path_none_is_announced() -> None:
    alone = Analysis.from_dict(analysis_from_labels(["a"], [[0, 0]]))
    parts = path_members(alone, layer_window(alone, 0, 1), (0, 0), set())
    assert parts[0].children == "1 token on path 0×2"
    assert len(parts) == 3
