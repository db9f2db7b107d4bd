"""What the machine generated from the description of a System/370 makes of cases, held against Hercules."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from isa_specs.core import REFERENCED, Form, Isa
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
from tests.references.s370_cases import LOW_PROTECTION, Cases
from tests.s370_machine import key_of, set_key

MOST_STEPS = 1500  # MVCL takes one a byte
IDENTITY = {"storage_size": (STORAGE >> 11) - 1, "cpu_id": 0xFD00000101450000, "tod_switch": 1}
INTERVAL_TIMER = range(0x50, 0x54)
PROGRAM = range(DRIVER, DRIVER + len(driver().bytes))
ASSIGNED = (*range(0x18, 0x50), *range(0x80, 0xB0))  # locations from the prefix on that interruptions store in, and the channels


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
                     tuple(key_of(state, block) for block in BLOCKS), changed, outcome.ilen == 0, tuple(ran))

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
            set_key(state, block, key)
        state.memory["used"][case.prefix + REGISTERS >> 11] |= REFERENCED  # the program of hercules.s has just read them
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
    block = theirs.prefix
    for at, a, b in zip(BLOCKS, mine.keys, theirs.keys, strict=True):
        found[f"key {at:x}"] = a & 0xF8, b & 0xF8
        if at != block + REGISTERS & ~0x7FF:  # where a handler of hercules.s has stored
            found[f"recorded {at:x}"] = a & 6, b & 6
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
