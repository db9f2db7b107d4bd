"""What generated code remembers of walks and decodings: how it is found again, what it rests on, and what makes it forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machine.generated import slots
from machine.generated.names import Code

if TYPE_CHECKING:
    from machine.generated.emit import Unit


def flushing(code: Code) -> None:
    """Add the function that forgets everything."""
    code("@cold\ndef flush(s):")
    code('    """Forget every walk and decoding."""')
    code("    ST(s + REMEMBERED, 0)")
    code("    ST(s + CONTEXT, UNKNOWN)")
    code("    ST(s + FLUSHES, LD(s + FLUSHES) + 1)")
    code("    return 0\n\n")


def clearing(unit: Unit, code: Code) -> None:
    """Add the function that empties the tables; batches have no second one for decodings."""
    code("@cold\ndef clear(s):")
    code('    """Empty the tables, as context numbers begin anew."""')
    for table in unit.tables:
        code(f"    for i in range(0, {3 * slots.ENTRIES}):")
        code(f"        ST(s + {table} + i * {slots.ENTRY_BYTES}, -1)")
    code(f"    for i in range(0, {slots.DECODED_ENTRIES + 1}):")
    code(f"        ST(LD(s + OWN_TABLE) + i * {slots.DECODED_BYTES}, -1)")
    if not unit.rows:
        code("        if LD(s + OTHER_TABLE) != 0:")
        code(f"            ST(LD(s + OTHER_TABLE) + i * {slots.DECODED_BYTES}, -1)")
    code("    ST(s + LAST_CONTEXT, 0)")
    code("    flush(s)")
    code("    return 0\n\n")


def remembering(unit: Unit, code: Code) -> None:
    """Add the functions that number what walks and decodings rest on; what is remembered is found by that number."""
    words = [(unit.layout.cells[name].name, 8 * limb) for name in unit.rests_on.cells
             for limb in range(unit.layout.cells[name].limbs)]
    words.append(("VIEW", 0))
    size = 8 * (len(words) + 1)
    unit.layout.constants["contexts_room"] = unit.layout.take(slots.WAYS * (len(words) + 1))
    code("@cold\ndef drop_writes(s):")
    code('    """No page is known to be written without notice."""')
    for table in unit.tables:
        code(f"    for i in range(0, {slots.ENTRIES}):")
        code(f"        ST(s + {table} + {slots.ENTRIES * slots.ENTRY_BYTES} + i * {slots.ENTRY_BYTES}, -1)")
    code("    return 0\n\n")
    clearing(unit, code)
    code("@outline\ndef context(s):")
    code('    """Make sure that CONTEXT names the values remembered walks and decodings rest on."""')
    code.depth = 1
    code("if LD(s + CONTEXT) != UNKNOWN:")
    code("    return 0")
    code("n = LD(s + REMEMBERED)")
    code("for i in range(0, n):")
    code(f"    e = s + contexts_room + i * {size}")
    code("    differs = 0")
    for i, (name, offset) in enumerate(words, 1):
        code(f"    differs |= LD(e + {8 * i}) ^ LD(s + {name} + {offset})")
    code("    if differs == 0:")
    code("        ST(s + CONTEXT, LD(e))")
    code("        return 0")
    code(f"if LD(s + LAST_CONTEXT) >= {slots.MAX_CONTEXTS}:")
    code("    clear(s)")
    code("    n = 0")
    code("i = n")
    code(f"if n == {slots.WAYS}:")
    code("    i = LD(s + OLDEST)")
    code(f"    ST(s + OLDEST, i + 1 & {slots.WAYS - 1})")
    code("else:")
    code("    ST(s + REMEMBERED, n + 1)")
    code("number = LD(s + LAST_CONTEXT) + 1")
    code("ST(s + LAST_CONTEXT, number)")
    code(f"e = s + contexts_room + i * {size}")
    code(f"ST(e, number << {slots.CONTEXT_SHIFT})")
    for i, (name, offset) in enumerate(words, 1):
        code(f"ST(e + {8 * i}, LD(s + {name} + {offset}))")
    code(f"ST(s + CONTEXT, number << {slots.CONTEXT_SHIFT})")
    code("return 0\n\n")
    code.depth = 0


def changing(unit: Unit, code: Code) -> None:
    """Add the functions that say what a trap takes back and what a change of state overturns."""
    code("@cold\ndef undoes(status):")
    code('    """Whether a trap takes back effects."""')
    code("    k = -1 - status >> 1")
    for start in range(0, max(len(unit.traps), 1), 60):
        bits = sum(1 << number - start for trap, number in unit.traps.items() if not trap.keeps_effects and 0 <= number - start < 60)
        code(f"    if k >= {start} and k < {start + 60}:")
        code(f"        return {bits:#x} >> k - {start} & 1")
    code("    return 1\n\n")
    code("def change(s, p, value):")
    code('    """Give a cell of the context a value."""')
    code("    if LD(p) != value:")
    code("        ST(s + CONTEXT, UNKNOWN)")
    code("    ST(p, value)")
    code("    return 0\n\n")
    code("def overturn(s, p, value):")
    code('    """Give an element a value on which something remembered may rest."""')
    code("    if LD(p) != value:")
    code("        flush(s)")
    code("    ST(p, value)")
    code("    return 0")
