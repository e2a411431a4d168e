"""Whether paths show more than chance: permutation tests of a window, under two nulls."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import numpy as np

from concept_fragmentation.analysis.agreement import adjusted_rand_index
from concept_fragmentation.analysis.choices import Layer
from concept_fragmentation.analysis.cluster_quality import word_codes
from concept_fragmentation.analysis.counting import Floats, IntArray, compact
from concept_fragmentation.analysis.errors import UnknownChoiceError
from concept_fragmentation.analysis.model import AnalysisLike, as_analysis
from concept_fragmentation.analysis.permutation import (
    PermutationTest,
    Progress,
    check_permutations,
    holm,
    permutation_test,
    report_about_hundredths,
)
from concept_fragmentation.analysis.shown import table_of_fields
from concept_fragmentation.analysis.windows import (
    layer_window,
    log_reachable_paths,
    path_concentration,
    path_fragmentation,
)

Null = Literal["markov", "shuffled"]
FIGURES: Final = ("fragmentation", "concentration", "agreement")
NO_MEMORY: Final = (
    "A window of fewer than three layers has no memory to test: its transition counts are all that "
    "there is."
)

# Numbers of paths below this are exact, and have room for another layer's clusters.
_ROOM: Final = 2**62
# How many labels are drawn at a time.
_DRAWN: Final = 200_000


@dataclass(frozen=True, eq=False, repr=False)
class WindowSignificance:
    """Tests of a window's figures against a null; see `window_significance`.

    Attributes:
        fragmentation, concentration: see `LayerWindow` for the figures.
        agreement: of the first and the last layer of the window, their `adjusted_rand_index`.
        null: "markov" or "shuffled".
        num_permutations: M.
        seed: with which the test is the same again.
        num_words: how many words were counted once each; None where tokens were counted.
        note: why there is nothing to test, "" where there is.
    """

    fragmentation: PermutationTest
    concentration: PermutationTest
    agreement: PermutationTest
    null: Null
    num_permutations: int
    seed: int
    num_words: int | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What an analysis keeps of it as `significance`, in plain Python types."""
        return {
            **{name: _plain(getattr(self, name)) for name in FIGURES},
            "null": self.null,
            "num_permutations": self.num_permutations,
            "num_tests": sum(not np.isnan(getattr(self, name).p_value) for name in FIGURES),
            "num_words": self.num_words,
            "seed": self.seed,
            "note": self.note,
        }

    def __repr__(self) -> str:
        """Each figure beside the mean and the middle 95 % of its null, and its p-value."""
        return f"<{type(self).__name__} {'; '.join(self._lines())}>"

    def _repr_html_(self) -> str:
        rows = {name: said for name, _, said in (line.partition(" ") for line in self._lines())}
        options = {
            "null": self.null,
            "num_permutations": self.num_permutations,
            "seed": self.seed,
            "note": self.note,
        }
        return table_of_fields(rows | options, type(self).__name__)

    def _lines(self) -> Iterator[str]:
        for name in FIGURES:
            test = getattr(self, name)
            low, high = test.null_interval
            yield (
                f"{name} {test.observed:.4g}, {self.null} {test.null_mean:.4g} "
                f"[{low:.4g}, {high:.4g}] (p {test.p_adjusted:.2g})"
            )


def window_significance(
    analysis: AnalysisLike,
    first: Layer,
    last: Layer,
    *,
    types: Sequence[Hashable] | None = None,
    null: Null = "markov",
    permutations: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> WindowSignificance:
    """Test whether the paths of a window show more than a null has.

    The tokens that have a cluster in every layer of the window are counted, but for positions with
    massive activations that the analysis sets aside. Two nulls:

    - "markov": the paths remember one layer only. In every layer but the ends the tokens of each
      cluster are matched anew, at random, with what follows; so the number of tokens in every
      cluster and on every transition between neighbouring layers stays exactly what it is. Given
      these counts, all such arrangements are equally likely for a Markov chain of order 1 whose
      transitions may differ by layer, and each is drawn with equal probability: the test is exact
      (Pethel & Hahs 2014, arXiv:1302.1500, who draw from the same distribution for one stationary
      sequence by Whittle's formula). Less fragmentation than that means that where a token comes
      from says where it goes, beyond the cluster that it is in.
    - "shuffled": the layers know nothing of each other. In every layer the labels are dealt anew;
      cluster sizes stay. A layer of a transformer follows from the one before, so that this is
      nearly always rejected, and says little.

    p-values are two-sided and corrected for the three figures by `holm`; where several windows are
    tested, give `holm` the p-values of all. A p-value of 0.05 or more does not show that there is
    no effect: look at `difference` and `difference_interval`. In long windows nearly every drawn
    token has a path of its own: fragmentation then hardly varies, and z is huge whatever the
    difference is. Tokens are taken for independent; in running text the occurrences of a word are
    not: they share paths because they are one word, which looks like memory. With `types` each word
    is counted once, where it is first.

    Args:
        analysis: with labels: an `Analysis`, an open analysis, or an analysis dict.
        first: the first layer, by its name or by its position in `layers`: from 0, or negative from
            the end.
        last: the last layer, included, likewise.
        types: (T,) the word of each token, as `word_types` gives it of running text; None where
            every token is independent of the others, as in a list of different words.
        null: "markov", of windows of three layers or more; the tests of shorter ones are NaN, and
            `note` says why. Or "shuffled".
        permutations: M; the least p-value is 2 / (1 + M), before it is corrected.
        seed: of the permutations.
        progress: called with the number of permutations done and M.

    Raises:
        UnknownChoiceError: there is no such window, or no such null.
        InvalidDataError: fewer than one permutation is asked for, or not one word a token is given.
    """
    check_permutations(permutations)
    if null not in get_args(Null):
        raise UnknownChoiceError(f"null: there is no {null!r}, but 'markov' and 'shuffled'")
    analysis = as_analysis(analysis).without_set_aside()
    window = layer_window(analysis, first, last)
    counted = np.flatnonzero(window.path_of_token >= 0)
    if types is not None:
        words = word_codes(types, analysis.num_tokens)[counted]
        counted = counted[np.sort(np.unique(words, return_index=True)[1])]
    labels = analysis.labels[counted, window.first : window.last + 1]
    columns = [compact(labels[:, i])[1] for i in range(labels.shape[1])]
    counts = np.bincount(window.path_of_token[counted])
    counts = counts[counts > 0]
    reachable = log_reachable_paths(len(labels), window.cluster_ids)
    observed = (
        path_fragmentation(counts, reachable),
        path_concentration(counts),
        adjusted_rand_index(labels[:, 0], labels[:, -1]),
    )
    testable = len(labels) > 1 and (null == "shuffled" or len(columns) > 2)
    drawn: Floats = np.full((3, permutations), np.nan)
    if testable:
        generator = np.random.default_rng(seed)
        size = max(_DRAWN // len(labels), 1)
        for start in range(0, permutations, size):
            stop = min(start + size, permutations)
            numbers, ends = _draw(columns, null, stop - start, generator)
            drawn[:, start:stop] = _figures(numbers, columns[0], ends, reachable)
            report_about_hundredths(progress, start, stop, permutations)
    tests = [
        permutation_test(figure, of_null) for figure, of_null in zip(observed, drawn, strict=True)
    ]
    adjusted = holm([test.p_value for test in tests])
    corrected = [
        replace(test, p_adjusted=float(p)) for test, p in zip(tests, adjusted, strict=True)
    ]
    return WindowSignificance(
        **dict(zip(FIGURES, corrected, strict=True)),
        null=null,
        num_permutations=permutations,
        seed=seed,
        num_words=None if types is None else len(labels),
        note=NO_MEMORY if null == "markov" and len(columns) < 3 else "",
    )


def _draw(
    columns: Sequence[IntArray], null: Null, number: int, generator: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Draw paths from a null.

    Args:
        columns: for each layer int64 (N,), the clusters from 0 on.
        null: which.
        number: B, how many arrangements.
        generator: what to draw with.

    Returns:
        int64 (B, N) each: a number that stands for the path, and the cluster in the last layer. In
        the first layer every arrangement is as it was.
    """
    shape = (number, len(columns[0]))
    numbers = here = np.broadcast_to(columns[0], shape)
    room = int(columns[0].max()) + 1
    for i, column in enumerate(columns[1:], 1):
        if null == "shuffled":
            after = generator.permuted(np.broadcast_to(column, shape), axis=1)
        elif i == 1:
            after = np.broadcast_to(column, shape)
        else:
            # Who is in a cluster comes in random order, and takes what followed from it in turn.
            order = np.argsort(here + generator.random(shape), axis=1)
            following = column[np.argsort(columns[i - 1], kind="stable")]
            after = np.empty(shape, dtype=np.int64)
            np.put_along_axis(after, order, np.broadcast_to(following, shape), axis=1)
        size = int(column.max()) + 1
        if room * size > _ROOM:
            ids, numbers = np.unique(numbers, return_inverse=True)
            room = len(ids)
        numbers, here, room = numbers * size + after, after, room * size
    return numbers, here


def _figures(numbers: IntArray, first: IntArray, last: IntArray, reachable: float) -> Floats:
    """float64 (3, B): the `FIGURES` of B arrangements of N paths, by number.

    Args:
        numbers: int64 (B, N), of the paths.
        first: int64 (N,), clusters in the first layer, from 0 on.
        last: int64 (B, N), clusters in the last layer, from 0 on.
        reachable: `log_reachable_paths`.
    """
    total = numbers.shape[1]
    rows, counts = _counts(numbers)
    logarithms = np.log(np.arange(1, total + 1))
    entropy = np.log(total) - np.bincount(rows, counts * logarithms[counts - 1]) / total
    largest = np.maximum.reduceat(counts, np.flatnonzero(np.diff(rows, prepend=-1)))
    fragmentation = np.maximum(entropy, 0.0) / reachable if reachable else np.zeros(len(numbers))
    both_rows, both = _counts(first * (int(last.max()) + 1) + last)
    together = np.bincount(both_rows, _pairs(both))
    in_first, in_last = (_pairs(np.bincount(ends)).sum() for ends in (first, last[0]))
    expected = in_first * in_last / _pairs(np.array(total))
    rest = (in_first + in_last) / 2 - expected
    agreement = (together - expected) / rest if rest else np.ones(len(numbers))
    return np.stack([fragmentation, largest / total, agreement])


def _counts(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """How many tokens share each number of each row: the row, and how many."""
    ordered = np.sort(numbers, axis=1)
    is_first = np.ones(numbers.shape, dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(is_first)
    return starts // numbers.shape[1], np.diff(starts, append=numbers.size)


def _plain(test: PermutationTest) -> dict[str, float]:
    low, high = test.null_interval
    return {
        "observed": test.observed,
        "null_mean": test.null_mean,
        "null_low": low,
        "null_high": high,
        "null_sd": test.null_sd,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
    }


def _pairs(sizes: IntArray) -> Floats:
    return sizes * (sizes - 1.0) / 2
