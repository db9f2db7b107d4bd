"""Cases for a described System/370, and what the machine generated from the description makes of them.

Registers are such that the sum of any two stays clear of the program that runs the cases on Hercules: addresses in the two windows,
at the ends of storage and of all addresses, and numbers below 2 MiB."""

from __future__ import annotations

import random
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from checker.footprint import Footprints
from isa_specs.core import Form, Isa
from isa_specs.encoding import decoder
from machine.activation import READ
from machine.generated import slots
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from machine.plain import Machine
from machine.state import Recorder, State
from tests.references.campaign import Differences
from tests.references.hercules import (
    BASE,
    BLOCKS,
    DRIVER,
    FLOATS,
    NEW_PSWS,
    REGISTERS,
    STORAGE,
    WINDOWS,
    Case,
    Final,
    driver,
    new_psws,
    run_cases,
)
from tests.references.numbers import data, hexadecimal, number, packed

END = bytes.fromhex("0aff")  # SVC 255 behind each instruction
MOST_STEPS = 1500  # MVCL takes one a byte
CONTROL = (0xE0, 0, 0xFFFFFFFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC2000000, 0x200)
IDENTITY = {"storage_size": (STORAGE >> 11) - 1, "cpu_id": 0xFD00000101450000, "tod_switch": 1}
INTERVAL_TIMER = range(0x50, 0x54)
PROGRAM = range(DRIVER, DRIVER + len(driver().bytes))
ASSIGNED = (*range(0x18, 0x50), *range(0x80, 0xB0))  # locations from the prefix on that interruptions store in, and the channels
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
        cr = [number(32, rng) for _ in CONTROL]
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


class Described:
    """The machine of a description, running cases."""

    def __init__(self, isa: Isa):
        self.isa, self.machine = isa, JittedMachine(isa)
        self.state = self.machine.state()
        self.plain, self.fresh = Machine(isa), State(isa)
        for name, value in IDENTITY.items():
            if name in isa.cells:
                self.fresh[name] = value
        self.times = [name for name, cell in isa.cells.items() if str(cell.role) == "time"]

    def run(self, case: Case, *, ones: bool = False) -> Final | str:
        """The state after the first interruption, or why the case shows nothing. With ``ones``, clocks show ones, and whatever the
        manual leaves undefined is ones."""
        state, machine = self.state, self.machine
        state.assign(self.fresh)
        state.record.words[slots.UNDEFINED // 8] = (1 << 64) - 1 if ones else 0
        self._begin(state, case, ones)
        storage, ran = state.memory["storage"], dict[str, None]()
        before = [storage.bytes(window.start, len(window)) for window in WINDOWS]  # type: ignore[attr-defined]
        for _ in range(MOST_STEPS):
            if state.cells["psw.ia"] in PROGRAM:
                return "runs the program of hercules.s"
            if why := unfit(state):
                return why
            step = machine.step(state)
            outcome = step.outcome
            ran |= dict.fromkeys(decoded.form.instruction for decoded in (step.decoded, step.executed) if decoded is not None)
            if isinstance(outcome, Trapped):
                break
        else:
            return "too many steps"
        if ran and case.name not in ran:
            return "another instruction"
        if self.isa.illegal and outcome.trap is self.isa.illegal[0] and (step.decoded is not None or self._opcode(step.address)):
            return "not described"
        machine.deliver(outcome.trap, outcome.args, state, outcome.ilen)
        ends = {driver().labels[name]: name for name in ("svc", "program")}
        if why := unfit(state) or self._strays() or self._cut_off():
            return why
        changed: dict[int, int] = {}
        for window, old in zip(WINDOWS, before, strict=True):
            now = storage.bytes(window.start, len(window))  # type: ignore[attr-defined]
            where = np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(now, np.uint8)).tolist()
            changed |= {window.start + i: now[i] for i in where}
        return Final(ends[state.cells["psw.ia"]], tuple(state.arrays["gpr"]), tuple(state.arrays["fpr"]),
                     tuple(state.word(f"cr{i}") for i in range(16)), state.cells["prefix"] << 12, state.cells["clock_comparator"],
                     tuple(state.memory["keys"][block >> 11] << 1 for block in BLOCKS), changed, outcome.ilen == 0, tuple(ran))

    def _begin(self, state: State, case: Case, ones: bool = False) -> None:
        """Have a fresh state be that in which a case begins; with ``ones``, clocks show other values."""
        storage = state.memory["storage"]
        for address, loaded in case.loaded():
            storage.load(address, loaded)
        if ones:
            for name in self.times:
                state[name] = (1 << self.isa.cells[name].width) - 1
            for block in {0, case.prefix}:
                for at in INTERVAL_TIMER:
                    storage[block + at] ^= 0xFF
        state["fpr"] = case.fpr
        state["gpr"], state["prefix"], state["clock_comparator"] = case.gpr, case.prefix >> 12, case.comparator
        for i, value in enumerate(case.cr):
            state[f"cr{i}"] = value
        for block, key in zip(BLOCKS, case.keys, strict=True):
            state.memory["keys"][block >> 11] = key >> 1
        load_psw(state, case.psw)

    def circumstances(self, case: Case, changed: set[int]) -> Iterator[str]:
        """See :meth:`Target.circumstances`; ``changed`` are absolute addresses. The plain machine tells what it looks at."""
        state, found, first = self.fresh.copy(), set[str](), True
        if case.cr[0] & LOW_PROTECTION:
            found.add("low-address protection")
        self._begin(state, case)
        for _ in range(MOST_STEPS):
            address, before, recorder = state.cells["psw.ia"], state.copy(), Recorder()
            step = self.plain.step(state, recorder=recorder)
            code = [("virtual", address + i) for i in range(step.decoded.length if step.decoded else 6)]
            tables = [view for view in recorder.views if view[0] == "real"]
            for what, views in (("changes its code", code), ("changes its tables", tables)):
                places = [self.plain.place(self.isa.spaces[name], at, before, READ) for name, at in views]
                if any(place is not None and place[1] in changed for place in places):
                    found.add(what if before.cells["psw.dat"] else f"{what}, untranslated")
            if first and step.decoded is not None and overlaps(step.decoded.fields, case.gpr):
                found.add("operands overlap")
            first = False
            if isinstance(step.outcome, Trapped):
                break
        yield from sorted(found)

    def _opcode(self, address: int) -> int:
        """The first byte of the instruction at a logical address; zero is the opcode of none."""
        place = self.machine.place(self.isa.spaces["virtual"], address, self.state, READ)
        return 0 if place is None else self.state.get(place)

    def _cut_off(self) -> str:
        """Whether the way back to the program of hercules.s is lost: a new PSW, or the word its handlers find it by."""
        state, storage = self.state, self.state.memory["storage"]
        block = state.cells["prefix"] << 12
        base = storage.bytes(block + BASE, 4)  # type: ignore[attr-defined]
        psws = storage.bytes(block + NEW_PSWS, 40)  # type: ignore[attr-defined]
        return "" if int.from_bytes(base, "big") == DRIVER and psws == new_psws() else "loses the way back"

    def _strays(self) -> str:
        """Whether something was stored, or a storage key set, where a case may not."""
        storage, keys = self.state.memory["storage"], self.state.memory["keys"]
        for page in storage.pages():  # type: ignore[attr-defined]
            if not any(page << 12 in window for window in WINDOWS) and any(storage.page(page)):  # type: ignore[attr-defined]
                return "stores elsewhere"
        return "" if all(block << 11 in BLOCKS for block in keys) else "sets a key elsewhere"


def overlaps(fields: Mapping[str, int], gpr: Sequence[int]) -> bool:
    """Whether the operands of an instruction with one length have bytes in common."""
    if not {"l", "b1", "d1", "b2", "d2"} <= fields.keys():
        return False
    first, second = ((bool(fields[f"b{n}"]) * gpr[fields[f"b{n}"]] + fields[f"d{n}"]) & 0xFFFFFF for n in "12")
    return abs(first - second) <= fields["l"]


def unfit(state: State) -> str:
    """What would have Hercules wait, stop, or see an interruption from outside, of which descriptions know nothing."""
    if state.halted:
        return state.halted
    if state["psw.wait"]:
        return "waits"
    if state["psw.per"] and state["cr9"]:
        return "PER event"
    if state["psw.external"] and state["cr0"] & 0xFFE0:
        return "external interruption"
    if state["signal.order"] and state["signal.cpu"] == state["cpu_address"]:
        return "signals itself"
    return ""


def load_psw(state: State, word: int) -> None:
    """Load a PSW without the checks of an instruction."""
    def field(first: int, last: int) -> int:
        return word >> (63 - last) & ((1 << (last - first + 1)) - 1)

    ec = field(12, 12)
    fields = {"io": (6, 6), "external": (7, 7), "key": (8, 11), "ec": (12, 12), "mcheck": (13, 13), "wait": (14, 14), "prob": (15, 15),
              "ia": (40, 63)}
    fields |= ({"per": (1, 1), "dat": (5, 5), "cc": (18, 19), "pmask": (20, 23)} if ec
               else {"channels": (0, 5), "cc": (34, 35), "pmask": (36, 39)})
    if ec and "psw.s" in state.cells:
        fields["s"] = (16, 16)
    for name, (first, last) in fields.items():
        state[f"psw.{name}"] = field(first, last)


def cause(case: Case, final: Final) -> str:
    """The interruption, with the code of the exception if the program is to blame."""
    if final.interruption != "program":
        return final.interruption
    loaded: dict[int, int] = {}
    for address, piece in case.loaded():
        loaded.update(enumerate(piece, address))

    def byte(at: int) -> int:
        return final.changed.get(final.prefix + at, loaded.get(final.prefix + at, 0))

    return f"program {byte(0x8F if byte(0x29) & 8 else 0x2B):x}"


def differences(case: Case, mine: Final, theirs: Final) -> Differences:
    """Where two outcomes of a case differ, as far as they can be compared: what, ours, theirs."""
    found: Differences = {
        "cause": (cause(case, mine), cause(case, theirs)),
        "prefix": (mine.prefix, theirs.prefix),
        "clock comparator": (mine.comparator >> 8, theirs.comparator >> 8),  # Hercules keeps no more of it
    }
    found |= {f"gpr {i}": pair for i, pair in enumerate(zip(mine.gpr, theirs.gpr, strict=True))}
    found |= {f"fpr {2 * i}": pair for i, pair in enumerate(zip(mine.fpr, theirs.fpr, strict=True))}
    found |= {f"cr {i}": pair for i, pair in enumerate(zip(mine.cr, theirs.cr, strict=True))}
    found |= {f"key {block:x}": (a & 0xF8, b & 0xF8) for block, a, b in zip(BLOCKS, mine.keys, theirs.keys, strict=True)}
    block = theirs.prefix
    ignored = {*range(block + REGISTERS, block + REGISTERS + 64), *range(block + FLOATS, block + FLOATS + 32),
               *(block + at for at in INTERVAL_TIMER), *INTERVAL_TIMER}
    if mine.unfetched and theirs.interruption == mine.interruption:  # its length is unpredictable, hence the address behind it
        ignored |= {block + at for at in (0x2C, 0x2E, 0x2F, 0x8D)}
    loaded: dict[int, int] = {}
    for address, piece in case.loaded():
        loaded.update(enumerate(piece, address))
    for address in sorted(mine.changed.keys() | theirs.changed.keys()):
        if address not in ignored:
            was = loaded.get(address, 0)
            where = f"assigned {address - block:x}" if address - block in ASSIGNED else f"storage {address:x}"
            found[where] = (mine.changed.get(address, was), theirs.changed.get(address, was))
    return {what: (a, b) for what, (a, b) in found.items() if a != b}



class Target:
    """A described System/370 and Hercules."""

    emulator = "hercules"
    modes = tuple(f"{control} {state}" for control in ("BC", "EC", "DAT") for state in ("supervisor", "problem"))

    def __init__(self, isa: Isa):
        self.isa, self._cases, self._machine = isa, Cases(isa), Described(isa)

    def draw(self, form: Form, rng: random.Random) -> Case:
        return self._cases.draw(form, rng)

    def described(self, case: Case, *, ones: bool = False) -> Final | str:
        return self._machine.run(case, ones=ones)

    def emulated(self, cases: Iterable[Case]) -> Iterator[Final | None]:
        return run_cases(cases)

    def mode(self, case: Case) -> str:
        ec, dat, problem = (case.psw >> bit & 1 for bit in (51, 58, 48))
        return self.modes[2 * (ec + (ec & dat)) + problem]

    def ran(self, case: Case, mine: Final) -> Collection[str]:
        return mine.ran or (case.name,)

    def circumstances(self, case: Case, mine: Final, theirs: Final) -> Collection[str]:
        return {self.isa.name, self.mode(case)[:2], *self._machine.circumstances(case, {*mine.changed, *theirs.changed})}

    def cause(self, case: Case, final: Final) -> str:
        return cause(case, final)

    def differences(self, case: Case, mine: Final, theirs: Final) -> Differences:
        return differences(case, mine, theirs)
