"""Whether the invariants of a description are preserved: by every instruction, every delivery, every interrupt.

What a body does last it often leaves to a procedure that others call, too: all exceptions of the x86 end in one way of delivery.
Such a procedure is decided once, from any legal state and with any arguments: it *keeps* the invariants. A body that ends in a call
of it then has to be legal only where it calls. Where that cannot be shown, the body is decided as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from checker import model as report
from checker.definitions import Definitions, Question
from checker.deliveries import delivery_form, interrupt_form
from checker.footprint import Footprints
from checker.obligations import Asker, Pending
from checker.states import States
from checker.steps import Start, Step
from checker.term import Term
from isa_specs import core
from isa_specs.diagnostics import NOWHERE
from isa_specs.walk import expressions, statements, subexpressions

# Stands where a procedure that keeps the invariants is called: the body has done its part, and what it has done by then counts.
KEPT = core.Trap("kept", (), "call", "complete", "a procedure that keeps the invariants", None, NOWHERE)
Pattern = tuple[bool, ...]  # which arguments are constants
Key = tuple[core.Function, Pattern]


@dataclass
class Ending:
    """A procedure as bodies call it: ``constants`` are the values they give to each parameter, None where it may be any."""

    constants: list[dict[int, None] | None]
    callers: int = 0


@dataclass
class Keeping:
    """One body or procedure: the conditions it touches, and whether it violates one, without the procedures it ``rests_on``.

    ``whole`` asks the same of all of it."""

    touched: list[core.Expr]
    pending: Pending
    rests_on: list[Keeping]
    whole: Callable[[], Pending]

    def complete(self) -> None:
        """Wait for the parts; have the whole decided where they do not do."""
        if self.rests_on and not (self.pending.verdict == "unsat" and all(other.proved for other in self.rests_on)):
            self.pending, self.rests_on = self.whole(), []

    @property
    def proved(self) -> bool:
        self.complete()
        return self.pending.verdict == "unsat"


class Invariants:
    """The invariants of one description. Questions are asked at once, answers waited for in :meth:`verdicts`."""

    def __init__(self, states: States, asker: Asker, footprints: Footprints, forms: Sequence[core.Form]):
        self.states, self.asker, self.footprints, self.terms = states, asker, footprints, states.terms
        isa = states.isa
        self.support = [(condition, footprints.expression(condition).reads) for _, condition in isa.invariants]
        self.looked_at = set().union(*(reads for _, reads in self.support))
        deliveries = [delivery_form(trap) for trap in isa.traps.values() if trap.delivery is not None]
        bodies = [*forms, *deliveries, *map(interrupt_form, isa.interrupts.values())]
        self.bodies = [form for form in bodies if footprints.form(form).writes & self.looked_at]
        self.endings: dict[Key, Ending] = {}
        if isa.counter.name not in self.looked_at:  # which is neither here nor there in the middle of an instruction
            self.find_endings([form.body for form in self.bodies])
        self.kept: dict[Key, Keeping] = {}
        self.asked = [(form, self.ask(form)) for form in self.bodies]

    # ---- endings ---------------------------------------------------------------------------------

    def find_endings(self, waiting: list[list[core.Stmt]]) -> None:
        """All procedures in which bodies end, those of these procedures included, and how many end in each."""
        while waiting:
            body = waiting.pop()
            for call in self.calls(body):
                key = self.key(call)
                if key not in self.endings:
                    self.endings[key] = Ending([{} if constant else None for constant in key[1]])
                    waiting.append(call.function.body)
                ending = self.endings[key]
                ending.callers += 1
                for constants, arg in zip(ending.constants, call.args, strict=True):
                    if constants is not None and isinstance(arg, core.Const):
                        constants.setdefault(arg.value)

    def key(self, call: core.Call) -> Key:
        return call.function, tuple(isinstance(arg, core.Const) for arg in call.args)

    def touches(self, statement: core.Stmt) -> bool:
        return bool(self.footprints.block([statement]).writes & self.looked_at)

    def last(self, body: list[core.Stmt]) -> int | None:
        """Where the statement is that touches what invariants look at and after which none does."""
        return next((at for at in range(len(body) - 1, -1, -1) if self.touches(body[at])), None)

    def calls(self, body: list[core.Stmt]) -> Iterator[core.Call]:
        """The calls with which a body ends, as far as invariants are concerned. What checks nothing is no procedure that keeps them."""
        at = self.last(body)
        last = None if at is None else body[at]
        if isinstance(last, core.Call) and self.footprints.function(last.function).traps:
            yield last
        elif isinstance(last, core.If):
            yield from self.calls(last.then)
            yield from self.calls(last.other)

    def ended(self, body: list[core.Stmt], left_out: list[core.Call]) -> list[core.Stmt]:
        """The body with a trap in place of some of its :meth:`calls`."""
        at = self.last(body)
        if at is None:
            return body
        last = body[at]
        if isinstance(last, core.If):
            last = core.If(last.condition, self.ended(last.then, left_out), self.ended(last.other, left_out), last.span)
        elif last in left_out:
            last = core.Raise(KEPT, (), last.span)
        return [*body[:at], last, *body[at + 1 :]]

    # ---- questions -------------------------------------------------------------------------------

    def cut(self, body: list[core.Stmt]) -> tuple[list[core.Stmt], list[Keeping]]:
        """A body without the procedures it ends in and others end in, too, and the decisions about these."""
        shared = [call for call in self.calls(body) if (ending := self.endings.get(self.key(call))) is not None and ending.callers > 1]
        if not shared:
            return body, []
        return self.ended(body, shared), [self.keep(key) for key in dict.fromkeys(map(self.key, shared))]

    def touched(self, writes: set[str]) -> list[core.Expr]:
        return [condition for condition, reads in self.support if writes & reads]

    def ask(self, form: core.Form) -> Keeping:
        """Does a form, a delivery or an interrupt preserve what it touches?"""
        touched = self.touched(self.footprints.form(form).writes)

        def whole() -> Pending:
            return self.asker.ask(Definitions(self.states, form).breaks_invariant(touched))

        body, rests_on = self.cut(form.body)
        if not rests_on:
            return Keeping(touched, whole(), rests_on, whole)
        define, start = Definitions(self.states, replace(form, body=body)), self.states.free()
        step = define.step(start)
        conditions = [*define.sound(start, step), self.violated(start, step, define.completes(step), touched)]
        return Keeping(touched, self.asker.ask(define.question("invariant", False, conditions, ("state", step))), rests_on, whole)

    def keep(self, key: Key) -> Keeping:
        """Does a procedure, from any legal state and with any of the arguments it may be given?"""
        if key not in self.kept:
            t, function, constants = self.terms, key[0], self.endings[key].constants
            touched = self.touched(self.footprints.function(function).writes)
            args = tuple([t.var(f"argument.{name}", width) for name, width in function.params])
            given = [
                t.any([t.eq(arg, t.const(arg.width, value)) for value in values])
                for arg, values in zip(args, constants, strict=True) if values is not None
            ]
            fields = {name: t.var(f"field.{name}", width) for name, width in sorted(fields_of(function))}
            start = self.states.free()

            def asked(body: list[core.Stmt]) -> Pending:
                step, _ = self.states.symbolic.call(replace(function, body=body), start, args, fields)
                assert step.completes is not None
                violated = self.violated(start, step, step.completes, touched)
                conditions = [self.states.legal(start), *given, violated]
                return self.asker.ask(Question("invariant", conditions, (("state", step),), fields, False))

            body, rests_on = self.cut(function.body)
            self.kept[key] = Keeping(touched, asked(body), rests_on, lambda: asked(function.body))
        return self.kept[key]

    def violated(self, start: Start, step: Step, completes: Term, touched: list[core.Expr]) -> Term:
        """Whether one of the conditions does not hold at the end, or where a procedure is called that rests on them."""
        t = self.terms
        left = [(completes, Start(step.after))]
        for trapping in step.traps:
            if trapping.trap is KEPT:
                assert trapping.state is not None
                left.append((trapping.condition, Start(Step(start, written=trapping.state).after)))
        return t.any([t.both(there, self.states.violated(start, state, touched)) for there, state in left])

    # ---- answers ---------------------------------------------------------------------------------

    def complete(self) -> None:
        """Have procedures decided as they stand where that they end in others does not do, while there is something else to wait for."""
        for keeping in self.kept.values():  # those they end in come first
            keeping.complete()

    def verdicts(self) -> tuple[list[report.Invariant], list[report.Unknown]]:
        """Invariant by invariant, and what could not be decided."""
        found: dict[int, tuple[str, str]] = {id(condition): ("proved", "") for _, condition in self.states.isa.invariants}
        unknown: list[report.Unknown] = []
        for form, keeping in self.asked:
            for condition in () if keeping.proved else keeping.touched:  # which of them?
                one = self.asker.ask(Definitions(self.states, form).breaks_invariant([condition]))
                if one.verdict == "sat" and found[id(condition)][0] != "refuted":
                    found[id(condition)] = "refuted", form.instruction
                elif one.verdict == "unknown" and found[id(condition)][0] == "proved":
                    found[id(condition)] = "unknown", form.instruction
                    unknown.append(report.Unknown(what=f"an invariant after {form.instruction}", reason=one.answer.reason))
        out = []
        for text, condition in self.states.isa.invariants:
            verdict, culprit = found[id(condition)]
            out.append(report.Invariant(text=text, verdict=verdict, instruction=culprit))  # type: ignore[arg-type]
        return out, unknown


def fields_of(function: core.Function) -> set[tuple[str, int]]:
    """The fields of the instruction, with their widths, that a procedure looks at, or one that it calls."""
    found: set[tuple[str, int]] = set()
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        looked = waiting.pop()
        if id(looked) in seen:
            continue
        seen.add(id(looked))
        for statement in statements(looked.body):
            if isinstance(statement, core.Call):
                waiting.append(statement.function)
            for root in expressions(statement):
                for part in subexpressions(root):
                    if isinstance(part, core.Field):
                        found.add((part.name, part.width))
                    elif isinstance(part, core.CallFunction):
                        waiting.append(part.function)
    return found
