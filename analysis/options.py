"""The options of `analyze`, and whether they make sense, before a model is loaded."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from concept_fragmentation.analysis.arrays import as_whole_number, shown
from concept_fragmentation.analysis.clustering import (
    CHOICES_OF_K,
    DEFAULT_CLUSTERS,
    K_NEEDED,
    Clusterer,
    NumClusters,
    estimator_problems,
    seed_problems,
)
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.extraction import EMBEDDING, Attention
from concept_fragmentation.analysis.inputs import (
    DEFAULT_PREFIX,
    PlainText,
    Words,
    plain_categories,
    plain_text,
)

_ATTENTIONS: Final = ("metrics", "full", "none")
_BLOCK: Final = re.compile(r"block_[1-9][0-9]*")
_SWITCHES: Final = (
    "standardise",
    "align",
    "keep_hidden_states",
    "keep_massive",
    "final_norm",
    "warm_start",
)


@dataclass(frozen=True)
class Options:
    """The options of `analyze`, as provenance keeps them; see there."""

    layers: Sequence[str | int] | None = None
    n_clusters: NumClusters = DEFAULT_CLUSTERS
    clusterer: Any = "kmeans"
    seed: int = 0
    attention: Attention = "metrics"
    batch_size: int | None = None
    device: str = "auto"
    words: Words | None = None
    prefix: str = DEFAULT_PREFIX
    keep_massive: bool = False
    final_norm: bool = False
    standardise: bool = False
    pca: int | float | None = None
    warm_start: bool = True
    align: bool = True
    window: int | None = None
    overlap: int | None = None
    keep_hidden_states: bool = True
    revision: str | None = None

    def clustering(self, layers: Sequence[str]) -> Clusterer:
        """Return the part that says how layers are clustered.

        Args:
            layers: the names of all layers of the model; `n_clusters` may name them by index.

        Raises:
            InvalidDataError: `n_clusters` names a layer that is not there, or one twice.
        """
        given = self.n_clusters
        if isinstance(given, Mapping):
            found: dict[str, int] = {}
            for layer, k in given.items():
                name: Any = layer
                if isinstance(layer, int) and -len(layers) <= layer < len(layers):
                    name = layers[layer]
                if name not in layers or name in found:
                    wrong = (
                        "is named twice" if name in found else f"is none of {len(layers)} layers"
                    )
                    raise InvalidDataError([f"n_clusters: {shown(layer)} {wrong}"])
                found[name] = k
            given = found
        return Clusterer(
            given, self.clusterer, self.standardise, self.pca, self.warm_start, self.seed
        )

    def checked(self) -> Options:
        """Return the options with numbers of Python, each of which makes sense by itself.

        Raises:
            InvalidDataError: every problem is listed with the name of its option.
        """
        if problems := list(self._problems()):
            raise InvalidDataError(problems)
        plain: dict[str, Any] = {
            name: as_whole_number(getattr(self, name))
            for name in ("seed", "batch_size", "window", "overlap")
            if getattr(self, name) is not None
        }
        plain |= {name: bool(getattr(self, name)) for name in _SWITCHES}
        if self.layers is not None:
            plain["layers"] = [_plain_layer(layer) for layer in self.layers]
        if isinstance(self.n_clusters, Mapping):
            plain["n_clusters"] = {
                _plain_layer(layer): as_whole_number(k) for layer, k in self.n_clusters.items()
            }
        elif self.n_clusters not in CHOICES_OF_K:
            plain["n_clusters"] = as_whole_number(self.n_clusters)
        if self.pca is not None:
            components = as_whole_number(self.pca)
            plain["pca"] = float(self.pca) if components is None else components
        return replace(self, **plain)

    def _problems(self) -> Iterator[str]:
        yield from _layer_problems(self.layers)
        yield from _cluster_problems(self.n_clusters, self.clusterer)
        yield from estimator_problems(self.clusterer)
        yield from seed_problems(self.seed)
        for name, allowed in (("attention", _ATTENTIONS), ("words", ("skip", "average", None))):
            value = getattr(self, name)
            if not any(
                value is one or (isinstance(value, str) and value == one) for one in allowed
            ):
                *names, last = [repr(one) for one in allowed]
                yield f"{name}: {', '.join(names)} or {last} is needed, not {shown(value)}"
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool | np.bool_):
                yield f"{name}: True or False is needed, not {shown(getattr(self, name))}"
        for name, least in (("batch_size", 1), ("window", 1), ("overlap", 0)):
            yield from _whole_problems(name, getattr(self, name), least)
        window, overlap = map(as_whole_number, (self.window, self.overlap))
        if window is not None and overlap is not None and 1 <= window <= overlap:
            yield f"overlap: {overlap} of windows of {window} tokens"
        yield from _pca_problems(self.pca)
        if not isinstance(self.prefix, str):
            yield f"prefix: a text that stands before each word is needed, not {shown(self.prefix)}"
        if not isinstance(self.revision, str | None):
            yield f"revision: a commit, branch or tag is needed, not {shown(self.revision)}"


def check_options(text: Any = None, *, categories: Any = None, **options: Any) -> None:
    """Refuse what `analyze` would refuse of its arguments, without loading anything.

    A program that asks a person for options calls it before the person waits for a model; `analyze`
    begins with the same checks. What depends on the model or on the number of tokens is not known
    yet, and iterators are not looked into, which would use them up.

    >>> check_options(n_clusters=4, layers=["embedding", -1])

    Args:
        text: what is to be read; None: it is not known yet.
        categories: as `analyze` takes them.
        options: the options of `analyze`, by name.

    Raises:
        InvalidDataError: every problem is listed with its name.
    """
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in options if name not in known]:
        raise InvalidDataError(
            [f"{name}: no option of analyze; there are {', '.join(known)}" for name in unknown]
        )
    if isinstance(categories, Mapping):
        categories = {
            name: values for name, values in categories.items() if not isinstance(values, Iterator)
        }
    if text is None or isinstance(text, Iterator):
        text = "text" if options.get("words") is None else ["word"]
        categories = None if options.get("words") is not None else categories
    checked_arguments(text, categories, Options(**options))


def checked_arguments(
    text: Any, categories: Any, options: Options
) -> tuple[PlainText, dict[str, list[Hashable]], Options]:
    """Return the arguments of `analyze` in plain Python, as provenance keeps them.

    Raises:
        InvalidDataError: every problem is listed with its name.
    """
    problems: list[str] = []
    columns: dict[str, list[Hashable]] = {}
    plain: PlainText = ""
    num_words: int | None = None
    try:
        options = options.checked()
    except InvalidDataError as error:
        problems += error.problems
    words = options.words if isinstance(options.words, str) else None
    try:
        plain = plain_text(text, words)
        num_words = None if words is None else len(plain)
    except InvalidDataError as error:
        problems += error.problems
    try:
        columns = plain_categories(categories, num_words)
    except InvalidDataError as error:
        problems += error.problems
    if problems:
        raise InvalidDataError(problems)
    return plain, columns, options


def _plain_layer(layer: Any) -> str | int:
    number = as_whole_number(layer)
    return str(layer) if number is None else number


def _layer_problems(layers: Any) -> Iterator[str]:
    if layers is None:
        return
    if not isinstance(layers, list | tuple | range | np.ndarray):
        yield f"layers: a list of layers is needed, not {shown(layers)}"
        return
    for layer in layers:
        yield from _name_problems("layers", layer)
    plain = [_plain_layer(layer) for layer in layers]
    if not plain or len(set(plain)) < len(plain):
        yield "layers: at least one is needed, and each once"


def _name_problems(path: str, layer: Any) -> Iterator[str]:
    if isinstance(layer, str) and (layer == EMBEDDING or _BLOCK.fullmatch(layer)):
        return
    if as_whole_number(layer) is None:
        yield (
            f"{path}: no layer {shown(layer)}; there are {EMBEDDING}, block_1, block_2 and so on, "
            "or their indices from 0, -1 for the last"
        )


def _cluster_problems(k: Any, clusterer: Any) -> Iterator[str]:
    if not isinstance(clusterer, str):
        if as_whole_number(k) != DEFAULT_CLUSTERS:
            yield "n_clusters: the estimator has its own number; leave this out"
        return
    if isinstance(k, str) and k in CHOICES_OF_K:
        return
    if not isinstance(k, Mapping):
        yield from _k_problems("n_clusters", k)
        return
    if not k:
        yield "n_clusters: one number for each layer is needed; there is none in it"
    for layer, number in k.items():
        yield from _name_problems("n_clusters", layer)
        yield from _k_problems(f"n_clusters.{layer}", number)


def _k_problems(path: str, k: Any) -> Iterator[str]:
    number = as_whole_number(k)
    if number is None or number < 1:
        yield f"{path}: {K_NEEDED}, not {shown(k)}"


def _whole_problems(name: str, value: Any, least: int) -> Iterator[str]:
    number = as_whole_number(value)
    if value is not None and (number is None or number < least):
        yield f"{name}: {shown(value)}; a whole number from {least} is needed"


def _pca_problems(pca: Any) -> Iterator[str]:
    if pca is None:
        return
    number = as_whole_number(pca)
    share = isinstance(pca, float | np.floating) and 0 < pca < 1
    if not share and (number is None or number < 1):
        yield f"pca: components from 1, or a share of the variance below 1, not {shown(pca)}"
