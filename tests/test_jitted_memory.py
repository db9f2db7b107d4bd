"""Programs that change what remembered walks, decodings and stores rest on, each on both machines."""

from __future__ import annotations

from functools import cache

import pytest
from jitting import Harness, differences

from isa_specs.assembly import assemble_program
from isa_specs.encoding import state_contexts
from machine.state import State

KEY_CHANGES = """
 LA 2,0x30(0,0)
 ST 2,0x100(0,10)
 ST 2,0x104(0,10)
 L 3,0x100(0,10)
 SSK 2,10
 SPKA 0x10(0)
 L 3,0x100(0,10)
 ST 2,0x108(0,10)
"""
KEY_SET_LATER = """
 SPKA 0x30(0)
 ST 2,0x100(0,10)
 ST 2,0x104(0,10)
 SSK 11,10
 ST 2,0x108(0,10)
"""
WRITTEN_THEN_RUN = """
 ST 2,0x100(0,10)
 ST 2,0x104(0,10)
 BALR 14,10
 ST 5,0(0,10)
 BALR 14,10
 ST 6,0(0,10)
 BALR 14,10
"""


@cache
def harness(name: str) -> Harness:
    return Harness(name)


def alike(found: Harness, state: State, steps: int) -> State:
    """The state after so many bare steps, the same on both machines."""
    after = state.copy()
    found.plain.run(after, steps)
    found.load(state)
    found.jitted.run(found.state, steps)
    assert found.state == after, differences(found.state, after)
    return after


def s370(program: str) -> State:
    isa = harness("s370").isa
    state = State(isa)
    state["storage_size"], state["psw.ia"] = 0x1FFF, 0x2000
    state.memory["storage"].load(0x2000, assemble_program(isa, program, 0x2000).bytes)
    state.memory["storage"].load(0x3000, bytes.fromhex("4110000107fe"))  # LA 1,1; BR 14
    state.memory["keys"].update({0x5000 >> 11: 0x06})  # acc 3
    state["gpr"][10] = 0x5000
    return state


@pytest.mark.parametrize("program", [KEY_CHANGES, KEY_SET_LATER])
def test_storage_keys_and_the_key_of_the_psw(program: str) -> None:
    state = s370(program)
    after = alike(harness("s370"), state, program.count("\n") - 1)
    assert after.memory["storage"][0x2A] << 8 | after.memory["storage"][0x2B] == 4  # protection, in the old PSW


def test_a_page_stored_to_becomes_code() -> None:
    state = s370(WRITTEN_THEN_RUN)
    state["gpr"][10], state["gpr"][5], state["gpr"][6] = 0x3000, 0x41100002, 0x41100003
    fresh = Harness.of(harness("s370").jitted)
    assert [alike(fresh, state, steps)["gpr"][1] for steps in (12, 9, 5)] == [3, 2, 1]


def test_the_window_moves_under_remembered_code() -> None:
    found = harness("third_generation")
    state = State(found.isa)
    state["psw.p"], state["psw.bound"] = 0x100, 0x1000
    program = " A 1,2\n SRB 3,4\n BAL 5,0x100(0)"
    for base in (0, 0x2000):
        text = program.replace("A 1,2", "S 1,2") if base else program
        state.memory["storage"].load(base + 0x100, assemble_program(found.isa, text, 0x100).bytes)
    state.arrays["gpr"] = [0, 5, 1, 0x2000 >> 2, 0x1000] + [0] * 11
    assert [alike(found, state, steps)["gpr"][1] for steps in (1, 4, 7)] == [6, 5, 4]


def test_flags_of_an_addition_that_cannot_be_stored() -> None:
    found = harness("x86")
    state = State(found.isa)
    state["cr0.pe"], state["eip"] = 1, 0x2000
    for segment in ("cs", "ss", "ds"):
        state[f"{segment}.limit"], state[f"{segment}.db"], state[f"{segment}.valid"], state[f"{segment}.type"] = 0xFFFFFFFF, 1, 1, 3
    state["cs.type"], state["ds.type"] = 11, 1  # data that cannot be written
    code = assemble_program(found.isa, " add dword [0x5000],eax", 0x2000, state_contexts(found.isa, {"cs.db": 1})).bytes
    state.memory["storage"].load(0x2000, code)
    state["gpr"][0] = 0xFFFFFFFF
    state.memory["storage"].load(0x5000, bytes.fromhex("01000000"))
    found.load(state)
    step = found.jitted.step(found.state)
    assert str(step.outcome) == "segment_violation"
    assert found.state == state
    state["ds.type"] = 3
    assert alike(found, state, 1)["eflags.cf"] == 1
