"""What a campaign compares: each comparison takes lots of states of one form and tells what became of them."""

from __future__ import annotations

import atexit
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from checker.check import check
from checker.model import Report
from checker.obligations import Asker
from checker.options import Options
from checker.readings import Case, Differ, Read, Readings, Skipped
from checker.solve import Solver
from isa_specs.core import Form, Isa
from isa_specs.keeping import default_directory
from machine.agreement import LOT, Agreement, Disagreement, Pair, touched
from machine.innocuous import LOT as SQUARES
from machine.innocuous import BatchSquares
from machine.jitted import JittedMachine
from machine.monitored import Square
from machine.shrinking import shown, shrink
from machine.state import State

SOLVER_LOT = 100
SPARE = 4  # states tried for one that shows something
ASKED = 1  # states of a lot that are asked of the solver itself
SOLVER_SECONDS = 20.0
ASIDE = frozenset({"asked", "undecided", "wrong", "skipped", "plain"})  # counted besides, not as states compared


@dataclass(slots=True)
class Finding:
    """A disagreement: the state it begins with, what is different after the step, both a line each."""

    state: list[str]
    differences: list[str]


@dataclass(slots=True)
class Outcome:
    """What a lot came to: how many states of each kind, and what is wrong."""

    did: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def count(self, what: str) -> None:
        self.did[what] = self.did.get(what, 0) + 1

    def plain(self) -> dict[str, Any]:
        """As kept in a file; :meth:`of` reads it."""
        return {"did": self.did, "findings": [[finding.state, finding.differences] for finding in self.findings]}

    @staticmethod
    def of(kept: dict[str, Any]) -> Outcome:
        return Outcome(dict(kept["did"]), [Finding(*finding) for finding in kept["findings"]])


class Comparison(Protocol):
    """Compares readings of one description."""

    def forms(self) -> frozenset[int]:
        """The indices of the forms it is about."""
        ...

    def run(self, form: Form, seed: int, lot: int, count: int) -> Outcome: ...


class Jitted:
    """The jitted machine does what the plain one does."""

    def __init__(self, isa: Isa, spec: str, machine: JittedMachine, monitor: str):
        self.isa, self.machine = isa, machine
        self.agreement: Agreement | None = None

    def forms(self) -> frozenset[int]:
        return frozenset(range(len(self.isa.forms)))

    def run(self, form: Form, seed: int, lot: int, count: int) -> Outcome:
        self.agreement = self.agreement or Agreement(self.machine)
        found = self.agreement.lot(form, seed, lot, count)
        return Outcome(dict(found.did), [simplest(self.agreement.pair, wrong) for wrong in found.wrong[:1]])


def simplest(pair: Pair, wrong: Disagreement) -> Finding:
    """A disagreement of the machines, with a state that is easier to read."""
    def differs(state: State) -> bool:
        return bool(pair.step(state, ones=wrong.ones, bare=wrong.bare)[1])

    state = shrink(wrong.state, differs) if differs(wrong.state) else wrong.state
    text = pair.step(state, ones=wrong.ones, bare=wrong.bare)[1] or wrong.differences
    said = [f"undefined values are {'ones' if wrong.ones else 'zeros'}; traps are {'delivered' if wrong.bare else 'left to the caller'}"]
    return Finding(shown(state) + said, [f"jitted: {line}" for line in text.split("\n")])


class Symbolic:
    """The symbolic reading, evaluated with the values of a state, does what the plain machine does; the first of a lot are asked of
    the solver itself, too."""

    def __init__(self, isa: Isa, spec: str, machine: JittedMachine, monitor: str):
        self.isa, self.readings = isa, Readings(isa)
        self._reads: tuple[Form | None, list[Read]] = None, []
        self._asker: Asker | None = None

    def forms(self) -> frozenset[int]:
        return frozenset(range(len(self.isa.forms)))

    @property
    def asker(self) -> Asker:
        if self._asker is None:
            solver = Solver(1, SOLVER_SECONDS)
            atexit.register(solver.close)
            self._asker = Asker(self.readings.terms, solver)
        return self._asker

    def run(self, form: Form, seed: int, lot: int, count: int) -> Outcome:
        if self._reads[0] is not form:
            self._reads = form, self.readings.reads(form)
        reads, found = self._reads[1], Outcome()
        rng = random.Random(f"{self.isa.name} {form.instruction} {form.template} {seed} {lot}")
        done = 0
        for _ in range(SPARE * count):
            if done == count:
                break
            case = self.readings.case(form, rng)
            if case is None:
                continue
            try:
                ended = self.readings.compare(reads, case)
                done += 1
                found.count("next" if ended == "next" else "trap" if ended in self.isa.traps else "other")
                if done <= ASKED:
                    said = self.readings.ask(reads[0], case, self.asker)
                    found.count({"unsat": "asked", "sat": "wrong"}.get(said, "undecided"))
                    if said == "sat":
                        raise Differ("the solver comes to another result than the evaluation of the same terms")
            except Skipped:
                found.count("skipped")
            except Differ as error:
                found.findings.append(self._simplest(reads, case, error))
                break
        return found

    def _simplest(self, reads: list[Read], case: Case, error: Differ) -> Finding:
        def message(state: State) -> str:
            try:
                self.readings.compare(reads, replace(case, state=state))
            except Differ as again:
                return str(again)
            except Skipped:
                pass
            return ""

        state = case.state.copy()
        if message(state):
            state = shrink(state, lambda state: bool(message(state)))
        fields = ", ".join(f"{name} = {value:#x}" for name, value in case.decoded.fields.items() if value)
        said = [f"fields: {fields}", f"undefined values are {'ones' if case.ones else 'zeros'}"]
        return Finding(shown(state) + said, (message(state) or str(error)).split("\n"))


class Monitored:
    """What is proved to commute with the VM map of the profile ``monitor`` does so on the jitted machine."""

    def __init__(self, isa: Isa, spec: str, machine: JittedMachine, monitor: str):
        self.isa, self.spec, self.machine, self.monitor = isa, spec, machine, monitor

    @cached_property
    def report(self) -> Report:
        return check(self.spec, Options(cache=default_directory()))

    def forms(self) -> frozenset[int]:
        regions: dict[tuple[str, str], set[str]] = {}
        for instruction in self.report.instructions:
            for form in instruction.forms:
                regions.setdefault((instruction.name, form.form), set()).add(form.squares.get(self.monitor, "unknown"))
        return frozenset(i for i, form in enumerate(self.isa.forms) if regions.get((form.instruction, form.template)) == {"proved"})

    @cached_property
    def squares(self) -> BatchSquares:
        controls = next(monitor.controls for monitor in self.report.monitors if monitor.name == self.monitor)
        return BatchSquares(self.machine, self.isa.monitors[self.monitor], {name: int(value, 0) for name, value in controls.items()})

    def run(self, form: Form, seed: int, lot: int, count: int) -> Outcome:
        found = self.squares.lot(form, seed, lot, count)
        return Outcome({what: number for what, number in found.did.items() if number}, [self._told(square) for square in found.wrong[:1]])

    def _told(self, square: Square) -> Finding:
        lines = [f"{one.component}: {one.reason}: {one.virtual_before} to {one.virtual_after} on the virtual machine, "
                 f"{one.real_before} to {one.real_after} on the real one" for one in square.differences]
        state = touched(square.virtual_before, self.squares.plain)
        return Finding(shown(state), lines or ["only on the jitted machine, not on the plain one"])


@dataclass(frozen=True, slots=True)
class Kind:
    """How a comparison is made, how many states a lot has, what it is called, how many states a form gets by default, and whether it is
    about a monitor profile."""

    make: Callable[[Isa, str, JittedMachine, str], Comparison]
    lot: int
    title: str
    default: int
    monitored: bool = False


COMPARISONS: dict[str, Kind] = {
    "jitted": Kind(Jitted, LOT, "plain machine against jitted machine", 10_000),
    "solver": Kind(Symbolic, SOLVER_LOT, "plain machine against the solver's reading", 200),
    "monitored": Kind(Monitored, SQUARES, "jitted machine bare against monitored, where proved", 1_000_000, monitored=True),
}
