"""The step loop of generated code, and what it rests on: contexts, lookups, endings and deliveries of traps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.diagnostics import NOWHERE
from machine.generated import remembering, rows, slots
from machine.generated.decoding import first_bytes
from machine.generated.layout import comment, limbs, mask
from machine.generated.names import Code, Role, Variant

if TYPE_CHECKING:
    from machine.generated.emit import Unit

COUNT_MASK = slots.DECODED_ENTRIES - 1


def write(unit: Unit) -> None:
    """Add the loop and all it needs."""
    before = len(unit.parts)
    _illegal(unit)
    _forms(unit, "executed")
    _deliver(unit)
    _ended(unit)
    _lookup(unit)
    _run(unit)
    # What the parts call has to stand before them.
    front = Code()
    if unit.rows:
        front(rows.remembering(unit))
    else:
        remembering.flushing(front)
        remembering.remembering(unit, front)
    remembering.changing(unit, front)
    unit.parts[:0] = [front.text]
    assert before


def _counter(unit: Unit) -> str:
    return f"s + {unit.layout.cells[unit.isa.counter.name].name}"


# ---- instructions -----------------------------------------------------------------------------------


def _illegal(unit: Unit) -> None:
    body = unit.body(Role.NORMAL, {"ilen": "ilen"})
    body.code("def illegal(s, pc, ilen, w0, w1, w2):")
    body.code.depth += 1
    body.code('"""Bytes that are no instruction."""')
    body.code(f"ST(s + NEXT, (pc + ilen) & {mask(unit.isa.counter.width)})")
    if unit.isa.illegal is None:
        body.code(f"return {unit.plain_status}")  # the plain machine says what is wrong
    else:
        trap, args = unit.isa.illegal
        body.trap(core.Raise(trap, args, NOWHERE))
    unit.add(body.code.text)
    lengths: dict[int, int] = {}
    for form in unit.isa.forms:
        if isinstance(form.encoding, core.FixedEncoding):
            first = _first_byte(form.encoding, unit.isa.little)
            lengths.setdefault(first, form.encoding.format.length)
    code = Code()
    code("def illegal_length(s):")
    code.depth += 1
    if not lengths:
        code("return LD(s + KNOWN)")
    else:
        code("b = LD(s + BYTES)")
        known = dict(first_bytes(lengths))
        for byte in range(255):
            if known[byte] != known[byte + 1]:
                code(f"if b <= {byte:#x}:")
                code(f"    return {known[byte]}")
        code(f"return {known[255]}")
    unit.add(code.text)


def _first_byte(encoding: core.FixedEncoding, little: bool) -> int:
    word, values = 0, dict(encoding.values)
    for name, width in encoding.format.fields:
        word = word << width | values.get(name, 0)
    return word.to_bytes(encoding.format.length, "little" if little else "big")[0]


def _arms(unit: Unit, code: Code, fixed: bool) -> None:
    """``r`` becomes what form ``k`` returns; with ``fixed`` a form of one length goes on behind a constant, and there are regions."""
    for number, name in enumerate(unit.forms):
        form = unit.isa.forms[number]
        length = str(unit.lengths[form]) if fixed and unit.lengths[form] else "ilen"
        code(f"{'elif' if number else 'if'} k == {number}:")
        code(f"    r = {name}(s, pc, {length}, w0, w1, w2)")
    if unit.forms:
        if fixed:
            code(f"elif k == {len(unit.forms) + 1}:")
            code("    r = CALL(LD(LD(e + 56)), s, limit - n)")
            code("    n = n + LD(s + REGION_STEPS)")
            code("    pc = LD(s + REGION_PC)")
            code("    ilen = LD(s + REGION_LENGTH)")
            code("    k = LD(s + REGION_FORM)")
        code("else:")
        code("    r = illegal(s, pc, ilen, w0, w1, w2)")
    else:
        code("r = illegal(s, pc, ilen, w0, w1, w2)")


def _words(code: Code, where: str) -> None:
    for i in range(3):
        code(f"w{i} = LD({where}{f' + {8 * i}' if i else ''})")


def _forms(unit: Unit, name: str) -> None:
    code = Code()
    code(f"@cold\ndef {name}(s, pc, ilen):")
    code.depth += 1
    code('"""The instruction an EXECUTE names, at the address and with the length of that one."""')
    executes = any(unit.analysis.body(form.body).executes for form in unit.isa.forms)
    if not executes:
        code("return 0")
        unit.add(code.text)
        return
    code("spread(s)")
    code("ST(s + KNOWN, 16)")
    code("r = decode(s)")
    code("if r < 0:")
    code("    return r")
    code("k = LD(s + FORM)")
    code("ST(s + EXECUTED, k)")
    _words(code, "s + WORDS")
    _arms(unit, code, False)
    code("return r")
    unit.add(code.text)


def _deliver(unit: Unit) -> None:
    calls: list[str] = []
    for number, trap in enumerate(unit.isa.traps.values()):
        word = "elif" if number else "if"
        calls.append(f"{word} k == {number}:  # {comment(trap.name)}")
        if trap.delivery is None:
            calls.append(f"    ST(s + HALTED, {number + 1})")
            calls.append(f"    ST(s + STATUS, {slots.HALT})")
            calls.append("    return -1")
            continue
        name = unit.function(Variant(trap.delivery, False, True, Role.NORMAL))
        args, at = ["s", *("ilen" for _ in unit.analysis.function(trap.delivery).fields)], 0
        for _, width in trap.params:
            args.append(f"LD(s + ARGUMENTS + {8 * at})" if width <= 64 else f"s + ARGUMENTS + {8 * at}")
            at += limbs(width)
        calls.append(f"    r = {name}({', '.join(args)})")
    code = Code()
    code("@exported\n@outline\ndef deliver(s, k, ilen):")
    code.depth += 1
    code('"""What the bare machine does about trap k; the address to go on at, or -1 when it halts."""')
    code(f"pc = LD({_counter(unit)})")
    code("r = 0")
    for line in calls:
        code(line)
    code("if r < 0:")
    code("    undo(s)")
    code("    flush(s)")
    code(f"    ST({_counter(unit)}, pc)")
    code("    ST(s + HALTED, 1 + k + ((-1 - r >> 1) + 1 << 32))")
    code(f"    ST(s + STATUS, {slots.HALT})")
    code("    return -1")
    code("ST(s + KEPT, LD(s + JOURNAL))")
    code(f"return LD({_counter(unit)})")
    unit.add(code.text)


def _ended(unit: Unit) -> None:
    traps = list(unit.isa.traps.values())
    code = Code()
    code("@outline\ndef ended(s, pc, ilen, status):")
    code.depth += 1
    code('"""An instruction that did not simply complete: the address to go on at; -1 to stop, -2 to stop before it."""')
    counter = _counter(unit)
    code("ST(s + COUNTER_AT, pc)")
    code("ST(s + ILEN, ilen)")
    code("ST(s + EXECUTED, -1)")
    code(f"if status == {unit.execute_status}:")
    code("    status = executed(s, pc, ilen)")
    code("    if status >= 0:")
    code("        return status")
    code(f"if status == {unit.plain_status} or status == {unit.execute_status}:")
    code("    if undo(s) == 1:")
    code("        flush(s)")
    code(f"    ST({counter}, pc)")
    code(f"    ST(s + STATUS, {slots.PLAIN})")
    code("    return -2")
    code("ST(s + STATUS, status)")
    code("k = -1 - status >> 1")
    code("kind = 0")
    endings = {"nullify": [], "suppress": [], "complete": [], "terminate": []}  # type: dict[str, list[int]]
    for number, trap in enumerate(traps):
        endings[trap.ending].append(number)
    code("if undoes(status) == 1:")
    code("    if undo(s) == 1:")
    code("        flush(s)")
    code("else:")
    code("    ST(s + KEPT, LD(s + JOURNAL))")
    code("then = pc")
    for number in endings["suppress"]:
        code(f"if k == {number}:")
        code(f"    then = (pc + ilen) & {mask(unit.isa.counter.width)}")
    for number in endings["complete"]:
        code(f"if k == {number}:")
        code("    then = LD(s + NEXT)")
    code(f"ST({counter}, then)")
    for number, trap in enumerate(traps):
        if core.TRAP_KINDS.index(trap.kind):
            code(f"if k == {number}:")
            code(f"    kind = {core.TRAP_KINDS.index(trap.kind)}")
    code("if -1 - status & 1 == 1:")
    code(f"    kind = {core.TRAP_KINDS.index('memory')}")
    code("ST(s + KIND, kind)")
    code("if LD(s + LEAVE) >> kind & 1 == 1:")
    code("    return -1")
    unit.layout.constants["DELIVERIES"] = unit.layout.take(max(len(traps), 1))
    code("ST(s + DELIVERED, LD(s + DELIVERED) + 1)")
    code("ST(s + DELIVERIES + 8 * k, LD(s + DELIVERIES + 8 * k) + 1)")
    code("then = deliver(s, k, ilen)")
    code("if then >= 0 and met(s, LD(s + CONDITIONS), LD(s + CONDITIONS_END)) == 1:")
    code(f"    ST(s + STATUS, {slots.MET})")
    code("    return -1")
    code("return then")
    unit.add(code.text)


# ---- the loop -----------------------------------------------------------------------------------------


def _lookup(unit: Unit) -> None:
    code = Code()
    code("@outline\ndef lookup(s, pc):")
    code.depth += 1
    code('"""The entry of the instruction at pc, decoded now; or a trap, or that the run is to stop before it."""')
    code(f"e = LD(s + DECODED) + (pc & {COUNT_MASK}) * {slots.DECODED_BYTES}")
    if unit.fast:
        code("if LD(s + CONTEXT) == UNKNOWN:")
        code("    context(s)")
        code("    if LD(e) == pc and LD(e + 8) == LD(s + CONTEXT):")
        code("        return e")
    code(f"ST({_counter(unit)}, pc)")
    code("ST(s + KNOWN, 0)")
    code("ST(s + EXECUTED, -1)")
    code("known = LD(s + CONTEXT)")
    code("stop = 0")
    code("if LD(s + STOP_COUNT) != 0:")
    code("    stop = listed(LD(s + STOPS), LD(s + STOP_COUNT), pc)")
    code("if stop == 0 or LD(s + PASS) == pc + 1:")
    code("    t = decode(s)")
    code("    if t < 0:")
    code("        return t")
    code(f"    if LD(s + FORM) == {len(unit.forms)}:")
    code("        ST(s + LENGTH, illegal_length(s))")
    code("    if BYTE(LD(s + STOP_FORMS) + LD(s + FORM)) != 0:")
    code("        stop = 1")
    code("if stop == 1:")
    code("    if LD(s + PASS) != pc + 1:")
    code(f"        return {unit.stop_status}")
    code("    ST(s + PASS, 0)")
    code("entry = e")
    code(f"if stop == 1{'' if unit.fast else ' or stop == 0'}:")
    code(f"    entry = LD(s + DECODED) + {slots.DECODED_ENTRIES * slots.DECODED_BYTES}")  # belongs to no address
    code("ST(entry, pc)")
    code("ST(entry + 8, known)")
    code("ST(entry + 16, LD(s + FORM))")
    code("ST(entry + 24, LD(s + LENGTH))")
    for i in range(3):
        code(f"ST(entry + {32 + 8 * i}, LD(s + WORDS{f' + {8 * i}' if i else ''}))")
    code("return entry")
    unit.add(code.text)


def _run(unit: Unit) -> None:
    code = Code()
    code("@exported\ndef run(s, limit):")
    code.depth += 1
    code('"""Step until a trap leaves the machine, it halts, a stop is met or ``limit`` steps are done; how many there were."""')
    code(f"pc = LD({_counter(unit)})")
    code("n = 0")
    code("while n < limit:")
    code.depth += 1
    if unit.fast:
        code(f"e = LD(s + DECODED) + (pc & {COUNT_MASK}) * {slots.DECODED_BYTES}")
        code("if LD(e) != pc or LD(e + 8) != LD(s + CONTEXT):")
        code.depth += 1
    code("e = lookup(s, pc)")
    code("if e < 0:")
    code.depth += 1
    code(f"if e == {unit.stop_status}:")
    code(f"    ST({_counter(unit)}, pc)")
    code(f"    ST(s + STATUS, {slots.STOPPED})")
    code("    return n")
    code("ST(s + NEXT, pc)")
    code("n += 1")
    code("ST(s + FORM, -1)")
    code("pc = ended(s, pc, 0, e)")
    code("if pc < 0:")
    code("    return n")
    code("continue")
    code.depth -= 2 if unit.fast else 1
    code("k = LD(e + 16)")
    code(f"if k == {len(unit.forms) + 1}:")  # a region is entered for whole rounds, else its first instruction is one like others
    code("    if limit - n < LD(LD(e + 56) + 8):")
    code("        k = LD(LD(e + 56) + 16)")
    code("ilen = LD(e + 24)")
    _words(code, "e + 32")
    _arms(unit, code, True)
    code("n += 1")
    code("if r < 0:")
    code("    ST(s + FORM, k)")
    code("    r = ended(s, pc, ilen, r)")
    code("    if r < 0:")
    code("        return n - int(r == -2)")
    code("pc = r")
    code.depth -= 1
    code(f"ST({_counter(unit)}, pc)")
    code(f"ST(s + STATUS, {slots.LIMIT})")
    code("return n")
    unit.add(code.text)
    code = Code()
    code("@exported\ndef forget(s):")
    code('    """The state was changed from outside."""')
    code("    return flush(s)\n\n")
    code("@exported\ndef peek(s):")
    code('    """Decode at the counter: FORM and BYTES, or the trap."""')
    code("    ST(s + KNOWN, 0)")
    code("    return decode(s)\n\n")
    code("@exported\ndef prepare(s):")
    code('    """Before the first run."""')
    code("    return clear(s)")
    unit.add(code.text)
