"""The buffers of a generated machine: the record, and each space with its maps, reserved in full and used as touched."""

from __future__ import annotations

import builtins
import copy
import ctypes
import mmap
import re
from collections.abc import ItemsView, Iterable, Iterator, MutableMapping, Sequence
from typing import Protocol

from isa_specs.core import Isa
from machine.errors import MachineError
from machine.generated import slots
from machine.generated.layout import PADDING, PAGE, Buffer, Layout, words_of
from machine.rooms import Room, hide, resident
from machine.state import Memory

JOURNAL_BYTES = slots.UNDO_BYTES << 22  # an instruction takes at most 2**20 operations, of at most 4 pieces in bundled descriptions
DECODED_TABLE = slots.DECODED_BYTES * (slots.DECODED_ENTRIES + 1)
FILL_LIMIT = 1 << 26
SPAN = 1 << 16  # pages whose flags are looked at together
UNTOUCHED = bytes(SPAN)
STORED = bytes(flag & 1 for flag in range(256))  # of a page's flags whether it was stored to
_WORD = (1 << 64) - 1


MAX_CONDITION_WORDS = 512


def condition_words(conditions: Iterable[Sequence[tuple[int, int]]]) -> list[int]:
    """Conditions as generated code reads them: words of the record, with their values."""
    words: list[int] = []
    for condition in conditions:
        words += [len(condition), *(word - (word >> 63 << 64) for pair in condition for word in pair)]
    if len(words) > MAX_CONDITION_WORDS:
        raise MachineError("more conditions to wait for than there is room for")
    return words


def reserve(size: int) -> tuple[mmap.mmap, int]:
    """``size`` zero bytes that take no room until they are touched, and their address."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    try:
        room = mmap.mmap(-1, size, flags=flags)
    except (OSError, ValueError) as error:
        raise MachineError(f"no room for {size} bytes of address space: {error}") from None
    return room, ctypes.addressof(ctypes.c_char.from_buffer(room))


class Tables(Protocol):
    """What the decoder of generated code goes by, in words; see :class:`machine.generated.decoding.Decoding`."""

    nodes: list[int]
    leaves: list[int]
    programs: list[int]


class Record:
    """The words of one machine's state and the buffers they point to."""

    def __init__(self, isa: Isa, layout: Layout, tables: Tables):
        self.isa, self.layout = isa, layout
        self.room, self.address = reserve(layout.size + PADDING)
        self.words = memoryview(self.room).cast("Q")
        self.signed = memoryview(self.room).cast("q")
        self._kept: list[mmap.mmap] = []
        self.point_slot(slots.JOURNAL, JOURNAL_BYTES)
        self.words[slots.KEPT // 8] = self.words[slots.JOURNAL // 8]
        self.point_slot(slots.OWN_TABLE, DECODED_TABLE)
        self[slots.DECODED] = self[slots.OWN_TABLE]
        for slot, table in ((slots.NODES, tables.nodes), (slots.LEAVES, tables.leaves), (slots.PROGRAMS, tables.programs)):
            self.point_slot(slot, 8 * len(table) + 8)[: 8 * len(table)] = words_of(table)
        self.stop_forms = memoryview(self.point_slot(slots.STOP_FORMS, len(isa.forms) + 1))[: len(isa.forms) + 1]
        self.stop_forms_address = self[slots.STOP_FORMS]
        self._stops: tuple[list[int], bytes] = [], bytes(len(isa.forms) + 1)
        self.regions: dict[object, object] = {}  # compiled loops the table of decoded instructions may point to
        self.spaces = {name: Cells(self, buffer) for name, buffer in layout.spaces.items()}

    def point_slot(self, slot: int, size: int) -> mmap.mmap:
        """Have a word of the record point to fresh zero bytes."""
        room, address = reserve(size)
        self._kept.append(room)
        self.words[slot // 8] = address
        return room

    def point(self, buffer: Buffer, what: str, size: int) -> mmap.mmap:
        return self.point_slot(self.layout.constants[self.layout.pointer(buffer, what)], size)

    def another(self, space: str) -> Cells:
        """Cells of the same kind, apart: the record does not point to them."""
        held = {slot: self[slot] for slot in self.pointers(space)}
        cells = Cells(self, self.layout.spaces[space])
        cells.overturns = self.spaces[space].overturns
        for slot, value in held.items():
            self[slot] = value
        return cells

    def pointers(self, space: str) -> list[int]:
        """The words that point to what belongs to a space."""
        buffer = self.layout.spaces[space]
        return [self.layout.constants[self.layout.pointer(buffer, what)] for what in ("base", "flags", "cover")]

    def __getitem__(self, slot: int) -> int:
        return self.signed[slot // 8]

    def __setitem__(self, slot: int, value: int) -> None:
        self.signed[slot // 8] = value

    def value(self, offset: int, limbs: int) -> int:
        """An unsigned value of so many words."""
        start, out = offset // 8, 0
        for limb in range(limbs):
            out |= self.words[start + limb] << 64 * limb
        return out

    def set_value(self, offset: int, limbs: int, value: int) -> None:
        for limb in range(limbs):
            self.words[offset // 8 + limb] = value >> 64 * limb & _WORD

    def reserve_log(self, size: int) -> None:
        """Room for a log of stores, with which a whole run can be undone."""
        room = self.point_slot(slots.LOG, size + slots.LOG_BYTES)
        room[: slots.LOG_BYTES] = b"\xff" * slots.LOG_BYTES  # before the first entry there is one of no word
        self[slots.LOG] += slots.LOG_BYTES
        self[slots.LOG_END] = self[slots.LOG]

    def unstored(self) -> None:
        """Have every store be noticed again, as if no page had been stored to."""
        for cells in self.spaces.values():
            for page in list(cells.pages()):
                cells.flags[page] = 0
        self.forget()

    def give_back(self) -> None:
        """Give the host's pages back to it that hold nothing but zeros."""
        for cells in self.spaces.values():
            cells.give_back()

    def wait_for(self, conditions: Iterable[Sequence[tuple[int, int]]]) -> None:
        """The conditions that end a run after a delivery."""
        if not self[slots.CONDITIONS]:
            room = self.point_slot(slots.CONDITIONS, 8 * MAX_CONDITION_WORDS)
            self._conditions = memoryview(room).cast("q")
        words = condition_words(conditions)
        for i, word in enumerate(words):
            self._conditions[i] = word
        self[slots.CONDITIONS_END] = self[slots.CONDITIONS] + 8 * len(words)

    def set_stops(self, addresses: list[int], forms: list[bool]) -> None:
        """Where a run is to stop: before these addresses and these forms."""
        wanted = bytes(forms) + b"\0"
        if self._stops == (addresses, wanted):
            return
        self._stops = addresses, wanted
        self.stop_forms[:] = wanted
        if addresses:
            room = self.point_slot(slots.STOPS, 8 * len(addresses))
            memoryview(room).cast("Q")[: len(addresses)] = memoryview(b"".join(a.to_bytes(8, "little") for a in addresses)).cast("Q")
        self[slots.STOP_COUNT] = len(addresses)
        self.forget()  # entries do not know of stops

    def forget(self) -> None:
        """Whatever was remembered may be wrong now."""
        self.words[slots.REMEMBERED // 8] = 0
        self.words[slots.CONTEXT // 8] = slots.UNKNOWN


def _cast(view: memoryview, size: int) -> memoryview[int]:
    match size:
        case 1:
            return view.cast("B")
        case 2:
            return view.cast("H")
        case 4:
            return view.cast("I")
    return view.cast("Q")


class Cells(MutableMapping[int, int]):
    """A space of a generated machine, with the interface of :class:`machine.state.Memory`; what was never stored is 0."""

    fill = 0

    def __init__(self, record: Record, buffer: Buffer):
        self.record, self.buffer = record, buffer
        self.room = record.point(buffer, "base", buffer.size + PADDING)
        self.flags = record.point(buffer, "flags", buffer.pages)
        if buffer.cell_bytes == 1:
            record.point(buffer, "cover", buffer.cover_bytes)
        self.pointers = {slot: record[slot] for slot in record.pointers(buffer.name)}
        self.installed = 0  # bytes; 0: all there can be, apart from what is shown elsewhere
        self._source: tuple[Room, int] | None = None
        self._view = _cast(memoryview(self.room)[: buffer.size], buffer.cell_bytes)
        self._exact = buffer.cell_bytes == 1
        self.overturns = False  # set where remembered walks read the space cell by cell

    def __getitem__(self, address: int) -> int:
        return self._view[address]

    def __setitem__(self, address: int, value: int) -> None:
        if self.flags[address * self.buffer.cell_bytes >> PAGE] & slots.ABSENT == 0:
            self._view[address] = value
            self.touched(address * self.buffer.cell_bytes, 1)

    # ---- what is there -----------------------------------------------------------------------------

    def install(self, room: Room, start: int, size: int) -> None:
        """From address 0 on there are ``size`` bytes of ``room``, and nothing behind them."""
        self.installed, self._source = size, (room, start)
        room.show(self._address, start, size)
        first = size >> PAGE
        self.flags[first:] = bytes([slots.ABSENT]) * (len(self.flags) - first)
        self.record.forget()

    def another(self) -> Cells:
        """Cells of their own in the same space, with the same maps, for the real machine: the record does not point to them."""
        twin = copy.copy(self)
        twin.room, address = reserve(self.buffer.size + PADDING)
        twin.pointers = self.pointers | {self.record.pointers(self.buffer.name)[0]: address}
        if self._source is not None:
            self._source[0].show(address, self._source[1], self.installed)
        twin._view = _cast(memoryview(twin.room)[: self.buffer.size], self.buffer.cell_bytes)
        return twin

    def show(self, at: int, start: int, size: int, room: Room | None = None) -> None:
        """Beyond what is installed, for the real machine only, bytes of a ``room``, or once more what is installed from ``start`` on."""
        if room is None:
            assert self._source is not None
            room, start = self._source[0], self._source[1] + start
        room.show(self._address + at, start, size)
        self._mark(at, size, slots.REAL)

    def hide(self, at: int, size: int) -> None:
        """Take away what is shown there."""
        hide(self._address + at, size)
        self._mark(at, size, slots.ABSENT)

    def _mark(self, at: int, size: int, flag: int) -> None:
        self.flags[at >> PAGE : at + size >> PAGE] = bytes([flag]) * (size >> PAGE)
        self.record.forget()

    @property
    def _address(self) -> int:
        return self.pointers[self.record.pointers(self.buffer.name)[0]]

    # ---- as a mapping ------------------------------------------------------------------------------

    def touched(self, at: int, size: int) -> None:
        """Note a store from outside to these bytes of the buffer."""
        for page in range(at >> PAGE, (at + size - 1 >> PAGE) + 1):
            flag = self.flags[page]
            if flag & 2:
                self.record.forget()
            if not flag & 1:
                self.flags[page] = flag | 1
        if self.overturns:
            self.record.forget()

    def __delitem__(self, address: int) -> None:
        self[address] = 0

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[int]:
        """The addresses that do not hold 0."""
        per_page = (1 << PAGE) // self.buffer.cell_bytes
        for page in self.pages():
            first = page * per_page
            values = self._view[first : first + per_page].tolist()
            yield from (first + i for i, value in enumerate(values) if value)

    def pages(self) -> Iterator[int]:
        """The numbers of the pages that were ever stored to."""
        if self.installed:
            yield from range(self.installed + (1 << PAGE) - 1 >> PAGE)
            return
        for start in range(0, len(self.flags), SPAN):  # of a large space hardly any page is touched
            flags = self.flags[start : start + SPAN]
            if flags == UNTOUCHED:
                continue
            stored = bytes(flags).translate(STORED)
            at = stored.find(1)
            while at >= 0 and start + at << PAGE < self.buffer.size:
                yield start + at
                at = stored.find(1, at + 1)

    def give_back(self) -> None:
        """See :meth:`Record.give_back`."""
        size, room = mmap.PAGESIZE, self.room
        nothing = bytes(size)
        for found in re.finditer(rb"[^\0]", resident(self._address, len(room)) if hasattr(room, "madvise") else b""):
            at = found.start() * size
            if room[at : at + size] == nothing:
                room.madvise(mmap.MADV_DONTNEED, at, size)

    def page(self, number: int) -> bytes:
        """The contents of a page as they lie in the host."""
        return self.room[number << PAGE : min((number + 1) << PAGE, self.buffer.size)]

    def load(self, address: int, data: bytes) -> None:
        """Put ``data`` at ``address``, one byte a cell."""
        if not self._exact or address + len(data) > (self.installed or self.buffer.size):
            for i, byte in enumerate(data, address):
                self[i] = byte
        elif data:
            self.room[address : address + len(data)] = data
            self.touched(address, len(data))

    def bytes(self, address: int, count: int) -> bytes:
        """``count`` cells of a space of bytes."""
        return self.room[address : address + count]

    def block(self) -> builtins.bytes | None:
        """What is installed, where that is a block of bytes."""
        return self.room[: self.installed] if self.installed and self._exact else None

    def clear(self) -> None:
        """All zero again, and no page stored to."""
        for page in list(self.pages()):
            first = page << PAGE
            self.room[first : min(first + (1 << PAGE), self.buffer.size)] = bytes(min(1 << PAGE, self.buffer.size - first))
            self.flags[page] = 0  # with all forgotten, nothing is watched
        self.record.forget()

    def items(self) -> ItemsView[int, int]:
        """What does not hold 0."""
        per_page = (1 << PAGE) // self.buffer.cell_bytes
        found: dict[int, int] = {}
        for page in self.pages():
            values = self._view[page * per_page : (page + 1) * per_page].tolist()
            found.update((page * per_page + i, value) for i, value in enumerate(values) if value)
        return found.items()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cells | Memory):
            return NotImplemented
        if other.fill:
            return all(self[address] == other[address] for address in range(self.buffer.cells))
        here, there = self.block(), other.block()
        if here is not None and there is not None and len(here) == len(there):
            return here == there
        return all(self[address] == other[address] for address in {*self, *other})

    __hash__ = None  # type: ignore[assignment]  # mutable
