"""An instruction in states v and f(v), in batches: whether the VM map of a profile commutes with it on the jitted machine.

CACM 17(7), 1974, "Virtual machine map". What the monitor owns and nothing else depends on has another value under the
monitor; what decides where an address lands has the guest's own, as in :mod:`machine.monitors.vmmap`. Where the profile fixes
or computes that, the guest's own is what the profile wants: otherwise the two would be looking at different storage.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Cell, Form, Monitor
from isa_specs.encoding import EncodeError
from machine.batch import ILEN, STATUS, STORED, random_rows
from machine.batch_map import BatchMap
from machine.cases import LOW_PAGES, PAGE, Backed, Background, Sampler
from machine.columns import Rows
from machine.generated import slots
from machine.generated.facts import Analysis
from machine.jitted import JittedMachine
from machine.monitored import Square, compare_square
from machine.sampling import LegalStates
from machine.state import State

LOT = 20_000  # states over one background
PIECE = 1000  # of these at a time, so that they stay in the processor's caches
CODES = 40  # instructions of a lot
PLACES = 4  # where a state of the pool has its instruction
CANDIDATES = 80
LOOKED_AT = 5  # squares of a lot that are looked at closely
ALIKE = [ILEN, STORED]  # of an outcome, besides what it is


@dataclass(slots=True)
class SquareLot:
    """``intercepted``: the monitor is told; ``equal``: both go on, or trap, alike. ``wrong`` has squares that do not commute."""

    did: Counter[str] = field(default_factory=Counter)
    wrong: list[Square] = field(default_factory=list)


class BatchSquares:
    """Squares of one profile under its ``controls``. Raises :class:`MachineError` as :class:`BatchMap` does."""

    def __init__(self, machine: JittedMachine, profile: Monitor, controls: Mapping[str, int] | None = None):
        self.profile, self.isa, self.controls = profile, machine.isa, dict(controls or {})
        for name, keep in profile.keeps.items():
            if keep.how == "control":
                self.controls.setdefault(name, 0)
        self.sampler = Sampler(machine)
        self.batch = self.sampler.batch
        self.plain = self.sampler.plain
        self.map = BatchMap(self.batch, self.plain, profile, self.controls)
        conditions = [condition for _, condition in profile.assumptions if condition is not None]
        self.legal = LegalStates(self.isa, conditions)
        located = self._located(Analysis(self.isa))
        tied = located | {name for condition in self.legal.invariants for name in self.legal.support(condition)}
        tied |= {name for target in tied & set(self.map.values) for name in self.map.reads[target]}
        self.same = [(name, value) for name, (cell, value) in self.map.values.items() if name in located and not self._moves(cell)]
        self.addresses = [cell for cell in self.isa.cells.values()
                          if cell.name in located and cell.role.name == "relocation" and PAGE < cell.width <= 64]
        components = {component.name for component in self.isa.components()}
        self.free = self.map.columns(components - tied - {self.isa.counter.name})
        self.varied = self.map.columns(self.map.owned - tied - set(self.map.values))
        names = list(machine.generated.layout.spaces)
        self.spaces = np.array([names.index(name) for name in self.map.owned if name in names], np.int64)
        self._base: tuple[int, Rows, list[tuple[Rows, int]]] | None = None

    def _located(self, analysis: Analysis) -> set[str]:
        """The components that translations and the fetch look at."""
        found = {name for space in self.isa.spaces.values() for name in analysis.space(space).reads}
        for expression in self.isa.contexts.values():
            found |= analysis.expression(expression).reads
        return found | (analysis.function(self.isa.fetch).reads if self.isa.fetch is not None else set())

    def _moves(self, cell: Cell) -> bool:
        """Whether a component may be another on the real machine although translations look at it: in another mode an address has the
        same place, or the monitor is told."""
        return cell.role.name == "mode" and "memory" in self.profile.traps

    # ---- states --------------------------------------------------------------------------

    def _prepared(self, seed: int) -> tuple[Rows, list[tuple[Rows, int]], Background]:
        """Values of each column, so many that there is a piece behind each of LOT places; and legal states v with legal f(v), each with
        the address its instruction is at."""
        background = self.sampler.background(seed, 0)
        if self._base is None or self._base[0] != seed:
            rng = random.Random(f"{self.isa.name} {self.profile.name} {seed}")
            found: list[tuple[Rows, int]] = []
            states = [self.legal.state(rng, identity=number % 10 < 6) for number in range(CANDIDATES)]
            numbers = np.random.default_rng(seed)
            for state in states:
                if state is None or not self._settled(state, numbers):
                    continue
                state.memory = {name: Backed(background, name) for name in state.memory}
                places = 0
                for address in [*(page << PAGE | rng.randrange(1 << PAGE) & ~1 for page in range(LOW_PAGES)), 0, 16]:
                    state.cells[self.isa.counter.name] = address & (1 << self.isa.counter.width) - 1
                    place, end = (self.plain.fetch_place(state, offset) for offset in (0, 15))
                    if place and end and end[1] == place[1] + 15 and place[0] == self.batch.space and places < PLACES:
                        row = self.batch.rows(1)[0]
                        self.batch.set(row, {**state.cells, **state.arrays})
                        found.append((row, place[1]))
                        places += 1
            base = np.ascontiguousarray(random_rows(self.batch, LOT, seed).T)
            for column, width in self.sampler.elements:  # half of them addresses
                some = np.flatnonzero(numbers.random(LOT) < 0.5)
                base[column, some] = self.sampler.near(numbers, len(some), width)
            self._base = seed, np.concatenate([base, base[:, :PIECE]], axis=1), found
        return self._base[1], self._base[2], background

    def _settled(self, state: State, numbers: np.random.Generator) -> bool:
        """Have translations find what they look for in pages that are not empty, and look at the same on both machines; whether state and
        image are legal then."""
        for name, value in self.same:
            state.cells[name] = self.plain.evaluate(value, state)
        for cell in self.addresses:
            if numbers.random() < 0.5 and cell.name not in self.map.values:
                before = state.cells[cell.name]
                state.cells[cell.name] = int(self.sampler.near(numbers, 1, cell.width)[0])
                if not self._fits(state):
                    state.cells[cell.name] = before
        return self._fits(state) and not self.plain.legal(self.map.image(state))

    def _fits(self, state: State) -> bool:
        return all(self.plain.evaluate(condition, state) for condition in self.legal.invariants)

    def rows(self, form: Form, seed: int, lot: int, count: int) -> Iterator[tuple[Rows, Rows]]:
        """States v and f(v), some at a time; none where no legal state or instruction was found."""
        base, pool, _ = self._prepared(seed)
        name = f"{self.isa.name} {form.instruction} {form.template} {lot}"
        rng, codes = np.random.default_rng([seed, zlib.crc32(name.encode())]), self._codes(form, random.Random(f"{seed} {name}"))
        if not pool or not codes:
            return
        legal, places = np.stack([row for row, _ in pool]), np.array([place for _, place in pool], np.int64)
        words = [np.array([int.from_bytes(code[at : at + 8].ljust(8, b"\0"), "little", signed=True) for code in codes]) for at in (0, 8)]
        lengths = [np.array([max(0, min(8, len(code) - at)) for code in codes]) for at in (0, 8)]
        starts, varied = (rng.integers(0, LOT, len(columns)) for columns in (self.free, self.varied))
        for first in range(0, count, PIECE):
            size = min(PIECE, count - first)
            chosen, which = rng.integers(0, len(pool), size), rng.integers(0, len(codes), size)
            virtual = legal[chosen]
            self._vary(virtual, self.free, base, starts + first)
            for number in range(2):
                at = self.batch.state_words + 3 * number
                virtual[:, at] = places[chosen] + 8 * number
                virtual[:, at + 1], virtual[:, at + 2] = lengths[number][which], words[number][which]
            real = virtual.copy()
            self._vary(real, self.varied, base, varied + first)
            self.map.give(virtual, real)
            yield virtual, real

    @staticmethod
    def _vary(rows: Rows, columns: Rows, base: Rows, starts: Rows) -> None:
        """Give each component values of its own, beside others than in the rows they are taken from."""
        for column, start in zip(columns.tolist(), (starts % LOT).tolist(), strict=True):
            rows[:, column] = base[column, start : start + len(rows)]

    def _codes(self, form: Form, rng: random.Random) -> list[bytes]:
        found = []
        for _ in range(CODES):
            try:
                found.append(self.sampler.codes.encode(form, self.sampler.codes.random_fields(form, rng)))
            except EncodeError:
                continue
        return found

    # ---- squares -------------------------------------------------------------------------

    def lot(self, form: Form, seed: int, number: int, count: int = LOT) -> SquareLot:
        """``count`` squares of a form."""
        background, found = self.sampler.background(seed, 0), SquareLot()
        self.sampler.lay(background)
        self.batch.choose(bare=False, undefined=0)
        for v, r in self.rows(form, seed, number, count):
            self._compare(v, r, background, found)
        return found

    def _compare(self, v: Rows, r: Rows, background: Background, found: SquareLot) -> None:
        said = self.judged(v, r)
        found.did.update(said.tolist())
        for i in np.flatnonzero(said == "unequal")[: LOOKED_AT - len(found.wrong)]:
            found.wrong.append(self.square(v[i], r[i], background))

    def judged(self, before_v: Rows, before_r: Rows) -> NDArray[np.str_]:
        """Run from both; what became of each square: ``intercepted``, ``equal``, ``unequal``, or ``plain`` where generated code does not
        say. The rows stay as they are."""
        v, r = before_v.copy(), before_r.copy()
        self.batch.run(v)
        self.batch.run(r)
        one, two = self.batch.outcomes(v), self.batch.outcomes(r)
        plain = (one[:, STATUS] == slots.PLAIN) | (two[:, STATUS] == slots.PLAIN)
        same = self.map.commutes(v, r, before_v, before_r) & ~self._stores_to_owned(r) & ~self._stores_to_owned(v)
        same &= (_cause(one[:, STATUS]) == _cause(two[:, STATUS])) & (one[:, ALIKE] == two[:, ALIKE]).all(axis=1)
        same &= (one[:, STATUS] >= 0) | (one[:, STORED + 1 :] == two[:, STORED + 1 :]).all(axis=1)  # a trap's arguments
        return np.select([plain, self._intercepted(two[:, STATUS]), same], ["plain", "intercepted", "equal"], "unequal")

    def _intercepted(self, statuses: Rows) -> NDArray[np.bool_]:
        """Which runs end in the monitor."""
        kinds = [trap.kind in self.profile.traps for trap in self.isa.traps.values()]
        told = np.array([["memory" in self.profile.traps if memory else kind for memory in (0, 1)] for kind in kinds]).reshape(-1)
        ends: NDArray[np.bool_] = told[np.clip(-1 - statuses, 0, len(told) - 1)]
        return ends & (statuses < 0)

    def _stores_to_owned(self, rows: Rows) -> NDArray[np.bool_]:
        count, places = self.batch.listed(rows)
        found, some = np.zeros(len(rows), np.bool_), np.flatnonzero(count)
        if len(self.spaces) and len(some):
            listed = places[some, : int(count.max())]
            there = np.arange(listed.shape[1]) < count[some, None]
            found[some] = (there & np.isin(listed >> slots.SPACE_SHIFT, self.spaces)).any(axis=1)
        return found

    def square(self, virtual: Rows, real: Rows, background: Background) -> Square:
        """The same square on the plain machine, which is the definition."""
        return compare_square(self.plain, self.profile, self.sampler.state(virtual, background), self.sampler.state(real, background),
                              controls=self.controls)


def _cause(statuses: Rows) -> Rows:
    """Statuses, whatever kind of trap it was that is raised as several."""
    return np.where(statuses < 0, statuses | 1, statuses)
