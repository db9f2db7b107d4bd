"""Random cases for a described System/370.

Registers are such that the sum of any two stays clear of the program that runs the cases on Hercules: addresses in the two windows,
at the ends of storage and of all addresses, and numbers below 2 MiB."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from checker.footprint import Footprints
from isa_specs.core import Form, Isa
from isa_specs.encoding import decoder
from tests.references.hercules import BLOCKS, STORAGE, WINDOWS, Case
from tests.references.numbers import data, hexadecimal, number, packed

END = bytes.fromhex("0aff")  # SVC 255 behind each instruction
LOW_PROTECTION = 0x10000000  # of control register 0
TABLES, PAGES = 0x2C00, 0x3000  # of segments, of pages


@dataclass
class Cases:
    """Random cases for the forms of a description, biased to edges."""

    isa: Isa

    def __post_init__(self) -> None:
        footprints = Footprints(self.isa)
        self.decoder = decoder(self.isa)
        # Registers of the others may be addresses, and have to leave alone what the program of hercules.s needs.
        self.pure = {form.instruction for form in self.isa.forms
                     if not (seen := footprints.form(form)).spaces and not seen.executes and self.isa.counter.name not in seen.writes}

    def draw(self, form: Form, rng: random.Random) -> Case:
        free = form.instruction in self.pure and rng.random() < 0.7
        gpr = tuple(number(32, rng) if free else self._register(rng) for _ in range(16))
        ec = rng.random() < 0.6
        dat = ec and rng.random() < 0.5
        prefix = rng.choice((0, 0, 0x7FF000) if dat else (0, 0, 0x2000, 0x3000, 0x7FF000))  # code and tables stay where they are
        cr = self._control(rng, dat)
        patches: list[tuple[int, bytes]] = []
        fields = self.decoder.random_fields(form, rng)
        for name in fields:
            if name.startswith("d") and rng.random() < 0.5:
                fields[name] = rng.choice((0, 1, 2, 4, 8, fields[name] & 0xFC))
            elif name in ("l", "l1", "l2") and rng.random() < 0.7:
                fields[name] &= 15
        code = self.decoder.encode(form, {name: value for name, value in fields.items() if name in form.fields})
        ia = rng.choice((0x1000, 0x17FC, 0x1800, 0xFFA, rng.randrange(0x1000, 0x1E00, 2)))
        for register in gpr:
            at = register & 0xFFFFFF
            if any(at in window for window in WINDOWS) and at + 64 < STORAGE:
                patches.append((max(0, at - 8), data(rng.choice((16, 40)), rng)))
        patches += self._operands(fields, gpr, rng)
        if dat:
            patches += self._pages(rng, cr)
        patches += [(absolute(at, prefix), piece) for at, piece in halves(ia, code + END)]
        psw = self._psw(ec, dat, ia, rng)
        keys = tuple(rng.choice((0, 0, 0x10, 0x18, psw >> 48 & 0xF0, rng.getrandbits(7) << 1)) for _ in BLOCKS)
        fpr = tuple(hexadecimal(rng) for _ in range(4))
        return Case(form.instruction, code, psw, gpr, fpr, tuple(cr), prefix, number(64, rng) & ~0xFF, keys, tuple(patches))

    @staticmethod
    def _operands(fields: dict[str, int], gpr: tuple[int, ...], rng: random.Random) -> Iterator[tuple[int, bytes]]:
        """Operands that make sense: floating-point or packed decimal numbers, and patterns for editing."""
        for n in "12":
            base, index = fields.get(f"b{n}", 0), fields.get(f"x{n}", 0)
            at = (bool(base) * gpr[base] + bool(index) * gpr[index] + fields.get(f"d{n}", 0)) & 0xFFFFFF
            if not any(at in window and at + 256 in window for window in WINDOWS) or rng.random() < 0.2:
                continue
            if f"l{n}" in fields:
                yield at, packed(fields[f"l{n}"] + 1, rng)
            elif "l" not in fields:
                yield at, hexadecimal(rng).to_bytes(8, "big")
            elif n == "1":
                yield at, bytes(rng.choice((0x20, 0x20, 0x20, 0x21, 0x22, 0x40, rng.getrandbits(8))) for _ in range(fields["l"] + 1))
            else:
                yield at, b"".join(packed(rng.randrange(1, 5), rng) for _ in range(fields["l"] // 5 + 1))

    @staticmethod
    def _register(rng: random.Random) -> int:
        """An address in a window, just outside of storage or at the end of all addresses; or a number that added to one stays below
        the program."""
        top = rng.choice((0, rng.getrandbits(8))) << 24
        kind = rng.random()
        if kind < 0.45:
            return top | rng.randrange(0x800, 0x3F00) & rng.choice((~0, ~7, ~0x7F))
        if kind < 0.55:
            return top | rng.choice((STORAGE, 1 << 24)) - rng.choice((1, 2, 3, 4, 8, 16, 256, 2048, 2049)) & 0xFFFFFF
        if kind < 0.65:
            return rng.randrange(0x300) & rng.choice((~0, 0xF, 0x1F))
        return number(32, rng) & 0xFF1FFFFF

    @staticmethod
    def _control(rng: random.Random, dat: bool) -> list[int]:
        """Control registers; timers and signals stay disabled, and no PER event is asked for."""
        cr = [number(32, rng) for _ in range(16)]
        for register in (1, 5, 7):  # tables, below the program
            cr[register] &= 0xFF1FFFFF
        cr[9] = 0
        cr[14] &= 0xFFFFF1FF
        cr[0] = rng.choice((0, 0, 0x10000000, 0x20000000, 0x04000000, rng.getrandbits(32) & 0x7C000000))
        if dat:
            cr[0] |= rng.choice((0x400000, 0x800000)) | rng.choice((0, 0, 0x100000))
            cr[1] = rng.choice((0, 0, 0, 1, 0xFF)) << 24 | TABLES
            cr[7] = rng.choice((0, 0, 0, 1, 0xFF)) << 24 | TABLES + 0x40
        else:
            cr[0] |= rng.choice((0x400000, 0x800000, 0, number(8, rng) << 16 & 0xF80000))
        return cr

    @staticmethod
    def _pages(rng: random.Random, cr: list[int]) -> Iterator[tuple[int, bytes]]:
        """Tables that map the low window mostly to itself. Page tables have their full length, and of bits 13 and 14 of an entry for
        4K pages none is set: Hercules takes the first for a signed number and the second for an address above 16 MiB."""
        large = cr[0] >> 22 & 3 == 2
        count, shift = (16, 12) if large else (32, 11)
        for origin in (TABLES, TABLES + 0x40):
            entry = 0xF << 28 | PAGES + rng.choice((0, 0, 0x80)) | rng.choice((0, 0, 0, 0, 4, 1))
            yield origin, struct.pack(">16I", entry, rng.choice((entry, 1, entry | 0x1000000)), *[1] * 14)
        for table in (PAGES, PAGES + 0x80):
            pages = []
            for page in range(count):
                frame = rng.randrange(1 << (14 - shift)) if rng.random() < 0.15 else page
                flaw = rng.choice((1, 8) if large else (1, 2, 4)) if rng.random() < 0.08 else 0
                pages.append((frame << 4 if large else frame << 3) & 0xFFFF | flaw)
            yield table, struct.pack(f">{count}H", *pages)

    @staticmethod
    def _psw(ec: bool, dat: bool, ia: int, rng: random.Random) -> int:
        key = rng.choice((0, 0, 1, rng.getrandbits(4)))
        word = key << 52 | (rng.random() < 0.4) << 48 | ia | (rng.random() < 0.02)
        if ec:
            return word | 1 << 51 | dat << 58 | rng.getrandbits(6) << 40 | rng.getrandbits(1) << 57 | rng.getrandbits(1) << 50
        return word | rng.getrandbits(7) << 57 | rng.getrandbits(6) << 24 | rng.getrandbits(1) << 50


def absolute(address: int, prefix: int) -> int:
    """The absolute address of a real one."""
    return address ^ prefix if address & ~0xFFF in (0, prefix) else address


def halves(address: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """What of ``data`` lies before and behind a multiple of 4K."""
    before = 0x1000 - (address & 0xFFF)
    yield address, data[:before]
    if before < len(data):
        yield address + before, data[before:]
