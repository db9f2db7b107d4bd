"""A monitor on hardware that runs guests, in generated code: see :mod:`machine.monitors.hardware` and :mod:`machine.monitors.native`.

What the entry loads is found out as there, by the plain machine, on a real state of its own; so is what generated code does not do. Every
entry puts all that a guest is to find into whichever of the two it enters from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from isa_specs.core import Monitor as Profile
from machine.board import Assisted
from machine.errors import MachineError
from machine.generated import monitor_slots as at
from machine.generated import slots
from machine.generated.block import Block
from machine.generated.layout import Room
from machine.generated.memory import Cells
from machine.generated.monitoring import maps_of
from machine.generated.state import GeneratedState
from machine.jitted_processor import JittedProcessor, can_map
from machine.monitors.hardware import HardwareMonitor
from machine.monitors.native import Native
from machine.monitors.processor import NOTHING, Counters, Processor, Stop, Watch
from machine.monitors.windows import Storage
from machine.state import State


class NativeHardwareMonitor(Native, HardwareMonitor):
    """Enters and leaves guests in generated code, as soon as the first entry has shown what is loaded."""

    def __init__(self, below: JittedProcessor, profile: Profile, assisted: Assisted, own: Storage, *,
                 host: Mapping[str, int] | None = None):
        super().__init__(below, profile, assisted, own, host=host)
        self.processor = below
        self._seen: tuple[str, Cells] | None = None  # storage as the real machine sees it

    @property
    def counters(self) -> Counters:
        counters, block = super().counters, self.block
        if block is not None:
            counters.delivered += block.taken(at.M_DELIVERED)
            counters.exits += Counter(block.named_exits())
        return counters

    def prepared(self, state: State) -> State:
        found = [name for name, memory in state.memory.items() if isinstance(memory, Storage)]
        if len(found) != 1 or not all(can_map(memory) for memory in (state.memory[found[0]], self.own)):
            return state
        made = self.processor.prepared(state)
        seen = made.record.spaces[found[0]].another()
        assert self.own.room is not None
        seen.show(self.assisted.origin, self.own.origin, len(self.own), self.own.room)
        self._seen, self.block = (found[0], seen), None
        return made

    def _share(self, virtual: State) -> None:
        super()._share(virtual)
        if self._seen is not None and isinstance(virtual, GeneratedState):
            self.real.memory[self._seen[0]] = self._seen[1]  # type: ignore[assignment]  # as good as a Memory

    def _laid_out(self, state: GeneratedState) -> Block | None:
        vm, record, isa = self.map, state.record, self.isa
        layout = record.layout
        pairs = [(layout.word(*place), layout.word(name, 0)) for place, name in self.saved.items()]
        words = [(used, kept) for used, kept in pairs if used is not None and kept is not None]
        if len(words) != len(pairs) or self._seen is None:
            return None
        cells = {*vm.owned, *(name for name, _ in self.saved if name in isa.cells), isa.counter.name}
        elements = [Room("", layout.arrays[name].offset + 8 * i, 1) for name, i in self.saved if name in isa.arrays]
        maps = [name for name, _ in maps_of(self.profile) if name not in self.mode]
        given = {name: value for name, value in vm.given.items() if name not in self.mode}
        block = Block(
            record, level=1, profile=self.processor.machine.generated.monitors.index(self.profile.name), mode=at.UNTRANSLATED,
            kinds=0, effects=[False] * len(isa.forms), above=None, virtual={}, given=[*given, *maps], host=vm.owned,
            apart=[*(layout.cells[name] for name in cells), *elements,
                   *(room for name, room in layout.arrays.items() if vm.owner(name) == "host")],
            spaces={name: record.another(name) for name in state.memory if vm.owner(name) == "host"} | dict([self._seen]), exits=True,
        )  # fmt: skip
        for name in cells:
            block.give(name, self.real.cells[name])
        for name, value in given.items():
            block.give(name, value, block.filled_image)
        trap, args = self.assisted.leave
        block.assisted(self.labels["resume"], [list(isa.traps).index(trap), *args], words)
        record[slots.VIEW] = record[slots.TOP] = 1
        record[slots.DECODED] = record[slots.OTHER_TABLE]
        record[slots.STOP_FORMS] = block.address + block.stops_at
        record.forget()
        return block

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        """See :class:`machine.monitors.processor.Processor`."""
        if not bare or not isinstance(state, GeneratedState):
            return super().run(state, max_steps, bare=bare, watch=watch)
        if self.block is None and self.entry == "resume":
            self.block, self._watch = self._laid_out(state), None
        if self.block is None:  # the first entry is yet to come
            return super().run(state, 1, bare=bare, watch=watch)
        block = self.at(state)
        if block is None or watch.among(self.map.shared).conditions != watch.conditions or not self.waits_for(watch):
            return super().run(state, max_steps, bare=bare, watch=watch)
        record, machine, done = block.record, self.processor.machine, 0
        while done < max_steps and not state.halted:
            steps = machine.at_most(max_steps - done)
            done += machine.code.function("assist")(record.address, block.address, steps, block.outcome)
            if block.words[at.M_REASON // 8]:
                self._counters.exits += Counter(block.named_exits())
            match block.ended:
                case at.WATCHED:
                    return Stop(done, "watched", None, watch.met(state))
                case at.STANDS:
                    state.halted = machine.why_halted(state)
                case at.REFUSED:
                    raise MachineError("the hardware refuses to enter the guest or to leave it: its state or the monitor's controls "
                                       "are not what it wants")
                case at.CARRY:
                    stop = self.step(state, bare, watch)
                    if stop.why != "steps":
                        return Stop(done, stop.why, stop.last, stop.written)
                case at.SLOW:
                    stop = super().run(state, 1, bare=bare, watch=watch)
                    done += stop.steps
                    if stop.why in ("trap", "watched"):
                        return Stop(done, stop.why, stop.last, stop.written)
        return Stop(done, "halted" if state.halted else "steps")


def hardware_on(below: Processor, profile: Profile, assisted: Assisted, own: Storage, *, host: Mapping[str, int] | None = None
                ) -> HardwareMonitor:
    """The profile's monitor on ``below``: in generated code where that can be."""
    if isinstance(below, JittedProcessor) and profile.name in below.machine.generated.monitors:
        return NativeHardwareMonitor(below, profile, assisted, own, host=host)
    return HardwareMonitor(below, profile, assisted, own, host=host)


__all__ = ["NativeHardwareMonitor", "hardware_on"]
