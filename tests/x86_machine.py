"""A small protected-mode system for the tests of the x86 description: flat segments, gates, two tasks, three user pages."""

from __future__ import annotations

from functools import cache

from isa_specs.load import load
from machine.outcomes import Trapped
from machine.plain import Machine
from machine.state import State

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
IF, IOPL, NT = 1 << 9, 3 << 12, 1 << 14
REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
GDT, IDT, LDT, TSS, NEXT_TSS, PAGES = 0x1000, 0x2000, 0x3000, 0x5000, 0x8000, 0x10000
CODE, DATA, HANDLERS, INNER_STACK = 0x400000, 0x401000, 0x20000, 0x30000
KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA = 0x08, 0x10, 0x1B, 0x23


def descriptor(base: int, limit: int, type: int, dpl: int, *, s: int = 1, p: int = 1, db: int = 1, g: int = 0) -> int:
    """A segment descriptor; ``limit`` in units of the granularity ``g``."""
    low = limit & 0xFFFF | (base & 0xFFFFFF) << 16 | type << 40 | s << 44 | dpl << 45 | p << 47
    return low | (limit >> 16) << 48 | db << 54 | g << 55 | (base >> 24) << 56


def gate(selector: int, offset: int, type: int, dpl: int, *, count: int = 0, p: int = 1) -> int:
    """A call, interrupt, trap or task gate."""
    return offset & 0xFFFF | selector << 16 | count << 32 | type << 40 | dpl << 45 | p << 47 | (offset >> 16) << 48


DESCRIPTORS = {
    0x08: descriptor(0, 0xFFFFF, 11, 0, g=1), 0x10: descriptor(0, 0xFFFFF, 3, 0, g=1),
    0x18: descriptor(0, 0xFFFFF, 11, 3, g=1), 0x20: descriptor(0, 0xFFFFF, 3, 3, g=1),
    0x28: descriptor(TSS, 0x2087, 11, 0, s=0, db=0), 0x30: descriptor(LDT, 0xFF, 2, 0, s=0, db=0),
    0x38: descriptor(0, 0xFFFFF, 11, 1, g=1), 0x40: descriptor(0, 0xFFFFF, 15, 0, g=1), 0x48: descriptor(0, 0xFFFFF, 3, 1, g=1),
    0x50: gate(0x78, 0, 5, 3),
    0x68: gate(0x08, HANDLERS + 0x800, 12, 3, count=2), 0x70: gate(0x08, HANDLERS + 0x800, 12, 0),
    0x78: descriptor(NEXT_TSS, 0x67, 9, 3, s=0, db=0), 0x80: descriptor(NEXT_TSS + 0x800, 0x67, 9, 0, s=0, db=0),
    0x88: descriptor(0, 0xFFFFF, 3, 3, g=1, p=0), 0x90: descriptor(0, 0xFFFF, 3, 3, db=0), 0x98: descriptor(0, 0xFFF, 7, 3),
    0xA0: descriptor(0, 0xFFFFF, 1, 3, g=1), 0xA8: descriptor(0, 0xFFFFF, 9, 3, g=1), 0xB0: descriptor(0, 0xFFFFF, 14, 3, g=1),
}
GDT_LIMIT = max(DESCRIPTORS) + 7


@cache
def _machine(name: str) -> Machine:
    return Machine(load(name))


def machine(name: str = "x86") -> Machine:
    return _machine(name)


@cache
def _template(name: str) -> State:
    state = State(machine(name).isa)
    storage = state.memory["storage"]

    def put(address: int, value: int, width: int = 32) -> None:
        storage.load(address, value.to_bytes(width // 8, "little"))

    state["gdtr.base"], state["gdtr.limit"] = GDT, GDT_LIMIT
    for selector, value in DESCRIPTORS.items():
        put(GDT + selector, value, 64)
    state["idtr.base"], state["idtr.limit"] = IDT, 0x7FF
    for vector in range(256):
        put(IDT + 8 * vector, gate(KERNEL_CODE, HANDLERS + 4 * vector, 14, 3 if vector in (3, 4, 0x80) else 0), 64)
    put(IDT + 8 * 0x81, gate(0x78, 0, 5, 3), 64)
    put(IDT + 8 * 0x82, gate(KERNEL_CODE, HANDLERS + 4 * 0x82, 15, 3), 64)
    state["tr.sel"], state["tr.base"], state["tr.limit"] = 0x28, TSS, 0x2087
    for level, stack in enumerate((KERNEL_DATA, 0x48 | 1)):
        put(TSS + 4 + 8 * level, INNER_STACK + 0x1000 * level)
        put(TSS + 8 + 8 * level, stack, 16)
    put(TSS + 0x66, 0x88, 16)
    storage.update((TSS + 0x88 + i, 0xFF) for i in range(0x2000))
    storage[TSS + 0x88 + 0x80 // 8] = 0xFE
    for task in (NEXT_TSS, NEXT_TSS + 0x800):
        put(task + 0x1C, PAGES)
        put(task + 0x20, CODE + 0x200)
        put(task + 0x24, 0x246)
        for i in range(8):
            put(task + 0x28 + 4 * i, 0x1000 * (i + 1))
        for i, selector in enumerate((USER_DATA, USER_CODE, USER_DATA, USER_DATA, 0, 0)):
            put(task + 0x48 + 4 * i, selector, 16)
    put(PAGES, PAGES + 0x1000 | 3)
    put(PAGES + 4, PAGES + 0x2000 | 7)
    for i in range(1024):
        put(PAGES + 0x1000 + 4 * i, i << 12 | 3)
        put(PAGES + 0x2000 + 4 * i, CODE + (i << 12) | (7 if i < 3 else 3))
    state["cr0"], state["cr3"] = 0x80000011, PAGES
    storage.update((CODE + i, 0xCC) for i in range(0x1000))
    storage.update((DATA + i, (7 * i >> 1) + 3 & 0xFF) for i in range(0x2000))
    return state


def system(cpl: int = 3, name: str = "x86") -> State:
    """The system at privilege level ``cpl``, about to execute the code page."""
    state = _template(name).copy()
    code, data = {0: (KERNEL_CODE, KERNEL_DATA), 1: (0x39, 0x49), 3: (USER_CODE, USER_DATA)}[cpl]
    state["cpl"], state["eip"], state["gpr"][4] = cpl, CODE + 0x100, DATA + 0x1800
    for segment in ("cs", "ss", "ds", "es", "fs", "gs"):
        selector = code if segment == "cs" else data
        load_cache(state, segment, selector)
    return state


def load_cache(state: State, segment: str, selector: int) -> None:
    """Load a flat segment register without the checks of an instruction."""
    word = DESCRIPTORS[selector & 0xFFF8]
    state[f"{segment}.sel"], state[f"{segment}.rpl"], state[f"{segment}.valid"] = selector >> 2, selector & 3, 1
    state[f"{segment}.base"], state[f"{segment}.limit"] = 0, 0xFFFFFFFF
    state[f"{segment}.type"], state[f"{segment}.dpl"], state[f"{segment}.db"] = word >> 40 & 15, word >> 45 & 3, 1


def selector(state: State, segment: str) -> int:
    return state.cells[f"{segment}.sel"] << 2 | state.cells[f"{segment}.rpl"]


def word(state: State, address: int, width: int = 32) -> int:
    storage = state.memory["storage"]
    return int.from_bytes(bytes(storage[address + i] for i in range(width // 8)), "little")


def run(state: State, code: str, name: str = "x86") -> str:
    """Execute the instruction ``code`` (hexadecimal) at EIP; the trap it ends in as ``name(arguments)``, or nothing."""
    state.memory["storage"].load(state.cells["eip"], bytes.fromhex(code))
    outcome = machine(name).step(state).outcome
    if not isinstance(outcome, Trapped):
        return ""
    return f"{outcome.trap.name}({', '.join(f'{value:x}' for value in outcome.args)})"


def deliver(state: State, code: str, name: str = "x86") -> None:
    """Execute ``code`` on the bare machine: a trap goes through the IDT."""
    state.memory["storage"].load(state.cells["eip"], bytes.fromhex(code))
    machine(name).step(state, bare=True)


def push(state: State, *values: int) -> None:
    for value in values:
        state["gpr"][ESP] -= 4
        state.memory["storage"].load(state["gpr"][ESP], value.to_bytes(4, "little"))


def stacked(state: State, count: int) -> list[int]:
    """The topmost ``count`` doublewords of the stack."""
    return [word(state, state["gpr"][ESP] + 4 * i) for i in range(count)]
