"""Loops over storage whose rounds are carried out together, on both machines: granules, overlaps, traps half way."""

from __future__ import annotations

import random
from functools import cache

import pytest
from jitting import Harness

from isa_specs import core
from isa_specs.assembly import assemble_program
from isa_specs.walk import statements
from machine.agreement import Pair, touched
from machine.state import State

FIRST, SECOND = 0x5000, 0x9000  # where operands are, unless a case says otherwise
LOW, HIGH = 0x1F0, 0xFFFFF0  # the end of what low-address protection covers, and of storage


@cache
def harness(name: str) -> Harness:
    return Harness(name)


def storage(seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(0x800)


def prepared(program: str, **cells: int) -> State:
    """A program at 0x2000 whose operands are addressed by registers 2 and 3, with something in storage around both."""
    isa = harness("s370").isa
    state = State(isa)
    state["storage_size"], state["psw.ia"] = 0x1FFF, 0x2000
    for name, value in cells.items():
        state[name.replace("__", ".")] = value
    state.memory["storage"].load(0x2000, assemble_program(isa, program, 0x2000).bytes)
    state.memory["storage"].load(0x68, bytes.fromhex("0000000000000300"))  # where program interruptions go
    state.memory["storage"].load(0x300, bytes.fromhex("47F00300"))
    for start in (FIRST, SECOND):
        state.memory["storage"].load(start - 0x400, storage(start))
    state["gpr"][2], state["gpr"][3] = FIRST, SECOND
    return state


def twice(*instructions: str) -> str:
    """Once for walks to be remembered, and once more."""
    return "\n".join(f" {one}" for one in instructions * 2)


STORAGE_TO_STORAGE = ("MVC 0({l},2),0(3)", "MVCIN 0({l},2),255(3)", "MVN 0({l},2),0(3)", "MVZ 0({l},2),0(3)", "NC 0({l},2),0(3)",
                      "OC 0({l},2),0(3)", "XC 0({l},2),0(3)", "TR 0({l},2),0(3)", "TRT 0({l},2),0(3)", "CLC 0({l},2),0(3)")


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
@pytest.mark.parametrize("offset", [0, 0x101, 0x1F8])
def test_operands_apart(instruction: str, offset: int) -> None:
    state = prepared(twice(instruction.format(l=255), instruction.format(l=7), instruction.format(l=0)))
    state["gpr"][2] += offset
    harness("s370").alike(state, 6)


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
@pytest.mark.parametrize("distance", [-9, -1, 0, 1, 8, 255])
def test_operands_that_overlap(instruction: str, distance: int) -> None:
    state = prepared(twice(instruction.format(l=255)))
    state["gpr"][2], state["gpr"][3] = FIRST + 0x180 + distance, FIRST + 0x180
    harness("s370").alike(state, 2)


def test_a_byte_spreads() -> None:
    after = harness("s370").alike(prepared(twice("MVI 0(2),0x5A", "MVC 1(254,2),0(2)")), 4)
    assert {after.memory["storage"][FIRST + i] for i in range(256)} == {0x5A}


@pytest.mark.parametrize("instruction", [*STORAGE_TO_STORAGE, "LM 4,1,{l}(3)", "STM 4,3,{l}(2)", "PACK 0(15,2),0(15,3)",
                                         "MVO 0(15,2),0(9,3)"])
def test_storage_ends_and_begins_anew(instruction: str) -> None:
    state = prepared(twice(instruction.format(l=100)))
    state.memory["storage"].load(HIGH - 0x200, storage(7)[: 0x1000000 - HIGH + 0x200])
    for register in (2, 3):
        alike_from = state.copy()
        alike_from["gpr"][register] = HIGH
        harness("s370").alike(alike_from, 2)


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
@pytest.mark.parametrize("key", [0, 0x0C, 0x0E])
def test_a_block_with_another_key(instruction: str, key: int) -> None:
    """The first bytes are put back where the second block is protected."""
    state = prepared(twice(instruction.format(l=255)), psw__key=2)
    state.memory["keys"].update({at >> 11: 0x04 for at in range(0, 0x10000, 0x800)} | {FIRST + 0x800 >> 11: key, SECOND + 0x800 >> 11: key})
    for register in (2, 3):
        start = state.copy()
        start["gpr"][register] += 0x780
        after = harness("s370").alike(start, 2)
        if register == 2 and key != 0x04 and instruction.startswith("MVC "):
            assert after["psw.ia"] == 0x300
            assert [after.memory["storage"][FIRST + 0x780 + i] for i in range(0x80)] == [
                start.memory["storage"][FIRST + 0x780 + i] for i in range(0x80)]


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
def test_low_addresses_are_protected(instruction: str) -> None:
    state = prepared(twice(instruction.format(l=99)), cr0__low_address_protection=1)
    for at in (LOW, HIGH, 0x200):
        start = state.copy()
        start["gpr"][2] = at
        harness("s370").alike(start, 2)


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
@pytest.mark.parametrize("at", [0xF80, 0x5F80])
def test_the_prefix_stands_in_for_block_0(instruction: str, at: int) -> None:
    state = prepared(twice(instruction.format(l=255)), prefix=FIRST >> 12)
    state.memory["storage"].load(FIRST + 0x68, bytes.fromhex("0000000000000300"))
    for register in (2, 3):
        start = state.copy()
        start["gpr"][register] = at
        harness("s370").alike(start, 2)


def translated(program: str, pages: dict[int, int]) -> State:
    """EC mode with DAT: segments of 64K, pages of 4K, each in its place but for ``pages``: number -> frame, or -1."""
    state = prepared(program, psw__ec=1, psw__dat=1, cr0__page_size=2, cr0__segment_size=0)
    state["cr1.primary_table_length"], state["cr1.primary_table_origin"] = 0, 0x10000 >> 6
    state.memory["storage"].load(0x10000, (0xF0000000 | 0x10800).to_bytes(4, "big"))
    frames = {page: page for page in range(16)} | pages
    state.memory["storage"].load(0x10800, b"".join((8 if frame < 0 else frame << 4).to_bytes(2, "big") for frame in frames.values()))
    return state


def test_a_table_that_ends_in_the_last_rounds() -> None:
    """Two bytes are translated before the third one's place in the table is not there: both are as they were."""
    state = translated(" TR 0(3,2),0(3)", {SECOND >> 12: -1})
    state.memory["storage"].load(FIRST, bytes([1, 2, 0x80]))
    state["gpr"][3] = SECOND - 0x40
    harness("s370").alike(state, 1)


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
def test_the_next_page_is_not_there(instruction: str) -> None:
    state = translated(twice(instruction.format(l=255)), {6: -1, 10: -1})
    for register in (2, 3):
        start = state.copy()
        start["gpr"][register] += 0xF80
        harness("s370").alike(start, 2)


@pytest.mark.parametrize("instruction", STORAGE_TO_STORAGE)
@pytest.mark.parametrize("distance", [-1, 1, 100])
def test_two_pages_in_one_frame(instruction: str, distance: int) -> None:
    """Operands overlap although their addresses are far apart."""
    state = translated(twice(instruction.format(l=200)), {9: FIRST >> 12})
    state["gpr"][2], state["gpr"][3] = FIRST + 0x200 + distance, SECOND + 0x200
    harness("s370").alike(state, 2)


def test_a_move_over_the_page_table() -> None:
    """What walks rest on changes in the middle of an instruction; the next ones see it."""
    state = translated(twice("MVC 0(255,2),0(3)", "L 4,0(0,3)", "ST 4,0(0,2)"), {})
    for address in (0x10800, 0x10800 - 0x80, 0x10800 + 10):
        start = state.copy()
        start["gpr"][2] = address
        start.memory["storage"].load(SECOND, bytes(255))
        harness("s370").alike(start, 6)


@pytest.mark.parametrize("offset", [-0x40, -4, 0, 4, 6, 12])
def test_code_that_overwrites_itself(offset: int) -> None:
    program = twice("MVC 0(64,2),0(3)", "LA 4,1(0,4)", "LA 5,1(0,5)", "LA 6,1(0,6)")
    state = prepared(program)
    state["gpr"][2] = 0x2000 + 12 + offset
    state.memory["storage"].load(SECOND, assemble_program(harness("s370").isa, " LA 7,3(0,7)\n" * 16, 0).bytes)
    harness("s370").alike(state, 8)


def test_code_beside_what_is_moved() -> None:
    """Both in a page; code is looked up anew where it was stored to, and only there."""
    program = " LA 8,20(0,0)\n MVC 0(200,2),0(3)\n XC 0(100,2),0(2)\n MVC 0x20(4,2),0x10(3)\n BCT 8,4(0,11)\n MVC 0(2,9),0(3)\n LA 7,1(0,7)"
    state = prepared(program)
    state["gpr"][2], state["gpr"][9] = 0x2400, 0x2000 + len(assemble_program(harness("s370").isa, program, 0x2000).bytes) - 4
    state["gpr"][11] = 0x2000
    state.memory["storage"].load(SECOND, bytes.fromhex("41A0"))
    harness("s370").alike(state, 80)


@pytest.mark.parametrize("instruction", ["LM 0,15,0(2)", "LM 14,1,0(2)", "STM 0,15,0(2)", "STM 14,1,0(2)", "STM 4,4,0(2)"])
@pytest.mark.parametrize("offset", [0, 0x1C1, 0x1FD, 0x7C4])
def test_words_across_granules_and_blocks(instruction: str, offset: int) -> None:
    state = prepared(twice(instruction, "LA 2,0(0,3)"), psw__key=2)
    state.memory["keys"].update({at >> 11: 0x04 for at in range(0, 0x10000, 0x800)} | {FIRST + 0x800 >> 11: 0x0E})
    state["gpr"][2] += offset
    state["gpr"][3] = FIRST + offset
    harness("s370").alike(state, 4)


@pytest.mark.parametrize("seed", range(4))
def test_random_operands(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        lines = [rng.choice(STORAGE_TO_STORAGE).format(l=rng.choice((0, 3, 16, 200, 255))) for _ in range(4)]
        state = prepared(twice(*lines), psw__key=rng.choice((0, 2)), prefix=rng.choice((0, 5)))
        state["cr0.low_address_protection"] = rng.getrandbits(1)
        state.memory["keys"].update({at: rng.choice((0x04, 0x04, 0x04, 0x0C, 0x0E)) for at in range(0x20)})
        state.memory["storage"].load(FIRST + 0x68, bytes.fromhex("0000000000000300"))
        for register in (2, 3):
            state["gpr"][register] = rng.choice((0, 0x1000, FIRST, FIRST + 0x800, SECOND, 1 << 24)) + rng.randrange(-300, 300) & 0xFFFFFF
        harness("s370").alike(state, 8)


LOOPING = {"s370": 20, "s370_das": 10, "x86": 5}  # states a form


@pytest.mark.parametrize("name", LOOPING)
def test_forms_that_loop(name: str) -> None:
    """Batches log stores, which then go one by one; so random states here are stepped through singly."""
    found = harness(name)
    pair, sampler = Pair(found.jitted), found.agreement.sampler
    background = sampler.background(3, 0)
    for form in found.isa.forms:
        if any(isinstance(s, core.Loop) for s in statements(form.body)):
            for number, row in enumerate(sampler.rows(form, 3, 0, LOOPING[name], background)):
                state = touched(sampler.state(row, background), found.plain)
                _, text = pair.step(state, bare=number % 2 == 1)
                assert not text, f"{form.instruction}: {text}"
