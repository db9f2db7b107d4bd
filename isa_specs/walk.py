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


def translations(space: Space) -> Iterator[Function]:
    """The translations an access to ``space`` goes through."""
    below: Space | None = space
    while below is not None:
        if below.translation is not None:
            yield below.translation
        below = below.onto
