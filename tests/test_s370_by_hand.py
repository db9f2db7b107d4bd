"""System/370: what the Hercules cases do not reach, with results worked out from GA22-7000."""

from __future__ import annotations

import pytest
from s370_machine import AT, machine, start, step, word

from machine.state import State


def make(code: str, name: str = "s370_das", **cells: int) -> State:
    """EC mode, supervisor state."""
    return start(machine(name).isa, code, **{"psw__ec": 1, **cells})


def put(state: State, address: int, *words: int) -> None:
    for i, value in enumerate(words):
        state.memory["storage"].load(address + 4 * i, value.to_bytes(4, "big"))


def translated(state: State) -> State:
    """DAT on, 64K segments and 4K pages: segment 0 of both spaces is real storage, but page 5 of the secondary one is page 6."""
    state["psw.dat"] = 1
    state["cr0.page_size"] = 0b10
    state["cr1"] = 0x00008000
    state["cr7"] = 0x00008040
    put(state, 0x8000, 0xF0009000)
    put(state, 0x8040, 0xF0009020)
    for page in range(16):
        for table, frame in ((0x9000, page), (0x9020, 6 if page == 5 else page)):
            state.memory["storage"].load(table + 2 * page, (frame << 4).to_bytes(2, "big"))
    return state


def linked(state: State) -> State:
    """Linkage table at A000 with one entry table at B000, entry 2 of which leads to 3000 in supervisor state."""
    translated(state)
    state["cr5"] = 0x8000A000
    put(state, 0xA000, 0x0000B000)
    put(state, 0xB020, 0x80000000, 0x00003000, 0x12345678, 0x40000000)
    state["psw.prob"] = 1
    state["cr3.key_mask"] = 0x8000
    state["cr4.primary_asn"] = 0x0007
    return state


def test_program_call_and_the_transfer_back() -> None:
    state = linked(make("b2180002" + "0aff"))
    assert step(state) == ""
    assert (state["psw.ia"], state["psw.prob"], state["cr3.key_mask"]) == (0x3000, 0, 0xC000)
    gpr = state.arrays["gpr"]
    assert (gpr[3], gpr[4], gpr[14]) == (0x80000007, 0x12345678, AT + 4 | 1)
    state.memory["storage"].load(0x3000, bytes.fromhex("b228003e"))  # PT 3,14
    assert step(state) == ""
    assert (state["psw.ia"], state["psw.prob"], state["cr3.key_mask"]) == (AT + 4, 1, 0x8000)


@pytest.mark.parametrize(
    ("code", "changes", "trap"),
    [
        ("b2180002", {"cr5.subsystem_linkage": 0}, "special_operation"),
        ("b2180002", {"psw.dat": 0}, "special_operation"),
        ("b2180002", {"psw.s": 1}, "special_operation"),
        ("b2180002", {"cr3.key_mask": 0x7FFF}, "privileged_operation"),
        ("b2180004", {}, "ex_translation"),
        ("b2182002", {"gpr2": 0x020000}, "lx_translation"),
        ("b2280023", {}, "privileged_operation"),
        ("b2280023", {"gpr3": 0x01000001}, "specification"),
        ("b2280023", {"gpr3": 1}, "special_operation"),  # another ASN, but no ASN translation
        ("b2260010", {}, "privileged_operation"),  # EPAR
        ("b2190100", {}, "special_operation"),  # SAC
    ],
)
def test_authority(code: str, changes: dict[str, int], trap: str) -> None:
    state = linked(make(code))
    for name, value in changes.items():
        if name.startswith("gpr"):
            state.arrays["gpr"][int(name[3:])] = value
        else:
            state[name] = value
    assert step(state) == trap
    if trap == "lx_translation":
        machine("s370_das").deliver(state.isa.traps[trap], (0x20002,), state, 4)
        assert word(state, 0x90) == 0x20002


def with_spaces(state: State) -> State:
    """ASN 0041 (first entry 1, second entry 1), with segment table C000; authorization index 0 has its secondary authority only."""
    translated(state)
    state["cr14.asn_translation"] = 1
    state["cr14.asn_first_table_origin"] = 0x00D
    put(state, 0xD004, 0x0000E000)
    put(state, 0xE010, 0x0000F000, 0x00050000, 0x0000C000, 0x8000A000)
    put(state, 0xE020, 0x80000000)
    state.memory["storage"].load(0xF000, b"\x40")
    return state


def test_set_secondary_asn() -> None:
    state = with_spaces(make("b2250010"))
    state.arrays["gpr"][1] = 0x41
    assert step(state) == ""
    assert (state["cr7"], state["cr3.secondary_asn"]) == (0xC000, 0x41)


def test_transfer_needs_primary_authority() -> None:
    state = with_spaces(make("b2280012", cr5__subsystem_linkage=1))
    state.arrays["gpr"][1] = 0x41
    assert step(state) == "primary_authority"
    state = with_spaces(make("b2280012", cr5__subsystem_linkage=1))
    state.arrays["gpr"][1:3] = [0xFFFF0041, 0x2001]
    state.memory["storage"].load(0xF000, b"\x80")
    assert step(state) == ""
    assert (state["cr1"], state["cr4"], state["cr5"], state["cr7"]) == (0xC000, 0x00050041, 0x8000A000, 0xC000)
    assert (state["psw.ia"], state["psw.prob"]) == (0x2000, 1)


@pytest.mark.parametrize(
    ("parameters", "control", "cc"),
    [
        ((0x80000041, 0x00090041), 0, 0),
        ((0x80000041, 0x00090042), 0, 1),
        ((0x80000042, 0x00090041), 0, 2),
        ((0x80000041, 0x00090000), 0, 2),  # index 9 has no authority
        ((0x80000041, 0x00000000), 0, 0),  # index 0 has
        ((0x80000041, 0x00090000), 1, 0),  # not asked for
    ],
)
def test_load_address_space_parameters(parameters: tuple[int, int], control: int, cc: int) -> None:
    state = with_spaces(make(f"e5002000000{2 | control}"))
    state.arrays["gpr"][2] = 0x2000
    put(state, 0x2000, *parameters)
    assert step(state) == ""
    assert state["psw.cc"] == cc
    assert (state["cr3"] == parameters[0]) == (cc == 0)


def test_moves_between_spaces() -> None:
    state = translated(make("da4050002005", cr0__secondary_space=1))  # MVCP 0(4,5),5(2),0
    state.arrays["gpr"][2], state.arrays["gpr"][4], state.arrays["gpr"][5] = 0x5000, 3, 0x7000
    state.memory["storage"].load(0x6005, b"abc")
    assert step(state) == ""
    assert bytes(state.memory["storage"][0x7000 + i] for i in range(3)) == b"abc"
    assert state["psw.cc"] == 0
    state = translated(make("db4020057000", cr0__secondary_space=1))  # MVCS 5(4,2),0(7),0
    state.arrays["gpr"][2], state.arrays["gpr"][4] = 0x5000, 257
    state.arrays["gpr"][7] = 0x7000
    state.memory["storage"].load(0x70FF, b"z!")
    assert step(state) == ""
    assert (state.memory["storage"][0x6104], state.memory["storage"][0x6105], state["psw.cc"]) == (ord("z"), 0, 3)


def test_secondary_space_mode() -> None:
    state = translated(make("b2190100" + "58105000", cr0__secondary_space=1))
    put(state, 0x6000, 0xCAFEF00D)
    state.arrays["gpr"][5] = 0x5000
    assert step(state) == ""
    assert state["psw.s"] == 1
    assert step(state) == ""
    assert state.arrays["gpr"][1] == 0xCAFEF00D


def test_invalid_psw_is_found_after_it_is_loaded() -> None:
    state = make("82002000", "s370")
    state.arrays["gpr"][2] = 0x2000
    put(state, 0x2000, 0x80080000, 0x00004000)
    put(state, 0x68, 0x00080000, 0x00005000)
    assert step(state, bare=True) == "invalid_psw"
    assert (word(state, 0x28), word(state, 0x2C), word(state, 0x8C)) == (0x80080000, 0x00004000, 0x00000006)
    assert state["psw.ia"] == 0x5000


def test_prefixing() -> None:
    state = make("b2102000" + "0a07", "s370")
    state.arrays["gpr"][2] = 0x2000
    put(state, 0x2000, 0x00123456)
    put(state, 0x123060, 0x00080000, 0x00006000)
    assert step(state) == ""
    assert state["prefix"] == 0x123
    assert step(state, bare=True) == "svc"
    assert (state["psw.ia"], word(state, 0x123024), word(state, 0x123088)) == (0x6000, AT + 6, 0x00020007)


def test_low_address_protection() -> None:
    state = make("920101ff" + "92010200", "s370", cr0__low_address_protection=1)
    assert step(state) == "protection"
    assert step(state) == ""


@pytest.mark.parametrize("code", ["9c000190", "9d000190", "9e000190", "9f000190", "b2030190"])
def test_no_channel_answers(code: str) -> None:
    state = make(code, "s370")
    put(state, 0x48, 0x00002000)
    assert step(state) == ""
    assert (state["psw.cc"], state["channel.address"], state["channel.operation"]) == (3, 0x190, int(code[:4], 16))
    assert state["channel.caw"] == (0x2000 if code.startswith("9c") else 0)


def test_clocks() -> None:
    state = make("b2042000" + "b2062000" + "b2082000" + "b2050008" + "b2072010", "s370")
    state.arrays["gpr"][2] = 0x2000
    put(state, 0x2000, 0x11223344, 0x55667788)
    for _ in range(5):
        assert step(state) == ""
    assert state["tod"] == 0  # the switch is off
    assert state["cpu_timer"] == state["clock_comparator"] == 0x1122334455667788
    assert word(state, 0x2014) == 0x55667788


def test_test_block_clears_four_kilobytes() -> None:
    state = make("b22c0002", "s370")
    state.arrays["gpr"][2] = 0x7FFF
    put(state, 0x6FFC, 1, 1)
    put(state, 0x7FFC, 1, 1)
    assert step(state) == ""
    assert [word(state, a) for a in (0x6FFC, 0x7000, 0x7FFC, 0x8000)] == [1, 0, 0, 1]


@pytest.mark.parametrize(("amount", "cc"), [(30, 1), (31, 1), (32, 3), (63, 3)])
def test_a_left_shift_by_more_than_31_overflows_once_a_zero_from_behind_is_lost(amount: int, cc: int) -> None:
    state = make(f"8b1000{amount:02x}")
    state.arrays["gpr"][1] = 0xFFFFFFFF
    assert step(state) == ""
    assert state["gpr"][1] == (0xC0000000 if amount == 30 else 0x80000000)  # type: ignore[index]
    assert state["psw.cc"] == cc


@pytest.mark.parametrize("control", [0x00000000, 0x00400000])
def test_load_control_finds_its_operand_by_the_registers_it_replaces(control: int) -> None:
    """Register 0 without a valid page size, or with another, does not keep the words behind its own from being found."""
    state = translated(make("b7f18800"))
    state.arrays["gpr"][8] = 0x2000
    put(state, 0x2800, 0xAAAA0000, control, 0x00005000)
    assert step(state) == ""
    assert [state.word(name) for name in ("cr15", "cr0", "cr1")] == [0xAAAA0000, control, 0x00005000]
