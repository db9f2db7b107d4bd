"""Cases for a described x86 in rings 0 and 3, and what the machine generated from the description makes of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

import numpy as np

from isa_specs.core import Form, Isa
from isa_specs.encoding import EncodeError, decoder
from machine.generated import slots
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from tests.references.campaign import Differences
from tests.references.numbers import data, number
from tests.references.pc import run_cases
from tests.references.x86_image import ENDS, HANDLER, MEMORY, WINDOWS, Case, Final, pristine
from tests.x86_machine import (
    CODE,
    DATA,
    DESCRIPTORS,
    GDT,
    KERNEL_CODE,
    KERNEL_DATA,
    LDT,
    USER_CODE,
    USER_DATA,
    load_cache,
    selector,
    system,
)

MOST_STEPS = 3000  # a string instruction takes one a unit
INNER_STACK = 0x2F800
PORT = 0x80  # the only one cases use; nothing answers there
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
SELECTORS = (*DESCRIPTORS, *(selector | 3 for selector in DESCRIPTORS), 0, 3, 0xB8, 0x4 | 3)
DEFINED = 0x247FD5  # of EFLAGS, without RF and VM
NOT_DESCRIBED = (16, 17, 19, 20)  # of EFLAGS: RF, VM, VIF, VIP
PORTS = ("IN", "OUT", "INS", "OUTS")
CODED = (8, 10, 11, 12, 13, 14)  # vectors with an error code on the stack


class Cases:
    """Random cases, biased to edges; half of them in ring 0. ``segments``: data segments may be null or read-only, ``lock``: so may be the
    prefix where it is refused; not every emulator looks at them."""

    def __init__(self, isa: Isa, segments: bool, lock: bool):
        self.isa, self.decoder, self.segments, self.lock = isa, decoder(isa), segments, lock

    def draw(self, form: Form, rng: random.Random) -> Case:
        ring = rng.choice((0, 3))
        gpr = [self._register(rng) for _ in range(8)]
        gpr[4] = INNER_STACK + rng.randrange(0, 0x700, 4) if ring == 0 else DATA + 0x1000 + rng.randrange(0, 0xF00, 4)
        if rng.random() < 0.05:
            gpr[4] += rng.randrange(4)
        if rng.random() < 0.4:
            gpr[1] = rng.choice((0, 1, 2, 7, 8, 31, 32, 33, rng.randrange(40)))
        for _ in range(200):
            try:
                code = self._code(form, rng)
                break
            except EncodeError:
                continue
        else:
            code = self.decoder.example(form)
        if form.instruction in PORTS:
            gpr[2] = gpr[2] & 0xFFFF0000 | PORT
        eip = CODE + rng.choice((0x100, 0x100, 0x100, 0xFFF - len(code)))
        flags = 2 | rng.getrandbits(12) & 0xCD5 | rng.choice((0, 0, 1)) << 9 | rng.choice((0, 0, 0, 3, 1)) << 12
        flags |= (rng.random() < 0.05) << 14
        cs, flat = (KERNEL_CODE, KERNEL_DATA) if ring == 0 else (USER_CODE, USER_DATA)
        others = (flat, flat, flat, flat, flat, 0, 0xA3) if self.segments else (flat,)
        segments = (cs, flat, *(rng.choice(others) for _ in range(4)))
        patches = [(address - 8, self._data(rng)) for address in gpr if DATA + 8 <= address < DATA + 0x1F00]
        patches += [(gpr[4] & ~3, self._data(rng))] if rng.random() < 0.6 else []
        cr0 = 0x80000011 | rng.choice((0, 0, 0x10000)) | rng.choice((0, 0, 0, 2, 4, 8))
        return Case(form.instruction, code, tuple(gpr), eip, flags, segments, cr0, number(32, rng), (*patches, (eip, code)))

    def _code(self, form: Form, rng: random.Random) -> bytes:
        fields = self.decoder.random_fields(form, rng)
        for prefix in self.isa.prefixes:
            if prefix in fields and (rng.random() < 0.6 if prefix != "lock" else not self.lock) and prefix != "size66":
                fields = fields | {prefix: 0}
        if "disp" in fields:
            near = rng.randrange(64), -rng.randrange(1, 64) & 0xFFFFFFFF
            fields["disp"] = rng.choice((0, *near, DATA + rng.randrange(0x1FF0), fields["disp"]))
        if "port" in fields:
            fields["port"] = PORT
        given = {*form.fields, *self.isa.prefixes, *self.isa.contexts}
        code = self.decoder.encode(form, {name: value for name, value in fields.items() if name in given})
        found = self.decoder.decode((code + bytes(16)).__getitem__, self._contexts)
        if found is None or found.form is not form or found.length != len(code):
            raise EncodeError("another form")
        return code

    def _contexts(self, prefixes: dict[str, int]) -> dict[str, int]:
        return {"opsize": 16 if prefixes["size66"] else 32, "addrsize": 1 - prefixes["addr67"]}

    @staticmethod
    def _register(rng: random.Random) -> int:
        kind = rng.random()
        if kind < 0.5:
            return DATA + rng.choice((rng.randrange(0x40, 0x1F00), rng.randrange(0x40, 0x1F00, 4), 0xFFE, 0xFFF, 0x1FFD))
        if kind < 0.6:
            return rng.choice(SELECTORS)
        return number(32, rng)

    @staticmethod
    def _data(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return b"".join(rng.choice((rng.choice(SELECTORS), DATA + 0x100, CODE + 0x200, number(32, rng))).to_bytes(4, "little")
                            for _ in range(6))
        return data(24, rng)


class Described:
    """The machine of a description, running cases. ``silence`` is what a port gives to which nothing is attached."""

    def __init__(self, isa: Isa, silence: int):
        self.isa, self.machine, self.silence = isa, JittedMachine(isa), silence
        self.state = self.machine.state()
        self.fresh = {ring: system(ring) for ring in (0, 3)}
        self.state.assign(self.fresh[3])
        self.times = [name for name, cell in isa.cells.items() if str(cell.role) == "time"]
        self._lay(clean)

    def _lay(self, content: Callable[[int], bytes]) -> None:
        """Have the storage of no case hold this, page by page: all of it, or what was stored to."""
        self.laid, storage = content, self.state.memory["storage"]
        pages = list(storage.pages()) if content is clean else [page for page in range(MEMORY >> 12) if content(page) != clean(page)]  # type: ignore[attr-defined]
        for page in pages:
            storage.load(page << 12, content(page))

    def run(self, case: Case, *, ones: bool = False) -> Final | str:
        """The state in which the first handler begins, or why the case shows nothing. With ``ones``, clocks show ones, and whatever the
        manual leaves undefined is ones."""
        if ones:
            self._lay(other)
        found = self._run(case, ones)
        if ones or isinstance(found, str):
            self._lay(clean)
        return found

    def _run(self, case: Case, ones: bool) -> Final | str:
        state, machine = self.state, self.machine
        fresh = self.fresh[case.segments[0] & 3]
        for name, value in fresh.cells.items():
            if state.cells[name] != value:
                state.cells[name] = value
        for name in ("msr", "ports", "pmc"):
            state.memory[name].clear()
        state.halted = ""
        state.record.words[slots.UNDEFINED // 8] = (1 << 64) - 1 if ones else 0
        state["gpr"], state["eip"], state["eflags"] = case.gpr, case.eip, case.eflags & DEFINED
        state["cr0"], state["cr2"] = case.cr0, case.cr2
        state["dr"] = [0] * 4
        for port in range(PORT, PORT + 4):
            state.memory["ports"][port] = self.silence
        state["dr6"], state["dr7"] = 0xFFFF0FF0, 0x400
        state["ldtr.sel"], state["ldtr.base"], state["ldtr.limit"], state["ldtr.valid"] = 0x30, LDT, 0xFF, 1
        for name, sel in zip(SEGMENTS, case.segments, strict=True):
            if sel & ~3:
                load_cache(state, name, sel)
            else:
                state[f"{name}.sel"], state[f"{name}.rpl"], state[f"{name}.valid"] = 0, sel, 0
        storage = state.memory["storage"]
        for window in WINDOWS:
            storage.load(window.start, pristine()[window.start : window.stop])
        for address, loaded in case.patches:
            storage.load(address, loaded)
        for name in self.times if ones else ():
            state[name] = (1 << self.isa.cells[name].width) - 1
        state.record.forget()
        ran, trap = dict[str, None](), ""
        for _ in range(MOST_STEPS):
            step = machine.step(state, bare=True)
            if step.decoded is not None:
                ran[step.decoded.form.instruction] = None
                if not any(step.address in window for window in WINDOWS):
                    return "runs elsewhere"
            if isinstance(step.outcome, Trapped):
                trap = step.outcome.trap.name
            if why := self._unfit(step.outcome):
                return why
            if step.decoded is None and step.address != case.eip and isinstance(step.outcome, Trapped) and self.isa.illegal and (
                    step.outcome.trap is self.isa.illegal[0]):
                return "not described"
            if state.cells["eip"] in ENDS and state.cells["cpl"] == 0:
                return self._final(ran, trap)
        return "too many steps"

    def _unfit(self, outcome: object) -> str:
        """What would have the processor wait, stop or step singly, or what stands in the way of the program of x86.s."""
        state = self.state
        if state.halted:
            return state.halted
        if state["halted"]:
            return "halts"
        if state["eflags.tf"]:
            return "single step"
        if state["dr7"] & 0xFF:  # type: ignore[operator]
            return "breakpoint"
        if isinstance(outcome, Trapped) and outcome.trap.name == "mode_not_described":
            return "another mode"
        return ""

    def _final(self, ran: Iterable[str], trap: str) -> Final | str:
        state, storage = self.state, self.state.memory["storage"]
        changed: dict[int, int] = {}
        for window in WINDOWS:
            old, now = pristine()[window.start : window.stop], storage.bytes(window.start, len(window))  # type: ignore[attr-defined]
            for i in np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(now, np.uint8)).tolist():
                changed[window.start + i] = now[i]
        if any(address in range(GDT + 8, GDT + 0x18) for address in changed):
            return "changes the program's segments"
        for page in storage.pages():  # type: ignore[attr-defined]
            inside = any(page << 12 in window for window in WINDOWS)
            if not inside and storage.page(page) != self.laid(page):  # type: ignore[attr-defined]
                return "stores elsewhere"
        segments = (*(selector(state, name) for name in ("ds", "es", "fs", "gs", "ss")), state.word("ldtr.sel"), state.word("tr.sel"))
        control = tuple(state.word(name) for name in ("cr0", "cr2", "cr3", "gdtr.base", "gdtr.limit", "idtr.base", "idtr.limit"))
        return Final((state.cells["eip"] - ENDS.start) // HANDLER, tuple(state.arrays["gpr"]), segments, control, changed,
                     tuple(ran), trap)


def clean(page: int) -> bytes:
    """A page as cases find it."""
    return pristine()[page << 12 : (page + 1) << 12].ljust(0x1000, b"\0")


@cache
def other(page: int) -> bytes:
    """The same where a case may look, something else where the program that runs cases, its tables or a ROM lie. Of the entries of page
    tables, the bit for accesses, which is not described."""
    if any(page << 12 in window for window in WINDOWS):
        return clean(page)
    if not any(page << 12 <= address < page + 1 << 12 for address in system().memory["storage"]):
        return b"\xff" * 0x1000
    entries = struct.unpack("<1024I", clean(page))
    return struct.pack("<1024I", *(entry | 0x20 if entry & 1 else entry for entry in entries))


def number_at(final: Final, where: range) -> int:
    """A little-endian number in storage, 0 if that is not there."""
    if where.stop > MEMORY:
        return 0
    return sum(final.changed.get(address, pristine()[address]) << 8 * i for i, address in enumerate(where))


def differences(mine: Final, theirs: Final) -> Differences:
    """Where two outcomes differ: what, in the one, in the other. The EFLAGS a handler finds on its stack are compared bit by bit, as
    far as they are described."""
    found: Differences = {"cause": (f"vector {mine.vector}", f"vector {theirs.vector}")}
    names = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
    found |= {name: (a, b) for name, a, b in zip(names, mine.gpr, theirs.gpr, strict=True)}
    found |= {name: (a, b) for name, a, b in zip(("ds", "es", "fs", "gs", "ss", "ldtr", "tr"), mine.segments, theirs.segments, strict=True)}
    kept = ("cr0", "cr2", "cr3", "gdtr base", "gdtr limit", "idtr base", "idtr limit")
    found |= {name: (a, b) for name, a, b in zip(kept, mine.control, theirs.control, strict=True)}
    flags = mine.gpr[4] + (12 if mine.vector in CODED else 8)
    image = [number_at(final, range(flags, flags + 4)) for final in (mine, theirs)]

    if mine.vector in CODED and mine.vector == theirs.vector and mine.gpr[4] == theirs.gpr[4]:
        code = range(mine.gpr[4], mine.gpr[4] + 4)
        codes = number_at(mine, code), number_at(theirs, code)
        found |= {f"error code {bit}": (codes[0] >> bit & 1, codes[1] >> bit & 1) for bit in range(32)}
    else:
        code = range(0)
    for bit in range(32):
        if bit not in NOT_DESCRIBED:
            found[f"eflags {bit}"] = (image[0] >> bit & 1, image[1] >> bit & 1)
    for address in sorted(mine.changed.keys() | theirs.changed.keys()):
        if not flags <= address < flags + 4 and address not in code:
            clean = pristine()[address]
            found[f"storage {address:x}"] = (mine.changed.get(address, clean), theirs.changed.get(address, clean))
    return {what: (a, b) for what, (a, b) in found.items() if a != b}


class Target:
    """A described x86 and an emulator of one."""

    modes = "ring 0", "ring 3"

    def __init__(self, isa: Isa, emulator: str, run: Callable[[bytes, float], bytes]):
        self.isa, self.emulator, self._run = isa, emulator, run
        strict = emulator != "qemu"
        self._cases, self._machine = Cases(isa, segments=strict, lock=strict), Described(isa, silence=0 if strict else 0xFF)

    def draw(self, form: Form, rng: random.Random) -> Case:
        return self._cases.draw(form, rng)

    def described(self, case: Case, *, ones: bool = False) -> Final | str:
        return self._machine.run(case, ones=ones)

    def emulated(self, cases: Iterable[Case]) -> Iterator[Final | None]:
        return run_cases(self._run, cases)

    def mode(self, case: Case) -> str:
        return f"ring {case.segments[0] & 3}"

    def ran(self, case: Case, mine: Final) -> Collection[str]:
        return mine.ran or (case.name,)

    def circumstances(self, case: Case, mine: Final, theirs: Final) -> Collection[str]:
        return {self.mode(case), mine.trap}

    def cause(self, case: Case, final: Final) -> str:
        return f"vector {final.vector}"

    def differences(self, case: Case, mine: Final, theirs: Final) -> Differences:
        return differences(mine, theirs)
