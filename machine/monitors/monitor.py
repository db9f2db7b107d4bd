"""A monitor that carries out what traps: Popek and Goldberg's dispatcher and interpreters, derived from the description.

The dispatcher is where the real machine's traps land. An interpreter is the trapped instruction's own meaning, run on the virtual
state, whose storage is the guest's window. What traps there too is the guest's affair and is handed to it by the description's own
delivery. A monitor is itself a :class:`Processor`, so monitors stand on monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from isa_specs.core import Isa, Trap
from isa_specs.core import Monitor as Profile
from machine.errors import MachineError
from machine.monitors.processor import NOTHING, Counters, Processor, Stop, Watch, deliver, watched
from machine.monitors.vmmap import VirtualMachineMap, effects
from machine.outcomes import Trapped
from machine.plain import Machine, StepResult
from machine.state import Place, Recorder, State


class Monitor:
    """The profile's monitor on ``below``. ``hybrid``: only the guest's user mode runs there, all else is interpreted (Theorem 3).

    ``host`` gives values of components the monitor owns, ``controls`` those the profile leaves open."""

    def __init__(self, below: Processor, profile: Profile, *, hybrid: bool = False, host: Mapping[str, int] | None = None,
                 controls: Mapping[str, int] | None = None):
        self.below, self.profile, self.hybrid = below, profile, hybrid
        self._counters = Counters()
        self.interpreter = Machine(below.isa)
        self.map = VirtualMachineMap(self.interpreter, profile, host or {}, controls or {})
        self._has_effects = effects(below.isa)
        if hybrid and "user" not in below.isa.modes:
            raise MachineError(f"{below.isa.name} does not say which mode is the user's")

    @property
    def isa(self) -> Isa:
        return self.below.isa

    @property
    def counters(self) -> Counters:
        return self._counters

    def prepared(self, state: State) -> State:
        return self.map.prepared(state, self.below)

    def enter(self, virtual: State) -> State:
        """The state of the machine below while the guest runs there."""
        return self.map.enter(virtual)

    def leave(self, virtual: State) -> list[str]:
        """Take the guest's components back; returns the monitor's own that the guest has changed, which must be none."""
        return self.map.leave(virtual)

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Watch = NOTHING) -> frozenset[Place]:
        return deliver(self.interpreter, trap, args, state, ilen, watch)

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        """Run the guest whose virtual state is ``state``."""
        done, last = 0, None
        while done < max_steps:
            if state.halted:
                return Stop(done, "halted", last)
            if self.runs_directly(state):
                stop = self.direct(state, max_steps - done, bare, watch)
            else:
                stop = self.interpret(state, max_steps - done, bare, watch)
            done, last = done + stop.steps, stop.last
            if stop.why in ("trap", "watched"):
                return Stop(done, stop.why, last, stop.written)
        return Stop(done, "halted" if state.halted else "steps", last)

    def runs_directly(self, state: State) -> bool:
        """Whether the guest runs on the machine below in this state."""
        return not self.hybrid or bool(self.interpreter.evaluate(self.isa.modes["user"], state))

    # ---- the dispatcher ------------------------------------------------------------------------

    def direct(self, virtual: State, budget: int, bare: bool, watch: Watch) -> Stop:
        """Run on the machine below until something has to be done here."""
        real = self.enter(virtual)
        self._counters.entries += 1
        stop = self.below.run(real, budget, watch=self.map.watch(watch))
        stop = replace(stop, written=self.map.watched(stop.written)) if stop.written else stop
        for name in self.leave(virtual):
            self._counters.disturbed[name] += 1
        self._counters.direct += stop.steps
        if stop.why != "trap":
            return stop
        assert stop.last is not None
        trapped = stop.last.outcome
        assert isinstance(trapped, Trapped)
        self._counters.direct -= 1
        self._counters.traps[trapped.trap.name] += 1
        return self.dispatch(virtual, stop, trapped, bare, watch)

    def dispatch(self, virtual: State, stop: Stop, trapped: Trapped, bare: bool, watch: Watch) -> Stop:
        """Emulate the instruction that trapped, or hand its trap to the guest."""
        last = stop.last
        assert last is not None
        if trapped.kind not in self.profile.traps or self._done_already(last, trapped):
            self._counters.reflected += 1
            if not bare:
                return Stop(stop.steps, "trap", last, stop.written)
            written = self.deliver(trapped.trap, trapped.args, virtual, trapped.ilen, watch)
            return self.stopped(stop.steps, last, stop.written | written)
        virtual.cells[self.isa.counter.name] = last.address
        done = self.step(virtual, bare, watch)
        return Stop(stop.steps, done.why, done.last, done.written)

    def _done_already(self, last: StepResult, trapped: Trapped) -> bool:
        # A trap that ends a completed instruction, an overflow say: it cannot be carried out a second time.
        form = last.executed or last.decoded
        return trapped.trap.keeps_effects and form is not None and self._has_effects(form.form)

    # ---- the interpreters ------------------------------------------------------------------------

    def step(self, virtual: State, bare: bool, watch: Watch, *, trapped: bool = True) -> Stop:
        """One instruction on the virtual state; ``trapped`` when it is one the machine below would not do."""
        recorder = Recorder() if watch.names else None
        last = self.interpreter.step(virtual, recorder=recorder)
        outcome = last.outcome
        if not isinstance(outcome, Trapped):
            self._counters.emulated += trapped
            self._counters.interpreted += not trapped
            return self.stopped(1, last, watched(recorder, watch, virtual))
        self._counters.reflected += 1
        if not bare:
            return Stop(1, "trap", last, watched(recorder, watch, virtual))
        self.interpreter.deliver(outcome.trap, outcome.args, virtual, outcome.ilen, recorder)
        return self.stopped(1, last, watched(recorder, watch, virtual))

    def interpret(self, virtual: State, budget: int, bare: bool, watch: Watch) -> Stop:
        """Carry out instructions here until the guest can run on the machine below."""
        done, last = 0, None
        while done < budget and not virtual.halted:
            stop = self.step(virtual, bare, watch, trapped=False)
            done, last = done + 1, stop.last
            if stop.why != "steps":
                return Stop(done, stop.why, last, stop.written)
            if self.runs_directly(virtual):
                break
        return Stop(done, "steps", last)

    @staticmethod
    def stopped(steps: int, last: StepResult | None, written: frozenset[Place]) -> Stop:
        """A stop without a trap: because of what was written, if anything that is watched was."""
        return Stop(steps, "watched" if written else "steps", last, written)


__all__ = ["Monitor"]
