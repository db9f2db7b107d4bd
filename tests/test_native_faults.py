"""Faults planted in monitors of generated code, and in the code they rest on: each must be caught by what is asked of the sound ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jitting import Harness
from test_monitors import DISABLED_WAIT, board, program, under
from test_native_monitors import Outcome, isa, outcome, random_guest, system

from machine import guests
from machine.errors import MachineError
from machine.generated import emit, loop, monitoring
from machine.generated.block import Block
from machine.generated.memory import Cells, Record
from machine.jitted import JittedMachine
from machine.jitted_processor import JittedProcessor
from machine.monitors.native import NativeMonitor

Patch = pytest.MonkeyPatch
NAME = "third_generation"  # compiles in no time
STEPS = 5_000


def made(name: str = NAME) -> JittedProcessor:
    """A processor of code generated now, faults and all."""
    return JittedProcessor(isa(name), JittedMachine(isa(name), use_cache=False))


# ---- what is asked ------------------------------------------------------------------------------------------------------


def expected(monitor: str, depth: int) -> Outcome:
    plain = system(NAME, "os", monitor, depth)
    return outcome(plain, plain.session.run(STEPS))


def systems(monitor: str, depth: int) -> None:
    native = system(NAME, "os", monitor, depth, made())
    assert outcome(native, native.session.run(STEPS)) == expected(monitor, depth)


def simple() -> None:
    systems("trap_and_emulate", 1)


def nested() -> None:
    systems("trap_and_emulate", 3)


def hybrid() -> None:
    systems("hybrid", 1)


def wild() -> None:
    processor = made()
    for seed in range(12):
        native, plain = (random_guest(NAME, "trap_and_emulate", 1, seed, one) for one in (processor, None))
        assert outcome(native, native.session.run(100)) == outcome(plain, plain.session.run(100)), seed


def suppressing() -> None:
    """System/370 goes on behind an instruction that is not allowed."""
    native, plain = system("s370", "os", "trap_and_emulate", 1, made("s370")), system("s370", "os", "trap_and_emulate", 1)
    assert outcome(native, native.session.run(STEPS)) == outcome(plain, plain.session.run(STEPS))


def waiting() -> None:
    """A delivery that lets the bare machine wait."""
    source = ".org 0x60\n.quad 0x0002000000000000\n.org 0x200\nstart: SVC 1\nagain: BC 15,again(0,0)\n"
    assert guests.bare(board("s370"), program("s370", source), processor=made("s370")).session.run(100) == "waiting"


def forms() -> None:
    """Single instructions, in states at the edges."""
    Harness.of(made("s370").machine).compare(1, 8)


def scribbling() -> None:
    """A guest whose real machine has had a mask changed: whoever owns it has to be told."""
    machinery = system(NAME, "os", "trap_and_emulate", 1, made())
    monitor = machinery.monitors[0]
    assert isinstance(monitor, NativeMonitor)
    state = machinery.session.state
    monitor.enter(state)
    state.cells["mask"] ^= 1
    assert monitor.leave(state) == ["mask"]
    assert state.cells["mask"] == 0


def overflow() -> None:
    source = ".org 0x68\n.quad stop_here\n.org 0x200\nstart: LPSW on(0)\ngo: L 1,large(0,0)\n AR 1,1\nstop_here: LPSW stop(0)\n"
    source += ".align 8\non: .quad 0x0000000008000000+go\nlarge: .word 0x40000001\n" + DISABLED_WAIT
    native = system_of("s370", source)
    plain = under("s370", source)
    assert outcome(native, native.session.run(100)) == outcome(plain, plain.session.run(100))


def system_of(name: str, source: str):  # type: ignore[no-untyped-def]
    return guests.monitored(board(name), program(name, source), "trap_and_emulate", processor=made(name))


def windows() -> None:
    """Beyond what is installed nothing is kept."""
    machinery = guests.bare(board(NAME), program(NAME, "start: HALT"), 0x8000, processor=made())
    state = machinery.session.state
    state.memory["storage"].load(0x100, b"x")
    state.memory["storage"][0x8000] = 7
    assert machinery.storage[0x100] == ord("x")
    assert state.memory["storage"][0x8000] == 0


ORACLES = [simple, nested, hybrid, wild, suppressing, waiting, forms, scribbling, overflow, windows]


# ---- the faults -----------------------------------------------------------------------------------------------------------


def _text(patch: Patch, change: Callable[[str], str]) -> None:
    """Change the text of monitors in generated code."""
    right = emit.runtime_text

    def wrong(file, start):  # type: ignore[no-untyped-def]
        text = right(file, start)
        return change(text) if file == monitoring.RUNTIME else text

    patch.setattr(emit, "runtime_text", wrong)


def _instead(old: str, new: str) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        def change(text: str) -> str:
            assert text.count(old) >= 1, old
            return text.replace(old, new)

        _text(patch, change)

    return plant


def _loop(old: str, new: str) -> Callable[[Patch], None]:
    """Change the code around single instructions."""
    def plant(patch: Patch) -> None:
        right = loop.write

        def wrong(unit: emit.Unit) -> None:
            right(unit)
            assert any(old in part for part in unit.parts), old
            unit.parts[:] = [part.replace(old, new) for part in unit.parts]

        patch.setattr(loop, "write", wrong)

    return plant


def a_level_too_many(patch: Patch) -> None:
    right = Block.__init__
    patch.setattr(Block, "__init__", lambda self, *args, **how: right(self, *args, **{**how, "mode": 0}))


def nothing_is_waited_for(patch: Patch) -> None:
    patch.setattr(Block, "wait_for", lambda *_: None)


def conditions_are_forgotten(patch: Patch) -> None:
    patch.setattr(Record, "wait_for", lambda *_: None)


def stores_beyond_storage_are_kept(patch: Patch) -> None:
    right = Cells.install

    def wrong(self, room, start, size):  # type: ignore[no-untyped-def]
        right(self, room, start, size)
        self.flags[size >> 12 :] = bytes(len(self.flags) - (size >> 12))

    patch.setattr(Cells, "install", wrong)


def given_values_are_zero(patch: Patch) -> None:
    patch.setattr(Block, "give", lambda *_: None)


FAULTS: dict[str, tuple[Callable[[Patch], None], Callable[[], None]]] = {
    "the profile's values are not put": (_instead("    moved(s, r, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))\n", ""), simple),
    "the guest's values are not put back": (_instead("    moved(s, v, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))\n", ""), simple),
    "what is put is zero": (given_values_are_zero, simple),
    "the next instruction is carried out": (_instead("    ST(s + COUNTER, LD(s + COUNTER_AT))\n", ""), suppressing),
    "every trap is the guest's": (_instead("LD(m + M_KINDS) >> LD(s + KIND) & 1 == 0", "LD(m + M_KINDS) >= 0"), simple),
    "completed traps are repeated": (_instead("return BYTE(LD(m + M_EFFECTS) + form)", "return 0"), overflow),
    "reflected traps are not delivered": (_instead("if deliver(s, k, LD(s + ILEN)) < 0:", "if k < 0:"), simple),
    "another trap is delivered": (_instead("if deliver(s, k, LD(s + ILEN)) < 0:", "if deliver(s, 0, LD(s + ILEN)) < 0:"), simple),
    "reflected traps are not counted": (_instead("    count(m + M_REFLECTED, 1)\n    if bare", "    if bare"), simple),
    "traps are counted twice": (_instead("    count(LD(m + M_TRAPS) + 8 * k, 1)", "    count(LD(m + M_TRAPS) + 8 * k, 2)"), simple),
    "trapped instructions count as direct": (_instead("count(m + M_DIRECT, steps - 1)", "count(m + M_DIRECT, steps)"), simple),
    "traps stay at the lowest level": (_instead("bare & int(x == m)", "bare"), nested),
    "a level is left too few": (_instead("x = LD(x + M_ABOVE)\n            leave(s, x)\n", "x = LD(x + M_ABOVE)\n"), nested),
    "supervisor mode runs directly": (a_level_too_many, hybrid),
    "disturbed registers are put back unseen": (_instead("if unlike(s, v,", "if 0 * unlike(s, v,"), scribbling),
    "the console is not noticed": (nothing_is_waited_for, simple),
    "a wait is not noticed": (_instead("return met(s, p, p + LD(m + M_CONDITION_BYTES)) * WATCHED", "return GOES_ON"), hybrid),
    "a wait is not noticed on the bare machine": (conditions_are_forgotten, waiting),
    "a suppressed instruction is carried out again": (_loop("then = (pc + ilen) &", "then = (pc + 0 * ilen) &"), forms),
    "the length of an instruction is lost": (_loop("ST(s + ILEN, ilen)", "ST(s + ILEN, 0)"), forms),
    "storage has no end": (stores_beyond_storage_are_kept, windows),
}


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_nothing_is_caught_without_a_fault(oracle: Callable[[], None]) -> None:
    oracle()


@pytest.fixture
def planted(request: pytest.FixtureRequest, monkeypatch: Patch) -> Callable[[], None]:
    fault, oracle = FAULTS[request.param]
    fault(monkeypatch)
    return oracle


@pytest.mark.parametrize("planted", FAULTS, indirect=True)
def test_faults_are_caught(planted: Callable[[], None]) -> None:
    with pytest.raises((AssertionError, MachineError)):
        planted()
