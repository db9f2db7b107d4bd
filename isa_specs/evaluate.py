"""Pure expressions as Python functions: encoding conditions and contexts, outside any machine state.

Field values are looked up by name, components by their :class:`~isa_specs.core.Cell`, so the two cannot be confused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isa_specs.core import (
    Apply,
    Choice,
    Concat,
    Const,
    Expr,
    Extend,
    Extract,
    Field,
    Read,
    Stmt,
)
from isa_specs.ops import to_signed

Environment = Mapping[Any, int]  # keys are str or Cell; a Mapping's keys cannot be a union in types
Evaluator = Callable[[Environment], int]


class NotPure(Exception):
    """The expression needs more than fields and components: storage, functions, locals."""


def evaluate(expr: Expr, environment: Environment) -> int:
    """The value of ``expr`` as an unsigned integer below 2**width."""
    return compiled(expr)(environment)


def compiled(expr: Expr) -> Evaluator:
    """``expr`` as a function of its environment; raises :class:`NotPure` at once, not when called."""
    mask = (1 << expr.width) - 1
    match expr:
        case Const(value=value):
            return lambda _: value
        case Field(name=name):
            return lambda env: env[name]
        case Read(cell=cell):
            return lambda env: env[cell]
        case Apply(op=op, args=(one,)):
            a, plain, width = compiled(one), op.plain, one.width
            return lambda env: plain(width, a(env)) & mask
        case Apply(op=op, args=(left, right)):
            a, b, plain, width = compiled(left), compiled(right), op.plain, left.width
            return lambda env: plain(width, a(env), b(env)) & mask
        case Extract(arg=arg, low=low):
            a = compiled(arg)
            return lambda env: a(env) >> low & mask
        case Extend(arg=arg, signed=signed):
            a, width = compiled(arg), arg.width
            return (lambda env: to_signed(a(env), width) & mask) if signed else a
        case Concat(parts=parts):
            pieces = [(compiled(part), part.width) for part in parts]
            return lambda env: _join((piece(env), width) for piece, width in pieces)
        case Choice(condition=condition, then=then, other=other):
            c, a, b = compiled(condition), compiled(then), compiled(other)
            return lambda env: a(env) if c(env) else b(env)
    raise NotPure(type(expr).__name__)


def _join(pieces: Iterator[tuple[int, int]]) -> int:
    value = 0
    for piece, width in pieces:
        value = value << width | piece
    return value


def expressions(item: Any) -> Iterator[Expr]:
    """Every expression in an expression, a statement or a list of them, outermost first; called functions are not entered."""
    work = [item]
    while work:
        item = work.pop()
        if isinstance(item, (list, tuple)):
            work.extend(reversed(item))
        elif isinstance(item, (Expr, Stmt)):
            if isinstance(item, Expr):
                yield item
            work.extend(getattr(item, slot) for slot in reversed(type(item).__slots__))


def field_names(item: Any) -> set[str]:
    """The names of the fields mentioned in ``item``."""
    return {expr.name for expr in expressions(item) if isinstance(expr, Field)}


def conjuncts(expr: Expr | None) -> list[Expr]:
    """The conditions that must all hold for ``expr`` (of width 1) to hold."""
    if expr is None:
        return []
    if isinstance(expr, Apply) and expr.op.name == "and" and expr.width == 1:
        return [part for arg in expr.args for part in conjuncts(arg)]
    return [expr]
