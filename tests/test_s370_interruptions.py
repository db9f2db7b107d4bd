"""System/370's interruptions from outside: where they store what, which masks let them in, and clocks that run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from s370_machine import machine, word

from isa_specs.core import Isa
from machine import guests
from machine.jitted_processor import JittedProcessor
from machine.monitors.processor import PlainProcessor, Processor
from machine.state import State

BC, EC = 0, 1
OLD = {BC: 0x60002468, EC: 0x2468}  # the second word of the old PSW: condition code 2 in BC mode only


def make(mode: int, name: str = "s370") -> State:
    state = State(machine(name).isa)
    state["storage_size"] = 0x1FFF
    state["psw.ia"], state["psw.cc"], state["psw.prob"] = 0x2468, 2, 1
    state["psw.ec" if name == "s370" else "cr6.extended"] = mode
    for new in range(0x58, 0x80, 8):
        state.memory["storage"].load(new, (0x3000 + new).to_bytes(8, "big"))
    return state


def enabled(state: State, name: str, *told: int) -> bool:
    interrupt = state.isa.interrupts[name]
    fields = dict(zip((field for field, _ in interrupt.trap.params), told, strict=True))
    return bool(machine(state.isa.name).evaluate(interrupt.condition, state, fields))


def take(state: State, name: str, *told: int) -> State:
    machine(state.isa.name).deliver(state.isa.interrupts[name].trap, told, state, 0)
    return state


@pytest.mark.parametrize(("name", "told", "old", "code", "mode", "where", "stored"), [
    ("interval_timer", (), 0x18, 0x0080, BC, 0x84, 0xAAAAAAAA),
    ("interval_timer", (), 0x18, 0x0080, EC, 0x84, 0x00000080),
    ("external_signal", (5,), 0x18, 0x0005, EC, 0x84, 0x00000005),
    ("tod_sync_check", (), 0x18, 0x1003, EC, 0x84, 0x00001003),
    ("clock_comparator", (), 0x18, 0x1004, EC, 0x84, 0x00001004),
    ("cpu_timer", (), 0x18, 0x1005, EC, 0x84, 0x00001005),
    ("malfunction_alert", (7,), 0x18, 0x1200, BC, 0x84, 0x0007AAAA),
    ("emergency_signal", (7,), 0x18, 0x1201, EC, 0x84, 0x00071201),
    ("external_call", (7,), 0x18, 0x1202, EC, 0x84, 0x00071202),
    ("io", (0x01E0, 0x1122334455667788), 0x38, 0x01E0, BC, 0xB8, 0xAAAAAAAA),
    ("io", (0x01E0, 0x1122334455667788), 0x38, 0x01E0, EC, 0xB8, 0xAA0001E0),
    ("machine_check", (1 << 63,), 0x30, 0, BC, 0xE8, 0x80000000),
    ("machine_check", (1 << 63,), 0x30, 0, EC, 0xE8, 0x80000000),
])
def test_where_an_interruption_stores_what(
    name: str, told: tuple[int, ...], old: int, code: int, mode: int, where: int, stored: int
) -> None:
    state = make(mode)
    for address in (0x84, 0xB8):
        state.memory["storage"].load(address, b"\xaa" * 4)
    take(state, name, *told)
    first, second = word(state, old), word(state, old + 4) & 0x3FFFFFFF  # the length is unpredictable
    assert (first, second) == ((0x00010000 | code, OLD[BC] & 0x3FFFFFFF) if mode == BC else (0x00092000, OLD[EC]))
    assert word(state, where) == stored
    assert state["psw.ia"] == 0x3000 + old + 0x40


@pytest.mark.parametrize(("mode", "first"), [(BC, 0x00010000), (EC, 0x00092000)])
def test_restart_swaps_the_first_two_psws(mode: int, first: int) -> None:
    state = make(mode)
    state.memory["storage"].load(0, bytes.fromhex("000c000000004000"))
    assert enabled(state, "restart")
    take(state, "restart")
    assert (word(state, 8), word(state, 12) & 0x3FFFFFFF) == (first, OLD[mode] & 0x3FFFFFFF)
    assert (state["psw.ia"], state["psw.ec"], state["psw.prob"]) == (0x4000, 1, 0)


def test_a_channel_status_word_comes_with_an_input_output_interruption() -> None:
    state = take(make(EC), "io", 0x01E0, 0x1122334455667788)
    assert (word(state, 0x40), word(state, 0x44)) == (0x11223344, 0x55667788)


def test_a_machine_check_saves_the_registers() -> None:
    state = make(EC)
    state["cpu_timer"], state["clock_comparator"], state["cr9"] = 1, 2, 0x99
    state.arrays["gpr"][15], state.arrays["fpr"][3] = 0x15, 0x66
    take(state, "machine_check", 1 << 63)
    assert [word(state, address) for address in (0xDC, 0xE4, 0x17C, 0x1BC, 0x1E4)] == [1, 2, 0x66, 0x15, 0x99]


@pytest.mark.parametrize(("mode", "masks", "channels"), [
    (BC, {"psw.channels": 0b100001}, {0, 5}),
    (BC, {"psw.io": 1, "cr2": 0xFFFFFFFF}, set(range(6, 32))),
    (BC, {"psw.io": 1, "cr2": 1 << 25 | 1}, {6, 31}),
    (EC, {"psw.io": 1, "cr2": 1 << 31 | 1 << 25}, {0, 6}),
    (EC, {"cr2": 0xFFFFFFFF}, set()),
])
def test_channel_masks(mode: int, masks: dict[str, int], channels: set[int]) -> None:
    state = make(mode)
    for name, value in masks.items():
        state[name] = value
    assert {channel for channel in range(32) if enabled(state, "io", channel << 8 | 0xE0, 0)} == channels


@pytest.mark.parametrize(("bit", "mask"), [(0, None), (1, None), (2, 4), (3, 6), (4, 6), (5, 6), (7, 5), (8, 7)])
def test_machine_check_masks(bit: int, mask: int | None) -> None:
    state, code = make(EC), 1 << 63 - bit
    assert not enabled(state, "machine_check", code)
    state["psw.mcheck"] = 1
    assert enabled(state, "machine_check", code) == (mask is None)
    for i in range(4, 8):
        state["cr14.machine_check_masks"] = 1 << 11 - i
        assert enabled(state, "machine_check", code) == (mask in (None, i))


def test_clocks_interrupt_when_their_time_has_come() -> None:
    state = make(EC)
    state["psw.external"] = state["cr0.clock_comparator_mask"] = state["cr0.cpu_timer_mask"] = 1
    state["clock_comparator"], state["cpu_timer"] = 5 << 12, 5 << 12
    take(state, "time", 5)
    assert (enabled(state, "clock_comparator"), enabled(state, "cpu_timer")) == (False, False)
    take(state, "time", 1)
    assert (enabled(state, "clock_comparator"), enabled(state, "cpu_timer")) == (True, True)
    state["cr0.clock_comparator_mask"], state["psw.external"] = 0, 1
    assert (enabled(state, "clock_comparator"), enabled(state, "cpu_timer")) == (False, True)


BOARD = """[storage]
space = "storage"
size = 0x4000
own = 0x1000
told = "storage_size"
unit = 0x800
last = true

[start]
"cr0.interval_timer" = 1
"cr0.clock_comparator_mask" = 1
"cr0.cpu_timer_mask" = 1
"cpu_timer" = 0x7FFFFFFFFFFFFFFF
"clock_comparator" = 0xFFFFFFFFFFFFFFFF

[[clock]]
interrupt = "time"
arguments = [10]
every = 10

[[clock]]
interrupt = "interval_timer_step"
arguments = [0x100]
every = 50

[[clock]]
interrupt = "interval_timer_expired"
every = 10

[[clock]]
interrupt = "cpu_timer"
every = 10

[[clock]]
interrupt = "clock_comparator"
every = 10
"""

CLOCKS = """; Three clocks interrupt a loop; the codes of the interruptions are noted in their order.
        .quad 0
        .org 0x50
        .word 0x00000200
        .org 0x58
        .quad 0x0000000000000300
        .org 0x100
start:  SPT   hundred(0)
        SCKC  three(0)
        SSM   all(0)
loop:   LA    4,1(4,0)
        BC    15,loop(0,0)
        .org 0x300
        LH    1,0x1A(0,0)
        STH   1,noted(6,0)
        LA    6,2(6,0)
        SPT   far(0)
        CLI   0x1B(0),4
        BC    7,back(0,0)
        SCKC  never(0)
back:   LPSW  0x18(0)
        .align 8
hundred: .quad 100 * 4096
three:  .quad 300 * 4096
far:    .quad 0x7FFFFFFFFFFFFFFF
never:  .quad 0xFFFFFFFFFFFFFFFF
all:    .byte 0xFF
        .align 8
noted:  .space 32
"""


@pytest.mark.parametrize("processor", [PlainProcessor, JittedProcessor])
def test_three_running_clocks(processor: Callable[[Isa], Processor], tmp_path: Path) -> None:
    """The CPU timer after 100 microseconds, the interval timer after three steps, the clock comparator after 300."""
    (tmp_path / "board.toml").write_text(BOARD)
    path = tmp_path / "clocks.s"
    path.write_text(CLOCKS)
    board = guests.board_for(machine("s370").isa, path)
    program = guests.assembled(board, CLOCKS, "clocks.s")
    session = guests.bare(board, program, processor=processor(board.isa)).session
    assert session.run(1000) == "steps"
    noted = program.labels["noted"]
    codes = [word(session.state, noted + 4 * i) for i in range(2)]
    assert codes == [0x10050080, 0x10040000]
    assert session.state["tod"] >> 12 in range(980, 1001)
    assert word(session.state, 0x50) == (0x200 - 0x100 * 19) % 2**32


@pytest.mark.parametrize(("mode", "first", "code"), [(EC, 0x00012000, 0x01E0), (BC, 0x000101E0, 0)])
def test_the_model_67_has_its_codes_elsewhere(mode: int, first: int, code: int) -> None:
    state = take(make(mode, "s360_67"), "io", 0x01E0, 0x1122334455667788)
    assert (word(state, 0x38) & 0xFFFF3FFF, word(state, 0x16) >> 16, state["psw.ia"]) == (first, code, 0x3078)


@pytest.mark.parametrize(("mode", "masks", "channels"), [
    (BC, {"psw.channels": 0b100001, "psw.io": 1}, {0, 5, 6}),
    (EC, {"psw.io": 1, "cr4": 0x80800000}, {0, 8}),
    (EC, {"cr4": 0xFFFFFFFF}, set()),
])
def test_channel_masks_of_the_model_67(mode: int, masks: dict[str, int], channels: set[int]) -> None:
    state = make(mode, "s360_67")
    for name, value in masks.items():
        state[name] = value
    there = [*range(7), *range(8, 15)] if mode == EC else range(7)
    assert {channel for channel in there if enabled(state, "io", channel << 8, 0)} == channels
