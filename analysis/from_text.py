"""`analyze`: from a text to an analysis, by running a language model."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.alignment import align_labels
from concept_fragmentation.analysis.arrays import shown
from concept_fragmentation.analysis.association import word_types
from concept_fragmentation.analysis.cluster_quality import word_codes
from concept_fragmentation.analysis.clustering import (
    DEFAULT_CLUSTERS,
    Clusterer,
    NumClusters,
)
from concept_fragmentation.analysis.counting import NO_CLUSTER, IntArray
from concept_fragmentation.analysis.errors import (
    InvalidDataError,
    ModelUnavailableError,
    ReadAloneWarning,
)
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.extraction import (
    Attention,
    Extraction,
    check_window,
    choose_layers,
    layer_names,
)
from concept_fragmentation.analysis.hidden_states import (
    IN_MEMORY_BYTES,
    LayerStates,
    hidden_state_store,
    states_size,
)
from concept_fragmentation.analysis.inputs import (
    DEFAULT_PREFIX,
    PlainText,
    Text,
    Words,
    plain_text,
)
from concept_fragmentation.analysis.language_models import (
    LanguageModel,
    ModelSource,
    open_model,
    open_tokenizer,
)
from concept_fragmentation.analysis.layer_measures import (
    cluster_measures,
    path_measures,
    purity_measures,
    similarity_measures,
)
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.massive import KINDS, SetAside, find_massive
from concept_fragmentation.analysis.model import Analysis
from concept_fragmentation.analysis.noise_floor import (
    NoiseFloor,
    layer_floor,
    moved_shares,
    noise_floor,
)
from concept_fragmentation.analysis.options import Options, checked_arguments
from concept_fragmentation.analysis.paths import (
    token_path_metrics,
    token_path_records,
    unlike_steps,
)
from concept_fragmentation.analysis.provenance import (
    describe_model,
    describe_surroundings,
    model_differences,
)
from concept_fragmentation.analysis.sequences import (
    Sequences,
    check_ids,
    read_input,
    tokenised_words,
)

# What `progress` is told, in this order.
STAGES: Final = ("load", "extract", "cluster", "measure")

Stage = Literal["load", "extract", "cluster", "measure"]
Progress = Callable[[str, float], object]

# Options that earlier versions did not have, with the values that do what they did.
_EARLIER: Final = {"keep_massive": True, "final_norm": True, "prefix": "", "warm_start": False}


def analyze(
    text: Text,
    model: ModelSource = "gpt2",
    *,
    layers: Sequence[str | int] | None = None,
    n_clusters: NumClusters = DEFAULT_CLUSTERS,
    clusterer: Any = "kmeans",
    seed: int = 0,
    attention: Attention = "metrics",
    batch_size: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    words: Words | None = None,
    prefix: str = DEFAULT_PREFIX,
    categories: Mapping[str, Sequence[Hashable]] | None = None,
    standardise: bool = False,
    pca: int | float | None = None,
    warm_start: bool = True,
    align: bool = True,
    window: int | None = None,
    overlap: int | None = None,
    keep_hidden_states: bool = True,
    keep_massive: bool = False,
    final_norm: bool = False,
    revision: str | None = None,
) -> dict[str, Any]:
    """Run a language model over a text, cluster what it holds of each token, and measure it.

    Args:
        text: one text, a list of texts (boundaries are kept: `token_metadata.sequence_ids`), token
            ids, or a list of them; with `words`, a list of words.
        model: the name of a checkpoint on the hub (`gpt2`, `gpt2-medium`, `distilgpt2`, ...), the
            path of a local folder, a pair (model, tokenizer) that is loaded, or `tiny`, a very
            small model that ships (trained on made-up stories; it is not GPT-2 small). Other causal
            decoders of transformers that give hidden states and attentions do too. With
            `HF_HUB_OFFLINE=1` the hub is not asked. Weights are computed with as float32; those of
            a loaded model as they are.
        layers: names (`embedding`, `block_1`, ...) or indices into transformers' `hidden_states`,
            -1 for the last; by default all. See `extraction.layer_names`.
        n_clusters: of every layer; "auto": chosen by layer by the mean silhouette, whose curve is
            in `cluster_metrics` (`silhouette_by_k`); "gap": chosen by layer by the gap statistic
            (`gap_by_k`), which may answer 1; or one number by layer.
        clusterer: "kmeans" (by mini-batches above 20,000 tokens), or a scikit-learn clusterer,
            which has its own number of clusters; labels of -1 are tokens without a cluster.
        seed: of everything that is drawn. The same seed, input, machine and versions of the
            libraries give the same analysis to the last bit.
        attention: "metrics": statistics of each head (`AttentionStatistics`); "full": the weights
            too, of texts for which they take up to 1 GiB (GPT-2: 1,365 tokens); "none".
        batch_size: how many windows are run at once; by default as many as have 1,024 tokens.
        device: as torch names it, or "auto".
        progress: called with a stage (`STAGES`) and the share of it that is done, at least once for
            each window of text and each layer. What it raises ends the work, and nothing of it is
            left: that is how to cancel.
        words: None; "skip" or "average": `text` is a list of words, each read behind the prefix
            with a space before it; those of several tokens are skipped and listed in `words`, or
            are the mean of their tokens. There is no attention to speak of then, and none is given.
        prefix: what each word of a list is read behind. "": nothing, so that every word is read at
            the first position, where models hold much the same of every token; a
            `ReadAloneWarning` says so.
        categories: {name: one category for each token, or for each text or word given}, part of
            speech say; for purity and for the association of categories with paths. They become
            columns of `token_metadata`.
        standardise: scale each dimension to mean 0 and variance 1 before clustering.
        pca: reduce to as many principal components before clustering, or to as many as explain a
            share of the variance (a float below 1).
        warm_start: start the k-means of each layer from the clusters of the layer before too, and
            keep that result unless a start at random is better by more than 2 % of the inertia. A
            layer with another number of clusters than the one before starts at random, and so does
            every layer without it, and an estimator that is handed over: then most of what moves
            between two layers is the choice of the start (`noise_floor`).
        align: give clusters of neighbouring layers that are matched the same id (see
            `align_labels`); otherwise ids are the estimator's.
        window: how many tokens of a longer text are read at once; by default what the model's
            context holds, at most 1,024.
        overlap: how many tokens of a window at least were read before and only give context; by
            default half of the window. Every token counts once: where it has most context.
        keep_hidden_states: keep them in the analysis, where they take up to 512 MiB together.
        keep_massive: cluster and compare positions with massive activations like all others; by
            default they are set aside (`find_massive`): in no cluster, and no part of what is
            computed of hidden states and paths.
        final_norm: take the last block's states behind the model's final normalisation, as
            transformers gives them; by default before it, as those of the other blocks are.
        revision: a commit, branch or tag of a model on the hub.

    Returns:
        An analysis dict (see `concept_fragmentation.analysis`) with `token_paths`,
        `cluster_labels`, `hidden_states` float32 (T, d) by layer, `attention_data`,
        `cluster_metrics`, and besides:
        `layer_similarity` {"layers", "cka", "cka_debiased", "adjusted_mutual_information"},
        `noise_floor`, what clusterings of one layer make of the same quantities (`NoiseFloor`;
        not with a single layer), `significance`, `category_association` (see `layer_measures`),
        `set_aside` {"starts", "special_tokens", "large_norms"}: the indices of the tokens that are
        set aside, unless they are kept, `words` {"skipped", "averaged", "prefix"} where words were
        given, and `provenance`: model, input, options, libraries, platform, time.

    Raises:
        MissingExtraError: torch, transformers or scikit-learn is not installed.
        ModelUnavailableError: the model can't be had, or gives no hidden states.
        InvalidDataError: an argument is wrong; every problem is listed with its name.
    """
    options = Options(
        layers=layers,
        n_clusters=n_clusters,
        clusterer=clusterer,
        seed=seed,
        attention=attention,
        batch_size=batch_size,
        device=device,
        words=words,
        prefix=prefix,
        keep_massive=keep_massive,
        final_norm=final_norm,
        standardise=standardise,
        pca=pca,
        warm_start=warm_start,
        align=align,
        window=window,
        overlap=overlap,
        keep_hidden_states=keep_hidden_states,
        revision=revision,
    )
    given, columns, options = checked_arguments(text, categories, options)
    # What comes last must not be missed after the model has run.
    need("sklearn")
    return _Run(options, progress).analyze(given, model, columns, None)


def skipped_words(
    words: Sequence[str], model: ModelSource = "gpt2", *, revision: str | None = None
) -> list[str]:
    """Return the words that `analyze` with `words="skip"` will skip, before it is run.

    Only the tokenizer is loaded.

    >>> skipped_words(["dog", "saxophone", "river"], "tiny")
    ['saxophone']

    Args:
        words: in any list, as `analyze` takes them.
        model: as in `analyze`.
        revision: as in `analyze`.

    Returns:
        The words of several tokens, or of none, in the order given, each as often as it is there.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelUnavailableError: there is no tokenizer to be had.
        InvalidDataError: these are no words.
    """
    given = [str(word).strip() for word in plain_text(words, "skip")]
    found = tokenised_words(given, open_tokenizer(model, revision=revision))
    return [word for word, ids in zip(given, found, strict=True) if len(ids) != 1]


def analyze_again(
    analysis: Mapping[str, Any], *, progress: Progress | None = None
) -> dict[str, Any]:
    """Run again what an analysis of `analyze` was made by, from its provenance.

    Args:
        analysis: with `provenance`.
        progress: as in `analyze`.

    Raises:
        InvalidDataError: it has no provenance, or a loaded model or an estimator was handed over,
            which no provenance holds.
        ModelUnavailableError: the model can't be had, or its weights, tokenizer, type of numbers or
            implementation of attention are others by now; they are named.
        MissingExtraError: as in `analyze`.
    """
    analysis = analysis_dict(analysis)
    if not isinstance(analysis, Mapping):
        raise InvalidDataError([f"analysis: an analysis dict is needed, not {shown(analysis)}"])
    provenance = analysis.get("provenance")
    if not isinstance(provenance, Mapping) or not {"model", "input", "options"} <= set(provenance):
        raise InvalidDataError(
            ["provenance: not there; only what analyze made can be made again from itself"]
        )
    made_by, given, kept = (provenance[name] for name in ("model", "input", "options"))
    if made_by["was_loaded"]:
        raise InvalidDataError(
            [
                f"provenance.model: {made_by['name']!r} was handed over in memory; call analyze "
                "with it"
            ]
        )
    if kept["clusterer"] != "kmeans":
        raise InvalidDataError(
            ["provenance.options.clusterer: an estimator was handed over; call analyze with it"]
        )
    options = Options(**{**_EARLIER, **kept, "revision": made_by["revision"] or kept["revision"]})
    return _Run(options, progress).analyze(
        given["text"], made_by["name"], given["categories"], analysis
    )


@dataclass(frozen=True, eq=False)
class _Extracted:
    """What is known once the model has run."""

    layers: tuple[str, ...]
    states: Sequence[LayerStates]
    clusterer: Clusterer
    model_type: str
    model: dict[str, Any]
    token_metadata: dict[str, Any]
    categories: dict[str, list[Any]]
    words: dict[str, Any] | None
    starts: npt.NDArray[np.bool_]
    special_tokens: npt.NDArray[np.bool_]
    attention_data: dict[str, dict[str, Any]]


class _Run:
    """One analysis in the making: its options, and how far it is."""

    def __init__(self, options: Options, progress: Progress | None) -> None:
        self._options = options
        self._progress = progress
        self._started = datetime.now(UTC)
        self._seconds: dict[str, float] = {}
        self._stage: Stage = "load"
        self._stage_began = 0.0

    def analyze(
        self,
        text: PlainText,
        source: ModelSource,
        categories: Mapping[str, Sequence[Hashable]],
        before: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        with ExitStack() as scratch:
            extracted = self._extract(text, source, categories, before, scratch)
            data = self._describe(extracted)
            states = extracted.states
            size = states_size(len(states[0]), [state.shape[1] for state in states])
            if self._options.keep_hidden_states and size <= IN_MEMORY_BYTES:
                data["hidden_states"] = {
                    layer: state[:] for layer, state in zip(extracted.layers, states, strict=True)
                }
        self._finish_stage()
        data["provenance"] = {
            "model": extracted.model,
            "input": {"text": text, "categories": dict(categories)},
            "options": self._kept_options(),
            **describe_surroundings(self._started, self._seconds),
        }
        if "set_aside" in data:
            data["provenance"]["set_aside"] = {name: len(data["set_aside"][name]) for name in KINDS}
        return data

    def _extract(
        self,
        text: PlainText,
        source: ModelSource,
        categories: Mapping[str, Sequence[Hashable]],
        before: Mapping[str, Any] | None,
        scratch: ExitStack,
    ) -> _Extracted:
        """Read the text with the model, which is let go of before anything is clustered."""
        options = self._options
        self._begin("load")
        with open_model(
            source,
            revision=options.revision,
            device=options.device,
            attentions=options.attention != "none" and options.words is None,
            final_norm=options.final_norm,
            seed=options.seed,
        ) as language_model:
            described = describe_model(language_model)
            if before is not None:
                _check_same(language_model.name, before["provenance"]["model"], described)
            sequences = read_input(text, options.words, options.prefix, language_model)
            check_ids(sequences, language_model)
            if before is not None:
                _check_same_tokens(language_model.name, before, sequences)
            metadata = sequences.metadata()
            columns = {
                name: sequences.per_row(values, f"categories.{name}")
                for name, values in categories.items()
            }
            extraction = self._prepare(language_model, sequences)
            names = layer_names(language_model.num_blocks)
            layers = tuple(names[i] for i in extraction.layers)
            dimensions = [language_model.layers.widths[i] for i in extraction.layers]
            clusterer = options.clustering(names)
            starts, special_tokens = extraction.starts, sequences.special_tokens
            known = None if options.keep_massive else starts | special_tokens
            _check_enough(clusterer, layers, sequences.num_rows, known, min(dimensions))
            if sequences.words is not None and not sequences.prefix_length:
                warnings.warn(
                    "words: each is read at the first position, where models hold much the same of "
                    "every token; give a prefix, such as 'The word is'",
                    ReadAloneWarning,
                    stacklevel=4,
                )
            states = scratch.enter_context(hidden_state_store(sequences.num_rows, dimensions))
            self._begin("extract")
            extraction.run(states, self._report)
            return _Extracted(
                layers=layers,
                states=states,
                clusterer=clusterer,
                model_type=language_model.model_type,
                model=described,
                token_metadata=metadata | columns,
                categories=columns,
                words=None
                if sequences.words is None
                else {
                    "skipped": list(sequences.left_out),
                    "averaged": sequences.averaged,
                    "prefix": options.prefix,
                },
                starts=starts,
                special_tokens=special_tokens,
                attention_data=extraction.attention_data(),
            )

    def _prepare(self, language_model: LanguageModel, sequences: Sequences) -> Extraction:
        options = self._options
        size = options.batch_size
        window, overlap = check_window(
            options.window, options.overlap, language_model.context_length
        )
        if options.words is not None and (longest := max(map(len, sequences.ids))) > window:
            raise InvalidDataError(
                [f"text: a word of {longest} tokens with its prefix; the window has {window}"]
            )
        return Extraction(
            language_model,
            sequences,
            choose_layers(options.layers, language_model.num_blocks),
            window=window,
            overlap=overlap,
            batch_size=size,
            attention="none" if options.words is not None else options.attention,
        )

    def _describe(self, extracted: _Extracted) -> dict[str, Any]:
        """Cluster and measure what was extracted."""
        options, layers, categories = self._options, extracted.layers, extracted.categories
        self._begin("cluster")
        massive: SetAside | None = None
        ordinary = np.ones(len(extracted.starts), dtype=bool)
        if not options.keep_massive:
            massive = find_massive(
                extracted.states, starts=extracted.starts, special_tokens=extracted.special_tokens
            )
            ordinary = ~massive.mask(len(ordinary))
        raw, metrics, floor = self._cluster(extracted, ordinary)
        labels = align_labels(raw).labels if options.align else raw
        self._begin("measure")
        data: dict[str, Any] = {
            "model_type": extracted.model_type,
            "layers": list(layers),
            "token_metadata": extracted.token_metadata,
            "cluster_labels": {layer: labels[:, i].tolist() for i, layer in enumerate(layers)},
            "cluster_metrics": {
                layer: found | purity_measures(labels[:, i], categories)
                for i, (layer, found) in enumerate(zip(layers, metrics, strict=True))
            },
        }
        if floor is not None:
            data["noise_floor"] = floor.record()
        if massive is not None:
            data["set_aside"] = massive.record()
        if extracted.words is not None:
            data["words"] = extracted.words
        if extracted.attention_data:
            data["attention_data"] = extracted.attention_data
        analysis = Analysis.from_dict(data)
        states: Any = extracted.states
        data["token_paths"] = token_path_records(
            analysis.tokens,
            analysis.positions,
            analysis.labels,
            analysis.aligned.labels,
            token_path_metrics(analysis.aligned.labels, states, set_aside=~ordinary),
        )
        if steps := unlike_steps(states):
            # Lengths of paths and mobility are those of the other steps.
            data["steps_without_length"] = [[layers[i], layers[i + 1]] for i in steps]
        self._report(0.2)
        data["layer_similarity"] = {
            "layers": list(layers),
            **similarity_measures(extracted.states, labels, ordinary, options.seed),
        }
        self._report(0.6)
        return data | path_measures(
            analysis, categories, options.seed, lambda share: self._report(0.6 + 0.4 * share)
        )

    def _cluster(
        self, extracted: _Extracted, ordinary: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, list[dict[str, Any]], NoiseFloor | None]:
        """Return labels int64 (T, L), -1 of tokens set aside, metrics by layer, and their floor."""
        clusterer, layers = extracted.clusterer, extracted.layers
        widths = [state.shape[1] for state in extracted.states]
        _check_enough(clusterer, layers, len(ordinary), ~ordinary, min(widths))
        labels = np.full((len(ordinary), len(widths)), NO_CLUSTER)
        types = word_types(extracted.token_metadata["tokens"])
        words = word_codes(types, len(types))[ordinary]
        metrics, again, others, repeated = [], [], [], []
        before: IntArray | None = None
        for i, (layer, states) in enumerate(zip(layers, extracted.states, strict=True)):

            def report(share: float, done: int = i) -> None:
                self._report((done + share) / len(layers))

            prepared = clusterer.prepare(states[ordinary])
            clustering = clusterer.cluster(layer, prepared, report, before, words)
            labels[ordinary, i] = clustering.labels
            before = clustering.labels if clusterer.warm_start else clustering.other
            measured = cluster_measures(prepared, words, clustering, clusterer)
            metrics.append(measured.metrics)
            again.append(measured.moved_again)
            if clustering.other is not None and len(layers) > 1:
                others.append(clustering.other)
                repeated.append(layer_floor(clusterer, prepared, clustering, first=i == 0))
            report(1.0)
        if not repeated:
            return labels, metrics, None
        floor = noise_floor(
            layers,
            "warm" if clusterer.warm_start else "cold",
            repeated,
            moved_shares(np.stack(others, axis=1)),
            again if clusterer.warm_start else [np.nan] * len(layers),
        )
        return labels, metrics, floor

    def _kept_options(self) -> dict[str, Any]:
        """The options in plain types; an estimator is named, not kept."""
        kept = {name.name: getattr(self._options, name.name) for name in fields(Options)}
        if not isinstance(kept["clusterer"], str):
            kept["clusterer"] = repr(kept["clusterer"])
        kept["device"] = str(kept["device"])
        if kept["layers"] is not None:
            kept["layers"] = list(kept["layers"])
        if isinstance(kept["n_clusters"], Mapping):
            kept["n_clusters"] = dict(kept["n_clusters"])
        return kept

    def _begin(self, stage: Stage) -> None:
        self._finish_stage()
        self._stage, self._stage_began = stage, time.monotonic()
        if self._progress is not None:
            self._progress(stage, 0.0)

    def _report(self, share: float) -> None:
        if self._progress is not None:
            self._progress(self._stage, share)

    def _finish_stage(self) -> None:
        if self._stage_began:
            self._report(1.0)
            self._seconds[self._stage] = time.monotonic() - self._stage_began


def _check_enough(
    clusterer: Clusterer,
    layers: Sequence[str],
    num_tokens: int,
    set_aside: npt.NDArray[np.bool_] | None,
    dimensions: int,
) -> None:
    """Refuse what can't be done with the tokens that are not set aside."""
    aside = 0 if set_aside is None else int(set_aside.sum())
    tokens = "1 token is" if aside == 1 else f"{aside:,} tokens are"
    note = f"{tokens} set aside (massive activations); give a longer text, or keep_massive=True"
    if aside and aside == num_tokens:
        raise InvalidDataError(["text: there is no other token in it", note])
    try:
        clusterer.check(layers, num_tokens - aside, dimensions)
    except InvalidDataError as error:
        raise InvalidDataError([*error.problems, *([note] if aside else [])]) from error


def _check_same(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if found := model_differences(then, now):
        raise ModelUnavailableError(
            f"The model {name!r} is not the one that the analysis was made with: "
            f"{', '.join(found)}; call analyze to make a new one."
        )


def _check_same_tokens(name: str, before: Mapping[str, Any], sequences: Sequences) -> None:
    """Notice another tokenizer where an earlier version kept no checksum of it."""
    then = (before.get("token_metadata") or {}).get("token_ids")
    if then is None or sequences.words is not None:
        return
    now = [token_id for ids in sequences.ids for token_id in ids]
    if list(then) != now:
        raise ModelUnavailableError(
            f"The tokenizer of {name!r} is not the one that the analysis was made with: the text "
            f"was {len(then):,} tokens then, and is {len(now):,} tokens now"
            f"{' with other ids' if len(then) == len(now) else ''}; call analyze to make a new one."
        )
