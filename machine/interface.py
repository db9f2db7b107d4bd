"""Running a description from Python: make a machine, give it a state, let it run.

>>> from isa_specs.load import load
>>> from machine.interface import make
>>> machine = make(load("third_generation"))
>>> state = machine.state()
>>> state["psw.bound"] = 0x4000
>>> state["gpr"] = [0, 7] + [0] * 14
>>> state["storage"].load(0x100, bytes.fromhex("20110000"))   # A 1,1
>>> state["psw.p"] = 0x100
>>> machine.step(state).outcome
Next()
>>> state["gpr"][1]
14
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from typing import Protocol

from isa_specs.core import Expr, Isa, Trap
from isa_specs.encoding import Decoded
from machine.errors import MachineError
from machine.jitted import JittedMachine, NotGenerated, enabled
from machine.outcomes import Trapped
from machine.plain import Machine, Ran, StepResult
from machine.state import Recorder, State

OnTrap = Callable[[StepResult, State], bool]


class Runs(Protocol):
    """What both machines do. States are those of ``state()``; components have the names of the description."""

    isa: Isa

    def state(self, like: State | None = None) -> State:
        """A fresh state: all zero, or with the values of ``like``."""
        ...

    def step(self, state: State, *, bare: bool = False, recorder: Recorder | None = None) -> StepResult:
        """One instruction. Its trap is left to the caller, or delivered on a ``bare`` machine."""
        ...

    def run(self, state: State, max_steps: int, on_trap: OnTrap | None = None, stops: Iterable[int] = (),
            stop_at: Iterable[str] = ()) -> Ran:
        """Step until the machine halts or ``max_steps`` are done; ``stopped`` says why: "steps", "halted", "trap" or "break".

        Traps go to ``on_trap``, which says whether to go on; without it they are delivered. The run breaks before an instruction
        at an address in ``stops`` or with a name in ``stop_at``, except before the first."""
        ...

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, recorder: Recorder | None = None) -> None:
        """What the bare machine does on a trap."""
        ...

    def evaluate(self, expr: Expr, state: State) -> int:
        """The value of an expression in a state."""
        ...

    def legal(self, state: State) -> list[str]:
        """The invariants the state violates."""
        ...


class PlainMachine(Machine):
    """The plain machine with the whole of :class:`Runs`."""

    def __init__(self, isa: Isa, *, undefined: int = 0):
        super().__init__(isa, oracle=lambda width: undefined & (1 << width) - 1)

    def state(self, like: State | None = None) -> State:
        return State(self.isa) if like is None else like.copy()

    def run(self, state: State, max_steps: int, on_trap: OnTrap | None = None, stops: Iterable[int] = (),
            stop_at: Iterable[str] = ()) -> Ran:
        addresses, names = sorted(set(stops)), set(stop_at)
        unknown = names - set(self.isa.instructions())
        if unknown:
            raise MachineError(f"{self.isa.name} has no instruction '{min(unknown)}'")
        last: StepResult | None = None
        for count in range(max_steps):
            if state.halted:
                return Ran(count, "halted", last)
            if count and (addresses or names) and self._stops(state, addresses, names):
                return Ran(count, "break", last)
            last = self.step(state, bare=on_trap is None)
            if on_trap is not None and isinstance(last.outcome, Trapped) and not on_trap(last, state):
                return Ran(count + 1, "trap", last)
        return Ran(max_steps, "halted" if state.halted else "steps", last)

    def _stops(self, state: State, addresses: list[int], names: set[str]) -> bool:
        address = state.cells[self.isa.counter.name]
        at = bisect.bisect_left(addresses, address)
        if at < len(addresses) and addresses[at] == address:
            return True
        decoded = self._decoded(state.copy()) if names else None
        return decoded is not None and decoded.form.instruction in names

    def _decoded(self, scratch: State) -> Decoded | None:
        return self.step(scratch).decoded


def make(isa: Isa, *, undefined: int = 0, use_cache: bool = True) -> JittedMachine | PlainMachine:
    """The jitted machine of a description; the plain one with ``VCHECK_JIT=0``, or where no code can be generated.

    ``undefined`` gives the bits of every value the manual leaves undefined, from the right. Where no code was kept the machine begins with
    code that is not optimized, and goes on with better as soon as that is compiled; :meth:`JittedMachine.optimized` waits for it."""
    if enabled():
        try:
            return JittedMachine(isa, undefined=undefined, soon=True, use_cache=use_cache)
        except (NotGenerated, ImportError):
            pass
    return PlainMachine(isa, undefined=undefined)
