"""Terms over bit vectors and memories, which are arrays from addresses to cells."""

from __future__ import annotations

import sys
from typing import Any

from checker.bitvectors import BitVectors
from checker.term import Built, Term, apart, walk
from isa_specs.ops import OPERATORS

Writes = tuple[tuple[Term, Term, Term], ...]  # (guard, address, value)

MAX_COMPARED = 400  # pairs of writes beyond which comparing memories is left to the solver's array theory
ALL = sys.maxsize  # cells


class Terms(BitVectors):
    """Builds terms; one per analysis, so that its memory goes with it."""

    def __init__(self) -> None:
        super().__init__()
        self._writes: dict[int, tuple[Term, Writes]] = {}
        self._cells = Built(self._cell)
        self._stored = Built(self._store)
        self._alike = Built(self._same)
        self._loaded = Built(self._load)
        self._put_down = Built(self._put)

    # ---- memories -----------------------------------------------------------------------------------

    def select(self, memory: Term, address: Term) -> Term:
        """A cell: choices over the writes that may have hit it, the cell of the memory they began with at the bottom."""
        if memory.op not in ("store", "ite"):
            return self.cell(memory, address)
        root, writes = self.writes(memory)
        return self._read(root, writes, address)

    def cell(self, memory: Term, address: Term) -> Term:
        """A cell of a memory as it was to begin with."""
        return self._cells[memory, address]

    def _cell(self, memory: Term, address: Term) -> Term:
        return self._new("select", (memory, address), None, memory.width)

    def store(self, memory: Term, address: Term, value: Term) -> Term:
        return self._stored[memory, address, value]

    def _store(self, memory: Term, address: Term, value: Term) -> Term:
        if value.op == "select" and value.args[0] is memory and value.args[1] is address:
            return memory
        if memory.op == "store" and memory.args[1] is address:
            return self.store(memory.args[0], address, value)
        return self._new("store", (memory, address, value), None, memory.width, memory.address)

    def load(self, memory: Term, address: Term, width: int, little: bool) -> Term:
        """``width`` bits from ``address`` on, of as many cells as that takes; the first cell is the lowest if ``little``."""
        return self._loaded[memory, address, width, little]

    def _load(self, memory: Term, address: Term, width: int, little: bool) -> Term:
        places = [self.add(address, self.const(address.width, at)) for at in range(width // memory.width)]
        return self.concat([self.select(memory, place) for place in (reversed(places) if little else places)])

    def put(self, memory: Term, address: Term, value: Term, little: bool) -> Term:
        """The memory with ``value`` from ``address`` on, as :meth:`load` reads it."""
        return self._put_down[memory, address, value, little]

    def _put(self, memory: Term, address: Term, value: Term, little: bool) -> Term:
        size = memory.width
        count = value.width // size
        for at in range(count):
            low = (at if little else count - 1 - at) * size
            memory = self.store(memory, self.add(address, self.const(address.width, at)), self.extract(value, low + size - 1, low))
        return memory

    def same_memory(self, a: Term, b: Term, cells: int = ALL) -> Term:
        """Whether two memories agree everywhere, or only in so many of the cells that were written first.

        Memories that grew from one by writes are compared write by write; extensionality is left to the solver
        only where they did not."""
        if a is b:
            return self.true
        if a.ident > b.ident:
            a, b = b, a
        root, first = self.writes(a)
        other, second = self.writes(b)
        if root is not other:
            return self._alike[a, b]
        if len(first) == len(second) and all(x[0] is y[0] and x[1] is y[1] for x, y in zip(first, second, strict=True)):
            return self._same_writes(first, second, cells)
        if len(first) * len(second) > MAX_COMPARED and not _aligned(first, second):
            return self._alike[a, b]
        parts = []
        for address in [*dict.fromkeys(address for _, address, _ in (*first, *second))][:cells]:
            parts.append(self.eq(self._read(root, first, address), self._read(root, second, address)))
        return self.all(parts)

    def _same(self, a: Term, b: Term) -> Term:
        return self._new("same", (a, b), None, 1)

    def same_changes(self, a: Term, b: Term) -> Term:
        """Whether two memories that began differently were changed alike: every cell written holds the same in both, or was
        left as it was in both."""
        root, first = self.writes(a)
        other, second = self.writes(b)
        if root.op != "memory" or other.op != "memory":
            return self.same_memory(a, b)
        parts = []
        for address in dict.fromkeys(address for _, address, _ in (*first, *second)):
            left, right = self._read(root, first, address), self._read(other, second, address)
            untouched = self.both(self.eq(left, self.cell(root, address)), self.eq(right, self.cell(other, address)))
            parts.append(self.either(self.eq(left, right), untouched))
        return self.all(parts)

    def _same_writes(self, first: Writes, second: Writes, cells: int) -> Term:
        """Two runs of writes to the same addresses under the same conditions: equal where not overwritten."""
        parts: list[Term] = []
        for at, ((guard, address, value), (_, _, other)) in enumerate(zip(first, second, strict=True)):
            if len(parts) == cells:
                break
            if value is other:
                continue
            later = [self.both(g, self.eq(a, address)) for g, a, _ in first[at + 1 :] if not apart(a, address)]
            parts.append(self.any([self.negate(guard), self.eq(value, other), *later]))
        return self.all(parts)

    def _read(self, root: Term, writes: Writes, address: Term) -> Term:
        first = 0
        for at in range(len(writes) - 1, -1, -1):  # what lies below a certain hit does not matter
            if writes[at][1] is address and writes[at][0] is self.true:
                first = at
                break
        value = self.cell(root, address)
        for guard, where, new in writes[first:]:
            if not apart(where, address):
                value = self.ite(self.both(guard, self.eq(where, address)), new, value)
        return value

    def writes(self, memory: Term) -> tuple[Term, Writes]:
        """A memory as (the memory it grew from, the guarded writes since, oldest first)."""
        found = self._writes.get(memory.ident)
        if found is not None:
            return found
        result: tuple[Term, Writes] = (memory, ())
        if memory.op == "store":
            root, before = self.writes(memory.args[0])
            result = root, (*before, (self.true, memory.args[1], memory.args[2]))
        elif memory.op == "ite":
            condition = memory.args[0]
            root, yes = self.writes(memory.args[1])
            other, no = self.writes(memory.args[2])
            if root is other:
                shared = 0
                while shared < min(len(yes), len(no)) and yes[shared] == no[shared]:
                    shared += 1
                taken = tuple((self.both(condition, g), a, v) for g, a, v in yes[shared:])
                skipped = tuple((self.both(self.negate(condition), g), a, v) for g, a, v in no[shared:])
                result = root, (*yes[:shared], *taken, *skipped)
        self._writes[memory.ident] = result
        return result

    def same(self, a: Term, b: Term, cells: int = ALL) -> Term:
        return self.same_memory(a, b, cells) if a.address else self.eq(a, b)


def _aligned(first: Writes, second: Writes) -> bool:
    """Whether two runs of writes go to the same addresses in the same order."""
    return len(first) == len(second) and all(x[1] is y[1] for x, y in zip(first, second, strict=True))


class Substitution:
    """Terms rebuilt with some leaves replaced; shared subterms are rebuilt once."""

    def __init__(self, terms: Terms, leaves: dict[int, Term]):
        self.terms, self._done = terms, dict(leaves)

    def __call__(self, root: Term) -> Term:
        t, done = self.terms, self._done
        for term in walk([root]):
            if term.ident in done:
                continue
            args = tuple(done[arg.ident] for arg in term.args)
            if all(x is y for x, y in zip(args, term.args, strict=True)):
                new = term
            elif term.op in OPERATORS:
                new = t.apply(OPERATORS[term.op], args)
            else:
                new = _REBUILD[term.op](t, args, term)
            done[term.ident] = new
        return done[root.ident]


_REBUILD: dict[str, Any] = {
    "ite": lambda t, a, n: t.ite(*a),
    "extract": lambda t, a, n: t.extract(a[0], *n.data),
    "zext": lambda t, a, n: t.extend(a[0], n.width, False),
    "sext": lambda t, a, n: t.extend(a[0], n.width, True),
    "concat": lambda t, a, n: t.concat(list(a)),
    "select": lambda t, a, n: t.select(*a),
    "store": lambda t, a, n: t.store(*a),
    "same": lambda t, a, n: t.same_memory(*a),
    "call": lambda t, a, n: t.call(n.data, a, n.width),
}
