"""Hidden states and attentions of sequences, read from a language model window by window.

A text longer than what the model reads at once is cut into windows that overlap. Each token counts
once, in the first window that holds it: there it has the most tokens before it, never fewer than
the overlap once the text is longer than a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.attention import AttentionStatistics
from concept_fragmentation.analysis.errors import InvalidDataError, ModelUnavailableError
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.hidden_states import LayerStates
from concept_fragmentation.analysis.language_models import LanguageModel
from concept_fragmentation.analysis.sequences import Sequences

EMBEDDING: Final = "embedding"
# Where the model could read more: attention takes memory and time by the square of this.
LONGEST_WINDOW: Final = 1024
# How many bytes of attention weights an analysis holds at most.
FULL_ATTENTION_BYTES: Final = 1024**3
# How many tokens, padding too, are run at once, where the caller does not say how many sequences.
_BATCH_TOKENS: Final = 1024

Attention = Literal["metrics", "full", "none"]


@dataclass(frozen=True)
class Window:
    """A part of one sequence that is read at once.

    Attributes:
        sequence: which.
        start, stop: the tokens read.
        counted: the first token that counts here; those before it are only context.
        row: the row of that token in the analysis.
    """

    sequence: int
    start: int
    stop: int
    counted: int
    row: int


def layer_names(num_blocks: int) -> tuple[str, ...]:
    """The layers in the order of transformers' `hidden_states`.

    `embedding` is what enters the first block (GPT-2: token plus position embedding); `block_i` is
    the output of the i-th block, counted from 1, so that it is `hidden_states[i]`. The last one is
    taken before the model's final normalisation, as the others are; transformers gives it behind.

    >>> layer_names(2)
    ('embedding', 'block_1', 'block_2')
    """
    return (EMBEDDING, *(f"block_{i}" for i in range(1, num_blocks + 1)))


def choose_layers(layers: Sequence[str | int] | None, num_blocks: int) -> list[int]:
    """Indices into `layer_names`, ascending, of layers given by name or index (-1: the last).

    Raises:
        InvalidDataError: there is no such layer, or one is given twice.
    """
    names = layer_names(num_blocks)
    if layers is None:
        return list(range(len(names)))
    if isinstance(layers, str):
        raise InvalidDataError([f"layers: a list of layers is needed, not {layers!r}"])
    chosen = []
    for layer in layers:
        if isinstance(layer, str) and layer in names:
            chosen.append(names.index(layer))
        elif type(layer) is int and -len(names) <= layer < len(names):
            chosen.append(layer % len(names))
        else:
            raise InvalidDataError(
                [f"layers: no layer {layer!r}; there are {names[0]}, {names[1]} to {names[-1]}"]
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise InvalidDataError(["layers: at least one is needed, and each once"])
    return sorted(chosen)


def cut(lengths: Sequence[int], window: int, overlap: int) -> Iterator[Window]:
    """Cut sequences into windows so that each token counts exactly once.

    >>> [(w.start, w.stop, w.counted) for w in cut([10], window=6, overlap=3)]
    [(0, 6, 0), (3, 9, 6), (4, 10, 9)]

    Args:
        lengths: of the sequences.
        window: how many tokens are read at once.
        overlap: how many of them are context at least, of which there are enough; the last window
            of a sequence is moved back so that it is full.
    """
    row = 0
    for sequence, length in enumerate(lengths):
        stop = 0
        while stop < length:
            counted, stop = stop, min(length, stop + window - (overlap if stop else 0))
            start = max(0, stop - window)
            yield Window(sequence, start, stop, counted, row + counted)
        row += length


def check_window(
    window: int | None, overlap: int | None, context_length: int | None
) -> tuple[int, int]:
    """The size of windows and their overlap; by default the context's (at most 1,024), and half.

    Raises:
        InvalidDataError: the model does not read as much, or nothing but overlap would be left.
    """
    most = context_length or LONGEST_WINDOW
    size = min(most, LONGEST_WINDOW) if window is None else window
    if not 1 <= size <= (context_length or size):
        raise InvalidDataError([f"window: {size}; the model reads 1 to {most} tokens at once"])
    shared = size // 2 if overlap is None else overlap
    if not 0 <= shared < size:
        raise InvalidDataError([f"overlap: {shared} of windows of {size} tokens"])
    return size, shared


def attending_blocks(
    attention: Attention, language_model: LanguageModel, layers: Sequence[int], rows: int
) -> list[int]:
    """Choose the blocks whose attention is read, and refuse what can't be or would not fit.

    Args:
        attention: as `analyze` takes it.
        language_model: what reads.
        layers: indices into `layer_names` of what is extracted.
        rows: how many tokens.

    Returns:
        Those of `layers` that are blocks with attention; none for "none".

    Raises:
        ModelUnavailableError: the model gives no attention weights.
        InvalidDataError: none of the blocks has attention, or the weights of `rows` tokens would
            take over `FULL_ATTENTION_BYTES`.
    """
    blocks = [] if attention == "none" else [layer for layer in layers if layer > 0]
    heads = language_model.layers.heads
    found = [block for block in blocks if block in heads]
    shown = language_model.decoder.shown
    if blocks and not heads:
        raise ModelUnavailableError(
            f"The model {shown} gives no attention weights; choose attention 'none'."
        )
    if blocks and not found:
        none, have = (", ".join(f"block_{i}" for i in numbers) for numbers in (blocks, heads))
        raise InvalidDataError(
            [
                f"attention: the model {shown} has none in {none}; choose attention 'none', or "
                f"layers with attention: {have}"
            ]
        )
    size = 4 * rows * rows * sum(heads[block] for block in found)
    if attention == "full" and size > FULL_ATTENTION_BYTES:
        raise InvalidDataError(
            [
                f"attention: all weights of {rows:,} tokens take {size / 1024**3:,.1f} GiB, more "
                f"than {FULL_ATTENTION_BYTES / 1024**3:.0f} GiB; choose 'metrics', or a shorter "
                "text"
            ]
        )
    return found


class Extraction:
    """One pass of sequences through a model.

    Attributes:
        layers: indices into `layer_names` of what is extracted, ascending.

    Args:
        language_model: what reads.
        sequences: what is read.
        layers: indices into `layer_names`.
        window, overlap: see `cut`.
        batch_size: how many windows are run at once; None: as many as have 1,024 tokens together.
        attention: "metrics": statistics, added window by window; "full": the weights too; "none".
    """

    def __init__(
        self,
        language_model: LanguageModel,
        sequences: Sequences,
        layers: Sequence[int],
        *,
        window: int,
        overlap: int,
        batch_size: int | None,
        attention: Attention,
    ) -> None:
        """Cut the sequences; nothing is run yet.

        Raises:
            ModelUnavailableError, InvalidDataError: see `attending_blocks`.
        """
        self._model = language_model
        self._sequences = sequences
        self.layers = list(layers)
        self._windows = list(cut([len(ids) for ids in sequences.ids], window, overlap))
        self._batch_size = batch_size
        names = layer_names(language_model.num_blocks)
        self._attending = attending_blocks(
            attention, language_model, self.layers, sequences.num_rows
        )
        self._statistics = AttentionStatistics([names[i] for i in self._attending])
        self._weights: dict[str, npt.NDArray[np.float32]] = {}
        self._keeps_weights = attention == "full"
        self._names = names

    def run(self, states: Sequence[LayerStates], report: Callable[[float], object]) -> None:
        """Run the model, and put the hidden states of each layer into `states`.

        Args:
            states: for each layer room for all tokens.
            report: called with the share that is done; what it raises ends the run.

        Raises:
            ModelUnavailableError: the model gives no hidden states, or no attentions.
            InvalidDataError: it gives numbers that are not finite, or attends to later tokens.
        """
        done = 0
        for batch in self._batches():
            self._run(batch, states)
            done += len(batch)
            report(done / len(self._windows))

    @property
    def starts(self) -> npt.NDArray[np.bool_]:
        """bool (T,): the tokens that are read first, with nothing before them; words never are.

        They begin a sequence, or a window that does not overlap with the one before.
        """
        found = np.zeros(self._sequences.num_rows, dtype=bool)
        if self._sequences.words is None:
            found[[window.row for window in self._windows if window.counted == window.start]] = True
        return found

    def attention_data(self) -> dict[str, dict[str, Any]]:
        """The `attention_data` of what was run; see `AttentionStatistics.by_layer`."""
        found = self._statistics.by_layer()
        for name, weights in self._weights.items():
            found[name]["attention_probs"] = weights
        return found

    def _batches(self) -> Iterator[list[Window]]:
        batch: list[Window] = []
        longest = 0
        for window in self._windows:
            longest = max(longest, window.stop - window.start)
            most = self._batch_size or max(1, _BATCH_TOKENS // longest)
            if batch and len(batch) >= most:
                yield batch
                batch, longest = [], window.stop - window.start
            batch.append(window)
        yield batch

    def _run(self, batch: Sequence[Window], states: Sequence[LayerStates]) -> None:
        torch = need("torch")
        longest = max(window.stop - window.start for window in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, window in enumerate(batch):
            part = self._sequences.ids[window.sequence][window.start : window.stop]
            ids[i, : len(part)] = torch.tensor(part)
            mask[i, : len(part)] = 1
        hidden, attentions = self._model.decoder.read(ids, mask, attentions=bool(self._attending))
        shapes = [tuple(found.shape) for found in hidden]
        if shapes != [(*ids.shape, width) for width in self._model.layers.widths]:
            raise ModelUnavailableError(
                f"The model {self._model.decoder.shown} gives hidden states of other shapes for "
                f"some texts ({shapes[-1]} for {ids.shape[1]:,} tokens); choose a decoder such as "
                "gpt2."
            )
        for index, state in zip(self.layers, states, strict=True):
            self._keep(batch, hidden[index].float().cpu().numpy(), state, self._names[index])
        if self._attending:
            self._attend(batch, attentions or ())

    def _keep(
        self, batch: Sequence[Window], hidden: npt.NDArray[Any], state: LayerStates, name: str
    ) -> None:
        for window, found in zip(batch, hidden, strict=True):
            rows = found[window.counted - window.start : window.stop - window.start]
            if not np.isfinite(rows).all():
                raise InvalidDataError([f"hidden_states.{name}: the model gave NaN or infinity"])
            if self._sequences.words is None:
                state.write(window.row, rows)
            else:
                word = rows[self._sequences.prefix_length :]
                state.write(window.sequence, word.mean(axis=0, keepdims=True))

    def _attend(self, batch: Sequence[Window], attentions: Sequence[Any]) -> None:
        order = self._model.layers.order
        if len(attentions) != len(order):
            raise ModelUnavailableError(
                f"The model {self._model.decoder.shown} gives {len(attentions)} attentions for "
                f"some texts and {len(order)} for others; choose attention 'none'."
            )
        of_block = dict(zip(order, attentions, strict=True))
        for i, window in enumerate(batch):
            size = window.stop - window.start
            counted = np.arange(window.start, window.stop) >= window.counted
            layers = [
                of_block[block][i, :, :size, :size].float().cpu().numpy()
                for block in self._attending
            ]
            self._statistics.add(layers, counted=counted)
            if self._keeps_weights:
                for block, weights in zip(self._attending, layers, strict=True):
                    self._keep_weights(self._names[block], window, weights)

    def _keep_weights(self, name: str, window: Window, weights: npt.NDArray[np.float32]) -> None:
        rows = self._sequences.num_rows
        if name not in self._weights:
            self._weights[name] = np.zeros((len(weights), rows, rows), dtype=np.float32)
        first = window.row - (window.counted - window.start)
        new = window.counted - window.start
        here = slice(window.row, window.row + weights.shape[1] - new)
        self._weights[name][:, here, first : first + weights.shape[2]] = weights[:, new:]
