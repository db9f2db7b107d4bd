"""System/370 where programs go wrong: codes of no instruction, odd addresses, specification exceptions, the end of storage, and
addresses that wrap. Each case in all readings: plain, jitted, and the solver's as far as it speaks of the case."""

from __future__ import annotations

from functools import cache

import pytest
from s370_machine import AT, LAST, at, put, start

from checker.footprint import Footprints
from checker.readings import Case, Readings, Skipped
from isa_specs.core import Form
from isa_specs.encoding import decoder, padded
from isa_specs.load import load
from machine.agreement import Pair
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from machine.state import State

# First bytes of GA22-7000's instructions, those of the dual-address-space facility left out, and second bytes where there are any.
FIRST = bytes.fromhex(
    "0405060708090a0d0e0f" "101112131415161718191a1b1c1d1e1f" "202122232425262728292a2b2c2d2e2f" "303132333435363738393a3b3c3d3e3f"
    "404142434445464748494a4b4c4d4e4f" "505455565758595a5b5c5d5e5f" "606768696a6b6c6d6e6f" "70" "78797a7b7c7d7e7f"
    "8082838485868788898a8b8c8d8e8f" "9091929394959697" "98" "9c9d9e9f" "acadaeaf" "b1b2b6b7babdbebf" "bb" "d1d2d3d4d5d6d7dcdddedf"
    "e5e8" "f0f1f2f3f8f9fafbfcfd")
SECOND = {
    0x9C: b"\0\1\2", 0x9D: b"\0\1", 0x9E: b"\0\1", 0x9F: b"\0\1", 0xE5: b"\1",
    0xB2: bytes.fromhex("000102030405060708090a0b0d10111213" "21292a2b2c"),
}


@cache
def pair() -> Pair:
    return Pair(JittedMachine(load("s370")))


@cache
def readings() -> Readings:
    return Readings(pair().isa)


def make(code: str = "", address: int = AT, **cells: int) -> State:
    """BC mode, supervisor state."""
    return start(pair().isa, code, address, **cells)


def step(state: State, *, bare: bool = False) -> tuple[str, State]:
    """The trap of one step, or nothing, and the state after it, the same in every reading."""
    found, different = pair().step(state, bare=bare)
    assert not different
    if found.decoded is not None:
        try:
            said = readings().compare(readings().reads(found.decoded.form), Case(state, found.decoded))
        except Skipped:
            said = "executes"
        assert said == "executes" or said == (found.outcome.trap.name if isinstance(found.outcome, Trapped) else "next")
    after = state.copy()
    pair().plain.step(after, bare=bare)
    return found.outcome.trap.name if isinstance(found.outcome, Trapped) else "", after


# ---- codes -----------------------------------------------------------------------------------------


def test_every_other_code_is_an_operation_exception() -> None:
    for first in range(256):
        for second in range(256):
            there = first in FIRST and second in SECOND.get(first, range(256))
            found = decoder(pair().isa).decode(padded(bytes([first, second, 0, 0, 0, 0])), lambda _: {})
            assert (found is not None) == there, f"{first:02x}{second:02x}"


@pytest.mark.parametrize("code", ["00", "0b", "51", "a5", "b3", "ff", "9c03", "9d02", "b2ff", "b20c", "e500"])
@pytest.mark.parametrize("prob", [0, 1])
def test_an_operation_exception_ends_behind_the_code(code: str, prob: int) -> None:
    """The length is that of the first two bits."""
    trap, after = step(make(code, psw__prob=prob), bare=True)
    length = {0: 2, 3: 6}.get(int(code[:2], 16) >> 6, 4)
    assert (trap, at(after, 0x2A, 2)) == ("operation", "0001")
    assert at(after, 0x2C, 4) == f"{length << 29 & 0xC0000000 | AT + length:08x}"


# ---- odd addresses and specification exceptions -------------------------------------------------------


@pytest.mark.parametrize(("code", "register"), [("07f2", 0x2001), ("47f02001", 0), ("0512", 0x2001), ("46120001", 0)])
def test_a_branch_to_an_odd_address_traps_there(code: str, register: int) -> None:
    state = make(code)
    state.arrays["gpr"][2] = register
    trap, after = step(state)
    assert (trap, after["psw.ia"] & 1) == ("", 1)
    assert step(after)[0] == "specification"


ODD = {"r1": 1}
BY_ONE = {"d2": 1}
EVEN_REGISTER = ("MVCL", "CLCL", "M", "MR", "D", "DR", "CDS", "SRDL", "SLDL", "SRDA", "SLDA")
ALIGNED = ("CS", "CDS", "EX", "LPSW", "LCTL", "STCTL", "SPX", "STPX", "SCK", "SCKC", "STCKC", "SPT", "STPT", "STIDP", "STAP")
EXTENDED = ("AXR", "SXR", "MXR", "MXDR", "MXD", "LRDR")
WRONG = [
    *((name, ODD) for name in EVEN_REGISTER), ("MVCL", {"r2": 3}), ("CLCL", {"r2": 3}), ("CDS", {"r3": 3}),
    *((name, BY_ONE) for name in ALIGNED),
    ("MC", {"i2": 0x10}), ("MP", {"l1": 15, "l2": 8}), ("MP", {"l1": 1, "l2": 1}), ("DP", {"l1": 15, "l2": 8}), ("DP", {"l1": 1, "l2": 1}),
    ("ISK", {"r2": 7}), ("SSK", {"r2": 7}),
    *((name, {"r1": 2}) for name in EXTENDED if name != "LRDR"), *((name, {"r2": 2}) for name in ("AXR", "SXR", "MXR", "LRDR")),
]


def form_of(name: str) -> Form:
    (form,) = pair().isa.instructions()[name]
    return form


def coded(name: str, fields: dict[str, int]) -> State:
    """The instruction with these fields, the others zero; register 7 is odd."""
    state = make(decoder(pair().isa).encode(form_of(name), {**dict.fromkeys(form_of(name).fields, 0), **fields}).hex())
    state.arrays["gpr"][7] = 1
    return state


def floating() -> list[str]:
    return [form.instruction for form in pair().isa.forms if "chapter 9" in form.cites]


@pytest.mark.parametrize(("name", "fields"), WRONG)
def test_specification_exceptions(name: str, fields: dict[str, int]) -> None:
    trap, after = step(coded(name, fields), bare=True)
    assert (trap, at(after, 0x2A, 2)) == ("specification", "0006")
    right = {"l1": 2, "l2": 1} if "l2" in fields else {"d2": 8} if "d2" in fields else {}
    assert step(coded(name, right))[0] != "specification"


def test_floating_point_registers_are_0_2_4_6() -> None:
    for name in floating():
        for field in {"r1", "r2"} & set(form_of(name).fields):
            for number in (1, 3, 8, 10, 15):
                assert step(coded(name, {field: number}))[0] == "specification", f"{name} {field}={number}"
        assert step(coded(name, {}))[0] in ("", "floating_point_divide", "significance"), name


def test_no_specification_exception_is_left_out() -> None:
    """But for those of the instruction fetch and of a new PSW, which every instruction may come to."""
    footprints = Footprints(pair().isa)
    raising = {form.instruction for form in pair().isa.forms if "specification" in footprints.form(form).traps}
    assert raising == {name for name, _ in WRONG} | set(floating())


@pytest.mark.parametrize(("code", "mask"), [("80000400", "80"), ("ad800400", ""), ("82000400", "b8"), ("82000400", "0008800000002000")])
def test_bits_of_the_new_psw_that_must_be_zero(code: str, mask: str) -> None:
    state = put(make(code, psw__ec=1), 0x400, mask if len(mask) > 2 else (mask or "00") + "08000000002000")
    assert step(state)[0] == "invalid_psw"


# ---- the end of storage ---------------------------------------------------------------------------------


SMALL = {"storage_size": 1}  # two blocks: 4K


@pytest.mark.parametrize(("code", "trap"), [
    ("58100ffc", ""), ("58100ffd", "addressing"), ("50100ffd", "addressing"), ("48100fff", "addressing"), ("92ff0fff", ""),
    ("98120ff8", ""), ("98120ff9", "addressing"), ("90130ff8", "addressing"), ("d2070ff80100", ""), ("d2080ff80100", "addressing"),
    ("d20801000ff8", "addressing"), ("d70f0ff80ff8", "addressing"), ("4e100ff9", "addressing"), ("82000ff8", ""),
])
def test_operands_at_the_end_of_storage(code: str, trap: str) -> None:
    state = make(code, 0x800, **SMALL)
    state.arrays["gpr"][1:4] = [0x11111111, 0x22222222, 0x33333333]
    found, after = step(state)
    assert found == trap
    if trap:
        assert at(after, 0xFF0, 32) == "00" * 32, "suppressed: nothing is stored"
        assert after.arrays["gpr"] == state.arrays["gpr"]


@pytest.mark.parametrize(("code", "place", "trap"), [
    ("1812", 0xFFE, ""), ("58100000", 0xFFE, "addressing"), ("1812", 0x1000, "addressing"),
])
def test_instructions_at_the_end_of_storage(code: str, place: int, trap: str) -> None:
    state = make(address=place, **SMALL)
    put(state, place, code)
    found, after = step(state)
    assert found == trap
    if not trap:
        assert step(after)[0] == "addressing"


# ---- 16 MiB ------------------------------------------------------------------------------------------------


def high(code: str, place: int = AT) -> State:
    """Register 1 holds FFFFFE with bits to the left of the address, register 2 two words of digits."""
    state = make(code, place)
    state.arrays["gpr"][1:4] = [0xABFFFFFE, 0x12345678, 0x9ABCDEF0]
    return put(state, 0xFFFFFC, "a1b2c3d4e5f6a7b8")


def test_operands_wrap() -> None:
    assert step(high("58201000"))[1].arrays["gpr"][2] == 0xC3D4E5F6
    after = step(high("90231000"))[1]
    assert at(after, LAST - 1, 8) == "123456789abcdef0"
    assert at(step(high("d20310000100"))[1], LAST - 1, 4) == "00000000"
    assert at(step(high("d20301001000"))[1], 0x100, 4) == "c3d4e5f6"
    assert step(high("98231002"))[1].arrays["gpr"][2] == 0xE5F6A7B8


def test_addresses_wrap() -> None:
    assert step(high("41201005"))[1].arrays["gpr"][2] == 3
    state = high("58211004")
    state.arrays["gpr"][1] = 0xFFFFFE  # base and index together
    assert step(state)[1].arrays["gpr"][2] == int(at(state, 0, 4), 16)


def test_long_operands_wrap() -> None:
    """MVCL, a byte at a time: from FFFFFF the address goes on at 0."""
    state = make("0e24")
    state.arrays["gpr"][2:6] = [LAST, 2, 0x200, 2]
    put(state, 0x200, "5a6b")
    _, after = step(state)
    assert after.arrays["gpr"][2:6] == [0, 1, 0x201, 1]
    assert (step(after)[1].arrays["gpr"][2:6], at(step(after)[1], LAST, 2)) == ([1, 0, 0x202, 0], "5a6b")


def test_instructions_wrap() -> None:
    state = put(high("58201000", LAST - 1), LAST - 1, "58201000")
    trap, after = step(state)
    assert (trap, after["psw.ia"], after.arrays["gpr"][2]) == ("", 2, 0x58201000)
    trap, after = step(put(make(address=LAST - 1), LAST - 1, "0520"))
    assert (trap, after["psw.ia"], after.arrays["gpr"][2] & LAST) == ("", 0, 0)


def test_end_and_wrap_of_translated_addresses() -> None:
    """With translation on, the last logical page is followed by page 0, wherever both are."""
    state = make("58201000", psw__ec=1, psw__dat=1, cr0__page_size=2, cr0__segment_size=2, cr1=0x00008000)
    state.arrays["gpr"][1] = LAST - 1
    put(state, 0x8000, "f0009000")
    put(state, 0x803C, "f0009800")
    for page in range(256):
        put(state, 0x9000 + 2 * page, f"{page << 4:04x}")
    put(state, 0x9800 + 2 * 255, "0060")
    put(state, 0x6FFE, "cafe")
    put(state, 0, "babe")
    assert step(state)[1].arrays["gpr"][2] == 0xCAFEBABE
    put(state, 0x9000, "0008")
    assert step(state)[0] == "page_translation"
