"""Counterexamples once more on generated code, in each of their states.

The machine is generated of their forms alone and not optimized: it is to take a hundred steps, and is there in some tenths of a second."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from checker.model import Witness
from checker.replay import Replayed, Run
from isa_specs.core import Form, Isa
from machine.comparing import differences, told
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine, NotGenerated, enabled


def machine_of(isa: Isa, forms: Collection[Form]) -> JittedMachine:
    """Generated code of some forms. Raises :class:`NotGenerated` where there is none."""
    if not enabled():
        raise NotGenerated("VCHECK_JIT=0")
    return JittedMachine(replace(isa, forms=[form for form in isa.forms if form in forms], monitors={}), brief=True)


def confirm(isa: Isa, shown: list[tuple[Witness, Replayed]], machine: JittedMachine | None = None) -> None:
    """Mark each witness confirmed, or disputed where generated code does otherwise than the plain machine did; ``machine`` is used if
    it has all forms that are needed. Raises :class:`NotGenerated` where there is no generated code."""
    runs = [run for _, replayed in shown for _, run in replayed.runs]
    needed = {found.form for run in runs for found in (run.result.decoded, run.result.executed) if found is not None}
    if machine is None or not needed.issubset(machine.isa.forms):
        machine = machine_of(isa, needed)
    state = machine.state()
    for witness, replayed in shown:
        wrong = ((name, otherwise(machine, state, run)) for name, run in replayed.runs)
        name, problem = next(((name, text) for name, text in wrong if text), ("", ""))
        witness.confirmed = not problem
        if problem:
            witness.disputed = f"generated code, {name}: {problem}"


def otherwise(machine: JittedMachine, state: GeneratedState, run: Run) -> str:
    """What generated code does otherwise from the run's first state; empty when nothing."""
    state.assign(run.before)
    found = told(machine.step(state))
    if found != told(run.result):
        return f"{found}, not {told(run.result)}"
    return "; ".join(differences(state, run.after).splitlines())


__all__ = ["NotGenerated", "confirm", "machine_of", "otherwise"]
