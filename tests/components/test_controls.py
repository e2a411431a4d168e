from __future__ import annotations

import pytest

from concept_fragmentation.components.controls import layer_marks, short_names


@pytest.mark.parametrize(
    ("layers", "short"),
    [
        (["layer_0", "layer_1", "layer_10"], ["0", "1", "10"]),
        (["embedding", "block_1", "block_2"], ["emb", "1", "2"]),
        (["a_1", "a_2", "b_1", "b_2"], ["a_1", "a_2", "b_1", "b_2"]),
        (["h.0.attn", "h.1.attn"], ["0.attn", "1.attn"]),
        (["only"], ["only"]),
        ([], []),
    ],
)
def test_names_on_the_slider_tell_layers_apart(layers: list[str], short: list[str]) -> None:
    assert short_names(layers) == short


def test_no_more_marks_than_fit() -> None:
    assert list(layer_marks([f"layer_{i}" for i in range(26)])) == list(range(0, 26, 2))
