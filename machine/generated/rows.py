"""The module generated for batches: forms and functions as always, with the state in the row at hand instead of in the record.

A case costs most by the memory it moves, so nothing is copied: cells and elements are reached where the caller has put them, and
only what an instruction looks at is touched. Columns are ordered by how many forms do so. What is remembered lasts for one case, so
each begins with a context of its own, and nothing that a context rests on is compared.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from machine.generated import slots
from machine.generated.layout import LINE, Buffer
from machine.generated.names import Code
from machine.generated.remembering import clearing
from machine.generated.slots import SPACE_SHIFT

if TYPE_CHECKING:
    from machine.generated.emit import Unit
    from machine.generated.layout import Layout

CASES = Path(__file__).with_name("cases_runtime.py")
MAX_LINES = 64  # saved in a case
MAX_WATCHES = 1 << 24  # bytes
WORDS = ("ROW", "ONCE", "LOGGED", "LINES", "LINES_END", "WATCHES", "WATCHES_END")
NEAR = 8  # what at least one form in so many looks at is fetched ahead
_COMPONENT = re.compile(r"\bs \+ ([ca]\d+_\w+|COUNTER)\b")


def reserve(layout: Layout) -> None:
    """Words of the record for what batches note."""
    for name in WORDS:
        layout.constants[name] = layout.take()
    layout.constants |= {"LINE_BYTES": 32 + (1 << LINE), "MAX_LINES": MAX_LINES, "MAX_WATCHES": MAX_WATCHES}


def columns(unit: Unit) -> tuple[dict[str, int], int]:
    """The column of each cell and array, those most looked at last; and the first of those that are fetched ahead."""
    isa, analysis, heat = unit.isa, unit.analysis, Counter[str]()
    for form in isa.forms:
        facts = analysis.body(form.body)
        heat.update(facts.reads | facts.writes)
    assert isa.fetch is not None
    always = set(unit.rests_on.cells) | analysis.function(isa.fetch).reads | {isa.counter.name}
    heat.update(dict.fromkeys(always, len(isa.forms)))
    rooms = {**unit.layout.cells, **unit.layout.arrays}
    found, at, near = {}, 0, -1
    for name in sorted(rooms, key=lambda name: heat[name]):
        if near < 0 and heat[name] * NEAR >= len(isa.forms):
            near = at
        found[name] = at
        at += rooms[name].limbs * rooms[name].length
    return found, max(near, 0)


def constants(unit: Unit) -> dict[str, int]:
    """Where components are in a row, in bytes, by the names they have in the text."""
    rooms = {**unit.layout.cells, **unit.layout.arrays}
    places = {rooms[name].name: 8 * column for name, column in unit.columns.items()}
    return {**places, "COUNTER": 8 * unit.columns[unit.isa.counter.name]}


def in_rows(text: str) -> str:
    """The text with the state in the row."""
    return _COMPONENT.sub(r"LINK(s + ROW) + \1", text)


def remembering(unit: Unit) -> str:
    """The functions :mod:`loop` has for what is remembered, as far as batches need them."""
    code = Code()
    clearing(unit, code)
    code("def context(s):")
    code('    """Make sure that CONTEXT has a number."""')
    code("    if LD(s + CONTEXT) == UNKNOWN:")
    code(f"        if LD(s + LAST_CONTEXT) >= {slots.MAX_CONTEXTS}:")
    code("            clear(s)")
    code("        number = LD(s + LAST_CONTEXT) + 1")
    code("        ST(s + LAST_CONTEXT, number)")
    code(f"        ST(s + CONTEXT, number << {slots.CONTEXT_SHIFT})")
    code("    return 0")
    return code.text


def noticing(layout: Layout, buffer: Buffer, name: str) -> str:
    """The functions :mod:`cells` has for stores to a space that are noticed."""
    base, cover = (f"LD(s + {layout.pointer(buffer, what)})" for what in ("base", "cover"))
    place, code = f"{buffer.number << SPACE_SHIFT:#x}", Code()
    code(f"def {name}_noted(s, p, n):")
    if buffer.cell_bytes > 1:
        code(f"    log(s, {base}, {place}, p, n)")
        code("    return 0")
        return code.text
    code(f"    return note(s, {base}, {cover}, {place}, p, n)\n\n")
    code(f"def {name}_free(s, p):")
    code(f"    return free(s, {base}, {cover}, {place}, p, {LINE})\n\n")
    code(f"def {name}_watch(s, p):")
    code(f"    return watch(s, {cover}, p)")
    return code.text
