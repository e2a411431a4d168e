"""Language models with their tokenizers: the one that ships, a checkpoint, or one in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from concept_fragmentation.analysis.arrays import shown
from concept_fragmentation.analysis.borrowing import drawing_apart, given_back
from concept_fragmentation.analysis.checkpoints import (
    Checkpoint,
    check_loaded,
    check_tokenizer,
    find_checkpoint,
    folder_label,
    loading,
)
from concept_fragmentation.analysis.decoders import (
    Decoder,
    LayerShapes,
    check_kind,
    quiet,
    text_decoder,
    use_plain_attention,
)
from concept_fragmentation.analysis.errors import InvalidDataError, ModelUnavailableError
from concept_fragmentation.analysis.extra import need

# The name of the model that ships: very small, trained on made-up stories; see its README.
TINY: Final = "tiny"
TINY_MODEL_TYPE: Final = "tiny_gpt2"

# Keys of config.json that say where a model came from, or what else it is used for.
_NOT_COMPUTED_WITH: Final = frozenset(
    {
        "_commit_hash",
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "id2label",
        "label2id",
        "task_specific_params",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)

ModelSource = str | PathLike[str] | tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal decoder of transformers, ready to give hidden states and attentions.

    Attributes:
        name: what it was asked for by: `tiny`, a name on the hub or the path of a local folder; of
            a loaded model the path or name that it came from.
        model_type: what an analysis calls it.
        revision: the commit on the hub; None where it comes from elsewhere.
        was_loaded: whether the caller handed over the model in memory.
        decoder: what reads text, without gradients.
        tokenizer: its tokenizer.
        layers: what the decoder gives of each layer.
        weights_blake3: the checksum of its weights; see `weights_checksum`.
        configuration_blake3: the checksum of its configuration; see `configuration_checksum`. None
            of a model that the caller handed over.
    """

    name: str
    model_type: str
    revision: str | None
    was_loaded: bool
    decoder: Decoder
    tokenizer: Any
    layers: LayerShapes
    weights_blake3: str
    configuration_blake3: str | None

    @property
    def num_blocks(self) -> int:
        """How many transformer blocks it has."""
        return self.layers.num_blocks

    @property
    def context_length(self) -> int | None:
        """How many tokens it reads at once; None where its configuration does not say."""
        return self.decoder.context_length

    @property
    def vocabulary_size(self) -> int:
        """Below this are the ids of the tokens that it can read."""
        return self.decoder.vocabulary_size


def weights_checksum(module: Any) -> str:
    """BLAKE3 of all parameters and buffers: their names, types, shapes and bytes, by name.

    It is the same wherever a model was loaded from, as long as it was loaded in the same type of
    numbers.
    """
    torch = need("torch")
    hashed = blake3()
    for name, tensor in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        hashed.update(plain.view(torch.uint8).numpy() if plain.numel() else b"")
    return hashed.hexdigest()


def configuration_checksum(checkpoint: Checkpoint) -> str:
    """BLAKE3 of what config.json says: the same weights compute otherwise with another one.

    The file is read rather than the configuration that transformers makes of it, to which each
    version of transformers adds defaults. Keys that change no hidden state are left out.
    """
    config = need("transformers").PreTrainedConfig
    content, _ = config.get_config_dict(checkpoint.place, **checkpoint.options)
    decisive = {key: value for key, value in content.items() if key not in _NOT_COMPUTED_WITH}
    return blake3(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def tokenizer_checksum(tokenizer: Any) -> str:
    """BLAKE3 of what decides which tokens a text becomes: vocabulary, merges, rules, specials.

    Truncation and padding are left out: they are what somebody last called the tokenizer with.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        parts: Any = json.loads(backend.to_str())
        parts.pop("truncation", None)
        parts.pop("padding", None)
    else:
        pieces = getattr(tokenizer, "sp_model", None)
        ranks = getattr(tokenizer, "bpe_ranks", None) or {}
        parts = {
            "vocabulary": tokenizer.get_vocab(),
            "merges": sorted((rank, *map(str, pair)) for pair, rank in ranks.items()),
            "added": {str(i): repr(token) for i, token in tokenizer.added_tokens_decoder.items()},
            "pieces": None
            if pieces is None
            else blake3(pieces.serialized_model_proto()).hexdigest(),
        }
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return blake3(
        json.dumps([parts, special], sort_keys=True, ensure_ascii=True).encode()
    ).hexdigest()


@contextmanager
def open_model(
    source: ModelSource,
    *,
    revision: str | None,
    device: str,
    attentions: bool,
    final_norm: bool = False,
    seed: int = 0,
) -> Iterator[LanguageModel]:
    """Load a model, or borrow one that is in memory and give it back as it was.

    Args:
        source: `tiny`, the name of a checkpoint on the hub, the path of a local folder, or a pair
            (model, tokenizer) of transformers. `HF_HUB_OFFLINE=1` is honoured, and a hub that
            does not answer is not waited for.
        revision: a commit, branch or tag on the hub.
        device: as torch names it, or "auto": CUDA if there is one, else the CPU. A model in memory
            stays where it is.
        attentions: whether attentions are wanted; they need the plain ("eager") implementation.
        final_norm: whether the last hidden state is taken behind the final normalisation, as
            transformers gives it, or before it, as those of the other blocks are.
        seed: of what the model itself draws at random.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelUnavailableError: there is no such model, it is not whole, or it is no decoder; the
            sentence says what can be done.
        InvalidDataError: there is no such device.
    """
    if isinstance(source, tuple):
        need("torch")
        _device(device)
        model, tokenizer = _checked_pair(source)
        opened = _borrowed(model, tokenizer, attentions=attentions, final_norm=final_norm)
    else:
        # A model that can't be had is told before the seconds that it takes to import torch.
        checkpoint = _checkpoint(source, revision)
        need("torch")
        opened = _loaded(checkpoint, _device(device), attentions=attentions, final_norm=final_norm)
    with opened as found, drawing_apart(seed):
        yield found


def open_tokenizer(source: ModelSource, *, revision: str | None = None) -> Any:
    """Load the tokenizer of a model without the model, or take that of a pair.

    Args:
        source: as `open_model` takes it.
        revision: a commit, branch or tag on the hub.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelUnavailableError: there is no such tokenizer.
    """
    if isinstance(source, tuple):
        return _checked_pair(source)[1]
    return _tokenizer(_checkpoint(source, revision))


def _checked_name(source: Any) -> str:
    """The name or path in a source that is no pair."""
    if isinstance(source, str | PathLike):
        name = fspath(source)
        if isinstance(name, str) and name:
            return name
    kind = source.__name__ if isinstance(source, type) else type(source).__name__
    if isinstance(source, type):
        found = f"the class {kind}; make or load a model of it first, and"
    elif hasattr(source, "tokenizer") and hasattr(source, "model"):
        found = f"a pipeline ({kind});"
    elif isinstance(source, need("transformers").PreTrainedModel):
        found = f"a model without its tokenizer ({kind});"
    elif isinstance(source, list) and len(source) == 2:
        found = "a list;"
    else:
        raise ModelUnavailableError(
            "model: a name on the hub, a folder or a pair (model, tokenizer) is needed, not "
            f"{shown(source)}."
        )
    raise ModelUnavailableError(
        f"model: {found} pass the pair (model, tokenizer) as a tuple, a name or a folder."
    )


def _checked_pair(source: tuple[Any, ...]) -> tuple[Any, Any]:
    """The model and the tokenizer of a pair, out of what wraps them."""
    transformers = need("transformers")
    bases = need("transformers.tokenization_utils_base")
    if len(source) != 2:
        raise ModelUnavailableError(
            f"model: a pair (model, tokenizer) is needed, not a tuple of {len(source)}."
        )
    model, tokenizer = source
    if isinstance(model, bases.PreTrainedTokenizerBase):
        raise ModelUnavailableError(
            "model: the pair is (model, tokenizer), in this order; the tokenizer comes first here."
        )
    # torch.compile and DistributedDataParallel hold the model that they run.
    for name in ("_orig_mod", "module"):
        inner = getattr(model, name, None)
        if isinstance(inner, transformers.PreTrainedModel):
            model = inner
    if not isinstance(model, transformers.PreTrainedModel):
        found = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        hint = "; give what merge_and_unload() returns" if hasattr(model, "peft_config") else ""
        raise ModelUnavailableError(
            f"A model of transformers is needed, not {found}{hint}; pass a name, a folder or a "
            "pair (model, tokenizer)."
        )
    # Processors of models that also read images hold the tokenizer.
    if not isinstance(tokenizer, bases.PreTrainedTokenizerBase):
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if not isinstance(tokenizer, bases.PreTrainedTokenizerBase):
        raise ModelUnavailableError(
            f"model: a tokenizer of transformers is needed beside the model, not "
            f"{shown(tokenizer)}; load it with AutoTokenizer.from_pretrained."
        )
    return model, tokenizer


@contextmanager
def _borrowed(
    model: Any, tokenizer: Any, *, attentions: bool, final_norm: bool
) -> Iterator[LanguageModel]:
    name = str(model.name_or_path or type(model).__name__)
    decoder = text_decoder(model, repr(name if model.name_or_path else type(model).__name__))
    folder = Path(name)
    with given_back(model):
        model.eval()
        yield _opened(
            decoder,
            tokenizer,
            attentions=attentions,
            final_norm=final_norm,
            name=name,
            model_type=folder_label(folder.resolve(), decoder.config)
            if folder.is_absolute() or folder.is_dir()
            else name,
            revision=None,
            was_loaded=True,
            configuration_blake3=None,
        )


@contextmanager
def _loaded(
    checkpoint: Checkpoint, device: Any, *, attentions: bool, final_norm: bool
) -> Iterator[LanguageModel]:
    torch, transformers = need("torch"), need("transformers")
    name = checkpoint.name
    with loading(checkpoint), quiet():
        config = transformers.AutoConfig.from_pretrained(checkpoint.place, **checkpoint.options)
        check_kind(config, repr(name))
        configuration = configuration_checksum(checkpoint)
    tokenizer = _tokenizer(checkpoint)
    with loading(checkpoint), quiet():
        model, info = transformers.AutoModel.from_pretrained(
            checkpoint.place,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **checkpoint.options,
        )
    decoder = text_decoder(model.eval(), repr(name))
    _check_weights(checkpoint, model, decoder, info)
    with loading(checkpoint):
        model.to(device)
    path = Path(checkpoint.place).resolve()
    label = TINY_MODEL_TYPE if name == TINY else name
    is_folder = checkpoint.is_local and name != TINY
    yield _opened(
        decoder,
        tokenizer,
        attentions=attentions,
        final_norm=final_norm,
        name=str(path) if is_folder else name,
        model_type=folder_label(path, config) if is_folder else label,
        revision=checkpoint.revision,
        was_loaded=False,
        configuration_blake3=configuration,
    )


def _opened(
    decoder: Decoder, tokenizer: Any, *, attentions: bool, final_norm: bool, **described: Any
) -> LanguageModel:
    # The weights as they came: RWKV changes some when it first runs.
    checksum = weights_checksum(decoder.module)
    if attentions:
        use_plain_attention(decoder)
    if not final_norm:
        decoder = decoder.before_final()
    return LanguageModel(
        decoder=decoder,
        tokenizer=tokenizer,
        layers=decoder.try_out(attentions=attentions),
        weights_blake3=checksum,
        **described,
    )


def _checkpoint(source: Any, revision: str | None) -> Checkpoint:
    name = _checked_name(source)
    if name == TINY:
        place = str(resources.files("concept_fragmentation") / "data" / "tiny_gpt2")
        return Checkpoint(name, place, True, {"trust_remote_code": False})
    return find_checkpoint(name, revision, is_path=not isinstance(source, str))


def _tokenizer(checkpoint: Checkpoint) -> Any:
    transformers = need("transformers")
    with loading(checkpoint), quiet():
        found = transformers.AutoTokenizer.from_pretrained(checkpoint.place, **checkpoint.options)
        check_tokenizer(checkpoint, found)
    return found


def _check_weights(checkpoint: Checkpoint, model: Any, decoder: Decoder, info: Any) -> None:
    """Refuse a decoder that has weights of which the checkpoint knows nothing."""
    module = decoder.module
    prefix = next(name for name, found in model.named_modules() if found is module)
    prefix = f"{prefix}." if prefix else ""
    # What comes behind the last hidden state: heads, and what BERT makes of its first token.
    behind = [module.get_output_embeddings(), getattr(module, "pooler", None)]
    ignored = [
        name
        for part in behind
        if part is not None
        for name, found in model.named_parameters()
        if any(found is parameter for parameter in part.parameters())
    ]
    check_loaded(checkpoint, info, prefix, ignored)


def _device(device: Any) -> Any:
    torch = need("torch")
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device):
        raise InvalidDataError(
            [f"device: 'auto', 'cpu' or another name of torch is needed, not {shown(device)}"]
        )
    try:
        chosen = torch.device(device)
        if chosen.type == "meta":
            raise InvalidDataError(["device: 'meta' holds no numbers; choose 'auto' or 'cpu'"])
        torch.empty(0, device=chosen)
    # An AssertionError is what torch says where it was built without that device.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidDataError(
            [f"device: {str(device)!r} can't be used ({reason}); choose 'auto' or 'cpu'"]
        ) from error
    return chosen
