"""A monitor profile as the checker sees it: squares, swaps at entry and exit, deliveries, exits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from checker.controls import SquareChecker, Squares
from checker.definitions import Definitions, Question
from checker.deliveries import delivery_form
from checker.footprint import Footprints
from checker.obligations import Asker
from checker.solve import Solver
from checker.states import States
from checker.steps import Start, Step
from checker.term import Term
from checker.terms import Terms
from isa_specs import core

Ask = Callable[[list[str]], Question]


@dataclass
class NotSwapped:
    """A component the profile says hardware swaps, and the instruction or trap that does not."""

    component: str
    saved_in: str
    culprit: str


class Profile:
    """Everything decided about one profile."""

    def __init__(self, terms: Terms, isa: core.Isa, monitor: core.Monitor, solver: Solver, footprints: Footprints):
        self.terms, self.isa, self.monitor, self.solver, self.footprints = terms, isa, monitor, solver, footprints
        self.not_swapped: list[NotSwapped] = []
        self.not_left: list[str] = []

    def check(self, forms: list[core.Form]) -> Squares:
        """The squares, with every component hardware does not really swap counted as the host's."""
        self.monitor = self.honest(self.monitor)
        states = States(self.terms, self.isa, self.monitor, {})
        deliveries = [
            delivery_form(trap) for trap in self.isa.traps.values() if trap.delivery is not None and trap.kind not in self.monitor.traps
        ]
        found = SquareChecker(states, self.solver, self.footprints).check([*forms, *deliveries])
        found.states = States(self.terms, self.isa, self.monitor, found.controls)
        return found

    # ---- what hardware swaps ----------------------------------------------------------------------

    def honest(self, monitor: core.Monitor) -> core.Monitor:
        """The profile with unproved swaps taken back: such a component holds the host's value while the guest runs."""
        swapped = {name: keep for name, keep in monitor.keeps.items() if keep.saved_in is not None}
        if not swapped:
            return monitor
        states = States(self.terms, self.isa, monitor, {})
        asker = Asker(self.terms, self.solver)
        self.not_left = [culprit for culprit, question in self.stays(states) if not self.holds(asker, question)]
        for culprit, ask in [*self.entries(states), *self.exits(states)]:
            names = list(swapped)
            if self.holds(asker, ask(names)):
                continue
            for name in names:
                if not self.holds(asker, ask([name])):
                    saved = swapped[name].saved_in
                    assert saved is not None
                    self.not_swapped.append(NotSwapped(name, saved.name, culprit))
        lost = {item.component for item in self.not_swapped}
        keeps = {name: replace(keep, how="host", saved_in=None) if name in lost else keep for name, keep in monitor.keeps.items()}
        return replace(monitor, keeps=keeps)

    def holds(self, asker: Asker, question: Question) -> bool:
        return asker.ask(question).verdict == "unsat"

    def entries(self, states: States) -> Iterator[tuple[str, Ask]]:
        """(instruction, question) for every instruction that takes the machine into the guest's mode."""
        modes = states.classes["mode"]
        for form in self.isa.forms:
            if not self.footprints.form(form).writes & modes:
                continue
            define = Definitions(states, form)
            start = states.free()
            step = define.step(start)
            enters = self.terms.both(self.terms.negate(states.inside(start)), states.inside(Start(step.after)))

            def ask(
                names: list[str], define: Definitions = define, start: Start = start, step: Step = step, enters: Term = enters
            ) -> Question:
                wrong = []
                for name in names:
                    saved = states.monitor.keeps[name].saved_in
                    assert saved is not None
                    wrong.append(self.terms.negate(self.terms.same(step.after(name), start[saved.name])))
                return define.question(
                    "entry", False, [*define.sound(start, step), define.completes(step), enters, self.terms.any(wrong)], ("state", step)
                )

            yield form.instruction, ask

    def exits(self, states: States) -> Iterator[tuple[str, Ask]]:
        """(trap, question) for every delivery that takes the machine out of the guest's mode."""
        for trap in self.isa.traps.values():
            if trap.delivery is None:
                continue
            form = delivery_form(trap)
            if not self.footprints.form(form).writes & states.classes["mode"]:
                continue
            define = Definitions(states, form)
            start = states.free()
            step = define.step(start)
            leaves = self.terms.both(states.inside(start), self.terms.negate(states.inside(Start(step.after))))

            def ask(
                names: list[str], define: Definitions = define, start: Start = start, step: Step = step, leaves: Term = leaves
            ) -> Question:
                wrong = []
                for name in names:
                    saved = states.monitor.keeps[name].saved_in
                    assert saved is not None
                    wrong.append(self.terms.negate(self.terms.same(step.after(saved.name), start[name])))
                return define.question(
                    "exit", False, [states.legal(start), define.completes(step), leaves, self.terms.any(wrong)], ("state", step)
                )

            yield f"delivery of {trap.name}", ask

    def stays(self, states: States) -> Iterator[tuple[str, Question]]:
        """(trap, question) for every delivery the profile says reaches the monitor: whether the guest can go on after it.

        Only where hardware swaps. Elsewhere the monitor is the one who receives traps on the bare machine, by what it keeps there."""
        for trap in self.isa.traps.values():
            if trap.delivery is None or trap.kind not in self.monitor.traps:
                continue
            define = Definitions(states, delivery_form(trap))
            start = states.free()
            step = define.step(start)
            conditions = [states.legal(start), define.completes(step), states.inside(start), states.inside(Start(step.after))]
            yield f"delivery of {trap.name}", define.question("leaves", False, conditions, ("state", step))
