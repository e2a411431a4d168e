"""Files that are taken away say what they are of."""

from __future__ import annotations

import pytest

from concept_fragmentation.components.file_names import file_stem, part_of_name


@pytest.mark.parametrize(
    ("name", "layers", "stem"),
    [
        ("deep", ["block_4", "block_5", "block_9"], "deep-block_4-to-block_9"),
        ("One layer", ["h.0"], "One-layer-h-0"),
        ("No labels", [], "No-labels"),
        ("猫 🐈", ["a", "b"], "猫-a-to-b"),
        ("../../etc/passwd", ["<b>", "C:\\x"], "etc-passwd-b-to-C-x"),
        ("\ud83d", ["\0"], "analysis"),
        ("x" * 300, ["y" * 300, "z"], "x" * 40 + "-" + "y" * 40 + "-to-z"),
    ],
)
def test_a_file_is_named_after_its_analysis_and_window(
    name: str, layers: list[str], stem: str
) -> None:
    assert file_stem(name, layers) == stem
    stem.encode()


def test_a_figure_is_one_word() -> None:
    assert part_of_name("path and attention by layer") == "path-and-attention-by-layer"
