"""What a step did, and where two states differ: in a form that two machines' can be compared in, and in words."""

from __future__ import annotations

from machine.outcomes import Trapped
from machine.plain import StepResult
from machine.state import State


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
    if found.halted != expected.halted:
        lines.append(f"halted: {found.halted!r}, not {expected.halted!r}")
    return "\n".join(lines)
