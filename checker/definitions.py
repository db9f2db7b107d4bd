"""Popek and Goldberg's definitions, one function each (CACM 17(7), 1974, on instruction behavior).

Each returns a :class:`Question`: satisfiable exactly when a witness exists. How the 1974 definitions are read on machines
that have more state than S = <E, M, P, R> is explained in docs/definitions.md; in short: only legal states count,
a transition of trap shape is never by itself sensitive, pairs in which the first state faults on memory are set aside,
and the second state of a pair is one in which a guest really runs: user mode, the profile's controls in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from checker.deliveries import is_delivery
from checker.regions import OUTSIDE
from checker.states import States
from checker.steps import Start, Step
from checker.term import Term
from checker.terms import ALL
from isa_specs import core

MANY = 128  # writes from which on one cell is looked at alone before the others


@dataclass
class Question:
    """``asserted`` all together: is there such a state? ``runs`` are the steps a witness consists of.

    ``more`` gives a larger question where ``asserted`` leaves out the comparison of storage, or of most of it: a witness of the part
    is one of the whole, and the part is much the cheaper to ask."""

    name: str
    asserted: list[Term]
    runs: tuple[tuple[str, Step], ...]
    fields: dict[str, Term]
    restricted: bool
    varied: frozenset[str] = frozenset()
    more: Callable[[], Question] | None = None

    @property
    def whole(self) -> Question:
        """The question with nothing left out."""
        return self if self.more is None else self.more().whole

    @property
    def settled(self) -> bool:
        """Already known to have no witness."""
        return any(term.is_const and not term.data for term in self.asserted)


class Definitions:
    """The definitions applied to one form, optionally within one operand region.

    ``restricted`` asks under the profile's controls, otherwise over all legal states."""

    def __init__(self, states: States, form: core.Form, region: str = ""):
        self.states, self.form, self.region = states, form, region
        self.terms = states.terms
        self.fields = states.symbolic.fields(form)

    # ---- building blocks -----------------------------------------------------------------------

    def step(self, start: Start, like: Step | None = None) -> Step:
        """The step from a start inside the region; from the other start of a pair, ``like`` is the step inside it."""
        return self.states.step(self.form, self.region, start, self.fields, like)

    def sound(self, start: Start, step: Step) -> list[Term]:
        """Legal state, deliverable fields, inside the region."""
        conditions = [self.states.legal(start), self.states.symbolic.sound_fields(self.form, start, self.fields)]
        if self.region == OUTSIDE:
            conditions.append(self.terms.negate(self.terms.any(list(step.marks.values()))))
        elif self.region:
            conditions.append(step.marks.get(self.region, self.terms.false))
        return conditions

    def completes(self, step: Step) -> Term:
        """Neither traps nor hands over to another instruction."""
        assert step.completes is not None
        return self.terms.both(step.completes, self.terms.negate(self.terms.any([c for c, _ in step.execute])))

    def goes_on(self, step: Step) -> Term:
        assert step.completes is not None
        return step.completes

    def question(
        self, name: str, restricted: bool, conditions: list[Term], *runs: tuple[str, Step], varied: frozenset[str] = frozenset()
    ) -> Question:
        return Question(name, conditions, runs, self.fields, restricted, varied)

    def runs(self) -> Question:
        """A legal state of any mode in which the instruction does not trap."""
        start = self.states.free()
        step = self.step(start)
        return self.question("runs", False, [*self.sound(start, step), self.goes_on(step)], ("state", step))

    # ---- privileged ----------------------------------------------------------------------------------

    def runs_in_user_mode(self, restricted: bool) -> Question:
        """Against "privileged": a user state in which the instruction does not trap."""
        start = self.states.allowed() if restricted else self.states.free()
        step = self.step(start)
        conditions = [self.states.mode("user", start), *self.sound(start, step), self.goes_on(step)]
        return self.question("runs in user mode", restricted, conditions, ("user", step))

    def runs_in_supervisor_mode(self) -> Question:
        """For "privileged": a supervisor state in which it completes; one that traps in both modes is not privileged."""
        start = self.states.free()
        step = self.step(start)
        conditions = [self.states.mode("supervisor", start), *self.sound(start, step), self.goes_on(step)]
        return self.question("runs in supervisor mode", False, conditions, ("supervisor", step))

    # ---- control sensitive -----------------------------------------------------------------------------

    def control(self, restricted: bool, *, user_only: bool) -> Question:
        """A state in which it completes and changes mode, relocation or a resource the monitor owns.

        A user state must be one the profile allows when ``restricted``; a supervisor state is any legal one."""
        t, states = self.terms, self.states
        start = states.allowed() if restricted and user_only else states.free()
        step = self.step(start)
        changed = t.any([t.negate(t.same(step.after(name), start[name])) for name in step.written if name in states.control_classes])
        conditions = [*self.sound(start, step), self.completes(step), changed]
        if user_only:
            conditions.append(states.mode("user", start))
        else:
            conditions.append(t.negate(states.mode("user", start)))
        return self.question("control, in user mode" if user_only else "control", restricted, conditions, ("state", step))

    # ---- behaviour sensitive (location, mode), and resource, time, identity ---------------------

    def behaviour(self, kind: str, restricted: bool, *, user: bool | None = True, also: Sequence[str] = ()) -> Question:
        """Two states that differ only in components of class ``kind``, the second not trapping, the first not faulting
        on memory, with different outcomes. The second is a user state, or else (not ``user``) one that is not; None: of any mode.

        With ``also`` they may differ in those classes too: where there is no such pair, there is none for each class alone."""
        t, states = self.terms, self.states
        varied = states.classes[kind].union(*(states.classes[other] for other in also))
        first, second = states.pair(varied, restricted=restricted and user is True)
        mode = t.true if user is None else states.mode("user", second)
        two = self.step(second)
        one = self.step(first, two)
        memory_trap = one.trapped(t, {"memory"})
        conditions = [
            self.goes_on(two),
            t.negate(memory_trap),
            t.negate(mode) if user is False else mode,
            *self.sound(second, two),
            states.legal(first),
        ]
        name = kind if user else f"{kind}, in {'any' if user is None else 'supervisor'} mode"
        made = self.question(name, restricted, conditions, ("virtual", one), ("real", two), varied=varied)
        return self.compare(made, one, two, lambda cells: self.differ(one, two, varied, cells))

    def compare(self, question: Question, one: Step, two: Step, different: Callable[[int], Term]) -> Question:
        """Add the comparison of outcomes to a question: storage only when asked for more, at first one cell where it is many."""
        if question.settled:
            return question
        states = self.states
        storage = [n for n in states.observable(one.written, two.written) if one.after(n).address and one.after(n) is not two.after(n)]
        conditions = list(question.asserted)

        def part(cells: int, *larger: int) -> Question:
            more = (lambda: part(*larger)) if larger else None
            return replace(question, asserted=[*conditions, different(cells)], more=more)

        if not storage:
            return part(ALL)
        written = max(len(self.terms.writes(step.after(name))[1]) for name in storage for step in (one, two))
        return part(0, 1, ALL) if written > MANY else part(0, ALL)

    def differ(self, one: Step, two: Step, varied: frozenset[str], cells: int) -> Term:
        """Whether two outcomes differ, ``two`` not trapping; of each memory in so many ``cells``."""
        t = self.terms
        parts = [one.trapped(t)]
        for name in self.states.observable(one.written, two.written):
            a, b = one.after(name), two.after(name)
            if a.address and not cells:
                continue
            same = t.same_changes(a, b) if a.address and name in varied else t.same(a, b, cells)
            if name in varied:  # differed before: fine if both left it alone
                same = t.either(same, t.both(t.same(a, one.start[name]), t.same(b, two.start[name])))
            parts.append(t.negate(same))
        if one.execute or two.execute:
            parts.append(t.negate(self.same_execute(one, two)))
        return t.any(parts)

    def same_execute(self, one: Step, two: Step) -> Term:
        """Whether both hand over to the same instruction, or neither does."""
        t = self.terms
        a = t.any([condition for condition, _ in one.execute])
        b = t.any([condition for condition, _ in two.execute])
        parts = [t.eq(a, b)]
        for (x, value), (y, other) in zip(one.execute, two.execute, strict=False):
            parts.append(t.either(t.negate(t.both(x, y)), t.eq(value, other)))
        return t.all(parts)

    # ---- what the theorems presuppose ----------------------------------------------------------------------

    def imprecise(self) -> Question:
        """A trap whose ending leaves effects behind though the instruction is to be carried out again: the state the
        monitor finds is not the one the guest was in (in the model of 1974 a trap changes nothing but the PSW)."""
        t = self.terms
        start = self.states.allowed()
        step = self.step(start)
        left = []
        for trap in step.traps:
            if trap.trap.ending == "terminate" and trap.state is not None:
                changed = [t.negate(t.same(value, start[name])) for name, value in trap.state.items()]
                left.append(t.both(trap.condition, t.any(changed)))
        return self.question("imprecise", True, [*self.sound(start, step), self.states.mode("user", start), t.any(left)], ("state", step))

    def depends_on_time(self, restricted: bool) -> Question:
        """Two states that differ only in time, in which it traps in one only or changes what the monitor owns differently:
        a monitor that carries it out would itself depend on time (Theorem 2, condition b)."""
        t, states = self.terms, self.states
        varied = states.classes["time"]
        first, second = states.pair(varied, restricted=restricted)
        two = self.step(second)
        one = self.step(first, two)
        parts = [t.negate(t.eq(one.trapped(t), two.trapped(t)))]
        for name in states.observable(one.written, two.written):
            if name in states.control_classes:
                parts.append(t.negate(t.same(one.after(name), two.after(name))))
        conditions = [*self.sound(second, two), states.legal(first), t.any(parts)]
        return self.question("depends on time", restricted, conditions, ("virtual", one), ("real", two), varied=varied)

    # ---- the VM map: f(i(v)) = i(f(v)) ---------------------------------------------------------

    def square(self) -> Question:
        """A virtual state from which the real machine neither reaches the monitor nor arrives at f of where the
        virtual machine arrives, or arrives there with the monitor's record out of date."""
        t, states = self.terms, self.states
        virtual = states.free()
        real = states.real(virtual)
        v = self.step(virtual)
        r = self.step(real, v)
        conditions = [
            *self.sound(virtual, v),
            states.legal(real),
            states.assumed(virtual),
            t.negate(r.trapped(t, states.monitor.traps)),
        ]
        if is_delivery(self.form):  # a delivery that leaves the guest's mode has reached the monitor
            conditions.append(states.inside(Start(r.after)))
        made = self.question("square", True, conditions, ("virtual", v), ("real", r))
        return self.compare(made, v, r, lambda cells: self.broken(v, r, virtual, real, cells))

    def broken(self, v: Step, r: Step, virtual: Start, real: Start, cells: int) -> Term:
        """Whether the square does not commute; as far as that shows in so many ``cells`` of each memory and elsewhere."""
        t = self.terms
        both = t.both(self.goes_on(v), self.goes_on(r))
        agree = [t.either(t.negate(both), self.related(v, r, virtual, real, cells))]
        if v.execute or r.execute:
            agree.append(self.same_execute(v, r))
        agree.append(t.either(both, self.same_trap(v, r, virtual, real, cells)))
        return t.negate(t.all(agree))

    def related(self, v: Step, r: Step, virtual: Start, real: Start, cells: int) -> Term:
        """The state after on the real machine is f of the one on the virtual machine, and the record holds."""
        t, states = self.terms, self.states
        parts = []
        after = Start(v.after)
        for name in states.observable(v.written, r.written, states.following(v.written)):
            keep = states.owned.get(name)
            if v.after(name).address and not cells:
                continue
            if keep is None:
                parts.append(t.same(v.after(name), r.after(name), cells))
                continue
            if name in states.copies:
                parts += [t.same(v.after(name), r.after(copy.name)) for copy in states.copies[name]]
            else:
                parts.append(t.same(v.after(name), virtual[name]))
            expected = states.symbolic.expr(keep.value, after) if keep.how == "map" and keep.value is not None else real[name]
            parts.append(t.same(r.after(name), expected))
        return t.all(parts)

    def same_trap(self, v: Step, r: Step, virtual: Start, real: Start, cells: int) -> Term:
        """Both trap alike, for traps the machine delivers to the guest itself."""
        t = self.terms
        parts = []
        for b in r.traps:
            if b.kind in self.states.monitor.traps:
                continue
            alike = []
            for a in v.traps:
                if a.trap is not b.trap:
                    continue
                same = t.all([t.eq(x, y) for x, y in zip(a.args, b.args, strict=True)])
                if a.state is not None and b.state is not None:
                    left, right = Step(virtual, written=a.state), Step(real, written=b.state)
                    same = t.both(same, self.related(left, right, virtual, real, cells))
                alike.append(t.both(a.condition, same))
            parts.append(t.both(b.condition, t.any(alike)))
        return t.any(parts)

    # ---- invariants ------------------------------------------------------------------------------------------

    def breaks_invariant(self, invariants: list[core.Expr]) -> Question:
        """A legal state the instruction takes to one that violates one of ``invariants``."""
        start = self.states.free()
        step = self.step(start)
        conditions = [*self.sound(start, step), self.completes(step), self.states.violated(start, Start(step.after), invariants)]
        return self.question("invariant", False, conditions, ("state", step))
