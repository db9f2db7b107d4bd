"""What monitors stand on and what they make: something that runs instructions on a state.

The plain machine is one, a monitor on it is one, so is a monitor on that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from isa_specs.core import Isa, Trap
from machine.outcomes import Trapped
from machine.plain import Machine, StepResult
from machine.state import Place, Recorder, State


@dataclass(slots=True)
class Counters:
    """What a run came to, in instructions and events.

    ``direct``: completed on the machine below; ``emulated``: carried out by the interpreter after a trap; ``interpreted``: never
    given to the machine below (a hybrid monitor's supervisor mode); ``reflected``: traps handed to the guest; ``delivered``: traps the
    machine below delivered to the guest itself; ``traps``: by cause, as the machine below raised them; ``exits``: by reason."""

    direct: int = 0
    emulated: int = 0
    interpreted: int = 0
    reflected: int = 0
    delivered: int = 0
    entries: int = 0
    traps: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    disturbed: Counter[str] = field(default_factory=Counter)

    @property
    def instructions(self) -> int:
        return self.direct + self.emulated + self.interpreted + self.reflected + self.delivered

    @property
    def share(self) -> float:
        """The part of the guest's instructions that were the monitor's work, 0 to 1."""
        return (self.emulated + self.interpreted + self.reflected) / self.instructions if self.instructions else 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run stopped after ``steps`` instructions, one that trapped included.

    ``written`` holds the watched places the last instruction wrote, its trap's delivery included; of conditions those that hold."""

    steps: int
    why: Literal["steps", "trap", "watched", "halted"]
    last: StepResult | None = None
    written: frozenset[Place] = frozenset()


Condition = tuple[tuple[Place, int], ...]
"""Holds while each place has its value."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What ends a run early: a write to a component in ``written``, or a condition that comes to hold."""

    written: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The components a write to which may end the run."""
        return self.written | {name for condition in self.conditions for (name, _), _ in condition}

    def among(self, names: Collection[str]) -> Watch:
        """What is left of it for who sees only these components."""
        parts = (tuple((place, value) for place, value in condition if place[0] in names) for condition in self.conditions)
        return Watch(self.written.intersection(names), tuple(part for part in parts if part))

    def elsewhere(self, places: Mapping[str, str]) -> Watch:
        """The same of other components: ``places`` says which stands for which."""
        parts = (tuple(((places.get(name, name), i), value) for (name, i), value in condition) for condition in self.conditions)
        return Watch(frozenset(places.get(name, name) for name in self.written), tuple(parts))

    def met(self, state: State) -> frozenset[Place]:
        """The places of the conditions that hold."""
        found = (condition for condition in self.conditions if all(state.get(place) == value for place, value in condition))
        return frozenset(place for condition in found for place, _ in condition)


NOTHING = Watch()


class Processor(Protocol):
    """Runs instructions of ``isa`` on states."""

    @property
    def isa(self) -> Isa: ...

    @property
    def counters(self) -> Counters: ...

    def prepared(self, state: State) -> State:
        """A state with the values of ``state`` that this processor likes to run on; it takes over what ``state`` holds."""
        ...

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        """Run until a trap, until an instruction has done what ``watch`` waits for, or for ``max_steps``.

        ``bare``: traps are delivered and the run goes on."""
        ...

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Watch = NOTHING) -> frozenset[Place]:
        """What the bare machine does on a trap; the watched places it wrote."""
        ...


class PlainProcessor:
    """The plain machine as a processor."""

    def __init__(self, isa: Isa, machine: Machine | None = None):
        self.isa = isa
        self.machine = machine or Machine(isa)
        self.counters = Counters()

    def prepared(self, state: State) -> State:
        return state

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        last, counters = None, self.counters
        for count in range(1, max_steps + 1):
            if state.halted:
                return Stop(count - 1, "halted", last)
            recorder = Recorder() if watch.names else None
            last = self.machine.step(state, recorder=recorder)
            trapped = last.outcome if isinstance(last.outcome, Trapped) else None
            if trapped is None:
                counters.direct += 1
            else:
                counters.traps[trapped.trap.name] += 1
                if bare:
                    counters.delivered += 1
                    self.machine.deliver(trapped.trap, trapped.args, state, trapped.ilen, recorder)
            written = watched(recorder, watch, state)
            if trapped is not None and not bare:
                return Stop(count, "trap", last, written)
            if written:
                return Stop(count, "watched", last, written)
        return Stop(max_steps, "halted" if state.halted else "steps", last)

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Watch = NOTHING) -> frozenset[Place]:
        return deliver(self.machine, trap, args, state, ilen, watch)


def deliver(machine: Machine, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Watch) -> frozenset[Place]:
    """Deliver a trap on the plain machine; the watched places that wrote."""
    recorder = Recorder() if watch.names else None
    machine.deliver(trap, args, state, ilen, recorder)
    return watched(recorder, watch, state)


def watched(recorder: Recorder | None, watch: Watch, state: State) -> frozenset[Place]:
    """The places among what was written that are waited for."""
    if recorder is None:
        return frozenset()
    return frozenset(place for place in recorder.written if place[0] in watch.written) | (recorder.written & watch.met(state))
