"""The jitted machine: the plain machine's interface on code generated from the description.

What the generated code leaves out (see :mod:`machine.generated.emit`), the plain machine does, on the same state. With
``VCHECK_JIT=0`` in the environment it does everything.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Protocol

from isa_specs.core import Isa, Trap
from isa_specs.encoding import Decoded, padded
from machine.errors import MachineError
from machine.generated import slots
from machine.generated.build import Generated, build
from machine.generated.layout import NotGenerated, limbs
from machine.generated.native import Compiled
from machine.generated.regions import SLICE, Regions
from machine.generated.slots import EVERY_KIND
from machine.generated.state import GeneratedState
from machine.outcomes import Next, Trapped
from machine.plain import Machine, Ran, StepResult
from machine.state import Recorder, State


def enabled() -> bool:
    """Whether generated code is wanted at all."""
    return os.environ.get("VCHECK_JIT", "1") != "0"


class Code(Protocol):
    """Compiled code: the exported functions of a generated module."""

    def function(self, name: str) -> Callable[..., int]: ...


class JittedMachine(Machine):
    """Carries out a description on states of :meth:`state`. ``undefined`` gives the bits of what the manual leaves undefined,
    ``code`` the generated module as compiled otherwise; for ``brief`` and ``soon`` see :func:`machine.generated.build.build`."""

    def __init__(self, isa: Isa, *, undefined: int = 0, fast: bool = True, brief: bool = False, soon: bool = False,
                 use_cache: bool = True, code: Code | None = None):
        super().__init__(isa, oracle=lambda width: undefined & (1 << width) - 1)
        self.undefined = undefined & (1 << 64) - 1
        self.use_cache = use_cache
        self.generated = build(isa, fast=fast, brief=brief, soon=soon, use_cache=use_cache)
        self.fast = fast
        self._coming = self.generated.optimized
        self._take(code or Compiled(self.generated.code))
        self._traps = list(isa.traps.values())
        self._numbers = {trap: number for number, trap in enumerate(self._traps)}
        self._known: dict[tuple[bytes, tuple[int, ...]], Decoded | None] = {}

    # ---- code --------------------------------------------------------------------------

    def _take(self, code: Code) -> None:
        self.code = code
        self._run, self._peek, self._prepare, self._deliver = (code.function(name) for name in ("run", "peek", "prepare", "deliver"))
        self.regions: Regions | None = None
        if self.fast and self._coming is None and isinstance(code, Compiled):
            counter = self.generated.layout.cells[self.isa.counter.name].offset
            self.regions = Regions(lambda: self.generated.source, code, self.generated.forms, self._run, counter)

    def optimized(self, wait: bool = True) -> bool:
        """Take up the optimized code, where a machine that was wanted soon still runs other; whether there is none to come any more."""
        if self._coming is None:
            return True
        if not wait and not self._coming.done():
            return False
        code, self._coming = Compiled(self._coming.result()), None
        self._earlier = self.code  # another thread may be in it
        self._take(code)
        return True

    def at_most(self, steps: int) -> int:
        """How many steps to leave to the code there is: few, as long as better is to come."""
        return steps if self.optimized(wait=False) else min(steps, SLICE)

    @cached_property
    def rows(self) -> Generated:
        """The module for batches, made when first asked for."""
        return build(self.isa, rows=True, use_cache=self.use_cache)

    def state(self, like: State | None = None) -> GeneratedState:
        """A fresh state, all zero or with the values of ``like``."""
        made = GeneratedState(self.isa, self.generated)
        made.record.words[slots.UNDEFINED // 8] = self.undefined
        self._prepare(made.record.address)
        if like is not None:
            made.assign(like)
        return made

    # ---- steps -----------------------------------------------------------------------

    def step(self, state: State, *, bare: bool = False, recorder: Recorder | None = None) -> StepResult:
        """See :meth:`machine.plain.Machine.step`. With a ``recorder`` the plain machine takes the step."""
        if not isinstance(state, GeneratedState) or recorder is not None:
            return super().step(state, bare=bare, recorder=recorder)
        if state.halted:
            raise MachineError(f"the machine has halted: {state.halted}")
        record = state.record
        address = state.cells[self.isa.counter.name]
        decoded = self._decoded(state)
        record[slots.LEAVE] = EVERY_KIND
        record[slots.EXECUTED] = -1
        record[slots.PASS] = address + 1
        self._run(record.address, 1)
        status = record[slots.STATUS]
        if status == slots.PLAIN:
            return super().step(state, bare=bare)
        executed = self._executed(state) if record[slots.EXECUTED] >= 0 else None
        outcome = self._trapped(state, status) if status < 0 else Next()
        if bare and isinstance(outcome, Trapped):
            self.deliver(outcome.trap, outcome.args, state, outcome.ilen)
        return StepResult(address, decoded, outcome, executed)

    def _trapped(self, state: GeneratedState, status: int) -> Trapped:
        number, memory = divmod(-1 - status, 2)
        trap, at, args = self._traps[number], self.generated.layout.constants["ARGUMENTS"], []
        for _, width in trap.params:
            args.append(state.record.value(at, limbs(width)) & (1 << width) - 1)
            at += 8 * limbs(width)
        return Trapped(trap, tuple(args), "memory" if memory else trap.kind, state.record[slots.ILEN])

    def _decoded(self, state: GeneratedState) -> Decoded | None:
        """The instruction at the counter, None where there is none or it cannot be fetched."""
        record = state.record
        if self._peek(record.address) < 0 or record[slots.FORM] == len(self.isa.forms):
            return None
        return self._read(state, record[slots.KNOWN])

    def _executed(self, state: GeneratedState) -> Decoded | None:
        return None if state.record[slots.EXECUTED] == len(self.isa.forms) else self._read(state, 15)

    def _read(self, state: GeneratedState, count: int) -> Decoded | None:
        words, first = state.record.words, slots.BYTES // 8
        data = bytes(words[first + i] for i in range(count))
        contexts = tuple(words[slot // 8] for slot in self.generated.contexts)
        key = data, contexts
        if key not in self._known:
            self._known[key] = self.decoder.decode(padded(data), lambda _: dict(zip(self.isa.contexts, contexts, strict=True)))
        return self._known[key]

    def decode(self, state: GeneratedState, address: int) -> Decoded | None:
        """The instruction at ``address``, None where there is none or it cannot be fetched."""
        name = self.isa.counter.name
        before = state.cells[name]
        state.cells[name] = address
        try:
            return self._decoded(state)
        finally:
            state.cells[name] = before

    # ---- runs --------------------------------------------------------------------------

    def run(self, state: State, max_steps: int, on_trap: Callable[[StepResult, State], bool] | None = None,
            stops: Iterable[int] = (), stop_at: Iterable[str] = ()) -> Ran:
        """See :meth:`machine.plain.Machine.run`. It stops, too, before an instruction at one of the addresses ``stops`` or
        named in ``stop_at`` (``stopped`` is then "break"), except before the first."""
        if not isinstance(state, GeneratedState):
            return super().run(state, max_steps, on_trap)
        record, done = state.record, 0
        self._set_stops(state, sorted(set(stops)), set(stop_at))
        record[slots.LEAVE] = 0 if on_trap is None else EVERY_KIND
        record[slots.PASS] = state.cells[self.isa.counter.name] + 1
        last: StepResult | None = None
        while done < max_steps:
            if state.halted:
                return Ran(done, "halted", last)
            steps, status = self.go(state, max_steps - done, record[slots.LEAVE])
            done += steps
            if status == slots.STOPPED:
                return Ran(done, "break", last)
            if status == slots.PLAIN:
                last = super().step(state, bare=on_trap is None)
                done += 1
                if on_trap is not None and isinstance(last.outcome, Trapped) and not on_trap(last, state):
                    return Ran(done, "trap", last)
            elif status < 0:
                last = self.at_trap(state, status)
                assert on_trap is not None
                if not on_trap(last, state):
                    return Ran(done, "trap", last)
        return Ran(done, "halted" if state.halted else "steps", last)

    def go(self, state: GeneratedState, max_steps: int, leave: int) -> tuple[int, int]:
        """Run generated code alone: how many steps it took, and why it stopped (STATUS in :mod:`machine.generated.slots`).

        ``leave`` has a bit for each kind of trap that ends the run instead of being delivered; such a step counts."""
        record = state.record
        record[slots.LEAVE] = leave
        steps, status = 0, slots.LIMIT
        while status == slots.LIMIT and steps < max_steps:
            most, regions = self.at_most(max_steps - steps), self.regions
            steps += int(self._run(record.address, most if regions is None else min(most, regions.slice)))
            status = record[slots.STATUS]
            if regions is not None and status == slots.LIMIT and steps < max_steps:
                steps += regions.look(record, max_steps - steps)
                status = record[slots.STATUS]
        if status == slots.HALT:
            state.halted = self.why_halted(state)
        return steps, status

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, recorder: Recorder | None = None) -> None:
        """See :meth:`machine.plain.Machine.deliver`. With a ``recorder`` the plain machine delivers, and what is not the description's."""
        if not isinstance(state, GeneratedState) or recorder is not None or trap not in self._numbers:
            return super().deliver(trap, args, state, ilen, recorder)
        at = self.generated.layout.constants["ARGUMENTS"]
        for (_, width), value in zip(trap.params, args, strict=True):
            state.record.set_value(at, limbs(width), value)
            at += 8 * limbs(width)
        number = self._numbers[trap]
        if self._deliver(state.record.address, number, ilen) < 0:
            state.halted = self.why_halted(state)
        return None

    def delivered(self, state: GeneratedState) -> Counter[str]:
        """The traps generated code has delivered since this was last asked."""
        record, at = state.record, self.generated.layout.constants["DELIVERIES"]
        counts = Counter({trap.name: record[at + 8 * i] for i, trap in enumerate(self._traps) if record[at + 8 * i]})
        for i in range(len(self._traps)):
            record[at + 8 * i] = 0
        record[slots.DELIVERED] = 0
        return counts

    def at_trap(self, state: GeneratedState, status: int) -> StepResult:
        """The step that ended the last run with a trap."""
        outcome = self._trapped(state, status)
        address = state.record[slots.COUNTER_AT]
        executed = self._executed(state) if state.record[slots.EXECUTED] >= 0 else None
        return StepResult(address, self.decode(state, address), outcome, executed)

    def why_halted(self, state: GeneratedState) -> str:
        """What stopped the machine, in the words of the plain one."""
        number = state.record[slots.HALTED]
        trap = self._traps[(number & 0xFFFFFFFF) - 1]
        if number >> 32:
            return f"{self._traps[(number >> 32) - 1].name} in the delivery of {trap.name}"
        return f"{trap.name} has no delivery"

    def _set_stops(self, state: GeneratedState, addresses: list[int], names: set[str]) -> None:
        record = state.record
        unknown = names - set(self.isa.instructions())
        if unknown:
            raise MachineError(f"{self.isa.name} has no instruction '{min(unknown)}'")
        record.set_stops(addresses, [form.instruction in names for form in self.isa.forms])


__all__ = ["JittedMachine", "NotGenerated", "enabled"]
