"""Every value comes back as it was, or is refused by its path."""

from __future__ import annotations

import contextlib
import math
import struct
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.persistence import InvalidDataError, codec

Same = Callable[[Any, Any], bool]

# All code points, lone surrogates included.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
floats = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])
arrays = hnp.arrays(
    dtype=hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes()
    | hnp.datetime64_dtypes()
    | hnp.unicode_string_dtypes(max_len=4)
    | hnp.byte_string_dtypes(max_len=4),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
hashable = st.none() | st.booleans() | st.integers() | texts | st.binary(max_size=5)
leaves = (
    hashable
    | floats
    | st.complex_numbers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.binary(max_size=5).map(bytearray)
    | st.sampled_from([np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("x"), np.float64(2)])
    | arrays
)
numbers = st.lists(st.integers(), min_size=60, max_size=70) | st.lists(
    floats, min_size=60, max_size=70
)
records = st.lists(
    st.fixed_dictionaries(
        {"text": texts, "path": st.lists(st.integers(0, 9), min_size=3, max_size=3)}
    ),
    min_size=14,
    max_size=20,
)
tables = records | records.map(lambda rows: {str(i): row for i, row in enumerate(rows)})
values = st.recursive(
    leaves | numbers | tables,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(texts | st.integers() | st.just("$tuple"), inner, max_size=4)
        | st.frozensets(hashable, max_size=4)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=12,
)


def through_json(value: Any, tensors: dict[str, Any] | None) -> Any:
    encoded = codec.encode(value, "data", tensors)
    parsed = msgspec.json.decode(msgspec.json.encode(encoded))
    # What the tensor file does to dtypes that safetensors does not know.
    stored = {
        name: array
        if array.dtype.isnative and array.dtype.kind in "biuf" and array.itemsize <= 8
        else np.frombuffer(array.tobytes(), np.uint8)
        for name, array in (tensors or {}).items()
    }
    return codec.decode(parsed, stored.__getitem__ if tensors is not None else None)


@given(values)
@pytest.mark.slow
def test_every_value_survives_json_alone(same: Same, value: Any) -> None:
    assert same(through_json(value, None), value)


@given(values)
@pytest.mark.slow
def test_every_value_survives_json_with_a_tensor_file(same: Same, value: Any) -> None:
    assert same(through_json(value, {}), value)


@pytest.mark.parametrize("bits", [0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000123])
def test_the_bits_of_an_unusual_nan_survive(bits: int) -> None:
    value = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    expected = struct.pack(">d", value)
    assert struct.pack(">d", through_json(value, None)) == expected
    assert struct.pack(">d", through_json([value] * 100, {})[57]) == expected


def test_two_lone_surrogates_do_not_become_one_character() -> None:
    halves = "\ud83d\ude00"
    assert through_json(halves, None) == halves
    assert through_json([halves, "x"], None) == [halves, "x"]
    assert len(through_json(["\ud83d", "\ude00"], None)) == 2


def test_long_lists_of_numbers_leave_the_json() -> None:
    tensors: dict[str, Any] = {}
    encoded = codec.encode({"labels": list(range(1000))}, "data", tensors)
    assert tensors["data.labels"].dtype == np.int16
    assert encoded == {"labels": {"$list": {"type": "int", "tensor": "data.labels"}}}


def test_names_of_tensors_are_never_shared() -> None:
    tensors: dict[str, Any] = {}
    codec.encode({"a/b": np.zeros(3), "a:b": np.ones(3)}, "data", tensors)
    assert sorted(array.sum() for array in tensors.values()) == [0, 3]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, object()]}, r"data\.a\[1\]"),
        ({"a": OrderedDict(b=1)}, "data.a"),
        ({"a": datetime.now(UTC)}, "data.a"),
        ({"a": {"b": np.array([object()])}}, "data.a.b"),
        ({"a": np.zeros(2, dtype=[("x", "f4")])}, "data.a"),
        ([{"x": object()}] * 20, r"data\.\*\.x"),
    ],
)
def test_what_can_not_be_kept_is_refused_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(InvalidDataError, match=path):
        codec.encode(value, "data", {})


def test_a_value_inside_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidDataError, match="nested deeper than"):
        codec.encode(circle, "data")


TAGS = ["$x", "dtype", "shape", "base64", "tensor", "type", "columns", "index", "length", "a"] + [
    name.replace("_decode_", "$") for name in dir(codec._Decoder) if name.startswith("_decode_")
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(TAGS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=15,
)


@given(json_values)
@pytest.mark.slow
def test_hostile_encodings_end_in_a_codec_error_or_a_value(value: Any) -> None:
    with contextlib.suppress(codec.CodecError):
        codec.decode(value, {"a": np.zeros(3)}.__getitem__)
