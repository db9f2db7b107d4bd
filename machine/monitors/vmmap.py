"""The VM map of a monitor profile at work: what the real machine is given when a guest runs, and what is taken back.

CACM 17(7), 1974, "Virtual machine map". Storage and whatever else is the guest's is shared between the two states; the real one
sees it at guest-relative addresses, as the proofs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isa_specs import core
from isa_specs.core import Cell, Const, Isa, Space
from isa_specs.core import Monitor as Profile
from machine.activation import EXECUTE, READ, WRITE
from machine.monitors.processor import Processor, Watch
from machine.monitors.windows import Beyond, Storage
from machine.plain import Machine
from machine.rooms import GRAIN
from machine.state import Place, State

TABLE_ROOM = 0x10_0000  # bytes of real addresses kept for each table the monitor has moved


class VirtualMachineMap:
    """f of one profile. ``host`` gives values for what the monitor owns, by component; where it is silent the real machine gets the
    guest's own value, except that tables the processor walks are moved behind the guest's storage. ``controls`` are the constants
    the profile leaves open; zero where nobody has chosen, which is where the checker begins its search."""

    def __init__(self, machine: Machine, profile: Profile, host: Mapping[str, int], controls: Mapping[str, int]):
        self.machine, self.profile, self.isa = machine, profile, machine.isa
        self.given = self._given(host, controls)
        self.guest = [name for name in self.isa.cells if name not in self.given and self.owner(name) == "guest"]
        self.host = [name for name in self.isa.cells if name not in self.given and self.owner(name) == "host"]
        self.maps = [(keep.target.name, keep.value) for keep in profile.keeps.values()
                     if keep.value is not None and not isinstance(keep.value, Const)]
        copies = profile.copies()
        self.copies = {name: cells[0].name for name, cells in copies.items()}
        self.kept = [cell.name for cells in copies.values() for cell in cells]
        self.real = State(self.isa)
        self.owned = [name for name in self.isa.cells if self.owner(name) == "host"]
        self.shared = frozenset(component.name for component in self.isa.components() if self.owner(component.name) == "guest")
        self.known: dict[str, int] = {}  # what the real state holds, as far as it has been put there or looked at

    def owner(self, name: str) -> str:
        """Who owns a component, as docs/definitions.md has it: ``guest`` or ``host``."""
        keep = self.profile.keeps.get(name)
        return "guest" if keep is None or keep.how == "guest" else "host"

    def _given(self, host: Mapping[str, int], controls: Mapping[str, int]) -> dict[str, int]:
        """The components whose real value does not depend on the guest."""
        given: dict[str, int] = {}
        for space, start in self.tables():
            assert space.base is not None
            if self.owner(space.base.name) == "host":
                given[space.base.name] = start
        for name, keep in self.profile.keeps.items():
            if isinstance(keep.value, Const):
                given[name] = keep.value.value
            elif keep.how == "control":
                given[name] = controls.get(name, 0)
            elif keep.how == "host" and name in host and isinstance(keep.target, Cell):
                given[name] = host[name]
        return given

    def tables(self) -> list[tuple[Space, int]]:
        """The spaces reached through a register, and where the monitor puts them."""
        found = [space for space in self.isa.spaces.values() if space.base is not None]
        return [(space, (1 << space.base.width) - (i + 1) * TABLE_ROOM) for i, space in enumerate(found) if space.base is not None]

    def prepared(self, virtual: State, below: Processor) -> State:
        """The virtual state, sharing all that is the guest's with the real state that ``below`` likes to run on."""
        if self.moved():
            return virtual  # behind a window only the plain machine looks
        self.real, self.known = below.prepared(self.enter(virtual)), {}
        for name in virtual.arrays:
            if self.owner(name) == "guest":
                virtual.arrays[name] = self.real.arrays[name]
        for name in virtual.memory:
            if self.owner(name) == "guest":
                virtual.memory[name] = self.real.memory[name]
        return virtual

    def moved(self) -> list[tuple[Space, int]]:
        return [(space, start) for space, start in self.tables() if space.base is not None and space.base.name in self.given]

    # ---- entering and leaving ----------------------------------------------------------------

    def enter(self, virtual: State) -> State:
        """f(virtual), in the state kept for it."""
        real, cells = self.real, virtual.cells
        real.halted = ""
        for name, value in self.given.items():
            self._put(name, value)
        for space, start in self.moved():
            assert space.base is not None
            self._put(space.base.name, start + cells[space.base.name] % GRAIN)
        for name in self.guest:
            self._put(name, cells[name])
        for name in self.host:
            self._put(name, cells[name])
        for name, expression in self.maps:
            self._put(name, self.machine.evaluate(expression, virtual))
        for name, values in virtual.arrays.items():
            if real.arrays[name] is not values and self.owner(name) == "guest":
                real.arrays[name] = values
        for name, memory in virtual.memory.items():
            if real.memory[name] is not memory and self.owner(name) == "guest":
                real.memory[name] = self._seen(memory, virtual) if isinstance(memory, Storage) else memory
        return real

    def _put(self, name: str, value: int) -> None:
        if self.known.get(name) != value:
            self.real.cells[name] = self.known[name] = value

    def _seen(self, window: Storage, virtual: State) -> Storage:
        moved = [(start, TABLE_ROOM, self._inside(space, virtual)) for space, start in self.moved()]
        return Beyond(window, moved) if moved else window

    def _inside(self, space: Space, virtual: State) -> Callable[[int], int | None]:
        """What stands for a distance from where the monitor has put the guest's table; it begins there as it does in its page."""
        assert space.base is not None
        base = space.base.name

        def where(distance: int) -> int | None:
            return self.table(space, distance - virtual.cells[base] % GRAIN, virtual)

        return where

    def table(self, space: Space, offset: int, virtual: State) -> int | None:
        """The address where the guest's own table has its entry at an offset."""
        found = (self.machine.place(space, offset, virtual, access) for access in (READ, WRITE, EXECUTE))
        return next((place[1] for place in found if place is not None), None)

    def watch(self, watch: Watch) -> Watch:
        """What to watch on the real machine: what is the guest's, and the copies that hardware keeps of what is not."""
        return watch.elsewhere(self.copies).among(self.shared.union(self.copies.values()))

    def watched(self, written: frozenset[Place]) -> frozenset[Place]:
        """The same places on the virtual machine."""
        originals = {copy: name for name, copy in self.copies.items()}
        return frozenset((originals.get(name, name), i) for name, i in written)

    def leave(self, virtual: State) -> list[str]:
        """Take the guest's components back; returns the monitor's own that the guest has changed, which must be none."""
        cells, known = self.real.cells, self.known
        for name in self.guest:
            virtual.cells[name] = known[name] = cells[name]
        for name, copy in self.copies.items():
            virtual.cells[name] = cells[copy]
        for copy in self.kept:
            known[copy] = cells[copy]
        virtual.halted = self.real.halted
        disturbed = [name for name in self.owned if cells[name] != known[name]]
        for name in disturbed:
            known[name] = cells[name]
        return disturbed


def effects(isa: Isa) -> Callable[[core.Form], bool]:
    """Whether a form may have changed something but the counter by the time it traps; remembered."""
    from isa_specs.cost import parts

    known: dict[object, bool] = {}

    def writes(item: core.Expr | core.Stmt | core.Function) -> bool:
        if item not in known:
            known[item] = False
            own = isinstance(item, core.WriteElement | core.Store) or (isinstance(item, core.Write) and item.cell is not isa.counter)
            known[item] = own or any(map(writes, parts(item)))
        return known[item]

    return lambda form: any(map(writes, form.body))


__all__ = ["VirtualMachineMap", "effects"]
