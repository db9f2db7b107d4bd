"""Walks over the core form: every statement of a body, every expression in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isa_specs import core
from isa_specs.core import Expr, Function, Space, Stmt


def statements(body: Iterable[Stmt]) -> Iterator[Stmt]:
    """Every statement of a body (not into functions), outermost first."""
    for s in body:
        yield s
        if isinstance(s, core.If):
            yield from statements(s.then)
            yield from statements(s.other)
        elif isinstance(s, core.Loop):
            yield from statements(s.body)


def expressions(s: Stmt) -> tuple[Expr, ...]:
    """The expressions that stand directly in a statement, in the order of their evaluation."""
    match s:
        case core.SetLocal() | core.Write() | core.Execute():
            return (s.value,)
        case core.WriteElement():
            return (s.index, s.value)
        case core.Store():
            return (s.address, s.value)
        case core.If():
            return (s.condition,)
        case core.Loop():
            return () if s.condition is None else (s.condition,)
        case core.Raise() | core.Call():
            return s.args
        case core.Return():
            return () if s.value is None else (s.value,)
    return ()


def subexpressions(root: Expr) -> Iterator[Expr]:
    """``root`` and everything below it (not into functions)."""
    work = [root]
    while work:
        e = work.pop()
        yield e
        work.extend(core.operands(e))


def within(s: Stmt) -> Iterator[Expr]:
    """All expressions of a statement itself, not of those it holds."""
    for root in expressions(s):
        yield from subexpressions(root)


def components(expr: Expr) -> frozenset[str]:
    """The components an expression outside bodies looks at."""
    out: set[str] = set()
    for part in (inner for root in reached(expr) for inner in subexpressions(root)):
        if isinstance(part, core.Read):
            out.add(part.cell.name)
        elif isinstance(part, core.ReadElement):
            out.add(part.array.name)
        elif isinstance(part, core.Load):
            out.add(part.space.name)
    return frozenset(out)


def reached(expr: Expr) -> Iterator[Expr]:
    """``expr`` and the expressions of the functions it calls."""
    yield expr
    for part in subexpressions(expr):
        if isinstance(part, core.CallFunction):
            for statement in statements(part.function.body):
                for root in expressions(statement):
                    yield from reached(root)


def levels(space: Space) -> Iterator[Space]:
    """``space`` and the spaces an access to it goes through, down to the one that holds something."""
    yield space
    if space.onto is not None:
        yield from levels(space.onto)


def translations(space: Space) -> Iterator[Function]:
    """The translations an access to ``space`` goes through."""
    for level in levels(space):
        if level.translation is not None:
            yield level.translation
