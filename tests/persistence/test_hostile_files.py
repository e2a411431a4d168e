"""Hostile files of every kind and format are refused at a price that their size allows."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from concept_fragmentation.persistence import (
    GPT2AnalysisPersistence,
    InvalidDataError,
    budget,
    csv_folder,
    exchange,
    import_process,
    pickle_scan,
    safe_pickle,
)
from concept_fragmentation.persistence.budget import Budget, OverBudgetError
from tests.persistence import hostile_files

pytestmark = pytest.mark.slow

Store = GPT2AnalysisPersistence
ROOT = Path(__file__).parents[2]
MEBIBYTE = 2**20

# Run in a process that can have 300 MiB more than it has: the largest file takes 20, and the stack
# of each thread that waits takes address space.
LIMITED = """
import json, resource, sys
from pathlib import Path
from concept_fragmentation.persistence import ConceptFragmentationError, GPT2AnalysisPersistence
from tests.persistence import hostile_files

store = GPT2AnalysisPersistence(sys.argv[1])
folder = Path(sys.argv[2])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20, resource.RLIM_INFINITY))
refused = {}
for path in sorted(folder.iterdir()):
    began = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    try:
        store.import_analysis(path)
    except ConceptFragmentationError as error:
        taken = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - began
        refused[path.stem] = [str(error), taken]
print(json.dumps({"refused": refused, "kept": store.list_analyses()}))
"""


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by the system")
def test_every_hostile_file_is_refused_by_a_process_with_little_memory(
    tmp_path: Path, soaking: bool
) -> None:
    # What takes a part of a second for its making or reading is refused by the tests below too.
    kinds = [kind for kind in hostile_files.KINDS if soaking or kind not in {*TOO_MUCH, EQUAL}]
    folder = tmp_path / "hostile"
    folder.mkdir()
    for number, kind in enumerate(kinds):
        name, data = hostile_files.KINDS[kind]()
        (folder / f"{number:02}{Path(name).suffix}").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "store"), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    came_to = json.loads(done.stdout)
    assert len(came_to["refused"]) == len(kinds)
    assert came_to["kept"] == []
    for kind, (number, (sentence, seconds)) in zip(
        kinds, sorted(came_to["refused"].items()), strict=True
    ):
        assert sentence.startswith("Invalid data: "), (kind, number)
        assert sentence.count("Invalid data") == 1, (kind, sentence)
        # Of what is wrong with each of many, a hundred are listed.
        assert len(sentence) < (8000 if kind.endswith("that are none") else 600), kind
        # Whoever asks works little; the other process is limited by the system.
        assert seconds < 3, kind


# Takes seconds, in a test of its own.
EQUAL = "pairs of one hash"
TOO_MUCH = [
    "deep tuple as a key",
    "shared tuples as a key",
    "shared tuples in a frozenset",
    "bytearrays of one text",
    "texts encoded over and over",
    "sets of one list",
    "arrays of one text",
    "memo numbers without a pickle",
    "keys of one hash",
    "many states",
    "one column often",
    "records often",
    "one array often",
    "one list often",
    "many rows from few bytes",
    "a zip of spaces",
    "a zip of many files",
    "a zip whose files overlap",
]


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_what_takes_more_than_its_size_allows_is_said_to(kind: str) -> None:
    name, data = hostile_files.KINDS[kind]()
    with pytest.raises(OverBudgetError) as caught:
        exchange.read_bytes(name, data)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", [kind for kind in TOO_MUCH if kind.startswith(("deep", "shared", "keys"))]
)
def test_the_opcodes_alone_tell(kind: str) -> None:
    _, data = hostile_files.KINDS[kind]()
    with pytest.raises(OverBudgetError):
        pickle_scan.check(data, Budget(len(data)))


@pytest.mark.parametrize("protocol", range(6))
def test_a_few_thousand_long_numbers_are_no_attack(protocol: int) -> None:
    data = pickle.dumps({2**70 + i: -(2**80) for i in range(2000)}, protocol)
    pickle_scan.check(data, Budget(len(data)))
    many = pickle.dumps([2**70 + i for i in range(20_000)], protocol)
    with pytest.raises(OverBudgetError, match="numbers of more than 64 bits"):
        pickle_scan.check(many, Budget(len(many)))


def test_a_small_file_has_little_time_and_memory() -> None:
    small = Budget(4096)
    assert small.seconds <= 2
    assert small.memory <= 201 * MEBIBYTE
    assert Budget(20 * MEBIBYTE).seconds > small.seconds


def test_what_goes_beyond_the_limits_of_the_system_is_refused_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "_LEAST_SECONDS", 0)
    # Equal hashes show in no opcode.
    name, data = hostile_files.KINDS[EQUAL]()
    with pytest.raises(OverBudgetError, match="takes longer"):
        exchange.read_bytes(name, data)
    honest = {"layers": ["a"], "token_metadata": {"tokens": []}, "model_type": "gpt2"}
    content = exchange.read_bytes("x.pkl", pickle.dumps(honest))
    assert content["analysis_results"]["analysis_data"] == honest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process reads one file there")
def test_a_process_that_died_is_replaced() -> None:
    honest = json.dumps({"layers": ["a"]}).encode()
    exchange.read_bytes("x.json", honest)
    (resting,) = import_process._resting
    resting._process.kill()
    resting._process.wait()
    exchange.read_bytes("x.json", honest)
    assert import_process._resting != [resting]


ENDS = """
import os, signal
from concept_fragmentation.persistence import import_child, parsing
def parse(*_):
    {act}
parsing.parse = parse
import_child.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system limits it there")
@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended the process"),
        ("os._exit(3)", "ended the process"),
        ("open('/tmp/x', 'w')", "can't be read"),
        ("open('/etc/hostname')", "can't be read"),
        ("import socket; socket.socket()", "can't be read"),
        ("bytearray(2**40)", "more memory"),
        ("[0] * 10**8", "more memory"),
        ("while True: pass", "takes longer"),
    ],
)
def test_whatever_reading_does_is_bounded_and_ends_in_a_sentence(
    act: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = import_process._START.partition("from concept_fragmentation")[0]
    monkeypatch.setattr(import_process, "_START", start + ENDS.format(act=act))
    monkeypatch.setattr(import_process, "_resting", [])
    monkeypatch.setattr(budget, "_LEAST_SECONDS", 0)
    with pytest.raises(InvalidDataError, match=said):
        exchange.read_bytes("x.json", b"{}")
    import_process._close_all()


def test_a_name_that_is_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError):
        exchange.read_bytes("\udcff.json", b"{}")


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=4)
    | st.binary(max_size=4)
    | st.sampled_from([np.zeros(3), np.float32(1), np.array(["a", "bc"]), bytearray(b"x"), 1j]),
    lambda held: (
        st.lists(held, max_size=4)
        | st.tuples(held, held)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.tuples(st.integers()), held)
    ),
    max_leaves=12,
)


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_honest_pickles_pass_whatever_they_hold(value: Any, protocol: int) -> None:
    shared = [value, value, {"again": value}]
    read = safe_pickle.loads(pickle.dumps(shared, protocol))
    assert repr(read) == repr(shared)


# Opcodes with what they need, in any order: most of it is nonsense, some of it is costly.
pieces = st.sampled_from(
    [
        *(b"(", b")", b"]", b"}", b"\x8f", b"N", b"K\1", b"2", b"0", b"1", b"t", b"l", b"d", b"e"),
        *(b"a", b"s", b"u", b"\x85", b"\x86", b"\x87", b"\x90", b"\x91", b"\x94", b"R", b"b", b"o"),
        *(b"h\0", b"h\1", b"h\2", b"q\0", b"q\1", b"q\5", b"\x81", b"\x92", b"Q", b"X\1\0\0\0a"),
        *(b"C\1a", b"\x8c\1a", b"cbuiltins\nset\n", b"cbuiltins\nfrozenset\n"),
        *(b"cbuiltins\nbytearray\n", b"c_codecs\nencode\n", b"cnumpy\ndtype\n", b"\x93"),
        *(b")" + b"2\x86" * 12, b"2\x86" * 6, b"cbuiltins\ncomplex\n", b"\x8c\6latin1"),
    ]
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_any_opcodes_are_read_or_refused(soaking: bool) -> None:
    @given(st.lists(pieces, max_size=40))
    @settings(max_examples=50_000 if soaking else 100)
    def try_opcodes(opcodes: list[bytes]) -> None:
        data = hostile_files.START + b"".join(opcodes) + b"."
        try:
            pickle_scan.check(data, Budget(len(data)))
        except ValueError:
            return
        # Whatever passes costs no more than the budget: here, next to nothing.
        with contextlib.suppress(ValueError):
            safe_pickle.loads(data)

    try_opcodes()


TABLES = {
    "t.csv": b"a,b,row\n1,x,1\n2,y,2\n",
    "wide.csv": b",".join(b"c%d" % i for i in range(300)) + b"\n" + b",".join([b"7"] * 300) + b"\n",
    "long.csv": b"a\n" + b"5\n" * 2000,
}
TENSORS = {"n": np.zeros(2000, np.int8), "f": np.ones((2, 2)), "j": np.frombuffer(b"[1]", np.uint8)}

titles = st.sampled_from(["a", "b", "c7", "row", "none", "", 7])
kinds = st.sampled_from(["text", "json", "none", "int", "float", "bool", "?", None])
files = st.sampled_from([*TABLES, "manifest.json", "gone.csv", "../t.csv", 7])
one_column = st.fixed_dictionaries({"file": files, "column": titles, "type": kinds})
records = st.fixed_dictionaries(
    {
        "file": files,
        "index": titles,
        "columns": st.dictionaries(
            st.text(max_size=2),
            st.fixed_dictionaries({"column": titles, "type": kinds})
            | st.fixed_dictionaries(
                {"columns": st.lists(titles, max_size=3), "types": st.lists(kinds, max_size=3)}
            ),
            max_size=3,
        ),
    }
)
weights = st.fixed_dictionaries(
    {
        "file": files,
        "array": st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["<f4", "<i4", "O", "?", 7]),
                "shape": st.lists(st.integers(-1, 300), max_size=3),
            }
        ),
    }
)
stored = st.fixed_dictionaries(
    {
        "tensor": st.sampled_from([*TENSORS, "gone", 7]),
        "type": st.sampled_from(["int", "float", "bool", "json", "?"]),
        "dtype": st.sampled_from(["|i1", "<f8", "S3", "O", ","]),
        "shape": st.lists(st.integers(-1, 2000) | st.just(10**12), max_size=3),
    }
)
referring = st.recursive(
    st.builds(lambda to: {"$csv": to}, one_column | records | weights)
    | st.builds(lambda tag, to: {tag: to}, st.sampled_from(["$array", "$list"]), stored)
    | st.integers()
    | st.text(max_size=3),
    lambda held: (
        st.lists(held, max_size=30)
        | st.dictionaries(st.text(max_size=2), held, max_size=4)
        | st.builds(
            lambda tag, to: {tag: to}, st.sampled_from(["$tuple", "$set", "$table", "$?"]), held
        )
        | st.builds(lambda to: {"$dict": [[1, to], [to, to]]}, held)
    ),
    max_leaves=60,
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_any_manifest_is_read_or_refused(soaking: bool) -> None:
    @given(referring, st.integers(1, 50))
    @settings(max_examples=10_000 if soaking else 50)
    def try_manifest(data: Any, times: int) -> None:
        files = hostile_files.csv_files([data] * times, TABLES, safetensors.numpy.save(TENSORS))
        little = Budget(sum(map(len, files.values())))
        little.items, little.bytes = 20_000, 20_000
        try:
            content = csv_folder.read(files, little)
        except InvalidDataError as error:
            assert len(str(error)) < 600
            return
        # Each mention of a column or an array is paid for.
        assert numbers_in(content["analysis_results"]["analysis_data"]) < 200_000

    try_manifest()


def numbers_in(value: Any) -> int:
    """Count the values that are no containers, as often as they are named."""
    if isinstance(value, dict):
        return sum(map(numbers_in, [*value, *value.values()]))
    if isinstance(value, list | tuple | set):
        return sum(map(numbers_in, value))
    return value.size if isinstance(value, np.ndarray) else 1
