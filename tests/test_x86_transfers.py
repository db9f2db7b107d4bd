"""Far transfers, interrupts and task switches of the x86, worked out from the manual."""

from __future__ import annotations

import pytest
from x86_machine import (
    CODE,
    DATA,
    EBX,
    EDX,
    ESI,
    ESP,
    GDT,
    HANDLERS,
    IF,
    INNER_STACK,
    IOPL,
    NEXT_TSS,
    NT,
    TSS,
    deliver,
    load_cache,
    machine,
    push,
    run,
    selector,
    stacked,
    system,
    word,
)

# ---- far transfers --------------------------------------------------------------------------------------------------------


def test_far_jump_within_a_level() -> None:
    state = system()
    assert run(state, "ea000140001b00") == ""
    assert (selector(state, "cs"), state.cells["eip"]) == (0x1B, 0x400100)
    state = system()
    assert run(state, "ea000140004000") == ""  # conforming code of ring 0
    assert (selector(state, "cs"), state.cells["cpl"], state.cells["cs.dpl"]) == (0x43, 3, 0)
    assert not machine().legal(state)
    assert run(system(), "ea000140000800") == "protection_check(8)"
    assert run(system(), "ea000140000000") == "protection_check(0)"


def test_call_gate_to_the_kernel_and_back() -> None:
    state = system()
    push(state, 0x22222222, 0x11111111)
    assert run(state, "9a000000006800") == ""
    assert (selector(state, "cs"), state.cells["cpl"], state.cells["eip"]) == (0x08, 0, HANDLERS + 0x800)
    assert (selector(state, "ss"), state["gpr"][ESP]) == (0x10, INNER_STACK - 24)
    assert stacked(state, 6) == [CODE + 0x107, 0x1B, 0x11111111, 0x22222222, DATA + 0x17F8, 0x23]
    assert not machine().legal(state)
    load_cache(state, "es", 0x10)
    assert run(state, "ca0800") == ""
    assert (selector(state, "cs"), state.cells["cpl"], state.cells["eip"]) == (0x1B, 3, CODE + 0x107)
    assert (selector(state, "ss"), state["gpr"][ESP]) == (0x23, DATA + 0x1800)
    assert (state.cells["es.valid"], state.cells["ds.valid"]) == (0, 1)
    assert not machine().legal(state)


def test_call_gate_privilege() -> None:
    assert run(system(), "9a000000007000") == "protection_check(70)"
    assert run(system(), "ea000000006800") == "protection_check(8)"  # JMP does not change the level
    state = system()
    state.memory["storage"].load(TSS + 8, b"\x23\0")
    assert run(state, "9a000000006800") == "invalid_tss(20)"


def test_far_return_outward_checks_the_stack() -> None:
    state = system(0)
    push(state, 0x10, DATA + 0x1000, 0x1B, CODE)
    assert run(state, "cb") == "protection_check(10)"
    state = system()
    push(state, 0x08, CODE)
    assert run(state, "cb") == "protection_check(8)"


def test_load_far_pointer() -> None:
    state = system()
    state["gpr"][EBX] = DATA
    state.memory["storage"].load(DATA, bytes.fromhex("785634122300"))
    assert run(state.copy(), "c413") == ""
    assert run(state, "0fb213") == ""
    assert state["gpr"][EDX] == 0x12345678
    state.memory["storage"].load(DATA, bytes.fromhex("785634121000"))
    assert run(state, "c513") == "protection_check(10)"

# ---- interrupts --------------------------------------------------------------------------------------------------------------


def test_fault_through_an_interrupt_gate_and_back() -> None:
    state = system()
    state["eflags"] = IF | 1
    deliver(state, "f4")
    assert (selector(state, "cs"), state.cells["cpl"], state.cells["eip"]) == (0x08, 0, HANDLERS + 4 * 13)
    assert stacked(state, 6) == [0, CODE + 0x100, 0x1B, 0x203, DATA + 0x1800, 0x23]
    assert state.cells["eflags.if"] == 0
    assert not machine().legal(state)
    state["gpr"][ESP] += 4
    assert run(state, "cf") == ""
    assert (selector(state, "cs"), state.cells["cpl"], state.cells["eip"]) == (0x1B, 3, CODE + 0x100)
    assert (state.word("eflags"), state["gpr"][ESP]) == (IF | 1, DATA + 0x1800)
    assert not machine().legal(state)


def test_page_fault_sets_cr2() -> None:
    state = system()
    state["gpr"][EBX] = 0x40000000
    deliver(state, "8a03")
    assert (state.cells["cr2"], stacked(state, 1), state.cells["eip"]) == (0x40000000, [4], HANDLERS + 4 * 14)


def test_software_interrupts() -> None:
    assert run(system(), "cd80") == "software_interrupt(80)"
    assert run(system(), "cd20") == "protection_check(102)"
    assert run(system(0), "cd20") == "software_interrupt(20)"
    state = system()
    assert run(state.copy(), "ce") == ""
    state["eflags.of"] = 1
    assert run(state, "ce") == "overflow()"
    state = system()
    state["eflags"] = IF
    deliver(state, "cd82")  # a trap gate leaves IF alone
    assert (state.cells["eflags.if"], stacked(state, 1), state.cells["cpl"]) == (1, [CODE + 0x102], 0)


def test_interrupt_within_the_kernel_keeps_the_stack() -> None:
    state = system(0)
    deliver(state, "cd20")
    assert stacked(state, 3) == [CODE + 0x102, 0x08, 2]
    assert state["gpr"][ESP] == DATA + 0x1800 - 12


def test_iret_follows_popf_on_if_and_iopl() -> None:
    state = system()
    push(state, IF | IOPL, 0x1B, CODE)
    assert run(state, "cf") == ""
    assert state.word("eflags") == 0
    state = system(0)
    push(state, IF | IOPL | 1 << 17, 0x08, CODE)
    assert run(state, "cf") == "mode_not_described()"


def test_a_fault_in_a_delivery_stops_the_machine() -> None:
    state = system()
    state["idtr.limit"] = 0
    deliver(state, "f4")
    assert "double_fault" in state.halted

# ---- tasks ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["9a000000007800", "9a000000005000", "cd81", "ea000000007800"])
def test_task_switch(code: str) -> None:
    state = system()
    state["gpr"][ESI], state["eflags"] = 0xABCD, 1
    deliver(state, code)
    nested = not code.startswith("ea")
    assert (state.cells["tr.sel"], state.cells["tr.base"], state.cells["cr0.ts"]) == (0x78, NEXT_TSS, 1)
    assert (selector(state, "cs"), state.cells["eip"], selector(state, "ss"), state.cells["fs.valid"]) == (0x1B, CODE + 0x200, 0x23, 0)
    assert state["gpr"] == [0x1000 * (i + 1) for i in range(8)]
    assert state.word("eflags") == 0x244 | (NT if nested else 0)
    length = len(code) // 2
    assert (word(state, TSS + 0x20), word(state, TSS + 0x24), word(state, TSS + 0x28 + 4 * ESI)) == (CODE + 0x100 + length, 3, 0xABCD)
    busy = [state.memory["storage"][GDT + sel + 5] & 2 for sel in (0x28, 0x78)]
    assert busy == [2 if nested else 0, 2]
    assert not machine().legal(state)
    if nested:
        assert word(state, NEXT_TSS, 16) == 0x28
        assert run(state, "cf") == ""
        assert (state.cells["tr.sel"], state.cells["eip"], state["gpr"][ESI]) == (0x28, CODE + 0x100 + length, 0xABCD)
        assert state.memory["storage"][GDT + 0x7D] & 2 == 0
        assert not machine().legal(state)


def test_task_switch_refused() -> None:
    assert run(system(), "9a000000008000") == "protection_check(80)"
    assert run(system(), "9a000000002800") == "protection_check(28)"  # it is busy
    state = system()
    state.memory["storage"].load(NEXT_TSS + 0x4C, b"\x08\0")
    state.memory["storage"].load(NEXT_TSS + 0x50, b"\x23\0")
    assert run(state, "9a000000007800") == "invalid_tss(20)"
