"""Expressions: trees of values with known widths, without sharing of effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from isa_specs.core.state import Array, Cell, Space
from isa_specs.ops import Operator

if TYPE_CHECKING:
    from isa_specs.core.description import Function


class Expr:
    """An expression; ``width`` is the number of bits of its value."""

    __slots__ = ("width",)
    width: int


class Const(Expr):
    """The number ``value``."""

    __slots__ = ("value",)

    def __init__(self, width: int, value: int):
        self.width, self.value = width, value & ((1 << width) - 1)


class Read(Expr):
    """The current value of a component."""

    __slots__ = ("cell",)

    def __init__(self, cell: Cell):
        self.width, self.cell = cell.width, cell


class ReadElement(Expr):
    """An array element; ``index`` has exactly the array's index width."""

    __slots__ = ("array", "index")

    def __init__(self, array: Array, index: Expr):
        self.width, self.array, self.index = array.width, array, index


class Load(Expr):
    """``width`` bits from a space at ``address`` (several bytes in the ISA's byte order)."""

    __slots__ = ("address", "space")

    def __init__(self, space: Space, address: Expr, width: int):
        self.width, self.space, self.address = width, space, address


class Field(Expr):
    """An encoding field, prefix, context, or the ambient ``ilen`` and ``next``."""

    __slots__ = ("name",)

    def __init__(self, name: str, width: int):
        self.width, self.name = width, name


class Local(Expr):
    """A parameter or local of the enclosing body; names are unique within it."""

    __slots__ = ("name",)

    def __init__(self, name: str, width: int):
        self.width, self.name = width, name


class Apply(Expr):
    """An operator of :mod:`isa_specs.ops` applied to operands of equal width."""

    __slots__ = ("args", "op")

    def __init__(self, op: Operator, args: tuple[Expr, ...]):
        self.op, self.args = op, args
        self.width = 1 if op.result == "bit" else args[0].width


class Extract(Expr):
    """Bits ``high``..``low`` (lsb0) of ``arg``."""

    __slots__ = ("arg", "high", "low")

    def __init__(self, arg: Expr, high: int, low: int):
        self.width, self.arg, self.high, self.low = high - low + 1, arg, high, low


class Extend(Expr):
    """``arg`` widened to ``width``, by zeros or copies of the sign."""

    __slots__ = ("arg", "signed")

    def __init__(self, arg: Expr, width: int, signed: bool):
        self.width, self.arg, self.signed = width, arg, signed


class Concat(Expr):
    """``parts`` joined, most significant first."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Expr, ...]):
        self.width, self.parts = sum(p.width for p in parts), parts


class Choice(Expr):
    """``then`` where ``condition`` is 1, else ``other``; only the chosen one is evaluated."""

    __slots__ = ("condition", "other", "then")

    def __init__(self, condition: Expr, then: Expr, other: Expr):
        self.width, self.condition, self.then, self.other = then.width, condition, then, other


class CallFunction(Expr):
    """The result of a function; its effects and traps happen here."""

    __slots__ = ("args", "function")

    def __init__(self, function: Function, args: tuple[Expr, ...]):
        assert function.result is not None
        self.width, self.function, self.args = function.result, function, args


class CallExtern(Expr):
    """A pure operation implemented in the machine and uninterpreted to the solver."""

    __slots__ = ("args", "name")

    def __init__(self, name: str, args: tuple[Expr, ...], width: int):
        self.width, self.name, self.args = width, name, args


class Undefined(Expr):
    """A value the manual leaves undefined."""

    __slots__ = ()

    def __init__(self, width: int):
        self.width = width


_OPERANDS: dict[type[Expr], Callable[[Any], tuple[Expr, ...]]] = {
    ReadElement: lambda e: (e.index,),
    Load: lambda e: (e.address,),
    Apply: lambda e: e.args,
    Extract: lambda e: (e.arg,),
    Extend: lambda e: (e.arg,),
    Concat: lambda e: e.parts,
    Choice: lambda e: (e.condition, e.then, e.other),
    CallFunction: lambda e: e.args,
    CallExtern: lambda e: e.args,
}


def operands(expr: Expr) -> tuple[Expr, ...]:
    """The expressions ``expr`` is directly made of."""
    get = _OPERANDS.get(type(expr))
    return get(expr) if get is not None else ()
