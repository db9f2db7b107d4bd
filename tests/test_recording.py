"""What accesses record of the blocks they reach: the paged machine, with two bits for each 1024 bytes of its storage."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from jitting import Harness

import isa_specs
from checker.analysis import analyse
from checker.options import Options
from checker.readings import Differ, Readings, Skipped
from isa_specs.assembly import assemble_program
from isa_specs.core import Isa
from isa_specs.diagnostics import SpecError
from isa_specs.encoding import state_contexts
from isa_specs.load import loads
from machine.activation import READ
from machine.batch import Batch
from machine.jitted import JittedMachine
from machine.state import State

PAGED = (Path(isa_specs.__file__).parent / "teaching" / "paged.spec").read_text(encoding="utf-8")
STORAGE = "space storage : bits(18) -> byte     data"
USED = "space used : bits(8) -> bits(2) resource protection\n"
INSTRUCTIONS = """
instruction LDU "Load what is recorded" [B0 address:16] "ldu {address}"
  privileged
  a <- zext(used(operand(address)[0:7]), 16)
  expect privileged

instruction STU "Store what is recorded" [B1 address:16] "stu {address}"
  privileged
  used(operand(address)[0:7]) <- low(a, 2)
  expect privileged

// It looks once before it reads and once behind: with an operand in the same block, the second look shows the first access.
instruction LUU "Load, and what was recorded before and behind" [B2 address:16] "luu {address}"
  privileged
  a <- 4'0 ++ used(zext(operand(address)[0:5], 8)) ++ storage(zext(operand(address), 18), 8) ++ used(zext(operand(address)[0:5], 8))

instruction STS "Store, and be refused" [B3 address:16] for w in 8, 16 where size == w "sts{w} {address}"
  program(operand(address), w) <- low(a, w)
  trap invalid_operation

"""


def text(recorded: str = " recorded in used", keep: str = "used : guest") -> str:
    found = PAGED.replace(STORAGE, USED + STORAGE + recorded)
    found = found.replace("// ---- virtualization", INSTRUCTIONS + "// ---- virtualization")
    return found.replace("  old, vectors, device : host\n", f"  old, vectors, device : host\n  {keep}\n")


@cache
def isa() -> Isa:
    return loads(text())


@cache
def harness() -> Harness:
    return Harness.of(JittedMachine(isa()))


def prepared(program: str, *, mapped: bool = False) -> State:
    state = State(isa())
    state["pc"], state["ps.mapped"] = 0x100, int(mapped)
    state["map"] = [0xC0, 0xC3, 0x80, 0, 0, 0, 0, 0]  # itself; frame 3; frame 0, not to be written
    state["vectors"] = 0x1000
    state.memory["storage"].load(0x100, assemble_program(isa(), program, 0x100, state_contexts(isa(), state.cells)).bytes)
    return state


def bits(state: State) -> dict[int, int]:
    return {block: value for block, value in state.memory["used"].items() if value}


def test_reading_and_storing() -> None:
    state = prepared(" lda16 0x2000\n sta16 0x27FF\n sta16 0x2C00")
    assert bits(harness().alike(state, 1)) == {0: 2, 8: 2}
    assert bits(harness().alike(state, 2)) == {0: 2, 8: 2, 9: 3, 10: 3}  # both blocks of an operand
    assert bits(harness().alike(state, 3)) == {0: 2, 8: 2, 9: 3, 10: 3, 11: 3}


def test_where_storage_is_and_not_where_it_is_seen() -> None:
    assert bits(harness().alike(prepared(" lda16 0x2000\n sta16 0x2C00", mapped=True), 2)) == {0: 2, 24: 2, 27: 3}


def test_what_is_refused_is_not_recorded() -> None:
    """Page 2 may not be written, page 3 is not there; the delivery reads the vector at 0x1000."""
    assert bits(harness().alike(prepared(" sta16 0x4000", mapped=True), 1)) == {0: 2, 4: 2}
    assert bits(harness().alike(prepared(" lda16 0x5FFF", mapped=True), 1)) == {0: 2, 4: 2}


def test_it_outlasts_what_a_trap_undoes() -> None:
    """The fetch of what is refused; then an instruction that has read and stored before it is."""
    assert bits(harness().alike(prepared(" sys 1"), 1)) == {0: 2, 4: 2}
    state = prepared(" ldi 7\n sts16 0x2000")
    after = harness().alike(state, 2)
    assert bits(after) == {0: 2, 4: 2, 8: 3}
    assert after.memory["storage"][0x2001] == 0


def test_questions_leave_no_trace() -> None:
    state, machine = prepared(" lda16 0x2000"), harness().plain
    assert machine.place(isa().spaces["program"], 0x2000, state, READ) == ("storage", 0x2000)
    assert machine.fetch_place(state) == ("storage", 0x100)
    assert bits(state) == {}


def test_taken_back_it_is_recorded_once_more() -> None:
    """What is remembered of walks and instructions rests on the bits."""
    loop = " lda16 0x2000\n sta16 0x2400\n" * 3
    state = prepared(f"{loop} ldi 0\n stu 0x0800\n stu 0x0900\n stu 0\n{loop}")
    assert bits(harness().alike(state, 6)) == {0: 2, 8: 2, 9: 3}
    assert bits(harness().alike(state, 9)) == {0: 2}
    assert bits(harness().alike(state, 10)) == {}
    assert bits(harness().alike(state, 16)) == {0: 2, 8: 2, 9: 3}


def test_in_the_order_of_an_expression() -> None:
    assert harness().alike(prepared(" luu 0x0C00"), 1)["a"] == 0b00_00000000_10
    state = prepared(" luu 0x0003")  # block 0, of its own code
    state.memory["used"][0] = 1
    assert harness().alike(state, 1)["a"] >> 10 == 3
    state = prepared(" luu 0xFC00")
    state.memory["used"][63] = 1
    assert harness().alike(state, 1)["a"] == 0b01_00000000_11


def test_random_states_on_both_machines() -> None:
    assert harness().compare(1, 60)["next"]


def test_each_case_of_a_batch_begins_anew() -> None:
    batch = Batch(harness().jitted, "storage", threads=1, stores=8)
    rows = batch.rows(2)
    for row in rows:
        batch.set(row, {"pc": 0x100})
        batch.patch(row, 0x100, bytes.fromhex("112000"))  # STA 2000
    batch.run(rows)
    assert [batch.stored(row) for row in rows] == 2 * [{("storage", 0x2000): 0, ("used", 0): 2, ("used", 8): 3}]


def test_the_symbolic_reading_leaves_it_to_the_memory_system() -> None:
    readings, rng, compared = Readings(isa()), random.Random(1), 0
    for form in isa().forms:
        reads = readings.reads(form)
        for _ in range(10):
            case = readings.case(form, rng)
            if case is None:
                continue
            try:
                readings.compare(reads, case)
                compared += 1
            except Skipped:
                continue
            except Differ as problem:
                raise AssertionError(f"{form.instruction}: {problem}") from None
    assert compared > 100


def test_the_verdicts_are_those_without() -> None:
    found, plain = analyse(isa(), Options()), analyse(loads(PAGED), Options())
    assert found.theorems == plain.theorems
    assert [monitor.verdict for monitor in found.monitors] == [monitor.verdict for monitor in plain.monitors]
    assert any("used" in text for monitor in found.monitors for text in monitor.assumptions)


@pytest.mark.parametrize(("change", "code"), [
    ({"recorded": " recorded in usd"}, "SP100"),
    ({"recorded": " recorded in index"}, "SP100"),
    ({"recorded": "\nspace wide : bits(8) -> bits(3) data\nspace other : bits(12) -> byte data recorded in wide"}, "SP201"),
    ({"recorded": "\nspace other : bits(4) -> byte data recorded in used"}, "SP201"),
    ({"recorded": "\nspace view : bits(18) -> byte onto storage recorded in used"}, "SP107"),
    ({"keep": "used : host"}, "SP401"),
])
def test_mistakes(change: dict[str, str], code: str) -> None:
    with pytest.raises(SpecError) as found:
        loads(text(**change))
    assert code in {diagnostic.code for diagnostic in found.value.diagnostics}
