from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    pipeline,
)

from concept_fragmentation import analysis
from concept_fragmentation.analysis import (
    InvalidDataError,
    ModelUnavailableError,
    analyze,
    analyze_again,
    checkpoints,
    skipped_words,
)
from concept_fragmentation.analysis.checkpoints import folder_label
from concept_fragmentation.analysis.language_models import open_tokenizer, tokenizer_checksum

pytestmark = pytest.mark.slow

TINY = Path(analysis.__file__).parent.parent / "data" / "tiny_gpt2"
TEXT = "Mark was a tired man who lived near the mountain."
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
SIZES: dict[str, Any] = {
    "n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32, "vocab_size": 1_024,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip

Change = Callable[[Path], object]


def model(**changes: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(**{**SIZES, **changes}))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("original")
    model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "folder"))


def renamed(rename: Callable[[str], str]) -> Change:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = {rename(name): value for name, value in load_file(file).items()}
        save_file(tensors, file, {"format": "pt"})

    return change


def configured(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        config = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({key: v for key, v in config.items() if v is not None}))

    return change


def written(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def halved(name: str) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def without(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink() for name in names]


def as_bin(change: Change) -> Change:
    def changed(folder: Path) -> None:
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        change(folder)

    return changed


def sharded(change: Change) -> Change:
    def changed(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        model().save_pretrained(folder, max_shard_size="40KB")
        change(folder)

    return changed


def first_shard(folder: Path) -> Path:
    return min(folder.glob("model-*.safetensors"))


def saved(other: Any) -> Change:
    """The weights of another model under the configuration that is there."""

    def change(folder: Path) -> None:
        kept = (folder / "config.json").read_text()
        other().save_pretrained(folder)
        (folder / "config.json").write_text(kept)

    return change


def bert() -> BertLMHeadModel:
    return BertLMHeadModel(
        BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, vocab_size=60)
    )


FAULTS: dict[str, tuple[Change, str]] = {
    "compiled": (
        renamed(lambda name: f"_orig_mod.{name}"),
        r"28 of its weights are not in it: h\.0\.\S+, \S+, \S+ and 25 more; all names in it begin "
        r"with '_orig_mod\.', from a compiled model",
    ),
    "parallel": (renamed(lambda name: f"module.{name}"), "'module.', from a model in Distributed"),
    "PEFT": (renamed(lambda name: f"base_model.model.{name}"), "merge_and_unload"),
    "one missing": (
        renamed(lambda name: name.replace("h.1.mlp.c_fc.bias", "gone")),
        r"1 of its weights are not in it: h\.1\.mlp\.c_fc\.bias; it has others instead: "
        r"transformer\.gone",
    ),
    "more blocks": (configured(n_layer=3), r"12 of its weights are not in it: h\.2\.attn"),
    "other shapes": (
        configured(n_positions=16),
        r"other shapes: wpe\.weight \(32, 16\) instead of \(16, 16\)",
    ),
    "another architecture": (
        saved(bert),
        r"of its weights are not in it: h\.0\..*: bert\.embeddings",
    ),
    "pointer": (written("model.safetensors", POINTER), "model.safetensors is a pointer of Git LFS"),
    "cut": (halved("model.safetensors"), "model.safetensors is cut off or damaged"),
    "empty": (written("model.safetensors", ""), "model.safetensors is empty"),
    "text": (written("model.safetensors", "<html>404</html>"), "model.safetensors is cut off or d"),
    "pointer bin": (
        as_bin(written("pytorch_model.bin", POINTER)),
        "pytorch_model.bin is a pointer of Git LFS",
    ),
    "cut bin": (as_bin(halved("pytorch_model.bin")), "can't be loaded"),
    "text bin": (as_bin(written("pytorch_model.bin", "text")), "can't be loaded"),
    "missing shard": (
        sharded(lambda folder: first_shard(folder).unlink()),
        r"index.json names model-00001-of-\d+.safetensors, which is not there",
    ),
    "pointer shard": (
        sharded(lambda folder: first_shard(folder).write_text(POINTER)),
        r"model-00001-of-\d+.safetensors is a pointer of Git LFS",
    ),
    "cut index": (sharded(halved("model.safetensors.index.json")), "index.json is cut off"),
    "empty index": (sharded(written("model.safetensors.index.json", "{}")), "has no weight_map"),
    "no weights": (without("model.safetensors"), "it has no weights"),
    "no config": (without("config.json"), "it has no config.json"),
    "cut config": (halved("config.json"), "config.json is cut off or no JSON"),
    "pointer config": (written("config.json", POINTER), "config.json is a pointer of Git LFS"),
    "list config": (written("config.json", "[1]"), "config.json is no object of JSON"),
    "no type": (configured(model_type=None, architectures=None), "names no model_type"),
    "unknown type": (configured(model_type="abacus"), "abacus"),
    "wrong value": (configured(n_head=3), "can't be loaded"),
    "text value": (configured(n_layer="two"), "can't be loaded"),
    "adapter": (written("adapter_config.json", "{}"), "it is an adapter of PEFT"),
    "no tokenizer": (
        without("tokenizer.json", "tokenizer_config.json"),
        "can't be loaded .it has no tokenizer",
    ),
    "only the settings of a tokenizer": (without("tokenizer.json"), "its tokenizer has no token"),
    "cut tokenizer": (halved("tokenizer.json"), "tokenizer.json is cut off or no JSON"),
    "pointer tokenizer": (written("tokenizer.json", POINTER), "tokenizer.json is a pointer of Git"),
    "empty tokenizer": (written("tokenizer.json", ""), "tokenizer.json is empty"),
    "no object": (written("tokenizer.json", "{}"), "can't be loaded"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_not_whole_is_refused_with_what_is_wrong(
    fault: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, named = FAULTS[fault]
    change(folder)
    with pytest.raises(ModelUnavailableError, match=named) as raised:
        analyze(TEXT, folder, n_clusters=2)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)
    # Nothing of what transformers reports.
    assert "LOAD REPORT" not in "".join(capfd.readouterr())


def unchanged(folder: Path) -> None:
    pass


FINE: dict[str, Change] = {
    "as it was saved": unchanged,
    "weights of another kind beside": written("pytorch_model.bin", POINTER),
    "without a head": model().transformer.save_pretrained,
    "fewer blocks than weights": configured(n_layer=1),
    "torch's own format": as_bin(unchanged),
    "several files": sharded(unchanged),
    "code that is not needed": configured(auto_map={"AutoModel": "modeling_own.Own"}),
}


@pytest.mark.parametrize("kind", FINE)
def test_a_whole_folder_is_loaded_with_its_own_weights(kind: str, folder: Path) -> None:
    FINE[kind](folder)
    made = analyze(TEXT, folder, n_clusters=2, attention="none")
    ids = torch.tensor([made["token_metadata"]["token_ids"]])
    transformer = model().eval().transformer
    with torch.no_grad():
        expected = transformer(ids, output_hidden_states=True).hidden_states
        np.testing.assert_allclose(made["hidden_states"]["embedding"], expected[0][0], atol=1e-5)
        if kind != "fewer blocks than weights":
            # transformers gives what the final norm makes of the last block.
            last = transformer.ln_f(torch.tensor(made["hidden_states"]["block_2"]))
            np.testing.assert_allclose(last, expected[2][0], atol=1e-5)


def test_a_pooler_that_was_not_saved_does_not_matter(folder: Path, tokenizer: Any) -> None:
    config = BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        vocab_size=1_024, is_decoder=True, max_position_embeddings=32,
    )  # fmt: skip
    shutil.rmtree(folder)
    BertLMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert analyze(TEXT, folder, n_clusters=2)["layers"] == ["embedding", "block_1", "block_2"]


@pytest.mark.parametrize(
    "change",
    [
        configured(model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Model"}),
        lambda folder: (
            configured(model_type="own", auto_map={"AutoConfig": "own.Own"})(folder),
            (folder / "tokenizer.json").unlink(),
        ),
    ],
)
def test_code_of_a_folder_is_neither_run_nor_asked_about(
    change: Change, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(folder)
    proof = folder / "it was run"
    (folder / "own.py").write_text(f"open({str(proof)!r}, 'w')\nclass Own: pass\nclass Model: pass")

    def asked(*_: Any) -> str:
        pytest.fail("it asked")

    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(ModelUnavailableError, match=r"code of its own \(auto_map"):
        analyze(TEXT, folder)
    with contextlib.suppress(ModelUnavailableError):
        open_tokenizer(folder)
    assert not proof.exists()


def test_code_of_a_tokenizer_is_not_run_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    proof = folder / "it was run"
    (folder / "own.py").write_text(f"open({str(proof)!r}, 'w')\nclass Own: pass")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    with contextlib.suppress(ModelUnavailableError):
        analyze(TEXT, folder, n_clusters=2)
    assert not proof.exists()


def test_a_folder_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == "model.safetensors":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors: Permission denied"):
        analyze(TEXT, folder)


def test_an_encoder_decoder_in_a_folder_is_no_decoder(folder: Path, tokenizer: Any) -> None:
    shutil.rmtree(folder)
    config = T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelUnavailableError, match="is no decoder"):
        analyze(TEXT, folder)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("/no/such/folder", "The model '/no/such/folder' can't be had .there is no such folder"),
        (Path("folder"), "The model 'folder' can't be had .there is no such folder"),
        ("a b", "The model 'a b' can't be had .there is no such folder"),
        ("a/b/c", "The model 'a/b/c' can't be had .there is no such folder"),
        ("./nowhere", "there is no such folder"),
        ("-gpt2", "there is no such folder"),
        ("a" * 5000, "The model 'a{120}…' can't be had .File name too long"),
        ("~no-such-user/model", "can't be had .*home directory"),
        (str(TINY / "config.json"), "is a file; give the folder"),
        ("", "a name on the hub, a folder or a pair"),
        (None, "not None"),
        (b"gpt2", "a name on the hub, a folder or a pair"),
        (7, "not 7"),
        (GPT2Model, "the class GPT2Model"),
    ],
)
def test_what_is_no_model_is_named(name: Any, named: str) -> None:
    with pytest.raises(ModelUnavailableError, match=named):
        analyze(TEXT, name)
    with pytest.raises(ModelUnavailableError, match=named):
        skipped_words(["cat"], name)


def test_what_is_no_pair_is_named(tokenizer: Any) -> None:
    made = model()
    cases: list[tuple[Any, str]] = [
        (made, "a model without its tokenizer"),
        ((made, None), "a tokenizer of transformers is needed beside the model, not None"),
        ((made,), "not a tuple of 1"),
        ((made, tokenizer, 1), "not a tuple of 3"),
        ([made, tokenizer], "a list; pass the pair"),
        ((tokenizer, made), "in this order"),
        ((GPT2Model, tokenizer), "not the class GPT2Model"),
        (("gpt2", tokenizer), "not str"),
        ((made, tokenizer.backend_tokenizer), "a tokenizer of transformers is needed"),
        ((torch.nn.Linear(1, 1), tokenizer), "not Linear"),
        (pipeline("text-generation", model=made, tokenizer=tokenizer), "a pipeline"),
    ]
    for source, named in cases:
        with pytest.raises(ModelUnavailableError, match=named):
            analyze(TEXT, source)
    base = analyze(TEXT, (made.transformer, tokenizer), n_clusters=2)
    whole = analyze(TEXT, (made, tokenizer), n_clusters=2)
    assert base["cluster_labels"] == whole["cluster_labels"]
    processor = SimpleNamespace(tokenizer=tokenizer)
    assert analyze(TEXT, (made, processor), n_clusters=2)["layers"] == whole["layers"]


@pytest.mark.parametrize("device", [None, 0, "cuda:99", "abacus", "meta", "", ["cpu"]])
def test_what_is_no_device_is_named(device: Any) -> None:
    with pytest.raises(InvalidDataError, match="device: "):
        analyze(TEXT, "tiny", device=device)


def test_a_device_of_torch_is_a_device() -> None:
    made = analyze(TEXT, "tiny", n_clusters=2, device=torch.device("cpu"))  # type: ignore[arg-type]
    assert made["provenance"]["options"]["device"] == "cpu"
    assert analyze_again(made)["cluster_labels"] == made["cluster_labels"]


# The tokenizer and the model


def test_a_token_without_an_embedding_is_named_before_the_run(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    text = "Mark <new> was."
    with pytest.raises(
        InvalidDataError,
        match=r"text\[0\]: token 2 is '<new>' with the id 956, .* ids below 956; .*resize_token",
    ):
        analyze(text, (model(vocab_size=956), tokenizer), n_clusters=2)
    larger = model(vocab_size=956)
    larger.resize_token_embeddings(len(tokenizer))
    assert len(analyze(text, (larger, tokenizer), n_clusters=2)["token_metadata"]["tokens"]) == 5
    with pytest.raises(InvalidDataError, match=r"token 0 is .* ids below 60"):
        analyze(["", "Mark was."], (model(vocab_size=60), tokenizer), n_clusters=2)
    for ids in ([1, -1], [1, 1_024]):
        with pytest.raises(InvalidDataError, match=r"text\[0\]\[1\]: token -?\d+ of a vocabulary"):
            analyze(ids, (model(), tokenizer), n_clusters=2)


def test_the_checksum_of_a_tokenizer_is_that_of_what_it_does(folder: Path) -> None:
    first, second = (AutoTokenizer.from_pretrained(folder) for _ in range(2))
    before = tokenizer_checksum(first)
    assert before == tokenizer_checksum(second)
    second("a text", truncation=True, max_length=2)
    assert before == tokenizer_checksum(second)
    second.add_tokens(["<new>"])
    assert before != tokenizer_checksum(second)
    assert before == tokenizer_checksum(PreTrainedTokenizerFast.from_pretrained(folder))


def test_another_tokenizer_is_noticed_when_an_analysis_is_made_again(folder: Path) -> None:
    made = analyze(f"{TEXT} mountains", folder, n_clusters=2)
    assert analyze_again(made)["cluster_labels"] == made["cluster_labels"]
    kept = made["provenance"]["model"]
    assert (kept["dtype"], kept["attention_implementation"]) == ("float32", "eager")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"] = content["model"]["merges"][:40]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelUnavailableError, match=r"its tokenizer \(their checksums differ\)"):
        analyze_again(made)
    # Of an analysis of an earlier version the tokens tell it.
    early = {key: value for key, value in kept.items() if key != "tokenizer_blake3"}
    provenance = {**made["provenance"], "model": early}
    with pytest.raises(ModelUnavailableError, match=r"was \d+ tokens then, and is \d+ tokens now"):
        analyze_again({**made, "provenance": provenance})


def test_another_configuration_of_the_same_weights_is_noticed(folder: Path) -> None:
    configured()(folder)
    made = analyze(TEXT, folder, n_clusters=2)
    for harmless in ({"transformers_version": "0.0"}, {"use_cache": False}, {"dtype": "float16"}):
        configured(**harmless)(folder)
        assert analyze_again(made)["cluster_labels"] == made["cluster_labels"]
    for changed in ({"activation_function": "relu"}, {"layer_norm_epsilon": 0.1}):
        before = (folder / "config.json").read_text()
        configured(**changed)(folder)
        with pytest.raises(ModelUnavailableError, match=r"its configuration \(their checksums"):
            analyze_again(made)
        (folder / "config.json").write_text(before)


def test_provenance_of_earlier_versions_can_be_used(folder: Path) -> None:
    made = analyze(TEXT, folder, n_clusters=2)
    new = {"configuration_blake3", "tokenizer_blake3", "dtype", "attention_implementation"}
    early = {key: value for key, value in made["provenance"]["model"].items() if key not in new}
    again = analyze_again({**made, "provenance": {**made["provenance"], "model": early}})
    assert again["cluster_labels"] == made["cluster_labels"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"dtype": "bfloat16"}, r"type of its numbers \(bfloat16 then, float32 now\)"),
        ({"attention_implementation": "sdpa"}, r"attention \(sdpa then, eager now\)"),
        (
            {"weights_blake3": "0", "tokenizer_blake3": "0"},
            r"its weights \(their checksums differ\), its tokenizer",
        ),
    ],
)
def test_every_difference_is_named(changed: dict[str, str], named: str, folder: Path) -> None:
    made = analyze(TEXT, folder, n_clusters=2)
    provenance = made["provenance"]
    other = {**provenance, "model": {**provenance["model"], **changed}}
    with pytest.raises(ModelUnavailableError, match=named):
        analyze_again({**made, "provenance": other})


# Names


@pytest.mark.parametrize(
    ("folder", "kind", "label"),
    [
        ("/x/tiny_gpt2", "gpt2", "tiny_gpt2"),
        ("/x/GPT-2 small", "gpt2", "GPT-2 small"),
        ("/x/gpt2-finetuned/model", "gpt2", "gpt2-finetuned/model"),
        ("/x/gpt2-finetuned/checkpoint-500", "gpt2", "gpt2-finetuned/checkpoint-500"),
        ("/runs/7/final", "llama", "llama (7/final)"),
        ("/x/model", "gpt2", "gpt2 (x/model)"),
        ("/model", "gpt2", "gpt2 (model)"),
        ("/x/mine", "gpt_neox", "gpt_neox (mine)"),
        ("/c/models--EleutherAI--pythia-70m/snapshots/" + "a" * 40, "gpt_neox",
         "EleutherAI/pythia-70m"),
    ],
)  # fmt: skip
def test_a_model_in_a_folder_is_called_by_the_folder_and_its_kind(
    folder: str, kind: str, label: str
) -> None:
    assert folder_label(Path(folder), SimpleNamespace(model_type=kind)) == label


def test_a_pair_from_a_folder_is_called_as_the_folder_is(folder: Path, tokenizer: Any) -> None:
    pair = (GPT2LMHeadModel.from_pretrained(folder), tokenizer)
    of_pair, of_folder = (analyze(TEXT, source, n_clusters=2) for source in (pair, folder))
    assert of_pair["model_type"] == of_folder["model_type"] == "gpt2 (folder)"
    assert of_pair["provenance"]["model"]["name"] == str(folder)


# The hub


class Session:
    """A client of the hub that answers after a while, or not at all."""

    def __init__(self, seconds: float | None) -> None:
        self.asked = 0
        self._seconds = seconds

    def head(self, *_: Any, **__: Any) -> None:
        self.asked += 1
        if self._seconds is None:
            raise OSError("no route")
        time.sleep(self._seconds)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a client that may ask the hub."""
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_ETAG_TIMEOUT", raising=False)
    return tmp_path


@pytest.mark.parametrize("seconds", [None, 30.0])
def test_a_hub_that_does_not_answer_is_asked_once_and_not_waited_for(
    seconds: float | None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(seconds)
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: session)
    monkeypatch.setattr(checkpoints, "HUB_SECONDS", 0.05)
    done = threading.Event()

    def run() -> None:
        with pytest.raises(ModelUnavailableError, match="can't be reached, and it is not in the c"):
            analyze(TEXT, "no-one/no-such-model")
        done.set()

    threading.Thread(target=run, daemon=True).start()
    # The client of the hub tries six times, which takes half a minute.
    assert done.wait(20)
    assert session.asked == 1


def test_a_model_in_the_cache_is_loaded_without_the_hub(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = cache / "models--some-one--some-model"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    shutil.copytree(folder, place / "snapshots" / commit)
    session = Session(None)
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: session)
    made = analyze(TEXT, "some-one/some-model", n_clusters=2)
    assert session.asked == 1
    assert made["model_type"] == "some-one/some-model"
    assert made["provenance"]["model"]["revision"] == commit
    again = analyze_again(made)
    assert again["cluster_labels"] == made["cluster_labels"]
    (place / "snapshots" / commit / "tokenizer.json").unlink()
    (place / "snapshots" / commit / "tokenizer_config.json").unlink()
    with pytest.raises(ModelUnavailableError, match="it has no tokenizer"):
        analyze(TEXT, "some-one/some-model", n_clusters=2)
    assert os.environ.get("HF_HUB_ETAG_TIMEOUT") is None
