from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BambaConfig,
    BertConfig,
    BertLMHeadModel,
    FalconConfig,
    FalconH1Config,
    FalconMambaConfig,
    Gemma3Config,
    Gemma3nTextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GraniteMoeHybridConfig,
    JambaConfig,
    Lfm2Config,
    Llama4Config,
    LlavaConfig,
    Mamba2Config,
    MambaConfig,
    MiniMaxConfig,
    Mistral3Config,
    OpenAIGPTConfig,
    OPTConfig,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3NextConfig,
    RecurrentGemmaConfig,
    RobertaConfig,
    RobertaForCausalLM,
    RwkvConfig,
    Zamba2Config,
)

from concept_fragmentation.analysis import (
    InvalidDataError,
    ModelUnavailableError,
    analyze,
    find_problems,
)
from concept_fragmentation.analysis.decoders import text_decoder
from concept_fragmentation.analysis.language_models import open_model

pytestmark = pytest.mark.slow

VOCABULARY = 60
BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 3, "bos_token_id": 0,
    "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
HEADS: dict[str, Any] = {
    "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 32,
}  # fmt: skip
MAMBA: dict[str, Any] = {
    "mamba_d_state": 8, "mamba_d_head": 8, "mamba_n_heads": 4, "mamba_expand": 2,
    "mamba_n_groups": 1,
}  # fmt: skip
# Hybrids, and which of their blocks have attention.
HYBRIDS = {
    "LFM2": (Lfm2Config(**BASE, **HEADS, full_attn_idxs=[1], block_multiple_of=8), [2]),
    "Jamba": (
        JambaConfig(
            **BASE, **HEADS, attn_layer_period=2, attn_layer_offset=1, num_experts=2,
            num_experts_per_tok=1, mamba_d_state=8, mamba_dt_rank=4, use_mamba_kernels=False,
        ),
        [2],
    ),
    "Bamba": (BambaConfig(**BASE, **HEADS, **MAMBA, attn_layer_indices=[0, 2]), [1, 3]),
    "Granite-MoE-hybrid": (
        GraniteMoeHybridConfig(
            **BASE, **HEADS, **MAMBA, layer_types=["mamba", "attention", "mamba"],
            num_local_experts=2, num_experts_per_tok=1, shared_intermediate_size=16,
        ),
        [2],
    ),
    "Qwen3-Next": (
        Qwen3NextConfig(
            **BASE, **HEADS, head_dim=8, linear_num_value_heads=2, linear_num_key_heads=2,
            linear_key_head_dim=8, linear_value_head_dim=8, num_experts=2, num_experts_per_tok=1,
            moe_intermediate_size=16, shared_expert_intermediate_size=16,
            layer_types=["linear_attention", "linear_attention", "full_attention"],
        ),
        [3],
    ),
    "Zamba2": (
        Zamba2Config(
            **BASE, **HEADS, layers_block_type=["mamba", "hybrid", "mamba"], mamba_d_state=8,
            mamba_ngroups=1, n_mamba_heads=4, mamba_expand=2, adapter_rank=4, num_mem_blocks=1,
            use_mamba_kernels=False,
        ),
        [2],
    ),
    "Falcon-H1": (FalconH1Config(**BASE, **HEADS, **MAMBA, mamba_d_ssm=32, head_dim=8), [1, 2, 3]),
}  # fmt: skip
STATE_SPACES = {
    "Mamba": MambaConfig(**BASE, state_size=8, time_step_rank=4),
    "Mamba-2": Mamba2Config(
        **BASE, state_size=8, num_heads=4, head_dim=8, expand=2, n_groups=1, chunk_size=8
    ),
    "Falcon-Mamba": FalconMambaConfig(**BASE, state_size=8, time_step_rank=4),
    "RWKV": RwkvConfig(
        **BASE, attention_hidden_size=16, context_length=32, rescale_every=1, intermediate_size=32
    ),
    "RecurrentGemma": RecurrentGemmaConfig(
        **BASE, num_attention_heads=2, num_key_value_heads=1, intermediate_size=32, lru_width=16,
        block_types=["recurrent"],
    ),
}  # fmt: skip
TEXT = {**BASE, **HEADS, "head_dim": 8}
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
QWEN_VISION = {
    "depth": 1,
    "embed_dim": 16,
    "hidden_size": 16,
    "num_heads": 2,
    "out_hidden_size": 16,
}
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
NESTED = {
    "Gemma 3": Gemma3Config(text_config=TEXT, vision_config=VISION, mm_tokens_per_image=4),
    "Mistral 3": Mistral3Config(
        text_config={**TEXT, "model_type": "mistral"},
        vision_config={**VISION, "model_type": "pixtral", "head_dim": 8},
    ),
    "Llama 4": Llama4Config(
        text_config={**TEXT, "intermediate_size_mlp": 16, "num_local_experts": 2},
        vision_config={**VISION, "vision_output_dim": 16, "projector_input_dim": 16,
                       "projector_output_dim": 16},
    ),
    "Qwen2-VL": Qwen2VLConfig(
        text_config={**TEXT, "rope_parameters": ROPE}, vision_config=QWEN_VISION
    ),
    "Qwen2.5-VL": Qwen2_5_VLConfig(
        text_config={**TEXT, "rope_parameters": ROPE},
        vision_config={**QWEN_VISION, "intermediate_size": 16},
    ),
    "LLaVA": LlavaConfig(
        text_config={**TEXT, "model_type": "llama"},
        vision_config={**VISION, "model_type": "clip_vision_model"},
    ),
}  # fmt: skip


def made(config: Any, kind: Any = AutoModelForCausalLM, **options: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = kind.from_config(config, **options).eval()
    return model


def normed(model: PreTrainedModel, found: dict[str, Any]) -> Any:
    """Return the last block's states behind the module that they were read before."""
    part = text_decoder(model, "it").module.get_submodule(
        found["provenance"]["model"]["read_before"]
    )
    last = found["hidden_states"][found["layers"][-1]]
    with torch.no_grad():
        behind = part(torch.tensor(last)).numpy()
    assert not np.allclose(behind, last, atol=0.01)
    return behind


def ids_of(length: int, seed: int = 0) -> list[int]:
    drawn: list[int] = np.random.default_rng(seed).integers(1, VOCABULARY, length).tolist()
    return drawn


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    with open_model("tiny", revision=None, device="cpu", attentions=False) as tiny:
        return tiny.tokenizer


@pytest.mark.parametrize("name", HYBRIDS)
def test_the_attention_of_a_hybrid_stands_under_the_block_that_has_it(
    name: str, tokenizer: Any
) -> None:
    config, attending = HYBRIDS[name]
    model, ids = made(config), ids_of(9)
    found = analyze(ids, (model, tokenizer), attention="full", n_clusters=2)
    names = [f"block_{i}" for i in attending]
    assert list(found["attention_data"]) == names
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model.base_model(
            torch.tensor([ids]), output_attentions=True, use_cache=False
        ).attentions
    for block, weights in zip(names, expected, strict=True):
        np.testing.assert_allclose(
            found["attention_data"][block]["attention_probs"], weights[0], atol=1e-5
        )
    with torch.no_grad():
        last = model.base_model(torch.tensor([ids]), use_cache=False).last_hidden_state
    np.testing.assert_allclose(normed(model, found), last[0], atol=1e-5)
    if len(attending) < 3:
        without = [f"block_{i}" for i in (1, 2, 3) if i not in attending]
        assert found["provenance"]["model"]["blocks_without_attention"] == without
        with pytest.raises(InvalidDataError, match=f"has none in {without[0]}; .*: {names[0]}"):
            analyze(ids, (model, tokenizer), layers=without[:1], n_clusters=2)
    one = analyze(ids, (model, tokenizer), layers=[attending[-1]], n_clusters=2)
    assert list(one["attention_data"]) == names[-1:]


def test_an_attention_is_found_by_the_weights_that_made_it(tokenizer: Any) -> None:
    config, _ = HYBRIDS["Bamba"]
    model, ids = made(config), ids_of(9)
    before = analyze(ids, (model, tokenizer), attention="full", n_clusters=2)["attention_data"]
    with torch.no_grad():
        model.base_model.layers[2].self_attn.q_proj.weight.mul_(50)
    after = analyze(ids, (model, tokenizer), attention="full", n_clusters=2)["attention_data"]
    same = [
        np.array_equal(before[block]["attention_probs"], after[block]["attention_probs"])
        for block in ("block_1", "block_3")
    ]
    assert same == [True, False]


@pytest.mark.parametrize("name", STATE_SPACES)
def test_state_spaces_give_hidden_states_and_say_that_they_have_no_attention(
    name: str, tokenizer: Any
) -> None:
    model, ids = made(STATE_SPACES[name]), ids_of(9)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    found = analyze([ids, ids[:4]], (model, tokenizer), attention="none", n_clusters=2)
    assert "attention_data" not in found
    assert found["layers"] == ["embedding", "block_1", "block_2", "block_3"]
    with pytest.raises(ModelUnavailableError, match=r"no attention weights.*; choose attention"):
        analyze(ids, (model, tokenizer), n_clusters=2)
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key
    with torch.no_grad():
        expected = model.base_model(
            torch.tensor([ids]), output_hidden_states=True, use_cache=False
        ).hidden_states
        # Of most of them transformers gives what comes out of each block and of the norm.
        if name != "RecurrentGemma":
            embedded = model.get_input_embeddings()(torch.tensor([ids]))
            np.testing.assert_allclose(normed(model, found)[:9], expected[3][0], atol=1e-5)
            expected = (embedded, *expected[:3])
    for layer, states in zip(found["layers"][:3], expected[:3], strict=True):
        np.testing.assert_allclose(found["hidden_states"][layer][:9], states[0], atol=1e-5)
        np.testing.assert_allclose(found["hidden_states"][layer][9:], states[0, :4], atol=1e-5)


@pytest.mark.parametrize("name", NESTED)
def test_the_text_part_of_a_model_that_also_sees_is_a_decoder(name: str, tokenizer: Any) -> None:
    model, ids = made(NESTED[name], AutoModelForImageTextToText), ids_of(9)
    found = analyze(ids, (model, tokenizer), n_clusters=2)
    assert list(found["attention_data"]) == ["block_1", "block_2", "block_3"]
    # Llama 4 of this version of transformers can't be called without images itself.
    whole = model.language_model if name == "Llama 4" else model
    with torch.no_grad():
        expected = whole(torch.tensor([ids]), output_hidden_states=True).hidden_states
    for layer, states in zip(found["layers"][:3], expected[:3], strict=True):
        np.testing.assert_allclose(found["hidden_states"][layer], states[0], atol=1e-5)
    np.testing.assert_allclose(normed(model, found), expected[3][0], atol=1e-5)


@pytest.mark.parametrize("kind", ["GPT", "BERT"])
def test_a_decoder_without_a_final_norm_is_read_as_transformers_gives_it(
    kind: str, tokenizer: Any
) -> None:
    if kind == "GPT":
        model = made(OpenAIGPTConfig(vocab_size=60, n_embd=16, n_layer=3, n_head=2, n_positions=32))
    else:
        config = BertConfig(**BASE, num_attention_heads=2, intermediate_size=32, is_decoder=True)
        model = BertLMHeadModel(config).eval()
    ids = ids_of(9)
    found = analyze(ids, (model, tokenizer), n_clusters=2)
    assert found["provenance"]["model"]["read_before"] is None
    with torch.no_grad():
        expected = model.base_model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    for layer, states in zip(found["layers"], expected, strict=True):
        np.testing.assert_allclose(found["hidden_states"][layer], states[0], atol=1e-5)


def test_layers_of_different_widths_are_analyzed_and_steps_between_them_have_no_length(
    tokenizer: Any,
) -> None:
    config = OPTConfig(
        vocab_size=VOCABULARY, hidden_size=32, word_embed_proj_dim=16, ffn_dim=32,
        num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    model, ids = made(config), ids_of(12)
    found = analyze(ids, (model, tokenizer), n_clusters=2)
    assert [found["hidden_states"][layer].shape[1] for layer in found["layers"]] == [32] * 4
    assert "steps_without_length" not in found
    found = analyze(ids, (model, tokenizer), n_clusters=2, final_norm=True)
    assert find_problems(found) == []
    states = [found["hidden_states"][layer] for layer in found["layers"]]
    assert [state.shape[1] for state in states] == [32, 32, 32, 16]
    assert found["steps_without_length"] == [["block_2", "block_3"]]
    length = sum(np.linalg.norm(states[i + 1][5] - states[i][5]) for i in range(2))
    assert found["token_paths"]["5"]["path_length"] == pytest.approx(length, rel=1e-5)
    assert np.isfinite(found["layer_similarity"]["cka"]).all()
    with pytest.raises(InvalidDataError, match="pca"):
        analyze(ids_of(31), (model, tokenizer), n_clusters=2, pca=17, final_norm=True)


def test_several_streams_a_token_are_refused(tokenizer: Any) -> None:
    config = Gemma3nTextConfig(
        **BASE, **HEADS, head_dim=8, vocab_size_per_layer_input=VOCABULARY, laurel_rank=4,
        hidden_size_per_layer_input=8, num_kv_shared_layers=0, altup_num_inputs=2,
        activation_sparsity_pattern=[0.0] * 3, layer_types=["full_attention"] * 3,
    )  # fmt: skip
    model = made(config, AutoModel)
    with pytest.raises(ModelUnavailableError, match="no single hidden state for each token"):
        analyze(ids_of(9), (model, tokenizer), n_clusters=2, attention="none")


def test_a_falcon_that_runs_sdpa_gives_its_attention_and_keeps_sdpa(tokenizer: Any) -> None:
    config = FalconConfig(**BASE, num_attention_heads=2, ffn_hidden_size=32)
    model, ids = made(config, attn_implementation="sdpa"), ids_of(9)
    plain = made(copy.deepcopy(config), attn_implementation="eager")
    plain.load_state_dict(model.state_dict())
    found = analyze([ids, ids[:4]], (model, tokenizer), attention="full", n_clusters=2)
    assert model.config._attn_implementation == "sdpa"
    assert found["provenance"]["model"]["attention_implementation"] == "eager"
    with torch.no_grad():
        expected = plain(torch.tensor([ids]), output_attentions=True).attentions
    for data, weights in zip(found["attention_data"].values(), expected, strict=True):
        np.testing.assert_allclose(data["attention_probs"][:, :9, :9], weights[0], atol=1e-5)


def test_attention_that_did_not_make_the_hidden_states_is_refused(
    tokenizer: Any, tmp_path: Path
) -> None:
    # transformers adds the bias of positions twice in the plain attention of this kind.
    config = FalconConfig(
        **{**BASE, "vocab_size": 1_024}, num_attention_heads=2, ffn_hidden_size=32, alibi=True
    )
    model = made(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for source in (tmp_path, (model, tokenizer)):
        with pytest.raises(ModelUnavailableError, match=r"\(eager\) than with its own \(sdpa\)"):
            analyze("Mark was a tired man.", source, n_clusters=2)
        analyze("Mark was a tired man.", source, n_clusters=2, attention="none")
    assert model.config._attn_implementation == "sdpa"


def test_what_stands_in_the_place_of_attention_weights_is_not_taken_for_them(
    tokenizer: Any,
) -> None:
    config = MiniMaxConfig(
        **BASE, **HEADS, head_dim=8, num_local_experts=2, num_experts_per_tok=1, block_size=4,
        layer_types=["full_attention", "linear_attention", "full_attention"],
    )  # fmt: skip
    found = analyze(ids_of(8), (made(config), tokenizer), n_clusters=2, attention="full")
    assert list(found["attention_data"]) == ["block_1", "block_3"]


def test_a_model_without_sdpa_is_as_good(tokenizer: Any) -> None:
    config = GPTNeoConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_layers=2, num_heads=2, intermediate_size=32,
        attention_types=[[["global", "local"], 1]], window_size=4, max_position_embeddings=32,
    )  # fmt: skip
    found = analyze(ids_of(9), (made(config), tokenizer), n_clusters=2)
    assert list(found["attention_data"]) == ["block_1", "block_2"]


@pytest.mark.parametrize("attention", ["none", "metrics"])
def test_an_encoder_is_refused_for_what_it_is(attention: str, tokenizer: Any) -> None:
    config = BertConfig(**BASE, num_attention_heads=2, intermediate_size=32)
    with pytest.raises(ModelUnavailableError, match=r"no causal decoder \(BertModel\).*later"):
        analyze(ids_of(9), (BertLMHeadModel(config), tokenizer), attention=attention)
    config.is_decoder = True
    analyze(ids_of(9), (BertLMHeadModel(config), tokenizer), attention=attention, n_clusters=2)


@pytest.mark.parametrize(("share", "refused"), [(3e-5, False), (3e-3, True)])
def test_last_digits_are_no_dependence_on_later_tokens(
    share: float, refused: bool, tokenizer: Any
) -> None:
    model = gpt2()

    def change(_: Any, __: Any, states: Any) -> Any:
        factor = torch.ones(len(states), 1, 1)
        factor[1:] += share
        return states * factor

    model.transformer.h[1].register_forward_hook(change)
    if refused:
        with pytest.raises(ModelUnavailableError, match="no causal decoder"):
            analyze(ids_of(8), (model, tokenizer), n_clusters=2)
    else:
        analyze(ids_of(8), (model, tokenizer), n_clusters=2)


def test_positions_that_stand_for_padding_are_not_read(tokenizer: Any) -> None:
    config = RobertaConfig(
        **{**BASE, "pad_token_id": 1}, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=18, is_decoder=True,
    )  # fmt: skip
    found = analyze(ids_of(40), (RobertaForCausalLM(config), tokenizer), n_clusters=2)
    assert found["provenance"]["model"]["context_length"] == 16


def gpt2(**changes: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": VOCABULARY}
    return GPT2LMHeadModel(GPT2Config(**{**sizes, **changes}, bos_token_id=0, eos_token_id=0))


def test_a_model_that_cannot_be_run_says_why_and_is_given_back(tokenizer: Any) -> None:
    model = gpt2()

    def broken(*_: Any) -> None:
        raise KeyError("no such thing")

    handle = model.transformer.h[1].register_forward_pre_hook(broken)
    model.train()
    with pytest.raises(ModelUnavailableError, match=r"can't be run on 3 tokens \('no such thing'"):
        analyze(ids_of(8), (model, tokenizer), n_clusters=2)
    assert model.transformer.h[1].training
    handle.remove()


def test_a_table_of_positions_shorter_than_the_configuration_says_is_named(tokenizer: Any) -> None:
    model = gpt2()
    model.config.n_positions = 64
    with pytest.raises(ModelUnavailableError, match=r"can't be run on 40 tokens .*window"):
        analyze(ids_of(40), (model, tokenizer), n_clusters=2)


def test_weights_that_are_not_in_memory_are_named(tokenizer: Any) -> None:
    with torch.device("meta"):
        model = gpt2()
    with pytest.raises(ModelUnavailableError, match="not in memory"):
        analyze(ids_of(8), (model, tokenizer), n_clusters=2)


@pytest.mark.parametrize(("part", "layer"), [("wte", "embedding"), ("h.1.mlp.c_fc", "block_2")])
def test_weights_that_are_no_numbers_are_not_taken_for_attention_to_later_tokens(
    part: str, layer: str, tokenizer: Any
) -> None:
    model = gpt2()
    model.transformer.get_submodule(part).weight.data.fill_(float("nan"))
    with pytest.raises(InvalidDataError, match=rf"hidden_states\.{layer}: .*NaN.*its weights"):
        analyze(ids_of(8), (model, tokenizer), n_clusters=2)
