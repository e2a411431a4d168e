"""Layers, clusters and options as people name them: found, or refused with what there is."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from concept_fragmentation.analysis.errors import UnknownChoiceError

# A layer, by its name or by its position in `layers`: from 0, or negative from the end.
Layer: TypeAlias = str | int

_LISTED: Final = 12


def choose(what: str, given: object, known: Iterable[str]) -> str:
    """Return `given` if it is one of the known names.

    Raises:
        UnknownChoiceError: it is not; the message lists the names and says which are like it.
    """
    names = list(known)
    if isinstance(given, str) and given in names:
        return str(given)
    near = difflib.get_close_matches(given, names, n=3) if isinstance(given, str) else []
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnknownChoiceError(f"{what}: there is no {shown(given)}, only {listed(names)}{hint}")


def whole_number(what: str, given: object, known: range) -> int:
    """Return `given` as an int if it is a whole number within a range; NumPy's are welcome.

    Raises:
        UnknownChoiceError: it is another number, or none.
    """
    number = as_whole_number(given)
    if number is None:
        raise UnknownChoiceError(f"{what}: a whole number is needed, not {shown(given)}")
    if number not in known:
        have = f"only {known[0]} to {known[-1]}" if known else "there are none at all"
        raise UnknownChoiceError(f"{what}: there is no {number}, {have}")
    return number


def as_whole_number(given: object) -> int | None:
    """Return a Python or NumPy whole number as an int; None of a bool, a float or anything else."""
    if isinstance(given, numbers.Integral) and not isinstance(given, bool | np.bool_):
        return int(given)
    return None


def layer_position(layers: Sequence[str], layer: Layer, what: str = "layer") -> int:
    """Return the position of a layer that is given by its name or by its position.

    >>> layer_position(["embedding", "block_1"], "block_1"), layer_position(["embedding"], -1)
    (1, 0)

    Args:
        layers: the names of the layers, in order.
        layer: a name; or a whole number from 0, negative ones from the end.
        what: what the error calls it.

    Raises:
        UnknownChoiceError: there is no such layer, or it is neither a name nor a whole number.
    """
    if isinstance(layer, str):
        return list(layers).index(choose(what, layer, layers))
    number = as_whole_number(layer)
    if number is None:
        raise UnknownChoiceError(
            f"{what}: a layer's name or its position is needed, not {shown(layer)}"
        )
    if not -len(layers) <= number < len(layers):
        have = f"only 0 to {len(layers) - 1}" if len(layers) else "there are none at all"
        raise UnknownChoiceError(f"{what}: there is no {number}, {have}")
    return number % len(layers)


def labelled_position(
    layers: Sequence[str], labelled: Sequence[str], layer: Layer, what: str = "layer"
) -> int:
    """Return the place among the labelled layers of a layer, given as for `layer_position`.

    Raises:
        UnknownChoiceError: there is no such layer, or it has no cluster labels.
    """
    name = layers[layer_position(layers, layer, what)]
    if name not in labelled:
        have = f"only {listed(labelled)}" if labelled else "and no layer has"
        raise UnknownChoiceError(f"{what}: {name!r} has no cluster labels, {have}")
    return list(labelled).index(name)


def window_positions(
    layers: Sequence[str], labelled: Sequence[str], first: Layer, last: Layer
) -> tuple[int, int]:
    """Return the places among the labelled layers of the first and the last layer of a window.

    Raises:
        UnknownChoiceError: one of the layers is not there or has no labels, or the last is before
            the first.
    """
    for layer in (first, last):
        number = as_whole_number(layer)
        if number is not None and not -len(layers) <= number < len(layers):
            raise UnknownChoiceError(
                f"window: {first} to {last} is not within the {len(layers)} layers, which are "
                f"counted from 0 to {len(layers) - 1}"
            )
    start, end = (labelled_position(layers, labelled, layer, "window") for layer in (first, last))
    if start > end:
        raise UnknownChoiceError(
            f"window: {shown(first)} to {shown(last)} is no window within the {len(layers)} "
            "layers: the last layer comes before the first"
        )
    return start, end


def window_ends(window: object) -> tuple[Any, Any]:
    """Return the two ends of a window that is given as a pair.

    Raises:
        UnknownChoiceError: it is no pair.
    """
    if isinstance(window, tuple | list | np.ndarray) and np.ndim(window) == 1 and len(window) == 2:
        first, last = window
        return first, last
    raise UnknownChoiceError(
        "window: the first and the last layer are needed, such as (0, 3) or "
        f"('block_1', 'block_4'), not {shown(window)}"
    )


def check_cluster(cluster: object, known: Iterable[int], layer: str) -> int:
    """Return the raw id of a cluster of a layer as an int.

    Raises:
        UnknownChoiceError: it is no whole number, or no token of the layer is in that cluster.
    """
    number = as_whole_number(cluster)
    if number is None:
        raise UnknownChoiceError(
            f"cluster: the number of a cluster is needed, not {shown(cluster)}"
        )
    ids = list(known)
    if number not in ids:
        have = f"only {listed(map(str, ids))}" if ids else "it has no clusters"
        raise UnknownChoiceError(f"cluster: there is no {number} in {layer}, {have}")
    return number


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence; of many, the first ones and how many there are."""
    known = list(names)
    if len(known) <= _LISTED + 1:
        return ", ".join(known)
    return f"{', '.join(known[:_LISTED])} and {len(known) - _LISTED:,} more"


def shown(given: object) -> str:
    """Return a value as Python writes it, cut."""
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:60]}..."
