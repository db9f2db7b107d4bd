"""What interrupts do, in all three readings: from random legal states in which they are taken, with anything a device may tell."""

from __future__ import annotations

import random

import pytest

from checker.deliveries import interrupt_form
from checker.readings import Case, Readings, Skipped
from isa_specs.encoding import Decoded
from isa_specs.load import bundled, load
from machine.agreement import differences
from machine.jitted import JittedMachine
from machine.sampling import number

STATES = 60
NAMES = [name for name in bundled() if load(name).interrupts]


@pytest.mark.parametrize("name", NAMES)
def test_interrupts_in_all_readings(name: str) -> None:
    isa = load(name)
    readings, jitted, rng = Readings(isa), JittedMachine(isa), random.Random(name)
    generated = jitted.state()
    for interrupt in isa.interrupts.values():
        form = interrupt_form(interrupt)
        reads, taken = readings.reads(form), 0
        for _ in range(STATES):
            state = rng.choice(readings.pool).copy()
            for memory in state.memory.values():
                memory.fill = 0
            told = {field: number(width, rng) for field, width in interrupt.trap.params}
            if not readings.machine.evaluate(interrupt.condition, state, told):
                continue
            after = state.copy()
            readings.machine.deliver(interrupt.trap, tuple(told.values()), after, 0)
            generated.assign(state)
            jitted.deliver(interrupt.trap, tuple(told.values()), generated, 0)
            assert differences(generated, after) == "", interrupt.name
            taken += 1
            try:
                readings.compare(reads, Case(state, Decoded(form, told, 0)))
            except Skipped:
                continue
        assert taken, f"{interrupt.name} is never taken"
