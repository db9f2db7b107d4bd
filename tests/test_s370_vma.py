"""The virtual-machine assist: what it does in problem state and what it leaves to the control program, after GA22-7074."""

from __future__ import annotations

from pathlib import Path

import pytest
from s370_machine import machine, put, start, step

from checker.check import check
from checker.options import Options
from isa_specs.load import bundled
from machine.state import State

ASSISTED = "virtual_machine_assist"
GUEST = {"psw__ec": 1, "psw__prob": 1, "cr6__assist": 1, "virtual_psw__ec": 1}


def make(code: str, **cells: int) -> State:
    """Problem state under a control program: the guest's PSW has EC mode and supervisor state."""
    return start(machine("s370_vma").isa, code, **{**GUEST, **cells})


SSM, STNSM, STOSM, LPSW, SPKA, IPK, STCTL, ISK, SSK, RRB, LRA = (
    "80000400", "acfe0400", "ad010400", "82000400", "b20a0050", "b20b0000", "b6880400", "09120000", "08120000", "b2130800", "b1103234")
EVERY = [SSM, STNSM, STOSM, LPSW, SPKA, IPK, STCTL, ISK, SSK, RRB, LRA]
TABLES = {"vcr0": 0x00800000, "vcr1": 0x00008000}  # the guest's: pages of 4K, segments of 64K


@pytest.mark.parametrize("code", EVERY)
def test_carried_out_for_a_guest_in_supervisor_state_only(code: str) -> None:
    ready = "0008000000002000" if code == LPSW else "03"
    assert step(put(make(code, **TABLES), 0x400, ready)) == ""
    for off in ({"cr6__assist": 0}, {"cr6__virtual_problem": 1}):
        assert step(put(make(code, **TABLES, **off), 0x400, ready)) == "privileged_operation"


@pytest.mark.parametrize(("switch", "codes"), [
    ("cr6__only_360", [STNSM, STOSM, SPKA, IPK, STCTL, RRB, LRA]),
    ("cr6__no_keys", [ISK, SSK]),
])
def test_switches_of_control_register_6(switch: str, codes: list[str]) -> None:
    states = {code: put(make(code, **TABLES, **{switch: 1}), 0x400, "0008000000002000") for code in EVERY}
    assert [code for code, state in states.items() if step(state) == "privileged_operation"] == codes


def test_the_mask_that_changes_is_the_virtual_one() -> None:
    state = put(make(SSM, psw__io=0, psw__external=1), 0x400, "02")
    assert step(state) == ""
    assert (state["virtual_psw.io"], state["virtual_psw.external"]) == (1, 0)
    assert (state["psw.io"], state["psw.external"]) == (0, 1)


@pytest.mark.parametrize(("mask", "changes", "trap"), [
    ("01", {"virtual_psw__pending": 1}, "privileged_operation"),
    ("01", {"virtual_psw__pending": 1, "virtual_psw__external": 1}, ""),
    ("04", {}, "privileged_operation"),
    ("40", {}, "privileged_operation"),
    ("20", {}, "privileged_operation"),
    ("01", {"vcr0": 0x40000000}, "privileged_operation"),
    ("01", {"cr0__ssm_suppression": 1}, ""),
    ("ff", {"virtual_psw__ec": 0}, ""),
    ("80", {"virtual_psw__ec": 0, "virtual_psw__pending": 1}, "privileged_operation"),
])
def test_masks_that_are_left_to_the_control_program(mask: str, changes: dict[str, int], trap: str) -> None:
    assert step(put(make(SSM, **changes), 0x400, mask)) == trap


def test_a_loaded_psw_is_shared_between_the_virtual_and_the_real_one() -> None:
    state = put(make(LPSW), 0x400, "033d250000002468")
    assert step(state) == ""
    assert [state[f"virtual_psw.{name}"] for name in ("io", "external", "mcheck", "wait", "prob")] == [1, 1, 1, 0, 1]
    assert (state["cr6.virtual_problem"], state["psw.key"], state["psw.cc"], state["psw.pmask"], state["psw.ia"]) == (1, 3, 2, 5, 0x2468)
    assert (state["psw.io"], state["psw.mcheck"], state["psw.prob"]) == (0, 0, 1)


@pytest.mark.parametrize(("new", "changes"), [
    ("000a000000002000", {}),  # wait
    ("0000000000002000", {}),  # BC mode
    ("0408000000002000", {}),  # translation on
    ("4008000000002000", {}),  # PER
    ("0008000100002000", {}),
    ("0108000000002000", {"virtual_psw__pending": 1}),
    ("0008000000002000", {"psw__per": 1}),
])
def test_psws_that_are_left_to_the_control_program(new: str, changes: dict[str, int]) -> None:
    assert step(put(make(LPSW, **changes), 0x400, new)) == "privileged_operation"


def test_control_registers_shown_are_the_virtual_ones() -> None:
    state = make(STCTL, vcr8=0x1234, cr8__monitor_masks=0x7777)
    assert step(state) == ""
    assert bytes(state.memory["storage"][0x400 + i] for i in range(4)).hex() == "00001234"


@pytest.mark.parametrize(("segment", "page", "trap", "result", "cc"), [
    ("f0008800", "0050", "", 0x5234, 0),
    ("f0008801", "0050", "", 0x8008, 1),
    ("f0008800", "0058", "", 0x8804, 2),
    ("00008800", "0050", "", 0x8804, 3),
    ("f8008800", "0050", "privileged_operation", None, None),
    ("f0008800", "0054", "privileged_operation", None, None),
])
def test_addresses_are_translated_by_the_tables_of_the_guest(segment: str, page: str, trap: str, result: int, cc: int) -> None:
    state = put(put(make(LRA, **TABLES), 0x8008, segment), 0x8804, page)
    state["gpr"][3] = 0x22000
    assert step(state) == trap
    if not trap:
        assert (state["gpr"][1], state["psw.cc"]) == (result, cc)


def test_tables_of_unknown_sizes_are_left_to_the_control_program() -> None:
    assert step(make(LRA, vcr1=0x00008000)) == "privileged_operation"


@pytest.mark.parametrize(("line", "instruction"), [
    ("  virtual_psw.io <- new[6]\n", "STOSM"),
    ("  cr6.virtual_problem <- w.prob\n", "LPSW"),
    ("  virtual_psw.wait <- 0\n", "LPSW"),
    ("  trap privileged_operation when virtual_psw.ec == 1 and new[0:5] != old[0:5]\n", "SSM"),
    ("    trap privileged_operation when vcr0[1] == 1\n", "SSM"),
])
def test_an_assist_that_forgets_something_is_found_out(tmp_path: Path, line: str, instruction: str) -> None:
    text = bundled()["s370_vma"].read_text(encoding="utf-8")
    assert text.count(line) == 1
    path = tmp_path / "s370_vma.spec"
    path.write_text(text.replace(line, ""), encoding="utf-8")
    (monitor,) = check(str(path), Options(instructions=(instruction,), monitors=(ASSISTED,), jobs=1)).monitors
    assert monitor.broken == [instruction]
    assert all(item.witness is not None and item.witness.replayed for item in monitor.breaks)


@pytest.mark.parametrize(("tables", "others"), [("then vcr1 else", "then cr1 else"), ("then vcr0[8:12] else", "then vcr2[8:12] else")])
def test_an_assist_that_takes_other_tables_is_found_out(tmp_path: Path, tables: str, others: str) -> None:
    text = bundled()["s370_vma"].read_text(encoding="utf-8")
    assert text.count(tables) == 1
    path = tmp_path / "s370_vma.spec"
    path.write_text(text.replace(tables, others), encoding="utf-8")
    (monitor,) = check(str(path), Options(instructions=("LRA",), monitors=(ASSISTED,), jobs=1)).monitors
    assert monitor.broken == ["LRA"]
