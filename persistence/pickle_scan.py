"""Checking the opcodes of a pickle before it is read: its depth, its size, and what it copies.

Nothing is built. Each object is stood for by its weight (one for itself, one for each byte of text
or bytes in it, and the weight of all that it holds, counted as often as it is named) and its depth.
Hashing a tuple walks through all of that, recursively in C and again for each mention, so neither
may exceed what the size of the pickle allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from concept_fragmentation.persistence.budget import MAX_DEPTH, Budget, OverBudgetError


class _Held:
    """Stands for an object of the pickle."""

    __slots__ = ("depth", "weight")

    def __init__(self, weight: int, depth: int) -> None:
        self.weight = weight
        self.depth = depth


_LEAF: Final = _Held(1, 0)
# Numbers that follow each other, as lists have them, are counted in one go.
_NUMBERS: Final = re.compile(rb"(?:K.|M..|J....|G.{8}|[N\x88\x89]){1,1000}", re.DOTALL)
_NUMBER: Final = re.compile(rb"K.|M..|J....|G.{8}|[N\x88\x89]", re.DOTALL)
_NUMBER_CODES: Final = frozenset(b"KMJGN\x88\x89")
# Numbers of more than 64 bits may have one hash, however many: a dict of them takes forever.
_MOST_LONG_NUMBERS: Final = 10_000
_BYTES_OF_64_BITS: Final = 8
_DIGITS_OF_64_BITS: Final = 20
# Arguments of a call are held one or two levels deeper than what comes of it.
_MOST_DEPTH: Final = MAX_DEPTH + 10

Handle = Callable[[int], int]


def check(data: bytes, budget: Budget) -> None:
    """Check a pickle.

    Raises:
        OverBudgetError: it is nested too deeply, or holds or copies more than its size allows.
        ValueError: it is no pickle or a damaged one.
    """
    try:
        _Scan(data, budget).run()
    except IndexError as error:
        raise ValueError("the pickle is cut off or takes what is not there") from error


class _Scan:
    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data = data
        self._budget = budget
        self._most_weight = budget.bytes
        self._stack: list[_Held] = []
        self._below: list[list[_Held]] = []
        self._memo: list[_Held | None] = []
        self._remembered = 0
        self._long_numbers = 0
        self._leaves: dict[int, _Held] = {}
        self._handles = self._table()

    def run(self) -> None:
        data, handles, leaves, at = self._data, self._handles, self._leaves, 0
        while True:
            code = data[at]
            # What there is most of is looked at here: text, what is remembered, and numbers.
            if code == _SHORT_TEXT:
                length = data[at + 1]
                self._stack.append(leaves.get(length) or self._leaf(length))
                at += 2 + length
            elif code == _MEMOIZE:
                self._put(self._remembered)
                at += 1
            elif code in _NUMBER_CODES and (run := _NUMBERS.match(data, at)):
                self._stack += [_LEAF] * len(_NUMBER.findall(run[0]))
                at = run.end()
            elif code == _STOP:
                return
            else:
                handle = handles.get(code)
                if handle is None:
                    raise ValueError(f"the pickle has an unknown opcode {bytes([code])!r}")
                at = handle(at + 1)

    def _table(self) -> dict[int, Handle]:
        table: dict[int, Handle] = {}

        def skip(width: int, act: Callable[[], object] | None = None) -> Handle:
            def handle(at: int) -> int:
                if act is not None:
                    act()
                return at + width

            return handle

        def leaf() -> None:
            self._stack.append(_LEAF)

        def lines(count: int, act: Callable[[int], object]) -> Handle:
            def handle(at: int) -> int:
                end = at
                for _ in range(count):
                    end = self._end_of_line(end) + 1
                act(end - at)
                return end

            return handle

        def sized(width: int, *, is_data: bool = True) -> Handle:
            def handle(at: int) -> int:
                end = at + width
                length = int.from_bytes(self._data[at:end], "little")
                if end + length > len(self._data):
                    raise ValueError("the pickle is cut off")
                self._stack.append(self._leaf(length if is_data else 0))
                return end + length

            return handle

        def memo(width: int, act: Callable[[int], object]) -> Handle:
            def handle(at: int) -> int:
                act(int.from_bytes(self._data[at : at + width], "little"))
                return at + width

            return handle

        def memo_line(act: Callable[[int], object]) -> Handle:
            def handle(at: int) -> int:
                end = self._end_of_line(at)
                if end - at > 20:
                    raise ValueError("the pickle has a number in its memo that is none")
                act(int(self._data[at:end]))
                return end + 1

            return handle

        def number(handle: Handle, most: int) -> Handle:
            def counted(at: int) -> int:
                end = handle(at)
                if self._stack[-1].weight > 1 + most:
                    self._count_long_number()
                return end

            return counted

        table[ord("\x80")] = skip(1)  # PROTO
        table[ord("\x95")] = skip(8)  # FRAME
        for code, width in zip("KMJGN\x88\x89", (1, 2, 4, 8, 0, 0, 0), strict=True):
            table[ord(code)] = skip(width, leaf)
        for code in "IFLSVP":  # INT, FLOAT, LONG, STRING, UNICODE, PERSID
            table[ord(code)] = lines(1, lambda length: self._stack.append(self._leaf(length)))
        table[ord("c")] = lines(2, lambda _length: leaf())  # GLOBAL
        table[ord("i")] = lines(2, lambda _length: self._call(self._marked()))  # INST
        for code, width in zip(
            "UXTBC\x8c\x8d\x8e\x96\x8a\x8b", (1, 4, 4, 4, 1, 1, 8, 8, 8, 1, 4), strict=True
        ):
            table[ord(code)] = sized(width)
        for code in "\x8a\x8b":  # LONG1, LONG4
            table[ord(code)] = number(table[ord(code)], _BYTES_OF_64_BITS)
        for code in "IL":
            table[ord(code)] = number(table[ord(code)], _DIGITS_OF_64_BITS + len("L\n"))
        table[ord("q")], table[ord("r")] = memo(1, self._put), memo(4, self._put)
        table[ord("h")], table[ord("j")] = memo(1, self._get), memo(4, self._get)
        table[ord("p")], table[ord("g")] = memo_line(self._put), memo_line(self._get)
        for code, act in {
            "(": self._mark,
            "0": self._pop,
            "1": self._marked,
            "2": lambda: self._stack.append(self._stack[-1]),
            "]": self._empty,
            "}": self._empty,
            ")": self._empty,
            "\x8f": self._empty,
            "t": lambda: self._make(self._marked()),
            "l": lambda: self._make(self._marked()),
            "d": lambda: self._make_dict(self._marked()),
            "\x91": lambda: self._make(self._marked(), are_hashed=True),
            "\x85": lambda: self._make(self._taken(1)),
            "\x86": lambda: self._make(self._taken(2)),
            "\x87": lambda: self._make(self._taken(3)),
            "a": lambda: self._add(self._taken(1)),
            "e": lambda: self._add(self._marked()),
            "s": lambda: self._add_pairs(self._taken(2)),
            "u": lambda: self._add_pairs(self._marked()),
            "\x90": lambda: self._add(self._marked(), are_hashed=True),
            "R": lambda: self._call(self._taken(2)),
            "\x81": lambda: self._call(self._taken(2)),
            "\x92": lambda: self._call(self._taken(3)),
            "o": lambda: self._call(self._marked()),
            "b": self._build,
            "\x93": lambda: self._replace(self._taken(2)),  # STACK_GLOBAL
            "\x94": lambda: self._put(self._remembered),
            "Q": lambda: self._replace(self._taken(1)),  # BINPERSID
        }.items():
            table[ord(code)] = skip(0, act)
        return table

    def _count_long_number(self) -> None:
        self._long_numbers += 1
        if self._long_numbers > _MOST_LONG_NUMBERS:
            raise OverBudgetError(
                [f"the pickle holds more than {_MOST_LONG_NUMBERS:,} numbers of more than 64 bits"]
            )

    def _end_of_line(self, at: int) -> int:
        end = self._data.find(b"\n", at)
        if end < 0:
            raise ValueError("the pickle is cut off")
        return end

    def _leaf(self, length: int) -> _Held:
        held = self._leaves.get(length)
        if held is None:
            held = self._leaves[length] = _Held(1 + length, 0)
        return held

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[_Held]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _pop(self) -> None:
        # Without anything since the last mark, it is the mark that goes.
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _taken(self, count: int) -> list[_Held]:
        if len(self._stack) < count:
            raise ValueError("the pickle takes what is not there")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _replace(self, _items: list[_Held]) -> None:
        self._stack.append(_LEAF)

    def _empty(self) -> None:
        self._budget.spend(containers=1)
        self._stack.append(_Held(1, 1))

    def _make(self, items: list[_Held], *, are_hashed: bool = False) -> None:
        self._empty()
        self._add(items, are_hashed=are_hashed)

    def _make_dict(self, items: list[_Held]) -> None:
        self._empty()
        self._add_pairs(items)

    def _add(self, items: list[_Held], *, are_hashed: bool = False) -> None:
        if are_hashed:
            self._hash(items)
        target = self._stack[-1]
        # Nothing can be added to what is no container; reading it will say so.
        if target.depth:
            self._hold(target, items)

    def _add_pairs(self, items: list[_Held]) -> None:
        self._hash(items[::2])
        self._add(items)

    def _hold(self, target: _Held, items: Iterable[_Held]) -> None:
        weight, depth = target.weight, target.depth
        for item in items:
            weight += item.weight
            if item.depth >= depth:
                depth = item.depth + 1
        if depth > _MOST_DEPTH:
            raise OverBudgetError([f"the pickle is nested deeper than {MAX_DEPTH} levels"])
        if weight > self._most_weight:
            self._budget.spend(bytes=weight)
        target.weight, target.depth = weight, depth

    def _hash(self, keys: Iterable[_Held]) -> None:
        # The hash of a text is computed once; that of a tuple each time.
        self._budget.spend(bytes=sum(key.weight for key in keys if key.depth))

    def _call(self, parts: list[_Held]) -> None:
        """A call copies its arguments; what comes of it weighs as much."""
        result = _Held(1, 1)
        self._hold(result, parts)
        self._budget.spend(containers=1, bytes=result.weight)
        self._stack.append(result)

    def _build(self) -> None:
        state = self._taken(1)
        self._budget.spend(bytes=state[0].weight)
        self._add(state)

    def _put(self, number: int) -> None:
        if number == self._remembered == len(self._memo):
            self._memo.append(self._stack[-1])
            self._remembered += 1
            return
        if not 0 <= number <= len(self._data):
            raise OverBudgetError(["the pickle asks for more memory than it has data for"])
        if number >= len(self._memo):
            self._memo += [None] * (number + 1 - len(self._memo))
        # The next number is how many there are, as in `pickle`, even if some have other numbers.
        self._remembered += self._memo[number] is None
        self._memo[number] = self._stack[-1]

    def _get(self, number: int) -> None:
        held = self._memo[number] if number >= 0 else None
        if held is None:
            raise ValueError("the pickle takes what is not there")
        self._stack.append(held)


_STOP: Final = ord(".")
_SHORT_TEXT: Final = 0x8C
_MEMOIZE: Final = 0x94
