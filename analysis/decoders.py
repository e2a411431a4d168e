"""The part of a model of transformers that reads text, and what it gives layer by layer.

Every decoder is tried on three tokens before a text is read, because a configuration says neither
how wide each layer is, nor which blocks have attention, nor whether later tokens are looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from concept_fragmentation.analysis.borrowing import drawing_apart
from concept_fragmentation.analysis.errors import InvalidDataError, ModelUnavailableError
from concept_fragmentation.analysis.extra import need

_OTHER: Final = "choose a causal language model such as gpt2"
_NO_ATTENTION: Final = "choose attention 'none'"
# How many tokens a decoder is tried on.
_TRIED: Final = 3
# Attention weights are those of a batch, of heads, of queries and of keys.
_AXES: Final = 4
# How many characters of another library's message are shown.
_SHOWN: Final = 200


@dataclass(frozen=True)
class LayerShapes:
    """Outputs of a decoder for each layer.

    Attributes:
        widths: the dimensions of the hidden states, of the embedding and of each block.
        heads: {block, counted from 1: the number of its heads}, of blocks that give attention.
        order: the block of each attention that the decoder returns, in its order; None for an
            entry without weights.
    """

    widths: tuple[int, ...]
    heads: Mapping[int, int]
    order: tuple[int | None, ...]

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        return len(self.widths) - 1


@dataclass(frozen=True, eq=False)
class Decoder:
    """A causal decoder.

    Attributes:
        module: the `transformers.PreTrainedModel` that is run, without a head where possible.
        shown: how messages call it.
        final: the module behind the last block, a normalisation mostly, whose input is read as the
            last hidden state; None: the last hidden state is as transformers gives it.
        first: the first block, where transformers leaves out what enters it; None elsewhere.
    """

    module: Any
    shown: str
    final: Any = None
    first: Any = None

    @cached_property
    def config(self) -> Any:
        """Its configuration, of text alone where the model has other parts."""
        return _text_config(self.module.config, self.shown)

    @property
    def context_length(self) -> int | None:
        """Most tokens in one pass; None where the configuration does not say."""
        for name in ("max_position_embeddings", "max_seq_len", "context_length"):
            length = getattr(self.config, name, None)
            if isinstance(length, int) and length > 0:
                return length - self._shift(length)
        return None

    @property
    def vocabulary_size(self) -> int:
        """Number of rows of the embedding; readable token ids are below it."""
        table = self._embedding
        if table is None:
            return int(self.config.vocab_size)
        return int(table.weight.shape[0])

    @property
    def device(self) -> Any:
        """Device for the token ids."""
        table = self._embedding
        return self.module.device if table is None else table.weight.device

    def read(
        self, ids: Any, mask: Any, *, attentions: bool
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        """Run it on token ids (B, S) with a mask of padding at the end.

        Returns:
            Hidden states (B, S, d) of the embedding and of each block, the last one before
            `final`, and what it gives as attentions.

        Raises:
            ModelUnavailableError: it can't be run, or gives no hidden states.
        """
        torch = need("torch")
        given = {
            "input_ids": ids.to(self.device),
            "attention_mask": mask.to(self.device),
            "output_hidden_states": True,
            "output_attentions": attentions,
            "use_cache": False,
            "return_dict": True,
        }
        taken = inspect.signature(self.module.forward).parameters
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
            given = {name: value for name, value in given.items() if name in taken}
        if "input_ids" not in given:
            raise ModelUnavailableError(f"The model {self.shown} reads no text; {_OTHER}.")
        try:
            # Tensors made in inference mode could not be trained with by the caller later.
            with (
                torch.no_grad(),
                _inputs_of(self.final) as before_final,
                _inputs_of(self.first) as embedding,
            ):
                output = self.module(**given)
        except torch.OutOfMemoryError as error:
            raise ModelUnavailableError(
                f"There is not enough memory to run the model {self.shown} on {ids.numel():,} "
                "tokens at once; choose a smaller batch_size or window, or another device."
            ) from error
        # A model runs whatever code it is made of.
        except Exception as error:
            raise ModelUnavailableError(
                f"The model {self.shown} can't be run on {ids.shape[-1]:,} tokens "
                f"({first_line(error)}); check that it runs by itself, and that it reads as many "
                "tokens at once (window)."
            ) from error
        hidden = getattr(output, "hidden_states", None)
        if not isinstance(hidden, Sequence) or len(hidden) < 2:
            raise ModelUnavailableError(
                f"The model {self.shown} does not give its hidden states layer by layer; {_OTHER}."
            )
        if before_final:
            hidden = (*embedding, *hidden[: len(hidden) - 1 - len(embedding)], before_final[-1])
        found = getattr(output, "attentions", None)
        return hidden, found if isinstance(found, Sequence) else None

    def before_final(self) -> Decoder:
        """Return the decoder that gives the last hidden state as the last block leaves it.

        Transformers gives those of the other blocks so, and that of the last behind the final
        normalisation. Of some families (Mamba, RWKV) it gives both, and not what enters the first
        block. What comes behind the last block is found by running it on a few tokens; where
        nothing does, or it can't be told, the decoder stays as it is.

        Raises:
            ModelUnavailableError: as `read`.
        """
        torch = need("torch")
        ids = self.tried_ids()
        timeline = _Timeline()
        with timeline.watching(self.module), drawing_apart(0):
            hidden, _ = self.read(ids, torch.ones_like(ids), attentions=False)
        final, is_listed = timeline.behind(hidden[-2], hidden[-1])
        if not is_listed:
            return replace(self, final=final)
        lists = (part for part in self.module.modules() if isinstance(part, torch.nn.ModuleList))
        first = next((blocks[0] for blocks in lists if len(blocks) == len(hidden) - 1), None)
        return self if first is None else replace(self, final=final, first=first)

    def try_out(self, *, attentions: bool) -> LayerShapes:
        """Run it on a few tokens, and say what it gives of each layer.

        Raises:
            ModelUnavailableError: it can't be run, gives no hidden states of single tokens, or
                lets later tokens change them; or attentions are wanted and it gives none that can
                be told apart by block.
            InvalidDataError: its hidden states are not finite.
        """
        torch = need("torch")
        ids = self.tried_ids()
        timeline = _Timeline()
        with timeline.watching(self.module), drawing_apart(0):
            hidden, found = self.read(ids, torch.ones_like(ids), attentions=attentions)
        for i, states in enumerate(hidden):
            if getattr(states, "ndim", 0) != 3 or states.shape[:2] != ids.shape:
                shape = tuple(getattr(states, "shape", ()))
                raise ModelUnavailableError(
                    f"The model {self.shown} has no single hidden state for each token: "
                    f"hidden_states[{i}] of {ids.shape[0]} texts of {ids.shape[1]} tokens has the "
                    f"shape {shape}; {_OTHER}."
                )
        blocks = getattr(self.config, "num_hidden_layers", len(hidden) - 1)
        if blocks != len(hidden) - 1:
            raise ModelUnavailableError(
                f"The model {self.shown} gives {len(hidden)} hidden states for {blocks} blocks "
                f"instead of one more than blocks; {_OTHER}."
            )
        self._check_finite(hidden)
        self._check_causal(hidden)
        widths = tuple(int(states.shape[-1]) for states in hidden)
        if not attentions:
            return LayerShapes(widths, {}, ())
        order = self._blocks_of(found or (), hidden, timeline)
        heads: dict[int, int] = {}
        kept: list[int | None] = []
        for block, weights in zip(order, found or (), strict=True):
            shape = tuple(getattr(weights, "shape", ()))
            # What linear attention and RWKV give in its place are no weights on tokens.
            is_weights = (
                len(shape) == _AXES
                and shape[0] == len(ids)
                and shape[2:]
                == (
                    ids.shape[1],
                    ids.shape[1],
                )
            )
            kept.append(block if is_weights else None)
            if block is None or not is_weights:
                continue
            if weights.triu(1).any():
                raise ModelUnavailableError(
                    f"The model {self.shown} gives attention weights on later tokens in "
                    f"block_{block}; {_NO_ATTENTION}, or load it with "
                    "attn_implementation='eager'."
                )
            heads[block] = shape[1]
        return LayerShapes(widths, heads, tuple(kept))

    def _check_finite(self, hidden: Sequence[Any]) -> None:
        """Notice weights that are no numbers first: attention is NaN then too, on later tokens."""
        for i, states in enumerate(hidden):
            if not bool(states.isfinite().all()):
                raise InvalidDataError(
                    [
                        f"hidden_states.{f'block_{i}' if i else 'embedding'}: the model gave NaN "
                        f"or infinity ({self.shown} in {states.dtype}); check its weights, or load "
                        "it as float32"
                    ]
                )

    def _check_causal(self, hidden: Sequence[Any]) -> None:
        """Compare the two texts that were tried: they differ in their last token only."""
        torch = need("torch")
        for states in hidden:
            before = states[:, :-1].float()
            # Kernels add in another order for other tokens, and a block that writes a massive
            # activation makes of last digits a hundred times as much.
            rounding = torch.finfo(states.dtype).eps ** 0.5
            change, norm = (before[0] - before[1]).norm(dim=-1), before[0].norm(dim=-1)
            if bool((change > rounding * norm).any()):
                raise ModelUnavailableError(
                    f"The model {self.shown} is no causal decoder ({type(self.module).__name__}): "
                    "what it holds of a token depends on later tokens; "
                    f"{_OTHER}."
                )

    def _blocks_of(
        self, attentions: Sequence[Any], hidden: Sequence[Any], timeline: _Timeline
    ) -> tuple[int | None, ...]:
        """Say which block each of the returned attentions belongs to."""
        num_blocks = len(hidden) - 1
        given = [i for i, weights in enumerate(attentions) if weights is not None]
        found: list[int | None] = [None] * len(attentions)
        # Attention belongs to the block between whose input and output it was computed. The last
        # hidden state has passed a normalisation and says nothing of when its block ended.
        starts = [timeline.first(states) for states in hidden[:-1]]
        times = [timeline.first(attentions[i]) for i in given]
        known = None not in starts and None not in times
        blocks = [sum(start < time for start in starts) for time in times] if known else []  # type: ignore[operator]
        if known and 0 not in blocks:
            for i, block in zip(given, blocks, strict=True):
                found[i] = block
        elif len(attentions) == num_blocks:
            for i in given:
                found[i] = i + 1
        elif given:
            raise ModelUnavailableError(
                f"The model {self.shown} gives {len(attentions)} attentions for {num_blocks} "
                f"blocks, and which is whose can't be told; {_NO_ATTENTION}."
            )
        named = [block for block in found if block is not None]
        if twice := sorted(block for block in set(named) if named.count(block) > 1):
            raise ModelUnavailableError(
                f"The model {self.shown} gives several attentions of block_{twice[0]}; "
                f"{_NO_ATTENTION}."
            )
        return tuple(found)

    def tried_ids(self) -> Any:
        """Two texts of a few ordinary tokens, which differ in the last one where they can."""
        torch = need("torch")
        size = self.vocabulary_size
        special = {
            value
            for name, value in vars(self.config).items()
            if name.endswith(("token_id", "token_index")) and isinstance(value, int)
        }
        plain = [i for i in range(min(size, 1_000)) if i not in special] or [0]
        length = min(_TRIED, self.context_length or _TRIED)
        first = [plain[i % len(plain)] for i in range(length)]
        second = [*first[:-1], plain[length % len(plain)]]
        return torch.tensor([first, second])

    @property
    def _embedding(self) -> Any:
        try:
            table = self.module.get_input_embeddings()
        except (AttributeError, NotImplementedError):
            return None
        weight = getattr(table, "weight", None)
        return table if getattr(weight, "ndim", 0) == 2 else None

    def _shift(self, length: int) -> int:
        """Return how many rows of a table of positions stand for padding (as in RoBERTa)."""
        torch = need("torch")
        for module in self.module.modules():
            if (
                isinstance(module, torch.nn.Embedding)
                and module.num_embeddings == length != self.vocabulary_size
                and module.padding_idx is not None
            ):
                return int(module.padding_idx) + 1
        return 0


def text_decoder(model: Any, shown: str) -> Decoder:
    """Find the part of a `transformers.PreTrainedModel` that reads text.

    The head that predicts the next token has no part in it, nor has what reads images or sound.

    Raises:
        ModelUnavailableError: there is none, or its weights are not there.
    """
    transformers = need("transformers")
    check_kind(model.config, shown)
    module = model.base_model
    text = _text_config(module.config, shown)
    if text is not module.config:
        inner = module.get_decoder()
        if isinstance(inner, transformers.PreTrainedModel):
            module = inner.base_model
            check_kind(module.config, shown)
    if any(parameter.is_meta for parameter in module.parameters()):
        raise ModelUnavailableError(
            f"The weights of the model {shown} are not in memory (they are on the device 'meta'); "
            "load it with its weights."
        )
    return Decoder(module, shown)


def check_kind(config: Any, shown: str) -> None:
    """Refuse a configuration that is none of a decoder.

    Raises:
        ModelUnavailableError: it is that of an encoder-decoder, or of a model without layers.
    """
    if getattr(config, "is_encoder_decoder", False) or not hasattr(
        _text_config(config, shown), "num_hidden_layers"
    ):
        raise ModelUnavailableError(
            f"The model {shown} is no decoder ({config.model_type}); {_OTHER}."
        )


def use_plain_attention(decoder: Decoder) -> None:
    """Let a decoder compute attention in the plain ("eager") way, which gives the weights.

    Raises:
        ModelUnavailableError: it computes other hidden states then, so that the weights would not
            be those that made them.
    """
    torch = need("torch")
    module = decoder.module
    own = module.config._attn_implementation
    if own == "eager":
        return
    ids = decoder.tried_ids()
    with drawing_apart(0):
        before, _ = decoder.read(ids, torch.ones_like(ids), attentions=False)
    with quiet():
        module.set_attn_implementation("eager")
    # Older classes can't be switched, and choose in their code by the configuration.
    module.config._attn_implementation_internal = "eager"
    with drawing_apart(0):
        after, _ = decoder.read(ids, torch.ones_like(ids), attentions=True)
    for old, new in zip(before, after, strict=True):
        rounding = torch.finfo(old.dtype).eps ** 0.5
        if bool((old - new).abs().max() > rounding * old.abs().max()):
            raise ModelUnavailableError(
                f"The model {decoder.shown} computes other hidden states with the implementation "
                f"of attention that gives its weights (eager) than with its own ({own}); "
                f"{_NO_ATTENTION}."
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing reports and bars; what is wrong is raised."""
    logging = need("transformers").utils.logging
    verbosity, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    text = str(error).strip().partition("\n")[0].rstrip(".: ") or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


@contextmanager
def _inputs_of(module: Any) -> Iterator[list[Any]]:
    """Collect the first argument of each call of a module; of None, nothing."""
    found: list[Any] = []
    if module is None:
        yield found
        return
    handle = module.register_forward_pre_hook(
        lambda _module, args, kwargs: found.append(_tensors((args, kwargs))[0]), with_kwargs=True
    )
    try:
        yield found
    finally:
        handle.remove()


def _tensors(value: Any) -> list[Any]:
    """Return the tensors in what goes into a module or comes out of one, however nested."""
    if isinstance(value, need("torch").Tensor):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | tuple | list):
        return [tensor for item in items for tensor in _tensors(item)]
    return []


@dataclass(eq=False)
class _Call:
    """One call of a module: the tensors that went in and came out, and how many calls began."""

    module: Any
    given: list[Any]
    began: int
    gave: list[Any]
    ended: int


class _Timeline:
    """The calls of modules, and when each tensor was first seen going in or coming out."""

    def __init__(self) -> None:
        # The tensors are held, so that no other one gets the identity of one that is gone.
        self._seen: dict[int, tuple[int, Any]] = {}
        self._calls: list[_Call] = []
        self._open: list[_Call] = []

    def first(self, tensor: Any) -> int | None:
        """When a tensor was first seen; None if it never was."""
        found = self._seen.get(id(tensor))
        return None if found is None else found[0]

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Watch every module of a model."""

        def before(module: Any, args: Any, kwargs: Any) -> None:
            call = _Call(module, _tensors((args, kwargs)), len(self._calls), [], 0)
            self._note(call.given)
            self._calls.append(call)
            self._open.append(call)

        def after(_module: Any, _args: Any, output: Any) -> None:
            call = self._open.pop()
            call.gave, call.ended = _tensors(output), len(self._calls)
            self._note(call.gave)

        handles = []
        try:
            for module in model.modules():
                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                handles.append(module.register_forward_hook(after))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def behind(self, entered: Any, left: Any) -> tuple[Any, bool]:
        """Return the module behind the last block, by the last two hidden states.

        Args:
            entered: the last but one: what the last block was given, or what it gave.
            left: the last.

        Returns:
            The first module that is called once the last block is done, if what it gives, passed on
            by the modules behind it, is the last hidden state, and whether what it was given is the
            last hidden state but one. None if the block gives the last hidden state itself, or if
            it can't be told.
        """
        block = next(
            (
                call
                for call in self._calls
                # Dropout that drops nothing hands on what it is given.
                if any(_same(entered, one) for one in call.given)
                and not any(_same(entered, one) for one in call.gave)
            ),
            None,
        )
        if block is None:
            return None, False
        if any(_same(left, one) for one in block.gave):
            # No block is without matrices.
            is_norm = all(weight.ndim < 2 for weight in block.module.parameters())
            return (block.module, True) if is_norm else (None, False)
        at = block.ended
        last = first = self._calls[at] if at < len(self._calls) else None
        while last is not None and not any(_same(left, one) for one in last.gave):
            at = last.ended
            after = self._calls[at] if at < len(self._calls) else None
            passed_on = after is not None and any(
                _same(here, there) for here in last.gave for there in after.given
            )
            last = after if passed_on else None
        return (None if last is None or first is None else first.module), False

    def _note(self, tensors: Sequence[Any]) -> None:
        for tensor in tensors:
            self._seen.setdefault(id(tensor), (len(self._seen), tensor))


def _same(one: Any, other: Any) -> bool:
    """Whether two tensors are the same numbers in memory, in the same or another shape."""
    return bool(one.numel() == other.numel() and one.data_ptr() == other.data_ptr())


def _text_config(config: Any, shown: str) -> Any:
    try:
        return config.get_text_config(decoder=True)
    except ValueError as error:
        raise ModelUnavailableError(
            f"The model {shown} has several parts that read text ({config.model_type}); {_OTHER}."
        ) from error
