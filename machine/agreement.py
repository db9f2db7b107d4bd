"""The jitted machine held against the plain one: the same outcome, fault for fault, and the same state after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Form
from machine.batch import STATUS
from machine.cases import Background, Sampler
from machine.comparing import differences, told
from machine.generated import slots
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from machine.plain import Machine, StepResult
from machine.state import Memory, Recorder, State

LOT = 500  # cases over one background
STORES = 520  # words: a page, and what does not begin where words do


@dataclass(slots=True)
class Disagreement:
    """A state from which the two do not do the same, and what is different after it."""

    state: State
    bare: bool
    ones: bool
    differences: str


@dataclass(slots=True)
class Lot:
    """What became of the cases of a lot: ``next``, ``trap``, and ``other`` where another form was found or none."""

    did: Counter[str] = field(default_factory=Counter)
    wrong: list[Disagreement] = field(default_factory=list)


class Pair:
    """Both machines, one case at a time. Traps are delivered where ``bare``; undefined values are all ones or all zeros."""

    def __init__(self, jitted: JittedMachine):
        self.jitted, self.plain, self.isa = jitted, Machine(jitted.isa), jitted.isa
        self.state: GeneratedState = jitted.state()

    def load(self, state: State, ones: bool = False) -> None:
        """Have the jitted machine's state be ``state``."""
        self.state.assign(state)
        self.state.record[slots.UNDEFINED] = -1 if ones else 0

    def step(self, before: State, *, ones: bool = False, bare: bool = False) -> tuple[StepResult, str]:
        """One step from ``before`` on both: what the plain machine says of it, and where they differ; empty when nowhere."""
        self.plain.oracle = self.jitted.oracle = lambda width: (1 << width) - 1 if ones else 0
        after = before.copy()
        expected = self.plain.step(after, bare=bare)
        self.load(before, ones)
        if bare and isinstance(expected.outcome, Trapped):
            self.jitted.run(self.state, 1)  # delivered by generated code
        else:
            found = self.jitted.step(self.state)
            if told(found) != told(expected):
                return expected, f"{told(found)}, not {told(expected)}"
        return expected, "" if self.state == after else differences(self.state, after)


class Agreement:
    """Lots of cases of one description, the jitted machine's in a batch."""

    def __init__(self, machine: JittedMachine):
        self.sampler, self.pair, self.isa = Sampler(machine, stores=STORES), Pair(machine), machine.isa
        self.plain = self.pair.plain
        self.cell_bytes = {name: buffer.cell_bytes for name, buffer in machine.generated.layout.spaces.items()}

    def lot(self, form: Form, seed: int, number: int, count: int = LOT) -> Lot:
        """``count`` cases of ``form``; ``number`` is the lot's."""
        sampler, batch, found = self.sampler, self.sampler.batch, Lot()
        bare, ones = number % 2 == 1, number // 2 % 2 == 1
        background = sampler.background(seed, number)
        rows = sampler.rows(form, seed, number, count, background)
        given = rows.copy()
        sampler.lay(background)
        batch.choose(bare=bare, undefined=-1 if ones else 0)
        batch.run(rows)
        self.plain.oracle = lambda width: (1 << width) - 1 if ones else 0
        statuses = batch.outcomes(rows)[:, STATUS].tolist()
        for before, row, status in zip(given, rows, statuses, strict=True):
            if status == slots.PLAIN:
                found.did["plain"] += 1
                continue
            state = sampler.state(before, background)
            stored_before = {name: memory.copy() for name, memory in state.memory.items()}
            step = self.plain.step(state, bare=bare)
            decoded = step.executed or step.decoded
            kind = "trap" if isinstance(step.outcome, Trapped) else "next"
            found.did[kind if step.decoded is not None and form in (step.decoded.form, decoded and decoded.form) else "other"] += 1
            if not self._same(row, status, step, state, stored_before, bare):
                found.wrong += self._described(sampler.state(before, background), background, bare, ones, batch.stored(row) is None)
        return found

    def _same(self, row: NDArray[np.int64], status: int, step: StepResult, after: State, before: dict[str, Memory], bare: bool) -> bool:
        batch = self.sampler.batch
        stored = batch.stored(row)
        if stored is None:
            return False  # too much to list: looked at closely
        if bare:
            same = bool(after.halted) == (status == slots.HALT)
        else:
            same = batch.trapped(row) == (step.outcome if isinstance(step.outcome, Trapped) else None)
        return same and batch.components(row) == (after.cells, after.arrays) and self._stored_alike(stored, after, before)

    def _stored_alike(self, stored: dict[tuple[str, int], int], after: State, before: dict[str, Memory]) -> bool:
        """Whether ``after`` has these words, and all other storage is as ``before``."""
        for (name, at), word in stored.items():
            size, memory = self.cell_bytes[name], after.memory[name]
            if word != sum(memory[at // size + i] << 8 * size * i for i in range(8 // size)):
                return False
        for name, memory in after.memory.items():
            size, other = self.cell_bytes[name], before[name]
            if any(other[at] != value and (name, at * size & ~7) not in stored for at, value in memory.items()):
                return False
        return True

    def _described(self, start: State, background: Background, bare: bool, ones: bool, unlisted: bool) -> list[Disagreement]:
        """The disagreement with the storage that matters, or with all of it; none where stores were only too many to list."""
        for state in (touched(start, self.plain), whole(start, background)):
            _, text = self.pair.step(state, ones=ones, bare=bare)
            if text:
                return [Disagreement(state, bare, ones, text)]
        return [] if unlisted else [Disagreement(touched(start, self.plain), bare, ones, "only in a batch, not in a single step")]


def touched(state: State, plain: Machine) -> State:
    """The state with no more of its storage than a step looks at."""
    recorder = Recorder()
    plain.step(state.copy(), bare=True, recorder=recorder)
    used = recorder.read | recorder.written
    out = state.copy()
    for name, memory in state.memory.items():
        kept = sorted({*memory, *(at for space, at in used if space == name)})
        out.memory[name] = Memory((at, memory[at]) for at in kept)
    return out


def whole(state: State, background: Background) -> State:
    """The state with all of its storage."""
    out = state.copy()
    for name, memory in state.memory.items():
        out.memory[name] = Memory({**background.everything(name), **memory}.items())
    return out
