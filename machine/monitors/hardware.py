"""A monitor on hardware that runs guests: it enters and leaves them as the description says, with instructions of its own.

What the profile calls ``guest in X`` is put into X before the guest is entered and taken from there after the exit; the processor
does the rest. Components that are data need no line in a profile; where the hardware swaps those too is found by trying the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isa_specs.core import Cell
from isa_specs.core import Monitor as Profile
from isa_specs.encoding import state_contexts
from isa_specs.program import assemble_program
from machine.board import Assisted
from machine.errors import MachineError
from machine.monitors.monitor import Monitor
from machine.monitors.processor import Processor, Stop, Watch
from machine.monitors.windows import Storage, WithOwn
from machine.outcomes import Trapped
from machine.state import Place, State

MAX_BEGIN = 100  # instructions a monitor may take to get ready
ENTRIES = ("launch", "resume")


@dataclass(slots=True)
class _Stage:
    """The cells and arrays of a state, to be put back."""

    cells: dict[str, int]
    arrays: dict[str, list[int]]

    @classmethod
    def of(cls, state: State) -> _Stage:
        return cls(dict(state.cells), {name: list(values) for name, values in state.arrays.items()})

    def restore(self, state: State) -> None:
        state.cells.update(self.cells)
        for name, values in self.arrays.items():
            state.arrays[name][:] = values

    def changes(self, state: State) -> set[Place]:
        found = {(name, 0) for name, value in self.cells.items() if state.cells[name] != value}
        return found | {(name, i) for name, values in self.arrays.items() for i in range(len(values)) if state.arrays[name][i] != values[i]}


class HardwareMonitor(Monitor):
    """The profile's monitor, whose guests the hardware runs. ``own`` is the storage it keeps for itself; its program lies there.

    The program has the labels ``begin`` (gets the processor ready), ``launch`` (the first entry) and ``resume`` (every other)."""

    def __init__(self, below: Processor, profile: Profile, assisted: Assisted, own: Storage, *,
                 host: Mapping[str, int] | None = None):
        super().__init__(below, profile, host=host, controls=assisted.controls)
        self.assisted, self.own = assisted, own
        self.real = State(below.isa)
        for name, value in assisted.start.items():
            self.real[name] = value
        program = assemble_program(below.isa, assisted.program, assisted.origin, state_contexts(below.isa, self.real.cells))
        own.load(0, program.bytes)
        missing = [label for label in ("begin", *ENTRIES) if label not in program.labels]
        if missing:
            raise MachineError(f"the monitor's program has no label '{missing[0]}'")
        self.labels = program.labels
        self.saved: dict[Place, str] = {
            (keep.target.name, 0): keep.saved_in.name for keep in profile.keeps.values()
            if keep.saved_in is not None and isinstance(keep.target, Cell)
        }
        self.mode = {name: keep.value for name, keep in profile.keeps.items()
                     if keep.how in ("map", "pinned") and isinstance(keep.target, Cell) and keep.target.role.name == "mode"}
        self.identities = [space.identity for space in below.isa.spaces.values() if space.identity is not None]
        self.entry = ""

    def prepared(self, state: State) -> State:
        return state

    def runs_directly(self, state: State) -> bool:
        # The monitor's own translation tables map the guest's storage as it lies; a guest with tables of its own is interpreted.
        return super().runs_directly(state) and all(self.interpreter.evaluate(identity, state) for identity in self.identities)

    # ---- in and out --------------------------------------------------------------------------------

    def in_guest(self, real: State | None = None) -> bool:
        """Whether the processor runs a guest."""
        state = real or self.real
        return all(value is not None and state.cells[name] == self.interpreter.evaluate(value, state) for name, value in self.mode.items())

    def _exits(self, trapped: Trapped) -> bool:
        """Whether this trap of the guest is one that leaves it."""
        trial = self.real.copy()
        self.below.deliver(trapped.trap, trapped.args, trial, trapped.ilen)
        return not self.in_guest(trial)

    def begin(self, virtual: State) -> None:
        """Get the processor ready, and find out what the entry loads."""
        self._share(virtual)
        real, counter = self.real, self.isa.counter.name
        real.cells[counter] = self.labels["begin"]
        for _ in range(MAX_BEGIN):
            if real.cells[counter] == self.labels["launch"]:
                break
            step = self.interpreter.step(real)
            if isinstance(step.outcome, Trapped):
                raise MachineError(f"the monitor's program traps at {step.address:#x}: {step.outcome}")
        else:
            raise MachineError("the monitor's program does not come to its label 'launch'")
        self.entry = "launch"
        self._probe(virtual)

    def _probe(self, virtual: State) -> None:
        """Which of the remaining cells beside those named in the profile the entry loads, and into what."""
        groups = {name.split(".")[0] for name in self.saved.values()}
        known = set(self.saved.values())
        candidates = [name for name in self.isa.cells if name.split(".")[0] in groups and name not in known]
        self._fill(virtual)
        before = _Stage.of(self.real)
        self._enter()
        plain = _Stage.of(self.real)
        for name in candidates:
            before.restore(self.real)
            self.real.cells[name] ^= (1 << self.isa.cells[name].width) - 1
            self._step_in()
            loaded = plain.changes(self.real) - {(name, 0)}
            if self.in_guest() and len(loaded) == 1 and self.map.owner(next(iter(loaded))[0]) == "guest":
                self.saved[loaded.pop()] = name
        before.restore(self.real)

    def _share(self, virtual: State) -> None:
        real = self.real
        for name, values in virtual.arrays.items():
            if self.map.owner(name) == "guest":
                real.arrays[name] = values
        for name, memory in virtual.memory.items():
            if self.map.owner(name) == "guest":
                real.memory[name] = WithOwn(memory.cells, self.own.cells, self.assisted.origin) if isinstance(memory, Storage) else memory

    def _fill(self, virtual: State) -> None:
        """Everything the guest is to find, where the entry takes it from."""
        real = self.real
        swapped = {name for name, _ in self.saved}
        for name in self.map.guest:
            if name not in swapped and name != self.isa.counter.name:
                real.cells[name] = virtual.cells[name]
        for name, value in self.map.given.items():
            if name not in self.mode:
                real.cells[name] = value
        for name, expression in self.map.maps:
            if name not in self.mode:
                real.cells[name] = self.interpreter.evaluate(expression, virtual)
        for place, name in self.saved.items():
            real.cells[name] = virtual.get(place)

    def _step_in(self) -> None:
        self.real.cells[self.isa.counter.name] = self.labels[self.entry]
        step = self.interpreter.step(self.real)
        if isinstance(step.outcome, Trapped):
            raise MachineError(f"the entry traps: {step.outcome}")

    def _enter(self) -> None:
        self._step_in()
        if not self.in_guest():
            raise MachineError("the hardware refuses to enter the guest: its state or the monitor's controls are not what it wants")

    def launch(self, virtual: State) -> None:
        """Enter the guest: afterwards the real machine is in the guest's mode."""
        if not self.entry:
            self.begin(virtual)
        self._share(virtual)
        self._fill(virtual)
        self._enter()
        self.entry = "resume"
        self._counters.entries += 1
        self.expected = dict(self.real.cells)

    def _undisturbed(self) -> None:
        for name, value in self.expected.items():
            if self.real.cells[name] != value and self.map.owner(name) == "host":
                self._counters.disturbed[name] += 1

    def _take(self, virtual: State) -> None:
        """After an exit: the guest's components back into the virtual state."""
        swapped = {name for name, _ in self.saved}
        for name in self.map.guest:
            if name not in swapped:
                virtual.cells[name] = self.real.cells[name]
        for place, name in self.saved.items():
            virtual.put(place, self.real.cells[name])

    def _leave(self, virtual: State) -> None:
        """An event for the monitor ends the guest's turn."""
        self._undisturbed()
        name, args = self.assisted.leave
        self.below.deliver(self.isa.traps[name], args, self.real, 0)
        if self.in_guest():
            raise MachineError(f"'{name}' does not leave the guest")
        self._take(virtual)

    # ---- the dispatcher -------------------------------------------------------------------------------

    def direct(self, virtual: State, budget: int, bare: bool, watch: Watch) -> Stop:
        """Enter the guest and let it run until it exits; what it may do by itself, the hardware delivers."""
        self.launch(virtual)
        below = watch.among(self.map.shared)
        done = 0
        while done < budget:
            stop = self.below.run(self.real, budget - done, watch=below)
            done += stop.steps
            self._counters.direct += stop.steps
            if stop.why != "trap":
                break
            assert stop.last is not None
            trapped = stop.last.outcome
            assert isinstance(trapped, Trapped)
            self._counters.direct -= 1
            self._counters.traps[trapped.trap.name] += 1
            self._undisturbed()
            if not bare and not self._exits(trapped):  # the caller delivers it
                self._leave(virtual)
                self._counters.reflected += 1
                return Stop(done, "trap", stop.last)
            written = self.below.deliver(trapped.trap, trapped.args, self.real, trapped.ilen, watch)
            if self.real.halted:  # the hardware cannot deliver it, as to storage that is not there: done here, it may fail for good
                self.real.halted = ""
                self._leave(virtual)
                self._counters.reflected += 1
                written = self.deliver(trapped.trap, trapped.args, virtual, trapped.ilen, watch)
                return Stop(done, "halted" if virtual.halted else "watched" if written else "steps", stop.last, written)
            if not self.in_guest():
                return self._exited(virtual, stop, trapped, done, bare, watch)
            self._counters.delivered += 1
            if written:
                self._leave(virtual)
                return Stop(done, "watched", stop.last, written)
        else:
            self._leave(virtual)
            return Stop(done, "steps", stop.last)
        self._leave(virtual)
        return Stop(done, stop.why, stop.last, stop.written)

    def _exited(self, virtual: State, stop: Stop, trapped: Trapped, done: int, bare: bool, watch: Watch) -> Stop:
        """The guest has left for its monitor: carry out the instruction it could not."""
        reason = f"{trapped.trap.name} {trapped.args[0]}" if trapped.args and trapped.trap.kind == "exit" else trapped.trap.name
        self._counters.exits[reason] += 1
        self._take(virtual)
        assert stop.last is not None
        virtual.cells[self.isa.counter.name] = stop.last.address
        result = self.step(virtual, bare, watch)
        return Stop(done, result.why, result.last, result.written)


__all__ = ["HardwareMonitor"]
