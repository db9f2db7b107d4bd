"""Bit-vector terms, shared and simplified as they are built.

The two runs an obligation compares share almost all of their terms; because equal terms are one object here,
most comparisons are settled before a solver sees them. Conditions are one bit wide, as in the core form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

from checker.term import MAX_WORD, Built, Term, alignment, chosen
from isa_specs.ops import OPERATORS, Operator, to_signed

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LOGIC = {"and", "or", "xor"}


class BitVectors:
    """Builds terms over bit vectors, each once. ``operations`` has what comes of each operator, by its operands."""

    def __init__(self) -> None:
        self._idents = count()
        self._kept: dict[Any, Any] = {}
        self.operations = {name: Built(partial(self._apply, row)) for name, row in OPERATORS.items()}
        self._and, self._or, self._xor, self._add, self._eq = (self.operations[name] for name in ("and", "or", "xor", "add", "eq"))
        self._constants = Built(self._const)
        self._variables = Built(self._variable)
        self._chosen = Built(self._ite)
        self._extracted: dict[tuple[Term, int, int], Term] = {}  # not Built: runs of choices are taken apart to any depth
        self._extended = Built(self._extend)
        self._concatenated: Built[*tuple[Term, ...]] = Built(self._concat)
        self._called = Built(self._call)
        self.true = self.const(1, 1)
        self.false = self.const(1, 0)

    def kept(self, make: Callable[[*Ts], T], *of: *Ts) -> T:
        """What is to live as long as these terms, one of each kind for the same ``of``."""
        if (make, of) not in self._kept:
            self._kept[make, of] = make(*of)
        made: T = self._kept[make, of]
        return made

    def _new(self, op: str, args: tuple[Term, ...], data: Any, width: int, address: int = 0) -> Term:
        return Term(next(self._idents), op, args, data, width, address)

    # ---- leaves -----------------------------------------------------------------------------

    def const(self, width: int, value: int) -> Term:
        return self._constants[width, value & ((1 << width) - 1)]

    def _const(self, width: int, value: int) -> Term:
        return self._new("const", (), value, width)

    def var(self, name: str, width: int) -> Term:
        return self._variables["var", name, width, 0]

    def memory(self, name: str, address: int, width: int) -> Term:
        return self._variables["memory", name, width, address]

    def _variable(self, op: str, name: str, width: int, address: int) -> Term:
        return self._new(op, (), name, width, address)

    # ---- operators ----------------------------------------------------------------------------

    def apply(self, op: Operator, args: tuple[Term, ...]) -> Term:
        """An operator row applied to terms of equal width."""
        return self.operations[op.name][args]

    def _apply(self, op: Operator, *args: Term) -> Term:
        name = op.name
        first = args[0]
        width = 1 if op.result == "bit" else first.width
        if first.op == "const" and args[-1].op == "const":
            return self.const(width, op.plain(first.width, *[arg.data for arg in args]))
        if len(args) == 1:
            if first.op == name:  # not, neg: involutions
                return first.args[0]
        else:
            a, b = args
            if op.commutes and (a.op == "const" or (b.op != "const" and a.ident > b.ident)):
                return self.operations[name][b, a]
            simple = self._simplify(name, a, b, width)
            if simple is not None:
                return simple
        return self._new(name, args, None, width)

    def _simplify(self, name: str, a: Term, b: Term, width: int) -> Term | None:
        same = a is b
        ones = (1 << a.width) - 1
        if name == "eq":
            if same:
                return self.true
            if a.width == 1 and b.op == "const":
                return a if b.data else self.negate(a)
            if b.op == "const" and a.op == "ite" and a.args[1].op == "const" and a.args[2].op == "const":
                yes, no = a.args[1].data == b.data, a.args[2].data == b.data
                return self.true if yes and no else a.args[0] if yes else self.negate(a.args[0]) if no else self.false
            if b.op == "const" and a.op == "zext":
                inner = a.args[0]
                return self.false if b.data >> inner.width else self.eq(inner, self.const(inner.width, b.data))
            if b.op == "const" and a.op == "concat":
                return self._split_equality(a, b)
            if b.op == "const" and a.op == "add" and a.args[1].op == "const":
                return self.eq(a.args[0], self.const(a.width, b.data - a.args[1].data))
            if a.op == "zext" and b.op == "zext" and a.data == b.data:
                return self.eq(a.args[0], b.args[0])
            if a.op == "concat" and b.op == "concat" and a.args[-1].op == b.args[-1].op == "const":
                return self._same_tail(a, b)
            return None
        if name == "ult":
            return self.false if same or (b.op == "const" and b.data == 0) else None
        if name == "slt":
            return self.false if same else None
        if name in ("ule", "sle"):
            return self.true if same else None
        if name in ("and", "or"):
            if same:
                return a
            if b.op == "const":
                if b.data == (0 if name == "and" else ones):
                    return b
                if b.data == (ones if name == "and" else 0):
                    return a
            if b.op == "const":
                return self._masked(name, a, b.data)
            return self._joined(name, a, b)
        if name == "xor":
            if same:
                return self.const(width, 0)
            if b.op == "const" and b.data == 0:
                return a
            if b.op == "const" and a.op == "xor" and a.args[1].op == "const":
                return self._xor[a.args[0], self.const(width, a.args[1].data ^ b.data)]
            return None
        if name == "sub":
            if same:
                return self.const(width, 0)
            if b.op == "const":
                return self.add(a, self.const(width, -b.data))
            return None
        if name == "add":
            if b.op == "const":
                if b.data == 0:
                    return a
                if a.op == "add" and a.args[1].op == "const":
                    return self.add(a.args[0], self.const(width, a.args[1].data + b.data))
                known = alignment(a)
                if known:  # the low bits are there already
                    high = self.add(self.extract(a, width - 1, known), self.const(width - known, b.data >> known))
                    return self.concat([high, self.const(known, b.data)])
            return None
        if name in ("shl", "lshr", "ashr"):
            if a.op == "const" and a.data == 0:
                return a
            return self._shifted(name, a, b.data) if b.op == "const" else None
        return None

    def _joined(self, name: str, a: Term, b: Term) -> Term | None:
        """``x and not x`` is false, ``x and (x and y)`` is ``x and y``, ``x and (x or y)`` is ``x``; and the other way round. Of two
        numbers that are less than the same, one says it."""
        if a.op == b.op and a.op in ("ult", "ule") and a.args[1] is b.args[1] and a.args[0].op == b.args[0].op == "const":
            return a if (a.args[0].data > b.args[0].data) is (name == "and") else b
        for x, y in ((a, b), (b, a)):
            if y.op == "xor" and y.args[0] is x and y.args[1] is self.true:
                return self.false if name == "and" else self.true
            if y.op in ("and", "or") and (y.args[0] is x or y.args[1] is x):
                return y if y.op == name else x
        return None

    def _masked(self, name: str, a: Term, mask: int) -> Term | None:
        """A mask of one run of ones is a slice between constants: what is known of those bits shows."""
        low = (mask & -mask).bit_length() - 1
        high = mask.bit_length()
        if mask != (1 << high) - (1 << low):
            return None
        above, inside, below = a.width - high, high - low, low
        if name == "and":
            parts = [self.const(above, 0), self.extract(a, high - 1, low), self.const(below, 0)]  # those of no width fall away
            return self.concat([part for part in parts if part.width])
        kept = [self.extract(a, a.width - 1, high)] if above else []
        return self.concat([*kept, self.const(inside, -1), *([self.extract(a, low - 1, 0)] if below else [])])

    def _shifted(self, name: str, a: Term, by: int) -> Term | None:
        """Shifts by constants are joins and slices."""
        width = a.width
        if by == 0:
            return a
        if name == "ashr":
            return None
        if by >= width:
            return self.const(width, 0)
        if name == "shl":
            return self.concat([self.extract(a, width - 1 - by, 0), self.const(by, 0)])
        return self.extend(self.extract(a, width - 1, by), width, False)

    def _split_equality(self, joined: Term, constant: Term) -> Term:
        result, low = self.true, joined.width
        for part in joined.args:
            low -= part.width
            result = self.both(result, self.eq(part, self.const(part.width, constant.data >> low)))
        return result

    def _same_tail(self, a: Term, b: Term) -> Term | None:
        known = min(a.args[-1].width, b.args[-1].width)
        if self.extract(a, known - 1, 0) is not self.extract(b, known - 1, 0):
            return self.false
        return self.eq(self.extract(a, a.width - 1, known), self.extract(b, b.width - 1, known))

    def add(self, a: Term, b: Term) -> Term:
        return self._add[a, b]

    def eq(self, a: Term, b: Term) -> Term:
        return self._eq[a, b]

    def both(self, a: Term, b: Term) -> Term:
        return self._and[a, b]

    def either(self, a: Term, b: Term) -> Term:
        return self._or[a, b]

    def negate(self, a: Term) -> Term:
        return self._xor[a, self.true]

    def all(self, terms: list[Term]) -> Term:
        result = self.true
        for term in terms:
            result = self._and[result, term]
        return result

    def any(self, terms: list[Term]) -> Term:
        result = self.false
        for term in terms:
            result = self._or[result, term]
        return result

    # ---- structure --------------------------------------------------------------------------------

    def ite(self, condition: Term, then: Term, other: Term) -> Term:
        return then if then is other else self._chosen[condition, then, other]

    def _ite(self, condition: Term, then: Term, other: Term) -> Term:
        if condition.op == "const":
            return then if condition.data else other
        if condition.op == "xor" and condition.args[1] is self.true:
            return self.ite(condition.args[0], other, then)
        if then.width == 1 and not then.address:
            if then.op == "const":
                return self.either(condition, other) if then.data else self.both(self.negate(condition), other)
            if other.op == "const":
                return self.either(self.negate(condition), then) if other.data else self.both(condition, then)
        if then.op == "ite" and then.args[0] is condition:
            return self.ite(condition, then.args[1], other)
        if other.op == "ite" and other.args[0] is condition:
            return self.ite(condition, then, other.args[2])
        if then is chosen(other, condition):
            return other
        if then.op == "concat" and other.op == "concat" and len(then.args) == len(other.args):
            pairs = list(zip(then.args, other.args, strict=True))
            if all(a.width == b.width for a, b in pairs):  # what is taken apart again is chosen part by part
                return self.concat([self.ite(condition, a, b) for a, b in pairs])
        return self._new("ite", (condition, then, other), None, then.width, then.address)

    def extract(self, arg: Term, high: int, low: int) -> Term:
        if low == 0 and high == arg.width - 1:
            return arg
        key = arg, high, low
        found = self._extracted.get(key)
        if found is None:
            found = self._extracted[key] = self._extract(arg, high, low)
        return found

    def _extract(self, arg: Term, high: int, low: int) -> Term:
        if arg.op == "const":
            return self.const(high - low + 1, arg.data >> low)
        if arg.op == "extract":
            inner = arg.data[1]
            return self.extract(arg.args[0], high + inner, low + inner)
        if arg.op == "concat":
            at = arg.width
            kept = []
            for part in arg.args:
                at -= part.width
                top, bottom = min(high, at + part.width - 1), max(low, at)
                if top >= bottom:
                    kept.append(self.extract(part, top - at, bottom - at))
            return self.concat(kept)
        if arg.op == "zext":
            inner_width = arg.args[0].width
            if low >= inner_width:
                return self.const(high - low + 1, 0)
            if high < inner_width:
                return self.extract(arg.args[0], high, low)
            return self.extend(self.extract(arg.args[0], inner_width - 1, low), high - low + 1, False)
        if arg.op == "ite" and (arg.args[1].op == "const" or arg.args[2].op == "const"):
            return self.ite(arg.args[0], self.extract(arg.args[1], high, low), self.extract(arg.args[2], high, low))
        if arg.op in _LOGIC and (arg.args[1].op == "const" or arg.width > MAX_WORD):
            return self.apply(OPERATORS[arg.op], (self.extract(arg.args[0], high, low), self.extract(arg.args[1], high, low)))
        return self._new("extract", (arg,), (high, low), high - low + 1)

    def extend(self, arg: Term, width: int, signed: bool) -> Term:
        return arg if width == arg.width else self._extended[arg, width, signed]

    def _extend(self, arg: Term, width: int, signed: bool) -> Term:
        if arg.op == "const":
            return self.const(width, to_signed(arg.data, arg.width) if signed else arg.data)
        if not signed and arg.op == "zext":
            return self.extend(arg.args[0], width, False)
        return self._new("sext" if signed else "zext", (arg,), width - arg.width, width)

    def concat(self, parts: Sequence[Term]) -> Term:
        return parts[0] if len(parts) == 1 else self._concatenated[tuple(parts)]

    def _concat(self, *parts: Term) -> Term:
        flat: list[Term] = []
        for part in parts:
            for piece in self._pieces(part) if part.op in ("concat", "zext") else (part,):
                if flat and flat[-1].op == "const" and piece.op == "const":
                    last = flat.pop()
                    flat.append(self.const(last.width + piece.width, last.data << piece.width | piece.data))
                elif flat and flat[-1].op == "extract" and piece.op == "extract" and flat[-1].args[0] is piece.args[0] \
                        and flat[-1].data[1] == piece.data[0] + 1:
                    last = flat.pop()
                    flat.append(self.extract(piece.args[0], last.data[0], piece.data[1]))
                else:
                    flat.append(piece)
        whole = tuple(flat)
        if whole != parts:
            return self.concat(whole)
        width = sum([part.width for part in parts])
        if parts[0].op == "const" and parts[0].data == 0:
            return self.extend(self.concat(parts[1:]), width, False)
        return self._new("concat", parts, None, width)

    def _pieces(self, part: Term) -> tuple[Term, ...]:
        if part.op == "zext":
            return (self.const(part.width - part.args[0].width, 0), *self._pieces(part.args[0]))
        return part.args if part.op == "concat" else (part,)

    def call(self, name: str, args: tuple[Term, ...], width: int) -> Term:
        """An uninterpreted (extern) operation."""
        return self._called[name, args, width]

    def _call(self, name: str, args: tuple[Term, ...], width: int) -> Term:
        return self._new("call", args, name, width)
