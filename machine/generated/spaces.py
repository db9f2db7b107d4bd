"""How generated code reaches spaces: cells directly, views through their described translations.

A translation that changes nothing and reads only what is watched is remembered, granule by granule: an entry holds a
granule's number with the context it was made in, and the distance from an address to where its cells lie. What a
remembered walk rests on is watched exactly: cells make the context, arrays and other spaces overturn everything when
they change, and so does a store into a byte that a walk read. Only completed walks are remembered, never traps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs.core import Space
from machine.generated.cells import PhysicalCells
from machine.generated.facts import physical
from machine.generated.layout import LINE, PAGE, NotGenerated, mask, plain_name
from machine.generated.names import Access, Code, Role, Variant
from machine.generated.slots import ENTRIES, ENTRY_BYTES

if TYPE_CHECKING:
    from machine.generated.bodies import Body
    from machine.generated.emit import Unit

MAX_CELLS = 1024  # of one access
TLB_WIDTH = 40  # bits of an address that may have entries


class Spaces(PhysicalCells):
    """Writes the access functions of one module, each when it is first asked for."""

    def __init__(self, unit: Unit):
        super().__init__(unit)
        self._names: dict[Access, tuple[str, bool]] = {}
        self._places: dict[Space, tuple[str, bool]] = {}
        self._walks: dict[Space, str] = {}

    # ---- the way through views -----------------------------------------------------------

    def places(self, space: Space) -> tuple[str, bool]:
        """Name of ``f(s, a, n, access)``, which leaves the physical addresses of n cells in words of its own; whether it traps."""
        facts = self.unit.analysis.space(space)
        key = space
        if key in self._places:
            return self._places[key]
        number = len(self._places)
        self._places[key] = f"v{number}_places", facts.traps
        unit, code = self.unit, Code()
        room = f"s + v{number}_room"
        unit.layout.constants[f"v{number}_room"] = unit.layout.take(unit.widest(space))
        levels: list[Space] = []
        view: Space | None = space
        while view is not None and view.onto is not None:
            levels.append(view)
            view = view.onto
        walks = {id(level): self._translation(level) for level in levels if level.translation is not None}
        code(f"@outline\ndef v{number}_places(s, a, n, access):")
        code.depth += 1
        code("for i in range(0, n):")
        code(f"    ST({room} + 8 * i, a + i & {mask(space.address_width)})")
        for level in levels:
            assert level.onto is not None
            if level.base is not None:
                code(f"start = LD(s + {unit.layout.cells[level.base.name].name})")
                code("for i in range(0, n):")
                code(f"    ST({room} + 8 * i, LD({room} + 8 * i) + start & {mask(level.onto.address_width)})")
            elif level.translation is not None:
                name, traps = walks[id(level)]
                # Each granule is mapped by its first address touched; offsets within a granule stay.
                code("known = -1")
                code("image = 0")
                code("for i in range(0, n):")
                code(f"    x = LD({room} + 8 * i)")
                code(f"    if x >> {level.granule} != known:")
                code(f"        known = x >> {level.granule}")
                code(f"        image = {name}(s, x, access)")
                if traps:
                    code("        if image < 0:")
                    code("            return image")
                code(f"        image = image & ~{mask(level.granule)}" if level.granule else "        pass")
                code(f"    ST({room} + 8 * i, (image | x & {mask(level.granule)}) & {mask(level.onto.address_width)})" if level.granule else
                     f"    ST({room} + 8 * i, image & {mask(level.onto.address_width)})")
        code("return 0")
        unit.add(code.text)
        return self._places[key]

    def room(self, places: str) -> str:
        return f"s + {places.replace('_places', '_room')}"

    def _translation(self, level: Space) -> tuple[str, bool]:
        function = level.translation
        assert function is not None
        assert level.onto is not None
        facts = self.unit.analysis.function(function)
        if max(level.address_width, level.onto.address_width) > 62:
            raise NotGenerated(f"addresses of '{level.name}' are too wide for generated code")
        if facts.fields:
            raise NotGenerated(f"the translation of '{level.name}' looks at the instruction")
        return self.unit.function(Variant(function, bool(facts.writes), True, Role.WALK)), facts.traps

    # ---- remembered walks ----------------------------------------------------------------------

    def remembers(self, space: Space) -> bool:
        """Whether walks of this view are kept: one translation straight onto bytes, which changes nothing."""
        if space.translation is None or space.onto is None or not space.onto.physical or space.onto.cell_width != 8:
            return False
        facts = self.unit.analysis.space(space)
        fits = max(space.address_width, space.onto.address_width) <= TLB_WIDTH
        return bool(self.unit.fast and fits and self.granule(space, write=True) >= 3 and not facts.writes
                    and self.unit.isa.counter.name not in facts.reads)

    def entry(self, space: Space) -> str:
        """Name of ``f(s, a, access)``: walk, remember, and return the physical address, or the trap."""
        if space in self._walks:
            return self._walks[space]
        onto = space.onto
        assert onto is not None
        number = len(self._walks)
        name = self._walks[space] = f"w{number}_entry"
        unit, code = self.unit, Code()
        walk, traps = self._translation(space)
        self.common(onto)
        buffer, prefix = self.buffer(onto)
        base = unit.layout.pointer(buffer, "base")
        unit.tables.append(f"w{number}_table")
        unit.layout.constants[f"w{number}_table"] = unit.layout.take(3 * ENTRIES * ENTRY_BYTES // 8)
        code(f"@outline\ndef {name}(s, a, access):")
        code.depth += 1
        code("context(s)")
        code("known = LD(s + CONTEXT)")
        code(f"p = {walk}(s, a, access)")
        if traps:
            code("if p < 0:")
            code("    return p")
        code(f"p = (p & ~{mask(space.granule)} | a & {mask(space.granule)}) & {mask(onto.address_width)}")
        code("ST(s + WALKS, LD(s + WALKS) + 1)")
        for condition, write in (("access != 1", False), (f"{prefix}_free(s, p) == 1", True)):
            shift = self.granule(space, write)
            code(f"{'elif' if write else 'if'} {condition}:")
            code(f"    e = {self.table(space, 'access', 'a', shift)}")
            code(f"    ST(e, (a >> {shift}) + known)")
            code(f"    ST(e + 8, LD(s + {base}) + p - a)")
        code("return p")
        unit.add(code.text)
        return name

    @staticmethod
    def granule(space: Space, write: bool) -> int:
        """Bits of an address within an entry's reach: a granule, or less when pages are smaller, or lines for a write, or blocks."""
        held = physical(space)
        return min(space.granule, LINE if write else PAGE, PAGE if held.recorded is None else held.block)

    def table(self, space: Space, kind: int | str, address: str, shift: int) -> str:
        """Where the entry for an address is."""
        start = kind * ENTRIES * ENTRY_BYTES if isinstance(kind, int) else f"{kind} * {ENTRIES * ENTRY_BYTES}"
        table = self.entry(space).replace("_entry", "_table")
        return f"s + {table} + {start} + ({address} >> {shift} & {ENTRIES - 1}) * {ENTRY_BYTES}"

    # ---- accesses ----------------------------------------------------------------------------------

    def access(self, access: Access) -> tuple[str, bool]:
        """Name of the function for an access, ``f(s, a)`` or ``f(s, a, v)``, and whether it can trap."""
        role = Role.NORMAL if access.write or (access.space.physical and access.space.cell_width != 8) else access.role
        access = Access(access.space, access.count, access.write, access.journal and access.write, role)
        if access not in self._names:
            if access.count > MAX_CELLS:
                raise NotGenerated("an operand of more than 8192 bits")
            self._names[access] = self._new(access)
        return self._names[access]

    def _new(self, access: Access) -> tuple[str, bool]:
        space, number = access.space, len(self._names)
        traps = self.unit.analysis.space(space).traps
        self._names[access] = "", False  # holds the number
        name = f"m{number}_{'put' if access.write else 'get'}_{plain_name(space.name)}_{access.count}"
        if space.physical:
            if access.role.watches:
                return self._watched(access, name), False
            if access.write:
                return self.write_cells(space, access.count, access.journal), False
            return self.read_cells(space, access.count), False
        if space.base is not None and space.onto is not None and space.onto.address_width == space.address_width:
            return self._based(access, name), traps
        if self.remembers(space) and access.count in (1, 2, 4, 8) and access.role is Role.NORMAL:
            self._quick(access, name)
        elif self.remembers(space) and access.count == 1 and access.role is Role.FETCH:
            self._fetched(access, name)
        else:
            self._slow(access, name)
        return name, traps

    def _through(self, access: Access) -> str:
        """The words a value is left in when it cannot be returned: it could be taken for a trap, or has more than 64 bits."""
        held = physical(access.space)
        width = 8 * access.count if held.cell_width == 8 else held.cell_width
        return "record" if not access.write and (width > 64 or (width == 64 and self.unit.analysis.space(access.space).traps)) else ""

    def near(self, count: int, where: str, value: str = "") -> str:
        """The text for ``count`` cells at an address of the host, read, or stored if there is a value."""
        swap = "" if self.unit.isa.little or count == 1 else f"SWAP{count}"
        return f"STORE{count}({where}, {swap}({value}))" if value else f"{swap}(LOAD{count}({where}))"

    def probe(self, body: Body, space: Space, count: int, a: str) -> str:
        """The host's address of cells to be read. Where no walk is remembered for them, the loop is left."""
        shift = self.granule(space, write=False)
        e = body.temporary(self.table(space, 0, a, shift))
        body.code(f"if LD({e}) != ({a} + {count - 1} >> {shift}) + LD(s + CONTEXT):")
        body.code("    break")
        return f"LD({e} + 8) + {a}"

    def _quick(self, access: Access, name: str) -> None:
        """Look for a remembered walk; the slow way is a function of its own."""
        space, slow = access.space, f"{name}_slow"
        self._slow(access, slow)
        self.unit.share_result(name, slow)
        shift, count, code = self.granule(space, access.write), access.count, Code()
        kind, swap = (1 if access.write else access.role.access), "" if self.unit.isa.little or access.count == 1 else f"SWAP{count}"
        v = ", v" if access.write else ""
        code(f"@inline\ndef {name}(s, a{v}):" if count < 1 << shift else f"def {name}(s, a{v}):")
        code.depth += 1
        code(f"e = {self.table(space, kind, 'a', shift)}")
        # The granule of the last byte: that of the first never stands in the next entry.
        last = f"a + {count - 1} >> {shift}" if count > 1 else f"a >> {shift}"
        code(f"if LD(e) == ({last}) + LD(s + CONTEXT):")
        code.depth += 1
        if access.write:
            if access.journal:
                code(f"keep_bytes(s, LD(e + 8) + a, {count})")
            code(f"STORE{count}(LD(e + 8) + a, {f'{swap}(v)' if swap else 'v'})")
            code("return 0")
        else:
            value = f"{swap}(LOAD{count}(LD(e + 8) + a))"
            if self._through(access):
                code(f"ST({self.unit.result_of(name, 64)}, {value})")
                code("return 0")
            else:
                code(f"return {value}")
        code.depth -= 1
        code(f"return {slow}(s, a{v})")
        self.unit.add(code.text)

    def _fetched(self, access: Access, name: str) -> None:
        """A byte of an instruction, by a remembered walk. What will be remembered of the instruction rests on it."""
        space, kind, code = access.space, Role.FETCH.access, Code()
        held, shift = physical(space), self.granule(space, False)
        entry, traps = self.entry(space), self.unit.analysis.space(space).traps
        buffer, prefix = self.buffer(held)
        one = self.read_cells(held, 1)
        code(f"def {name}(s, a):")
        code.depth += 1
        code(f"e = {self.table(space, kind, 'a', shift)}")
        code(f"if LD(e) == (a >> {shift}) + LD(s + CONTEXT):")
        code(f"    p = LD(e + 8) + a - LD(s + {self.unit.layout.pointer(buffer, 'base')})")
        code("else:")
        code(f"    p = {entry}(s, a, {kind})")
        if traps:
            code("    if p < 0:")
            code("        return p")
        if self.unit.rows:
            code("if LD(s + ONCE) == 0:")
        code(f"{'    ' if self.unit.rows else ''}{prefix}_watch(s, p)")
        code(f"return {one}(s, p)")
        self.unit.add(code.text)

    def _based(self, access: Access, name: str) -> str:
        """A view that starts at an address: the same access further on."""
        space = access.space
        assert space.onto is not None
        assert space.base is not None
        onto, _ = self.access(Access(space.onto, access.count, access.write, access.journal, access.role))
        v, code = ", v" if access.write else "", Code()
        code(f"def {name}(s, a{v}):")
        start = f"LD(s + {self.unit.layout.cells[space.base.name].name})"
        code(f"    return {onto}(s, a + {start} & {mask(space.address_width)}{v})")
        self.unit.add(code.text)
        self.unit.share_result(name, onto)
        return name

    def _watched(self, access: Access, name: str) -> str:
        """A read of physical bytes on which something remembered will rest."""
        _, prefix = self.buffer(access.space)
        inner = self.read_cells(access.space, access.count)
        code = Code()
        code(f"def {name}(s, p):")
        code.depth += 1
        code(f"for i in range(0, {access.count}):")
        code(f"    {prefix}_watch(s, p + i & {mask(access.space.address_width)})")
        code(f"return {inner}(s, p)")
        self.unit.add(code.text)
        self.unit.share_result(name, inner)
        return name

    def _slow(self, access: Access, name: str) -> None:
        """The whole operand is translated, as the plain machine does, before any of it is used."""
        space, count, unit = access.space, access.count, self.unit
        held = physical(space)
        _, prefix = self.buffer(held)
        places, traps = self.places(space)
        room, code = self.room(places), Code()
        kind = 1 if access.write else access.role.access
        one = self.write_cells(held, 1, access.journal) if access.write else self.read_cells(held, 1)
        quick = count <= 8 and self.remembers(space) and not access.role.watches
        several = "" if not quick else self.write_cells(held, count, access.journal) if access.write else self.read_cells(held, count)
        entry = self.entry(space) if quick else ""
        result = unit.result_of(name, max(8 * count, 64)) if self._through(access) else ""
        v = ", v" if access.write else ""
        code(f"@outline\ndef {name}(s, a{v}):")
        code.depth += 1
        if quick:
            shift = self.granule(space, access.write)
            code(f"if a & {mask(shift)} <= {(1 << shift) - count}:")
            code.depth += 1
            code(f"p = {entry}(s, a, {kind})")
            if traps:
                code("if p < 0:")
                code("    return p")
            if result:
                code(f"ST({result}, {several}(s, p))")
                code("return 0")
            else:
                code(f"return {several}(s, p{v})")
            code.depth -= 1
        code(f"t = {places}(s, a, {count}, {kind})")
        if traps:
            code("if t < 0:")
            code("    return t")
        if access.write:
            if held.cell_width == 8:
                self._scattered(code, count, lambda i, byte: f"{one}(s, LD({room} + {8 * i}), {byte})")
            else:
                code(f"{one}(s, LD({room}), v)")
            code("return 0")
        elif held.cell_width != 8:
            code(f"v = {one}(s, LD({room}))")
            self._answer(code, result, traps)
        else:
            if access.role.watches:
                code(f"for i in range(0, {count}):")
                code(f"    {prefix}_watch(s, LD({room} + 8 * i))")
            self._gathered(code, count, result, lambda i: f"{one}(s, LD({room} + 8 * ({i})))", traps)
        unit.add(code.text)
