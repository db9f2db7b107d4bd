"""Concrete models of an obligation: evaluation and minimisation.

A solver's model is a witness with much accidental detail. :func:`minimise` simplifies it, keeping every asserted term true:
first everything that can be zero at once, then value by value, preferring that the two states of a pair agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from checker.term import Term, walk
from isa_specs.ops import OPERATORS

MIN_TRIES = 24
TRY_NODES = 300_000

Key = str | tuple[str, int]
Undo = tuple[dict[Key, int], list[tuple[int, Any]]]
"""What there was before: of a model, and of the values that changed, by their slots."""



@dataclass
class Model:
    """Values of variables and of cells of memories before the step; everything else is zero."""

    values: dict[str, int] = field(default_factory=dict)
    cells: dict[tuple[str, int], int] = field(default_factory=dict)

    def copy(self) -> Model:
        return Model(dict(self.values), dict(self.cells))

    def get(self, key: Key) -> int:
        return self.values.get(key, 0) if isinstance(key, str) else self.cells.get(key, 0)

    def put(self, changes: dict[Key, int]) -> None:
        for key, value in changes.items():
            if isinstance(key, str):
                self.values[key] = value
            else:
                self.cells[key] = value


class Evaluator:
    """Evaluates a fixed set of terms under models; the walk is done once."""

    def __init__(self, roots: list[Term]):
        self.roots = roots
        order = walk(roots)
        self.slots = {term: at for at, term in enumerate(order)}
        self.plan = [(rule_of(term), term, tuple([self.slots[arg] for arg in term.args])) for term in order]

    @cached_property
    def _quick(self) -> list[Quick]:
        """The plan for when only the values of the roots are wanted: stores to memories that nobody else looks at in place, for a copy
        at each of thousands takes quadratic time."""
        users = Counter([arg for _, _, args in self.plan for arg in args] + [self.slots[root] for root in self.roots])
        quick: list[Quick] = []
        for rule, term, args in self.plan:
            own = term.op == "store" and term.args[0].op == "store" and users[args[0]] == 1
            quick.append((*_binary(term), args, _store_in_place if own else rule, term))
        return quick

    def values(self, model: Model) -> list[Any]:
        """The values of all terms: integers, and (base name, overlay) for memories."""
        values: list[Any] = []
        for rule, term, args in self.plan:
            values.append(rule(model, term, [values[at] for at in args]))
        return values

    def __call__(self, model: Model) -> list[Any]:
        """The values of the roots."""
        values: list[Any] = []
        for plain, width, mask, args, rule, term in self._quick:
            if plain is not None:
                values.append(plain(width, values[args[0]], values[args[1]]) & mask)
            elif term.op == "ite":
                values.append(values[args[1]] if values[args[0]] else values[args[2]])
            else:
                values.append(rule(model, term, [values[at] for at in args]))
        return [values[self.slots[root]] for root in self.roots]


class Descent:
    """Changes a model step by step, each step only if the roots of an evaluator stay true.

    Only terms that get another value are evaluated again."""

    def __init__(self, evaluator: Evaluator, model: Model):
        self.plan, self.model = evaluator.plan, model.copy()
        self.values = evaluator.values(model)
        self._quick = [(*_binary(term), args, rule, term) for rule, term, args in self.plan]
        self._roots = {evaluator.slots[root] for root in evaluator.roots}
        self.holds = all(self.values[at] for at in self._roots)
        self._users: list[list[int]] = [[] for _ in self.plan]
        self._leaves: dict[str, list[int]] = {}  # variable -> its term
        self._cells: dict[str, list[int]] = {}  # memory -> the reads of it
        self._reads: set[int] = set()  # all of these
        self._indirect: list[int] = []  # terms that may read any cell
        self._calls: list[int] = []  # extern operations look up their results
        for at, (_, term, args) in enumerate(self.plan):
            for arg in args:
                self._users[arg].append(at)
            if term.op == "var":
                self._leaves.setdefault(term.data, []).append(at)
            elif term.op == "select" and term.args[0].op == "memory":
                self._cells.setdefault(term.args[0].data, []).append(at)
                self._reads.add(at)
            elif term.op in ("select", "same"):
                self._indirect.append(at)
            elif term.op == "call":
                self._calls.append(at)

    def step(self, changes: dict[Key, int]) -> bool:
        """Make these changes if the roots stay true, else none."""
        return self._make(changes) is not None

    def carrying(self, changes: dict[Key, int]) -> dict[Key, int]:
        """These changes, and with them the contents of cells taken along to where the addresses then are at which they are read; none
        where nothing is to be taken along."""
        here = self._read()
        undo = self._change(changes, held=self._reads - self._seeds(changes))
        there = self._read()
        self._take_back(*undo)
        return {**changes, **dict.fromkeys(here, 0), **there} if there.keys() != here.keys() else {}

    def _read(self) -> dict[Key, int]:
        """The cells that are read."""
        values = self.values
        return {(memory, values[self.plan[at][2][1]]): values[at] for memory, reads in self._cells.items() for at in reads}

    def survives(self, changes: dict[Key, int]) -> bool:
        """Whether the roots are true and would stay so."""
        undo = self._make(changes) if self.holds else None
        if undo is not None:
            self._take_back(*undo)
        return undo is not None

    def _make(self, changes: dict[Key, int]) -> Undo | None:
        """Make changes. None, and nothing made, if a root turned false."""
        before, past = self._change(changes, self._roots)
        if past and past[-1][0] in self._roots and not self.values[past[-1][0]]:
            self._take_back(before, past)
            return None
        return before, past

    def _change(self, changes: dict[Key, int], roots: Container[int] = (), held: Container[int] = ()) -> Undo:
        """Make changes, until one of ``roots`` turns false, which is the last that changed then; the values ``held`` stay."""
        seeds = self._seeds(changes)
        before = {key: self.model.get(key) for key in changes}
        self.model.put(changes)
        past: list[tuple[int, Any]] = []
        values, waiting = self.values, sorted(seeds)
        while waiting:
            at = heappop(waiting)
            plain, width, mask, args, rule, term = self._quick[at]
            if plain is not None:
                value = plain(width, values[args[0]], values[args[1]]) & mask
            else:
                value = rule(self.model, term, [values[arg] for arg in args])
            if value == values[at] or at in held:
                continue
            past.append((at, values[at]))
            values[at] = value
            if not value and at in roots:
                break
            for user in self._users[at]:
                if user not in seeds:
                    seeds.add(user)
                    heappush(waiting, user)
        return before, past

    def _seeds(self, changes: dict[Key, int]) -> set[int]:
        """The terms that look at what is to be changed."""
        seeds = set(self._calls)
        for key in changes:
            if isinstance(key, str):
                seeds.update(self._leaves.get(key, ()))
            else:
                memory, address = key
                seeds.update(self._indirect)
                seeds.update(at for at in self._cells.get(memory, ()) if self.values[self.plan[at][2][1]] == address)
        return seeds

    def _take_back(self, before: dict[Key, int], past: list[tuple[int, Any]]) -> None:
        self.model.put(before)
        for at, value in past:
            self.values[at] = value


Rule = Callable[[Model, Term, list[Any]], Any]


Quick = tuple[Callable[..., int] | None, int, int, tuple[int, ...], Rule, Term]
"""A binary operator (or None), the width of its operands, the mask of its result, the slots of the operands; a rule for all others."""


def _binary(term: Term) -> tuple[Callable[..., int] | None, int, int]:
    """Operators of two operands, without a call of their rule."""
    row = OPERATORS.get(term.op)
    return (None, 0, 0) if row is None or len(term.args) != 2 else (row.plain, term.args[0].width, (1 << term.width) - 1)


def _select(model: Model, term: Term, args: list[Any]) -> int:
    (base, overlay), address = args
    found: int | None = overlay.get(address)
    return model.cells.get((base, address), 0) if found is None else found


def _store(model: Model, term: Term, args: list[Any]) -> Any:
    (base, overlay), address, value = args
    return base, {**overlay, address: value}


def _store_in_place(model: Model, term: Term, args: list[Any]) -> Any:
    (base, overlay), address, value = args
    overlay[address] = value
    return base, overlay


def _same(model: Model, term: Term, args: list[Any]) -> int:
    (base, overlay), (other, patch) = args
    keys = {*overlay, *patch}
    if base != other:
        keys |= {address for name, address in model.cells if name in (base, other)}
    return int(all(overlay.get(k, model.cells.get((base, k), 0)) == patch.get(k, model.cells.get((other, k), 0)) for k in keys))


def _concat(model: Model, term: Term, args: list[Any]) -> int:
    value = 0
    for part, piece in zip(term.args, args, strict=True):
        value = value << part.width | piece
    return value


def _sext(model: Model, term: Term, args: list[Any]) -> int:
    inner = term.args[0].width
    value: int = args[0]
    return value | (((1 << term.width) - 1) ^ ((1 << inner) - 1)) if value >> (inner - 1) else value


_RULES: dict[str, Rule] = {
    "const": lambda m, t, a: t.data,
    "var": lambda m, t, a: m.values.get(t.data, 0),
    "memory": lambda m, t, a: (t.data, {}),
    "ite": lambda m, t, a: a[1] if a[0] else a[2],
    "extract": lambda m, t, a: a[0] >> t.data[1] & ((1 << t.width) - 1),
    "zext": lambda m, t, a: a[0],
    "sext": _sext,
    "concat": _concat,
    "select": _select,
    "store": _store,
    "same": _same,
    "call": lambda m, t, a: m.values.get(f"extern.{t.data}{a}", 0),
}


def rule_of(term: Term) -> Rule:
    row = OPERATORS.get(term.op)
    if row is None:
        return _RULES[term.op]
    plain, mask, width = row.plain, (1 << term.width) - 1, term.args[0].width
    return lambda m, t, a: plain(width, *a) & mask


def minimise(search: Descent, twins: Callable[[str], str | None]) -> None:
    """Take ``search`` to the simplest model near its own that delta debugging finds, what is read moving along with its address.
    ``twins`` names the variable a variable should agree with if it can (the other state's value of the same component)."""
    if not search.holds:
        return
    # Large obligations get fewer tries: a readable witness is not worth minutes.
    budget = max(MIN_TRIES, TRY_NODES // max(1, len(search.plan)))

    def attempt(changes: dict[Key, int]) -> bool:
        nonlocal budget
        budget -= 1
        return budget >= 0 and search.step(changes)

    def move(key: Key, value: int) -> bool:
        """Change one value; if that alone will not do, with what is read at addresses it is part of."""
        if attempt({key: value}):
            return True
        carried = search.carrying({key: value}) if budget > 0 else {}
        return bool(carried) and attempt(carried)

    def try_all(keys: list[Key], simpler: Callable[[Key], int]) -> None:
        """Simplify as many of ``keys`` as possible, halving on failure."""
        changes = {key: simpler(key) for key in keys}
        changes = {key: value for key, value in changes.items() if search.model.get(key) != value}
        if len(changes) == 1:
            move(*changes.popitem())
        elif changes and not attempt(changes):
            left = list(changes)
            middle = len(left) // 2
            try_all(left[:middle], simpler)
            try_all(left[middle:], simpler)

    def agreeing(key: Key) -> int:
        return search.model.values.get(twins(str(key)) or "", 0)

    cells: list[Key] = sorted(search.model.cells)
    variables: list[Key] = sorted(search.model.values)
    paired: list[Key] = [key for key in variables if isinstance(key, str) and twins(key) is not None]
    try_all(paired, agreeing)
    try_all(variables + cells, lambda key: 0)
    try_all(sorted(search.model.cells.keys() - set(cells)), lambda key: 0)  # where they have moved to
    try_all(paired, agreeing)
    for key in [*variables, *sorted(search.model.cells)]:
        value = search.model.get(key)
        if value > 1:
            # A single one bit reads better than an arbitrary number.
            for simple in (1, 1 << (value.bit_length() - 1)):
                if simple != value and move(key, simple):
                    break
