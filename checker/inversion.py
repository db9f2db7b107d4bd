"""Models changed so that terms have the values demanded of them.

What is demanded of a term is passed on to what it is made of, the rest of which keeps its value, down to variables and cells: the
propagation of local search over bit vectors (Niemetz, Preiner and Biere, "Propagation based local search for bit-precise
reasoning", FMSD 51(3), 2017), without a random choice. It gives up early; whoever relies on the model it finds tries it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any

from checker.models import Key, Model, rule_of
from checker.term import Term
from checker.trials import PLAIN

PATIENCE, EACH = 40, 15  # demands at least, and for each condition that fails to begin with
BITS = 4  # in which numbers that must not be equal are made to differ

Demand = tuple[Term, int, int]
"""A term, the value it is to have, and the mask of the bits that matter."""


def near(model: Model, conditions: list[Term]) -> Model | None:
    """A model like this one in which all conditions hold, without cells they do not look at; None where none is found without trying
    long."""
    search = Inversion(model)
    try:
        search.patience = max(PATIENCE, EACH * sum(not search.value(term) for term in conditions))
        return search.looked_at(conditions) if search.reach(conditions) else None
    except RecursionError:  # too deep a term
        return None


def brought(model: Model, demands: Iterable[Demand]) -> Model:
    """A model like this one in which as many demands are met as can be had."""
    search = Inversion(model)
    for demand in demands:
        with suppress(RecursionError):
            next(search.meet(*demand), None)
    return search.model


class Inversion:
    """A model on its way to where demands are met. Bits once demanded stay as they are, unless the demand is taken back.

    Where they are given, only variables and cells ``within`` are changed."""

    def __init__(self, model: Model, within: Container[Key] | None = None):
        self.model, self.within, self.patience = model.copy(), within, PATIENCE
        self._demanded: dict[Key, int] = {}  # masks
        self._known: dict[Term, Any] = {}
        self._seen: dict[Term, int] = {}  # of what is known, the variables and cells it comes from, a bit for each
        self._bits: dict[Key, int] = {}

    def value(self, term: Term) -> Any:
        """The value of a term in the model as it is now; recursive, and found out once as long as nothing changes that it comes from."""
        known, seen = self._known, self._seen
        found = known.get(term)
        if found is not None:
            return found
        op, args = term.op, term.args
        plain = PLAIN.get(op)
        if plain is not None and len(args) == 2:
            a, b = args
            left = known.get(a)
            if left is None:
                left = self.value(a)
            if (op == "and" and not left) or (op == "or" and left == whole(term)):
                found, seen[term] = left, seen[a]
            else:
                right = known.get(b)
                found = plain(a.width, left, self.value(b) if right is None else right) & whole(term)
                seen[term] = seen[a] | seen[b]
        elif op == "ite":
            condition, then, other = args
            taken = then if self.value(condition) else other
            found = self.value(taken)
            seen[term] = seen[condition] | seen[taken]
        elif op == "const":
            found, seen[term] = term.data, 0
        else:
            values = [self.value(arg) for arg in args]
            found = rule_of(term)(self.model, term, values)
            seen[term] = reduce(or_, [seen[arg] for arg in args], self._own(term, values))
        known[term] = found
        return found

    def _own(self, term: Term, values: list[Any]) -> int:
        """What a term looks at besides its parts."""
        if term.op == "select":
            (memory, _), address = values
            return self._bit((memory, address))
        return self._bit(term.data) if term.op == "var" else -1 if term.op in ("same", "call") else 0

    def looked_at(self, conditions: list[Term]) -> Model:
        """The model without the cells that do not matter to the conditions: where it is laid out they would be in the way."""
        seen, bits, model = reduce(or_, [self._seen[term] for term in conditions], 0), self._bits, self.model
        return Model(model.values, {cell: value for cell, value in model.cells.items() if seen < 0 or seen & bits.get(cell, 0)})

    def _bit(self, key: Key) -> int:
        found = self._bits.get(key)
        if found is None:
            found = self._bits[key] = 1 << len(self._bits)
        return found

    def reach(self, conditions: list[Term]) -> bool:
        """Have all conditions hold, those that fail one after the other."""
        failing = next((term for term in conditions if not self.value(term)), None)
        return failing is None or any(self.reach(conditions) for _ in self.meet(failing, 1, 1))

    def meet(self, term: Term, value: int, mask: int) -> Iterator[None]:
        """Have the bits of ``mask`` as in ``value``, one way after the other; each is undone when the next is asked for."""
        if not (self.value(term) ^ value) & mask:
            yield
            return
        self.patience -= 1
        held, mask = self._held(term), mask & whole(term)
        if isinstance(held, Term):
            for way in ways(self.value, held, value & mask, mask) if self.patience >= 0 else ():
                for _ in self._all([*way]):
                    if not (self.value(term) ^ value) & mask:
                        yield
        elif (self.within is None or held in self.within) and not (self.model.get(held) ^ value) & mask & self._demanded.get(held, 0):
            before = held, self.model.get(held), self._demanded.get(held, 0)
            self._put(held, before[1] & ~mask | value & mask, before[2] | mask)
            yield
            self._put(*before)

    def _all(self, demands: list[Demand]) -> Iterator[None]:
        if not demands:
            yield
            return
        for _ in self.meet(*demands[0]):
            yield from self._all(demands[1:])

    def _held(self, term: Term) -> Key | Term:
        """The variable or cell that a term is; for a cell written meanwhile what was written."""
        if term.op != "select":
            return term.data if term.op == "var" else term
        memory, at = term.args[0], self.value(term.args[1])
        while memory.op != "memory":
            if memory.op == "ite":
                memory = memory.args[1 if self.value(memory.args[0]) else 2]
            elif self.value(memory.args[1]) == at:
                return self._held(memory.args[2])
            else:
                memory = memory.args[0]
        return memory.data, at

    def _put(self, key: Key, value: int, mask: int) -> None:
        if isinstance(key, str):
            self.model.values[key] = value
        else:
            self.model.cells[key] = value
        self._demanded[key] = mask
        bit, seen = self._bit(key), self._seen
        for term in [term for term, looked_at in seen.items() if looked_at & bit]:
            del self._known[term], seen[term]


Values = Callable[[Term], Any]
Way = Iterable[Demand]


def ways(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    """What may be demanded of the parts of a term for it to have the bits of ``mask`` as in ``value``, in the order worth trying."""
    args = term.args
    found = _WAYS.get(term.op)
    if found is None:
        return
    if term.op in _MIRRORED:
        a, b = args
        yield from found(values, b, a, value, mask)
        yield from found(values, a, b, value, mask)
    else:
        yield from found(values, term, value, mask)


def whole(term: Term) -> int:
    return (1 << term.width) - 1


def _xor(values: Values, a: Term, b: Term, value: int, mask: int) -> Iterator[Way]:
    yield [(a, value ^ values(b), mask)]


def _and(values: Values, a: Term, b: Term, value: int, mask: int) -> Iterator[Way]:
    yield [(b, value, value), (a, value, value | mask & values(b))]


def _or(values: Values, a: Term, b: Term, value: int, mask: int) -> Iterator[Way]:
    zeros = mask & ~value
    yield [(b, 0, zeros), (a, value, zeros | mask & ~values(b))]


def _add(values: Values, a: Term, b: Term, value: int, mask: int) -> Iterator[Way]:
    below = (1 << mask.bit_length()) - 1
    kept = (values(a) + values(b)) & ~mask
    yield [(a, (value | kept) - values(b) & below, below)]


def _sub(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    a, b = term.args
    below = (1 << mask.bit_length()) - 1
    kept = values(term) & ~mask
    yield [(a, (value | kept) + values(b) & below, below)]
    yield [(b, values(a) - (value | kept) & below, below)]


def _eq(values: Values, a: Term, b: Term, value: int, mask: int) -> Iterator[Way]:
    other = values(b)
    if value:
        yield [(a, other, whole(a))]
    else:
        for bit in range(min(BITS, a.width)):
            yield [(a, other ^ 1 << bit, 1 << bit)]


def _less(values: Values, a: Term, b: Term, least: int, strict: int) -> Iterator[Way]:
    """``a < b``, or not ``strict`` ``a <= b``, for numbers that begin at ``least``."""
    most = whole(a) ^ least
    yield [(b, most, whole(b))]
    yield [(a, least, whole(a))]
    if not strict or values(b) != least:
        yield [(a, values(b) - strict & whole(a), whole(a))]
    if not strict or values(a) != most:
        yield [(b, values(a) + strict & whole(b), whole(b))]


def _compared(signed: bool, strict: int) -> Callable[[Values, Term, int, int], Iterator[Way]]:
    def found(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
        a, b = term.args
        least = 1 << a.width - 1 if signed else 0
        return _less(values, a, b, least, strict) if value else _less(values, b, a, least, 1 - strict)

    return found


def _ite(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    condition, then, other = term.args
    asked = values(condition)
    yield [(then if asked else other, value, mask)]
    yield [(condition, 1 - asked, 1), (other if asked else then, value, mask)]


def _extract(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    low = term.data[1]
    yield [(term.args[0], value << low, mask << low)]


def _zext(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    inner, = term.args
    if not value & ~whole(inner):
        yield [(inner, value, mask & whole(inner))]


def _sext(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    inner, = term.args
    sign = 1 << inner.width - 1
    upper = mask & ~(sign - 1)
    if not upper:
        yield [(inner, value, mask)]
    elif value & upper in (0, upper):
        yield [(inner, value & sign - 1 | (sign if value & upper else 0), mask & sign - 1 | sign)]


def _concat(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    at, way = term.width, []
    for part in term.args:
        at -= part.width
        way.append((part, value >> at & whole(part), mask >> at & whole(part)))
    yield way


def _not(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    yield [(term.args[0], ~value & mask, mask)]


def _neg(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    below = (1 << mask.bit_length()) - 1
    yield [(term.args[0], -(value | values(term) & ~mask) & below, below)]


def _shl(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    arg, by = term.args[0], values(term.args[1])
    if by < term.width and not value & (1 << by) - 1:
        yield [(arg, value >> by, mask >> by)]


def _lshr(values: Values, term: Term, value: int, mask: int) -> Iterator[Way]:
    arg, by = term.args[0], values(term.args[1])
    if by < term.width and not value << by & ~whole(arg):
        yield [(arg, value << by, mask << by & whole(arg))]


_MIRRORED = {"xor", "and", "or", "add", "eq"}
_WAYS: dict[str, Callable[..., Iterator[Way]]] = {
    "xor": _xor, "and": _and, "or": _or, "add": _add, "eq": _eq, "sub": _sub, "neg": _neg, "not": _not, "shl": _shl, "lshr": _lshr,
    "ult": _compared(False, 1), "ule": _compared(False, 0), "slt": _compared(True, 1), "sle": _compared(True, 0),
    "ite": _ite, "extract": _extract, "zext": _zext, "sext": _sext, "concat": _concat,
}
