"""What QEMU and Bochs run: storage with the system of tests/x86_machine.py, a program (x86.s) and a table of cases, in a ROM that puts it
into its place. No BIOS, no disk: the ROM is what the processor finds at its reset address."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isa_specs.encoding import Contexts, state_contexts
from isa_specs.program import Program, assemble_program
from tests.x86_machine import GDT, HANDLERS, IDT, KERNEL_CODE, gate, machine, system

ENTRY = 0x100000
MEMORY = 0x800000
WINDOWS = (range(0x9000), range(0x2F000, 0x31000), range(0x400000, 0x403000))  # all the storage a case may change
LOADED = (range(0x2F000), range(ENTRY, ENTRY + 0x10000), range(0x200000, 0x300000), range(0x400000, 0x403000))  # the rest is zero
HANDLER = 16  # bytes
ENDS = range(HANDLERS, HANDLERS + 256 * HANDLER)
ROM = 0x10000
COPIER = 0xFFFF0100
COPY = """
        mov eax,0x10
        mov ds,ax
        mov es,ax
        mov ebx,parts
part:   mov esi,[ebx]
        mov edi,[ebx+4]
        mov ecx,[ebx+8]
        jecxz copied
        rep movsd
        add ebx,12
        jmp part
copied: mov eax,{entry}
        jmp eax
        .align 4
parts:
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Registers in the order of the processor's numbers; ``segments`` are CS, SS, DS, ES, FS, GS."""

    name: str
    code: bytes
    gpr: tuple[int, ...]
    eip: int
    eflags: int
    segments: tuple[int, ...]
    cr0: int
    cr2: int
    patches: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Final:
    """The state in which a handler begins. ``segments`` are DS, ES, FS, GS, SS, LDTR, TR; ``control`` CR0, CR2, CR3, then base and limit of
    GDTR and IDTR; ``changed`` has the bytes that differ from the system as it was before the case was laid into it; ``ran``: the
    instructions, and ``trap`` the description's name of what led to the handler, if known."""

    vector: int
    gpr: tuple[int, ...]
    segments: tuple[int, ...]
    control: tuple[int, ...]
    changed: dict[int, int]
    ran: tuple[str, ...] = ()
    trap: str = ""


def flat() -> Contexts:
    """How 32-bit code is assembled."""
    return state_contexts(machine().isa, dict.fromkeys(machine().isa.cells, 0) | {"cs.db": 1})


@cache
def program() -> Program:
    """The program that runs a table of cases."""
    source = Path(__file__).with_name("x86.s")
    return assemble_program(machine().isa, source.read_text(encoding="ascii"), ENTRY, flat(), source.name)


@cache
def pristine() -> bytes:
    """Storage below the program and the user's pages, as every case finds it."""
    image = bytearray(MEMORY)
    for address, byte in system().memory["storage"].items():
        image[address] = byte
    labels = program().labels
    for vector in range(256):
        at = HANDLERS + HANDLER * vector
        if vector != 0x81:  # a task gate
            old = image[IDT + 8 * vector : IDT + 8 * vector + 8]
            image[IDT + 8 * vector : IDT + 8 * vector + 8] = gate(KERNEL_CODE, at, old[5] & 15, old[5] >> 5 & 3).to_bytes(8, "little")
        stub = b"\x36\xc6\x05" + labels["vector"].to_bytes(4, "little") + bytes([vector])  # mov byte [ss:vector],number
        stub += b"\xe9" + (labels["finish"] - at - len(stub) - 5 & 0xFFFFFFFF).to_bytes(4, "little")  # jmp finish
        image[at : at + len(stub)] = stub
    image[ENTRY : ENTRY + len(program().bytes)] = program().bytes
    return bytes(image)


def rom(storage: bytes) -> bytes:
    """What ends at the top of the address space: code that copies the parts of ``storage`` that are in use to their places."""
    parts, table = bytearray(), bytearray()
    for part in LOADED:
        used = storage[part.start : part.stop].rstrip(b"\0")
        used += bytes(-len(used) % 4)
        table += struct.pack("<III", len(parts), part.start, len(used) // 4)
        parts += used
    parts += bytes(-len(parts) % ROM)
    start = (1 << 32) - len(parts) - ROM
    for at in range(0, len(table), 12):
        struct.pack_into("<I", table, at, struct.unpack_from("<I", table, at)[0] + start)
    top = bytearray(b"\xf4" * ROM)
    enter = bytes.fromhex("fa 2e660f01164000"  # cli; lgdt [cs:0x40]
                          "0f20c0 0c01 0f22c0"  # PE in CR0
                          "66ea") + COPIER.to_bytes(4, "little") + b"\x08\x00"  # jmp 8:COPIER
    copier = assemble_program(machine().isa, COPY.format(entry=ENTRY), COPIER, flat()).bytes + table + bytes(12)
    gdt = pristine()[GDT : GDT + 0x18]
    for at, piece in ((0, enter), (0x40, struct.pack("<HI", len(gdt) - 1, COPIER - 0x80)), (0x80, gdt), (0x100, copier),
                      (0xFFF0, b"\xe9\x0d\x00")):
        top[at : at + len(piece)] = piece
    return bytes(parts + top)


def image(cases: Sequence[Case]) -> bytes:
    """Storage with as many cases as there is room for."""
    out, labels = bytearray(pristine()), program().labels
    at, count = labels["table"], 0
    for case in cases:
        cs, ss, *data = case.segments
        row = struct.pack("<19I", *case.gpr, case.eip, cs, case.eflags, ss, *data, case.cr0, case.cr2, len(case.patches))
        row += b"".join(struct.pack("<II", address, len(piece)) + piece + bytes(-len(piece) % 4) for address, piece in case.patches)
        if at + len(row) > LOADED[2].stop:
            break
        out[at : at + len(row)] = row
        at += len(row)
        count += 1
    struct.pack_into("<I", out, labels["count"], count)
    return bytes(out)


def results(storage: bytes) -> Iterator[Final]:
    """What the program wrote down."""
    labels, clean = program().labels, pristine()
    done, at = struct.unpack_from("<I", storage, labels["done"])[0], labels["results"]
    for _ in range(done):
        vector, *words = struct.unpack_from("<19I", storage, at)
        gdt_limit, gdt, idt_limit, idt = *struct.unpack_from("<HI", storage, at + 76), *struct.unpack_from("<HI", storage, at + 84)
        count, = struct.unpack_from("<I", storage, at + 92)
        pairs = struct.unpack_from(f"<{2 * count}I", storage, at + 96)
        changed = {address + i: byte for address, word in zip(pairs[::2], pairs[1::2], strict=True)
                   for i, byte in enumerate(word.to_bytes(4, "little")) if byte != clean[address + i]}
        yield Final(vector & 0xFF, tuple(words[:8]), tuple(word & 0xFFFF for word in words[8:15]),
                    (*words[15:18], gdt, gdt_limit, idt, idt_limit), changed)
        at += 96 + 8 * count


def stuck(storage: bytes) -> bool:
    """Whether the program has stopped for another reason than that all is done or the room is used up."""
    labels = program().labels
    count, done = struct.unpack_from("<II", storage, labels["count"])
    result, = struct.unpack_from("<I", storage, labels["result"])
    return bool(done < count and result < labels["results_end"])
