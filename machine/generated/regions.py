"""Hot loops compiled whole: the instructions of a loop, each with its operands and its length as constants, one behind the other.

A region does what the step loop would do, instruction by instruction, as long as each goes on at the next one of the loop and what
decodings rest on stays as it was; else it is left. It stands in the table of decoded instructions, in the place of the first of
them, so that whatever makes the machine forget a decoding makes it forget a region.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from machine.generated import slots
from machine.generated.memory import Record

MAX_LENGTH = 64  # instructions of a loop
SEEN = 2  # times a loop is met before it is compiled
SHARE = 2  # time passes, so many times what compiling has taken, before more is compiled
FIRST = 0.02  # seconds it may take for the first time
INLINED = 6000  # characters of a form
SLICE, MAX_SLICE = 1 << 20, 1 << 24  # steps between two looks

Step = tuple[int, int, int, int, int, int]
"""The address of an instruction, its form, its length, its packed fields."""


class Outer(Protocol):
    """Compiled code that tells where its functions are."""

    def address(self, name: str) -> int: ...


@dataclass(slots=True)
class Region:
    """A compiled loop. ``block`` is what the step loop knows of it: where its code is, and how many instructions it has."""

    code: object
    block: ctypes.Array[ctypes.c_int64]


class Regions:
    """The hot loops of one machine. ``source`` is its generated module, ``forms`` the names of the functions of its forms."""

    def __init__(self, source: Callable[[], str], outer: Outer, forms: list[str], run: Callable[[int, int], int], counter: int):
        self._source, self._outer, self._forms, self._run, self._counter = source, outer, forms, run, counter
        self._texts: dict[str, str] = {}
        self._constants = ""
        self.compiled: dict[tuple[Step, ...], Region] = {}
        self._met: Counter[tuple[Step, ...]] = Counter()
        self._began, self._spent = time.perf_counter(), FIRST
        self.slice = SLICE

    # ---- looking for loops -------------------------------------------------------------

    def look(self, record: Record, limit: int) -> int:
        """Step once around the loop the machine is in, if it is in one, and see to it; how many steps were made. The run goes on
        as long as the status is LIMIT."""
        steps: list[Step] = []
        made, context = 0, record[slots.CONTEXT]
        self.slice = min(2 * self.slice, MAX_SLICE)
        for _ in range(min(MAX_LENGTH, limit)):
            at, delivered = record[self._counter], record[slots.DELIVERED]
            if steps and at == steps[0][0]:
                self._found(record, steps)
                break
            made += self._run(record.address, 1)
            entry = _entry(record, at)
            known = entry[0] == at and entry[1] == context == record[slots.CONTEXT] and record[slots.DELIVERED] == delivered
            if record[slots.STATUS] != slots.LIMIT or not known or not 0 <= entry[2] < len(self._forms):
                break
            form, length, w0, w1, w2 = entry[2:7]
            steps.append((at, form, length, w0, w1, w2))
        return made

    def _found(self, record: Record, steps: list[Step]) -> None:
        first = steps.index(min(steps))
        loop = (*steps[first:], *steps[:first])
        region = self.compiled.get(loop)
        if region is None:
            self._met[loop] += 1
            self.slice = SLICE
            if self._met[loop] < SEEN or SHARE * self._spent > time.perf_counter() - self._began:
                return
            began = time.perf_counter()
            region = self.compiled[loop] = self.compile(loop)
            self._spent += time.perf_counter() - began
        entry = _entry(record, loop[0][0])
        if entry[2] == loop[0][1]:
            record.regions[loop] = region  # its code has to be there as long as the table is
            entry[7] = ctypes.addressof(region.block)
            entry[2] = len(self._forms) + 1

    # ---- compiling ---------------------------------------------------------------------

    def compile(self, loop: tuple[Step, ...]) -> Region:
        """The code of a loop."""
        from machine.generated.native import Linked

        if not self._texts:
            self._read()
        called = {self._forms[form] for _, form, *_ in loop}
        needed: dict[str, str] = {}
        outside: dict[str, int] = {}
        work = sorted(called)
        while work:
            name = work.pop()
            text = self._texts[name]
            if name in needed or name in outside:
                continue
            inlined = name in called and len(text) < INLINED
            if text.startswith("@cold") or (text.startswith(("@outline", "@exported")) and not inlined):
                outside[name] = self._outer.address(name)
            else:
                needed[name] = text.replace("@outline\n", "")
                work += sorted({one for one in _CALLED.findall(text) if one in self._texts} - {name})
        text = "\n\n".join([self._constants, *needed.values(), self.text(loop)])
        code = Linked(text, outside)
        block = (ctypes.c_int64 * 3)(code.address("region"), len(loop), loop[0][1])
        return Region(code, block)

    def text(self, loop: tuple[Step, ...]) -> str:
        """A loop in what the generator writes."""
        lines = [_LEFT, "@exported", "def region(s, limit):", "    context = LD(s + CONTEXT)", "    n = 0",
                 f"    while n <= limit - {len(loop)}:"]
        for number, ((at, form, length, *words), behind) in enumerate(zip(loop, (*loop[1:], loop[0]), strict=True)):
            lines += [f"        r = {self._forms[form]}(s, {at}, {length}, {', '.join(map(str, words))})",
                      f"        if r != {behind[0]} or LD(s + CONTEXT) != context:",
                      f"            return left(s, n + {number}, {at}, {length}, {form}, r)"]
        lines += [f"        n = n + {len(loop)}", "    ST(s + REGION_STEPS, n - 1)", f"    return {loop[0][0]}"]
        return "\n".join(lines) + "\n"

    def _read(self) -> None:
        source = self._source()
        starts = [match.start() for match in _START.finditer(source)]
        self._constants = "\n".join(re.findall(r"^\w+ = -?\d+$", source[: starts[0]], re.MULTILINE))
        for start, end in zip(starts, [*starts[1:], len(source)], strict=True):
            text = source[start:end]
            match = _NAME.search(text)
            assert match is not None
            self._texts[match[1]] = text


_START = re.compile(r"^(?:@\w+\n)*def ", re.MULTILINE)
_NAME = re.compile(r"^def (\w+)\(", re.MULTILINE)
_CALLED = re.compile(r"\b(\w+)\(")

_LEFT = """@cold
def left(s, n, pc, ilen, k, r):
    ST(s + REGION_STEPS, n)
    ST(s + REGION_PC, pc)
    ST(s + REGION_LENGTH, ilen)
    ST(s + REGION_FORM, k)
    return r
"""


def _entry(record: Record, at: int) -> ctypes.Array[ctypes.c_int64]:
    """The words of the table of decoded instructions for an address."""
    where = record[slots.DECODED] + (at & slots.DECODED_ENTRIES - 1) * slots.DECODED_BYTES
    return (ctypes.c_int64 * (slots.DECODED_BYTES // 8)).from_address(where)
