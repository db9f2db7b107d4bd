"""What interrupts do, in all three readings: from legal states in which they are taken, with anything a device may tell."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import pytest
from readings import Case, Read, Readings, Skipped

from checker.deliveries import interrupt_form
from checker.obligations import Asker
from checker.solve import Solver
from isa_specs import core
from isa_specs.encoding import Decoded
from isa_specs.load import bundled, load
from machine.comparing import differences
from machine.jitted import JittedMachine
from machine.sampling import number

STATES, NEAR = 60, 12
NAMES = [name for name in bundled() if load(name).interrupts]


class Delivered:
    """The three readings of one description's interrupts."""

    def __init__(self, isa: core.Isa):
        self.isa, self.readings, self.jitted = isa, Readings(isa), JittedMachine(isa)
        self.generated = self.jitted.state()
        self.forms = {interrupt.name: interrupt_form(interrupt) for interrupt in isa.interrupts.values()}

    def compare(self, interrupt: core.Interrupt, reads: list[Read], case: Case) -> str:
        """Take the interrupt in all readings; what it came to. What the manual leaves undefined is all zeros."""
        for memory in case.state.memory.values():
            memory.fill = 0
        told, after = tuple(case.decoded.fields.values()), case.state.copy()
        self.readings.machine.deliver(interrupt.trap, told, after, 0)
        self.generated.assign(case.state)
        self.jitted.deliver(interrupt.trap, told, self.generated, 0)
        assert differences(self.generated, after) == "", f"{interrupt.name}\n{case.state}"
        try:
            return self.readings.compare(reads, Case(case.state, case.decoded))
        except Skipped:
            return "skipped"


@cache
def delivered(name: str) -> Delivered:
    return Delivered(load(name))


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(1, 20) as solver:
        yield solver


@pytest.mark.parametrize("name", NAMES)
def test_interrupts_in_all_readings(name: str) -> None:
    found, rng = delivered(name), random.Random(name)
    for interrupt in found.isa.interrupts.values():
        form, taken = found.forms[interrupt.name], 0
        reads = found.readings.reads(form)
        for _ in range(STATES):
            state = rng.choice(found.readings.pool).copy()
            told = {field: number(width, rng) for field, width in interrupt.trap.params}
            if found.readings.machine.evaluate(interrupt.condition, state, told):
                found.compare(interrupt, reads, Case(state, Decoded(form, told, 0)))
                taken += 1
        assert taken, f"{interrupt.name} is never taken"


@pytest.mark.parametrize("name", NAMES)
def test_interrupts_from_states_the_solver_finds(name: str, solver: Solver) -> None:
    """At random no gate leads anywhere; the solver knows the way to the handler."""
    found, rng = delivered(name), random.Random(name)
    asker = Asker(found.readings.terms, solver)
    for interrupt in found.isa.interrupts.values():
        reads = found.readings.reads(found.forms[interrupt.name])
        for target, term in found.readings.targets(reads[0]).items():
            case = found.readings.solved(reads[0], term, asker)
            assert case is not None or target != "next", f"{interrupt.name} never completes"
            if case is None:
                continue
            did = found.compare(interrupt, reads, case)
            assert did == target, f"{interrupt.name}: the solver's state for {target} comes to {did}"
            for _ in range(NEAR):
                other = found.readings.near(case, rng)
                if other is not None:
                    found.compare(interrupt, reads, other)
