"""Counterexamples once more on the jitted machine: bare and monitored, with the first step after which the two are not the same."""

from __future__ import annotations

from collections.abc import Iterable

from isa_specs.core import Isa
from machine.agreement import Pair
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from machine.state import State

RUNS = ("bare", "monitored")  # of a pair of runs: the virtual machine's own, and the one under the monitor


class Confirmer:
    """Runs what the plain machine has shown on generated code."""

    def __init__(self, isa: Isa):
        self.pair = Pair(JittedMachine(isa))

    def problem(self, states: Iterable[tuple[str, State]]) -> str:
        """What generated code does otherwise from one of these states than the plain machine; empty when nothing."""
        for name, state in states:
            text = self.pair.step(state)[1]
            if text:
                return f"generated code, {name}: {'; '.join(text.splitlines())}"
        return ""

    def steps(self, states: list[tuple[str, State]], text: str, differences: Iterable[tuple[str, str, str]]) -> list[str]:
        """The step, what it comes to in each of the runs, and what is different after it."""
        out = [f"{states[-1][1].cells[self.pair.isa.counter.name]:#x}: {text}"]
        names = RUNS if len(states) > 1 else ("before", "after")
        for (_, state), run in zip(states, RUNS, strict=False):
            outcome = self.pair.step(state)[0].outcome
            out.append(f"{run}: {f'traps: {outcome}' if isinstance(outcome, Trapped) else 'completes'}")
        out += [f"{component}: {names[0]} {left}, {names[1]} {right}" for component, left, right in differences if component != "outcome"]
        return out
