"""The options of figures: each is checked, and refused with what there is, in one way."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any, Final, Literal, ParamSpec, TypeAlias, get_args

import numpy as np
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    AnalysisLike,
    Layer,
    UnknownChoiceError,
    as_analysis,
)
from concept_fragmentation.analysis.choices import (
    as_whole_number,
    check_cluster,
    choose,
    labelled_position,
    layer_position,
    shown,
    whole_number,
    window_ends,
    window_positions,
)
from concept_fragmentation.analysis.counting import compact
from concept_fragmentation.components.figures import weights
from concept_fragmentation.components.figures.colouring import colourings, is_column
from concept_fragmentation.components.figures.concepts import MEASURES
from concept_fragmentation.components.view import MapProjection, View

# An open analysis, its columns, or an analysis dict.
Source: TypeAlias = AnalysisLike
# The first and the last layer, by name or by position in `layers`.
Window: TypeAlias = tuple[Layer, Layer] | None
Theme: TypeAlias = Literal["light", "dark"]

P = ParamSpec("P")

# Returns an option's value as the figure takes it, or refuses it: of the analysis, what was given
# for the option, and all that was given by name.
_Check: TypeAlias = Callable[[Analysis, Any, Mapping[str, Any]], object]


def checked_figure(**special: _Check) -> Callable[[Callable[P, go.Figure]], Callable[P, go.Figure]]:
    """Make a function a figure: every option is checked as `CHECKS` says, or as `special` does."""

    def decorate(function: Callable[P, go.Figure]) -> Callable[P, go.Figure]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}(): {error}") from None
            bound.apply_defaults()
            given = bound.arguments
            analysis = as_analysis(given["handle"])
            if "before" not in given:
                # Made of a dict once.
                given["handle"] = analysis
            for name in [name for name in given if name not in {"handle", "before"}]:
                given[name] = (special.get(name) or CHECKS[name])(analysis, given[name], given)
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorate


def columns_of_window(analysis: Analysis, window: Window) -> tuple[int, int]:
    """Return the columns of `labels` at the ends of a window; None is what the page shows."""
    if window is not None:
        return window_positions(analysis.layers, analysis.labelled_layers, *window_ends(window))
    number = len(analysis.labelled_layers)
    first_shown = View().clamp(number, analysis.num_tokens)
    last = number - 1 if first_shown.last is None else first_shown.last
    return first_shown.first, last


def layer_name(analysis: Analysis, layer: Layer) -> str:
    """Return the name of a layer that is given by its name or position."""
    return analysis.layers[layer_position(analysis.layers, layer)]


def column_of(analysis: Analysis, layer: Layer) -> int:
    """Return the column of `labels` of a layer that is given by its name or position."""
    return labelled_position(analysis.layers, analysis.labelled_layers, layer)


def _options(what: str, known: Iterable[str]) -> _Check:
    names = tuple(known)
    return lambda _analysis, given, _all: choose(what, given, names)


def _colouring(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> str:
    """The colouring of that name, which may lack the "metric." or "token." before it."""
    if given in ("cluster", "path"):
        return str(given)
    known = dict.fromkeys(colourings(analysis))
    known |= dict.fromkeys(f"token.{name}" for name in analysis.token_columns)
    plain: dict[str, str] = {}
    for name in known:
        plain.setdefault(name.partition(".")[2] or name, name)
    if isinstance(given, str) and given in known:
        return given
    return plain[choose("colour_by", given, plain)]


def column_colouring(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> str:
    """The colouring by cluster, or by a column whose name may lack the "token." before it."""
    known = {"cluster": "cluster"}
    for name in colourings(analysis):
        if is_column(name):
            known |= {name: name, name.partition(".")[2]: name}
    return known[choose("colour_by", given, known)]


def _layer(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> str:
    return layer_name(analysis, given)


def _labelled_layer(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> str:
    return analysis.labelled_layers[column_of(analysis, given)]


def weighted_layer(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> str:
    """A layer with attention weights; where no layer has any, the figure says so."""
    having = weights.weight_layers(analysis)
    if isinstance(given, str) and having:
        return choose("layer", given, having)
    name = layer_name(analysis, given)
    return choose("layer", name, having) if having else name


def _head(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> int | None:
    heads = weights.num_heads(analysis)
    # Without weights there are no heads, and the figure says so.
    return None if given is None or not heads else whole_number("head", given, range(heads))


def _sequence(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> int:
    number = len(set(analysis.sequence_ids.tolist())) or 1
    return whole_number("sequence", given, range(number))


def _token(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> int:
    return whole_number("token", given, range(analysis.num_tokens))


def _tokens(analysis: Analysis, given: Any, all_: Mapping[str, Any]) -> list[int]:
    return [_token(analysis, token, all_) for token in _items("tokens", "indices", given)]


def _items(what: str, of: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise UnknownChoiceError(f"{what}: a list of {of} is needed, not {shown(given)}")
    return list(given)


def _window_option(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> Window:
    if given is not None and analysis.labelled_layers:
        window_positions(analysis.layers, analysis.labelled_layers, *window_ends(given))
    return None if given is None else window_ends(given)


def _paths(analysis: Analysis, given: Any, all_: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Paths that a token takes through the window."""
    found = []
    paths = _items("highlighted_paths", "paths, each a list of clusters,", given)
    if paths and analysis.labelled_layers:
        first, last = columns_of_window(analysis, all_["window"])
        labels = analysis.labels[:, first : last + 1]
    for path in paths:
        clusters = [as_whole_number(cluster) for cluster in _items("path", "clusters", path)]
        known = [cluster for cluster in clusters if cluster is not None]
        if len(known) < len(clusters):
            raise UnknownChoiceError(f"path: numbers of clusters are needed, not {shown(path)}")
        if analysis.labelled_layers:
            if len(known) != labels.shape[1]:
                raise UnknownChoiceError(
                    f"path: {shown(path)} has {len(known)} clusters where the window has "
                    f"{labels.shape[1]} layers"
                )
            if not (labels == np.array(known)).all(axis=1).any():
                raise UnknownChoiceError(f"path: no token takes {shown(path)} through the window")
        found.append(tuple(known))
    return found


def _clusters(analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Pairs of a layer and a cluster in it."""
    chosen = []
    for pair in _items("selected", "pairs of a layer and a cluster", given):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UnknownChoiceError(
                f"selected: a layer and a cluster are needed, such as ('block_1', 0), "
                f"not {shown(pair)}"
            )
        column = column_of(analysis, pair[0])
        layer = analysis.labelled_layers[column]
        known = compact(analysis.labels[:, column])[0].tolist()
        chosen.append((layer, check_cluster(pair[1], known, layer)))
    return chosen


def _min_count(_analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> int:
    number = as_whole_number(given)
    if number is None or number < 1:
        raise UnknownChoiceError(f"min_count: a whole number from 1 is needed, not {shown(given)}")
    return number


def _share(_analysis: Analysis, given: Any, _all: Mapping[str, Any]) -> float:
    is_number = isinstance(given, Real) and not isinstance(given, bool | np.bool_)
    if not is_number or not 0 <= float(given) <= 1:
        raise UnknownChoiceError(f"threshold: a share from 0 to 1 is needed, not {shown(given)}")
    return float(given)


# Every option that a figure has.
CHECKS: Final[Mapping[str, _Check]] = {
    "colour_by": _colouring,
    "head": _head,
    "highlighted_paths": _paths,
    "highlighted_tokens": _tokens,
    "layer": _layer,
    "measure": _options("measure", MEASURES),
    "min_count": _min_count,
    "projection": _options("projection", get_args(MapProjection)),
    "selected": _clusters,
    "sequence": _sequence,
    "source": _labelled_layer,
    "target": _labelled_layer,
    "theme": _options("theme", get_args(Theme)),
    "threshold": _share,
    "token": _token,
    "tokens": _tokens,
    "window": _window_option,
}
