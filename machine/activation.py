"""One run of core-form code on a state: storage, and how traps end it. What the code does is in :mod:`machine.code`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from isa_specs.core import CHANGED, REFERENCED, Expr, Function, Space, Stmt, Trap
from machine.code import ExecuteSignal, code
from machine.errors import MachineError
from machine.outcomes import Next, Outcome, Trapped
from machine.state import Place, Recorder, State

READ, WRITE, EXECUTE = 0, 1, 2

Oracle = Callable[[int], int]
"""Chooses a value of the given width where the manual leaves it undefined."""


class TrapSignal(Exception):
    """Not an error: the way a trap leaves nested calls."""

    def __init__(self, trap: Trap, args: tuple[int, ...], kind: str):
        self.trap, self.args_, self.kind = trap, args, kind
        super().__init__(trap.name)


class Activation:
    """Runs code on ``state``, in place, remembering old values so that a trap can undo it all.

    While it runs, the counter cell holds the address of the instruction unless the code assigned it."""

    def __init__(self, state: State, externs: Mapping[str, Callable[..., int]], oracle: Oracle, recorder: Recorder | None = None):
        self.state = state
        self.isa = state.isa
        self.code = code(state.isa)
        self.externs = externs
        self.oracle = oracle
        self.recorder = recorder
        self.address = state.cells[self.isa.counter.name]
        self.fields: Mapping[str, int] = {}
        self.ilen = 0
        self.fetching = False
        self._translating = 0
        self.jumped = False
        self._journal: list[tuple[Place, int]] = []
        self._recorded: list[tuple[Place, int]] = []

    # ---- whole instructions ------------------------------------------------------

    def next(self) -> int:
        """The address behind the instruction; like all that rests on the counter, a use of it."""
        self._note_counter()
        return (self.address + self.ilen) & _mask(self.isa.counter.width)

    def instruction(self, body: list[Stmt], fields: Mapping[str, int], ilen: int) -> Outcome:
        """Run a form's body to its end and leave the counter where the machine goes on."""
        self.ilen = ilen
        self.fields = {**fields, "ilen": ilen}
        try:
            self.code.body(body)(self, {})
        except TrapSignal as signal:
            return self.end(signal)
        except ExecuteSignal as signal:
            return signal.outcome
        self._go_on()
        return Next()

    def end(self, signal: TrapSignal) -> Trapped:
        """Apply the trap's ending."""
        if not signal.trap.keeps_effects:
            self.undo()
        match signal.trap.ending:
            case "nullify":
                pass
            case "suppress" | "complete":
                self._go_on()
            case "terminate":
                self.write((self.isa.counter.name, 0), self.address)
            case ending:
                raise MachineError(f"trap '{signal.trap.name}' has an unknown ending '{ending}'")
        return Trapped(signal.trap, signal.args_, signal.kind, self.ilen)

    def _go_on(self) -> None:
        if not self.jumped:
            self.write((self.isa.counter.name, 0), self.next())

    def undo(self) -> None:
        """Take back everything written so far."""
        while self._journal:
            place, old = self._journal.pop()
            self.state.put(place, old)
            if self.recorder is not None:
                self.recorder.note_undone(place)
        self.jumped = False

    def retract(self) -> None:
        """Leave no trace: take back what accesses recorded as well, which outlasts what traps undo."""
        self.undo()
        while self._recorded:
            self.state.put(*self._recorded.pop())

    # ---- places ------------------------------------------------------------------

    def read(self, place: Place) -> int:
        if self.recorder is not None:
            self.recorder.note_read(place)
        return self.state.get(place)

    def write(self, place: Place, value: int) -> None:
        self._journal.append((place, self.state.get(place)))
        self.state.put(place, value)
        if self.recorder is not None:
            self.recorder.written.add(place)

    def _note_counter(self) -> None:
        if self.recorder is not None:
            self.recorder.note_read((self.isa.counter.name, 0))

    def fetch(self, offset: int) -> int:
        """Byte ``offset`` of the instruction at the counter."""
        if self.isa.fetch is None:
            raise MachineError(f"{self.isa.name} does not say how instructions are fetched")
        self._note_counter()
        self.fetching = True
        try:
            return self.call(self.isa.fetch, ((self.address + offset) & _mask(self.isa.counter.width),))
        finally:
            self.fetching = False

    # ---- storage -----------------------------------------------------------------

    def load(self, space: Space, address: int, width: int) -> int:
        # The fetch is the one reader whose accesses are 'execute'; a table its translation walks is read.
        access = EXECUTE if self.fetching and not self._translating else READ
        places = self._operand(space, address, width, access)
        self._record(places, REFERENCED)
        values = [self.read(place) for place in places]
        if space.cell_width != 8:
            return values[0] & _mask(width)
        return int.from_bytes(bytes(values), "little" if self.isa.little else "big")

    def store(self, space: Space, address: int, width: int, value: int) -> None:
        places = self._operand(space, address, width, WRITE)
        self._record(places, CHANGED)
        values: Sequence[int] = [value]
        if space.cell_width == 8:
            values = value.to_bytes(width // 8, "little" if self.isa.little else "big")
        for place, cell in zip(places, values, strict=True):
            self.write(place, cell)

    def _record(self, places: Sequence[Place], bits: int) -> None:
        """Add ``bits`` to those of the blocks an access has reached."""
        space = self.isa.spaces[places[0][0]]
        if space.recorded is None:
            return
        for block in {index >> space.block for _, index in places}:
            place = space.recorded.name, block
            old = self.state.get(place)
            if old | bits != old:
                self._recorded.append((place, old))
                self.state.put(place, old | bits)

    def _operand(self, space: Space, address: int, width: int, access: int) -> list[Place]:
        """The places of a whole operand: all of it is translated before any of it is used."""
        count = width // 8 if space.cell_width == 8 else 1
        addresses = [(address + offset) & _mask(space.address_width) for offset in range(count)]
        places = self.places(space, addresses, access)
        if self.recorder is not None and not space.physical:
            self.recorder.views.update(dict.fromkeys((space.name, address) for address in addresses))
        return places

    def places(self, space: Space, addresses: Sequence[int], access: int) -> list[Place]:
        """Where the addresses of ``space`` end up physically, or a trap."""
        addresses = [address & _mask(space.address_width) for address in addresses]
        if space.onto is None:
            return [(space.name, address) for address in addresses]
        if space.base is not None:
            start = self.read((space.base.name, 0))
            return self.places(space.onto, [start + address for address in addresses], access)
        if space.translation is not None:
            addresses = self._translate(space.translation, space.granule, addresses, access)
        return self.places(space.onto, addresses, access)

    def _translate(self, translation: Function, granule: int, addresses: Sequence[int], access: int) -> list[int]:
        """Map each granule by its first address touched; offsets within a granule stay."""
        images: dict[int, int] = {}
        offset = _mask(granule)
        for address in addresses:
            if address >> granule not in images:
                self._translating += 1
                try:
                    image = self.call(translation, (address, access))
                finally:
                    self._translating -= 1
                images[address >> granule] = image & ~offset
        return [images[address >> granule] | address & offset for address in addresses]

    # ---- what the functions of machine.code ask of a run ---------------------------

    def call(self, function: Function, args: Sequence[int]) -> int:
        """The function's result; 0 for a procedure."""
        return self.code.function(function)(self, args)

    def value(self, e: Expr) -> int:
        """The unsigned value of an expression outside of any body."""
        return self.code.value(e)(self, {})

    def field(self, name: str) -> int:
        if name in self.fields:
            return self.fields[name]
        if name != "next":
            raise MachineError(f"no value for the field '{name}'")
        return self.next()

    def trap(self, trap: Trap, args: tuple[int, ...]) -> NoReturn:
        raise TrapSignal(trap, args, "memory" if self._translating or self.fetching else trap.kind)

    def extern(self, name: str, args: Sequence[int]) -> int:
        """What an extern function gives, of any width."""
        if name not in self.externs:
            raise MachineError(f"no implementation of the extern function '{name}'")
        return self.externs[name](*args)


def _mask(width: int) -> int:
    return (1 << width) - 1
