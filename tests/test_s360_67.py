"""The Model 67: what it does not share with System/370, with results worked out from GA27-2719."""

from __future__ import annotations

import pytest
from s370_machine import at, machine, put, start, step

from checker.analysis import analyse
from checker.options import Options
from isa_specs.load import bundled, load, loads
from machine.state import State

ADDED = ("MVCL", "CS", "MC", "STCK", "SRP", "AXR", "LCTL", "SPKA", "SIGP", "STIDP")  # some of what came with System/370


def make(code: str, **cells: int) -> State:
    """Extended PSW, supervisor state."""
    return start(machine("s360_67").isa, code, **{"cr6__extended": 1, **cells})


def translated(state: State) -> State:
    """Segment 0 is real storage, but page 5 is real page 6; page 7 is not there, page 8 is malformed, the table ends with page 9."""
    state["psw.dat"] = 1
    state["cr0.table_origin"] = 0x8000
    put(state, 0x8000, "09009000" + "00000001")
    for page in range(10):
        put(state, 0x9000 + 2 * page, {5: "0060", 7: "0078", 8: "0081"}.get(page, f"{page << 4:04x}"))
    put(state, 0x6000, "cafe0000")
    return state


def test_only_what_system_370_added_is_gone() -> None:
    assert set(machine("s360_67").isa.instructions()) - set(load("s370").instructions()) == {"LMC", "STMC"}
    assert not set(ADDED) & set(machine("s360_67").isa.instructions())
    assert step(make("af00d000")) == step(make("b2050000")) == "operation"


def test_translation() -> None:
    state = translated(make("58105000", **{}))
    state.arrays["gpr"][5] = 0x5000
    assert (step(state), state.arrays["gpr"][1]) == ("", 0xCAFE0000)


@pytest.mark.parametrize(("address", "trap", "told"), [
    (0x7004, "page_translation", 0x7004),
    (0xA000, "page_translation", 0xA000),
    (0x100000, "segment_translation", 0x100000),
    (0x8000, "specification", 0),
])
def test_translation_exceptions_are_told_in_control_register_2(address: int, trap: str, told: int) -> None:
    state = translated(make("58105000"))
    state.arrays["gpr"][5] = address
    assert step(state, bare=True) == trap
    assert state["cr2"] == told
    assert at(state, 0x12, 2) == {"page_translation": "0011", "segment_translation": "0010", "specification": "0006"}[trap]


@pytest.mark.parametrize(("address", "cc", "found"), [(0x5123, 0, 0x6123), (0x7000, 2, 0x900E), (0xA000, 2, 0x9014), (0x100000, 1, 0x8004)])
def test_load_real_address(address: int, cc: int, found: int) -> None:
    state = translated(make("b1105000"))
    state.arrays["gpr"][5] = address
    assert (step(state), state["psw.cc"], state.arrays["gpr"][1]) == ("", cc, found)


def test_an_extended_psw_is_stored_with_the_length_and_the_code_beside() -> None:
    state = make("0a2a", psw__prob=1, psw__cc=2, psw__key=3, psw__pmask=5, psw__external=1)
    put(state, 0x60, "0400000000002000")
    assert step(state, bare=True) == "svc"
    assert at(state, 0x20, 8) == "0131650000001002"
    assert at(state, 0x10, 2) == "002a"
    assert (state["psw.ia"], state["psw.dat"], state["psw.prob"]) == (0x2000, 1, 0)


def test_a_standard_psw_holds_the_code() -> None:
    state = make("0a2a", cr6__extended=0, psw__prob=1, psw__cc=2, psw__channels=0x3F)
    put(state, 0x60, "ff00000000002000")
    assert step(state, bare=True) == "svc"
    assert at(state, 0x20, 8) == "fc01002a60001002"
    assert (state["psw.dat"], state["psw.channels"], state["psw.io"]) == (0, 0x3F, 1)


def test_spare_bits_of_an_extended_psw_are_zero() -> None:
    state = make("82000400")
    put(state, 0x400, "0800000000002000")
    assert step(state) == "invalid_psw"
    assert step(make("82000400", cr6__extended=0)) == ""


def test_control_registers_are_loaded_and_what_switches_say_is_shown() -> None:
    state = make("b8f60400" + "b0f70500", cr8=7)  # LMC 15,6 and STMC 15,7: registers 15, 0, 1 ...
    put(state, 0x400, "ffffffff" + "0200a000" + "11111111" * 5 + "11911111")
    assert step(state) == step(state) == ""
    stored = [at(state, 0x500 + 4 * i, 4) for i in range(9)]
    nothing = "00000000"
    assert stored == [nothing, "0200a000", nothing, "11111111", nothing, "11111111", nothing, "00800011", nothing]
    state = make("b0880500", cr8=7)
    assert (step(state), at(state, 0x500, 4)) == ("", "00000007")


def test_a_segment_table_begins_on_a_boundary_of_64() -> None:
    state = make("b8000400")
    put(state, 0x400, "00008020")
    assert step(state) == "data"


def test_the_standard_psw_ends_translation() -> None:
    state = make("b8660400", psw__dat=0)
    put(state, 0x400, "00000000")
    translated(state)
    assert (step(state), state["psw.dat"], state["cr6.extended"]) == ("", 0, 0)


@pytest.mark.parametrize("code", ["58000001", "58000002", "48000001", "68000004", "98110002", "4e000004", "78000002", "b8000002"])
def test_operands_stand_on_their_boundaries(code: str) -> None:
    assert step(make(code)) == "specification"
    aligned = make(code[:5] + "800")
    assert step(aligned) == ""


@pytest.mark.parametrize(("ascii_", "packed", "zoned"), [(0, "000000000000012d", "f0f1d2"), (1, "000000000000012b", "5051b2")])
def test_decimal_results_in_either_code(ascii_: int, packed: str, zoned: str) -> None:
    state = make("4e100400" + "f32104100406", psw__ascii=ascii_)
    state.arrays["gpr"][1] = 0xFFFFFFF4
    assert step(state) == step(state) == ""
    assert (at(state, 0x400, 8), at(state, 0x410, 3)) == (packed, zoned)


MODE_OF_ADDRESSES = (
    ('    ascii : bit resource control "decimal results in ASCII"\n',
     '    ascii : bit resource control "decimal results in ASCII"\n    long : bit relocation "addresses of 32 bits"\n'),
    ("  psw.dat <- extended & w.dat\n", "  psw.dat <- extended & w.dat\n  psw.long <- extended & new[4]\n"),
    ("    psw.dat <- m[5]\n", "    psw.dat <- m[5]\n    psw.long <- m[4]\n"),
    ("5'0 ++ psw.dat else", "4'0 ++ psw.long ++ psw.dat else"),
    ("return 0xF800_00FF_FF00_0000", "return 0xF000_00FF_FF00_0000"),
    ("  psw.dat <- psw.dat & cr6.extended\n", "  psw.dat <- psw.dat & cr6.extended\n  psw.long <- psw.long & cr6.extended\n"),
    ("// ---- Instructions ---", """override function link() -> bits(32)
  return if psw.long == 1 then zext(next, 32) else ilen[1:2] ++ psw.cc ++ psw.pmask ++ next

override instruction LA "Load address" RX 0x41 "LA {r1},{d2}({x2},{b2})"
  let index = if x2 == 0 then 0 else gpr[x2]
  gpr[r1] <- if psw.long == 1 then (if b2 == 0 then 0 else gpr[b2]) + index + zext(d2, 32) else zext(indexed2(), 32)

// ---- Instructions ---"""),
)  # fmt: skip


@pytest.mark.parametrize(("owner", "verdict", "broken"), [("guest", "proved", set()), ("host", "refuted", {"LA", "BAL", "BALR"})])
def test_what_a_mode_of_32_bit_addresses_would_change(owner: str, verdict: str, broken: set[str]) -> None:
    text = bundled()["s360_67"].read_text(encoding="utf-8")
    for old, new in (*MODE_OF_ADDRESSES, ("  psw.key, psw.ascii : guest", f"  psw.key, psw.ascii : guest\n  psw.long : {owner}")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    report = analyse(loads(text), Options())
    assert report.theorems["T1"].verdict == report.monitors[0].verdict == verdict
    assert set(report.monitors[0].broken) == broken
