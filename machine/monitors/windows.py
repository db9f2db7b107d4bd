"""Storage as a board provides it, and windows in it: the allocator's side of a monitor.

A machine sees ``size`` bytes from address 0. A guest sees a window of its monitor's storage, behind the part the monitor keeps for
itself; the window of a guest's guest lies in that. So all of them are parts of one block of bytes, and no address leads out of a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView

from machine.errors import MachineError
from machine.rooms import Room
from machine.state import Memory


class Storage(Memory):
    """``cells`` bytes of installed storage, those of ``room`` from ``origin`` on where there is one. Where nothing is installed, reads
    give zero and writes are lost."""

    __slots__ = ("cells", "origin", "room")

    def __init__(self, cells: memoryview | bytearray, room: Room | None = None, origin: int = 0):
        super().__init__()
        self.cells, self.room, self.origin = memoryview(cells), room, origin

    @classmethod
    def of_size(cls, size: int) -> Storage:
        room = Room(size)
        return cls(memoryview(room.bytes), room)

    def window(self, origin: int, size: int) -> Storage:
        """The ``size`` bytes from ``origin`` on, shared. Raises MachineError when they are not all there."""
        if origin < 0 or size <= 0 or origin + size > len(self.cells):
            raise MachineError(f"no window of {size:#x} bytes at {origin:#x} in {len(self.cells):#x} bytes of storage")
        return Storage(self.cells[origin : origin + size], self.room, self.origin + origin)

    def digest(self) -> str:
        """SHA-256 of the contents, in hexadecimal."""
        return hashlib.sha256(self.cells).hexdigest()

    def block(self) -> bytes | None:
        return bytes(self.cells)

    def __getitem__(self, address: int) -> int:
        return self.cells[address] if address < len(self.cells) else 0

    def __setitem__(self, address: int, value: int) -> None:
        if address < len(self.cells):
            self.cells[address] = value

    def __missing__(self, address: int) -> int:
        return self[address]

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and 0 <= address < len(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.cells)))

    # What a dict has of its own knows nothing of ``cells``.
    def keys(self) -> KeysView[int]:  # type: ignore[override]
        return KeysView(self)

    def items(self) -> ItemsView[int, int]:  # type: ignore[override]
        return ItemsView(self)

    def values(self) -> ValuesView[int]:  # type: ignore[override]
        return ValuesView(self)

    def get(self, address: int, default: int = 0) -> int:  # type: ignore[override]
        return self[address]

    def update(self, given: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:  # type: ignore[override]
        for address, value in given.items() if isinstance(given, Mapping) else given:
            self[address] = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Storage):
            return bytes(self.cells) == bytes(other.cells)
        return NotImplemented if not isinstance(other, Memory) else Memory(enumerate(self.cells)) == other

    __hash__ = None  # type: ignore[assignment]  # mutable

    def copy(self) -> Storage:
        """The same contents in bytes of its own."""
        return Storage(bytearray(self.cells))

    def load(self, address: int, data: bytes) -> None:
        if address + len(data) > len(self.cells):
            raise MachineError(f"{len(data)} bytes at {address:#x} do not fit in {len(self.cells):#x} bytes of storage")
        self.cells[address : address + len(data)] = data


class Beyond(Storage):
    """A guest's window as the real machine sees it: behind it the monitor has put something of its own.

    ``parts`` are (first address, bytes, where): ``where`` gives the address in the guest's storage that stands for an offset, or None
    for an address where there is nothing. Tables the monitor has moved are reached so. The guest may be a monitor that has put
    something there for its own."""

    __slots__ = ("parts", "within")

    def __init__(self, within: Storage, parts: Iterable[tuple[int, int, Callable[[int], int | None]]]):
        super().__init__(within.cells)
        self.within, self.parts = within, tuple(parts)

    def block(self) -> None:
        return None

    def _inside(self, address: int) -> int | None:
        if address < len(self.cells):
            return address
        return next((where(address - first) for first, length, where in self.parts if first <= address < first + length), None)

    def __getitem__(self, address: int) -> int:
        inside = self._inside(address)
        return 0 if inside is None else self.within[inside]

    def __setitem__(self, address: int, value: int) -> None:
        inside = self._inside(address)
        if inside is not None:
            self.within[inside] = value


class WithOwn(Storage):
    """A guest's window with the monitor's own bytes at the addresses from ``first`` on: the real machine of a monitor that runs on it."""

    __slots__ = ("first", "own")

    def __init__(self, cells: memoryview, own: memoryview, first: int):
        super().__init__(cells)
        self.own, self.first = own, first

    def block(self) -> None:
        return None

    def copy(self) -> WithOwn:
        return WithOwn(memoryview(bytearray(self.cells)), memoryview(bytearray(self.own)), self.first)

    def __getitem__(self, address: int) -> int:
        if address < len(self.cells):
            return self.cells[address]
        offset = address - self.first
        return self.own[offset] if 0 <= offset < len(self.own) else 0

    def __setitem__(self, address: int, value: int) -> None:
        offset = address - self.first
        if address < len(self.cells):
            self.cells[address] = value
        elif 0 <= offset < len(self.own):
            self.own[offset] = value


__all__ = ["Beyond", "Storage", "WithOwn"]
