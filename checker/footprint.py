"""What a body may read and write, read off the core form: the basis of ``flow`` certificates.

Over-approximates: every branch counts. Components that only decide where an access lands (those a translation
reads, the start of a table) are not part of an instruction's footprint: they are the translation's business and
are decided there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from isa_specs import core
from isa_specs.walk import expressions, subexpressions


@dataclass
class Footprint:
    """Names of components and views, and what else matters to a verdict."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    traps: set[str] = field(default_factory=set)
    spaces: set[str] = field(default_factory=set)
    executes: bool = False

    def add(self, other: Footprint) -> None:
        self.reads |= other.reads
        self.writes |= other.writes
        self.traps |= other.traps
        self.spaces |= other.spaces
        self.executes |= other.executes


class Footprints:
    """Footprints of one description; forms and functions are looked at once."""

    def __init__(self, isa: core.Isa):
        self.isa = isa
        self._forms: dict[core.Form, Footprint] = {}
        self._functions: dict[int, Footprint] = {}

    def form(self, form: core.Form) -> Footprint:
        if form not in self._forms:
            self._forms[form] = self._form(form)
        return self._forms[form]

    def _form(self, form: core.Form) -> Footprint:
        found = self.block(form.body)
        if form.where is not None:
            found.add(self.expression(form.where))
        if isinstance(form.encoding, core.ByteEncoding):
            for context in self.isa.contexts.values():
                found.add(self.expression(context))
        return found

    def function(self, function: core.Function) -> Footprint:
        found = self._functions.get(id(function))
        if found is None:
            found = self._functions[id(function)] = Footprint()
            found.add(self.block(function.body))
        return found

    def block(self, block: list[core.Stmt]) -> Footprint:
        out = Footprint()
        for statement in block:
            self._statement(statement, out)
        return out

    def expression(self, expr: core.Expr) -> Footprint:
        out = Footprint()
        self._expr(expr, out)
        return out

    def _statement(self, s: core.Stmt, out: Footprint) -> None:
        match s:
            case core.Write():
                out.writes.add(s.cell.name)
            case core.WriteElement():
                out.writes.add(s.array.name)
            case core.Store():
                out.writes.add(s.space.view.name)
                out.spaces.add(s.space.name)
            case core.Raise():
                out.traps.add(s.trap.name)
            case core.Call():
                out.add(self.function(s.function))
            case core.Execute():
                out.executes = True
            case core.If():
                out.add(self.block(s.then))
                out.add(self.block(s.other))
            case core.Loop():
                out.add(self.block(s.body))
        for expr in expressions(s):
            self._expr(expr, out)

    def _expr(self, root: core.Expr, out: Footprint) -> None:
        for expr in subexpressions(root):
            if isinstance(expr, core.Read):
                out.reads.add(expr.cell.name)
            elif isinstance(expr, core.ReadElement):
                out.reads.add(expr.array.name)
            elif isinstance(expr, core.Load):
                out.reads.add(expr.space.view.name)
                out.spaces.add(expr.space.name)
            elif isinstance(expr, core.CallFunction):
                out.add(self.function(expr.function))
