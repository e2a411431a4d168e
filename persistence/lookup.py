"""Finding one value in an encoded analysis without decoding the rest (see `codec`)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from concept_fragmentation.persistence import codec

MISSING: Final = object()


class TensorPart(NamedTuple):
    """What an encoded array stands for: a tensor, or the part of it below leading indices."""

    tensor: str
    # Of the whole array; None for a list, whose tensor has the dtype and shape that it has.
    dtype: str | None
    shape: tuple[int, ...] | None
    below: tuple[int, ...]


class _Row(NamedTuple):
    """A record of a table: its columns and which item of each."""

    columns: dict[str, Any]
    row: int


class _Item(NamedTuple):
    """One item of an encoded list."""

    items: Any
    row: int


def find(encoded: Any, *keys: str) -> Any:
    """What stands below `keys` in encoded nested dicts, still encoded; MISSING if nothing does."""
    found = encoded
    for key in keys:
        found = _child(found, key)
        if found is MISSING:
            break
    return found


def tensor_part(found: Any) -> TensorPart | None:
    """Which tensor a found array or list of numbers is in; None if it is in the JSON."""
    if isinstance(found, _Item):
        whole = tensor_part(found.items)
        return whole and whole._replace(below=(found.row,))
    if isinstance(found, dict) and len(found) == 1:
        body = found.get("$array") or found.get("$list")
        if isinstance(body, dict) and "tensor" in body and body.get("type") != "json":
            shape = tuple(body["shape"]) if "shape" in body else None
            return TensorPart(body["tensor"], body.get("dtype"), shape, ())
    return None


def decode(found: Any, read: Any) -> Any:
    """The value that was found; `read` gives the tensors that it needs."""
    if isinstance(found, _Row):
        return {
            name: decode(_item(column, found.row), read) for name, column in found.columns.items()
        }
    if isinstance(found, _Item):
        return codec.decode(found.items, read)[found.row]
    return codec.decode(found, read)


def keys(found: Any, read: Any) -> list[Any]:
    """The keys of a found dict."""
    if isinstance(found, _Row):
        return list(found.columns)
    if set(found) == {"$dict"}:
        return [codec.decode(key) for key, _ in found["$dict"]]
    if set(found) == {"$table"}:
        index: list[Any] = codec.decode(found["$table"]["index"], read)
        return index
    return list(found)


def _child(found: Any, key: str) -> Any:
    if isinstance(found, _Row):
        return _item(found.columns[key], found.row) if key in found.columns else MISSING
    if not isinstance(found, dict):
        return MISSING
    if set(found) == {"$dict"}:
        return next((value for name, value in found["$dict"] if name == key), MISSING)
    if set(found) == {"$table"}:
        table = found["$table"]
        if isinstance(table.get("index"), list) and key in table["index"]:
            return _Row(table["columns"], table["index"].index(key))
        return MISSING
    return found.get(key, MISSING)


def _item(column: Any, row: int) -> Any:
    """One item of an encoded column."""
    return column[row] if isinstance(column, list) else _Item(column, row)
