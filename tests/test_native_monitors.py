"""Monitors in generated code do what those in Python do: to the last byte, and counting the same."""

from __future__ import annotations

import random
from functools import cache

import pytest
from test_guests import CURED_BY_UMIP, DETECTORS
from test_monitors import DISABLED_WAIT, board, program, random_code, scrambled

from isa_specs.core import Isa
from isa_specs.program import Program
from machine import guests
from machine.guests import Machinery
from machine.jitted_processor import JittedProcessor
from machine.monitors.monitor import Monitor
from machine.monitors.native import Native, NativeMonitor, monitor_on
from machine.monitors.processor import Counters, Processor
from machine.session import Ending
from machine.state import State

Cells = dict[str, dict[int, int]]
Outcome = tuple[Ending, int, bytes, str, dict[str, int], dict[str, list[int]], bytes, Cells, list[tuple[object, ...]]]


def isa(name: str) -> Isa:
    """The description as the boards were read for it."""
    return board(name).isa


@cache
def jitted(name: str) -> JittedProcessor:
    return JittedProcessor(isa(name))


def told(counters: Counters) -> tuple[object, ...]:
    return (counters.direct, counters.emulated, counters.interpreted, counters.reflected, counters.delivered, counters.traps,
            counters.exits, counters.disturbed, counters.share)


def outcome(made: Machinery, ending: Ending) -> Outcome:
    """Everything a run leaves, for comparison."""
    state = made.session.state
    storage = bytes(made.storage.cells[made.kept :])
    cells = {name: {at: value for at, value in state.memory[name].items() if value}
             for name, space in state.isa.spaces.items() if space.physical and space.cell_width != 8}
    return (ending, made.session.steps, bytes(made.session.output), state.halted, dict(state.cells),
            {key: list(values) for key, values in state.arrays.items()}, storage, cells, [told(m.counters) for m in made.monitors])


def system(name: str, guest: str, monitor: str, depth: int, processor: Processor | None = None, typed: bytes = b"") -> Machinery:
    path = guests.bundled(isa(name))[guest]
    own = guests.board_for(isa(name), path)
    return guests.monitored(own, guests.assembled(own, guests.source_of(path), str(path)), monitor, depth, typed, processor)


@pytest.mark.parametrize(("name", "guest", "monitor", "depth"), [
    ("third_generation", "os", "trap_and_emulate", 1), ("third_generation", "os", "hybrid", 1),
    ("third_generation", "os", "trap_and_emulate", 3), ("s370", "os", "trap_and_emulate", 1), ("s370", "os", "hybrid", 1),
    ("s370", "os", "trap_and_emulate", 3), ("s370", "os", "hybrid", 2), ("s370", "modify", "trap_and_emulate", 2),
    ("x86", "os", "trap_and_emulate", 1), ("x86", "os", "hybrid", 1), ("x86", "os", "trap_and_emulate", 2), ("x86", "os", "hybrid", 2),
    ("x86", "loop", "trap_and_emulate", 3), ("x86_vtx", "os", "vmx", 1), ("x86_vtx", "modify", "vmx", 1),
])
def test_systems_end_alike(name: str, guest: str, monitor: str, depth: int) -> None:
    native, plain = system(name, guest, monitor, depth, jitted(name)), system(name, guest, monitor, depth)
    assert all(isinstance(made, Native) for made in native.monitors)
    assert outcome(native, native.session.run(20_000)) == outcome(plain, plain.session.run(20_000))
    assert native.host_digest() == plain.host_digest()


@pytest.mark.parametrize(("name", "monitor", "depth"), [("s370", "trap_and_emulate", 2), ("x86", "hybrid", 1), ("x86_vtx", "vmx", 1)])
def test_interrupts_are_not_lost(name: str, monitor: str, depth: int) -> None:
    typed = b"typed while the guest does other things\n"
    native, plain = system(name, "echo", monitor, depth, jitted(name), typed), system(name, "echo", monitor, depth, None, typed)
    assert outcome(native, native.session.run(40_000)) == outcome(plain, plain.session.run(40_000))
    assert native.session.output == typed


def test_a_guest_of_a_monitor_of_another_kind_is_run_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = iter([monitor_on, Monitor])
    monkeypatch.setattr(guests, "monitor_on", lambda below, profile, **options: next(kinds)(below, profile, **options))
    made = system("x86", "loop", "trap_and_emulate", 2, jitted("x86"))
    assert [isinstance(monitor, NativeMonitor) for monitor in made.monitors] == [True, False]
    assert made.session.run(20_000) == "waiting"
    assert made.session.output == b"338350\n"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_moved_tables_are_there_for_all_machines_but_the_guest_s(depth: int) -> None:
    own = board("x86")
    made = guests.monitored(own, program("x86", "start: mov dword [ebx],0x11223344\nhlt\n"), "trap_and_emulate", depth,
                            processor=jitted("x86"))
    state, monitors = made.session.state, made.monitors
    assert all(isinstance(monitor, NativeMonitor) for monitor in monitors)
    assert made.session.run(0) == "steps"
    _, there = monitors[-1].map.tables()[0]
    entry, begin = made.kept + 0x308, state["eip"]
    for level in range(depth, -1, -1):  # the guest's machine first, the real one last
        made.storage[entry] = 0
        state["gpr"][3], state["eip"] = there + 0x308, begin
        jitted("x86").machine.step(state)
        assert made.storage[entry] == (0x44 if level < depth else 0), level
        if level:
            monitors[level - 1].enter(state)


@pytest.mark.parametrize("detector", DETECTORS)
def test_detectors_detect_the_same(detector: str) -> None:
    for name, monitor, shown in (("x86", "trap_and_emulate", b"M"), ("x86", "hybrid", b"B"), ("x86_vtx", "vmx", b"B"),
                                 ("x86_umip", "trap_and_emulate", b"B" if detector in CURED_BY_UMIP else b"M")):
        made = system(name, f"detect/{detector}", monitor, 1, jitted(name))
        assert (made.session.run(20_000), made.session.output) == ("waiting", shown), name


# ---- random guests ---------------------------------------------------------------------------------------------------------


def random_guest(name: str, monitor: str, depth: int, seed: int, processor: Processor | None = None) -> Machinery:
    rng, own = random.Random(seed), board(name)
    start = {"start": own.origin + (0 if own.origin else 0x100)}
    code = Program(own.origin, random_code(own.isa, rng, 600), start, ())
    made = guests.monitored(own, code, monitor, depth, processor=processor)
    made.session.run(1)
    scrambled(made.session.state, rng)
    return made


@pytest.mark.parametrize(("name", "monitor", "depth", "count"), [
    ("third_generation", "trap_and_emulate", 1, 40), ("third_generation", "hybrid", 2, 20), ("s370", "trap_and_emulate", 1, 40),
    ("s370", "trap_and_emulate", 3, 10), ("s370", "hybrid", 1, 20), ("x86", "trap_and_emulate", 1, 25), ("x86", "hybrid", 1, 15),
    ("x86", "trap_and_emulate", 2, 15), ("x86", "hybrid", 3, 10),
    ("x86_vtx", "vmx", 1, 15),
])
def test_random_guests_end_alike(name: str, monitor: str, depth: int, count: int) -> None:
    steps = 0
    for seed in range(count):
        runs = [random_guest(name, monitor, depth, seed, processor) for processor in (jitted(name), None)]
        native, plain = (outcome(made, made.session.run(200)) for made in runs)
        assert native == plain, f"seed {seed}"
        steps += runs[0].session.steps
    assert steps > 5 * count


# ---- storage -------------------------------------------------------------------------------------------------------------------


def test_windows_are_those_of_the_board() -> None:
    made = guests.monitored(board("s370"), program("s370", "start: MVI 0xFF0(0),7\nLPSW stop(0)\n" + DISABLED_WAIT), "trap_and_emulate",
                            processor=jitted("s370"))
    assert made.session.run(10) == "waiting"
    assert made.storage[made.kept + 0xFF0] == 7


def test_where_nothing_is_installed_stores_are_lost() -> None:
    source = """
start:  mov dword [0x3FFFE],0x44332211    ; two bytes are installed, two are not
        mov dword [0x50000],1
        mov eax,[0x3FFFE]
        mov ebx,[0x50000]
        cli
        hlt
"""
    states: list[State] = []
    for processor in (None, jitted("x86")):
        made = guests.bare(board("x86"), program("x86", source), processor=processor)
        assert made.session.run(10) == "waiting"
        states.append(made.session.state)
    assert list(states[0].arrays["gpr"]) == list(states[1].arrays["gpr"])
    assert [state.arrays["gpr"][0] for state in states] == [0x2211, 0x2211]


def test_an_executed_instruction_that_has_completed_is_not_repeated() -> None:
    """EXECUTE of an addition that overflows, with the interruption enabled."""
    source = """
        .org 0x68
        .quad handler
        .org 0x200
start:  LPSW on(0)
go:     L 1,large(0,0)
        EX 0,sum(0,0)
handler: LPSW stop(0)
sum:    AR 1,1
        .align 8
on:     .quad 0x0000000008000000+go
large:  .word 0x40000001
""" + DISABLED_WAIT
    made = guests.monitored(board("s370"), program("s370", source), "trap_and_emulate", processor=jitted("s370"))
    assert made.session.run(100) == "waiting"
    assert made.session.state["gpr"][1] == 0x80000002
    assert made.monitors[0].counters.reflected == 1
