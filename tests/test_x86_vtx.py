"""VT-x on the machine: a monitor that launches a guest with VMX instructions, and what of the guest comes back to it."""

from __future__ import annotations

import pytest
from x86_machine import (
    CODE,
    DATA,
    HANDLERS,
    IDT,
    KERNEL_CODE,
    KERNEL_DATA,
    PAGES,
    USER_CODE,
    USER_DATA,
    deliver,
    run,
    selector,
    system,
    word,
)

from checker.analysis import analyse
from checker.options import Options
from isa_specs.load import bundled, loads
from machine.state import State

EAX, ECX, EDX, EBX, ESP = range(5)
NAME, REVISION = "x86_vtx", 0x5A
VMXON_REGION, VMCS = 0x40000, 0x41000
SELECTORS = {"es": USER_DATA, "cs": USER_CODE, "ss": USER_DATA, "ds": USER_DATA, "fs": USER_DATA, "gs": USER_DATA}
GUEST = CODE + 0x400
CF, ZF = 1, 0x40


def vmx(state: State, code: str, pointer: int) -> str:
    """A VMX instruction with the operand [EBX]."""
    state["gpr"][EBX] = DATA
    state.memory["storage"].load(DATA, pointer.to_bytes(8, "little"))
    return run(state, code, NAME)


def failed(state: State) -> str:
    return {0: "", CF: "invalid", ZF: "valid"}[state.word("eflags") & (CF | ZF)]


def vmwrite(state: State, encoding: int, value: int) -> str:
    state["gpr"][EAX], state["gpr"][EBX] = encoding, value
    return run(state, "0f79c3", NAME) or failed(state)


def vmread(state: State, encoding: int) -> int:
    state["gpr"][EAX] = encoding
    assert run(state, "0f78c3", NAME) == ""
    assert failed(state) == ""
    return int(state["gpr"][EBX])


def monitor() -> State:
    """In root operation, with an empty VMCS."""
    state = system(0, NAME)
    state["cr0"], state["cr4.vmxe"], state["vmx.revision"] = 0x80000031, 1, REVISION
    for region in (VMXON_REGION, VMCS):
        state.memory["storage"].load(region, REVISION.to_bytes(4, "little"))
    assert vmx(state, "f30fc733", VMXON_REGION) == ""
    assert failed(state) == ""
    assert vmx(state, "660fc733", VMCS) == ""
    assert failed(state) == ""
    assert vmx(state, "0fc733", VMCS) == ""
    assert failed(state) == ""
    return state


def filled(level: int = 3) -> State:
    """With a VMCS for a flat guest at privilege level ``level``."""
    state = monitor()
    code, data = (USER_CODE, USER_DATA) if level == 3 else (KERNEL_CODE, KERNEL_DATA)
    for n in range(6):
        vmwrite(state, 0x800 + 2 * n, code if n == 1 else data)
        vmwrite(state, 0x4800 + 2 * n, 0xFFFFFFFF)
        vmwrite(state, 0x4814 + 2 * n, 0xC093 | level << 5 | (8 if n == 1 else 0))
    for encoding, value in {
        0x6800: 0x80000031, 0x6802: PAGES, 0x6804: 0x2000, 0x681C: DATA + 0x800, 0x681E: GUEST, 0x6820: 0x3246,
        0x6816: 0xABC000, 0x4810: 0x77, 0x6818: IDT, 0x4812: 0x7FF, 0x80E: 0x28,
        0xC00: KERNEL_DATA, 0xC02: KERNEL_CODE, 0xC04: KERNEL_DATA, 0xC06: KERNEL_DATA, 0xC0C: 0x28,
        0x6C00: 0x80000031, 0x6C02: PAGES, 0x6C04: 0x2000, 0x6C14: DATA + 0x1000, 0x6C16: CODE + 0x600,
    }.items():
        assert vmwrite(state, encoding, value) == ""
    return state


def launched(level: int = 3, **controls: int) -> State:
    state = filled(level)
    for name, value in controls.items():
        assert vmwrite(state, {"primary": 0x4002, "exceptions": 0x4004, "mask": 0x6000, "shadow": 0x6004}[name], value) == ""
    assert run(state, "0f01c2", NAME) == ""
    assert state["vmx.op"] == 2
    return state


def leaves(state: State, code: str) -> tuple[int, int]:
    """The reason and qualification of the exit ``code`` ends in, or of none (-1)."""
    deliver(state, code, NAME)
    if state["vmx.op"] == 2:
        return -1, 0
    assert (state["cpl"], state["eip"], selector(state, "cs")) == (0, CODE + 0x600, KERNEL_CODE)
    return vmread(state, 0x4402), vmread(state, 0x6400)


def test_launch_loads_the_guest() -> None:
    state = launched()
    assert (state["cpl"], state["eip"], state["gpr"][ESP]) == (3, GUEST, DATA + 0x800)
    assert {name: selector(state, name) for name in SELECTORS} == SELECTORS
    assert (state["gdtr.base"], state["gdtr.limit"]) == (0xABC000, 0x77)


def test_the_guest_sees_its_own_registers() -> None:
    """The instructions Robin and Irvine found critical: nothing exits, the answers are the guest's."""
    state = launched(0, mask=0x80000021, shadow=0x60000011)
    state["gpr"][EBX] = DATA
    assert leaves(state, "0f0103") == (-1, 0)  # sgdt [ebx]
    assert word(state, DATA, 16) == 0x77
    assert word(state, DATA + 2) == 0xABC000
    assert leaves(state, "9c") == (-1, 0)  # pushf
    assert word(state, state["gpr"][ESP]) == 0x3246
    assert leaves(state, "fa") == (-1, 0)  # cli
    assert state["eflags.if"] == 0
    assert leaves(state, "0f01e0") == (-1, 0)  # smsw eax: neither PG nor NE, which the host owns
    assert state["gpr"][EAX] == 0x11


def test_an_exit_saves_the_guest() -> None:
    state = launched()
    state["gpr"][ESP] = DATA + 0x700
    assert leaves(state, "0fa2") == (10, 0)  # cpuid
    assert (vmread(state, 0x681E), vmread(state, 0x681C), vmread(state, 0x440C)) == (GUEST, DATA + 0x700, 2)
    assert vmread(state, 0x802) == USER_CODE
    assert run(state, "0f01c2", NAME) == ""  # vmlaunch, a second time
    assert failed(state) == "valid"
    assert vmread(state, 0x4400) == 4
    vmwrite(state, 0x681E, GUEST + 2)
    assert run(state, "0f01c3", NAME) == ""  # vmresume
    assert (state["vmx.op"], state["eip"], state["cpl"]) == (2, GUEST + 2, 3)


@pytest.mark.parametrize(("code", "level", "controls", "expected"), [
    ("f4", 0, {}, (-1, 0)),  # hlt
    ("f4", 0, {"primary": 1 << 7}, (12, 0)),
    ("0f20d8", 0, {"primary": 1 << 16}, (28, 0x13)),  # mov eax,cr3
    ("0f22d9", 0, {"primary": 1 << 15}, (28, 0x103)),  # mov cr3,ecx
    ("0f06", 0, {"mask": 8, "shadow": 8}, (28, 0x20)),  # clts
    ("0f06", 0, {"mask": 8}, (-1, 0)),
    ("0f32", 0, {}, (31, 0)),  # rdmsr
    ("e620", 0, {"primary": 1 << 24}, (30, 0x200000)),  # out 20h,al
    ("0f31", 3, {"primary": 1 << 12}, (16, 0)),  # rdtsc
    ("0f01c1", 3, {}, (18, 0)),  # vmcall, whatever the privilege level
    ("f390", 3, {"primary": 1 << 30}, (40, 0)),  # pause
    ("90", 3, {"primary": 1 << 30}, (-1, 0)),
    ("0f23f8", 0, {"primary": 1 << 23}, (29, 7)),  # mov dr7,eax
])
def test_exits(code: str, level: int, controls: dict[str, int], expected: tuple[int, int]) -> None:
    assert leaves(launched(level, **controls), code) == expected


def test_exceptions_exit_as_the_bitmap_says() -> None:
    state = launched(3, exceptions=1 << 13)
    assert leaves(state, "f4") == (0, 0)  # hlt in ring 3: a fault of privilege comes before any exit
    assert vmread(state, 0x4404) == 0x80000B0D
    assert vmread(state, 0x681E) == GUEST
    state = launched(3, exceptions=1 << 3)
    assert leaves(state, "cc") == (0, 0)  # int3: at the instruction, whatever its gate
    assert vmread(state, 0x681E) == GUEST
    assert vmread(state, 0x4404) == 0x80000603
    state = launched(0)
    state["gdtr.base"], state["gdtr.limit"] = 0x1000, 0xFF
    assert leaves(state, "cc") == (-1, 0)  # through the guest's own table
    assert state["eip"] == HANDLERS + 4 * 3


@pytest.mark.parametrize(("encoding", "value", "number"), [
    (0x400A, 5, 7), (0xC02, 0x0B, 8), (0x6C04, 0, 8),
])
def test_entry_checks(encoding: int, value: int, number: int) -> None:
    state = filled()
    vmwrite(state, encoding, value)
    assert run(state, "0f01c2", NAME) == ""
    assert (failed(state), vmread(state, 0x4400)) == ("valid", number)


def test_an_invalid_guest_is_a_failed_entry() -> None:
    state = filled()
    vmwrite(state, 0x802, KERNEL_CODE)  # CS in ring 0, SS in ring 3
    assert run(state, "0f01c2", NAME) == ""
    assert (state["vmx.op"], state["eip"], vmread(state, 0x4402)) == (1, CODE + 0x600, 0x80000021)


def test_outside_vmx_operation() -> None:
    assert run(system(0, NAME), "0f01c1", NAME) == "invalid_opcode()"
    assert vmx(system(0, NAME), "f30fc733", VMXON_REGION) == "invalid_opcode()"
    state = monitor()
    assert vmx(state, "0fc73b", 0) == ""  # vmptrst
    assert word(state, DATA, 64) == VMCS
    assert vmwrite(state, 0x4402, 0) == "valid"
    assert vmread(state, 0x4400) == 13
    assert vmwrite(state, 0x7000, 0) == "valid"
    assert vmread(state, 0x4400) == 12
    assert run(state, "0f01c4", NAME) == ""  # vmxoff
    assert state["vmx.op"] == 0


# ---- a swap taken away ---------------------------------------------------------------------------------------

VTX = bundled()["x86_vtx"].read_text(encoding="utf-8")


@pytest.mark.parametrize(("line", "lost", "instruction"), [
    ("  gdtr.base   <- guest.gdtr.base\n", "gdtr.base", "SGDT"),
    ("  halted <- guest.halted\n", "halted", "HLT"),
])
def test_without_the_swap_of_a_register_the_profile_fails(line: str, lost: str, instruction: str) -> None:
    """The description itself without one line: the findings name who does not exchange what, and what goes wrong for it."""
    # With the controls free the monitor would be told to intercept what has gone wrong.
    text, controls = VTX.replace(line, ""), "  primary, secondary : control\n"
    assert VTX.count(line) == VTX.count(controls) == 1
    options = Options(monitors=("vmx",), instructions=(instruction,), timeout=60)
    (vmx,) = analyse(loads(text.replace(controls, "  primary, secondary : pinned 0\n"), "x86_vtx.spec"), options).monitors
    assert vmx.verdict == "refuted"
    named = {b.instruction for b in vmx.breaks if b.reason.startswith(f"{b.instruction} does not exchange {lost} with guest.{lost}:")}
    assert named == {"VMLAUNCH", "VMRESUME"}
    assert vmx.squares[instruction] == "refuted"
    assert [b.witness is not None and b.witness.replayed for b in vmx.breaks if b.instruction == instruction] == [True]
