"""Whether an analysis dict is consistent, and what exactly is wrong with it if not.

Every problem begins with its path, such as `cluster_labels.layer_3: 41 labels for 42 tokens`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from concept_fragmentation.analysis.errors import InvalidAnalysisError
from concept_fragmentation.analysis.hidden_states import state_problem
from concept_fragmentation.analysis.lazy import LazyArray, is_array
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.massive import KINDS

# A hostile file can have millions of problems; nobody reads more than these.
_MOST_PROBLEMS: Final = 100
_SHOWN_CHARACTERS: Final = 60
# Of more wrong entries of one list the first is named, and their number.
_MOST_OF_A_LIST: Final = 3
# The largest number that a column holds.
_MOST: Final = 2**63 - 1
# By the least number: long lists are looked through in C.
_WHOLE_NUMBERS: Final = {
    None: list[Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)]],
    -1: list[Annotated[int, msgspec.Meta(ge=-1, le=_MOST)]],
    0: list[Annotated[int, msgspec.Meta(ge=0, le=_MOST)]],
}


def check_analysis(data: object) -> None:
    """Raise InvalidAnalysisError with every problem if `data` is no consistent analysis."""
    if problems := find_problems(data):
        raise InvalidAnalysisError(problems)


def find_problems(data: object) -> list[str]:
    """Every problem of an analysis dict, each named by its path; [] if it is consistent.

    Needed are `model_type`, `layers` and `token_metadata.tokens`; whatever else is there must fit
    them. The structure that a store loads will do. Lists may be tuples or NumPy arrays. Keys that
    are not known are no problem. Never raises, whatever lists, dicts,
    scalars and arrays `data` is made of.

    Tokens may be nested by sequence ([B][S]), and the sequences need no padding: their lengths may
    differ. What else is given for each token is then flat, one sequence after the other, or nested
    in sequences of the same lengths (labels: flat only). Attention of nested tokens is (heads, T,
    T), or (B, heads, S, S) where all sequences have the length S.

    >>> tokens = {"tokens": [" the", " cat"], "positions": [0]}
    >>> find_problems({"model_type": "gpt2", "layers": ["layer_0"], "token_metadata": tokens})
    ['token_metadata.positions: 1 entries for 2 tokens']

    Returns:
        At most 100 problems, and a last line that says so if there are more.
    """
    problems = list(islice(_problems(analysis_dict(data)), _MOST_PROBLEMS + 1))
    if len(problems) > _MOST_PROBLEMS:
        problems[-1] = "... and more problems like these"
    return problems


def is_list(value: object) -> bool:
    """Whether `value` is a list, a tuple or an array of one or more dimensions."""
    return isinstance(value, list | tuple) or (is_array(value) and value.ndim > 0)


def sequence_lengths(tokens: Any) -> list[int] | None:
    """The lengths of nested sequences of tokens ([B][S]); None if the tokens are not nested."""
    if len(tokens) and all(map(is_list, tokens)):
        return list(map(len, tokens))
    return None


def count_tokens(tokens: Any) -> int:
    """How many tokens there are, nested by sequence or not."""
    lengths = sequence_lengths(tokens)
    return len(tokens) if lengths is None else sum(lengths)


def _problems(data: object) -> Iterator[str]:
    if not isinstance(data, Mapping):
        yield f"analysis: a dict is needed, not {type(data).__name__}"
        return
    if not isinstance(data.get("model_type"), str):
        yield f"model_type: a string is needed, not {_shown(data.get('model_type'))}"
    layers = data.get("layers")
    layer_problems = list(islice(_layer_problems(layers), _MOST_PROBLEMS + 1))
    yield from layer_problems
    names: list[str] | None = None if layer_problems else list(layers)  # type: ignore[arg-type]
    metadata = data.get("token_metadata")
    if not isinstance(metadata, Mapping):
        yield f"token_metadata: a dict with the key 'tokens' is needed, not {_shown(metadata)}"
        return
    # Of a million tokens that are no strings, no more are looked at than are shown.
    token_problems = list(islice(_token_problems(metadata.get("tokens")), _MOST_PROBLEMS + 1))
    yield from token_problems
    if token_problems:
        return
    lengths = sequence_lengths(metadata["tokens"])
    num_tokens = count_tokens(metadata["tokens"])
    for name in ("positions", "token_ids", "attention_mask", "sequence_ids"):
        if metadata.get(name) is not None:
            yield from _number_problems(
                f"token_metadata.{name}", metadata[name], num_tokens, lengths
            )
    yield from _label_problems(data.get("cluster_labels"), names, num_tokens)
    yield from _path_problems(data.get("token_paths"), names, num_tokens)
    yield from _attention_problems(data.get("attention_data"), names, num_tokens, lengths)
    yield from _cluster_metric_problems(data.get("cluster_metrics"), names)
    yield from _set_aside_problems(data.get("set_aside"), num_tokens)
    yield from _hidden_state_problems(
        data.get("hidden_states"), names, num_tokens, _padding(metadata, num_tokens)
    )


def _layer_problems(layers: object) -> Iterator[str]:
    if not is_list(layers):
        yield f"layers: a list of layer names is needed, not {_shown(layers)}"
        return
    names: Sequence[Any] = layers  # type: ignore[assignment]
    if len(names) == 0:
        yield "layers: at least one layer is needed"
    seen: set[str] = set()
    for i, name in enumerate(names):
        if not isinstance(name, str):
            yield f"layers[{i}]: a string is needed, not {_shown(name)}"
        elif name in seen:
            yield f"layers[{i}]: the layer {_shown(name)} is listed twice"
        else:
            seen.add(name)


def _token_problems(tokens: object) -> Iterator[str]:
    if not is_list(tokens):
        yield f"token_metadata.tokens: a list of strings is needed, not {_shown(tokens)}"
        return
    items: Sequence[Any] = tokens  # type: ignore[assignment]
    if sequence_lengths(items) is not None:
        for i, sequence in enumerate(items):
            yield from _string_problems(f"token_metadata.tokens[{i}]", sequence)
    else:
        yield from _string_problems("token_metadata.tokens", items)


def _string_problems(path: str, items: Sequence[Any]) -> Iterator[str]:
    if set(map(type, items)) <= {str}:
        return
    for i, item in enumerate(items):
        if not isinstance(item, str):
            yield f"{path}[{i}]: a string is needed, not {_shown(item)}"


def _number_problems(
    path: str, values: object, num_tokens: int, lengths: list[int] | None
) -> Iterator[str]:
    """One whole number a token; nested as the tokens are, or flat."""
    if not is_list(values):
        yield f"{path}: a list with a whole number for each token is needed, not {_shown(values)}"
        return
    items: Any = values
    own = sequence_lengths(items)
    if own is not None:
        if own != lengths:
            yield from _sequence_problems(path, own, lengths)
            return
        items = list(chain.from_iterable(items))
    yield from _whole_number_problems(path, items, None)
    if len(items) != num_tokens:
        yield f"{path}: {len(items)} entries for {num_tokens} tokens"


def _sequence_problems(path: str, own: list[int], lengths: list[int] | None) -> Iterator[str]:
    """Where sequences are cut otherwise than those of the tokens."""
    if lengths is None:
        yield f"{path}: nested by sequence where the tokens are not"
        return
    if len(own) != len(lengths):
        yield f"{path}: {len(own)} sequences where the tokens have {len(lengths)}"
    for i, (found, needed) in enumerate(zip(own, lengths, strict=False)):
        if found != needed:
            yield f"{path}[{i}]: {found} entries for {needed} tokens"


def _whole_number_problems(path: str, items: Any, least: int | None) -> Iterator[str]:
    if isinstance(items, np.ndarray):
        if items.dtype.kind not in "iu" or items.ndim != 1:
            yield f"{path}: whole numbers are needed, not {items.dtype} of shape {items.shape}"
        elif items.size and items.max() > _MOST:
            yield f"{path}: a number over 64 bits"
        elif least is not None and items.size and items.min() < least:
            yield f"{path}: {items.min()} is less than {least}"
        return
    with contextlib.suppress(msgspec.ValidationError):
        msgspec.convert(items, _WHOLE_NUMBERS[least])
        return
    # Something is wrong, or there are NumPy's numbers among them.
    if set(map(type, items)) <= {int}:
        if min(items) < -_MOST or max(items) > _MOST:
            yield f"{path}: a number over 64 bits"
        else:
            yield f"{path}: {min(items)} is less than {least}"
        return
    yield from _entry_problems(path, items, least)


def _entry_problems(path: str, items: Any, least: int | None) -> Iterator[str]:
    """The entries of a list that are no whole numbers, few of them or the first and how many.

    Of a column of floats, made of whole numbers by one that is missing, that one is the first.
    """
    found: tuple[list[str], list[str]] = ([], [])
    counts = [0, 0]
    for i, item in enumerate(items):
        is_float = isinstance(item, float | np.floating) and float(item).is_integer()
        if isinstance(item, bool) or not isinstance(item, int | np.integer):
            problem = f"{path}[{i}]: a whole number is needed, not {_shown(item)}"
        elif not -_MOST <= item <= _MOST:
            problem = f"{path}[{i}]: a number over 64 bits"
        elif least is not None and item < least:
            problem = f"{path}[{i}]: {item} is less than {least}"
        else:
            continue
        counts[is_float] += 1
        if counts[is_float] <= _MOST_OF_A_LIST:
            found[is_float].append(problem)
    for problems, count in zip(found, counts, strict=True):
        if count > _MOST_OF_A_LIST:
            yield f"{problems[0]} ({count:,} of {len(items):,} entries)"
        else:
            yield from problems


def _by_layer_problems(path: str, by_layer: object, layers: list[str] | None) -> Iterator[str]:
    if by_layer is None:
        return
    if not isinstance(by_layer, Mapping):
        yield f"{path}: a dict with a layer's name as key is needed, not {_shown(by_layer)}"
        return
    if layers is None:
        return
    declared = set(layers)
    for name in by_layer:
        if not isinstance(name, str) or name not in declared:
            yield f"{path}.{_key(name)}: no layer of that name in layers"


def _label_problems(labels: object, layers: list[str] | None, num_tokens: int) -> Iterator[str]:
    yield from _by_layer_problems("cluster_labels", labels, layers)
    if not isinstance(labels, Mapping):
        return
    for layer, values in labels.items():
        path = f"cluster_labels.{_key(layer)}"
        if not is_list(values):
            yield f"{path}: a list of whole numbers is needed, not {_shown(values)}"
            continue
        if len(values) != num_tokens:
            yield f"{path}: {len(values)} labels for {num_tokens} tokens"
        # -1 is "no cluster".
        yield from _whole_number_problems(path, values, -1)


def _path_problems(paths: object, layers: list[str] | None, num_tokens: int) -> Iterator[str]:
    if paths is None:
        return
    if not isinstance(paths, Mapping):
        yield f"token_paths: a dict is needed, not {_shown(paths)}"
        return
    if len(paths) > num_tokens:
        yield f"token_paths: {len(paths)} paths for {num_tokens} tokens"
    records = list(paths.values())
    if not set(map(type, records)) <= {dict}:
        for key, record in paths.items():
            if not isinstance(record, Mapping):
                yield f"token_paths.{_key(key)}: a dict is needed, not {_shown(record)}"
        return
    cluster_paths = [record.get("cluster_path") for record in records]
    most = None if layers is None else len(layers)
    kinds = set(map(type, cluster_paths))
    if kinds <= {list} and (most is None or max(map(len, cluster_paths), default=0) <= most):
        numbers = list(chain.from_iterable(cluster_paths))
        if not list(_whole_number_problems("", numbers, -1)):
            return
    # Something is wrong: look at them one by one.
    for key, clusters in zip(paths, cluster_paths, strict=True):
        path = f"token_paths.{_key(key)}.cluster_path"
        if clusters is None:
            continue
        if not is_list(clusters):
            yield f"{path}: a list of whole numbers is needed, not {_shown(clusters)}"
            continue
        if most is not None and len(clusters) > most:
            yield f"{path}: {len(clusters)} clusters for {most} layers"
        yield from _whole_number_problems(path, clusters, -1)


def _attention_problems(
    attention: object, layers: list[str] | None, num_tokens: int, lengths: list[int] | None
) -> Iterator[str]:
    yield from _by_layer_problems("attention_data", attention, layers)
    if not isinstance(attention, Mapping):
        return
    for layer, values in attention.items():
        path = f"attention_data.{_key(layer)}"
        if not isinstance(values, Mapping):
            yield f"{path}: a dict is needed, not {_shown(values)}"
            continue
        heads = values.get("num_heads")
        if heads is not None and (
            isinstance(heads, bool) or not isinstance(heads, int | np.integer) or heads < 1
        ):
            yield f"{path}.num_heads: a whole number from 1 is needed, not {_shown(heads)}"
            heads = None
        yield from _statistic_problems(path, values, heads, layers)
        if values.get("attention_probs") is not None:
            yield from _weight_problems(
                f"{path}.attention_probs", values["attention_probs"], heads, num_tokens, lengths
            )


def _statistic_problems(
    path: str, values: Mapping[Any, Any], heads: Any, layers: list[str] | None
) -> Iterator[str]:
    """What `AttentionStatistics` gives for a layer; `entropy` and `head_agreement` may be of more
    than the heads where others made them.
    """
    for name in ("entropy", "head_agreement"):
        if not (values.get(name) is None or _is_number(values[name]) or is_list(values[name])):
            found = _shown(values[name])
            yield f"{path}.{name}: a number or a list of numbers is needed, not {found}"
    for name in ("entropy_normalised", "first_token_weight"):
        value = values.get(name)
        if value is None or _is_number(value):
            continue
        array = _as_numbers(value)
        if array is None or array.ndim != 1:
            yield f"{path}.{name}: a number, or one for each head, is needed"
        elif heads is not None and len(array) != heads:
            yield f"{path}.{name}: {len(array)} numbers where num_heads is {_shown(heads)}"
    chance = values.get("head_agreement_chance")
    if not (chance is None or _is_number(chance)):
        yield f"{path}.head_agreement_chance: a number is needed, not {_shown(chance)}"
    yield from _layer_agreement_problems(path, values, layers)
    without = values.get("without_first_token")
    if isinstance(without, Mapping):
        # Once: a dict that holds itself has no end.
        inner = {key: value for key, value in without.items() if key != "without_first_token"}
        yield from _statistic_problems(f"{path}.without_first_token", inner, heads, layers)
    elif without is not None:
        yield f"{path}.without_first_token: a dict is needed, not {_shown(without)}"


def _layer_agreement_problems(
    path: str, values: Mapping[Any, Any], layers: list[str] | None
) -> Iterator[str]:
    for name in ("layer_agreement", "layer_agreement_chance"):
        yield from _by_layer_problems(f"{path}.{name}", values.get(name), layers)
        if isinstance(values.get(name), Mapping):
            for other, value in values[name].items():
                if not _is_number(value):
                    yield f"{path}.{name}.{_key(other)}: a number is needed, not {_shown(value)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _weight_problems(
    path: str, weights: object, heads: Any, num_tokens: int, lengths: list[int] | None
) -> Iterator[str]:
    array = _as_numbers(weights)
    if array is None:
        yield f"{path}: an array of numbers (heads, tokens, tokens) is needed"
        return
    fits = array.ndim == 3 and array.shape[1:] == (num_tokens, num_tokens)
    needed = "(heads, tokens, tokens)"
    if lengths is not None and len(set(lengths)) == 1:
        batch, length = len(lengths), lengths[0]
        needed += f" or ({batch}, heads, {length}, {length})"
        fits = fits or (
            array.ndim == 4 and (array.shape[0], *array.shape[2:]) == (batch, length, length)
        )
    if not fits:
        yield f"{path}: shape {array.shape} for {num_tokens} tokens; {needed} is needed"
    elif heads is not None and array.shape[-3] != heads:
        yield f"{path}: {array.shape[-3]} heads where num_heads is {_shown(heads)}"


def _cluster_metric_problems(metrics: object, layers: list[str] | None) -> Iterator[str]:
    yield from _by_layer_problems("cluster_metrics", metrics, layers)
    if not isinstance(metrics, Mapping):
        return
    for layer, values in metrics.items():
        if not isinstance(values, Mapping):
            yield f"cluster_metrics.{_key(layer)}: a dict is needed, not {_shown(values)}"


def _set_aside_problems(record: object, num_tokens: int) -> Iterator[str]:
    if record is None:
        return
    if not isinstance(record, Mapping):
        yield f"set_aside: a dict is needed, not {_shown(record)}"
        return
    for name in KINDS:
        tokens = record.get(name, ())
        if not is_list(tokens):
            yield f"set_aside.{name}: a list of indices of tokens is needed, not {_shown(tokens)}"
            continue
        path = f"set_aside.{name}"
        problems = list(_whole_number_problems(path, tokens, 0))
        yield from problems
        if not problems and len(tokens) and max(tokens) >= num_tokens:
            yield f"{path}: the index {max(tokens)} of {num_tokens} tokens"


def _padding(metadata: Mapping[Any, Any], num_tokens: int) -> np.ndarray[Any, Any] | None:
    """Which tokens are padding; None if there is no mask, or no mask that makes sense."""
    mask: Any = metadata.get("attention_mask")
    if not is_list(mask):
        return None
    flat: Any = mask if sequence_lengths(mask) is None else list(chain.from_iterable(mask))
    if len(flat) != num_tokens or next(_whole_number_problems("", flat, None), None) is not None:
        return None
    padding: np.ndarray[Any, Any] = np.asarray(flat) == 0
    return padding


def _hidden_state_problems(
    states: object,
    layers: list[str] | None,
    num_tokens: int,
    padding: np.ndarray[Any, Any] | None,
) -> Iterator[str]:
    yield from _by_layer_problems("hidden_states", states, layers)
    if not isinstance(states, Mapping):
        return
    for layer, values in states.items():
        path = f"hidden_states.{_key(layer)}"
        array = _as_numbers(values)
        if array is None or array.ndim != 2:
            found = _kind_of(values) if array is None else f"shape {array.shape}"
            yield f"{path}: an array of numbers (tokens, dimensions) is needed, not {found}"
        elif len(array) != num_tokens:
            yield f"{path}: {len(array)} rows for {num_tokens} tokens"
        # Arrays that are read when they are used were looked at when they were saved.
        elif not isinstance(array, LazyArray) and (problem := state_problem(array, padding)):
            yield f"{path}: {problem}"


def _kind_of(values: object) -> str:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        return "one with masked entries"
    if isinstance(values, np.ndarray):
        return f"{values.dtype} of shape {values.shape}"
    if hasattr(values, "detach"):
        return f"{_shown(values)}; analysis_from_labels takes one, and gives an array"
    return _shown(values)


def _as_numbers(values: object) -> np.ndarray[Any, Any] | LazyArray | None:
    if not is_list(values) or (isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values)):
        return None
    try:
        array = values if isinstance(values, LazyArray) else np.asarray(values)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return array if array.dtype.kind in "iuf" else None


def _key(key: object) -> str:
    """A dict's key as part of a path: as it is where that can be read, else quoted."""
    if isinstance(key, str) and key.isprintable() and 0 < len(key) <= _SHOWN_CHARACTERS:
        return str(key)
    return _shown(key)


def _shown(value: object) -> str:
    if isinstance(value, str):
        cut = value[:_SHOWN_CHARACTERS]
        return repr(str(cut)) if len(cut) == len(value) else f"{str(cut)!r}..."
    if value is None or isinstance(value, bool | int | float):
        try:
            text = repr(value)
        except ValueError:  # an integer of thousands of digits
            return "a very large number"
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return f"a {type(value).__name__}"
