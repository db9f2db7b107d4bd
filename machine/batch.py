"""Many cases at once: a state, bytes in storage and a few steps each, on every core, storage as it was between them.

A batch is an array of rows of 64-bit words. A row has the words of the state (a component's place is ``batch.column(name)``),
``patches`` pieces of at most eight bytes that are put into storage first, and what came of it afterwards: with ``stores`` also
the words of storage that were stored to, so many of them. Generated code works in the rows themselves (:mod:`machine.generated.rows`).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from machine.errors import MachineError
from machine.generated import slots
from machine.generated.layout import limbs
from machine.generated.memory import JOURNAL_BYTES
from machine.generated.native import Compiled
from machine.generated.slots import EVERY_KIND
from machine.generated.state import GeneratedState
from machine.jitted import Code, JittedMachine
from machine.outcomes import Trapped
from machine.state import Memory, State

CHUNK = 4096  # rows a thread takes at a time
CACHE_LINE = 64  # bytes
GIVE_BACK = 1 << 20  # cases after which the room is given back that storage takes which they touched: each may touch other pages
STEPS, STATUS, ILEN, STORED = range(4)  # of what came of a case, before the arguments of its trap


class Batch:
    """Runs rows on one machine. ``space`` is where patches go; all other cells are in every case as :meth:`load` left them.

    ``bare``: traps are delivered. Otherwise a trap ends its case. ``code``: the module for batches as compiled otherwise."""

    def __init__(self, machine: JittedMachine, space: str, *, patches: int = 2, threads: int = 0, bare: bool = False, stores: int = 0,
                 code: Code | None = None):
        self.machine, self.space, self.patches, self.stores = machine, space, patches, stores
        self.threads = threads or os.cpu_count() or 1
        self.generated = machine.rows
        self.code = code or Compiled(self.generated.code)
        constants = self.generated.layout.constants
        self.state_words = constants["STATE_WORDS"]
        self.argument_words = constants["ARGUMENT_WORDS"]
        self._listed = self.state_words + 3 * patches + 4 + self.argument_words
        self.width = (self._listed + (1 + 2 * stores if stores else 0) + 7) // 8 * 8
        rooms = self.generated.layout.cells
        narrow = {name: self.column(name) for name, room in rooms.items() if room.limbs == 1}
        self._narrow = [*narrow], _taken([*narrow.values()])
        self._wide = [(name, self.column(name), room.limbs) for name, room in rooms.items() if room.limbs > 1]
        self._arrays = [(name, self.column(name), room.length, room.limbs) for name, room in self.generated.layout.arrays.items()]
        self._traps = list(machine.isa.traps.values())
        near = 8 * self.generated.near
        self._near = near, (8 * (self._listed + 1) - near) // CACHE_LINE + 1
        self._cases = self.code.function("cases")
        self._ran = 0
        self._workers = [self._worker(space, bare) for _ in range(self.threads)]

    def _worker(self, space: str, bare: bool) -> tuple[GeneratedState, int]:
        isa, constants = self.machine.isa, self.generated.layout.constants
        state = GeneratedState(isa, self.generated)
        record = state.record
        record.words[slots.UNDEFINED // 8] = self.machine.undefined
        record.reserve_log(JOURNAL_BYTES)
        for name, size in (("LINES", constants["MAX_LINES"] * constants["LINE_BYTES"]), ("WATCHES", 16 * constants["MAX_WATCHES"])):
            record.point_slot(constants[name], size)
            record[constants[f"{name}_END"]] = record[constants[name]]
        record[slots.LOGGING] = 1
        record[slots.LEAVE] = 0 if bare else EVERY_KIND
        self.code.function("prepare")(record.address)
        if space not in record.spaces or record.spaces[space].buffer.cell_bytes != 1:
            raise MachineError(f"{isa.name} has no space of bytes '{space}'")
        buffer = record.spaces[space].buffer
        return state, record.words[record.layout.constants[record.layout.pointer(buffer, "base")] // 8]

    def load(self, space: str, address: int, data: bytes) -> None:
        """Put ``data`` where all cases find it, one byte a cell."""
        for state, _ in self._workers:
            state.memory[space].load(address, data)
            state.record.unstored()

    @property
    def states(self) -> list[GeneratedState]:
        """The states cases run on, one for each thread, as far as they do not belong to a case."""
        return [state for state, _ in self._workers]

    def choose(self, *, bare: bool, undefined: int) -> None:
        """From now on: whether traps are delivered, and the bits of what the manual leaves undefined."""
        for state, _ in self._workers:
            state.record[slots.LEAVE] = 0 if bare else EVERY_KIND
            state.record.words[slots.UNDEFINED // 8] = undefined & (1 << 64) - 1

    # ---- rows ----------------------------------------------------------------------------

    def rows(self, count: int) -> NDArray[np.int64]:
        """``count`` cases, all zero: no patches."""
        words = np.zeros(count * self.width + CACHE_LINE // 8, np.int64)
        skipped = -words.ctypes.data % CACHE_LINE // 8  # rows begin where lines of the processor's caches do
        return words[skipped : skipped + count * self.width].reshape(count, self.width)

    def column(self, name: str, index: int = 0) -> int:
        """The column of a cell, or of an array element."""
        layout = self.generated.layout
        room = layout.cells.get(name) or layout.arrays.get(name)
        if room is None or not 0 <= index < room.length:
            raise MachineError(f"{self.machine.isa.name} has no component '{name}' {f'[{index}]' if index else ''}")
        return self.generated.columns[name] + index * room.limbs

    def patch(self, row: NDArray[np.int64], address: int, data: bytes, first: int = 0) -> None:
        """Put up to ``8 * patches`` bytes at ``address`` before this case, in patches from ``first`` on."""
        pieces = [data[i : i + 8] for i in range(0, len(data), 8)]
        if first + len(pieces) > self.patches:
            raise MachineError(f"{len(data)} bytes do not fit in {self.patches - first} patches")
        for i, piece in enumerate(pieces):
            at = self.state_words + 3 * (first + i)
            row[at : at + 3] = address + 8 * i, len(piece), int.from_bytes(piece.ljust(8, b"\0"), "little", signed=True)

    def set(self, row: NDArray[np.int64], values: Mapping[str, int | Sequence[int]]) -> None:
        """Give components of a row their values."""
        for name, value in values.items():
            for index, one in enumerate([value] if isinstance(value, int) else value):
                at = self.column(name, index)
                for limb in range(limbs(self._component_width(name))):
                    word = one >> 64 * limb & (1 << 64) - 1
                    row[at + limb] = word - (1 << 64) if word >> 63 else word

    def _component_width(self, name: str) -> int:
        isa = self.machine.isa
        return isa.cells[name].width if name in isa.cells else isa.arrays[name].width

    def state(self, row: NDArray[np.int64], memory: dict[str, Memory] | None = None) -> State:
        """The cells and arrays of a row as a plain state; its storage is ``memory``, or empty, but for what the row puts there."""
        state = State.__new__(State)
        state.isa, state.halted = self.machine.isa, ""
        state.cells, state.arrays = self.components(row)
        state.memory = memory or {name: Memory() for name, space in state.isa.spaces.items() if space.physical}
        words = row[self.state_words : self.state_words + 3 * self.patches].view(np.uint64).tolist()
        for address, length, word in zip(words[::3], words[1::3], words[2::3], strict=True):
            if length:
                state.memory[self.space].load(address, word.to_bytes(8, "little")[:length])
        return state

    def components(self, row: NDArray[np.int64]) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The cells and arrays of a row."""
        words = row[: self.state_words].view(np.uint64).tolist()
        names, taken = self._narrow
        cells = dict(zip(names, taken(words), strict=True))
        for name, at, count in self._wide:
            cells[name] = joined(words, at, count)
        arrays = {name: words[at : at + length] if count == 1 else [joined(words, at + i * count, count) for i in range(length)]
                  for name, at, length, count in self._arrays}
        return cells, arrays

    # ---- running ----------------------------------------------------------------------------

    def run(self, rows: NDArray[np.int64], steps: int = 1) -> None:
        """Run each row for at most ``steps`` steps, in place."""
        if rows.dtype != np.int64 or rows.ndim != 2 or rows.shape[1] != self.width or not rows.flags.c_contiguous:
            raise MachineError("a batch takes rows as rows() makes them")
        self._ran += len(rows)
        if self._ran > GIVE_BACK:
            self._ran = len(rows)
            for state, _ in self._workers:
                state.record.give_back()
        starts = range(0, len(rows), CHUNK)
        if self.threads == 1 or len(rows) <= CHUNK:
            for start in starts:
                self._run(self._workers[0], rows[start : start + CHUNK], steps)
            return
        free = list(self._workers)

        def chunk(start: int) -> None:
            worker = free.pop()
            try:
                self._run(worker, rows[start : start + CHUNK], steps)
            finally:
                free.append(worker)

        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(chunk, starts):
                pass

    def _run(self, worker: tuple[GeneratedState, int], rows: NDArray[np.int64], steps: int) -> None:
        state, base = worker
        self._cases(state.record.address, rows.ctypes.data, len(rows), 8 * self.width, base, self.patches, self.stores, steps,
                    *self._near)

    def origins(self, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """For each row where the first ``count`` bytes at its counter are fetched from, addresses in ``space``: -1 where they are
        refused or come from elsewhere. Patches are not there yet."""
        state, _ = self._workers[0]
        found = np.empty((len(rows), count), np.int64)
        layout = self.generated.layout
        cover = state.record[layout.constants[layout.pointer(layout.spaces[self.space], "cover")]]
        self.code.function("origins")(state.record.address, rows.ctypes.data, len(rows), 8 * self.width, count, cover, found.ctypes.data)
        return found

    def outcomes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """What came of each case: steps, status, length, a digest of its stores, then the words of the trap's arguments."""
        at = self.state_words + 3 * self.patches
        return rows[:, at : at + 4 + self.argument_words]

    def stored(self, row: NDArray[np.int64]) -> dict[tuple[str, int], int] | None:
        """The words of eight bytes that were stored to, by space and offset in it in bytes of the host, and what they hold now; None
        when they are more than ``stores``."""
        count = int(row[self._listed])
        if count > self.stores:
            return None
        if not count:
            return {}
        listed = row[self._listed + 1 : self._listed + 1 + 2 * count].tolist()
        names = list(self.generated.layout.spaces)
        places = [divmod(place, 1 << slots.SPACE_SHIFT) for place in listed[::2]]
        return {(names[number], at): word & (1 << 64) - 1 for (number, at), word in zip(places, listed[1::2], strict=True)}

    def listed(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many words each row stored to, and which, the space's number above the offset, as far as there is room."""
        return rows[:, self._listed], rows[:, self._listed + 1 : self._listed + 1 + 2 * self.stores : 2]

    def trapped(self, row: NDArray[np.int64]) -> Trapped | None:
        """The trap a case ended with."""
        at = self.state_words + 3 * self.patches
        status = int(row[at + STATUS])
        if status >= 0:
            return None
        number, memory = divmod(-1 - status, 2)
        trap, words, args = self._traps[number], row[at + 4 : at + 4 + self.argument_words].tolist(), []
        for _, width in trap.params:
            value = sum((words.pop(0) & (1 << 64) - 1) << 64 * limb for limb in range(limbs(width)))
            args.append(value)
        return Trapped(trap, tuple(args), "memory" if memory else trap.kind, int(row[at + ILEN]))


def _taken(places: Sequence[int]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Takes the words at so many places out of others."""
    return operator.itemgetter(*places) if len(places) > 1 else lambda words: tuple(words[at] for at in places)


def joined(words: Sequence[int], at: int, limbs: int) -> int:
    """The number in so many words from ``at`` on, the least significant first."""
    return sum(word << 64 * i for i, word in enumerate(words[at : at + limbs]))


def random_rows(batch: Batch, count: int, seed: int) -> NDArray[np.int64]:
    """Rows with random states biased to edges: zeros, ones, single bits, small numbers, multiples of 16."""
    rng = np.random.default_rng(seed)
    rows = batch.rows(count)
    isa = batch.machine.isa
    widths: list[tuple[int, int]] = [(batch.column(cell.name), cell.width) for cell in isa.cells.values()]
    for array in isa.arrays.values():
        widths += [(batch.column(array.name, i), array.width) for i in range(array.length)]
    for column, width in widths:
        for limb in range(limbs(width)):
            rows[:, column + limb] = _numbers(rng, min(64, width - 64 * limb), count)
    return rows


def _numbers(rng: np.random.Generator, width: int, count: int) -> Any:
    ones = np.uint64((1 << width) - 1)
    full = rng.integers(0, 1 << 64, count, np.uint64, endpoint=False) if width == 64 else rng.integers(0, 1 << width, count, np.uint64)
    kinds = rng.integers(0, 10, count)
    bit = np.uint64(1) << rng.integers(0, width, count).astype(np.uint64)
    edges = np.array([1, int(ones), 1 << (width - 1), int(ones) >> 1], np.uint64)[rng.integers(0, 4, count)]
    chosen = [np.zeros(count, np.uint64), edges, bit, full & np.uint64(255), full & np.uint64(15), ~(full & np.uint64(15)) & ones,
              full & ~np.uint64(15)]
    out = full
    for kind, values in enumerate(chosen):
        out = np.where(kinds == kind, values, out)
    return (out & ones).view(np.int64)
