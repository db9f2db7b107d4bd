"""The state of a described machine: a value for every component."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from isa_specs.core import Cell, Isa
from machine.errors import MachineError

Place = tuple[str, int]
"""Where one value lives: a component and an index (0 for cells, an address for spaces)."""


class Memory(dict[int, int]):
    """A sparse space: addresses not among the keys hold ``fill``."""

    __slots__ = ("fill",)

    def __init__(self, contents: Iterable[tuple[int, int]] = (), fill: int = 0):
        super().__init__(contents)
        self.fill = fill

    def __missing__(self, address: int) -> int:
        return self.fill

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Memory):
            return NotImplemented
        return self.fill == other.fill and all(self[address] == other[address] for address in self.keys() | other.keys())

    def __ne__(self, other: object) -> bool:
        return not self == other  # dict has one of its own, which knows nothing of ``fill``

    def copy(self) -> Memory:
        return Memory(self.items(), self.fill)

    def load(self, address: int, data: bytes) -> None:
        """Put ``data`` at ``address``, one byte a cell."""
        self.update(enumerate(data, address))

    def block(self) -> bytes | None:
        """All there is in it, where that is one block of bytes from address 0 on."""
        return None


class State:
    """Unsigned values by the description's names; everything zero to begin with.

    ``state["psw.key"]`` is a cell, ``state["gpr"][3]`` an element, ``state["eflags"]`` a register word,
    ``state["storage"][0x100]`` a cell of a physical space. ``halted`` says why the machine stopped, empty while it runs.
    """

    __slots__ = ("arrays", "cells", "halted", "isa", "memory")

    def __init__(self, isa: Isa):
        self.isa = isa
        self.cells: dict[str, int] = dict.fromkeys(isa.cells, 0)
        self.arrays: dict[str, list[int]] = {array.name: [0] * array.length for array in isa.arrays.values()}
        self.memory: dict[str, Memory] = {space.name: Memory() for space in isa.spaces.values() if space.physical}
        self.halted = ""

    def copy(self) -> State:
        twin = State.__new__(State)
        twin.isa = self.isa
        twin.cells = dict(self.cells)
        twin.arrays = {name: list(values) for name, values in self.arrays.items()}
        twin.memory = {name: memory.copy() for name, memory in self.memory.items()}
        twin.halted = self.halted
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return (self.isa is other.isa and self.cells == other.cells and self.arrays == other.arrays
                and self.memory == other.memory and self.halted == other.halted)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        cells = [f"{name}={value:#x}" for name, value in self.cells.items() if value]
        arrays = [f"{name}[{i}]={value:#x}" for name, values in self.arrays.items() for i, value in enumerate(values) if value]
        memory = [f"{name}({a:#x})={value:#x}" for name, m in self.memory.items() for a, value in sorted(m.items()) if value != m.fill]
        return f"State({', '.join([*cells, *arrays, *memory])}{', halted: ' + self.halted if self.halted else ''})"

    # ---- by place --------------------------------------------------------------

    def get(self, place: Place) -> int:
        name, index = place
        if name in self.cells:
            return self.cells[name]
        return self.arrays[name][index] if name in self.arrays else self.memory[name][index]

    def put(self, place: Place, value: int) -> None:
        name, index = place
        if name in self.cells:
            self.cells[name] = value
        elif name in self.arrays:
            self.arrays[name][index] = value
        else:
            self.memory[name][index] = value

    def places(self) -> set[Place]:
        """Every cell and element, and the addresses of the spaces that were ever given a value."""
        held: dict[str, Iterable[int]] = {**dict.fromkeys(self.cells, (0,)), **self.memory}
        held |= {name: range(len(values)) for name, values in self.arrays.items()}
        return {(name, index) for name, indices in held.items() for index in indices}

    # ---- by name ---------------------------------------------------------------

    def __getitem__(self, name: str) -> int | list[int] | Memory:
        if name in self.cells:
            return self.cells[name]
        if name in self.arrays:
            return self.arrays[name]
        if name in self.memory:
            return self.memory[name]
        return self.word(name)

    def word(self, name: str) -> int:
        """A cell or a register as one number."""
        if name in self.cells:
            return self.cells[name]
        word = 0
        for cell, pieces in self._fields(name):
            for high, low, at in pieces:
                word |= (self.cells[cell.name] >> low & _mask(high - low + 1)) << at
        return word

    def __setitem__(self, name: str, value: int | Iterable[int]) -> None:
        if name in self.arrays:
            values = list(value) if isinstance(value, Iterable) else [value] * len(self.arrays[name])
            if len(values) != len(self.arrays[name]):
                raise MachineError(f"'{name}' has {len(self.arrays[name])} elements, not {len(values)}")
            self.arrays[name] = [_fitting(v, self.isa.arrays[name].width, name) for v in values]
        elif not isinstance(value, int):
            raise MachineError(f"'{name}' takes one number")
        elif name in self.cells:
            self.cells[name] = _fitting(value, self.isa.cells[name].width, name)
        else:
            fields = self._fields(name)
            _fitting(value, self.isa.registers[name].width, name)
            for cell, pieces in fields:
                for high, low, at in pieces:
                    mask = _mask(high - low + 1)
                    self.cells[cell.name] = self.cells[cell.name] & ~(mask << low) | (value >> at & mask) << low

    def _fields(self, name: str) -> tuple[tuple[Cell, tuple[tuple[int, int, int], ...]], ...]:
        if name not in self.isa.registers:
            raise MachineError(f"{self.isa.name} has no component '{name}'")
        return self.isa.registers[name].fields


@dataclass(slots=True)
class Recorder:
    """What a run looked at and changed: ``read`` holds the places whose first use was a read.

    ``views`` holds the addresses used in spaces that lie in another, tables before what is reached through them. What accesses
    record is not among the places: it follows from them."""

    read: set[Place] = field(default_factory=set)
    written: set[Place] = field(default_factory=set)
    views: dict[Place, None] = field(default_factory=dict)

    def note_read(self, place: Place) -> None:
        if place not in self.written:
            self.read.add(place)

    def looked_at_traces(self, isa: Isa) -> bool:
        """Whether bits were looked at, or given, of a block that was accessed as well, which has changed them."""
        used = self.read | self.written
        return any(space.recorded is not None and (space.recorded.name, at >> space.block) in used
                   for name, at in used if (space := isa.spaces.get(name)) is not None)

    def note_undone(self, place: Place) -> None:
        # The old value is back: a later read of it is a read of what the run began with.
        self.written.discard(place)


def reset(isa: Isa) -> State:
    """All zero. Whether that is a legal state is the description's affair."""
    return State(isa)


def _mask(width: int) -> int:
    return (1 << width) - 1


def _fitting(value: int, width: int, name: str) -> int:
    if not 0 <= value <= _mask(width):
        raise MachineError(f"{value:#x} does not fit the {width} bits of '{name}'")
    return value
