"""What other emulators do, held against the jitted machine: the cases of test_s370_cases and test_x86_cases once more."""

from __future__ import annotations

import pytest
import test_s370_cases as s370
import test_x86_cases as x86

from isa_specs.core import Trap
from isa_specs.load import load
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine
from machine.plain import StepResult
from machine.state import Recorder, State


class Mirroring(JittedMachine):
    """Takes plain states, runs generated code on a copy, and copies back what became of it."""

    mirror: GeneratedState | None = None
    held: State | None = None

    def _enter(self, state: State) -> GeneratedState:
        self.mirror = self.mirror or self.state()
        if self.held is not state:
            self.mirror.assign(state)
            self.held = state
        return self.mirror

    def _leave(self, state: State) -> None:
        assert self.mirror is not None
        after = self.mirror.copy()
        state.cells, state.arrays, state.halted = after.cells, after.arrays, after.halted
        for name, memory in state.memory.items():  # in place: the cases look at them
            memory.clear()
            memory.update(after.memory[name])

    def step(self, state: State, *, bare: bool = False, recorder: Recorder | None = None) -> StepResult:
        result = super().step(self._enter(state), bare=bare)
        self._leave(state)
        return result

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, recorder: Recorder | None = None) -> None:
        super().deliver(trap, args, self._enter(state), ilen)
        self._leave(state)


def test_s370() -> None:
    machines = {name: Mirroring(load(name)) for name in ("s370", "s370_das")}
    wrong = {}
    for found in s370.cases().values():
        for case in found:
            named = s370.differences(case, machines["s370_das" if case["class"] == "semiprivileged" else "s370"])
            if bool(named) != (case["id"] in s370.HERCULES_DIFFERS):
                wrong[case["id"]] = named
    assert not wrong


def x86_cases(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    machine = Mirroring(x86.machine().isa)
    monkeypatch.setattr(x86, "machine", lambda: machine)
    chosen = [case for found in x86.cases().values() for case in found][::every]
    wrong = {case["code"]: named for case in chosen if (named := x86.differences(case))}
    assert not wrong


def test_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    x86_cases(monkeypatch, 7)


@pytest.mark.campaign
def test_all_of_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    x86_cases(monkeypatch, 1)
