from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AutoModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedModel,
    T5Config,
)

from concept_fragmentation.analysis import InvalidDataError, ModelUnavailableError, analyze
from concept_fragmentation.analysis.extraction import Window, cut, layer_names
from concept_fragmentation.analysis.hidden_states import hidden_state_store
from concept_fragmentation.analysis.language_models import open_model

pytestmark = pytest.mark.slow

VOCABULARY = 60
CONTEXT = 16
# A small decoder of each kind that was tried, with random weights.
CONFIGS = {
    "GPT-2": GPT2Config(
        n_layer=3, n_head=2, n_embd=16, n_positions=CONTEXT, vocab_size=VOCABULARY,
        bos_token_id=0, eos_token_id=0,
    ),
    "Llama": LlamaConfig(
        num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, hidden_size=16,
        intermediate_size=32, max_position_embeddings=CONTEXT, vocab_size=VOCABULARY,
    ),
    "GPT-NeoX": GPTNeoXConfig(
        num_hidden_layers=3, num_attention_heads=2, hidden_size=16, intermediate_size=32,
        max_position_embeddings=CONTEXT, vocab_size=VOCABULARY,
    ),
}  # fmt: skip

NORMS = {"gpt2": "ln_f", "llama": "norm", "gpt_neox": "final_layer_norm"}

Analyze = Callable[..., dict[str, Any]]


@pytest.fixture(params=CONFIGS)
def decoder(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModel.from_config(CONFIGS[request.param]).eval()
    return model


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    with open_model("tiny", revision=None, device="cpu", attentions=False) as tiny:
        return tiny.tokenizer


@pytest.fixture
def run(decoder: PreTrainedModel, tokenizer: Any) -> Analyze:
    def analyze_ids(ids: Any, **options: Any) -> dict[str, Any]:
        return analyze(ids, (decoder, tokenizer), **{"n_clusters": 2, **options})

    return analyze_ids


def ids_of(length: int, seed: int = 0) -> list[int]:
    drawn: list[int] = np.random.default_rng(seed).integers(0, VOCABULARY, length).tolist()
    return drawn


def directly(model: PreTrainedModel, ids: list[int]) -> Any:
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        return model(
            input_ids=torch.tensor([ids]), output_hidden_states=True, output_attentions=True
        )


def before_the_norm(model: PreTrainedModel, ids: list[int]) -> list[torch.Tensor]:
    """Return the hidden states of transformers, the last one as it enters the normalisation."""
    norm = model.get_submodule(NORMS[model.config.model_type])
    given: list[torch.Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    found = directly(model, ids).hidden_states
    handle.remove()
    return [*found[:-1], *given]


def test_hidden_states_are_those_of_transformers_layer_by_layer(
    run: Analyze, decoder: PreTrainedModel
) -> None:
    ids = ids_of(12)
    found = run(ids)
    assert found["provenance"]["model"]["read_before"] == NORMS[decoder.config.model_type]
    assert found["layers"] == ["embedding", "block_1", "block_2", "block_3"]
    for layer, states in zip(found["layers"], before_the_norm(decoder, ids), strict=True):
        assert found["hidden_states"][layer].dtype == np.float32
        np.testing.assert_allclose(found["hidden_states"][layer], states[0], atol=1e-5)


def test_the_last_block_is_what_a_further_block_would_be_given(
    run: Analyze, decoder: PreTrainedModel
) -> None:
    ids = ids_of(12)
    config = copy.deepcopy(decoder.config)
    config.num_hidden_layers += 1
    deeper = AutoModel.from_config(config).eval()
    deeper.load_state_dict(decoder.state_dict(), strict=False)
    found = run(ids)["hidden_states"]["block_3"]
    np.testing.assert_allclose(found, directly(deeper, ids).hidden_states[3][0], atol=1e-5)
    behind = run(ids, final_norm=True)
    assert behind["provenance"]["model"]["read_before"] is None
    expected = directly(decoder, ids).last_hidden_state[0]
    np.testing.assert_allclose(behind["hidden_states"]["block_3"], expected, atol=1e-5)
    assert not np.allclose(found, expected, atol=0.1)


def test_full_attention_is_that_of_transformers(run: Analyze, decoder: PreTrainedModel) -> None:
    ids = ids_of(12)
    found = run(ids, attention="full")
    expected = directly(decoder, ids).attentions
    assert list(found["attention_data"]) == ["block_1", "block_2", "block_3"]
    for data, weights in zip(found["attention_data"].values(), expected, strict=True):
        np.testing.assert_allclose(data["attention_probs"], weights[0], atol=1e-5)
        plain = weights[0].double().numpy()
        entropy = -np.where(plain > 0, plain * np.log(np.where(plain > 0, plain, 1)), 0).sum(-1)
        np.testing.assert_allclose(data["entropy"], entropy.mean(axis=1), atol=1e-4)


def test_padding_of_shorter_sequences_changes_nothing(
    run: Analyze, decoder: PreTrainedModel
) -> None:
    sequences = [ids_of(3, 1), ids_of(11, 2), ids_of(7, 3)]
    together = run(sequences, batch_size=3, attention="full")
    first = 0
    for number, ids in enumerate(sequences):
        alone = directly(decoder, ids)
        here = slice(first, first + len(ids))
        assert together["token_metadata"]["sequence_ids"][here] == [number] * len(ids)
        assert together["token_metadata"]["positions"][here] == list(range(len(ids)))
        expected = before_the_norm(decoder, ids)
        for layer, states in zip(together["layers"], expected, strict=True):
            np.testing.assert_allclose(together["hidden_states"][layer][here], states[0], atol=1e-5)
        weights = together["attention_data"]["block_2"]["attention_probs"]
        np.testing.assert_allclose(weights[:, here, here], alone.attentions[1][0], atol=1e-5)
        assert weights[:, here].sum() == pytest.approx(weights[:, here, here].sum())
        first += len(ids)


def test_a_long_text_is_read_in_windows_and_each_token_counted_where_it_has_most_context(
    run: Analyze, decoder: PreTrainedModel
) -> None:
    ids = ids_of(41)
    found = run(ids, window=16, overlap=12, attention="full")
    weights = found["attention_data"]["block_3"]["attention_probs"]
    for token in (0, 9, 15, 16, 19, 20, 30, 40):
        # The first window that holds it begins with 0, 4, 8, ... and the last one is full.
        start = 0 if token < 16 else min(25, 4 * ((token - 16) // 4 + 1))
        read = ids[start : start + 16]
        for layer, states in zip(found["layers"], before_the_norm(decoder, read), strict=True):
            np.testing.assert_allclose(
                found["hidden_states"][layer][token], states[0, token - start], atol=1e-5
            )
        row = directly(decoder, read).attentions[2][0, :, token - start, : token - start + 1]
        np.testing.assert_allclose(weights[:, token, start : token + 1], row, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert found["attention_data"]["block_3"]["num_queries"] == 41


def test_layers_are_chosen_by_name_or_index(run: Analyze) -> None:
    everything, ids = run(ids_of(8)), ids_of(8)
    found = run(ids, layers=["embedding", -1, 1])
    assert found["layers"] == ["embedding", "block_1", "block_3"]
    assert list(found["attention_data"]) == ["block_1", "block_3"]
    for layer in found["layers"]:
        np.testing.assert_array_equal(
            found["hidden_states"][layer], everything["hidden_states"][layer]
        )
    for wrong in (["block_9"], [4], [], ["block_1", 1], "block_1", [None]):
        with pytest.raises(InvalidDataError, match="layers"):
            run(ids, layers=wrong)


def test_a_loaded_model_is_given_back_as_it_was(tokenizer: Any) -> None:
    model = GPT2LMHeadModel(CONFIGS["GPT-2"])
    model.set_attn_implementation("sdpa")
    model.train()
    analyze(ids_of(8), (model, tokenizer), n_clusters=2)
    assert model.training
    assert model.config._attn_implementation == "sdpa"


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.integers(1, 20).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
def test_windows_count_each_token_once_and_give_the_overlap_as_context(
    lengths: list[int], sizes: tuple[int, int]
) -> None:
    size, overlap = sizes
    windows = list(cut(lengths, size, overlap))
    counted = [(w.sequence, i) for w in windows for i in range(w.counted, w.stop)]
    assert counted == [(s, i) for s, length in enumerate(lengths) for i in range(length)]
    rows = [w.row + i for w in windows for i in range(w.stop - w.counted)]
    assert rows == list(range(sum(lengths)))
    for window in windows:
        assert 0 < window.stop - window.start <= size
        assert window.counted == 0 or window.counted - window.start >= overlap
        assert window.start == 0 or window.stop - window.start == size


def test_a_text_that_fits_is_one_window() -> None:
    assert list(cut([16], 16, 8)) == [Window(0, 0, 16, 0, 0)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"window": 17}, "window: 17"),
        ({"window": 0}, "window: 0"),
        ({"window": 8, "overlap": 8}, "overlap: 8"),
        ({"batch_size": 0}, "batch_size"),
        ({"attention": "some"}, "attention: 'metrics', 'full' or 'none'"),
        ({"device": "abacus"}, "device: 'abacus'"),
        ({"words": "split"}, "words"),
    ],
)
def test_a_wrong_option_is_named(run: Analyze, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidDataError, match=named):
        # The device of a model in memory is its own.
        if "device" in options:
            analyze("a", "tiny", **options)
        run(ids_of(8), **options)


def test_token_ids_beyond_the_vocabulary_are_refused(run: Analyze) -> None:
    with pytest.raises(InvalidDataError, match=r"text\[0\]\[1\]: token 60 of a vocabulary of 60"):
        run([0, 60])


def test_a_model_that_gives_nan_is_refused(tokenizer: Any) -> None:
    model = GPT2LMHeadModel(CONFIGS["GPT-2"])
    with torch.no_grad():
        model.transformer.h[1].ln_1.weight.fill_(float("nan"))
    with pytest.raises(InvalidDataError, match=r"block_2: the model gave NaN"):
        analyze(ids_of(8), (model, tokenizer), n_clusters=2, attention="none")


def test_an_encoder_decoder_is_refused(tokenizer: Any) -> None:
    model = AutoModel.from_config(
        T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )
    with pytest.raises(ModelUnavailableError, match="is no decoder"):
        analyze(ids_of(8), (model, tokenizer))


def test_full_attention_of_a_long_text_is_refused_with_the_way_out(run: Analyze) -> None:
    with pytest.raises(InvalidDataError, match=r"GiB, more than 1 GiB; choose 'metrics'"):
        run(ids_of(6_700), attention="full")


def test_the_layers_are_named_as_transformers_orders_them() -> None:
    assert layer_names(12)[0] == "embedding"
    assert layer_names(12)[12] == "block_12"


@pytest.mark.parametrize("limit", [None, 100])
def test_hidden_states_are_the_same_in_memory_and_in_a_file(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit is not None:
        monkeypatch.setattr("concept_fragmentation.analysis.hidden_states.IN_MEMORY_BYTES", limit)
    rows = np.random.default_rng(0).normal(size=(2, 20, 6)).astype(np.float32)
    with hidden_state_store(20, [6, 6]) as layers:
        for layer, states in zip(layers, rows, strict=True):
            layer.write(0, states[:7])
            layer.write(7, states[7:])
        for layer, states in zip(layers, rows, strict=True):
            assert len(layer) == 20
            np.testing.assert_array_equal(layer[:], states)
            np.testing.assert_array_equal(layer[np.array([3, 19])], states[[3, 19]])


def test_the_analysis_is_the_same_if_hidden_states_do_not_fit_in_memory(
    run: Analyze, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = run(ids_of(40), attention="none")
    for module in ("hidden_states", "from_text"):
        monkeypatch.setattr(f"concept_fragmentation.analysis.{module}.IN_MEMORY_BYTES", 100)
    in_file = run(ids_of(40), attention="none")
    assert "hidden_states" not in in_file
    for key in set(in_file) - {"provenance"}:
        assert in_file[key] == in_memory[key], key
