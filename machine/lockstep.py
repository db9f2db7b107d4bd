"""A guest bare and under a monitor, instruction by instruction: equal, or the first difference."""

from __future__ import annotations

from dataclasses import dataclass

from isa_specs.core import Isa
from isa_specs.core import Monitor as Profile
from machine.guests import Machinery
from machine.outcomes import Trapped
from machine.plain import StepResult
from machine.session import Ending
from machine.state import State

MAX_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Unequal:
    """A component with its value on the bare machine and on the virtual one; ``reason`` as in a square."""

    component: str
    bare: int
    monitored: int
    reason: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first instruction after which the two are not the same. ``steps`` counts it; ``direct``: no trap told the monitor."""

    steps: int
    step: StepResult | None
    bare_outcome: str
    monitored_outcome: str
    direct: bool
    differences: tuple[Unequal, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``ending`` of the two as long as they agree; ``divergence`` is None when they do to the end."""

    steps: int
    ending: Ending
    divergence: Divergence | None


def compare(isa: Isa, bare: Machinery, monitored: Machinery, profile: Profile, max_steps: int) -> Comparison:
    """Run both in step for at most ``max_steps`` instructions. Both must have as much storage."""
    one, two = bare.session, monitored.session
    counters = monitored.monitors[-1].counters
    for _ in range(max_steps):
        work = counters.emulated + counters.reflected + counters.interpreted
        ending, other = one.run(1), two.run(1)
        if one.output != two.output or ending != other or one.steps != two.steps or not alike(one.state, two.state):
            told = counters.emulated + counters.reflected + counters.interpreted > work
            return Comparison(one.steps, ending, Divergence(
                one.steps, one.last.last if one.last else None, outcome(one.last.last if one.last else None),
                outcome(two.last.last if two.last else None), not told, tuple(differences(isa, one.state, two.state, profile))))
        if ending != "steps":
            return Comparison(one.steps, ending, None)
    return Comparison(one.steps, "steps", None)


def alike(one: State, two: State) -> bool:
    return one.cells == two.cells and one.arrays == two.arrays and one.memory == two.memory and one.halted == two.halted


def outcome(step: StepResult | None) -> str:
    """What became of an instruction."""
    if step is None:
        return "nothing"
    return f"traps: {step.outcome}" if isinstance(step.outcome, Trapped) else "completes"


def differences(isa: Isa, one: State, two: State, profile: Profile) -> list[Unequal]:
    """The components that differ, the counter last; at most MAX_SHOWN."""
    found: list[Unequal] = []
    for name in sorted(isa.cells, key=lambda name: name == isa.counter.name):
        if one.cells[name] != two.cells[name]:
            found.append(Unequal(name, one.cells[name], two.cells[name], _reason(profile, name)))
    for name, values in one.arrays.items():
        pairs = enumerate(zip(values, two.arrays[name], strict=True))
        found += [Unequal(f"{name}[{i}]", a, b, _reason(profile, name)) for i, (a, b) in pairs if a != b]
    for name, memory in one.memory.items():
        other = two.memory[name]
        if memory != other:
            addresses = sorted({*memory, *other})
            found += [Unequal(f"{name}({a:#x})", memory[a], other[a], _reason(profile, name)) for a in addresses if memory[a] != other[a]]
    return found[:MAX_SHOWN]


def _reason(profile: Profile, name: str) -> str:
    keep = profile.keeps.get(name)
    return "result differs" if keep is None or keep.how == "guest" else "record stale"


__all__ = ["Comparison", "Divergence", "Unequal", "compare", "outcome"]
