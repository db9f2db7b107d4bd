"""The jitted machine as a processor: what monitors and sessions stand on, at speed."""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property

from isa_specs.core import Isa, Trap
from machine.generated import slots
from machine.generated.facts import Analysis
from machine.generated.state import GeneratedState
from machine.jitted import EVERY_KIND, JittedMachine
from machine.monitors.processor import Counters, PlainProcessor, Stop, deliver, watched
from machine.outcomes import Trapped
from machine.plain import StepResult
from machine.state import Place, Recorder, State


class JittedProcessor:
    """A processor that runs generated code on a :class:`GeneratedState`; on any other state it is the plain one.

    Instructions and deliveries that may write a watched component are found beforehand and left to the plain machine, which
    tells what it wrote; all others run unwatched."""

    def __init__(self, isa: Isa, machine: JittedMachine | None = None):
        self.isa = isa
        self.machine = machine or JittedMachine(isa)
        self.counters = Counters()
        self._plain = PlainProcessor(isa, self.machine)
        self._plain.counters = self.counters
        self._forms: dict[frozenset[str], tuple[list[bool], frozenset[int]]] = {}

    @cached_property
    def _analysis(self) -> Analysis:
        return Analysis(self.isa)

    def _writers(self, watch: frozenset[str]) -> tuple[list[bool], frozenset[int]]:
        """The forms, and the numbers of the traps whose delivery, may write what is watched."""
        if watch not in self._forms:
            facts = [self._analysis.body(form.body) for form in self.isa.forms]
            writes = [bool(watch & found.writes) for found in facts]
            if any(writes):  # an EXECUTE may carry out any of them
                writes = [wrote or found.executes for wrote, found in zip(writes, facts, strict=True)]
            deliveries = frozenset(number for number, trap in enumerate(self.isa.traps.values())
                                   if trap.delivery is not None and watch & self._analysis.function(trap.delivery).writes)
            self._forms[watch] = (writes if watch else [False] * len(facts)), deliveries
        return self._forms[watch]

    def prepared(self, state: State) -> State:
        """See :class:`machine.monitors.processor.Processor`."""
        return self.machine.state(like=state)

    def run(self, state: State, max_steps: int, *, bare: bool = False, watch: Set[str] = frozenset()) -> Stop:
        """See :class:`machine.monitors.processor.Processor`."""
        if not isinstance(state, GeneratedState):
            return self._plain.run(state, max_steps, bare=bare, watch=watch)
        record, machine, counters = state.record, self.machine, self.counters
        forms, deliveries = self._writers(frozenset(watch)) if watch else ([False] * len(self.isa.forms), frozenset[int]())
        record.set_stops([], forms)
        leave = 0 if bare and not deliveries else EVERY_KIND
        done, last = 0, None
        while done < max_steps:
            if state.halted:
                return Stop(done, "halted", last)
            steps, status = machine.go(state, max_steps - done, leave)
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
            elif status < 0:
                counters.direct += steps - 1
                last = machine.at_trap(state, status)
                assert isinstance(last.outcome, Trapped)
                counters.traps[last.outcome.trap.name] += 1
                if not bare:
                    return Stop(done, "trap", last)
                counters.delivered += 1
                written = self._delivered(state, last, status, deliveries, watch)
                if written:
                    return Stop(done, "watched", last, written)
            else:
                counters.direct += steps
        return Stop(done, "halted" if state.halted else "steps", last)

    def _delivered(self, state: GeneratedState, last: StepResult, status: int, deliveries: frozenset[int],
                   watch: Set[str]) -> frozenset[Place]:
        outcome = last.outcome
        assert isinstance(outcome, Trapped)
        recorder = Recorder() if (-1 - status) // 2 in deliveries else None
        self.machine.deliver(outcome.trap, outcome.args, state, outcome.ilen, recorder)
        return watched(recorder, watch)

    def deliver(self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, watch: Set[str] = frozenset()) -> frozenset[Place]:
        return deliver(self.machine, trap, args, state, ilen, watch)
