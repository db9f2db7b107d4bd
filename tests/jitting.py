"""Holding the jitted machine against the plain one: every form from random states, and programs."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from isa_specs.core import Form, Isa
from isa_specs.load import load
from machine.agreement import Agreement, Pair
from machine.comparing import differences
from machine.jitted import JittedMachine
from machine.sampling import LegalStates
from machine.state import State

POOL = 16

__all__ = ["Harness", "differences"]


class Harness(Pair):
    """Both machines of one description, and states for them."""

    def __init__(self, name: str, jitted: JittedMachine | None = None):
        super().__init__(jitted or JittedMachine(load(name)))
        self.isa: Isa = self.jitted.isa

    @classmethod
    def of(cls, jitted: JittedMachine) -> Harness:
        return cls(jitted.isa.name, jitted)

    @cached_property
    def pool(self) -> list[State]:
        """Legal states, most of them with translations that are the identity."""
        found = LegalStates(self.isa).pool(POOL, 0.6)
        for state in found:
            for memory in state.memory.values():
                memory.fill = 0
        return found

    @cached_property
    def agreement(self) -> Agreement:
        return Agreement(self.jitted)

    def compare(self, seed: int, count: int, forms: list[Form] | None = None) -> Counter[str]:
        """Run ``count`` cases of each form on both; what happened, counted. Raises AssertionError on a difference."""
        did: Counter[str] = Counter()
        for number, form in enumerate(self.isa.forms if forms is None else forms):
            lot = self.agreement.lot(form, seed, number, count)
            did += lot.did
            assert not lot.wrong, f"{form.instruction} ({form.template}): {lot.wrong[0].differences}\n{lot.wrong[0].state}"
        return did

    def alike(self, state: State, steps: int) -> State:
        """The state after so many bare steps, the same on both machines one by one, and in one go."""
        after = state.copy()
        self.load(state)
        for _ in range(steps):
            self.plain.run(after, 1)
            self.jitted.run(self.state, 1)
            assert self.state == after, differences(self.state, after)
        self.load(state)
        self.jitted.run(self.state, steps)
        assert self.state == after, differences(self.state, after)
        return after
