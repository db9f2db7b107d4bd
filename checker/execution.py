"""One symbolic run of a body: statement by statement over the state so far, both ways where a condition is open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from checker.code import ENDED, Deed, Locals, Value
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


class Run:
    """One run of a body: the state so far as written components over the start.

    ``state`` is never changed, only replaced: who keeps it keeps what it was."""

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
        self.goal: core.Mark | None = None  # the statement that marks the region, if there is only one
        self.like: Step | None = None

    # ---- whole bodies -------------------------------------------------------------------------

    def instruction(self, body: Deed) -> Step:
        t, counter = self.terms, self.isa.counter
        here = self.before(counter.name)
        self.fields["next"] = t.add(here, t.extend(self.fields["ilen"], counter.width, False)) if counter.width >= ILEN_WIDTH else here
        self.state = {**self.state, MOVED + counter.name: t.false}
        return self.body(body, {})

    def body(self, body: Deed, env: Locals) -> Step:
        body(self, env)
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
            written[name] = self.terms.ite(moved, written.get(name) or self.before(name), self.fields["next"])
        return written

    # ---- statements --------------------------------------------------------------------------------

    def get(self, name: str) -> Term:
        return self.state.get(name) or self.before(name)

    def before(self, name: str) -> Term:
        """A component of the start."""
        found = self.step.looked_at.get(name)
        if found is None:
            found = self.step.looked_at[name] = self.start[name]
        return found

    def write(self, name: str, value: Term) -> None:
        self.state = {**self.state, name: value}
        if MOVED + name in self.state:
            self.state[MOVED + name] = self.terms.true

    def write_element(self, name: str, index: Term, value: Term) -> None:
        self.write(name, self.terms.store(self.get(name), index, value))

    def mark(self, label: str, condition: Term) -> None:
        """The region ``label`` is where ``condition`` holds."""
        t = self.terms
        if label == self.region or self.region == OUTSIDE:
            self.assume(label, condition, label == self.region)
        self.step.marks[label] = t.either(self.step.marks.get(label, t.false), t.both(self.path, condition))

    def approach(self, branch: core.If, condition: Term, holds: bool) -> None:
        """The goal is on one side of a branch."""
        if self.facts.decide(condition) is None and self.assume(branch, condition, holds):
            self.path = self.terms.both(self.path, condition if holds else self.terms.negate(condition))

    def assume(self, place: object, condition: Term, holds: bool) -> bool:
        """Take a condition to hold, or not to, for being in the region; whether so."""
        self.step.assumed[place] = condition
        if self.like is not None and self.like.assumed.get(place) is not condition:
            return False
        self.facts = self.facts.with_(condition, holds)
        return True

    def execute(self, value: Term) -> object:
        """Another instruction is carried out in place of this one."""
        self.step.execute.append((self.terms.both(self.live, self.path), value))
        return ENDED

    def trap(self, trap: core.Trap, args: tuple[Term, ...]) -> object:
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
        return ENDED

    def branch(self, condition: Term, then: Deed, other: Deed, env: Locals, assigned: Iterable[str] = ()) -> Any:
        """Both ways, unless it is known which one is taken. ``assigned`` are the locals that may be assigned."""
        decided = self.facts.decide(condition)
        if decided is not None:
            return (then if decided else other)(self, env)
        t, path, state, live, facts = self.terms, self.path, self.state, self.live, self.facts
        before = {name: env[name] for name in assigned if name in env}
        yes, no = facts.with_(condition, True), facts.with_(condition, False)
        self.path, self.facts = t.both(path, condition), yes
        a = then(self, env)
        state_a, live_a = self.state, self.live
        env_a = {name: env[name] for name in before}
        env.update(before)
        self.path, self.state, self.live, self.facts = t.both(path, t.negate(condition)), state, live, no
        b = other(self, env)
        # After `if c: trap` the rest runs under not c.
        self.path, self.facts = path, no if a is ENDED else yes if b is ENDED else facts
        self.live = t.both(live_a, self.live) if live_a is not self.live else live_a
        if a is ENDED:
            return b
        if b is ENDED:
            self.state = state_a
            env.update(env_a)
            return a
        self.state = self.merge(condition, state_a, self.state)
        for name, value in env_a.items():
            env[name] = t.ite(condition, value, env[name])
        if isinstance(a, Term) and isinstance(b, Term):
            return t.ite(condition, a, b)
        return a if a is not None else b

    def merge(self, condition: Term, then: dict[str, Term], other: dict[str, Term]) -> dict[str, Term]:
        if then is other:
            return then
        ite, merged = self.terms.ite, dict(then)
        for name, b in other.items():
            a = then.get(name)
            if a is not b:
                merged[name] = ite(condition, a or self.before(name), b)
        if len(merged) > len(other):
            merged.update((name, ite(condition, a, self.before(name))) for name, a in then.items() if name not in other)
        return merged

    def loop(
        self, name: str, rounds: Iterable[tuple[int, Term]], condition: Value, body: Deed, env: Locals, assigned: Iterable[str]
    ) -> object:
        """Unrolled. A round that may not happen is a branch around its body."""
        t, path, active = self.terms, self.path, self.terms.true
        for number, term in rounds:
            self.trail.append(number)
            env[name] = term
            active = t.both(active, condition(self, env))
            if active is t.false:
                self.trail.pop()
                break
            state, facts, before = self.state, self.facts, {local: env[local] for local in assigned if local in env}
            self.path = t.both(path, active)
            ended = body(self, env)
            self.path = path
            self.trail.pop()
            if ended is ENDED:
                if active is t.true:
                    return ENDED
                self.state, self.facts = state, facts
                env.update(before)
            elif active is not t.true:
                self.state, self.facts = self.merge(active, self.state, state), facts
                for local, value in before.items():
                    env[local] = t.ite(active, env[local], value)
        return None

    def undefined(self, place: int, width: int) -> Term:
        return self.owner.undefined((*self.trail, place), width)

    # ---- spaces ------------------------------------------------------------------------------------------

    def read_space(self, space: core.Space, address: Term, width: int) -> Term:
        t, moved = self.terms, self.moved(space)
        value = t.load(self.get(space.view.name), address, width, self.isa.little)
        return value if moved is t.false else t.ite(moved, t.load(self.get(elsewhere(space)), address, width, self.isa.little), value)

    def moved(self, space: core.Space) -> Term:
        """Whether the space is a table whose base has been assigned: what is there now need not be what was there before."""
        if space.base is None or (moved := self.state[MOVED + space.base.name]) is self.terms.false:
            return self.terms.false
        self.step.moved[space.base.name] = space
        return moved

    def write_space(self, space: core.Space, address: Term, value: Term) -> None:
        t, moved = self.terms, self.moved(space)
        if moved is not t.true:
            self.store(space.view.name, address, value, t.negate(moved))
        if moved is not t.false:
            self.store(elsewhere(space), address, value, moved)

    def store(self, name: str, address: Term, value: Term, when: Term) -> None:
        before = self.get(name)
        self.state = {**self.state, name: self.terms.ite(when, self.terms.put(before, address, value, self.isa.little), before)}
