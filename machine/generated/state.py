"""The state of a generated machine, under the names the description gives: what :class:`machine.state.State` is for the plain one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, MutableMapping, MutableSequence
from typing import TYPE_CHECKING, cast

from isa_specs.core import Isa
from machine.errors import MachineError
from machine.generated import slots
from machine.generated.layout import Room
from machine.generated.memory import FILL_LIMIT, Cells, Record
from machine.state import Memory, State

if TYPE_CHECKING:
    from machine.generated.build import Generated


class _Cells(MutableMapping[str, int]):
    """Cell values by name."""

    def __init__(self, record: Record, contexts: Iterable[str]):
        self.record, self.rooms = record, record.layout.cells
        self.contexts = frozenset(contexts)
        self._single = {name: room.offset // 8 for name, room in self.rooms.items() if room.limbs == 1}

    def __getitem__(self, name: str) -> int:
        at = self._single.get(name)
        if at is not None:
            return self.record.words[at]
        return self.record.value(self.rooms[name].offset, self.rooms[name].limbs)

    def __setitem__(self, name: str, value: int) -> None:
        room = self.rooms[name]
        self.record.set_value(room.offset, room.limbs, value)
        if name in self.contexts:
            self.record[slots.CONTEXT] = slots.UNKNOWN

    def __delitem__(self, name: str) -> None:
        raise MachineError("a component cannot be taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(self.rooms)

    def __len__(self) -> int:
        return len(self.rooms)

    def __contains__(self, name: object) -> bool:
        return name in self.rooms


class _Elements(MutableSequence[int]):
    """The elements of one array."""

    def __init__(self, record: Record, room: Room, overturns: bool):
        self.record, self.room, self.overturns = record, room, overturns

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.room.length))]
        return self.record.value(self._offset(index), self.room.limbs)

    def __setitem__(self, index, value):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            for i, item in zip(range(*index.indices(self.room.length)), value, strict=True):
                self[i] = item
            return
        self.record.set_value(self._offset(index), self.room.limbs, value)
        if self.overturns:
            self.record.forget()

    def _offset(self, index: int) -> int:
        if not -self.room.length <= index < self.room.length:
            raise IndexError(index)
        return self.room.offset + 8 * self.room.limbs * (index % self.room.length)

    def __len__(self) -> int:
        return self.room.length

    def __delitem__(self, index: object) -> None:
        raise MachineError("an element cannot be taken away")

    def insert(self, index: int, value: int) -> None:
        raise MachineError("an array keeps its length")

    def __eq__(self, other: object) -> bool:
        return list(self) == list(cast(Iterable[int], other)) if isinstance(other, Iterable) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))


class _Arrays(MutableMapping[str, list[int]]):
    """Arrays by name; assigning one assigns its elements."""

    def __init__(self, arrays: dict[str, _Elements]):
        self.arrays = arrays

    def __getitem__(self, name: str) -> list[int]:
        return cast("list[int]", self.arrays[name])

    def __setitem__(self, name: str, values: Iterable[int]) -> None:
        self.arrays[name][:] = list(values)

    def __delitem__(self, name: str) -> None:
        raise MachineError("a component cannot be taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __contains__(self, name: object) -> bool:
        return name in self.arrays


class GeneratedState(State):
    """A state that generated code runs on in place. :meth:`copy` gives a plain :class:`State`, a snapshot."""

    __slots__ = ("record",)

    def __init__(self, isa: Isa, generated: Generated):
        self.isa = isa
        self.record = Record(isa, generated.layout, generated)
        others = frozenset(generated.overturning)
        self.cells = cast("dict[str, int]", _Cells(self.record, generated.rests_on))
        self.arrays = cast("dict[str, list[int]]", _Arrays(
            {name: _Elements(self.record, room, name in others) for name, room in generated.layout.arrays.items()}))
        for name, cells in self.record.spaces.items():
            cells.overturns = name in others
        self.memory = cast("dict[str, Memory]", self.record.spaces)
        self.halted = ""

    def copy(self) -> State:
        twin = State(self.isa)
        twin.cells.update(self.cells)
        for name in self.arrays:
            twin.arrays[name] = list(self.arrays[name])
        for name, cells in self.record.spaces.items():
            twin.memory[name] = Memory(cells.items())
        twin.halted = self.halted
        return twin

    def assign(self, other: State, without: Container[str] = ()) -> None:
        """Take over the values of ``other``, a plain state or a generated one, except in some spaces."""
        for name, value in other.cells.items():
            self.cells[name] = value
        for name, values in other.arrays.items():
            self.arrays[name] = list(values)
        for name, cells in self.record.spaces.items():
            if name not in without:
                cells.clear()
                _take(cells, other.memory[name])
        self.halted = other.halted
        self.record.forget()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return (self.isa is other.isa and all(self.cells[name] == other.cells[name] for name in self.cells)
                and all(list(self.arrays[name]) == list(other.arrays[name]) for name in self.arrays)
                and all(cells == other.memory[name] for name, cells in self.record.spaces.items()) and self.halted == other.halted)

    __hash__ = None  # mutable


def _take(cells: Cells, memory: Memory) -> None:
    if memory.fill:
        if cells.buffer.cells > FILL_LIMIT:
            raise MachineError(f"a space of {cells.buffer.cells} cells cannot be filled with {memory.fill:#x}")
        for address in range(cells.buffer.cells):
            cells[address] = memory.fill
    if cells.buffer.cell_bytes > 1:
        for address, value in memory.items():
            cells[address] = value
        return
    run, start = bytearray(), 0
    for address in sorted(memory):  # piece by piece, as noting a store costs more than making it
        if address != start + len(run):
            cells.load(start, bytes(run))
            run, start = bytearray(), address
        run.append(memory[address])
    cells.load(start, bytes(run))
