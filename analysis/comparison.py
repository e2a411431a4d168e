"""What changed between two analyses: keys, tokens, clusters and metrics, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.alignment import best_matches
from concept_fragmentation.analysis.counting import IntArray, compact
from concept_fragmentation.analysis.lazy import LazyArray, is_array
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.model import Analysis
from concept_fragmentation.analysis.noise_floor import analysis_floor
from concept_fragmentation.analysis.provenance import SURROUNDINGS
from concept_fragmentation.analysis.rarefaction import FragmentationChange, compare_fragmentation
from concept_fragmentation.analysis.shown import LONGEST, Shown, block, cell
from concept_fragmentation.analysis.windows import labelled_window

_LISTED: Final = 10
# Where a third level of keys tells what changed from what only surrounds it.
_DEEPER: Final = frozenset(("provenance.model", "provenance.options"))


@dataclass(frozen=True, repr=False)
class KeyChanges(Shown):
    """Keys of nested dicts by their path, such as `attention_data.layer_3`."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, eq=False, repr=False)
class TokenChanges(Shown):
    """Which tokens are in both analyses, in the same order.

    Attributes:
        kept_before: int64 (N,), their indices in the first analysis, ascending.
        kept_after: int64 (N,), their indices in the second.
        num_before: how many tokens the first has.
        num_after: how many the second has.
    """

    kept_before: IntArray
    kept_after: IntArray
    num_before: int
    num_after: int

    @property
    def num_removed(self) -> int:
        """How many tokens only the first has."""
        return self.num_before - len(self.kept_before)

    @property
    def num_added(self) -> int:
        """How many tokens only the second has."""
        return self.num_after - len(self.kept_after)


@dataclass(frozen=True, eq=False, repr=False)
class LabelChanges(Shown):
    """What became of one layer's clusters.

    Attributes:
        layer: its name.
        matches: {id in the first analysis: id in the second} of the clusters that were matched.
        only_before: ids of the first that match none.
        only_after: ids of the second that match none.
        num_compared: how many tokens are in both analyses.
        moved: int64 (M,), indices in the second analysis of the tokens that are not in the cluster
            that theirs matches; those that gained or lost their cluster among them.
        floor: the share that moves between two clusterings of the layer by other seeds
            (`NoiseFloor.reseeded`), as the first analysis keeps it, or else the second; NaN where
            neither does.
    """

    layer: str
    matches: Mapping[int, int]
    only_before: tuple[int, ...]
    only_after: tuple[int, ...]
    num_compared: int
    moved: IntArray
    floor: float = np.nan

    @property
    def share_moved(self) -> float:
        """Moved tokens as a share of the compared ones, in [0, 1]; 0 where none is compared."""
        return len(self.moved) / self.num_compared if self.num_compared else 0.0

    def __bool__(self) -> bool:
        """Whether a token moved or a cluster came or went; other ids alone are no change."""
        return bool(len(self.moved) or self.only_before or self.only_after)


@dataclass(frozen=True, repr=False)
class MetricChange(Shown):
    """One metric that changed.

    Attributes:
        path: such as `cluster_metrics.layer_3.purity`.
        before: the number, or the mean of an array's finite numbers; None where it is missing.
        after: likewise.
        largest: the largest absolute difference of two values, over tokens that are in both
            analyses if it is a metric of tokens; None where the shapes differ or nothing compares.
    """

    path: str
    before: float | None
    after: float | None
    largest: float | None

    @property
    def change(self) -> float | None:
        """`after` - `before`; None where one is missing."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, eq=False, repr=False)
class AnalysisComparison:
    """What changed from one analysis to another; see `compare_analyses`.

    `surroundings` are keys that a repetition of the same run changes: its time, durations, machine
    and versions of libraries. They are neither among `keys` nor among `metadata`.

    `fragmentation` is that of the paths through the layers that both have, rarefied to the number
    of tokens of the smaller one; None where they have no such layers side by side.
    """

    keys: KeyChanges
    metadata: KeyChanges
    tokens: TokenChanges
    labels: tuple[LabelChanges, ...]
    metrics: tuple[MetricChange, ...]
    surroundings: KeyChanges = KeyChanges()
    fragmentation: FragmentationChange | None = None

    @property
    def identical(self) -> bool:
        """Whether the analyses are equal, whatever their metadata and surroundings say."""
        return not self.keys

    def __str__(self) -> str:
        """A page that a person can read, with everything that changed."""
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        """The first lines of that page."""
        lines, room = list(self._lines()), LONGEST - len("... and 1,000,000 more lines; print it")
        shown: list[str] = []
        for line in lines:
            room -= len(line) + 1
            if room < 0 and shown:
                break
            shown.append(line)
        left = len(lines) - len(shown)
        return "\n".join([*shown, f"... and {left:,} more lines; print it"] if left else shown)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{cell(line)}</td></tr>" for line in self._lines())
        return block(f"<table><tbody>{rows}</tbody></table>")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON; a number that is not finite is None."""
        return {
            "identical": self.identical,
            "keys": vars(self.keys),
            "metadata": vars(self.metadata),
            "surroundings": vars(self.surroundings),
            "tokens": {
                "before": self.tokens.num_before,
                "after": self.tokens.num_after,
                "kept": len(self.tokens.kept_before),
                "removed": self.tokens.num_removed,
                "added": self.tokens.num_added,
            },
            "labels": [
                {
                    "layer": layer.layer,
                    "matches": {str(old): new for old, new in layer.matches.items()},
                    "only_before": list(layer.only_before),
                    "only_after": list(layer.only_after),
                    "num_compared": layer.num_compared,
                    "num_moved": len(layer.moved),
                    "share_moved": layer.share_moved,
                    "moved": layer.moved.tolist(),
                }
                for layer in self.labels
            ],
            "fragmentation": None
            if self.fragmentation is None
            else {
                "layers": list(self.fragmentation.layers),
                "num_tokens": self.fragmentation.after.num_tokens,
                "before": self.fragmentation.before.fragmentation,
                "after": self.fragmentation.after.fragmentation,
                "change": self.fragmentation.change,
            },
            "metrics": [
                vars(metric) | {"change": metric.change} for metric in map(_finite, self.metrics)
            ],
        }

    def _lines(self) -> Iterator[str]:
        yield "The analyses are equal." if self.identical else "The analyses differ."
        for what, keys in (
            ("Keys", self.keys),
            ("Metadata", self.metadata),
            ("Expected to differ between runs,", self.surroundings),
        ):
            for how in ("added", "removed", "changed"):
                if paths := getattr(keys, how):
                    yield f"{what} {how}: {_listed(paths)}"
        tokens = self.tokens
        if tokens.num_added or tokens.num_removed:
            yield (
                f"Tokens: {tokens.num_before:,} before, {tokens.num_after:,} after; "
                f"{tokens.num_removed:,} removed, {tokens.num_added:,} added"
            )
        for layer in filter(None, self.labels):
            said = (
                f"Clusters of {layer.layer}: {len(layer.moved):,} of {layer.num_compared:,} tokens "
                f"moved ({layer.share_moved:.1%})"
            )
            if layer.only_before:
                said += f"; gone: {_listed(layer.only_before)}"
            if layer.only_after:
                said += f"; new: {_listed(layer.only_after)}"
            yield said
        if (found := self.fragmentation) is not None and found.change:
            yield (
                f"Fragmentation of {found.layers[0]} to {found.layers[-1]}, of "
                f"{found.after.num_tokens:,} tokens: {_number(found.before.fragmentation)} -> "
                f"{_number(found.after.fragmentation)}"
            )
        for metric in self.metrics:
            said = f"{metric.path}: {_number(metric.before)} -> {_number(metric.after)}"
            if metric.largest is not None:
                said += f", by {_number(metric.largest)} at most"
            yield said


def compare_analyses(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    metadata_before: Mapping[str, Any] | None = None,
    metadata_after: Mapping[str, Any] | None = None,
) -> AnalysisComparison:
    """What changed from one analysis dict to another.

    Tokens are paired by the longest runs that both have (Ratcliff & Metzener 1988, `difflib`), and
    what belongs to tokens is compared of pairs only. Cluster ids are arbitrary: within each layer
    that both have, the clusters are matched first so that they share as many tokens as possible
    (the assignment problem, as `align_labels` solves it), and a token moved if it left the cluster
    that its own is matched with. Two analyses that number the same clusters differently have no
    moved tokens, though their keys differ.

    Args:
        before: an analysis dict; it is not changed.
        after: another.
        metadata_before: what else is known of the first, compared by key.
        metadata_after: of the second.

    Raises:
        InvalidAnalysisError: one of them is inconsistent.
    """
    before, after = analysis_dict(before), analysis_dict(after)
    first, second = Analysis.from_dict(before), Analysis.from_dict(after)
    kept_before, kept_after = _pair_tokens(first.tokens, second.tokens)
    tokens = TokenChanges(kept_before, kept_after, first.num_tokens, second.num_tokens)
    keys = _compare_keys(before, after)
    metadata = _compare_keys(metadata_before or {}, metadata_after or {})
    return AnalysisComparison(
        keys=_only(keys, surroundings=False),
        metadata=_only(metadata, surroundings=False),
        surroundings=_only(keys, surroundings=True),
        tokens=tokens,
        labels=tuple(
            _compare_layer(first, second, layer, tokens)
            for layer in first.labelled_layers
            if layer in second.labelled_layers
        ),
        metrics=tuple(_compare_metrics(before, after, tokens)),
        fragmentation=_compare_fragmentation(first, second),
    )


def _compare_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> KeyChanges:
    """Two levels of keys, of provenance three; the records of tokens count as one."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return KeyChanges(
        added=tuple(path for path in new if path not in old),
        removed=tuple(path for path in old if path not in new),
        changed=tuple(path for path in old if path in new and not _same(old[path], new[path])),
    )


def _only(changes: KeyChanges, *, surroundings: bool) -> KeyChanges:
    """The changes of what is expected to differ between two runs, or the others."""
    return KeyChanges(
        **{
            how: tuple(path for path in paths if (path in SURROUNDINGS) == surroundings)
            for how, paths in vars(changes).items()
        }
    )


def _leaves(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value and key != "token_paths":
            for inner, leaf in value.items():
                path = f"{key}.{inner}"
                if path in _DEEPER and isinstance(leaf, Mapping) and leaf:
                    for innermost, value_there in leaf.items():
                        yield f"{path}.{innermost}", value_there
                else:
                    yield path, leaf
        else:
            yield str(key), value


def _same(left: Any, right: Any) -> bool:
    """Equality by value: arrays equal lists, and NaN equals itself."""
    left, right = (np.asarray(a) if isinstance(a, LazyArray) else a for a in (left, right))
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        floats = left.dtype.kind in "fc" and right.dtype.kind in "fc"
        return np.array_equal(left, right, equal_nan=floats)
    if isinstance(left, np.ndarray):
        left = left.tolist()
    if isinstance(right, np.ndarray):
        right = right.tolist()
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right) or (left != left and right != right)  # noqa: PLR0124 - NaN


def _pair_tokens(before: Sequence[str], after: Sequence[str]) -> tuple[IntArray, IntArray]:
    """The indices of the tokens that both have, in order."""
    shorter = min(len(before), len(after))
    start = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    ends = range(1, shorter - start + 1)
    end = next((i - 1 for i in ends if before[-i] != after[-i]), shorter - start)
    middle = SequenceMatcher(
        None, before[start : len(before) - end], after[start : len(after) - end]
    )
    runs = [(0, 0, start)]
    runs += [(start + a, start + b, size) for a, b, size in middle.get_matching_blocks()]
    runs.append((len(before) - end, len(after) - end, end))
    old, new = (
        np.concatenate([np.arange(run[side], run[side] + run[2], dtype=np.int64) for run in runs])
        for side in (0, 1)
    )
    return old, new


def _compare_layer(
    first: Analysis, second: Analysis, layer: str, tokens: TokenChanges
) -> LabelChanges:
    before = first.labels[tokens.kept_before, first.labelled_layers.index(layer)]
    after = second.labels[tokens.kept_after, second.labelled_layers.index(layer)]
    old_ids, old_codes = compact(before)
    new_ids, new_codes = compact(after)
    matches = best_matches(old_codes, new_codes, len(old_ids), len(new_ids))
    # One more entry: the partner of "no cluster" is "no cluster".
    partner = np.full(len(old_ids) + 1, -2)
    rows, columns = matches.before, matches.after
    partner[rows], partner[-1] = columns, -1
    moved = partner[old_codes] != new_codes
    return LabelChanges(
        layer=layer,
        matches=dict(zip(old_ids[rows].tolist(), new_ids[columns].tolist(), strict=True)),
        only_before=tuple(np.delete(old_ids, rows).tolist()),
        only_after=tuple(np.delete(new_ids, columns).tolist()),
        num_compared=len(moved),
        moved=tokens.kept_after[moved],
        floor=_floor(first, second, layer),
    )


def _floor(first: Analysis, second: Analysis, layer: str) -> float:
    for analysis in (first, second):
        if (floor := analysis_floor(analysis)) is not None:
            return float(floor.reseeded[floor.layers.index(layer)])
    return float("nan")


def _compare_fragmentation(first: Analysis, second: Analysis) -> FragmentationChange | None:
    """That of the layers that both have, where these follow one another in both."""
    shared = [layer for layer in first.labelled_layers if layer in second.labelled_layers]
    if not shared:
        return None
    windows = []
    for side in (first, second):
        columns = [side.labelled_layers.index(layer) for layer in shared]
        if columns != list(range(columns[0], columns[0] + len(columns))):
            return None
        windows.append(labelled_window(side, columns[0], columns[-1]))
    common = min(window.num_counted for window in windows)
    return compare_fragmentation(*windows, num_tokens=common) if common > 1 else None


def _compare_metrics(
    before: Mapping[str, Any], after: Mapping[str, Any], tokens: TokenChanges
) -> Iterator[MetricChange]:
    for part in ("cluster_metrics", "attention_data"):
        old, new = before.get(part) or {}, after.get(part) or {}
        for layer in dict.fromkeys([*old, *new]):
            old_layer, new_layer = old.get(layer) or {}, new.get(layer) or {}
            for name in dict.fromkeys([*old_layer, *new_layer]):
                yield from _compare_numbers(
                    f"{part}.{layer}.{name}",
                    _numbers(old_layer.get(name)),
                    _numbers(new_layer.get(name)),
                )
    old_columns = _token_columns(before.get("token_paths") or {}, tokens.num_before)
    new_columns = _token_columns(after.get("token_paths") or {}, tokens.num_after)
    for name in dict.fromkeys([*old_columns, *new_columns]):
        old_column, new_column = old_columns.get(name), new_columns.get(name)
        yield from _compare_numbers(
            f"token_paths.{name}",
            None if old_column is None else old_column[tokens.kept_before],
            None if new_column is None else new_column[tokens.kept_after],
        )


def _compare_numbers(
    path: str, before: npt.NDArray[Any] | None, after: npt.NDArray[Any] | None
) -> Iterator[MetricChange]:
    if before is None and after is None:
        return
    largest = None
    if before is not None and after is not None and before.shape == after.shape:
        if np.array_equal(before, after, equal_nan=True):
            return
        # Two infinities that are equal differ by NaN, which is no difference.
        with np.errstate(invalid="ignore"):
            differences = np.abs(after - before)
        known = differences[~np.isnan(differences)]
        largest = float(known.max()) if known.size else None
    yield MetricChange(path, _mean(before), _mean(after), largest)


def _numbers(value: object) -> npt.NDArray[Any] | None:
    """A number, an array, or a regular list of numbers, as floats; None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if is_array(value) and array.dtype.kind == "f":
        return array
    return array.astype(np.float64) if array.dtype.kind in "bifu" else None


def _token_columns(
    records: Mapping[str, Mapping[str, Any]], num_tokens: int
) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers that every token's record has, (T,) each; None is NaN."""
    if len(records) != num_tokens:
        return {}
    rows = list(records.values())
    names = [name for name in rows[0] if name not in {"position", "token_id"}] if rows else []
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = set(map(type, values)) - {type(None)}
        if kinds and all(issubclass(kind, int | float | np.number) for kind in kinds):
            columns[name] = np.array(values, dtype=np.float64)
    return columns


def _mean(values: npt.NDArray[Any] | None) -> float | None:
    if values is None:
        return None
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _finite(metric: MetricChange) -> MetricChange:
    if metric.largest is not None and not math.isfinite(metric.largest):
        return MetricChange(metric.path, metric.before, metric.after, None)
    return metric


def _listed(items: Sequence[object]) -> str:
    more = f" and {len(items) - _LISTED:,} more" if len(items) > _LISTED else ""
    return ", ".join(map(str, items[:_LISTED])) + more


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
