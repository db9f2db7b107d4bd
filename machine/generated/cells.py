"""How generated code reaches the cells of a physical space, and notes stores to what something remembered rests on.

What is recorded of an access is a part of these functions. Nobody else has to record: where a walk or a decoding is remembered,
the access it was made for has recorded its block, and whatever takes bits back overturns all that is remembered.

Each page has flags: whether it was stored to, and whether a byte in it is watched. Stores to a page with both are noted one
by one, except in lines that hold no watched byte: code and data often share a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs.core import CHANGED, REFERENCED, Space
from machine.generated import rows, slots
from machine.generated.layout import LINE, PAGE, Buffer, mask
from machine.generated.names import Code
from machine.generated.slots import SPACE_SHIFT

if TYPE_CHECKING:
    from machine.generated.emit import Unit


class PhysicalCells:
    """Writes the functions that reach physical cells, each when it is first asked for."""

    def __init__(self, unit: Unit):
        self.unit = unit
        self._written: set[str] = set()

    def buffer(self, space: Space) -> tuple[Buffer, str]:
        buffer = self.unit.layout.spaces[space.name]
        return buffer, f"s{buffer.number}_{'bytes' if space.cell_width == 8 else 'cells'}"

    def _first(self, function: str) -> bool:
        """Whether the function has yet to be written; from now on it counts as written."""
        if function in self._written:
            return False
        self._written.add(function)
        return True

    def common(self, space: Space) -> None:
        """The functions every access to a physical space rests on."""
        buffer, name = self.buffer(space)
        if not self._first(f"{name}_noted"):
            return
        if self.unit.rows:
            return self.unit.add(rows.noticing(self.unit.layout, buffer, name))
        base, flags, cover = (self.unit.layout.pointer(buffer, what) for what in ("base", "flags", "cover"))
        size, code = buffer.cell_bytes, Code()
        code(f"@cold\ndef {name}_noted(s, p, n):")
        code.depth += 1
        code('"""Before the first store to a page, and before each to a page with something watched or absent; 1: do without it."""')
        code(f"f = BYTE(LD(s + {flags}) + (p >> {PAGE})) | BYTE(LD(s + {flags}) + (p + n - 1 >> {PAGE}))")
        code(f"if f & {slots.ABSENT} != 0:")
        code("    return 1")
        code(f"if f & {slots.REAL} != 0 and LD(s + VIEW) == LD(s + TOP):")
        code("    return 1")
        code("if LD(s + LOGGING) != 0:")
        code(f"    log(s, LD(s + {base}), {buffer.number << SPACE_SHIFT:#x}, p, n)")
        code(f"elif f & {slots.REAL} == 0:")
        code(f"    f = LD(s + {flags}) + (p >> {PAGE})")
        code("    SET_BYTE(f, BYTE(f) | 1)")
        code(f"    f = LD(s + {flags}) + (p + n - 1 >> {PAGE})")
        code("    SET_BYTE(f, BYTE(f) | 1)")
        if size == 1:
            code(f"hit = f & {slots.REAL}")  # the byte may be another's, too
            code("for i in range(0, n):")
            code(f"    if covered(LD(s + {cover}), p + i) == 1:")
            code(f"        set_cover(LD(s + {cover}), p + i, 0)")
            code("        hit = 1")
            code("if hit != 0:")
            code("    flush(s)")
        code("return 0")
        if size == 1:
            code.depth = 0
            code(f"def {name}_free(s, p):")
            code('    """Whether stores to the line of this byte need no notice."""')
            code(f"    f = BYTE(LD(s + {flags}) + (p >> {PAGE}))")
            code(f"    if f == {slots.STORED | slots.WATCHED}:")
            code(f"        return unwatched(LD(s + {cover}), p, {LINE})")
            code(f"    return int(f == {slots.STORED})")
            code(f"def {name}_watch(s, p):")
            code.depth += 1
            code('"""A remembered walk or decoding rests on this byte."""')
            code(f"f = LD(s + {flags}) + (p >> {PAGE})")
            code(f"if BYTE(f) & {slots.WATCHED} == 0:")
            code(f"    if BYTE(f) == {slots.STORED}:")
            code("        drop_writes(s)")
            code(f"    SET_BYTE(f, BYTE(f) | {slots.WATCHED})")
            code(f"elif BYTE(f) & {slots.STORED} != 0 and covered(LD(s + {cover}), p) == 0:")
            code(f"    if unwatched(LD(s + {cover}), p, {LINE}) == 1:")
            code("        drop_writes(s)")
            code(f"set_cover(LD(s + {cover}), p, 1)")
            code("return 0")
        return self.unit.add(code.text)

    def _recorded(self, code: Code, space: Space, count: int, bits: int) -> None:
        """Record an access to ``count`` cells from p on."""
        if space.recorded is None:
            return
        name = self._recording(space)
        for offset in sorted({*range(0, count, 1 << space.block), count - 1}):
            code(f"{name}(s, {f'p + {offset} & {mask(space.address_width)}' if offset else 'p'}, {bits})")

    def _recording(self, space: Space) -> str:
        """Name of ``f(s, p, bits)``, which adds to the bits of a block. Neither undone by a trap nor anything to overturn."""
        assert space.recorded is not None
        buffer, held = self.buffer(space.recorded)
        function = f"{self.buffer(space)[1]}_recorded"
        if not self._first(function):
            return function
        self.common(space.recorded)
        base, flags = (self.unit.layout.pointer(buffer, what) for what in ("base", "flags"))
        code = Code()
        code(f"@outline\ndef {function}(s, p, bits):")
        code.depth += 1
        code(f"q = p >> {space.block}")
        code(f"old = LOAD1(LD(s + {base}) + q)")
        code("if old | bits != old:")
        code(f"    if BYTE(LD(s + {flags}) + (q >> {PAGE})) != 1:")
        code(f"        {held}_noted(s, q, 1)")
        code(f"    STORE1(LD(s + {base}) + q, old | bits)")
        code("return 0")
        self.unit.add(code.text)
        return function

    def read_cells(self, space: Space, count: int) -> str:
        """Name of ``f(s, p)``: ``count`` cells of a physical space from address p on."""
        buffer, name = self.buffer(space)
        function = f"{name}_get{count}"
        if not self._first(function):
            return function
        self.common(space)
        base, size, code = self.unit.layout.pointer(buffer, "base"), buffer.cell_bytes, Code()
        code(f"def {function}(s, p):")
        code.depth += 1
        self._recorded(code, space, count, REFERENCED)
        if size > 1 or count == 1:
            code(f"return LOAD{size}(LD(s + {base}) + p{f' * {size}' if size > 1 else ''})")
        else:
            if count in (2, 4, 8):
                load = f"LOAD{count}(LD(s + {base}) + p)"
                code(f"if p <= {buffer.cells - count:#x}:")
                code(f"    return {load if self.unit.isa.little else f'SWAP{count}({load})'}")
            result = self.unit.result_of(function, 8 * count) if count > 8 else ""
            self._gathered(code, count, result, lambda i: f"LOAD1(LD(s + {base}) + (p + {i} & {mask(space.address_width)}))", False)
        self.unit.add(code.text)
        return function

    def write_cells(self, space: Space, count: int, journal: bool) -> str:
        """Name of ``f(s, p, v)``, which stores ``count`` <= 8 cells of a physical space."""
        buffer, name = self.buffer(space)
        function = f"{name}_put{count}{'_kept' if journal else ''}"
        if not self._first(function):
            return function
        self.common(space)
        base, flags = (self.unit.layout.pointer(buffer, what) for what in ("base", "flags"))
        size, code = buffer.cell_bytes, Code()
        if count not in (1, 2, 4, 8):
            one = self.write_cells(space, 1, journal)
            code(f"def {function}(s, p, v):")
            code.depth += 1
            self._scattered(code, count, lambda i, v: f"{one}(s, p + {i} & {mask(space.address_width)}, {v})")
            code("return 0")
            self.unit.add(code.text)
            return function
        one = self.write_cells(space, 1, journal) if count > 1 else ""
        code(f"def {function}(s, p, v):")
        code.depth += 1
        self._recorded(code, space, count, CHANGED)
        at, span = ("p", count) if size == 1 else (f"p * {size}", size)
        if size > 1:
            code(f"q = {at}")
            at = "q"
        if space.name in self.unit.rests_on.others and space.cell_width != 8:
            code(f"if LOAD{size}(LD(s + {base}) + {at}) != v:")
            code("    flush(s)")
        ends = f"BYTE(LD(s + {flags}) + ({at} >> {PAGE}))"
        if span > 1:
            ends += f" * BYTE(LD(s + {flags}) + ({at} + {span - 1} >> {PAGE}))"
        code("whole = 1")
        if count > 1:
            code(f"if p > {buffer.cells - count:#x}:")
            code("    whole = 0")
        code(f"{'elif' if count > 1 else 'if'} {ends} != 1:")
        code(f"    whole = 1 - {name}_noted(s, {at}, {span})")
        code("if whole == 0:")
        code.depth += 1
        if count > 1:  # byte by byte: some may be at the other end, or absent
            self._scattered(code, count, lambda i, v: f"{one}(s, p + {i} & {mask(space.address_width)}, {v})")
        code("return 0")
        code.depth -= 1
        if journal:
            code(f"keep_bytes(s, LD(s + {base}) + {at}, {span})")
        value = "v" if count == 1 or self.unit.isa.little else f"SWAP{count}(v)"
        code(f"STORE{span}(LD(s + {base}) + {at}, {value})")
        code("return 0")
        self.unit.add(code.text)
        return function

    def _scattered(self, code: Code, count: int, put) -> None:  # type: ignore[no-untyped-def]
        """Take ``v`` apart into ``count`` bytes in the order of the description; above 8 it is an address of words."""
        for i in range(count):
            low = 8 * (i if self.unit.isa.little else count - 1 - i)
            word = f"LD(v + {8 * (low // 64)})" if count > 8 else "v"
            code(put(i, f"LSHR({word}, {low % 64}, 64) & 255"))

    @staticmethod
    def _answer(code: Code, result: str, traps: bool) -> None:
        if result:
            code(f"ST({result}, v)")
        code("return 0" if result and traps else f"return {result}" if result else "return v")

    def _gathered(self, code: Code, count: int, result: str, byte, traps: bool) -> None:  # type: ignore[no-untyped-def]
        """Join ``count`` bytes to a value in the order of the description, in the words ``result`` if that is given."""
        at = 0
        for limb in range((count + 7) // 8):
            # Byte ``at`` is the least significant one not yet taken; big-endian operands have theirs at the end.
            length = min(8, count - at)
            code("v = 0")
            code(f"for i in range(0, {length}):")
            code(f"    v |= {byte(f'{at} + i' if self.unit.isa.little else f'{count - 1 - at} - i')} << 8 * i")
            if count > 8:
                code(f"ST({result} + {8 * limb}, v)")
            at += length
        if count > 8:
            code("return 0" if traps else f"return {result}")
        else:
            self._answer(code, result, traps)
