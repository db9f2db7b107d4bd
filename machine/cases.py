"""Rows for batches: random states with an instruction where the counter finds it, over storage full of edges.

All is a function of the description, the form, the seed and the number of the lot, so that any case can be made again.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Cell, Form, Isa
from isa_specs.encoding import EncodeError, decoder
from isa_specs.evaluate import Evaluator, NotPure, compiled
from machine.batch import Batch, random_rows
from machine.errors import MachineError
from machine.generated.facts import Analysis
from machine.jitted import JittedMachine
from machine.plain import Machine
from machine.sampling import LegalStates, number
from machine.state import Memory, State

PAGE = 12  # bits of an address within a page of the background
LOW_PAGES = 8
SMALL_SPACE = 1 << 13  # cells of a space that all get values
CODES = 5  # cases an instruction serves
PATCHES = 4
STORES = 40  # words; what stores more is compared another way
FITTING = 12  # instructions looked at for one that fits a state
CANDIDATES, POOL = 120, 60  # legal states to choose from, and chosen

Code = tuple[bytes, dict[str, int]]
Rows = NDArray[np.int64]


@dataclass(slots=True)
class Background:
    """What all cases of a lot find in storage: pages of bytes, and cells of other spaces."""

    pages: dict[str, dict[int, bytes]] = field(default_factory=dict)
    cells: dict[str, dict[int, int]] = field(default_factory=dict)

    def everything(self, name: str) -> dict[int, int]:
        """All of a space that is not zero."""
        if name in self.cells:
            return self.cells[name]
        return {(page << PAGE) + i: byte for page, data in self.pages[name].items() for i, byte in enumerate(data) if byte}

    def get(self, name: str, address: int) -> int:
        if name in self.cells:
            return self.cells[name].get(address, 0)
        page = self.pages[name].get(address >> PAGE)
        return page[address & (1 << PAGE) - 1] if page is not None else 0


class Backed(Memory):
    """A space over a background: what is not among the keys is as it is there."""

    __slots__ = ("background", "name")

    def __init__(self, background: Background, name: str):
        super().__init__()
        self.background, self.name = background, name

    def __missing__(self, address: int) -> int:
        return self.background.get(self.name, address)

    def copy(self) -> Backed:
        twin = Backed(self.background, self.name)
        twin.update(self)
        return twin


def code_space(isa: Isa) -> str:
    """The space of bytes instructions are fetched from. Raises :class:`MachineError` when there is none."""
    reads = Analysis(isa).function(isa.fetch).reads if isa.fetch is not None else set()
    for name, space in isa.spaces.items():
        if name in reads and space.physical and space.cell_width == 8:
            return name
    raise MachineError(f"{isa.name} does not fetch instructions from a space of bytes")


class Sampler:
    """Makes the cases of one description."""

    def __init__(self, machine: JittedMachine, *, threads: int = 1, stores: int = STORES):
        self.isa: Isa = machine.isa
        self.plain = Machine(self.isa)
        self.batch = Batch(machine, code_space(self.isa), patches=PATCHES, threads=threads, stores=stores)
        self.codes = decoder(self.isa)
        self._made, self._laid = ((-1, -1), Background()), Background()  # lots follow each other for many forms
        self.columns = np.array([self.batch.column(name) for name in self.isa.cells], np.int64)
        self.pool = self._pool(LegalStates(self.isa).pool(CANDIDATES, 0.6))
        self.contexts, self.looked_at = self._contexts()
        self.counter = self.batch.column(self.isa.counter.name)
        width = self.isa.spaces[self.batch.space].address_width
        self.anchors = np.array(anchors(width), np.int64)
        self.elements = [(self.batch.column(array.name, i), array.width) for array in self.isa.arrays.values()
                         for i in range(array.length) if PAGE < array.width <= 64]

    def _contexts(self) -> tuple[dict[str, Evaluator], list[Cell]]:
        """What the decoder computes from cells and prefixes; nothing where that takes more."""
        try:
            tests = {name: compiled(expr) for name, expr in self.isa.contexts.items()}
        except NotPure:
            return {}, []
        reads = set().union(*(Analysis(self.isa).expression(expr).reads for expr in self.isa.contexts.values())) if tests else set()
        return tests, [cell for cell in self.isa.cells.values() if cell.name in reads]

    def _pool(self, states: list[State]) -> Rows:
        """Rows of legal states, most of them such that instructions can be fetched."""
        background, counter = self.background(0, 0), self.isa.counter
        found: dict[bool, list[State]] = {True: [], False: []}
        for state in states:
            state.memory = {name: Backed(background, name) for name in state.memory}
            fetched = False
            for address in (0, 3 << PAGE, (1 << counter.width) - 1):
                state.cells[counter.name] = address & (1 << counter.width) - 1
                fetched = fetched or self.plain.fetch_place(state, 0) is not None
            found[fetched].append(state)
        chosen = found[True][:POOL] + found[False][: POOL // 5]
        rows = self.batch.rows(len(chosen))
        for row, state in zip(rows, chosen, strict=True):
            self.batch.set(row, {**state.cells, **state.arrays})
        return rows

    # ---- storage -------------------------------------------------------------------------

    def background(self, seed: int, lot: int) -> Background:
        """Storage of a lot: pages at the start, around the powers of two and at the end, each of some kind of content."""
        if (seed, lot) == self._made[0]:
            return self._made[1]
        rng, made = random.Random(f"{self.isa.name} {seed} {lot}"), Background()
        for name, space in self.isa.spaces.items():
            if not space.physical:
                continue
            if space.cell_width == 8:
                size = 1 << space.address_width
                made.pages[name] = {page: content(rng)[:size] for page in anchors(space.address_width)}
            else:
                made.cells[name] = {at: number(space.cell_width, rng) for at in range(min(1 << space.address_width, SMALL_SPACE))}
        self._made = (seed, lot), made
        return made

    def lay(self, background: Background) -> None:
        """Have the batch's cases find it."""
        if background is self._laid:
            return
        self._laid = background
        for state in self.batch.states:
            for name, pages in background.pages.items():
                for page, data in pages.items():
                    state.memory[name].load(page << PAGE, data)
            for name, cells in background.cells.items():
                state.memory[name].update(cells)
            state.record.unstored()

    # ---- rows ----------------------------------------------------------------------------

    def rows(self, form: Form, seed: int, lot: int, count: int, background: Background) -> Rows:
        """Cases of a form; none when no instruction of it can be written."""
        name = f"{self.isa.name} {form.instruction} {form.template} {lot}"
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        codes = self._codes(form, random.Random(f"{seed} {name}"), -(-count // CODES))
        if not codes:
            return self.batch.rows(0)
        rows = random_rows(self.batch, count, int(rng.integers(1 << 62)))
        wild = rows[:, self.columns]
        if len(self.pool):
            legal = rng.random(count) < 0.9
            chosen = self.pool[rng.integers(0, len(self.pool), int(legal.sum()))]
            rows[np.ix_(np.flatnonzero(legal), self.columns)] = chosen[:, self.columns]
            for _ in range(2):  # now and then a cell is something else
                changed = np.flatnonzero(rng.random(count) < 0.2)
                which = rng.integers(0, len(self.columns), len(changed))
                rows[changed, self.columns[which]] = wild[changed, which]
        for column, width in self.elements:
            some = np.flatnonzero(rng.random(count) < 0.5)
            rows[some, column] = self.near(rng, len(some), width)
        width = self.isa.counter.width
        some = np.flatnonzero(rng.random(count) < 0.7)
        rows[some, self.counter] = self.near(rng, len(some), width)
        rows[rng.random(count) < 0.8, self.counter] &= ~1
        self.lay(background)
        self._place(codes, rows)
        return rows

    def near(self, rng: np.random.Generator, count: int, width: int) -> Rows:
        """Addresses in pages of the background, many of them near the ends of a page."""
        page = self.anchors[rng.integers(0, len(self.anchors), count)] << PAGE
        kind, inside = rng.integers(0, 4, count), rng.integers(0, 1 << PAGE, count)
        size = 1 << PAGE
        offset = np.where(kind == 0, inside & 31, np.where(kind == 1, size - 1 - (inside & 31), np.where(kind == 2, inside & ~7, inside)))
        return (page + offset) & np.int64((1 << min(width, 63)) - 1)

    def _codes(self, form: Form, rng: random.Random, count: int) -> list[Code]:
        found = []
        for _ in range(count):
            try:
                fields = self.codes.random_fields(form, rng)
                found.append((self.codes.encode(form, fields), fields))
            except EncodeError:
                continue
        return found

    def _fitting(self, codes: list[Code], rows: Rows) -> list[int]:
        """For each row which instruction it gets, if possible one that is what it is meant to be in such a state."""
        known: dict[tuple[int, ...], int] = {}
        looked_at = rows[:, [self.batch.column(cell.name) for cell in self.looked_at]].tolist()
        for i, values in enumerate(looked_at):
            key = (i % len(codes), *values)
            if key not in known:
                known[key] = self._first_fitting(codes, i % len(codes), dict(zip(self.looked_at, values, strict=True)))
        return [known[i % len(codes), *values] for i, values in enumerate(looked_at)]

    def _first_fitting(self, codes: list[Code], first: int, cells: Mapping[Any, int]) -> int:
        for i in range(first, first + FITTING):
            env: dict[Any, int] = {**cells, **codes[i % len(codes)][1]}
            if all(test(env) == env[name] for name, test in self.contexts.items()):
                return i % len(codes)
        return first

    def _place(self, codes: list[Code], rows: Rows) -> None:
        """Put an instruction where the counter finds it, as far as it can be fetched at all."""
        batch, last = self.batch, (1 << self.isa.counter.width) - 1
        which = self._fitting(codes, rows)
        found = batch.origins(rows, 1)[:, 0]
        offset = rows[:, self.counter] & (1 << PAGE) - 1
        tried = np.arange(len(rows)) % 8 > 0  # where nothing can be fetched, all forms are alike
        for address in [offset & 15, *(page << PAGE | offset for page in range(LOW_PAGES)), last - offset]:
            missing = tried & (found < 0)
            if not missing.any():
                break
            rows[missing, self.counter] = address[missing] & last
            found = batch.origins(rows, 1)[:, 0]
        lengths = np.array([len(code) for code, _ in codes])[which]
        places = batch.origins(rows, int(lengths.max()))
        following = np.arange(places.shape[1])
        wanted = following < lengths[:, None]
        whole = ((places == places[:, :1] + following) & (places >= 0) | ~wanted).all(axis=1)
        for piece in range(2):
            at, start = batch.state_words + 3 * piece, 8 * piece
            words = np.array([int.from_bytes(code[start : start + 8].ljust(8, b"\0"), "little", signed=True) for code, _ in codes])
            rows[whole, at] = places[whole, 0] + start
            rows[whole, at + 1] = np.clip(lengths[whole] - start, 0, 8)
            rows[whole, at + 2] = words[which][whole]
        for i in np.flatnonzero(~whole).tolist():
            self._scatter(codes[which[i]][0], rows[i], places[i].tolist())

    def _scatter(self, code: bytes, row: Rows, places: list[int]) -> None:
        """Put an instruction at places that do not all follow each other; -1 for none."""
        pieces: list[tuple[int, bytearray]] = []
        for place, byte in zip(places, code, strict=False):
            if place < 0:
                continue
            if pieces and pieces[-1][0] + len(pieces[-1][1]) == place and len(pieces[-1][1]) < 8:
                pieces[-1][1].append(byte)
            else:
                pieces.append((place, bytearray([byte])))
        for at, (address, data) in enumerate(pieces[:PATCHES]):
            self.batch.patch(row, address, bytes(data), first=at)

    def state(self, row: NDArray[np.int64], background: Background) -> State:
        """A row as a state of the plain machine."""
        memory: dict[str, Memory] = {name: Backed(background, name) for name, space in self.isa.spaces.items() if space.physical}
        return self.batch.state(row, memory)


def anchors(width: int) -> list[int]:
    """The pages of a space that are not empty."""
    last = max(0, (1 << width) - 1 >> PAGE)
    powers = [page for bit in range(PAGE + 1, width) for page in ((1 << bit >> PAGE) - 1, 1 << bit >> PAGE)]
    return sorted({min(page, last) for page in [*range(LOW_PAGES), *powers, last]})


def content(rng: random.Random) -> bytes:
    """A page: zeros, ones, any bytes, decimal digits with signs, small numbers, or words like the entries of tables."""
    size = 1 << PAGE
    match rng.randrange(8):
        case 0:
            return bytes(size)
        case 1:
            return bytes([0xFF]) * size
        case 2:
            return bytes(rng.choice((0x00, 0x09, 0x0C, 0x1C, 0x25, 0x3D, 0x90, 0x99, 0xF1, 0xF9, 0xC5)) for _ in range(size))
        case 3:
            return b"".join(number(32, rng).to_bytes(4, "big" if rng.random() < 0.5 else "little") for _ in range(size // 4))
        case 4 | 5:  # an address of a page near by, and flags
            order: Literal["big", "little"] = rng.choice(("big", "little"))
            return b"".join((rng.randrange(LOW_PAGES) << PAGE | rng.getrandbits(PAGE)).to_bytes(4, order) for _ in range(size // 4))
    return rng.randbytes(size)
