"""What a body may do, as far as generating code for it asks: found once on the core form, transitively.

Everything here errs on one side: what may happen is reported, whether or not any state lets it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from isa_specs import core
from isa_specs.core import Expr, Function, Isa, Space, Stmt
from isa_specs.walk import expressions, subexpressions


@dataclass(slots=True)
class Facts:
    """``reads`` and ``writes`` are names of components; ``undoes`` when a trap may be raised that takes back effects."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    traps: bool = False
    completes: bool = False  # a trap may be raised that lets the machine go on behind the instruction, effects kept
    undoes: bool = False
    executes: bool = False
    loads: bool = False
    ordered: bool = False  # touches a space that is recorded, or what is recorded of one: to be done where it stands
    externs: set[str] = field(default_factory=set)

    def add(self, other: Facts) -> None:
        self.reads |= other.reads
        self.writes |= other.writes
        self.fields |= other.fields
        self.externs |= other.externs
        self.traps |= other.traps
        self.undoes |= other.undoes
        self.completes |= other.completes
        self.executes |= other.executes
        self.loads |= other.loads
        self.ordered |= other.ordered


@dataclass(slots=True)
class Writers:
    """For each component the forms that may write it and the traps whose delivery may, by number; and the forms that may carry out any."""

    forms: dict[str, list[int]] = field(default_factory=dict)
    deliveries: dict[str, list[int]] = field(default_factory=dict)
    executing: list[int] = field(default_factory=list)


class Analysis:
    """Facts about the functions and bodies of one description."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self._functions: dict[Function, Facts] = {}
        self._spaces: dict[Space, Facts] = {}
        self._orders = {every: _Order(self, every) for every in (False, True)}
        self._ordered = {name for space in isa.spaces.values() if space.recorded for name in (space.name, space.recorded.name)}
        self._statements: dict[int, tuple[Stmt, Facts]] = {}
        self._expressions: dict[int, tuple[Expr, Facts]] = {}

    # ---- what may happen -----------------------------------------------------------

    def function(self, function: Function) -> Facts:
        if function not in self._functions:
            self._functions[function] = self.body(function.body)
        return self._functions[function]

    def body(self, body: Iterable[Stmt]) -> Facts:
        found = Facts()
        for s in body:
            found.add(self.statement(s))
        return found

    def statement(self, s: Stmt) -> Facts:
        """Of a statement and all it holds."""
        known = self._statements.get(id(s))
        if known is not None:
            return known[1]
        found = Facts()
        for e in expressions(s):
            found.add(self.expression(e))
        match s:
            case core.Write():
                found.writes.add(s.cell.name)
            case core.WriteElement():
                found.writes.add(s.array.name)
            case core.Store():
                found.add(self.space(s.space))
                found.writes.add(physical(s.space).name)
            case core.Raise():
                found.traps = True
                found.undoes = not s.trap.keeps_effects
                found.completes = s.trap.ending == "complete"
            case core.Call():
                found.add(self.function(s.function))
            case core.Execute():
                found.traps = found.executes = True
            case core.If():
                found.add(self.body(s.then))
                found.add(self.body(s.other))
            case core.Loop():
                found.add(self.body(s.body))
        self._statements[id(s)] = s, found
        return found

    def expression(self, e: Expr) -> Facts:
        known = self._expressions.get(id(e))
        if known is not None:
            return known[1]
        found = Facts()
        for part in subexpressions(e):
            match part:
                case core.Read():
                    found.reads.add(part.cell.name)
                case core.ReadElement():
                    found.reads.add(part.array.name)
                case core.Load():
                    found.add(self.space(part.space))
                    found.loads = True
                    found.reads.add(physical(part.space).name)
                    found.ordered |= physical(part.space).name in self._ordered
                case core.Field():
                    found.fields.add(part.name)
                    if part.name == "next":
                        found.reads.add(self.isa.counter.name)
                case core.CallFunction():
                    found.add(self.function(part.function))
                case core.CallExtern():
                    found.externs.add(part.name)
        self._expressions[id(e)] = e, found
        return found

    def space(self, space: Space) -> Facts:
        """What an access does besides reaching the cells: the translations and bases on the way."""
        if space not in self._spaces:
            found = Facts()
            if space.base is not None:
                found.reads.add(space.base.name)
            elif space.translation is not None:
                found.add(self.function(space.translation))
            if space.onto is not None:
                found.add(self.space(space.onto))
            self._spaces[space] = found
        return self._spaces[space]

    def writers(self) -> Writers:
        """Who may write what."""
        found = Writers()
        for number, form in enumerate(self.isa.forms):
            facts = self.body(form.body)
            for name in facts.writes:
                found.forms.setdefault(name, []).append(number)
            if facts.executes:
                found.executing.append(number)
        for number, trap in enumerate(self.isa.traps.values()):
            for name in self.function(trap.delivery).writes if trap.delivery is not None else ():
                found.deliveries.setdefault(name, []).append(number)
        return found

    # ---- in what order -------------------------------------------------------------

    def needs_journal(self, body: list[Stmt]) -> bool:
        """Whether a trap that takes back effects may come after a write."""
        return _Order(self, False).block(body, False)[0]

    def writes_before_execute(self, body: list[Stmt]) -> bool:
        found = self.body(body)
        return found.executes and bool(found.writes)

    def conflicts(self, function: Function, after: bool, every: bool) -> bool:
        """Whether something a function changes may have to be taken back; with ``every`` by any trap, as in deliveries."""
        return bool(self.function(function).writes) and (after or self._orders[every].called(function, False)[0])


class _Order:
    """In which order code writes and traps. ``every``: all traps take back effects, whatever their endings."""

    def __init__(self, analysis: Analysis, every: bool):
        self.analysis, self.every = analysis, every
        self._order: dict[tuple[Function, bool], tuple[bool, bool]] = {}

    def hazard(self, facts: Facts) -> bool:
        return facts.traps if self.every else facts.undoes

    def called(self, function: Function, written: bool) -> tuple[bool, bool]:
        key = function, written
        if key not in self._order:
            self._order[key] = self.block(function.body, written)
        return self._order[key]

    def block(self, body: list[Stmt], written: bool) -> tuple[bool, bool]:
        """(whether it may go wrong, whether something may have been written in the end)."""
        wrong = False
        for s in body:
            for e in expressions(s):
                bad, written = self.evaluated(e, written)
                wrong |= bad
            match s:
                case core.Write() | core.WriteElement():
                    written |= getattr(s, "cell", None) is not self.analysis.isa.counter
                case core.Store():
                    wrong |= written and self.hazard(self.analysis.space(s.space))
                    written = True
                case core.Raise():
                    wrong |= written and (self.every or not s.trap.keeps_effects)
                case core.Call():
                    bad, written = self.called(s.function, written)
                    wrong |= bad
                case core.If():
                    left, one = self.block(s.then, written)
                    right, two = self.block(s.other, written)
                    wrong, written = wrong or left or right, one or two
                case core.Loop():
                    for _ in range(2):
                        if s.condition is not None:
                            bad, written = self.evaluated(s.condition, written)
                            wrong |= bad
                        bad, inside = self.block(s.body, written)
                        wrong, written = wrong or bad, written or inside
        return wrong, written

    def evaluated(self, e: Expr, written: bool) -> tuple[bool, bool]:
        found = self.analysis.expression(e)
        if not found.writes:
            return written and self.hazard(found), written
        wrong = False
        for part in core.operands(e):
            bad, written = self.evaluated(part, written)
            wrong |= bad
        if isinstance(e, core.Load):
            wrong |= written and self.hazard(self.analysis.space(e.space))
            written |= bool(self.analysis.space(e.space).writes)
        elif isinstance(e, core.CallFunction):
            bad, written = self.called(e.function, written)
            wrong |= bad
        return wrong, written


def physical(space: Space) -> Space:
    """The space that holds what is seen in ``space``."""
    while space.onto is not None:
        space = space.onto
    return space
