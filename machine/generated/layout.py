"""Where everything lies: one record of 64-bit words for a machine, and a buffer for each space.

Cells and array elements take a whole word each (several when wider than 64 bits, least significant first), so that the
generated code reaches them at constant offsets from one address. Values are unsigned bit patterns; a word holds those
of 64 bits as two's complement. The first words are the machine's own: how a step ended, the fetched bytes, pointers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from isa_specs.core import Array, Cell, Isa, Space
from machine.errors import MachineError
from machine.generated import slots

WORD = 8  # bytes
PAGE = 12  # bits of an address within a page, the unit in which stores are noted
LINE = 10  # and within a line: where pages hold watched bytes, lines without one are stored to freely
PADDING = 64  # bytes behind a space, so that a word can be read at its last address
MAX_ADDRESS = 36  # bits: a space of more bytes is not laid out flat

class NotGenerated(MachineError):
    """The description asks for something generated code does not do; the plain machine does."""


@dataclass(frozen=True, slots=True)
class Room:
    """A run of words of the record, or of the cells of a space."""

    name: str  # of the constant in the generated code
    offset: int  # bytes from the start of the record
    limbs: int  # words of one value
    length: int = 1


@dataclass(frozen=True, slots=True)
class Buffer:
    """A physical space. Words of the record point to its cells (``base``), to a byte for each page (``flags``: 1 stored to,
    2 something there is watched) and to a bit for each cell (``cover``: something remembered rests on it)."""

    name: str
    number: int
    cell_bytes: int
    cells: int
    address_width: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.cells * self.cell_bytes

    @property
    def pages(self) -> int:
        return (self.size >> PAGE) + 2

    @property
    def cover_bytes(self) -> int:
        return self.cells // 8 + 16


def limbs(width: int) -> int:
    """The number of words that hold ``width`` bits."""
    return (width + 63) // 64


class Layout:
    """The record of one description. ``size`` is in bytes, a multiple of 64."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self._end = slots.CONTROL_END
        self.constants: dict[str, int] = {}
        for name, offset in slots.CONTROL.items():
            self.constants[name] = offset
        widths = [[width for _, width in trap.params] for trap in isa.traps.values()]
        self.constants["ARGUMENT_WORDS"] = max((sum(map(limbs, params)) for params in widths), default=0) + 1
        self.constants["ARGUMENTS"] = self.take(self.constants["ARGUMENT_WORDS"])
        self.constants["STATE"] = self._end
        self.cells: dict[str, Room] = {}
        self.arrays: dict[str, Room] = {}
        for number, cell in enumerate(isa.cells.values()):
            self.cells[cell.name] = self._room(f"c{number}_{plain_name(cell.name)}", cell)
        for number, array in enumerate(isa.arrays.values()):
            self.arrays[array.name] = self._room(f"a{number}_{plain_name(array.name)}", array)
        self.constants["STATE_WORDS"] = (self._end - self.constants["STATE"]) // WORD
        self.spaces: dict[str, Buffer] = {}
        for number, space in enumerate(s for s in isa.spaces.values() if s.physical):
            self.spaces[space.name] = self._buffer(number, space)

    def take(self, words: int = 1) -> int:
        """The offset of ``words`` fresh words."""
        start = self._end
        self._end += WORD * words
        return start

    def extend(self, constants: dict[str, int], size: int) -> None:
        """Take over what the generator added to the record."""
        self.constants = constants
        self._end = size

    def _room(self, name: str, component: Cell | Array) -> Room:
        count, length = limbs(component.width), component.length if isinstance(component, Array) else 1
        self.constants[name] = self.take(count * length)
        return Room(name, self.constants[name], count, length)

    def _buffer(self, number: int, space: Space) -> Buffer:
        if space.address_width > MAX_ADDRESS or space.cell_width > 64:
            raise NotGenerated(f"space '{space.name}' is too large for generated code")
        size = next(size for size in (1, 2, 4, 8) if space.cell_width <= 8 * size)
        buffer = Buffer(space.name, number, size, 1 << space.address_width, space.address_width)
        for what in ("base", "flags", "cover"):
            self.constants[self.pointer(buffer, what)] = self.take()
        return buffer

    @staticmethod
    def pointer(buffer: Buffer, what: str) -> str:
        """The name of the word that points to ``what`` of a space: base, flags or cover."""
        return f"s{buffer.number}_{plain_name(buffer.name)}_{what}"

    def word(self, name: str, index: int) -> int | None:
        """Where the record has a cell or an element; None for what is not one word of it."""
        room = self.cells.get(name) or self.arrays.get(name)
        return room.offset + WORD * index if room is not None and room.limbs == 1 else None

    @property
    def size(self) -> int:
        return (self._end + 63) // 64 * 64


def plain_name(name: str) -> str:
    """``name`` as a part of an identifier: what a description calls something never becomes code."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)[:40]


def comment(text: str) -> str:
    """``text`` as the inside of a one-line comment."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)[:100]


def literal(value: int, width: int) -> str:
    """A constant of ``width`` <= 64 bits as an int64."""
    if width == 64 and value >> 63:
        return f"({value - (1 << 64)})"
    return str(value) if value < 10 else f"{value:#x}"


def mask(width: int) -> str:
    return "(-1)" if width == 64 else literal((1 << width) - 1, width)


def words_of(values: Iterable[int]) -> bytes:
    """Words as they lie in the record."""
    return b"".join((value & (1 << 64) - 1).to_bytes(8, "little") for value in values)
