"""The operators of the language: one row each, with all its readings side by side.

Nothing else in the project switches on operator names. A row gives the name used in the core form, how the
width of the result follows from the operands, the plain reading (Python integers), the symbolic one (SMT-LIB
2.6, theory FixedSizeBitVectors) and the jitted one (wrapping int64 arithmetic on operands of at most 64 bits).

All operands and results are bit vectors, held as unsigned integers; conditions are one bit wide. Division by
zero follows SMT-LIB: quotient all ones, remainder the dividend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def to_signed(value: int, width: int) -> int:
    """The two's-complement reading of an unsigned ``width``-bit value."""
    return value - (1 << width) if value >> (width - 1) else value


@dataclass(frozen=True, slots=True)
class Operator:
    """One row. ``plain(w, *operands)`` gets the width ``w`` of the first operand and returns an
    unreduced integer (the caller masks to the result width). ``smt`` is the SMT-LIB function; rows with
    ``predicate`` yield Bool there. ``jit`` is a format of operand texts ``{0}``.., the mask ``{m}`` of the
    first operand's width, that width ``{w}`` and its sign bit ``{s}`` (0 for 64 bits); that of a predicate is a
    condition. What int64 has no operator for (unsigned comparison and division, shifts by the width and more) is
    a primitive in capitals."""

    name: str
    result: str  # "same": width of the first operand; "bit": 1
    plain: Callable[..., int]
    smt: str
    jit: str
    predicate: bool = False
    commutes: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Operator], tuple[str]]:
        return operator, (self.name,)  # a copy of a description refers to the rows there are


def _udiv(w: int, a: int, b: int) -> int:
    return a // b if b else -1


def _urem(w: int, a: int, b: int) -> int:
    return a % b if b else a


def _sdiv(w: int, a: int, b: int) -> int:
    x, y = to_signed(a, w), to_signed(b, w)
    if y == 0:
        return 1 if x < 0 else -1
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def _srem(w: int, a: int, b: int) -> int:
    x, y = to_signed(a, w), to_signed(b, w)
    if y == 0:
        return x
    remainder = abs(x) % abs(y)
    return remainder if x >= 0 else -remainder


def _shl(w: int, a: int, b: int) -> int:
    return a << b if b < w else 0


def _lshr(w: int, a: int, b: int) -> int:
    return a >> b if b < w else 0


def _ashr(w: int, a: int, b: int) -> int:
    return to_signed(a, w) >> min(b, w - 1)


_S0, _S1 = "(({0} ^ {s}) - {s})", "(({1} ^ {s}) - {s})"

OPERATORS: dict[str, Operator] = {
    row.name: row
    for row in (
        Operator("add", "same", lambda w, a, b: a + b, "bvadd", "({0} + {1}) & {m}", commutes=True),
        Operator("sub", "same", lambda w, a, b: a - b, "bvsub", "({0} - {1}) & {m}"),
        Operator("mul", "same", lambda w, a, b: a * b, "bvmul", "({0} * {1}) & {m}", commutes=True),
        Operator("udiv", "same", _udiv, "bvudiv", "UDIV({0}, {1}, {m})"),
        Operator("urem", "same", _urem, "bvurem", "UREM({0}, {1})"),
        Operator("sdiv", "same", _sdiv, "bvsdiv", f"SDIV({_S0}, {_S1}) & {{m}}"),
        Operator("srem", "same", _srem, "bvsrem", f"SREM({_S0}, {_S1}) & {{m}}"),
        Operator("neg", "same", lambda w, a: -a, "bvneg", "(-{0}) & {m}"),
        Operator("not", "same", lambda w, a: ~a, "bvnot", "{0} ^ {m}"),
        Operator("and", "same", lambda w, a, b: a & b, "bvand", "{0} & {1}", commutes=True),
        Operator("or", "same", lambda w, a, b: a | b, "bvor", "{0} | {1}", commutes=True),
        Operator("xor", "same", lambda w, a, b: a ^ b, "bvxor", "{0} ^ {1}", commutes=True),
        Operator("shl", "same", _shl, "bvshl", "SHL({0}, {1}, {w}) & {m}"),
        Operator("lshr", "same", _lshr, "bvlshr", "LSHR({0}, {1}, {w})"),
        Operator("ashr", "same", _ashr, "bvashr", f"ASHR({_S0}, {{1}}, {{w}}) & {{m}}"),
        Operator("eq", "bit", lambda w, a, b: int(a == b), "=", "{0} == {1}", predicate=True, commutes=True),
        Operator("ult", "bit", lambda w, a, b: int(a < b), "bvult", "ULT({0}, {1})", predicate=True),
        Operator("ule", "bit", lambda w, a, b: int(a <= b), "bvule", "ULE({0}, {1})", predicate=True),
        Operator("slt", "bit", lambda w, a, b: int(to_signed(a, w) < to_signed(b, w)), "bvslt",
                 f"{_S0} < {_S1}", predicate=True),
        Operator("sle", "bit", lambda w, a, b: int(to_signed(a, w) <= to_signed(b, w)), "bvsle",
                 f"{_S0} <= {_S1}", predicate=True),
    )
}


def operator(name: str) -> Operator:
    """The row of this name."""
    return OPERATORS[name]
