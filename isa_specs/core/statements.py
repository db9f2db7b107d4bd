"""Statements: what a body does, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs.core.expressions import Expr
from isa_specs.core.state import Array, Cell, Space
from isa_specs.diagnostics import Span

if TYPE_CHECKING:
    from isa_specs.core.description import Function, Trap


class Stmt:
    """A statement. ``span`` is its place in the source."""

    __slots__ = ("span",)
    span: Span


class SetLocal(Stmt):
    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Expr, span: Span):
        self.name, self.value, self.span = name, value, span


class Write(Stmt):
    __slots__ = ("cell", "value")

    def __init__(self, cell: Cell, value: Expr, span: Span):
        self.cell, self.value, self.span = cell, value, span


class WriteElement(Stmt):
    __slots__ = ("array", "index", "value")

    def __init__(self, array: Array, index: Expr, value: Expr, span: Span):
        self.array, self.index, self.value, self.span = array, index, value, span


class Store(Stmt):
    __slots__ = ("address", "space", "value")

    def __init__(self, space: Space, address: Expr, value: Expr, span: Span):
        self.space, self.address, self.value, self.span = space, address, value, span


class If(Stmt):
    __slots__ = ("condition", "other", "then")

    def __init__(self, condition: Expr, then: list[Stmt], other: list[Stmt], span: Span):
        self.condition, self.then, self.other, self.span = condition, then, other, span


class Loop(Stmt):
    """``body`` for ``local`` = ``first`` .. ``last`` (inclusive), ended by the first 0 of ``condition``."""

    __slots__ = ("body", "condition", "first", "last", "local", "width")

    def __init__(self, local: str, width: int, first: int, last: int, condition: Expr | None, body: list[Stmt], span: Span):
        self.local, self.width, self.first, self.last = local, width, first, last
        self.condition, self.body, self.span = condition, body, span


class Raise(Stmt):
    """End the instruction with a trap."""

    __slots__ = ("args", "trap")

    def __init__(self, trap: Trap, args: tuple[Expr, ...], span: Span):
        self.trap, self.args, self.span = trap, args, span


class Call(Stmt):
    __slots__ = ("args", "function")

    def __init__(self, function: Function, args: tuple[Expr, ...], span: Span):
        self.function, self.args, self.span = function, args, span


class Return(Stmt):
    """Only at the end of a path of a function body; ``value`` is None in procedures."""

    __slots__ = ("value",)

    def __init__(self, value: Expr | None, span: Span):
        self.value, self.span = value, span


class Execute(Stmt):
    """Carry out the instruction whose bytes are ``value`` (left-aligned) in place of this one; ends the body."""

    __slots__ = ("value",)

    def __init__(self, value: Expr, span: Span):
        self.value, self.span = value, span


class Mark(Stmt):
    """A named operand region: ``condition`` holds here for states that belong to it."""

    __slots__ = ("condition", "label")

    def __init__(self, label: str, condition: Expr, span: Span):
        self.label, self.condition, self.span = label, condition, span
