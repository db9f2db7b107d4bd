"""Holding the jitted machine against the plain one: cases of every form, from random states biased to edges."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from readings import Readings, number

from isa_specs.core import Form, Isa
from isa_specs.encoding import EncodeError, decoder
from isa_specs.load import load
from machine.generated import slots
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine
from machine.outcomes import Next, Trapped
from machine.plain import Machine, StepResult
from machine.state import State

POOL = 16
LISTED = 64  # cells of each space that get values


class Harness:
    """Both machines of one description, and states for them."""

    def __init__(self, name: str, jitted: JittedMachine | None = None):
        self.jitted = jitted or JittedMachine(load(name))
        self.isa: Isa = self.jitted.isa
        self.plain = Machine(self.isa)
        self.state: GeneratedState = self.jitted.state()
        self._pool: list[State] = []

    @classmethod
    def of(cls, jitted: JittedMachine) -> Harness:
        return cls(jitted.isa.name, jitted)

    # ---- states ------------------------------------------------------------------------

    @property
    def pool(self) -> list[State]:
        """Legal states, most of them with translations that are the identity."""
        if not self._pool and self.isa.monitors:
            rng, readings = random.Random(self.isa.name), Readings(self.isa)
            found = [readings.state(rng, identity=i % 10 < 6) for i in range(POOL)]
            self._pool = [state for state in found if state is not None]
            for state in self._pool:
                for memory in state.memory.values():
                    memory.fill = 0
        return self._pool

    def random_state(self, rng: random.Random) -> State:
        """Legal in most cases, somewhat changed in many, anything in some: the machines are total."""
        if self.pool and rng.random() < 0.75:
            state = rng.choice(self.pool).copy()
            for cell in rng.sample(list(self.isa.cells.values()), rng.choice((0, 0, 1, 2))):
                state.cells[cell.name] = number(cell.width, rng)
        else:
            state = State(self.isa)
            for cell in self.isa.cells.values():
                state.cells[cell.name] = number(cell.width, rng)
            for name, memory in state.memory.items():
                space = self.isa.spaces[name]
                memory.update((address, number(space.cell_width, rng)) for address in range(min(1 << space.address_width, LISTED)))
        for array in self.isa.arrays.values():
            state.arrays[array.name] = [number(array.width, rng) for _ in range(array.length)]
        if rng.random() < 0.8:
            state.cells[self.isa.counter.name] &= ~1
        return state

    def place(self, code: bytes, state: State) -> None:
        """Put an instruction where the counter finds it, as far as it can be fetched at all."""
        for offset, byte in enumerate(code):
            place = self.plain.fetch_place(state, offset)
            if place is not None:
                state.put(place, byte)

    def cases(self, form: Form, rng: random.Random, count: int) -> Iterator[State]:
        codes = decoder(self.isa)
        for _ in range(count):
            state = self.random_state(rng)
            try:
                self.place(codes.encode(form, codes.random_fields(form, rng)), state)
            except EncodeError:
                continue
            yield state

    # ---- comparison ------------------------------------------------------------------------

    def compare(self, rng: random.Random, count: int, forms: list[Form] | None = None) -> Counter[str]:
        """Run ``count`` cases of each form on both; what happened, counted. Raises AssertionError on a difference."""
        did: Counter[str] = Counter()
        for form in self.isa.forms if forms is None else forms:
            for state in self.cases(form, rng, count):
                did[self.agree(state, ones=rng.random() < 0.5, bare=rng.random() < 0.5)] += 1
        return did

    def agree(self, before: State, *, ones: bool = False, bare: bool = False) -> str:
        """One step from ``before``; what it was. Undefined values are all ones or all zeros."""
        self.plain.oracle = self.jitted.oracle = lambda width: (1 << width) - 1 if ones else 0
        after = before.copy()
        expected = self.plain.step(after, bare=bare)
        self.load(before, ones)
        if bare and isinstance(expected.outcome, Trapped):
            self.jitted.run(self.state, 1)  # delivered by generated code
        else:
            found = self.jitted.step(self.state)
            assert told(found) == told(expected), f"{told(found)}, not {told(expected)}\n{before}"
        assert self.state == after, f"{differences(self.state, after)}\n{before}"
        return "next" if isinstance(expected.outcome, Next) else "trap"

    def load(self, state: State, ones: bool = False) -> None:
        self.state.assign(state)
        self.state.record[slots.UNDEFINED] = -1 if ones else 0


def told(step: StepResult) -> tuple[object, ...]:
    """What a step says of itself, apart from the state after it."""
    outcome: object = "next"
    if isinstance(step.outcome, Trapped):
        outcome = step.outcome.trap.name, step.outcome.args, step.outcome.kind, step.outcome.ilen
    named = [(one.form.instruction, one.form.template, one.fields, one.length) if one else None for one in (step.decoded, step.executed)]
    return step.address, outcome, *named


def differences(found: State, expected: State) -> str:
    """Where two states differ, for people."""
    lines = [f"{name}: {found.cells[name]:#x}, not {value:#x}" for name, value in expected.cells.items() if found.cells[name] != value]
    lines += [f"{name}[{i}]: {found.arrays[name][i]:#x}, not {value:#x}" for name, values in expected.arrays.items()
              for i, value in enumerate(values) if found.arrays[name][i] != value]
    lines += [f"{name}({address:#x}): {found.memory[name][address]:#x}, not {memory[address]:#x}"
              for name, memory in expected.memory.items()
              for address in sorted({*memory, *found.memory[name]}) if found.memory[name][address] != memory[address]]
    return "\n".join([*lines, f"halted: {found.halted!r}, {expected.halted!r}"])
