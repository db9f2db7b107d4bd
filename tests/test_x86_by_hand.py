"""What the x86 cases do not reach, worked out from the manual: privilege, gates, tasks, interrupts, paging, descriptors."""

from __future__ import annotations

import random

import pytest
from x86_machine import (
    CODE,
    DATA,
    DESCRIPTORS,
    EAX,
    EBP,
    EBX,
    ECX,
    EDX,
    ESI,
    ESP,
    GDT,
    GDT_LIMIT,
    IDT,
    IF,
    IOPL,
    NEXT_TSS,
    PAGES,
    deliver,
    load_cache,
    machine,
    push,
    run,
    selector,
    system,
    word,
)

# ---- privilege ------------------------------------------------------------------------------------------------

PRIVILEGED = {
    "hlt": "f4", "clts": "0f06", "invd": "0f08", "wbinvd": "0f09", "rdmsr": "0f32", "wrmsr": "0f30", "lgdt": "0f0113", "lidt": "0f011b",
    "lldt": "0f00d0", "ltr": "0f00d8", "lmsw": "0f01f0", "invlpg": "0f013b", "mov cr": "0f22c0", "mov from cr": "0f20c0",
    "mov dr": "0f23c0", "mov from dr": "0f21c0",
}


@pytest.mark.parametrize("code", PRIVILEGED.values(), ids=PRIVILEGED)
def test_privileged(code: str) -> None:
    for cpl in (1, 3):
        assert run(system(cpl), code) == "general_protection(0)"
    state = system(0)
    state["gpr"][EAX], state["gpr"][EBX] = 0x80000011, DATA
    if code == "0f00d8":
        state["gpr"][EAX] = 0x78
    elif code == "0f00d0":
        state["gpr"][EAX] = 0x30
    assert run(state, code) == ""


@pytest.mark.parametrize(("cpl", "iopl", "kept"), [(0, 0, 0), (0, 3, 0), (1, 0, IF | IOPL), (1, 1, IOPL), (3, 0, IF | IOPL), (3, 3, IOPL)])
def test_popf_never_traps(cpl: int, iopl: int, kept: int) -> None:
    for old, new in ((0, 0xFFFFFFFF), (IF, 0)):
        state = system(cpl)
        state["eflags"] = before = old | iopl << 12
        push(state, new)
        assert run(state, "9d") == ""
        defined = 0x247FD5
        assert state.word("eflags") == before & kept | new & defined & ~kept


def test_popf_of_16_bits_leaves_ac_and_id() -> None:
    state = system(0)
    state["eflags"] = 0x240000
    push(state, 0)
    assert run(state, "669d") == ""
    assert state.word("eflags") == 0x240000
    assert state["gpr"][ESP] == DATA + 0x1800 - 2


def test_cli_sti_and_iopl() -> None:
    for iopl in range(4):
        state = system(1)
        state["eflags"] = iopl << 12
        assert run(state, "fb") == ("" if iopl >= 1 else "general_protection(0)")
        assert state.cells["eflags.if"] == (iopl >= 1)


def test_ports_and_the_permission_map() -> None:
    state = system()
    state.memory["ports"].load(0x80, b"\x5a")
    assert run(state.copy(), "e481") == "general_protection(0)"
    assert run(state.copy(), "66e580") == "general_protection(0)"  # the second byte is closed
    assert run(state, "e480") == ""
    assert state["gpr"][EAX] & 0xFF == 0x5A
    state = system()
    state["tr.limit"] = 0x66
    assert run(state, "e480") == "general_protection(0)"
    state = system()
    state["eflags"] = IOPL
    assert run(state, "e7f0") == ""


def test_time_stamp_and_counters() -> None:
    state = system()
    state["tsc"] = 0x123456789ABCDEF0
    assert run(state, "0f31") == ""
    assert (state["gpr"][EDX], state["gpr"][EAX]) == (0x12345678, 0x9ABCDEF0)
    state = system()
    state["cr4.tsd"] = 1
    assert run(state, "0f31") == "general_protection(0)"
    assert run(system(), "0f33") == "general_protection(0)"

# ---- system registers ---------------------------------------------------------------------------------------------


def test_user_code_reads_system_registers() -> None:
    state = system()
    state["gpr"][EBX] = DATA
    assert run(state, "0f0103") == ""
    assert (word(state, DATA, 16), word(state, DATA + 2)) == (GDT_LIMIT, GDT)
    state = system()
    state["gpr"][EBX] = DATA
    assert run(state, "0f010b") == ""
    assert (word(state, DATA, 16), word(state, DATA + 2)) == (0x7FF, IDT)
    for code, value in (("0f00c8", 0x28), ("0f00c0", 0), ("660f01e0", 0x11)):
        state = system()
        assert run(state, code) == ""
        assert state["gpr"][EAX] == value


def test_user_mode_instruction_prevention() -> None:
    for code in ("0f0103", "0f010b", "0f00c8", "0f00c0", "0f01e0"):
        state = system(name="x86_umip")
        state["gpr"][EBX] = DATA
        assert run(state.copy(), code, "x86_umip") == ""
        state["cr4.umip"] = 1
        assert run(state, code, "x86_umip") == "general_protection(0)"
        state = system(0, name="x86_umip")
        state["gpr"][EBX], state["cr4.umip"] = DATA, 1
        assert run(state, code, "x86_umip") == ""
    state = system(0, name="x86_umip")
    state["gpr"][EAX] = 0x800
    assert run(state, "0f22e0", "x86_umip") == ""
    assert state.cells["cr4.umip"] == 1


def test_control_registers() -> None:
    state = system(0)
    state["gpr"][EAX] = 0x800
    assert run(state, "0f22e0") == "protection_check(0)"
    state["gpr"][EAX] = 0x10
    assert run(state.copy(), "0f22c0") == "mode_not_described()"
    state["gpr"][EAX] = 0x1C
    assert run(state, "0f01f0") == ""  # LMSW sets MP, EM, TS and cannot clear PE
    assert state.word("cr0") == 0x8000001D
    assert run(system(), "0f22c8") == "invalid_opcode()"  # there is no CR1


def test_load_task_and_ldt_registers() -> None:
    state = system(0)
    state["gpr"][EAX] = 0x78
    assert run(state, "0f00d8") == ""
    assert (state.cells["tr.sel"], state.cells["tr.base"], state.cells["tr.limit"]) == (0x78, NEXT_TSS, 0x67)
    assert state.memory["storage"][GDT + 0x7D] & 2
    assert run(system(0), "0f00d8") == "protection_check(0)"  # EAX is null
    busy = system(0)
    busy["gpr"][EAX] = 0x28
    assert run(busy, "0f00d8") == "protection_check(28)"
    state = system(0)
    state["gpr"][EAX] = 0x30
    assert run(state, "0f00d0") == ""
    assert (state.cells["ldtr.base"], state.cells["ldtr.limit"], state.cells["ldtr.valid"]) == (0x3000, 0xFF, 1)

# ---- descriptors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sel", "cpl", "answers"), [
    # LAR, LSL, VERR, VERW
    (0x23, 3, (0x00C0F300, 0xFFFFFFFF, 1, 1)), (0x10, 3, (None, None, 0, 0)), (0x10, 0, (0x00C09300, 0xFFFFFFFF, 1, 1)),
    (0x13, 0, (None, None, 0, 0)), (0x40, 3, (0x00C09F00, 0xFFFFFFFF, 1, 0)), (0xA0, 3, (0x00C0F100, 0xFFFFFFFF, 1, 0)),
    (0xA8, 3, (0x00C0F900, 0xFFFFFFFF, 0, 0)), (0x28, 0, (0x00008B00, 0x2087, 0, 0)), (0x28, 3, (None, None, 0, 0)),
    (0x68, 3, (0x0000EC00, None, 0, 0)), (0x78, 3, (0x0000E900, 0x67, 0, 0)), (0x88, 3, (0x00C07300, 0xFFFFFFFF, 1, 1)),
    (0, 3, (None, None, 0, 0)), (0x200, 0, (None, None, 0, 0)), (0x0C, 0, (None, None, 0, 0)), (0x98, 3, (0x0040F700, 0xFFF, 1, 1)),
])
def test_questions_about_descriptors(sel: int, cpl: int, answers: tuple[int | None, ...]) -> None:
    for code, answer in zip(("0f02c3", "0f03c3"), answers, strict=False):
        state = system(cpl)
        state["gpr"][EBX], state["gpr"][EAX] = sel, 0x55AA55AA
        assert run(state, code) == ""
        assert state.cells["eflags.zf"] == (answer is not None)
        assert state["gpr"][EAX] == (0x55AA55AA if answer is None else answer)
    for code, answer in zip(("0f00e3", "0f00eb"), answers[2:], strict=True):
        state = system(cpl)
        state["gpr"][EBX] = sel
        assert run(state, code) == ""
        assert state.cells["eflags.zf"] == answer


@pytest.mark.parametrize(("sel", "outcome"), [
    (0x23, ""), (0, ""), (3, ""), (0x40, ""), (0x10, "protection_check(10)"), (0x88, "segment_not_present(88)"),
    (0xA8, "protection_check(a8)"), (0x28, "protection_check(28)"), (0x1B, ""), (0x200, "protection_check(200)"),
    (0x27, "protection_check(24)"), (0xA3, ""), (0x98, ""),
])
def test_loading_ds(sel: int, outcome: str) -> None:
    state = system()
    state["gpr"][EAX] = sel
    assert run(state, "8ed8") == outcome
    if not outcome:
        assert selector(state, "ds") == sel
        assert state.cells["ds.valid"] == (sel > 3)
        assert not machine().legal(state)
    assert run(state, "66a100104000") == ("segment_violation()" if not outcome and sel <= 3 else "")


def test_loading_a_segment_marks_its_descriptor() -> None:
    state = system()
    storage = state.memory["storage"]
    storage[GDT + 0x25] &= 0xFE
    state["gpr"][EAX] = 0x23
    assert run(state, "8ed8") == ""
    assert storage[GDT + 0x25] == 0xF3
    assert state.cells["ds.type"] == 3


@pytest.mark.parametrize(("sel", "outcome"), [
    (0x23, ""), (0x20, "protection_check(20)"), (0, "protection_check(0)"), (0x10, "protection_check(10)"), (0xA3, "protection_check(a0)"),
    (0x8B, "stack_fault(88)"), (0x93, ""),
])
def test_loading_ss(sel: int, outcome: str) -> None:
    state = system()
    state["gpr"][EAX] = sel
    assert run(state, "8ed0") == outcome
    assert not machine().legal(state)


def test_segment_limits() -> None:
    state = system()
    load_cache(state, "ds", 0x98)
    state["ds.type"], state["ds.limit"] = 7, 0xFFF  # expand-down: the upper part is valid
    state["gpr"][EBX] = 0xFFF
    assert run(state.copy(), "8a03") == "segment_violation()"
    state["gpr"][EBX] = DATA
    assert run(state, "8a03") == ""
    state = system()
    state["ss.limit"] = DATA
    assert run(state.copy(), "50") == "stack_violation()"
    state["ds.type"] = 1
    state["gpr"][EBX] = DATA
    assert run(state, "8803") == "segment_violation()"


def test_page_faults() -> None:
    state = system()
    state["gpr"][EBX] = 0x10000
    assert run(state.copy(), "8a03") == "page_fault(10000, 5)"
    assert run(state.copy(), "8803") == "page_fault(10000, 7)"
    state["gpr"][EBX] = 0x40000000
    assert run(state.copy(), "8803") == "page_fault(40000000, 6)"
    storage = state.memory["storage"]
    storage[PAGES + 0x2008] = 5  # the user page at DATA + 1000 becomes read-only
    state["gpr"][EBX], state["gpr"][ESP] = DATA + 0xFFE, DATA + 0x800
    assert run(state.copy(), "8903") == "page_fault(402000, 7)"
    assert run(state, "8b03") == ""
    kernel = system(0)
    kernel.memory["storage"][PAGES + 0x2008] = 5
    kernel["gpr"][EBX], kernel["gpr"][ESP] = DATA + 0x1000, DATA + 0x800
    assert run(kernel.copy(), "8803") == ""
    kernel["cr0.wp"] = 1
    assert run(kernel, "8803") == "page_fault(402000, 3)"


def test_large_pages() -> None:
    state = system(0)
    state.memory["storage"].load(PAGES + 8, (0x400083).to_bytes(4, "little"))
    state["gpr"][EBX] = 0x801004
    state["cr4.pse"] = 1
    assert run(state, "8b03") == ""
    assert state["gpr"][EAX] == word(state, 0x401004)

# ---- the rest ------------------------------------------------------------------------------------------------------------------


def test_lock_needs_a_memory_destination() -> None:
    state = system()
    state["gpr"][EBX] = DATA
    assert run(state, "f00103") == ""
    for code in ("f001c3", "f00303", "f08903", "f090", "f0f4", "f040"):
        state = system()
        state["gpr"][EBX] = DATA
        assert run(state, code) == "invalid_opcode()"


def test_sixteen_bit_addresses_wrap() -> None:
    state = system(0)
    state["gpr"][EBX], state["gpr"][ESI] = 0xFFFF, 0x1002
    assert run(state, "67 8a00".replace(" ", "")) == ""
    assert state["gpr"][EAX] == state.memory["storage"][0x1001]


def test_enter_and_leave() -> None:
    state = system()
    state["gpr"][EBP] = DATA + 0x1900
    state.memory["storage"].load(DATA + 0x18FC, b"\x44\x33\x22\x11")
    assert run(state, "c8100002") == ""
    frame = DATA + 0x1800 - 4
    assert (state["gpr"][EBP], state["gpr"][ESP]) == (frame, frame - 8 - 0x10)
    assert [word(state, frame - 4 * i) for i in range(3)] == [DATA + 0x1900, 0x11223344, frame]
    assert run(state, "c9") == ""
    assert (state["gpr"][EBP], state["gpr"][ESP]) == (DATA + 0x1900, DATA + 0x1800)


def test_bound_and_identification() -> None:
    state = system()
    state["gpr"][EBX] = DATA
    state.memory["storage"].load(DATA, bytes.fromhex("feffffff05000000"))
    for index, outcome in ((0xFFFFFFFE, ""), (5, ""), (6, "bound_exceeded()"), (0xFFFFFFFD, "bound_exceeded()")):
        state["eip"], state["gpr"][EAX] = CODE + 0x100, index
        assert run(state, "6203") == outcome
    state = system()
    state["cpuid.leaf"] = list(range(8))
    state["gpr"][EAX] = 9
    assert run(state, "0fa2") == ""
    assert [state["gpr"][i] for i in (EAX, EBX, ECX, EDX)] == [4, 5, 6, 7]


def test_legal_states_stay_legal() -> None:
    """The checker proves this; here it is tried: system instructions on random selectors, traps delivered."""
    draw = random.Random(1974)
    codes = ["8ed8", "8ec0", "8ed0", "8ee8", "9d", "cf", "cb", "0fa1", "1f", "17", "cd80", "cd20", "cd81", "ff1b", "ff2b", "fb", "f4",
             "0f00d0", "9a000040006800"]
    states = {cpl: system(cpl) for cpl in (0, 1, 3)}
    selectors = [sel | rpl for sel in DESCRIPTORS for rpl in range(4)] + [0, 3, 0x33C]
    reached = set()
    for _ in range(400):
        state = states[draw.choice((0, 1, 3))].copy()
        state["eflags"] = draw.getrandbits(32) & 0x243FD5 | (draw.random() < 0.1) << 14
        state["gpr"][EAX], state["gpr"][EBX] = draw.choice(selectors), DATA
        state.memory["storage"].load(DATA, CODE.to_bytes(4, "little") + draw.choice(selectors).to_bytes(4, "little"))
        push(state, draw.choice(selectors), DATA + 0x1000, draw.getrandbits(16), draw.choice(selectors), CODE)
        if draw.random() < 0.3:
            push(state, draw.choice(selectors))
        deliver(state, draw.choice(codes))
        reached.add((state.cells["cpl"], state.halted))
        assert state.halted or not machine().legal(state)
    assert {cpl for cpl, _ in reached} == {0, 1, 3}


def test_xadd_stores_where_its_register_pointed_before() -> None:
    state = system()
    state["gpr"][EAX] = DATA  # type: ignore[index]
    before = word(state, DATA)
    assert run(state, "0fc100") == ""  # xadd [eax],eax
    assert state["gpr"][EAX] == before  # type: ignore[index]
    assert word(state, DATA) == (DATA + before) & 0xFFFFFFFF
    state["gpr"][EAX] = 5  # type: ignore[index]
    state["eip"] = CODE + 0x100
    assert run(state, "0fc1c0") == ""  # xadd eax,eax
    assert state["gpr"][EAX] == 10  # type: ignore[index]
