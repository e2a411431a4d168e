"""Language models with their tokenizers: the one that ships, a checkpoint, or one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from concept_fragmentation.analysis.errors import InvalidDataError, ModelUnavailableError
from concept_fragmentation.analysis.extra import need

# The name of the model that ships: very small, trained on made-up stories; see its README.
TINY: Final = "tiny"
TINY_MODEL_TYPE: Final = "tiny_gpt2"

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
        model: the `transformers.PreTrainedModel`, without gradients.
        tokenizer: its tokenizer.
    """

    name: str
    model_type: str
    revision: str | None
    was_loaded: bool
    model: Any
    tokenizer: Any

    @property
    def num_blocks(self) -> int:
        """How many transformer blocks it has."""
        return int(self.model.config.num_hidden_layers)

    @property
    def context_length(self) -> int | None:
        """How many tokens it reads at once; None where its configuration does not say."""
        length = getattr(self.model.config, "max_position_embeddings", None)
        return None if length is None else int(length)

    @property
    def vocabulary_size(self) -> int:
        """Below this are the ids of its tokens."""
        return int(self.model.config.vocab_size)

    def checksum(self) -> str:
        """BLAKE3 of all parameters and buffers: their names, types, shapes and bytes, by name.

        It is the same wherever the model was loaded from, as long as it was loaded in the same
        type of numbers.
        """
        torch = need("torch")
        hashed = blake3()
        for name, tensor in sorted(self.model.state_dict().items()):
            hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            hashed.update(plain.view(torch.uint8).numpy() if plain.numel() else b"")
        return hashed.hexdigest()


@contextmanager
def open_model(
    source: ModelSource, *, revision: str | None, device: str, attentions: bool
) -> Iterator[LanguageModel]:
    """Load a model, or borrow one that is in memory and give it back as it was.

    Args:
        source: `tiny`, the name of a checkpoint on the hub, the path of a local folder, or a pair
            (model, tokenizer) of transformers. Whether the hub is asked at all is up to its client:
            `HF_HUB_OFFLINE=1` is honoured.
        revision: a commit, branch or tag on the hub.
        device: as torch names it, or "auto": CUDA if there is one, else the CPU. A model in memory
            stays where it is.
        attentions: whether attentions are wanted; they need the plain ("eager") implementation.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelUnavailableError: there is no such model, or it is no decoder; the sentence says what
            can be done.
        InvalidDataError: there is no such device.
    """
    need("torch")
    need("transformers")
    if isinstance(source, tuple):
        with _borrowed(*source, attentions=attentions) as found:
            yield found
        return
    yield _loaded(fspath(source), revision, device, attentions=attentions)


@contextmanager
def _borrowed(model: Any, tokenizer: Any, *, attentions: bool) -> Iterator[LanguageModel]:
    transformers = need("transformers")
    if not isinstance(model, transformers.PreTrainedModel):
        raise ModelUnavailableError(
            f"A model of transformers is needed, not {type(model).__name__}; pass a name, a folder "
            "or a pair (model, tokenizer)."
        )
    _check_kind(model.config, repr(type(model).__name__))
    # The head that predicts the next token has no part in it.
    base = model.base_model
    name = str(model.name_or_path or type(model).__name__)
    implementation, training = base.config._attn_implementation, base.training
    try:
        base.eval()
        if attentions and implementation != "eager":
            base.set_attn_implementation("eager")
        yield LanguageModel(name, name, None, True, base, tokenizer)
    finally:
        base.train(training)
        if base.config._attn_implementation != implementation:
            base.set_attn_implementation(implementation)


def _loaded(name: str, revision: str | None, device: str, *, attentions: bool) -> LanguageModel:
    torch, transformers = need("torch"), need("transformers")
    chosen = _device(device)
    implementation = {"attn_implementation": "eager"} if attentions else {}
    place = str(resources.files("concept_fragmentation") / "data" / "tiny_gpt2")
    where = place if name == TINY else name
    is_local = name == TINY or Path(name).is_dir()
    options = {} if is_local else {"revision": revision}
    try:
        config = transformers.AutoConfig.from_pretrained(where, **options)
        _check_kind(config, repr(name))
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
        with _without_bar():
            model = transformers.AutoModel.from_pretrained(
                where, config=config, dtype=torch.float32, **implementation, **options
            )
    # What transformers raises for what is not there, is damaged or is of an unknown kind.
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelUnavailableError(_unavailable(name, error, is_local=is_local)) from error
    model.eval().to(chosen)
    if name == TINY:
        return LanguageModel(name, TINY_MODEL_TYPE, None, False, model, tokenizer)
    return LanguageModel(
        name=str(Path(name).resolve()) if is_local else name,
        model_type=Path(name).resolve().name if is_local else name,
        revision=getattr(model.config, "_commit_hash", None),
        was_loaded=False,
        model=model,
        tokenizer=tokenizer,
    )


def open_tokenizer(source: ModelSource, *, revision: str | None = None) -> Any:
    """Load the tokenizer of a model without the model, or take that of a pair.

    Args:
        source: as `open_model` takes it.
        revision: a commit, branch or tag on the hub.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelUnavailableError: there is no such tokenizer.
    """
    transformers = need("transformers")
    if isinstance(source, tuple):
        return source[-1]
    name = fspath(source)
    is_local = name == TINY or Path(name).is_dir()
    place = str(resources.files("concept_fragmentation") / "data" / "tiny_gpt2")
    options = {} if is_local else {"revision": revision}
    try:
        return transformers.AutoTokenizer.from_pretrained(
            place if name == TINY else name, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelUnavailableError(_unavailable(name, error, is_local=is_local)) from error


@contextmanager
def _without_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar of its own where `progress` tells how far it is."""
    logging = need("transformers").utils.logging
    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _device(device: str) -> Any:
    torch = need("torch")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    # An AssertionError is what torch says where it was built without that device.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidDataError(
            [f"device: {device!r} can't be used ({reason}); choose 'auto' or 'cpu'"]
        ) from error
    return chosen


def _check_kind(config: Any, shown: str) -> None:
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "num_hidden_layers"):
        raise ModelUnavailableError(
            f"The model {shown} is no decoder ({config.model_type}); choose a causal language "
            "model such as gpt2."
        )


def _unavailable(name: str, error: Exception, *, is_local: bool) -> str:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    if is_local:
        return (
            f"The model in the folder {name!r} can't be loaded ({reason}); give a folder that "
            "save_pretrained of transformers wrote, with its tokenizer."
        )
    return (
        f"The model {name!r} can't be had ({reason}). Check the name and the connection, unset "
        "HF_HUB_OFFLINE if it is set, give the path of a local folder, or choose the model "
        f"{TINY!r}, which ships."
    )
