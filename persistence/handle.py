"""An analysis that is open but not loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import (
    Analysis,
    Layer,
    LazyArray,
    TableOf,
    UnknownChoiceError,
    cluster_members,
    compute_token_paths,
    layer_table,
    token_table,
)
from concept_fragmentation.analysis.choices import as_whole_number, choose, layer_position
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.tables import with_float_columns
from concept_fragmentation.persistence import codec, lookup
from concept_fragmentation.persistence.display import LoadedAnalysis, Metadata, fields, sentence
from concept_fragmentation.persistence.errors import NotFoundError
from concept_fragmentation.persistence.figure_methods import FigureMethods
from concept_fragmentation.persistence.flatten import scalars
from concept_fragmentation.persistence.tensors import NATIVE_DTYPES, TensorReader

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
StandIn = Callable[[Mapping[str, Any]], LazyArray | None]

# What tokens and labels are made from.
_LIGHT: Final = ("model_type", "layers", "token_metadata", "cluster_labels", "set_aside")


class AnalysisHandle(FigureMethods):
    """One version of an analysis, read-only: each part is read, and verified, when it is asked for.

    `open_analysis` makes it. It shows the version as it was when it was opened, and closes with the
    `with` block or `close()`; arrays that it gave stay valid. Of the analysis's document everything
    but the arrays is read at once.

    Its figures are methods too (`sankey`, ...), see `concept_fragmentation.figures`.

    Attributes:
        metadata: the metadata dict, as `load_analysis_results` gives it.
        model_info: `{"model_name", "num_tokens", "num_layers", "input_length"}`.
    """

    def __init__(
        self,
        metadata: dict[str, Any],
        model_info: dict[str, Any],
        encoded: dict[str, Any],
        tensors: TensorReader | None,
        load: Callable[[], dict[str, Any]],
        reopen: Callable[[str, int], AnalysisHandle] | None = None,
    ) -> None:
        """`encoded` analysis data whose arrays are in `tensors`; `load` loads everything.

        `reopen` opens an analysis by id and version, wherever the handle is unpickled.
        """
        self.metadata = Metadata(metadata)
        self.model_info = model_info
        self._encoded = encoded
        self._tensors = tensors
        self._load = load
        self._reopen = reopen

    def __reduce__(self) -> tuple[Callable[[str, int], AnalysisHandle], tuple[str, int]]:
        """Pickle and copy it as its store's folder, id and version; it is opened again there.

        Unpickling raises AnalysisNotFoundError where that version is gone.
        """
        if self._reopen is None:
            raise TypeError(
                f"{self!r} is of no store, so it can't be pickled; pickle its to_dict()"
            )
        return self._reopen, (self.metadata["analysis_id"], self.metadata["version"])

    def __enter__(self) -> AnalysisHandle:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files; arrays that were given stay valid."""
        if self._tensors is not None:
            self._tensors.close()

    def __repr__(self) -> str:
        """The analysis, its version and its size."""
        return f"<{type(self).__name__} {sentence(self._said())}>"

    def _repr_html_(self) -> str:
        return fields(self.metadata | self.model_info)

    def _said(self) -> dict[str, Any]:
        return {"metadata": self.metadata, "model_info": self.model_info}

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Every declared layer, in order."""
        return tuple(map(str, self._value("layers")))

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """(T,) the tokens' text; nested sequences one after the other."""
        return self.analysis.tokens

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """int64 (T, L): the raw cluster of each token in each layer that has labels; -1: none."""
        return self.analysis.labels

    @cached_property
    def labelled_layers(self) -> tuple[str, ...]:
        """(L,) the layers that `labels` has a column for."""
        return self.analysis.labelled_layers

    @cached_property
    def paths(self) -> pd.DataFrame:
        """One row a token, a column for each entry of `token_paths`.

        Where the analysis came without `token_paths`, they are computed from labels and hidden
        states (`cluster_path`, `cluster_changes`, `path_length`, `mobility_score`, ...).

        Raises:
            InvalidDataError: the analysis has neither token paths nor cluster labels.
        """
        import pandas as pd  # noqa: PLC0415

        records = self._value("token_paths") or compute_token_paths(
            {
                key: self._value(key)
                for key in (*_LIGHT, "hidden_states")
                if lookup.find(self._encoded, key) is not lookup.MISSING
            }
        )
        frame = pd.DataFrame.from_records(list(records.values()), index=list(records))
        frame.index.name = "key"
        return with_float_columns(frame)

    def metrics(
        self, of: TableOf = "layer", window: tuple[Layer, Layer] | None = None
    ) -> pd.DataFrame:
        """One table of all metrics: a row for each layer, or for each token.

        Missing values are NaN. Where an analysis holds no statistics of attention but few enough
        weights, the weights are read.

        Args:
            of: "layer", see `layer_table`, or "token", see `token_table`.
            window: of tokens only: the first and the last layer of their paths, by name or by
                position in `layers`; by default all.

        Raises:
            UnknownChoiceError: there is no such table or window, or layers are given a window.
        """
        if choose("of", of, get_args(TableOf)) == "token":
            return token_table(self.analysis, window)
        if window is not None:
            raise UnknownChoiceError(
                "window: the table of layers has them all; a window is for metrics('token')"
            )
        return layer_table(self.analysis)

    def members(self, layer: Layer, cluster: int) -> pd.DataFrame:
        """The tokens in a cluster with all that is known of each, as rows of `metrics("token")`.

        Args:
            layer: by its name or by its position in `layers`: from 0, or negative from the end.
            cluster: raw id; -1 for the tokens without a cluster.

        Raises:
            UnknownChoiceError: there is no such layer with labels, or no such cluster in it.
        """
        return cluster_members(self.analysis, layer, cluster)

    @cached_property
    def layer_metrics(self) -> pd.DataFrame:
        """One row a declared layer: numbers and words of `cluster_metrics` and `attention_data`.

        They have the names that they are stored under; `metrics` has one name for each quantity,
        and what is computed of labels besides. Nested entries are named with dots (`entropy.mean`),
        short lists by position (`entropy.0` for head 0). Attention weights are never read for it.
        """
        import pandas as pd  # noqa: PLC0415

        rows: dict[str, dict[str, Any]] = {layer: {} for layer in self.layers}
        for part in ("cluster_metrics", "attention_data"):
            for layer in self.layers:
                found = lookup.find(self._encoded, part, layer)
                if found is lookup.MISSING:
                    continue
                for name in lookup.keys(found, self._read):
                    if name == "attention_probs":
                        continue
                    column = f"attention.{name}" if name in rows[layer] else str(name)
                    rows[layer][column] = lookup.decode(lookup.find(found, name), self._read)
        flat = {layer: dict(scalars(row)) for layer, row in rows.items()}
        frame = pd.DataFrame.from_dict(flat, orient="index").reindex(self.layers)
        frame.index.name = "layer"
        return with_float_columns(frame)

    def attention(self, layer: Layer, head: int | None = None) -> Array:
        """The attention weights of a layer, or of one of its heads, without reading the others.

        Args:
            layer: by its name or by its position in `layers`: from 0, or negative from the end.
            head: which head, from 0; by default all.

        Returns:
            float, (heads, T, T) or, of a head, (T, T); row: query, column: key. Read-only: in an
            uncompressed store it is mapped into memory. Every chunk (1 MiB) of it was verified.

        Raises:
            NotFoundError: there are no weights for that layer, or no such head.
            UnknownChoiceError: the layer is neither a name nor a position that there is.
            CorruptedFileError: a byte of it is not what was written; the file is named.
        """
        if not isinstance(layer, str):
            layer = self.layers[layer_position(self.layers, layer)]
        found = lookup.find(self._encoded, "attention_data", layer, "attention_probs")
        if found is lookup.MISSING or found is None:
            having = [
                name
                for name in self.layers
                if lookup.find(self._encoded, "attention_data", name, "attention_probs")
                not in (lookup.MISSING, None)
            ]
            raise NotFoundError(
                f"No attention weights for layer {layer!r} in analysis "
                f"{self.metadata['analysis_id']!r}. Layers with weights: {having or 'none'}."
            )
        part = lookup.tensor_part(found)
        if part is None:
            weights: Array = np.asarray(lookup.decode(found, self._read))
            shape = weights.shape
        else:
            assert self._tensors is not None  # noqa: S101 - for the type checker
            shape = part.shape or self._tensors.shape(part.tensor)[len(part.below) :]
        if head is None:
            return weights if part is None else self._part(part)
        # [batch, heads, ...] in older files: a head of every sequence.
        axis = len(shape) - 3
        wanted = as_whole_number(head)
        if wanted is None or not 0 <= wanted < shape[axis]:
            raise NotFoundError(
                f"No head {head!r} in layer {layer!r}: it has heads 0 to {shape[axis] - 1}."
            )
        if part is None or axis:
            whole = weights if part is None else self._part(part)
            of_head: Array = whole[..., wanted, :, :]
            return of_head
        return self._part(part._replace(below=(*part.below, wanted)))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as `load_analysis_results` gives it; it is the caller's to change."""
        return LoadedAnalysis(self._load())

    def _part(self, part: lookup.TensorPart, *, writable: bool = False) -> Array:
        assert self._tensors is not None  # noqa: S101 - for the type checker
        if part.dtype is None or part.shape is None or part.dtype in NATIVE_DTYPES:
            return self._tensors.part(part.tensor, part.below, writable=writable)
        # A dtype that safetensors does not know is stored as its bytes.
        stored = self._tensors.part(part.tensor, writable=writable)
        whole: Array = stored.view(part.dtype).reshape(part.shape)
        below: Array = whole[part.below]
        return below

    def _read(self, name: str) -> Array:
        if self._tensors is None:
            raise InvalidDataError([f"tensor {name!r}: the analysis has no tensors"])
        return self._tensors.part(name, writable=True)

    def _value(self, key: str, stand_in: StandIn | None = None) -> Any:
        found = lookup.find(self._encoded, key)
        return None if found is lookup.MISSING else codec.decode(found, self._read, stand_in)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The analysis dict with every array, and every nested list of numbers, as a `LazyArray`.

        Read-only by convention; `to_dict` gives one that is the caller's. The arrays that a
        `LazyArray` gives can be written to, by libraries that compute in place such as
        scikit-learn; the file stays as it is. A store takes the dict as it is, to save it.

        Raises:
            CorruptedFileError: a byte of what is not lazy is not what was written.
        """
        return {key: self._value(key, self._lazy) for key in lookup.keys(self._encoded, self._read)}

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis as columns, to compute with; hidden states and weights are read when used.

        Raises:
            CorruptedFileError: as `data`.
        """
        keys = [key for key in lookup.keys(self._encoded, self._read) if key != "token_paths"]
        data = {key: self._value(key, self._lazy) for key in keys}
        if not data.get("cluster_labels"):
            data["token_paths"] = self._value("token_paths", self._lazy)
        return Analysis.from_dict({key: value for key, value in data.items() if value is not None})

    def _lazy(self, body: Mapping[str, Any]) -> LazyArray | None:
        """What stands for a tensor that nobody has asked for yet."""
        name = body["tensor"]
        part = lookup.tensor_part({"$array": body})
        if part is None or self._tensors is None:
            return None
        shape = self._tensors.shape(name) if part.shape is None else part.shape
        if len(shape) < 2:
            return None
        dtype = self._tensors.dtype(name) if part.dtype is None else part.dtype
        return LazyArray(
            shape,
            dtype,
            lambda index: self._part(part._replace(below=index), writable=True),
            is_list=part.dtype is None,
        )
