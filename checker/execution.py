"""One symbolic run of a body: statement by statement over the state so far, both ways where a condition is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from checker.facts import Facts
from checker.regions import OUTSIDE
from checker.steps import Start, Step, Trapping, elsewhere
from checker.term import Term
from checker.terms import Terms
from isa_specs import core
from isa_specs.expressions import ILEN_WIDTH

if TYPE_CHECKING:
    from checker.symbolic import Symbolic

MOVED = "@moved "  # whether a component has been assigned: the counter, or the base of a table

_ENDED = object()  # what a block returns when every path through it traps or executes


class Run:
    """One run of a body: the state so far as written components over the start."""

    def __init__(self, owner: Symbolic, start: Start, fields: dict[str, Term], label: str):
        self.owner = owner
        self.terms: Terms = owner.terms
        self.isa: core.Isa = owner.isa
        self.start = start
        self.fields: dict[str, Term] = fields
        self.step = Step(start, label=label)
        self.state: dict[str, Term] = dict.fromkeys(owner.bases, self.terms.false)
        self.live = self.terms.true  # nothing has trapped so far
        self.path = self.terms.true  # condition of the branch being run
        self.trail: list[object] = [label]
        self.facts = Facts()
        self.region: str = ""
        self.like: Step | None = None

    # ---- whole bodies -------------------------------------------------------------------------

    def instruction(self, block: list[core.Stmt]) -> Step:
        t, counter = self.terms, self.isa.counter
        here = self.start[counter.name]
        self.fields["next"] = t.add(here, t.extend(self.fields["ilen"], counter.width, False)) if counter.width >= ILEN_WIDTH else here
        self.state[MOVED + counter.name] = t.false
        self.block(block, {})
        return self.finish()

    def body(self, block: list[core.Stmt], env: dict[str, Term]) -> Step:
        self.block(block, env)
        return self.finish()

    def finish(self) -> Step:
        self.step.completes = self.live
        self.step.written = self.left()
        return self.step

    def left(self) -> dict[str, Term]:
        """What has been written so far; an instruction that did not assign the counter goes on at ``next``."""
        name = self.isa.counter.name
        written = {key: value for key, value in self.state.items() if not key.startswith(MOVED)}
        moved = self.state.get(MOVED + name)
        if moved is not None:
            written[name] = self.terms.ite(moved, written.get(name, self.start[name]), self.fields["next"])
        return written

    # ---- statements --------------------------------------------------------------------------------

    def block(self, block: list[core.Stmt], env: dict[str, Term]) -> object:
        """Run statements; returns the value returned, None, or _ENDED."""
        for statement in block:
            result = self.statement(statement, env)
            if result is not None:
                return result
        return None

    def statement(self, s: core.Stmt, env: dict[str, Term]) -> object:
        t = self.terms
        if isinstance(s, core.SetLocal):
            env[s.name] = self.expr(s.value, env)
        elif isinstance(s, core.Write):
            self.state[s.cell.name] = self.expr(s.value, env)
            if MOVED + s.cell.name in self.state:
                self.state[MOVED + s.cell.name] = t.true
        elif isinstance(s, core.WriteElement):
            index, value = self.expr(s.index, env), self.expr(s.value, env)
            self.state[s.array.name] = t.store(self.get(s.array.name), index, value)
        elif isinstance(s, core.Store):
            self.write_space(s.space, self.expr(s.address, env), self.expr(s.value, env))
        elif isinstance(s, core.If):
            return self.branch(s, env)
        elif isinstance(s, core.Loop):
            return self.loop(s, env)
        elif isinstance(s, core.Raise):
            args = tuple(self.expr(arg, env) for arg in s.args)
            return self.raise_(s.trap, args)
        elif isinstance(s, core.Call):
            return self.call(s.function, s.args, env, s)[1]
        elif isinstance(s, core.Return):
            return self.expr(s.value, env) if s.value is not None else _RETURNED
        elif isinstance(s, core.Execute):
            condition = t.both(self.live, self.path)
            self.step.execute.append((condition, self.expr(s.value, env)))
            return _ENDED
        else:
            assert isinstance(s, core.Mark)
            condition = self.expr(s.condition, env)
            holds = t.both(self.path, condition)
            if s.label == self.region or self.region == OUTSIDE:
                self.step.regions[s.label] = condition
                if self.like is None or self.like.regions.get(s.label) is condition:
                    self.facts = self.facts.with_(condition, s.label == self.region)
            self.step.marks[s.label] = t.either(self.step.marks.get(s.label, t.false), holds)
        return None

    def raise_(self, trap: core.Trap, args: tuple[Term, ...]) -> object:
        t = self.terms
        condition = t.both(self.live, self.path)
        if condition is not t.false:
            kept = None
            if trap.keeps_effects:
                kept = self.left()
                if trap.ending != "complete" or MOVED + self.isa.counter.name not in self.state:
                    kept.pop(self.isa.counter.name, None)
            self.step.traps.append(Trapping(condition, trap, args, trap.kind, kept))
        self.live = t.both(self.live, t.negate(self.path))
        return _ENDED

    def branch(self, s: core.If, env: dict[str, Term]) -> object:
        t = self.terms
        condition = self.expr(s.condition, env)
        decided = self.facts.decide(condition)
        if decided is not None:
            return self.block(s.then if decided else s.other, env)
        outer_path, before, env_before = self.path, self.state, dict(env)
        facts = self.facts
        self.facts = facts.with_(condition, True)
        self.path, self.state = t.both(outer_path, condition), dict(before)
        live_before = self.live
        a = self.block(s.then, env)
        state_a, env_a, live_a = self.state, dict(env), self.live
        env.clear()
        env.update(env_before)
        self.path, self.state, self.live = t.both(outer_path, t.negate(condition)), dict(before), live_before
        self.facts = facts.with_(condition, False)
        b = self.block(s.other, env)
        self.path = outer_path
        # After `if c: trap` the rest runs under not c.
        self.facts = facts.with_(condition, False) if a is _ENDED else facts.with_(condition, True) if b is _ENDED else facts
        self.live = t.both(live_a, self.live) if live_a is not self.live else live_a
        if a is _ENDED:
            return b
        if b is _ENDED:
            self.state = state_a
            env.clear()
            env.update(env_a)
            return a
        self.state = self.merge(condition, state_a, self.state)
        for name in env_before:
            if env_a[name] is not env[name]:
                env[name] = t.ite(condition, env_a[name], env[name])
        if isinstance(a, Term) and isinstance(b, Term):
            return t.ite(condition, a, b)
        return a if a is not None else b

    def merge(self, condition: Term, then: dict[str, Term], other: dict[str, Term]) -> dict[str, Term]:
        if then == other:  # terms are equal when they are one object
            return then
        t, out = self.terms, {}
        for name in {**then, **other}:
            a = then.get(name) or self.start[name]
            b = other.get(name) or self.start[name]
            out[name] = a if a is b else t.ite(condition, a, b)
        return out

    def loop(self, s: core.Loop, env: dict[str, Term]) -> object:
        """Unrolled. A round that may not happen is a branch around its body."""
        t = self.terms
        active = t.true
        outer_path = self.path
        for i in range(s.first, s.last + 1):
            self.trail.append(i)
            env[s.local] = t.const(s.width, i)
            if s.condition is not None:
                active = t.both(active, self.expr(s.condition, env))
                if active is t.false:
                    self.trail.pop()
                    break
            before, env_before = self.state, dict(env)
            self.path, self.state = t.both(outer_path, active), dict(before)
            ended = self.block(s.body, env)
            self.path = outer_path
            if ended is _ENDED:
                if active is t.true:
                    self.trail.pop()
                    return _ENDED
                self.state = before
                env.clear()
                env.update(env_before)
            elif active is not t.true:
                self.state = self.merge(active, self.state, before)
                for name in env_before:
                    if env[name] is not env_before[name]:
                        env[name] = t.ite(active, env[name], env_before[name])
            self.trail.pop()
        return None

    # ---- expressions -----------------------------------------------------------------------------------

    def get(self, name: str) -> Term:
        return self.state.get(name) or self.start[name]

    def expr(self, e: core.Expr, env: dict[str, Term]) -> Term:
        return _READINGS[type(e)](self, e, env)

    def exprs(self, several: Sequence[core.Expr], env: dict[str, Term]) -> list[Term]:
        return [_READINGS[type(e)](self, e, env) for e in several]

    def called(self, e: core.CallFunction, env: dict[str, Term]) -> Term:
        result = self.call(e.function, e.args, env, e)[0]
        return result if isinstance(result, Term) else self.terms.const(e.width, 0)

    def choice(self, e: core.Choice, env: dict[str, Term]) -> Term:
        t = self.terms
        condition = self.expr(e.condition, env)
        decided = self.facts.decide(condition)
        if decided is not None:
            return self.expr(e.then if decided else e.other, env)
        outer, before, live = self.path, self.state, self.live
        self.path, self.state = t.both(outer, condition), dict(before)
        a = self.expr(e.then, env)
        state_a, live_a = self.state, self.live
        self.path, self.state, self.live = t.both(outer, t.negate(condition)), dict(before), live
        b = self.expr(e.other, env)
        self.path = outer
        self.live = t.both(live_a, self.live) if live_a is not self.live else live_a
        self.state = self.merge(condition, state_a, self.state)
        return t.ite(condition, a, b)

    def call(self, function: core.Function, args: tuple[core.Expr, ...], env: dict[str, Term], site: object) -> tuple[object, object]:
        """(value, ended): the result of a function, and _ENDED when every path through it traps."""
        inner = {name: value for (name, _), value in zip(function.params, self.exprs(args, env), strict=True)}
        self.trail.append(id(site))
        result = self.block(function.body, inner)
        self.trail.pop()
        return (result, _ENDED) if result is _ENDED else (result, None)

    # ---- spaces ------------------------------------------------------------------------------------------

    def read_space(self, space: core.Space, address: Term, width: int) -> Term:
        t, moved = self.terms, self.moved(space)
        value = self.cells(self.get(space.view.name), space, address, width)
        return value if moved is t.false else t.ite(moved, self.cells(self.get(elsewhere(space)), space, address, width), value)

    def cells(self, memory: Term, space: core.Space, address: Term, width: int) -> Term:
        t, count = self.terms, width // space.cell_width
        if count == 1:
            return t.select(memory, address)
        cells = [t.select(memory, t.add(address, t.const(space.address_width, k))) for k in range(count)]
        return t.concat(cells[::-1] if self.isa.little else cells)

    def moved(self, space: core.Space) -> Term:
        """Whether the space is a table whose base has been assigned: what is there now need not be what was there before."""
        if space.base is None or (moved := self.state[MOVED + space.base.name]) is self.terms.false:
            return self.terms.false
        self.step.moved[space.base.name] = space
        return moved

    def write_space(self, space: core.Space, address: Term, value: Term) -> None:
        t, moved = self.terms, self.moved(space)
        if moved is not t.true:
            self.store(space.view.name, space, address, value, t.negate(moved))
        if moved is not t.false:
            self.store(elsewhere(space), space, address, value, moved)

    def store(self, name: str, space: core.Space, address: Term, value: Term, when: Term) -> None:
        t, memory = self.terms, self.get(name)
        size = space.cell_width
        count = value.width // size
        for k in range(count):
            low = (k if self.isa.little else count - 1 - k) * size
            at = address if count == 1 else t.add(address, t.const(space.address_width, k))
            memory = t.store(memory, at, t.extract(value, low + size - 1, low))
        self.state[name] = t.ite(when, memory, self.get(name))


_RETURNED = object()

# One line for each kind of expression.
_READINGS: dict[type, Callable[[Run, Any, dict[str, Term]], Term]] = {
    core.Const: lambda run, e, env: run.terms.const(e.width, e.value),
    core.Local: lambda run, e, env: env[e.name],
    core.Read: lambda run, e, env: run.get(e.cell.name),
    core.Field: lambda run, e, env: run.fields[e.name],
    core.Apply: lambda run, e, env: run.terms.apply(e.op, tuple(run.exprs(e.args, env))),
    core.Extract: lambda run, e, env: run.terms.extract(run.expr(e.arg, env), e.high, e.low),
    core.Extend: lambda run, e, env: run.terms.extend(run.expr(e.arg, env), e.width, e.signed),
    core.Concat: lambda run, e, env: run.terms.concat(run.exprs(e.parts, env)),
    core.Choice: lambda run, e, env: run.choice(e, env),
    core.ReadElement: lambda run, e, env: run.terms.select(run.get(e.array.name), run.expr(e.index, env)),
    core.Load: lambda run, e, env: run.read_space(e.space, run.expr(e.address, env), e.width),
    core.CallFunction: lambda run, e, env: run.called(e, env),
    core.CallExtern: lambda run, e, env: run.terms.call(e.name, tuple(run.exprs(e.args, env)), e.width),
    core.Undefined: lambda run, e, env: run.owner.undefined((*run.trail, id(e)), e.width),
}
