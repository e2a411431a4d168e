"""Train the tiny GPT-2 that ships: `data/tiny_gpt2/`.

The same network and the same kind of tokenizer (byte-level BPE) as GPT-2, but of a size that
trains in minutes on two cores: 4 blocks, 4 heads, 64 dimensions, about 300,000 weights. It is
trained on the stories of `tiny_english.py`, which it learns to tell; of any other text it knows
next to nothing. It is there so that everything can be tried and tested offline on weights that
were really trained. It is not GPT-2 small, nor any other checkpoint of OpenAI's.

    python examples/train_tiny_gpt2.py

The same seed, machine and versions of the libraries write the same files.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import islice
from pathlib import Path

import tiny_english
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

TARGET = Path(__file__).resolve().parent.parent / "data" / "tiny_gpt2"
SEED = 2026
HELD_OUT_SEED = 1
NUM_STORIES = 12_000
NUM_HELD_OUT = 200
VOCABULARY = 1024
END = "<|endoftext|>"
CONTEXT = 256
BATCH = 16
STEPS = 1_500
LEARNING_RATE = 3e-3

CARD = """# tiny_gpt2

A very small language model of GPT-2's architecture, trained for this project by
`examples/train_tiny_gpt2.py` on stories that the grammar in `examples/tiny_english.py` makes.
It is **not** GPT-2 small or any other checkpoint of OpenAI's, and knows no text but such stories.

- {blocks} blocks, {heads} heads, {width} dimensions, context of {context} tokens,
  byte-level BPE with {vocabulary} entries, {weights:,} weights kept as float16
- trained on {stories:,} stories ({tokens:,} tokens), {steps:,} steps of {batch} x {context}
- perplexity {perplexity:.2f} a token on {held_out} stories of another seed
  (guessing would have {vocabulary})
- licensed as this project is; the text is the project's own too
"""


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Return a byte-level BPE tokenizer, as GPT-2's is, trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Return the token ids of all texts, int64 (T,), each text after an end-of-text token."""
    end = tokenizer.token_to_id(END)
    return torch.tensor([i for found in tokenizer.encode_batch(texts) for i in (end, *found.ids)])


def train(ids: torch.Tensor, steps: int) -> GPT2LMHeadModel:
    """Return a model trained on windows drawn from the ids at random."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=4,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    begin = time.monotonic()
    for step in range(steps):
        starts = torch.randint(len(ids) - CONTEXT, (BATCH, 1))
        batch = ids[starts + torch.arange(CONTEXT)]
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - begin:.0f} s")
    return model.eval()


def perplexity(model: GPT2LMHeadModel, ids: torch.Tensor) -> float:
    """Return exp of the mean negative log-likelihood of the ids, cut into windows."""
    windows = ids[: len(ids) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)
    with torch.inference_mode():
        return math.exp(model(input_ids=windows, labels=windows).loss.item())


def main() -> None:
    """Train tokenizer and model, and write them with a card that says what they are."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--target", type=Path, default=TARGET, help="folder to write to")
    arguments.add_argument("--steps", type=int, default=STEPS, help="steps of training")
    chosen = arguments.parse_args()
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    told = list(map(tiny_english.text_of, islice(tiny_english.stories(SEED), NUM_STORIES)))
    held_out = islice(tiny_english.stories(HELD_OUT_SEED), NUM_HELD_OUT)
    tokenizer = train_tokenizer(told)
    ids = encode(tokenizer, told)
    model = train(ids, chosen.steps)
    found = perplexity(model, encode(tokenizer, list(map(tiny_english.text_of, held_out))))
    print(f"perplexity on other stories: {found:.2f}")
    chosen.target.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(chosen.target)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        model_max_length=CONTEXT,
    ).save_pretrained(chosen.target)
    (chosen.target / "model.safetensors").chmod(0o644)
    (chosen.target / "README.md").write_text(
        CARD.format(
            blocks=model.config.n_layer,
            heads=model.config.n_head,
            width=model.config.n_embd,
            context=CONTEXT,
            vocabulary=VOCABULARY,
            weights=model.num_parameters(),
            stories=NUM_STORIES,
            tokens=len(ids),
            steps=chosen.steps,
            batch=BATCH,
            perplexity=found,
            held_out=NUM_HELD_OUT,
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
