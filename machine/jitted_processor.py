"""The jitted machine as a processor: what monitors and sessions stand on, at speed."""

from __future__ import annotations

from dataclasses import dataclass

from isa_specs.core import Isa, Trap
from machine.generated import slots
from machine.generated.memory import Record
from machine.generated.slots import EVERY_KIND
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine
from machine.monitors.processor import NOTHING, Counters, PlainProcessor, Stop, Watch, deliver, watched
from machine.monitors.windows import Storage
from machine.outcomes import Trapped
from machine.plain import StepResult
from machine.rooms import GRAIN
from machine.state import Memory, Place, Recorder, State


def can_map(memory: Memory) -> bool:
    """Whether generated code can be shown this storage where it lies."""
    return isinstance(memory, Storage) and memory.room is not None and not (memory.origin | len(memory)) % GRAIN


def conditions_in(record: Record, watch: Watch) -> list[list[tuple[int, int]]] | None:
    """What is waited for, as words of the record with their values; None where it is more than words."""
    found: list[list[tuple[int, int]]] = []
    for condition in watch.conditions:
        words = [(record.layout.word(name, index), value) for (name, index), value in condition]
        if any(word is None for word, _ in words):
            return None
        found.append([(word, value) for word, value in words if word is not None])
    return found


@dataclass(frozen=True, slots=True)
class _Writers:
    """Who may write what is watched: forms, by number, and deliveries, by number of their trap. ``exact``: those of them after which
    it has to be known whether they did."""

    forms: list[bool]
    exact_forms: list[bool]
    deliveries: frozenset[int]
    exact_deliveries: frozenset[int]


class JittedProcessor:
    """A processor that runs generated code on a :class:`GeneratedState`; on any other state it is the plain one.

    What may write a watched component is found beforehand. Where the write itself matters, the plain machine does it, which tells
    what it wrote; where a condition matters, it is tried after each such instruction. All others run unwatched."""

    def __init__(self, isa: Isa, machine: JittedMachine | None = None):
        self.isa = isa
        self.machine = machine or JittedMachine(isa)
        self.counters = Counters()
        self._plain = PlainProcessor(isa, self.machine)
        self._plain.counters = self.counters
        self._known: dict[frozenset[str], tuple[list[bool], frozenset[int]]] = {}

    def writers(self, names: frozenset[str]) -> tuple[list[bool], frozenset[int]]:
        """The forms, and the numbers of the traps whose delivery, may write one of these components."""
        if names not in self._known:
            writers, numbers = self.machine.generated.writers, range(len(self.isa.forms))
            forms = {number for name in names for number in writers.forms.get(name, ())}
            if forms:
                forms.update(writers.executing)
            deliveries = frozenset(number for name in names for number in writers.deliveries.get(name, ()))
            self._known[names] = [number in forms for number in numbers], deliveries
        return self._known[names]

    def _writers(self, watch: Watch) -> _Writers:
        forms, deliveries = self.writers(watch.names)
        return _Writers(forms, self.writers(watch.written)[0], deliveries, self.writers(watch.written)[1])

    def prepared(self, state: State) -> GeneratedState:
        """See :class:`machine.monitors.processor.Processor`."""
        made = self.machine.state()
        installed = {name: memory for name, memory in state.memory.items() if can_map(memory)}
        made.assign(state, installed)
        for name, memory in installed.items():
            assert isinstance(memory, Storage)
            assert memory.room is not None
            made.record.spaces[name].install(memory.room, memory.origin, len(memory))
        return made

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Watch = NOTHING) -> Stop:
        """See :class:`machine.monitors.processor.Processor`."""
        if not isinstance(state, GeneratedState):
            return self._plain.run(state, max_steps, bare=bare, watch=watch)
        record, machine, counters = state.record, self.machine, self.counters
        writers = self._writers(watch)
        record.set_stops([], writers.forms)
        record[slots.PASS] = 0
        known = conditions_in(record, watch)
        if known is not None:
            record.wait_for(known)
        leave = EVERY_KIND if not bare or known is None or writers.exact_deliveries else 0
        done, last = 0, None
        while done < max_steps:
            if state.halted:
                return Stop(done, "halted", last)
            steps, status = machine.go(state, max_steps - done, leave)
            tried = status == slots.STOPPED and not writers.exact_forms[record[slots.FORM]]
            if tried:
                record[slots.PASS] = state.cells[self.isa.counter.name] + 1
                more, status = machine.go(state, 1, leave)
                steps += more
            done += steps
            if record[slots.DELIVERED]:
                delivered = machine.delivered(state)
                counters.traps += delivered
                counters.delivered += delivered.total()
                counters.direct -= delivered.total()
            if status in (slots.STOPPED, slots.PLAIN):
                counters.direct += steps
                stop = self._plain.run(state, 1, bare=bare, watch=watch)
                done, last = done + stop.steps, stop.last
                if stop.why in ("trap", "watched"):
                    return Stop(done, stop.why, last, stop.written)
                continue
            written: frozenset[Place] = frozenset()
            if status < 0:
                counters.direct += steps - 1
                last = machine.at_trap(state, status)
                assert isinstance(last.outcome, Trapped)
                counters.traps[last.outcome.trap.name] += 1
                if not bare:
                    return Stop(done, "trap", last)
                counters.delivered += 1
                written = self._delivered(state, last, status, writers, watch)
            else:
                counters.direct += steps
                if tried or status == slots.MET:
                    written = watch.met(state)
            if written:
                return Stop(done, "watched", last, written)
        return Stop(done, "halted" if state.halted else "steps", last)

    def _delivered(self, state: GeneratedState, last: StepResult, status: int, writers: _Writers, watch: Watch) -> frozenset[Place]:
        outcome, number = last.outcome, (-1 - status) // 2
        assert isinstance(outcome, Trapped)
        recorder = Recorder() if number in writers.exact_deliveries else None
        self.machine.deliver(outcome.trap, outcome.args, state, outcome.ilen, recorder)
        if recorder is None:
            return watch.met(state) if number in writers.deliveries else frozenset()
        return watched(recorder, watch, state)

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Watch = NOTHING) -> frozenset[Place]:
        return deliver(self.machine, trap, args, state, ilen, watch)
