"""An analysis as columns: what every view and metric computes with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.alignment import AlignedLabels, align_labels
from concept_fragmentation.analysis.attention import attention_statistics
from concept_fragmentation.analysis.counting import NO_CLUSTER, IntArray
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.lazy import LazyArray
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.massive import SetAside, recorded
from concept_fragmentation.analysis.paths import TokenPathMetrics, token_path_metrics
from concept_fragmentation.analysis.shown import brief, table_of_fields
from concept_fragmentation.analysis.token_bytes import PART, shown_bytes
from concept_fragmentation.analysis.validation import check_analysis, is_list, sequence_lengths

FloatArray = npt.NDArray[np.floating[Any]]

MOST_WEIGHTS: Final = 20_000_000

# The columns of `token_metadata` that mean something here.
TOKEN_COLUMNS: Final = frozenset(
    ("tokens", "positions", "token_ids", "token_bytes", "attention_mask", "sequence_ids")
)


@dataclass(frozen=True, eq=False)
class Part:
    """Which tokens an analysis is restricted to; see `Analysis.of_tokens`.

    Attributes:
        whole: the analysis of all tokens.
        tokens: bool (T,), those that it is restricted to.
        name: what they have in common, in a few words.
    """

    whole: Analysis
    tokens: npt.NDArray[np.bool_]
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """T tokens in L layers that have cluster labels.

    Attributes:
        model_type: what was analysed.
        layers: every declared layer, in order.
        tokens: (T,) the tokens' text; nested sequences one after the other.
        positions: int64 (T,), the position of each token in its sequence.
        token_ids: int64 (T,), or None where they are not known.
        sequence_ids: int64 (T,), which sequence each token belongs to; zeros if there is one.
        labelled_layers: (L,) the declared layers that have labels, in declared order.
        labels: int64 (T, L), raw cluster ids; -1 is "no cluster" (padding).
        padding: bool (T,), tokens that are none (their `attention_mask` is 0).
        hidden_states: {layer: float (T, d)}, of the type they came in; empty where the analysis has
            none.
        attention: `attention_data` as it was given; weights may be a `LazyArray`.
        cluster_metrics: as they were given.
        token_bytes: (T,) the bytes of tokens that are a part of a character, in hexadecimal, None
            of the others; empty where they are not known.
        token_columns: what else `token_metadata` says of each token, such as its part of speech:
            (T,) values by name, as they were given; nested sequences one after the other.
        layer_similarity: as it was given: how alike each two of its "layers" are, by name.
        significance: as it was given: tests of the paths through all layers, by figure.
        category_association: as it was given: how far categories and paths belong together.
        noise_floor: as it was given: what clusterings of one layer make of movement and paths.
        massive: the positions with massive activations that are set aside; none of an analysis that
            names none in `set_aside`.
        part: which tokens it is restricted to; None is all.
    """

    model_type: str
    layers: tuple[str, ...]
    tokens: tuple[str, ...]
    positions: IntArray
    token_ids: IntArray | None
    sequence_ids: IntArray
    labelled_layers: tuple[str, ...]
    labels: IntArray
    padding: npt.NDArray[np.bool_]
    hidden_states: Mapping[str, FloatArray] = field(default_factory=dict)
    attention: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cluster_metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    token_bytes: tuple[str | None, ...] = ()
    token_columns: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    layer_similarity: Mapping[str, Any] = field(default_factory=dict)
    significance: Mapping[str, Any] = field(default_factory=dict)
    category_association: Mapping[str, Any] = field(default_factory=dict)
    noise_floor: Mapping[str, Any] = field(default_factory=dict)
    massive: SetAside = field(default_factory=lambda: recorded(None))
    part: Part | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Analysis:
        """The columns of an analysis dict, or of the structure that a store loads; not changed.

        Sequences that older files nest ([B][S], labels flat in B*S order) are put one after the
        other. A token whose `attention_mask` is 0 is padding: it has no cluster in any layer. Where
        `cluster_labels` is missing, the labels come from `token_paths` if every token has a path
        through every layer.

        Raises:
            InvalidAnalysisError: `data` is inconsistent; every problem is listed.
        """
        data = analysis_dict(data)
        check_analysis(data)
        metadata = data["token_metadata"]
        lengths = sequence_lengths(metadata["tokens"])
        tokens = metadata["tokens"]
        flat = tokens if lengths is None else chain.from_iterable(tokens)
        texts = tuple(map(str, flat))
        layers = tuple(map(str, data["layers"]))
        labelled, labels = _labels(data, layers, len(texts))
        mask = _numbers(metadata.get("attention_mask"))
        padding = np.zeros(len(texts), dtype=bool) if mask is None else mask == 0
        labels[padding] = NO_CLUSTER
        positions = _numbers(metadata.get("positions"))
        sequence_ids = _numbers(metadata.get("sequence_ids"))
        if sequence_ids is None:
            sequence_ids = np.repeat(np.arange(len(lengths or [0])), lengths or [len(texts)])
        if positions is None:
            positions = np.concatenate([np.arange(length) for length in lengths or [len(texts)]])
        return cls(
            model_type=data["model_type"],
            layers=layers,
            tokens=texts,
            positions=positions,
            token_ids=_numbers(metadata.get("token_ids")),
            sequence_ids=sequence_ids,
            labelled_layers=labelled,
            labels=labels,
            padding=padding,
            hidden_states=_States(
                {
                    layer: data["hidden_states"][layer]
                    for layer in layers
                    if layer in (data.get("hidden_states") or {})
                }
            ),
            attention=data.get("attention_data") or {},
            cluster_metrics=data.get("cluster_metrics") or {},
            token_bytes=_bytes(metadata.get("token_bytes"), lengths, len(texts)),
            token_columns=_columns(metadata, lengths, len(texts)),
            layer_similarity=_mapping(data.get("layer_similarity")),
            significance=_mapping(data.get("significance")),
            category_association=_mapping(data.get("category_association")),
            noise_floor=_mapping(data.get("noise_floor")),
            massive=recorded(data.get("set_aside")),
        )

    def __repr__(self) -> str:
        """The model, how many tokens and layers there are, and what is known of them."""
        said = ", ".join(f"{name} {text}" for name, text in self._described().items())
        return f"<{type(self).__name__} {said}>"

    def _repr_html_(self) -> str:
        return table_of_fields(self._described(), type(self).__name__)

    def _described(self) -> dict[str, str]:
        """Return the parts of the analysis by name, and layers by their number; reads no array."""
        having = {
            "cluster labels": len(self.labelled_layers),
            "hidden states": len(self.hidden_states),
            "attention": len(self.attention),
            "cluster metrics": len(self.cluster_metrics),
        }
        described = {
            "of": brief(self.model_type),
            "tokens": f"{self.num_tokens:,}",
            "layers": brief(list(self.layers)),
        }
        described |= {name: f"in {number}" for name, number in having.items() if number}
        if self.token_columns:
            described["columns"] = brief(list(self.token_columns))
        return described

    @property
    def num_tokens(self) -> int:
        """T."""
        return len(self.tokens)

    @cached_property
    def set_aside(self) -> npt.NDArray[np.bool_]:
        """bool (T,): the positions with massive activations that are set aside."""
        return self.massive.mask(self.num_tokens)

    @cached_property
    def ordinary(self) -> npt.NDArray[np.bool_]:
        """bool (T,): the tokens that hidden states are compared of: no padding, not set aside."""
        return ~(self.padding | self.set_aside) & self.looked_at

    @property
    def whole(self) -> Analysis:
        """The analysis of all tokens, where this is restricted to some; see `of_tokens`."""
        return self if self.part is None else self.part.whole

    @cached_property
    def looked_at(self) -> npt.NDArray[np.bool_]:
        """bool (T,): the tokens that the analysis is restricted to; see `of_tokens`."""
        return np.ones(self.num_tokens, dtype=bool) if self.part is None else self.part.tokens

    def of_tokens(self, tokens: npt.NDArray[np.bool_], name: str) -> Analysis:
        """Return the analysis restricted to some tokens: the others have no cluster in any layer.

        All tokens stay, so that indices mean the same. A cluster keeps its aligned id, and so its
        colour. What was measured of all tokens and means something else of a part is left out: the
        noise floor and the similarity of layers. Attention, the figures of each layer's clusters
        and the tests of paths and categories stay those of all tokens.

        Args:
            tokens: bool (T,).
            name: what they have in common, in a few words.
        """
        return replace(
            self,
            labels=np.where(tokens[:, np.newaxis], self.labels, NO_CLUSTER),
            layer_similarity={},
            noise_floor={},
            massive=self.massive.among(tokens),
            part=Part(self.whole, tokens, name),
        )

    def without_set_aside(self) -> Analysis:
        """Return the analysis with no cluster for tokens that are set aside, as tests take it.

        Labels that a person supplied may have clusters for them; those stay in the analysis itself.
        """
        labels = np.where(self.set_aside[:, np.newaxis], NO_CLUSTER, self.labels)
        return self if np.array_equal(labels, self.labels) else replace(self, labels=labels)

    @property
    def num_layers(self) -> int:
        """How many layers are declared, labelled or not."""
        return len(self.layers)

    @cached_property
    def shown_tokens(self) -> tuple[str, ...]:
        r"""The tokens as people tell them apart: a part of a character as its bytes, `\xe7\x8c`.

        Where these are not known, U+FFFD and the token's id.
        """
        if not any(PART in token for token in self.tokens):
            return self.tokens
        return tuple(
            self._part(i, token) if PART in token else token for i, token in enumerate(self.tokens)
        )

    def _part(self, index: int, token: str) -> str:
        known = self.token_bytes[index] if self.token_bytes else None
        if known is not None:
            return shown_bytes(known)
        return token if self.token_ids is None else f"{token}[{self.token_ids[index]}]"

    @cached_property
    def attention_figures(self) -> Mapping[str, Mapping[str, Any]]:
        """`attention`, and what its weights say by head and layer where it is not given.

        See `AttentionStatistics`. Nothing is computed of more than `MOST_WEIGHTS` weights, which
        would take seconds, or of weights that are not causal.
        """
        if self.part is not None:
            return self.part.whole.attention_figures
        given = {layer: self.attention.get(layer, {}) for layer in self.layers}
        weights = {
            layer: as_weights(values["attention_probs"])
            for layer, values in given.items()
            if values.get("attention_probs") is not None
        }
        known = all("head_agreement_chance" in self.attention[layer] for layer in weights)
        if known or sum(array.size for array in weights.values()) > MOST_WEIGHTS:
            return self.attention
        weights = {layer: np.asarray(array) for layer, array in weights.items()}
        try:
            found = attention_statistics(weights)
        except InvalidDataError:
            return self.attention
        return {layer: {**found.get(layer, {}), **values} for layer, values in given.items()}

    @cached_property
    def aligned(self) -> AlignedLabels:
        """The labels on ids of chains of matches between layers; see `align_labels`."""
        if self.part is None:
            return align_labels(self.labels)
        whole = self.part.whole.aligned
        labels = np.where(self.labels == NO_CLUSTER, NO_CLUSTER, whole.labels)
        return replace(whole, labels=labels)

    @cached_property
    def token_metrics(self) -> TokenPathMetrics:
        """What each token's path through all labelled layers says; see `token_path_metrics`."""
        return self.path_metrics(0, len(self.labelled_layers) - 1)

    def path_metrics(self, first: int, last: int) -> TokenPathMetrics:
        """Return what each token's path through some labelled layers says, both ends included."""
        layers = slice(first, last + 1)
        states = [self.hidden_states.get(layer) for layer in self.labelled_layers[layers]]
        known = [state for state in states if state is not None]
        return token_path_metrics(
            self.aligned.labels[:, layers],
            known if known and len(known) == len(states) else None,
            self.padding | ~self.looked_at,
            self.set_aside,
        )


@runtime_checkable
class OpenAnalysis(Protocol):
    """Something that has an `Analysis`, such as an analysis that is open in a store."""

    @property
    def analysis(self) -> Analysis:
        """The analysis as columns."""


# What every function that computes with an analysis takes.
AnalysisLike: TypeAlias = Analysis | OpenAnalysis | Mapping[str, Any]


def as_analysis(given: AnalysisLike) -> Analysis:
    """Return the columns of an analysis: of an open one, of an analysis dict, or of a loaded one.

    Made anew of a dict at each call: who calls often makes an `Analysis` once.

    Raises:
        InvalidDataError: it is none of these.
        InvalidAnalysisError: a dict is inconsistent; every problem is listed.
    """
    if isinstance(given, Analysis):
        return given
    if isinstance(given, Mapping):
        return Analysis.from_dict(given)
    if isinstance(given, OpenAnalysis) and isinstance(given.analysis, Analysis):
        return given.analysis
    raise InvalidDataError(
        [
            "analysis: an Analysis, an open analysis or an analysis dict is needed, "
            f"not {type(given).__name__}"
        ]
    )


class _States(Mapping[str, FloatArray]):
    """Hidden states by layer, each read and made an array of floats when it is asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def __getitem__(self, layer: str) -> FloatArray:
        array = np.asarray(self._given[layer])
        return array if array.dtype.kind == "f" else array.astype(np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def as_weights(given: Any) -> npt.NDArray[Any] | LazyArray:
    """The weights of a layer as an array, not read yet if they are a `LazyArray`."""
    return given if isinstance(given, LazyArray) else np.asarray(given)


def _mapping(given: Any) -> Mapping[str, Any]:
    """What nobody has checked: no reason to refuse the rest of an analysis."""
    return given if isinstance(given, Mapping) else {}


def _columns(
    metadata: Mapping[str, Any], lengths: list[int] | None, num_tokens: int
) -> dict[str, tuple[Any, ...]]:
    """What is one value a token and has no meaning of its own here."""
    columns = {}
    for name, values in metadata.items():
        if name in TOKEN_COLUMNS or not isinstance(name, str) or not is_list(values):
            continue
        nested = lengths is not None and sequence_lengths(values) == lengths
        flat = tuple(chain.from_iterable(values) if nested else values)
        if len(flat) == num_tokens:
            columns[name] = flat
    return columns


def _bytes(values: Any, lengths: list[int] | None, num_tokens: int) -> tuple[str | None, ...]:
    """The bytes of tokens in hexadecimal; nothing where something else stands in their place."""
    flat = _columns({"bytes": values}, lengths, num_tokens).get("bytes", ())
    for value in flat:
        try:
            if value is not None:
                bytes.fromhex(value)
        except (TypeError, ValueError):
            return ()
    return flat


def _labels(
    data: Mapping[str, Any], layers: tuple[str, ...], num_tokens: int
) -> tuple[tuple[str, ...], IntArray]:
    by_layer = data.get("cluster_labels")
    if by_layer:
        labelled = tuple(layer for layer in layers if layer in by_layer)
        columns = [np.asarray(by_layer[layer], dtype=np.int64) for layer in labelled]
        return labelled, np.stack(columns, axis=1).reshape(num_tokens, len(labelled))
    paths = [record.get("cluster_path") for record in (data.get("token_paths") or {}).values()]
    if len(paths) == num_tokens and all(p is not None and len(p) == len(layers) for p in paths):
        return layers, np.array(paths, dtype=np.int64).reshape(num_tokens, len(layers))
    return (), np.empty((num_tokens, 0), dtype=np.int64)


def _numbers(values: Any) -> IntArray | None:
    """Whole numbers, one a token, as (T,); nested sequences one after the other."""
    if values is None:
        return None
    nested = len(values) and all(map(is_list, values))
    return np.array(list(chain.from_iterable(values)) if nested else values, dtype=np.int64)
