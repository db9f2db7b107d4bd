"""An instruction in states v and f(v), in batches: whether the VM map of a profile commutes with it on the jitted machine.

CACM 17(7), 1974, "Virtual machine map". What the monitor owns and nothing else depends on has another value under the
monitor; what decides where an address lands has the guest's own, as in :mod:`machine.monitors.vmmap`.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Const, Form, Monitor
from isa_specs.encoding import EncodeError
from machine.batch import ILEN, STATUS, STORED, random_rows
from machine.cases import LOW_PAGES, PAGE, Backed, Background, Sampler
from machine.errors import MachineError
from machine.generated import slots
from machine.generated.facts import Analysis
from machine.jitted import JittedMachine
from machine.monitored import Square, compare_square
from machine.sampling import LegalStates
from machine.state import State

LOT = 20_000  # states over one background
CODES = 400  # instructions of a lot
PLACES = 4  # where a state of the pool has its instruction
CANDIDATES = 80
LOOKED_AT = 5  # squares of a lot that are looked at closely

Rows = NDArray[np.int64]


@dataclass(slots=True)
class SquareLot:
    """``intercepted``: the monitor is told; ``equal``: both go on, or trap, alike. ``wrong`` has squares that do not commute."""

    did: Counter[str] = field(default_factory=Counter)
    wrong: list[Square] = field(default_factory=list)


class BatchSquares:
    """Squares of one profile. Raises :class:`MachineError` for a profile whose map is not made of constants."""

    def __init__(self, machine: JittedMachine, profile: Monitor, controls: Mapping[str, int] | None = None):
        self.profile, self.isa, self.controls = profile, machine.isa, dict(controls or {})
        self.sampler = Sampler(machine, threads=0)
        self.batch = self.sampler.batch
        self.plain = self.sampler.plain
        self.pinned: dict[str, int] = {}
        for name, keep in profile.keeps.items():
            if keep.how == "control":
                self.pinned[name] = self.controls.setdefault(name, 0)
            elif isinstance(keep.value, Const):
                self.pinned[name] = keep.value.value
            elif keep.how not in ("guest", "host"):
                raise MachineError(f"{profile.name} maps {name} to what is not a constant")
        conditions = [condition for _, condition in profile.assumptions if condition is not None]
        self.legal = LegalStates(self.isa, conditions)
        self.tied = self._tied(Analysis(self.isa))
        self.owned = {name for name, keep in profile.keeps.items() if keep.how != "guest"}
        self.free = self._columns(lambda name: name not in self.tied and name != self.isa.counter.name)
        self.guest = self._columns(lambda name: name not in self.owned)
        self.kept = self._columns(lambda name: name in self.owned)
        self.varied = self._columns(lambda name: name in self.owned and name not in self.tied and name not in self.pinned)
        names = list(machine.generated.layout.spaces)
        self.spaces = np.array([names.index(name) for name in self.owned if name in names], np.int64)
        self._base: tuple[int, Rows, list[tuple[Rows, int]]] | None = None

    def _tied(self, analysis: Analysis) -> set[str]:
        """The components that invariants, translations and the fetch look at."""
        found = {name for condition in self.legal.invariants for name in self.legal.support(condition)}
        for space in self.isa.spaces.values():
            found |= analysis.space(space).reads
        for expression in self.isa.contexts.values():
            found |= analysis.expression(expression).reads
        return found | (analysis.function(self.isa.fetch).reads if self.isa.fetch is not None else set())

    def _columns(self, wanted) -> Rows:  # type: ignore[no-untyped-def]
        """The columns of cells and arrays with such names."""
        layout = self.batch.machine.generated.layout
        found: list[int] = []
        for name, room in [*layout.cells.items(), *layout.arrays.items()]:
            if wanted(name):
                first = self.batch.column(name)
                found += range(first, first + room.limbs * room.length)
        return np.array(found, np.int64)

    # ---- states --------------------------------------------------------------------------

    def _prepared(self, seed: int) -> tuple[Rows, list[tuple[Rows, int]], Background]:
        """Rows to take values from; and legal states v with legal f(v), each with the address its instruction is at."""
        background = self.sampler.background(seed, 0)
        if self._base is None or self._base[0] != seed:
            rng = random.Random(f"{self.isa.name} {self.profile.name} {seed}")
            found: list[tuple[Rows, int]] = []
            states = [self.legal.state(rng, identity=number % 10 < 6) for number in range(CANDIDATES)]
            for state in states:
                if state is None or not self._legal_image(state):
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
            self._base = seed, random_rows(self.batch, LOT, seed), found
        return self._base[1], self._base[2], background

    def _legal_image(self, state: State) -> bool:
        """Whether f of a legal state is legal."""
        twin = state.copy()
        for name, value in self.pinned.items():
            if name in twin.cells:
                twin.cells[name] = value
        return not self.plain.legal(twin)

    def rows(self, form: Form, seed: int, lot: int, count: int) -> tuple[Rows, Rows, Background]:
        """States v and f(v); none where no legal state or instruction was found."""
        base, pool, background = self._prepared(seed)
        name = f"{self.isa.name} {form.instruction} {form.template} {lot}"
        rng, codes = np.random.default_rng([seed, zlib.crc32(name.encode())]), self._codes(form, random.Random(f"{seed} {name}"))
        if not pool or not codes:
            return self.batch.rows(0), self.batch.rows(0), background
        virtual = self.batch.rows(count)
        chosen = rng.integers(0, len(pool), count)
        virtual[:] = np.stack([row for row, _ in pool])[chosen]
        for column, start in zip(self.free, rng.integers(0, LOT, len(self.free)), strict=True):
            virtual[:, column] = np.roll(base[:, column], start)[:count]  # each component with others of another state
        for column, width in self.sampler.elements:
            some = np.flatnonzero(rng.random(count) < 0.5)
            virtual[some, column] = self.sampler.near(rng, len(some), width)
        which = rng.integers(0, len(codes), count)
        places = np.array([place for _, place in pool], np.int64)[chosen]
        at = self.batch.state_words
        for number in range(2):
            words = np.array([int.from_bytes(code[8 * number : 8 * number + 8].ljust(8, b"\0"), "little", signed=True) for code in codes])
            lengths = np.array([max(0, min(8, len(code) - 8 * number)) for code in codes])
            virtual[:, at + 3 * number] = places + 8 * number
            virtual[:, at + 3 * number + 1], virtual[:, at + 3 * number + 2] = lengths[which], words[which]
        real = virtual.copy()
        for column, start in zip(self.varied, rng.integers(0, LOT, len(self.varied)), strict=True):
            real[:, column] = np.roll(base[:, column], start)[:count]
        for component, value in self.pinned.items():
            if component in self.isa.cells:
                real[:, self.batch.column(component)] = value
        return virtual, real, background

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
        v, r, background = self.rows(form, seed, number, count)
        before_v, before_r, found = v.copy(), r.copy(), SquareLot()
        self.sampler.lay(background)
        self.batch.choose(bare=False, undefined=0)
        self.batch.run(v)
        self.batch.run(r)
        one, two = self.batch.outcomes(v), self.batch.outcomes(r)
        plain = (one[:, STATUS] == slots.PLAIN) | (two[:, STATUS] == slots.PLAIN)
        intercepted = self._intercepted(two[:, STATUS])
        same = (v[:, self.guest] == r[:, self.guest]).all(axis=1) & (v[:, self.kept] == before_v[:, self.kept]).all(axis=1)
        same &= (r[:, self.kept] == before_r[:, self.kept]).all(axis=1) & ~self._stores_to_owned(r) & ~self._stores_to_owned(v)
        compared = [STATUS, ILEN, STORED, *range(STORED + 1, one.shape[1])]
        trapped = one[:, STATUS] < 0
        same &= (one[:, compared] == two[:, compared])[:, : 3].all(axis=1)
        same &= ~trapped | (one[:, compared] == two[:, compared]).all(axis=1)
        found.did["intercepted"] += int((intercepted & ~plain).sum())
        found.did["plain"] += int(plain.sum())
        found.did["equal"] += int((same & ~intercepted & ~plain).sum())
        for i in np.flatnonzero(~same & ~intercepted & ~plain):
            found.did["unequal"] += 1
            if len(found.wrong) < LOOKED_AT:
                found.wrong.append(self._square(before_v[i], before_r[i], background))
        return found

    def _intercepted(self, statuses: Rows) -> NDArray[np.bool_]:
        """Which runs end in the monitor."""
        kinds = [trap.kind in self.profile.traps for trap in self.isa.traps.values()]
        told = np.array([["memory" in self.profile.traps if memory else kind for memory in (0, 1)] for kind in kinds]).reshape(-1)
        ends: NDArray[np.bool_] = told[np.clip(-1 - statuses, 0, len(told) - 1)]
        return ends & (statuses < 0)

    def _stores_to_owned(self, rows: Rows) -> NDArray[np.bool_]:
        count, places = self.batch.listed(rows)
        there = np.arange(places.shape[1])[None, :] < count[:, None]
        found: NDArray[np.bool_] = np.any(there & np.isin(places >> slots.SPACE_SHIFT, self.spaces), axis=1)
        return found

    def _square(self, virtual: Rows, real: Rows, background: Background) -> Square:
        return compare_square(self.plain, self.profile, self.sampler.state(virtual, background), self.sampler.state(real, background),
                              controls=self.controls)
