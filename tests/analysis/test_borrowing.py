from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from concept_fragmentation.analysis import analyze
from concept_fragmentation.analysis.language_models import open_model

IDS = list(range(1, 13))


class Cancelled(Exception):  # noqa: N818 - it is no error
    pass


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    with open_model("tiny", revision=None, device="cpu", attentions=False) as tiny:
        return tiny.tokenizer


@pytest.fixture
def model() -> GPT2LMHeadModel:
    config = GPT2Config(
        n_layer=3, n_head=2, n_embd=16, n_positions=16, vocab_size=60, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    made = GPT2LMHeadModel(config)
    made.set_attn_implementation("sdpa")
    return made


def state(model: torch.nn.Module) -> dict[str, Any]:
    """Everything that can be seen of a model but for the values of its weights."""
    return {
        name: {
            "training": module.training,
            "attributes": sorted(vars(module)),
            "hooks": [
                len(module._forward_hooks),
                len(module._forward_pre_hooks),
                len(module._backward_hooks),
            ],
            "config": str(module.config) if hasattr(module, "config") else None,
            "implementation": module.config._attn_implementation
            if hasattr(module, "config")
            else None,
            "gradients": [p.requires_grad for p in module.parameters()],
            "buffers": {key: id(value) for key, value in module.named_buffers()},
        }
        for name, module in model.named_modules()
    }


def fail_at(stage: str) -> Any:
    def progress(at: str, share: float) -> None:
        if at == stage and share > 0:
            raise Cancelled

    return progress


@pytest.mark.parametrize("ends_at", [None, "load", "extract"])
@pytest.mark.slow
def test_each_module_keeps_its_mode_and_all_else_it_has(
    model: GPT2LMHeadModel, tokenizer: Any, ends_at: str | None
) -> None:
    model.train()
    model.transformer.h[0].eval()
    model.transformer.h[2].attn.train(False)
    model.lm_head.eval()
    model.transformer.wte.weight.requires_grad_(False)
    model.config.output_attentions = False
    before = state(model)
    if ends_at is None:
        analyze(IDS, (model, tokenizer), n_clusters=2)
    else:
        with pytest.raises(Cancelled):
            analyze(IDS, (model, tokenizer), n_clusters=2, progress=fail_at(ends_at))
    assert state(model) == before
    assert not model.transformer.h[0].training
    assert model.transformer.h[1].training


def test_a_model_that_was_analyzed_can_be_pickled_and_trained(
    model: GPT2LMHeadModel, tokenizer: Any
) -> None:
    pickle.dumps(model)
    analyze(IDS, (model, tokenizer), n_clusters=2)
    pickle.dumps(model)
    ids = torch.tensor([IDS])
    model(ids, labels=ids).loss.backward()
    assert model.transformer.wte.weight.grad is not None


def test_hooks_of_the_caller_stay_and_run(model: GPT2LMHeadModel, tokenizer: Any) -> None:
    seen = []
    handle = model.transformer.h[1].register_forward_hook(lambda *_: seen.append(1))
    analyze(IDS, (model, tokenizer), n_clusters=2)
    assert seen
    assert len(model.transformer.h[1]._forward_hooks) == 1
    handle.remove()
    assert not model.transformer.h[1]._forward_hooks


def test_positions_that_grow_with_the_text_are_put_back(tokenizer: Any) -> None:
    config = LlamaConfig(
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, hidden_size=16,
        intermediate_size=32, max_position_embeddings=32, vocab_size=60,
        rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0},
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.config.max_position_embeddings = 64
    rotary = model.model.rotary_emb
    before = (rotary.inv_freq, rotary.inv_freq.clone(), rotary.max_seq_len_cached)
    analyze(IDS * 5, (model, tokenizer), n_clusters=2)
    assert rotary.inv_freq is before[0]
    assert torch.equal(rotary.inv_freq, before[1])
    assert rotary.max_seq_len_cached == before[2]


@pytest.mark.slow
def test_the_caller_draws_what_it_would_have_drawn(model: GPT2LMHeadModel, tokenizer: Any) -> None:
    def draw() -> tuple[Any, ...]:
        return torch.rand(1).item(), np.random.random(), random.random()

    def seed() -> None:
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)

    seed()
    expected = draw()
    for source in ((model, tokenizer), "tiny"):
        seed()
        analyze(IDS, source, n_clusters=2)
        assert draw() == expected


@pytest.mark.slow
def test_a_model_that_draws_at_random_draws_from_the_seed(
    model: GPT2LMHeadModel, tokenizer: Any
) -> None:
    def noisy(_module: Any, _args: Any, output: Any) -> Any:
        noise = torch.randn(output.shape[-1])
        return output + noise

    model.transformer.h[1].mlp.register_forward_hook(noisy)
    runs = [
        analyze(IDS, (model, tokenizer), n_clusters=2, seed=seed)["hidden_states"]["block_2"]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.slow
def test_what_wraps_a_model_is_looked_into(model: GPT2LMHeadModel, tokenizer: Any) -> None:
    expected = analyze(IDS, (model, tokenizer), n_clusters=2)
    compiled = torch.compile(model)
    found = analyze(IDS, (compiled, tokenizer), n_clusters=2)
    assert found["cluster_labels"] == expected["cluster_labels"]
