"""A monitor whose dispatcher, allocator and interpreters are generated code: the whole way from a trap back to the guest is.

It leaves generated code for what the board has to be told of, halts, and what generated code does not do; that the monitor it is derived
from does, on the same state. The state is a :class:`GeneratedState` that holds the guest's machine; while the guest runs, and only then,
it holds the real one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from isa_specs import core
from isa_specs.core import Monitor as Profile
from machine.generated import monitor_slots as at
from machine.generated import slots
from machine.generated.block import Block, Pointers
from machine.generated.facts import physical
from machine.generated.memory import Cells
from machine.generated.monitoring import maps_of
from machine.generated.state import GeneratedState
from machine.jitted_processor import JittedProcessor, can_map, conditions_in
from machine.monitors.monitor import Monitor
from machine.monitors.processor import NOTHING, Counters, Processor, Stop, Watch
from machine.monitors.vmmap import TABLE_ROOM
from machine.rooms import GRAIN
from machine.state import State


class Native(Monitor):
    """What monitors in generated code have in common: a block, as soon as there is a guest, and what it counts."""

    processor: JittedProcessor
    block: Block | None = None
    _watch: Watch | None = None

    @property
    def counters(self) -> Counters:
        """What the guest came to; generated code counts, too."""
        block, counters = self.block, self._counters
        if block is not None:
            counters.direct += block.taken(at.M_DIRECT)
            counters.emulated += block.taken(at.M_EMULATED)
            counters.interpreted += block.taken(at.M_INTERPRETED)
            counters.reflected += block.taken(at.M_REFLECTED)
            counters.entries += block.taken(at.M_ENTRIES)
            counters.traps += Counter({name: count for name, count in zip(self.isa.traps, block.traps(), strict=True) if count})
            counters.disturbed += Counter(block.disturbed(self.map.owned))
        return counters

    def at(self, state: State) -> Block | None:
        """The block, when this is the state it was laid out for."""
        block = self.block
        return block if block is not None and isinstance(state, GeneratedState) and state.record is block.record else None

    def waits_for(self, watch: Watch) -> bool:
        """Have generated code stop for ``watch``; False where it cannot."""
        if watch == self._watch:
            return True
        assert self.block is not None
        forms, deliveries = self.processor.writers(watch.written)
        conditions = conditions_in(self.block.record, watch)
        if deliveries or conditions is None:
            return False
        below = watch.among(self.map.shared)
        if isinstance(self.below, Native):
            if not self.below.waits_for(below):
                return False
        else:
            self.block.record.set_stops([], self.processor.writers(below.names)[0])
        self.block.wait_for(forms, conditions)
        self._watch = watch
        return True


class NativeMonitor(Native):
    """See :class:`machine.monitors.monitor.Monitor`. ``below`` is a jitted processor, or another monitor of this kind."""

    def __init__(self, below: JittedProcessor | NativeMonitor, profile: Profile, *, hybrid: bool = False,
                 host: Mapping[str, int] | None = None):
        super().__init__(below, profile, hybrid=hybrid, host=host)
        self.processor = below.processor if isinstance(below, NativeMonitor) else below
        self.level: int = below.level + 1 if isinstance(below, NativeMonitor) else 1
        self._tables: Cells | None = None  # storage as the machines below its guest's see it, where tables are moved

    # ---- laying out --------------------------------------------------------------------------------

    def prepared(self, state: State) -> State:
        """The guest's state on the machine of generated code, with a block for each monitor down to it."""
        if self.map.moved() and not self._can_move(state):
            return super().prepared(state)
        made = self.processor.prepared(state)
        seen = self._seen(made)
        above: Block | None = None
        pointers: Pointers = {}
        monitor: Processor = self
        while isinstance(monitor, NativeMonitor):
            above = monitor.block = monitor._laid_out(made, above, pointers, seen)
            monitor._watch = None
            pointers, monitor = above.real, monitor.below
        record = made.record
        assert self.block is not None
        self.block.moves(self._bases())
        record[slots.VIEW] = record[slots.TOP] = self.level
        record[slots.DECODED] = record[slots.OTHER_TABLE]
        record[slots.STOP_FORMS] = self.block.address + self.block.stops_at
        record.forget()
        return made

    def _laid_out(self, state: GeneratedState, above: Block | None, virtual: Pointers, seen: dict[str, Cells]) -> Block:
        vm, isa = self.map, self.isa
        maps = [name for name, _ in maps_of(self.profile)]
        block = Block(
            state.record, level=self.level, profile=self.processor.machine.generated.monitors.index(self.profile.name),
            mode=at.IN_USER_MODE if self.hybrid else at.ALWAYS,
            kinds=sum(1 << core.TRAP_KINDS.index(kind) for kind in self.profile.traps),
            effects=[self._has_effects(form) for form in isa.forms], above=above, virtual=virtual, given=[*vm.given, *maps],
            host=[name for name in vm.host if name not in maps],
            apart=[room for name, room in state.record.layout.arrays.items() if vm.owner(name) == "host"],
            spaces={name: state.record.another(name) for name in state.memory if vm.owner(name) == "host"} | seen,
        )  # fmt: skip
        for name, value in vm.given.items():
            block.give(name, value)
        return block

    def _bases(self) -> list[str]:
        return [space.base.name for space, _ in self.map.moved() if space.base is not None]

    def _can_move(self, state: State) -> bool:
        onto = {physical(space).name for space, _ in self.map.moved()}
        return all(can_map(state.memory[name]) for name in onto) and len(onto) == 1

    def _seen(self, state: GeneratedState) -> dict[str, Cells]:
        """Storage with the moved tables behind it. A monitor below moves them to where they are already."""
        if not self.map.moved():
            return {}
        name = physical(self.map.moved()[0][0]).name
        self._tables = state.record.spaces[name].another()
        return {name: self._tables}

    def _move(self, virtual: GeneratedState, block: Block) -> None:
        """Have the real machine see the guest's tables where the monitor has put them."""
        assert self._tables is not None
        for space, start in self.map.moved():
            assert space.base is not None
            base, table = virtual.cells[space.base.name], self.map.table(space, 0, virtual)
            first = table // GRAIN * GRAIN if table is not None else 0
            size = max(0, min(TABLE_ROOM, self._tables.installed - first)) if table is not None else 0
            self._tables.hide(start, TABLE_ROOM)
            if size:
                self._tables.show(start, first, size)
            block.made_from(space.base.name, base)
            monitor: Processor = self
            while isinstance(monitor, NativeMonitor):
                if monitor.block is not None:
                    monitor.block.give(space.base.name, start + base % GRAIN)
                monitor = monitor.below

    # ---- turns ----------------------------------------------------------------------------------------

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        """See :class:`machine.monitors.processor.Processor`."""
        block = self.at(state)
        if block is None or not isinstance(state, GeneratedState) or not self.waits_for(watch):
            return super().run(state, max_steps, bare=bare, watch=watch)
        record, machine, done = block.record, self.processor.machine, 0
        while done < max_steps:
            if state.halted:
                break
            steps = machine.at_most(max_steps - done)
            done += machine.code.function("turn")(record.address, block.address, steps, int(bare), block.outcome)
            match block.ended:
                case at.WATCHED:
                    return Stop(done, "watched", None, watch.met(state))
                case at.TRAPPED:
                    return Stop(done, "trap", machine.at_trap(state, record[slots.STATUS]))
                case at.STANDS:
                    state.halted = machine.why_halted(state)
                case at.MOVED:
                    self._move(state, block)
                case at.SLOW:
                    stop = super().run(state, 1, bare=bare, watch=watch)
                    done += stop.steps
                    if stop.why in ("trap", "watched"):
                        return Stop(done, stop.why, stop.last, stop.written)
        return Stop(done, "halted" if state.halted else "steps")

    # ---- the slow way ------------------------------------------------------------------------------------

    def enter(self, virtual: State) -> State:
        block = self.at(virtual)
        if block is None or not isinstance(virtual, GeneratedState):
            return super().enter(virtual)
        if self._tables is not None:
            self._move(virtual, block)
        self.processor.machine.code.function("enter")(block.record.address, block.address)
        block.record.spaces.update(block.real_spaces)
        return virtual

    def leave(self, virtual: State) -> list[str]:
        block = self.at(virtual)
        if block is None:
            return super().leave(virtual)
        before = block.disturbed(self.map.owned)
        self._counters.disturbed += Counter(before)
        self.processor.machine.code.function("leave")(block.record.address, block.address)
        block.record.spaces.update(block.virtual_spaces)
        return list(block.disturbed(self.map.owned))



def monitor_on(below: Processor, profile: Profile, *, hybrid: bool = False, host: Mapping[str, int] | None = None) -> Monitor:
    """The profile's monitor on ``below``: in generated code where that can be."""
    if isinstance(below, JittedProcessor | NativeMonitor):
        jitted = below.processor if isinstance(below, NativeMonitor) else below
        made = NativeMonitor(below, profile, hybrid=hybrid, host=host) if profile.name in jitted.machine.generated.monitors else None
        if made is not None and (not isinstance(below, NativeMonitor) or made.map.moved() == below.map.moved()):
            return made
    return Monitor(below, profile, hybrid=hybrid, host=host)


__all__ = ["Native", "NativeMonitor", "monitor_on"]
